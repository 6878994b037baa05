"""Keys of evidence producers: one officer proposes, another one confirms, and any of them ends a key at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError, RejectedInputError
from governance.models import ProducerKey, ProducerKeyConfirmation, ProducerKeyRevocation, User
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.attest.errors import ProducerKeyError
from modelnotary.attest.producer import ProducerKey as PublicKey
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.ledger.text import base64_text
from modelnotary.times import format_time

KEEPERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
"""Who registers and revokes keys: officers, never whoever answers for what the key signs."""
LONGEST_WINDOW = timedelta(days=1827)
PROPOSAL_STANDS = timedelta(days=7)
_ASSESSOR_LIMIT = 200


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What is proposed of a key.

    Attributes:
        holder: Who answers for what it signs: a service account, or a person for an external assessor.
        assessor: Name of the external assessor; empty for a service account.
        pem: The public key, SubjectPublicKeyInfo in PEM: Ed25519 or ECDSA P-256.
        valid_from, valid_until: When evidence by it is taken.
        reason: Why it may be relied on, for instance how it was compared with its holder.
    """

    holder: User
    assessor: str
    pem: str
    valid_from: datetime
    valid_until: datetime
    reason: str


def producer_key_propose(*, officer: Officer, terms: KeyTerms, at: datetime) -> ProducerKey:
    """Propose that evidence signed by a key be taken; another officer confirms it within seven days.

    Raises:
        GovernanceError: The officer may not or answers for the key, or the terms are not acceptable.
    """
    subject = Subject("user", terms.holder.id)
    with officer_step(officer=officer, roles=KEEPERS, step="producer_key.propose", subject=subject, at=at):
        other_person_require(officer.user, terms.holder)
        public = _public_key(terms.pem)
        _require_terms(terms, at)
        _require_free(public.digest.text)
        key = ProducerKey.objects.create(
            holder=terms.holder,
            assessor=terms.assessor.strip(),
            fingerprint=public.digest.text,
            public_key=public.spki,
            valid_from=terms.valid_from,
            valid_until=terms.valid_until,
            reason=words_require(terms.reason, "/reason"),
            proposed_by=officer.user,
            proposed_at=at,
        )
        _record(LineageEvent.PRODUCER_KEY_PROPOSED, key, officer.user, at, reason=key.reason)
    return key


def producer_key_confirm(*, officer: Officer, key: ProducerKey, at: datetime) -> ProducerKeyConfirmation:
    """Confirm a key that another officer proposed: from now on evidence that it signed is taken.

    Raises:
        GovernanceError: The officer may not, proposed it or answers for it; it was confirmed or revoked, is registered
            for somebody else, or was proposed more than seven days ago.
    """
    with officer_step(officer=officer, roles=KEEPERS, step="producer_key.confirm", subject=_subject(key), at=at):
        other_person_require(officer.user, key.proposed_by, key.holder)
        producer_key_lock(key)
        name_lock(f"governance.producer_key {key.fingerprint}")
        _require_waiting(key, at)
        confirmation = ProducerKeyConfirmation.objects.create(
            key=key, fingerprint=key.fingerprint, confirmed_by=officer.user, confirmed_at=at
        )
        _record(LineageEvent.PRODUCER_KEY_REGISTERED, key, officer.user, at, proposed_by=key.proposed_by_id)
    return confirmation


