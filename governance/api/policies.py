"""Policies: drafted by one caller, published by another, and put in force by two."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import policy_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.enums import AttachmentKind, Scope
from governance.models import AttachmentProposal, Policy, PolicyDraft
from governance.selectors.policies import attachments_standing
from governance.services.attachments import attachment_confirm, attachment_propose
from governance.services.officers import Officer
from governance.services.policies import policy_check, policy_draft, policy_publish, policy_withdraw
from governance.services.simulation import Trial, policy_simulate


def _draft(draft_id: str) -> PolicyDraft:
    return found(PolicyDraft.objects.select_related("drafted_by"), "policy draft", pk=draft_id)


class PoliciesView(GovernedView):
    """Drafting policies."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "policy_draft",
        "Draft a policy, for somebody else to publish",
        takes=s.PolicyInput,
        gives={201: s.PolicyDraftOutput},
        problems=(400, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Compile and keep it; a text that is open or in force already is not drafted twice."""
        draft = policy_draft(actor=self.caller(), at=timezone.now(), **parsed(s.PolicyInput, request))
        return Response(s.PolicyDraftOutput(draft).data, status=status.HTTP_201_CREATED)


class PolicyDraftView(GovernedView):
    """One draft."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("policy_draft_get", "Read a draft of a policy", gives={200: s.PolicyDraftOutput}, problems=(404,))
    def get(self, request: Request, draft_id: str) -> Response:  # noqa: ARG002
        """Give the draft; the reading is logged."""
        draft = _draft(draft_id)
        self.viewed("policy_draft", draft.id, draft.digest)
        return Response(s.PolicyDraftOutput(draft).data)


class PublicationView(GovernedView):
    """Publishing a draft."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "policy_publish",
        "Publish a policy that somebody else drafted",
        takes=s.PublicationInput,
        gives={201: s.PolicyVersionOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, draft_id: str) -> Response:
        """Publish with the password given afresh."""
        officer = Officer(self.caller(), parsed(s.PublicationInput, request)["password"])
        version = policy_publish(officer=officer, draft=_draft(draft_id), at=timezone.now())
        return Response(s.PolicyVersionOutput(version).data, status=status.HTTP_201_CREATED)


class WithdrawalView(GovernedView):
    """Withdrawing a draft."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "policy_withdraw",
        "Withdraw a draft of a policy",
        takes=s.WithdrawalInput,
        gives={201: s.PolicyDraftOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, draft_id: str) -> Response:
        """Withdraw one's own draft, or as an officer anybody's."""
        draft = _draft(draft_id)
        policy_withdraw(actor=self.caller(), draft=draft, at=timezone.now(), **parsed(s.WithdrawalInput, request))
        return Response(s.PolicyDraftOutput(draft).data, status=status.HTTP_201_CREATED)


class PolicyCheckView(GovernedView):
    """Compiling without keeping."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "policy_check",
        "Compile a policy without drafting it",
        takes=s.PolicyInput,
        gives={200: s.PolicyCheckOutput},
        problems=(400,),
    )
    def post(self, request: Request) -> Response:
        """Give every fault with its line, column and a caret; nothing is kept."""
        faults = policy_check(document=parsed(s.PolicyInput, request)["document"])
        return Response(s.PolicyCheckOutput({"valid": not faults, "diagnostics": faults}).data)


class PolicySimulateView(GovernedView):
    """Trying without keeping."""

    scopes: ClassVar = {"POST": Scope.POLICY_DRAFT}

    @operation(
        "policy_simulate",
        "Try a policy on the newest decisions on record",
        takes=s.SimulationInput,
        gives={200: s.SimulationOutput},
        problems=(400, 422),
    )
    def post(self, request: Request) -> Response:
        """Tell which decisions would come out otherwise; nothing is kept, the reading is logged."""
        trial = policy_simulate(seen_by=self.sight, **parsed(s.SimulationInput, request))
        self.viewed("decision", "list")
        return Response(s.SimulationOutput(_told(trial)).data)


def _told(trial: Trial) -> dict[str, Any]:
    return {
        "environment": trial.environment,
        "decisions": len(trial.rows),
        **{effect.value: number for effect, number in trial.counts.items()},
        "changed": [
            {
                "decision": decision.id,
                "digest": decision.model_version.digest,
                "environment": decision.environment,
                "evaluated_at": decision.evaluated_at,
                "effect": result.effect,
                "before": result.before,
                "after": result.after,
                "rules": result.changes,
            }
            for decision, result in trial.changed
        ],
    }


class AttachmentsView(GovernedView):
    """What is in force."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("policy_attachments", "Read which policies are in force", gives={200: s.AttachmentOutput(many=True)})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give every attachment in force now; the reading is logged."""
        attachments = attachments_standing(at=timezone.now())
        self.viewed("policy_attachment", "list")
        return Response(s.AttachmentOutput(attachments, many=True).data)


class AttachmentProposalsView(GovernedView):
    """Proposing what is in force."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "policy_attachment_propose",
        "Propose that a policy be in force in an environment, or no longer",
        takes=s.AttachmentProposalInput,
        gives={201: s.AttachmentProposalOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep the proposal; another officer has seven days to confirm it."""
        body = parsed(s.AttachmentProposalInput, request)
        proposal = attachment_propose(
            officer=Officer(self.caller(), body.pop("password")),
            policy=found(Policy.objects.all(), "policy", slug=body.pop("policy")),
            kind=AttachmentKind(body.pop("kind")),
            at=timezone.now(),
            **body,
        )
        return Response(s.AttachmentProposalOutput(proposal).data, status=status.HTTP_201_CREATED)


class ConfirmationView(GovernedView):
    """Confirming what another officer proposed."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "policy_attachment_confirm",
        "Confirm what another officer proposed to be in force",
        takes=s.PublicationInput,
        gives={201: s.AttachmentOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, proposal_id: str) -> Response:
        """Change what is in force, with the password given afresh."""
        proposals = AttachmentProposal.objects.select_related("policy", "proposed_by", "replaces")
        attachment = attachment_confirm(
            officer=Officer(self.caller(), parsed(s.PublicationInput, request)["password"]),
            proposal=found(proposals, "proposal", pk=proposal_id),
            at=timezone.now(),
        )
        return Response(s.AttachmentOutput(attachment).data, status=status.HTTP_201_CREATED)
