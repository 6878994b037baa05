"""Passkeys by API: registering one, ending its use, and signing decisions with it."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import passkey_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.api.serializers import SignatureOutput
from governance.enums import Role, Scope, Vote
from governance.models import ApprovalRequest, Passkey, SigningTicket
from governance.services.approvals import approval_sign, signing_prepare
from governance.services.passkey_options import creation_options, request_options
from governance.services.passkeys import (
    PasskeyAnswer,
    passkey_register,
    passkey_request,
    passkey_revoke,
)
from governance.services.proofs import PasswordAndCode
from governance.services.statements import SigningTerms, ticket_intent
from modelnotary.attest.passkey import Assertion
from modelnotary.ledger.canonical import parse_canonical


class PasskeysView(GovernedView):
    """Beginning a registration."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "passkey_request",
        "Make the challenge for a new passkey",
        takes=s.PasskeyInput,
        gives={201: s.PasskeyOptionsOutput},
        problems=(400, 409),
    )
    def post(self, request: Request) -> Response:
        """Give what the token's owner hands to an authenticator."""
        passkey = passkey_request(user=self.caller(), at=timezone.now(), **parsed(s.PasskeyInput, request))
        return Response({"id": passkey.id, "options": creation_options(passkey)}, status=status.HTTP_201_CREATED)


class PasskeyRegistrationView(GovernedView):
    """Ending a registration with the authenticator's answer."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "passkey_register",
        "Give the authenticator's answer, with password and code; from then on the passkey signs",
        takes=s.PasskeyAnswerInput,
        gives={200: s.PasskeyOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, passkey_id: str) -> Response:
        """Register it."""
        own = Passkey.objects.filter(user=self.caller())
        body = parsed(s.PasskeyAnswerInput, request)
        passkey = passkey_register(
            user=self.caller(),
            passkey=found(own, "passkey of yours", pk=passkey_id),
            authenticator_data=body["authenticatorData"],
            client_data=body["clientDataJSON"],
            proof=PasswordAndCode(body["password"], body["code"]),
            at=timezone.now(),
        )
        return Response(s.PasskeyOutput(passkey).data)


class PasskeyRevocationView(GovernedView):
    """Ending a passkey's use."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "passkey_revoke",
        "End the use of a passkey",
        takes=s.PasskeyRevocationInput,
        gives={200: s.PasskeyOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, passkey_id: str) -> Response:
        """End it: one's own, or, as an administrator, one that was lost."""
        caller = self.caller()
        within = Passkey.objects.all() if caller.is_superuser else Passkey.objects.filter(user=caller)
        body = parsed(s.PasskeyRevocationInput, request)
        passkey = passkey_revoke(
            actor=caller,
            passkey=found(within, "passkey of yours", pk=passkey_id),
            proof=PasswordAndCode(body["password"], body["code"]),
            reason=body["reason"],
            at=timezone.now(),
        )
        return Response(s.PasskeyOutput(passkey).data)


class SigningTicketsView(GovernedView):
    """Preparing a signature by passkey."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "signing_prepare",
        "Freeze the statement that a passkey is to sign",
        takes=s.SigningTermsInput,
        gives={201: s.SigningTicketOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Give the statement and what is handed to the authenticator; good for 120 seconds."""
        self.found(ApprovalRequest.objects.all(), "approval request", pk=request_id)
        body = parsed(s.SigningTermsInput, request)
        terms = SigningTerms(
            vote=Vote(body["vote"]),
            role=Role(body["role"]),
            reason=body["reason"],
            evidence_set_digest=body["evidence_set_digest"].text,
        )
        ticket = signing_prepare(signer=self.caller(), request_id=request_id, terms=terms, at=timezone.now())
        answer = {
            "id": ticket.id,
            "statement": parse_canonical(bytes(ticket.statement)),
            "expires_at": ticket.expires_at,
            "options": request_options(ticket),
        }
        return Response(s.SigningTicketOutput(answer).data, status=status.HTTP_201_CREATED)


class TicketSignatureView(GovernedView):
    """Signing by passkey."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "approval_sign_by_passkey",
        "Sign or refuse a decision with a passkey's answer",
        takes=s.AssertionInput,
        gives={201: SignatureOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, ticket_id: str) -> Response:
        """Sign the statement of the ticket."""
        body = parsed(s.AssertionInput, request)
        ticket = self.found(SigningTicket.objects.select_related("request"), "signing ticket", pk=ticket_id)
        assertion = Assertion(body["authenticatorData"], body["clientDataJSON"], body["signature"])
        signature = approval_sign(
            signer=self.caller(),
            request_id=ticket.request_id,
            intent=ticket_intent(PasskeyAnswer(ticket, body["credential_id"], assertion)),
            at=timezone.now(),
        )
        return Response(SignatureOutput(signature).data, status=status.HTTP_201_CREATED)