def producer_key_revoke(
    *, officer: Officer, key: ProducerKey, reason: str, distrusted_from: datetime, at: datetime
) -> ProducerKeyRevocation:
    """End a key at once, or take back a proposal; what was received from a moment on satisfies nothing any more.

    Args:
        officer: Who ends it; one is enough.
        key: The key.
        reason: Why.
        distrusted_from: From when on what it signed is not trusted: now, or earlier where it was compromised.
        at: The moment.

    Raises:
        GovernanceError: The officer may not, the reason says nothing, it is revoked already, or the moment is ahead.
    """
    with officer_step(officer=officer, roles=KEEPERS, step="producer_key.revoke", subject=_subject(key), at=at):
        if distrusted_from > at:
            raise RejectedInputError("/distrusted_from is in the future; a key is revoked at once")
        producer_key_lock(key)
        if ProducerKeyRevocation.objects.filter(key=key).exists():
            raise ConflictError(f"{key.id} was revoked already")
        revocation = ProducerKeyRevocation.objects.create(
            key=key,
            distrusted_from=distrusted_from,
            reason=words_require(reason, "/reason"),
            revoked_by=officer.user,
            revoked_at=at,
        )
        _record(
            LineageEvent.PRODUCER_KEY_REVOKED,
            key,
            officer.user,
            at,
            reason=revocation.reason,
            distrusted_from=format_time(distrusted_from),
        )
    return revocation


def producer_key_lock(key: ProducerKey) -> None:
    """Let whoever ends this key and whoever takes evidence by it wait for each other; so does the database."""
    name_lock(f"governance.producer_key {key.id}")


def confirming_hindrance(*, user: User, key: ProducerKey, at: datetime) -> str | None:
    """Say in words why somebody cannot confirm a key, as far as it can be known beforehand, or nothing."""
    if hindrance := step_hindrance(user=user, roles=KEEPERS, others=(key.proposed_by, key.holder)):
        return hindrance
    try:
        _require_waiting(key, at)
    except ConflictError as refusal:
        return str(refusal)
    return None


def _public_key(pem: str) -> PublicKey:
    try:
        return PublicKey.from_pem(pem)
    except ProducerKeyError as error:
        raise RejectedInputError(f"/public_key: {error}") from error


def _require_terms(terms: KeyTerms, at: datetime) -> None:
    named = terms.assessor.strip()
    if terms.holder.is_service == bool(named):
        raise RejectedInputError(
            "/assessor: a key is that of a service account, or of an external assessor who is named and for whom a "
            "person answers"
        )
    if len(named) > _ASSESSOR_LIMIT:
        raise RejectedInputError(f"/assessor has at most {_ASSESSOR_LIMIT} characters")
    if not terms.holder.is_active or terms.holder.is_superuser:
        raise RejectedInputError("/holder must have an active account that is no administrator's")
    if not terms.valid_from < terms.valid_until <= terms.valid_from + LONGEST_WINDOW:
        raise RejectedInputError(f"/valid_until is after /valid_from, by at most {LONGEST_WINDOW.days} days")
    if terms.valid_until <= at:
        raise RejectedInputError("/valid_until is over already")


def _require_free(fingerprint: str) -> None:
    taken = ProducerKeyConfirmation.objects.filter(fingerprint=fingerprint).first()
    if taken:
        raise ConflictError(f"this key was registered before, as {taken.key_id}; every holder and time needs a new key")


def _require_waiting(key: ProducerKey, at: datetime) -> None:
    if ProducerKeyRevocation.objects.filter(key=key).exists():
        raise ConflictError(f"{key.id} was revoked")
    _require_free(key.fingerprint)
    if at - key.proposed_at > PROPOSAL_STANDS:
        raise ConflictError(f"{key.id} was proposed more than {PROPOSAL_STANDS.days} days ago; propose it again")


def _subject(key: ProducerKey) -> Subject:
    return Subject("producer_key", key.id, Digest.from_text(key.fingerprint))


def _record(event: LineageEvent, key: ProducerKey, user: User, at: datetime, **more: Json) -> None:
    """Tell of a step, with the whole key: whoever has the entries can check what it signed."""
    event_record(
        event=event,
        actor=actor_of(user),
        subject=_subject(key),
        data={
            "holder": key.holder_id,
            "assessor": key.assessor,
            "public_key": base64_text(bytes(key.public_key)),
            "valid_from": format_time(key.valid_from),
            "valid_until": format_time(key.valid_until),
            **more,
        },
        at=at,
    )
