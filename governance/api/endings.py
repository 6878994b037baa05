"""Revoking decisions: one person proposes, another confirms."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import ending_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.api.serializers import DecisionEndingOutput
from governance.enums import Scope
from governance.models import Decision, RevocationProposal
from governance.services.endings import revocation_confirm, revocation_propose
from governance.services.officers import Officer


class RevocationsView(GovernedView):
    """Proposing to revoke."""

    scopes: ClassVar = {"POST": Scope.GATE_REVOKE}

    @operation(
        "revocation_propose",
        "Propose to revoke a decision",
        takes=s.RevocationInput,
        gives={202: s.RevocationProposalOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, decision_id: str) -> Response:
        """Propose it; it takes effect when another officer confirms within seven days."""
        self.found(Decision.objects.all(), "decision", pk=decision_id)
        body = parsed(s.RevocationInput, request)
        proposal = revocation_propose(
            officer=Officer(self.caller(), body["password"]),
            decision_id=decision_id,
            reason=body["reason"],
            at=timezone.now(),
        )
        return Response(s.RevocationProposalOutput(proposal).data, status=status.HTTP_202_ACCEPTED)


class RevocationConfirmationView(GovernedView):
    """Confirming it."""

    scopes: ClassVar = {"POST": Scope.GATE_REVOKE}

    @operation(
        "revocation_confirm",
        "Revoke a decision that another officer proposed to revoke",
        takes=s.PasswordInput,
        gives={201: DecisionEndingOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, proposal_id: str) -> Response:
        """Revoke; from this moment the gate does not allow."""
        self.found(RevocationProposal.objects.all(), "proposal", pk=proposal_id)
        officer = Officer(self.caller(), parsed(s.PasswordInput, request)["password"])
        ending = revocation_confirm(officer=officer, proposal_id=proposal_id, at=timezone.now())
        return Response(DecisionEndingOutput(ending).data, status=status.HTTP_201_CREATED)
