"""The tiers of systems: assessed by one caller, published by an independent officer."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import tier_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.api.policy_serializers import PublicationInput, WithdrawalInput
from governance.enums import Scope
from governance.models import TierAssessment
from governance.selectors.tiers import stale_reasons, tier_standing
from governance.services.officers import Officer
from governance.services.tiers import tier_assess, tier_confirm, tier_publish, tier_withdraw


def _assessment(view: GovernedView, assessment_id: str) -> TierAssessment:
    assessments = TierAssessment.objects.select_related("system", "template_version__template", "drafted_by")
    return view.found(assessments, "tier assessment", pk=assessment_id)


def _output(view: GovernedView, assessment_id: str) -> s.TierAssessmentOutput:
    assessment = _assessment(view, assessment_id)
    stale = stale_reasons(assessments=[assessment], at=timezone.now())[assessment.id]
    return s.TierAssessmentOutput(assessment, context={"stale": stale})


class SystemTierView(GovernedView):
    """The tier of a system."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "system_tier",
        "Read the risk tier of an AI system, and whether it has to be assessed anew",
        gives={200: s.SystemTierOutput},
        problems=(404,),
    )
    def get(self, request: Request, system: str) -> Response:  # noqa: ARG002
        """Give what the newest published assessment says; the reading is logged."""
        record = self.system(system)
        standing = tier_standing(system=record, at=timezone.now())
        self.viewed("system", record.id)
        answer = {
            "system": record.id,
            "tier": standing.tier,
            "assessed": standing.publication is not None,
            "stale": standing.stale,
            "assessment": standing.publication and standing.publication.assessment_id,
        }
        return Response(s.SystemTierOutput(answer).data)


class TierAssessmentsView(GovernedView):
    """Assessing a system."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "tier_assess",
        "Assess the risk tier of an AI system, for an officer to publish",
        takes=s.TierAssessmentInput,
        gives={201: s.TierAssessmentOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, system: str) -> Response:
        """Freeze what the template reads of the system, and give the whole working."""
        assessment = tier_assess(
            actor=self.caller(),
            system=self.system(system),
            at=timezone.now(),
            **parsed(s.TierAssessmentInput, request),
        )
        return Response(_output(self, assessment.id).data, status=status.HTTP_201_CREATED)


class TierAssessmentView(GovernedView):
    """One assessment."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "tier_assessment_get",
        "Read an assessment with its working",
        gives={200: s.TierAssessmentOutput},
        problems=(404,),
    )
    def get(self, request: Request, assessment_id: str) -> Response:  # noqa: ARG002
        """Give the assessment; the reading is logged."""
        output = _output(self, assessment_id)
        assert isinstance(output.instance, TierAssessment)
        self.viewed("tier_assessment", assessment_id, output.instance.working_digest)
        return Response(output.data)


class TierConfirmationView(GovernedView):
    """Confirming a lower tier."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "tier_confirm",
        "Confirm that a tier is lower than what its template suggests",
        takes=s.TierConfirmationInput,
        gives={201: s.TierAssessmentOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, assessment_id: str) -> Response:
        """Confirm with the password given afresh; another officer publishes it."""
        body = parsed(s.TierConfirmationInput, request)
        officer = Officer(self.caller(), body["password"])
        assessment = _assessment(self, assessment_id)
        tier_confirm(officer=officer, assessment=assessment, reason=body["reason"], at=timezone.now())
        return Response(_output(self, assessment_id).data, status=status.HTTP_201_CREATED)


class TierPublicationView(GovernedView):
    """Publishing an assessment."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "tier_publish",
        "Publish an assessment: it is the tier of its system from now on",
        takes=PublicationInput,
        gives={201: s.TierAssessmentOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, assessment_id: str) -> Response:
        """Publish with the password given afresh."""
        officer = Officer(self.caller(), parsed(PublicationInput, request)["password"])
        tier_publish(officer=officer, assessment=_assessment(self, assessment_id), at=timezone.now())
        return Response(_output(self, assessment_id).data, status=status.HTTP_201_CREATED)


class TierWithdrawalView(GovernedView):
    """Withdrawing an assessment that was not published."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "tier_withdraw",
        "Withdraw an assessment that was not published",
        takes=WithdrawalInput,
        gives={201: s.TierAssessmentOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, assessment_id: str) -> Response:
        """Withdraw one's own, or as an officer anybody's."""
        reason = parsed(WithdrawalInput, request)["reason"]
        tier_withdraw(
            actor=self.caller(), assessment=_assessment(self, assessment_id), reason=reason, at=timezone.now()
        )
        return Response(_output(self, assessment_id).data, status=status.HTTP_201_CREATED)
