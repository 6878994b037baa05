"""Depositing evidence."""

from datetime import datetime
from typing import Any

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.registry import About, type_get
from governance.models import Evidence, ModelVersion, User
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject


@transaction.atomic
def evidence_deposit(
    *,
    producer: User,
    version: ModelVersion,
    kind: str,
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
        payload: The fact itself, as the schema of its type has it.
        measured: Whether the product computed it itself.
        at: The moment.
        actor: Who acts, when it is not the producer: the worker that computed the fact.

    Raises:
        EvidenceRefusedError: The type is not known, or the payload is not what its schema asks for; with every fault.
        CanonicalError: The payload has no canonical form, for instance because a number is too large.
    """
    known = type_get(kind)
    if known.about is not About.MODEL_VERSION:
        raise EvidenceRefusedError((Fault("/type", f'"{kind}" is about a {known.about}, not about a model version'),))
    if faults := known.schema.faults(payload):
        raise EvidenceRefusedError(faults)
    document = canonical_bytes(
        {
            "format": "modelnotary-evidence/v1",
            "type": kind,
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
            "type": kind,
            "model_version": version.id,
            "model_digest": version.digest,
            "producer": producer.id,
            "measured": measured,
        },
        at=at,
    )
    return evidence
