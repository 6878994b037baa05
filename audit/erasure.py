"""Orders to forget a person, given by two people, and legal holds that forbid it.

Who is meant is written down sealed and never in an entry: neither the entries nor the rows of two orders about one
person have anything in common. An order is carried out by `audit.rotation`.
"""

import re
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from audit.enums import ErasureBasis, ErasureState, HoldScope, LineageEvent, Log
from audit.errors import ErasedError, ErasureError, LegalHoldError
from audit.models import Erasure, LegalHold
from audit.personal import subject_key_find
from audit.selectors import holds_blocking
from audit.services import event_record
from audit.subject_keys import key_ring_read
from modelnotary.ids import new_id
from modelnotary.ledger.event import Actor, Subject

# Orders, holds and the moment at which keys are destroyed take turns.
ORDERS_LOCK = 0x6D6E_0002


@transaction.atomic
def erasure_request(*, actor: Actor, person: str, basis: ErasureBasis, reason: str, at: datetime) -> Erasure:
    """Ask that a person be forgotten.

    Raises:
        ErasureError: Nothing is sealed about that person, it is asked for already, or the reason holds the identifier.
        LegalHoldError: A legal hold forbids it.
        SubjectKeysError: The key file cannot be used.
    """
    orders_lock()
    _require_silent(person, reason)
    if subject_key_find(person=person) is None:
        raise ErasureError("nothing is kept about that person: never seen, or forgotten already")
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    for other in Erasure.objects.filter(state__in=(ErasureState.REQUESTED, ErasureState.APPROVED)):
        if ring.person_open(bytes(other.person or b"")) == person:
            raise ErasureError(f"{other.id} asks for that already: {other.get_state_display().lower()}")
    require_no_hold(person)
    erasure = Erasure(
        basis=basis,
        reason=reason,
        person=ring.person_seal(person),
        requested_by=actor.id,
        requested_at=at,
        request_event=new_id("evt", at=at),
    )
    erasure.save(force_insert=True)
    event_record(
        event=LineageEvent.PRIVACY_ERASURE_REQUESTED,
        actor=actor,
        subject=Subject("erasure", erasure.id),
        data={"basis": basis.value, "citation": basis.label, "reason": reason},
        at=at,
        event_id=erasure.request_event,
    )
    return erasure


@transaction.atomic
def erasure_approve(*, actor: Actor, erasure_id: str, person: str, at: datetime) -> Erasure:
    """Approve, as a second person, that somebody be forgotten; carried out when the keys are rotated next.

    Args:
        actor: Another than who asked.
        erasure_id: The request.
        person: Who is meant, typed again: both have to mean the same person.
        at: Now.

    Raises:
        ErasureError: No such request, it is not open, the same person asked, or another person is meant.
        LegalHoldError: A legal hold forbids it.
        SubjectKeysError: The key file cannot be used.
    """
    orders_lock()
    erasure = _erasure_get(erasure_id)
    if erasure.state != ErasureState.REQUESTED:
        raise ErasureError(f"{erasure.id} cannot be approved: {erasure.get_state_display().lower()}")
    if erasure.requested_by == actor.id:
        raise ErasureError(f"{actor.name} asked for this erasure; another person has to approve it")
    if key_ring_read(settings.SUBJECT_KEYS_FILE).person_open(bytes(erasure.person or b"")) != person:
        raise ErasureError(f"{erasure.id} is about another person than the one given; compare with who asked")
    require_no_hold(person)
    erasure.state, erasure.approved_by, erasure.approved_at = ErasureState.APPROVED, actor.id, at
    erasure.approval_event = new_id("evt", at=at)
    erasure.save(update_fields=["state", "approved_by", "approved_at", "approval_event"])
    event_record(
        event=LineageEvent.PRIVACY_ERASURE_APPROVED,
        actor=actor,
        subject=Subject("erasure", erasure.id),
        data={"basis": erasure.basis, "requested_by": erasure.requested_by},
        at=at,
        event_id=erasure.approval_event,
    )
    return erasure


@transaction.atomic
def erasure_cancel(*, actor: Actor, erasure_id: str, reason: str, at: datetime) -> Erasure:
    """Take an order back, as long as it is not being carried out.

    Raises:
        ErasureError: No such order, or it is too late.
    """
    orders_lock()
    erasure = _erasure_get(erasure_id)
    if erasure.state not in {ErasureState.REQUESTED, ErasureState.APPROVED} or erasure.rotation is not None:
        raise ErasureError(f"{erasure.id} can no longer be cancelled: {erasure.get_state_display().lower()}")
    if erasure.person is not None:
        _require_silent(key_ring_read(settings.SUBJECT_KEYS_FILE).person_open(bytes(erasure.person)), reason)
    erasure.state, erasure.person = ErasureState.CANCELLED, None
    erasure.save(update_fields=["state", "person"])
    event_record(
        event=LineageEvent.PRIVACY_ERASURE_CANCELLED,
        actor=actor,
        subject=Subject("erasure", erasure.id),
        data={"reason": reason},
        at=at,
    )
    return erasure


