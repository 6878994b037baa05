"""Depositing evidence."""

from datetime import datetime
from typing import Any

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import EvidenceType
from governance.errors import RejectedInputError
from governance.models import Evidence, ModelVersion, User
from governance.policy.facts import EVIDENCE_FACTS, fact_matches
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject


@transaction.atomic
def evidence_deposit(
    *,
    producer: User,
    version: ModelVersion,
    kind: EvidenceType,
    payload: dict[str, Any],
    measured: bool,
    at: datetime,
    actor: Actor | None = None,
) -> Evidence:
    """Keep a fact about a model version as canonical bytes; the same fact twice is kept once.

    Args:
        producer: The person or service account that answers for the fact.
        version: What the fact is about.
        kind: Its type.
        payload: The fact itself; the fields that policies read must be there with the right type.
        measured: Whether the product computed it itself.
        at: The moment.
        actor: Who acts, when it is not the producer: the worker that computed the fact.

    Raises:
        RejectedInputError: A field that policies read has an unusable value.
        CanonicalError: The payload has no canonical form, for instance because of a NaN.
    """
    _require_usable(kind, payload)
    document = canonical_bytes(
        {
            "format": "modelnotary-evidence/v1",
            "type": kind.value,
            "subject": {"digest": version.digest},
            "measured": measured,
            "payload": payload,
        }
    )
    digest = Digest.of(document)
    ModelVersion.objects.select_for_update().get(pk=version.pk)  # a decision must not look while evidence arrives
    existing = Evidence.objects.filter(model_version=version, type=kind, digest=digest.text).first()
    if existing:
        return existing
    evidence = Evidence.objects.create(
        type=kind,
        model_version=version,
        subject_digest=version.digest,
        document=document,
        digest=digest.text,
        payload=payload,
        producer=producer,
        measured=measured,
        deposited_at=at,
    )
    event_record(
        event=LineageEvent.EVIDENCE_DEPOSITED,
        actor=actor or actor_of(producer),
        subject=Subject("evidence", evidence.id, digest),
        data={
            "type": kind.value,
            "model_version": version.id,
            "model_digest": version.digest,
            "producer": producer.id,
            "measured": measured,
        },
        at=at,
    )
    return evidence


def _require_usable(kind: EvidenceType, payload: dict[str, Any]) -> None:
    for name, expected in EVIDENCE_FACTS.get(kind.value, {}).items():
        if payload.get(name) is not None and not fact_matches(payload[name], expected):
            raise RejectedInputError(f"/payload/{name} is {payload[name]!r}; policies read it as a {expected.value}")
