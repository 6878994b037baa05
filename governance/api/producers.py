"""Keys of evidence producers, and evidence that came signed."""

from typing import ClassVar

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import producer_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.api.evidence_serializers import EvidenceOutput
from governance.enums import Scope
from governance.models import ProducerKey, SignedStatement, User
from governance.services.officers import Officer
from governance.services.producers import (
    KeyTerms,
    producer_key_confirm,
    producer_key_propose,
    producer_key_revoke,
)
from governance.services.signed_evidence import attestation_deposit

_KEYS = ProducerKey.objects.select_related(
    "holder", "proposed_by", "confirmation__confirmed_by", "revocation__revoked_by"
)


def _shown(key_id: str) -> dict[str, object]:
    return dict(s.ProducerKeyOutput(_KEYS.get(pk=key_id)).data)


class AttestationDepositView(GovernedView):
    """Depositing evidence that its producer signed."""

    scopes: ClassVar = {"POST": Scope.EVIDENCE_WRITE}

    @operation(
        "evidence_attestation",
        "Deposit a fact in the envelope that its producer signed",
        takes=s.AttestationInput,
        gives={201: EvidenceOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Check the signature, keep the fact and the envelope byte for byte; the same envelope twice is kept once."""
        body = parsed(s.AttestationInput, request)
        evidence = attestation_deposit(
            deliverer=self.caller(),
            envelope=body["envelope"].encode(),
            supersedes=body.get("supersedes"),
            reason=body.get("reason", ""),
            at=timezone.now(),
        )
        return Response(EvidenceOutput(evidence).data, status=status.HTTP_201_CREATED)


class EnvelopeView(GovernedView):
    """The envelope of a piece of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "evidence_envelope",
        "Read the envelope that a piece of evidence came in",
        gives={(200, "application/json"): OpenApiTypes.BINARY},
        problems=(404,),
    )
    def get(self, request: Request, evidence_id: str) -> HttpResponse:  # noqa: ARG002
        """Give it byte for byte; the reading is logged."""
        statement = self.found(SignedStatement.objects.all(), "envelope of evidence", evidence=evidence_id)
        self.viewed("evidence", evidence_id, statement.envelope_digest)
        return HttpResponse(bytes(statement.envelope), content_type="application/json")


class ProducerKeysView(GovernedView):
    """The keys by which evidence is signed."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.PRODUCER_KEY}

    @operation("producer_key_list", "List the keys of evidence producers", gives={200: s.ProducerKeysOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give all that were ever proposed, the newest first; the reading is logged."""
        self.viewed("producer_key", "list")
        return Response(s.ProducerKeysOutput({"keys": _KEYS.all()}).data)

    @operation(
        "producer_key_propose",
        "Propose that evidence signed by a key be taken",
        takes=s.ProducerKeyInput,
        gives={201: s.ProducerKeyOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep the proposal; another officer has seven days to confirm it."""
        body = parsed(s.ProducerKeyInput, request)
        terms = KeyTerms(
            holder=found(User.objects.all(), "account", username=body["holder"]),
            assessor=body.get("assessor", ""),
            pem=body["public_key"],
            valid_from=body["valid_from"],
            valid_until=body["valid_until"],
            reason=body["reason"],
        )
        officer = Officer(self.caller(), body["password"])
        key = producer_key_propose(officer=officer, terms=terms, at=timezone.now())
        return Response(_shown(key.id), status=status.HTTP_201_CREATED)


class KeyConfirmationView(GovernedView):
    """Confirming a key that another officer proposed."""

    scopes: ClassVar = {"POST": Scope.PRODUCER_KEY}

    @operation(
        "producer_key_confirm",
        "Confirm a key that another officer proposed",
        takes=s.KeyConfirmationInput,
        gives={201: s.ProducerKeyOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Take evidence by it from now on, with the password given afresh."""
        officer = Officer(self.caller(), parsed(s.KeyConfirmationInput, request)["password"])
        producer_key_confirm(officer=officer, key=found(_KEYS, "producer key", pk=key_id), at=timezone.now())
        return Response(_shown(key_id), status=status.HTTP_201_CREATED)


class KeyRevocationView(GovernedView):
    """Ending a key."""

    scopes: ClassVar = {"POST": Scope.PRODUCER_KEY}

    @operation(
        "producer_key_revoke",
        "End a key at once",
        takes=s.KeyRevocationInput,
        gives={201: s.ProducerKeyOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Take nothing by it any more; what was received since it is not trusted satisfies nothing."""
        body, now = parsed(s.KeyRevocationInput, request), timezone.now()
        producer_key_revoke(
            officer=Officer(self.caller(), body["password"]),
            key=found(_KEYS, "producer key", pk=key_id),
            reason=body["reason"],
            distrusted_from=body.get("distrusted_from", now),
            at=now,
        )
        return Response(_shown(key_id), status=status.HTTP_201_CREATED)