@transaction.atomic
def hold_set(*, actor: Actor, person: str | None, log: Log | None, matter: str, reason: str, at: datetime) -> LegalHold:
    """Forbid that a person be forgotten or that a log be pruned, until the hold is released.

    Args:
        actor: Who.
        person: The person's identifier, or None for a log.
        log: The log, or None for a person.
        matter: The number of the matter or case.
        reason: Why.
        at: Now.

    Raises:
        LegalHoldError: Neither or both are given, the keys are about to be destroyed already, or the text holds the
            person's identifier.
        SubjectKeysError: The key file cannot be used.
    """
    orders_lock()
    if (person is None) == (log is None):
        raise LegalHoldError("a legal hold is on one person or on one log")
    hold = LegalHold(scope=HoldScope.LOG, log=log, matter=matter, reason=reason, set_by=actor.id, set_at=at)
    if person is not None:
        _require_silent(person, matter, reason)
        _require_in_time(person)
        ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
        hold.scope, hold.person = HoldScope.PERSON, ring.person_seal(person)
    hold.save(force_insert=True)
    event_record(
        event=LineageEvent.HOLD_SET,
        actor=actor,
        subject=Subject("legal_hold", hold.id),
        data={"scope": hold.scope, "log": log.value if log else None, "matter": matter, "reason": reason},
        at=at,
    )
    return hold


@transaction.atomic
def hold_release(*, actor: Actor, hold_id: str, reason: str, at: datetime) -> LegalHold:
    """End a legal hold. Whom it was on is forgotten with it.

    Raises:
        LegalHoldError: No such hold, it is released already, or the text holds the person's identifier.
    """
    orders_lock()
    hold = LegalHold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise LegalHoldError(f"no legal hold {hold_id}")
    if hold.released_at is not None:
        raise LegalHoldError(f"{hold.id} was released at {hold.released_at:%Y-%m-%d %H:%M} UTC")
    if hold.person is not None:
        _require_silent(key_ring_read(settings.SUBJECT_KEYS_FILE).person_open(bytes(hold.person)), reason)
    hold.released_by, hold.released_at, hold.release_reason, hold.person = actor.id, at, reason, None
    hold.save(update_fields=["released_by", "released_at", "release_reason", "person"])
    event_record(
        event=LineageEvent.HOLD_RELEASED,
        actor=actor,
        subject=Subject("legal_hold", hold.id),
        data={"matter": hold.matter, "reason": reason},
        at=at,
    )
    return hold


def orders_lock() -> None:
    """Take turns with every other order, hold and destruction until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ORDERS_LOCK,))


def require_no_hold(person: str) -> None:
    """Refuse what a legal hold forbids.

    Raises:
        LegalHoldError: One does.
    """
    if holds := holds_blocking(person=person):
        named = ", ".join(f"{hold.id} (matter {hold.matter})" for hold in holds)
        raise LegalHoldError(f"a legal hold forbids to erase this person: {named}; it has to be released first")


def _require_in_time(person: str) -> None:
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    for erasure in Erasure.objects.filter(irrevocable=True, state=ErasureState.APPROVED):
        try:
            is_late = ring.person_open(bytes(erasure.person or b"")) == person
        except ErasedError as error:
            raise LegalHoldError(
                "a rotation of the keys was cut short at its end, and nobody can tell whom it concerns; let manage.py "
                "subject_keys_rotate end it, then set the hold"
            ) from error
        if is_late:
            raise LegalHoldError(f"it is too late: the key is being destroyed for {erasure.id}")


def _require_silent(person: str, *texts: str) -> None:
    """Keep the identifier out of what is written down for ever."""
    identifier = re.compile(rf"(?<!\w){re.escape(person)}(?!\w)", re.IGNORECASE)
    if any(identifier.search(text) for text in texts):
        raise ErasureError("the text holds the person's identifier, and the ledger never forgets; leave it out")


def _erasure_get(erasure_id: str) -> Erasure:
    erasure = Erasure.objects.filter(pk=erasure_id).first()
    if erasure is None:
        raise ErasureError(f"no erasure {erasure_id}")
    return erasure
