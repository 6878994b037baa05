"""Evidence, reported by its producers."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import evidence_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import Scope
from governance.errors import GovernanceError
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.models import Evidence, User
from governance.selectors.evidence import evidence_subject
from governance.selectors.evidence_types import type_taken
from governance.selectors.scope import Sight
from governance.services.evidence import Deposit, evidence_deposit
from modelnotary.ledger.errors import CanonicalError


class EvidencesView(GovernedView):
    """Depositing evidence."""

    scopes: ClassVar = {"POST": Scope.EVIDENCE_WRITE}

    @operation(
        "evidence_deposit",
        "Deposit a fact",
        takes=s.EvidenceInput,
        gives={201: s.EvidenceOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep a reported fact; the same fact twice is kept once."""
        evidence = _deposit(self.caller(), parsed(s.EvidenceInput, request), self.sight, timezone.now())
        return Response(s.EvidenceOutput(evidence).data, status=status.HTTP_201_CREATED)


class EvidenceBatchView(GovernedView):
    """Depositing many facts at once."""

    scopes: ClassVar = {"POST": Scope.EVIDENCE_WRITE}

    @operation(
        "evidence_deposit_batch",
        "Deposit up to 100 facts, all or none",
        takes=s.EvidenceBatchInput,
        gives={201: s.EvidenceBatchOutput},
        problems=(400, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep all of them, or none and say of each what is wrong with it."""
        items, caller, now = parsed(s.EvidenceBatchInput, request)["items"], self.caller(), timezone.now()
        kept: list[Evidence] = []
        faults: list[Fault] = []
        with transaction.atomic():
            for index, item in enumerate(items):
                try:
                    kept.append(_deposit(caller, item, self.sight, now))
                except EvidenceRefusedError as refusal:
                    faults += [Fault(f"/items/{index}{fault.pointer}", fault.message) for fault in refusal.faults]
                except (GovernanceError, CanonicalError) as refusal:
                    faults.append(Fault(f"/items/{index}", str(refusal)))
            if faults:
                raise EvidenceRefusedError(tuple(faults))
        return Response(s.EvidenceBatchOutput({"items": kept}).data, status=status.HTTP_201_CREATED)


def _deposit(producer: User, item: dict[str, Any], sight: Sight, at: datetime) -> Evidence:
    deposit = Deposit(
        kind=item["type"],
        payload=item["payload"],
        collected_at=item.get("collected_at"),
        valid_until=item.get("valid_until"),
        supersedes=item.get("supersedes"),
        reason=item.get("reason", ""),
    )
    subject = evidence_subject(about=type_taken(deposit.kind).about, name=item["subject"], seen_by=sight)
    return evidence_deposit(producer=producer, subject=subject, deposit=deposit, measured=False, at=at)


class EvidenceView(GovernedView):
    """One piece of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_get", "Read a piece of evidence", gives={200: s.EvidenceOutput}, problems=(404,))
    def get(self, request: Request, evidence_id: str) -> Response:  # noqa: ARG002
        """Give the fact; the reading is logged."""
        evidence = self.found(Evidence.objects.select_related("producer"), "evidence", pk=evidence_id)
        self.viewed("evidence", evidence.id, evidence.digest)
        return Response(s.EvidenceOutput(evidence).data)
