"""Depositing evidence, also in the place of other evidence."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import ConflictError, UnknownRecordError
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.identity import organization_identity, system_identity
from governance.evidence.registry import About, TypeVersion
from governance.models import (
    AiSystem,
    DatasetVersion,
    Evidence,
    EvidenceSupersession,
    ModelVersion,
    ProducerKey,
    User,
)
from governance.selectors.evidence import EvidenceSubject
from governance.selectors.evidence_types import type_taken
from governance.selectors.scope import sight_of
from governance.services.locks import name_lock
from governance.services.steps import REASON_MINIMUM, words_require
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject
from modelnotary.ledger.text import base64_text
from modelnotary.times import format_time

EVIDENCE_FORMAT = "modelnotary-evidence/v2"
CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Deposit:
    """A fact as its producer states it.

    Attributes:
        kind: Its type.
        payload: The fact itself, as the schema of its type has it.
        collected_at: When it was established; None: now.
        valid_until: From when on it no longer counts; None, or later than the type allows: as long as the type allows.
        supersedes: Id of the evidence in whose place it comes.
        reason: Why it does.
    """

    kind: str
    payload: dict[str, Any]
    collected_at: datetime | None = None
    valid_until: datetime | None = None
    supersedes: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """The envelope that a fact came in.

    Attributes:
        envelope: Its digest.
        key: Whose signature was checked.
        unknown: What signatures by nobody known name as their keys.
    """

    envelope: Digest
    key: ProducerKey
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """What the ledger says of it: enough to check the envelope without the database."""
        return {
            "envelope": self.envelope.text,
            "producer_key": self.key.id,
            "public_key": base64_text(bytes(self.key.public_key)),
            "unknown_keys": list(self.unknown),
        }


@transaction.atomic
def evidence_deposit(
    *,
    producer: User,
    subject: EvidenceSubject,
    deposit: Deposit,
    measured: bool,
    at: datetime,
    actor: Actor | None = None,
    received: Received | None = None,
) -> Evidence:
    """Keep a fact as canonical bytes; the same fact twice is kept once.

    Whoever reports a fact of the same type about the same subject again must say what it takes the place of, and why.
    What the product measured again is kept beside the first: both count, and the request for it is in the ledger.

    Args:
        producer: The person or service account that answers for the fact.
        subject: What the fact is about; None is the organization.
        deposit: The fact.
        measured: Whether the product computed it itself.
        at: The moment.
        actor: Who acts, when it is not the producer: the worker that computed the fact, or who delivers an envelope.
        received: The envelope in which the producer signed it, if that was checked.

    Raises:
        UnknownRecordError: The producer does not see the subject.
        EvidenceRefusedError: With every fault of the deposit and its place.
        ConflictError: It says again what was said, and not what it takes the place of.
        CanonicalError: The payload has no canonical form, for instance because a number is too large.
    """
    if subject is not None and not sight_of(actor=producer, at=at).sees(subject):
        raise UnknownRecordError("what this is about is not registered, or belongs to another business unit")
    kind = type_taken(deposit.kind)
    if faults := (*_subject_faults(kind, subject), *_time_faults(deposit, at), *kind.schema.faults(deposit.payload)):
        raise EvidenceRefusedError(faults)
    identity = _identity(subject)
    document = _document(deposit, kind, identity, measured=measured, received=received)
    digest = Digest.of(document)
    _lock(subject, kind, identity)
    existing = Evidence.objects.filter(subject_digest=identity.text, type=kind.name, digest=digest.text).first()
    if existing:
        return existing
    superseded = _superseded(deposit, identity, measured=measured)
    collected = deposit.collected_at or at
    latest = collected + timedelta(days=kind.fresh_days)
    stored: Any = parse_canonical(document)
    evidence = Evidence.objects.create(
        type=kind.name,
        schema_version=kind.version,
        about=kind.about.value,
        subject_digest=identity.text,
        document=document,
        digest=digest.text,
        payload=stored["payload"],
        producer=producer,
        measured=measured,
        collected_at=collected,
        valid_until=min(deposit.valid_until or latest, latest),
        deposited_at=at,
        **({_FIELDS[type(subject)]: subject} if subject else {}),
    )
    acting = actor or actor_of(producer)
    _deposit_record(evidence, received, acting, at)
    if superseded:
        _supersede(superseded, evidence, deposit.reason, acting, at)
    return evidence


_FIELDS: dict[type[Any], str] = {ModelVersion: "model_version", DatasetVersion: "dataset_version", AiSystem: "system"}
_ABOUT = {ModelVersion: About.MODEL_VERSION, DatasetVersion: About.DATASET_VERSION, AiSystem: About.SYSTEM}


def _subject_faults(kind: TypeVersion, subject: EvidenceSubject) -> tuple[Fault, ...]:
    given = _ABOUT[type(subject)] if subject else About.ORGANIZATION
    if given is kind.about:
        return ()
    return (Fault("/type", f'"{kind.name}" is about a {_words(kind.about)}, not about a {_words(given)}'),)


def _words(about: About) -> str:
    return about.value.replace("_", " ")


def _time_faults(deposit: Deposit, at: datetime) -> tuple[Fault, ...]:
    collected = deposit.collected_at or at
    faults = []
    if collected > at + CLOCK_SKEW:
        ahead = f"{format_time(collected)} is later than {format_time(at)}, now, by more than 60 s"
        faults.append(Fault("/collected_at", f"{ahead}; set the producer's clock"))
    if deposit.valid_until is not None and deposit.valid_until <= collected:
        faults.append(Fault("/valid_until", f"is not after {format_time(collected)}, when it was collected"))
    return tuple(faults)


def _identity(subject: EvidenceSubject) -> Digest:
    if subject is None:
        return organization_identity()
    return system_identity(subject.id) if isinstance(subject, AiSystem) else Digest.from_text(subject.digest)


def _document(
    deposit: Deposit, kind: TypeVersion, identity: Digest, *, measured: bool, received: Received | None
) -> bytes:
    stated = {"collected_at": deposit.collected_at, "valid_until": deposit.valid_until}
    return canonical_bytes(
        {
            "format": EVIDENCE_FORMAT,
            "type": kind.name,
            "schema_version": kind.version,
            "about": kind.about.value,
            "subject": {"digest": identity.text},
            "measured": measured,
            "payload": deposit.payload,
        }
        | {name: format_time(moment) for name, moment in stated.items() if moment}
        | ({"envelope": received.envelope.text} if received else {})
    )


def _lock(subject: EvidenceSubject, kind: TypeVersion, identity: Digest) -> None:
    if isinstance(subject, ModelVersion):
        ModelVersion.objects.select_for_update().get(pk=subject.pk)  # a decision must not look while evidence arrives
    name_lock(f"governance.evidence {identity} {kind.name}")


def _superseded(deposit: Deposit, identity: Digest, *, measured: bool) -> Evidence | None:
    """Give what a deposit takes the place of, after demanding that it says so where it has to."""
    same = Evidence.objects.filter(subject_digest=identity.text, type=deposit.kind, superseded_by=None)
    if deposit.supersedes is None:
        said = None if measured else same.filter(measured=False).order_by("-deposited_at", "-id").first()
        if said:
            raise ConflictError(
                f"{said.id} of {said.deposited_at:%Y-%m-%d} is {deposit.kind} evidence about this already. Name it in "
                f"supersedes, with a reason of at least {REASON_MINIMUM} characters; it counts until a reviewer accepts"
            )
        return None
    words_require(deposit.reason, "/reason")
    named = Evidence.objects.filter(pk=deposit.supersedes).first()
    if named is None or (named.type, named.subject_digest) != (deposit.kind, identity.text):
        words = f"{deposit.supersedes} is no {deposit.kind} evidence about this subject"
        raise EvidenceRefusedError((Fault("/supersedes", words),))
    if named.measured and not measured:
        words = f"{named.id} was measured by the product; what is reported cannot take its place, measure again"
        raise EvidenceRefusedError((Fault("/supersedes", words),))
    claim = EvidenceSupersession.objects.filter(superseded=named).first()
    if claim:
        raise ConflictError(f"{named.id} is superseded by {claim.successor_id} already; name that one")
    return named


def _deposit_record(evidence: Evidence, received: Received | None, actor: Actor, at: datetime) -> None:
    about: dict[str, Json | None] = {"system": evidence.system_id, "dataset_version": evidence.dataset_version_id}
    if evidence.model_version_id:
        about = {"model_version": evidence.model_version_id, "model_digest": evidence.subject_digest}
    said: dict[str, Json] = {
        "type": evidence.type,
        "about": evidence.about,
        "subject_digest": evidence.subject_digest,
        "producer": evidence.producer_id,
        "measured": evidence.measured,
        "collected_at": format_time(evidence.collected_at),
        "valid_until": format_time(evidence.valid_until),
    }
    event_record(
        event=LineageEvent.EVIDENCE_DEPOSITED,
        actor=actor,
        subject=Subject("evidence", evidence.id, Digest.from_text(evidence.digest)),
        data=said | {name: value for name, value in about.items() if value} | (received.to_json() if received else {}),
        at=at,
    )


def _supersede(superseded: Evidence, successor: Evidence, reason: str, actor: Actor, at: datetime) -> None:
    claim = EvidenceSupersession.objects.create(
        superseded=superseded, successor=successor, reason=reason.strip(), claimed_by=successor.producer, claimed_at=at
    )
    event_record(
        event=LineageEvent.EVIDENCE_SUPERSEDED,
        actor=actor,
        subject=Subject("evidence", superseded.id, Digest.from_text(superseded.digest)),
        data={"supersession": claim.id, "successor": successor.id, "reason": claim.reason},
        at=at,
    )
