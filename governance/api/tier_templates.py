"""Tier templates: drafted by one caller, published by another; and the fields that they may name."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import tier_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.api.policy_serializers import PublicationInput, WithdrawalInput
from governance.enums import Scope
from governance.models import TierTemplateDraft
from governance.selectors.tier_fields import TIER_FIELDS
from governance.selectors.tiers import templates_current
from governance.services.officers import Officer
from governance.services.tier_templates import (
    tier_template_check,
    tier_template_draft,
    tier_template_publish,
    tier_template_withdraw,
)


def _draft(draft_id: str) -> TierTemplateDraft:
    return found(TierTemplateDraft.objects.select_related("drafted_by"), "tier template draft", pk=draft_id)


class TierFieldsView(GovernedView):
    """What a template may name."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("tier_fields", "Read which fields a tier template may name", gives={200: s.TierFieldOutput(many=True)})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give every field with its kind; it is the same for everybody, and no record."""
        fields = [
            {"name": name, "kind": field.kind.value, "words": field.label, "choices": field.choices}
            for name, field in sorted(TIER_FIELDS.items())
        ]
        return Response(s.TierFieldOutput(fields, many=True).data)


class TierTemplatesView(GovernedView):
    """Templates in force, and drafting."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.POLICY_DRAFT}

    @operation(
        "tier_templates",
        "Read the newest published version of each tier template",
        gives={200: s.TierTemplateVersionOutput(many=True)},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give them with their texts; the reading is logged."""
        versions = templates_current(at=timezone.now()).select_related("published_by")
        self.viewed("tier_template", "list")
        return Response(s.TierTemplateVersionOutput(versions, many=True).data)

    @operation(
        "tier_template_draft",
        "Draft a tier template, for somebody else to publish",
        takes=s.TierTemplateInput,
        gives={201: s.TierTemplateDraftOutput},
        problems=(400, 422),
    )
    def post(self, request: Request) -> Response:
        """Check and keep it; a text that is open or published already is not drafted twice."""
        draft = tier_template_draft(actor=self.caller(), at=timezone.now(), **parsed(s.TierTemplateInput, request))
        return Response(s.TierTemplateDraftOutput(draft).data, status=status.HTTP_201_CREATED)


class TierTemplateCheckView(GovernedView):
    """Checking without keeping."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "tier_template_check",
        "Check a tier template without drafting it",
        takes=s.TierTemplateInput,
        gives={200: s.TierTemplateCheckOutput},
        problems=(400,),
    )
    def post(self, request: Request) -> Response:
        """Give every fault with its line, column and a caret; nothing is kept."""
        faults = tier_template_check(document=parsed(s.TierTemplateInput, request)["document"])
        return Response(s.TierTemplateCheckOutput({"valid": not faults, "diagnostics": faults}).data)


class TierTemplateDraftView(GovernedView):
    """One draft."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "tier_template_draft_get",
        "Read a draft of a tier template",
        gives={200: s.TierTemplateDraftOutput},
        problems=(404,),
    )
    def get(self, request: Request, draft_id: str) -> Response:  # noqa: ARG002
        """Give the draft; the reading is logged."""
        draft = _draft(draft_id)
        self.viewed("tier_template_draft", draft.id, draft.digest)
        return Response(s.TierTemplateDraftOutput(draft).data)


class TierTemplatePublicationView(GovernedView):
    """Publishing a draft."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "tier_template_publish",
        "Publish a tier template that somebody else drafted",
        takes=PublicationInput,
        gives={201: s.TierTemplateVersionOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, draft_id: str) -> Response:
        """Publish with the password given afresh."""
        officer = Officer(self.caller(), parsed(PublicationInput, request)["password"])
        version = tier_template_publish(officer=officer, draft=_draft(draft_id), at=timezone.now())
        return Response(s.TierTemplateVersionOutput(version).data, status=status.HTTP_201_CREATED)


class TierTemplateWithdrawalView(GovernedView):
    """Withdrawing a draft."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "tier_template_withdraw",
        "Withdraw a draft of a tier template",
        takes=WithdrawalInput,
        gives={201: s.TierTemplateDraftOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, draft_id: str) -> Response:
        """Withdraw one's own draft, or as an officer anybody's."""
        draft = _draft(draft_id)
        tier_template_withdraw(actor=self.caller(), draft=draft, at=timezone.now(), **parsed(WithdrawalInput, request))
        return Response(s.TierTemplateDraftOutput(draft).data, status=status.HTTP_201_CREATED)
