"""Privacy officers: forgetting a person, legal holds, retention, and telling what is kept about somebody.

Each step needs a person who holds the role of privacy officer and gives the password afresh.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from audit.enums import AccessEvent, ErasureBasis, LineageEvent, Log, RetentionBasis
from audit.erasure import erasure_approve, erasure_cancel, erasure_request, hold_release, hold_set, orders_lock
from audit.models import Erasure, LegalHold
from audit.personal import PersonalValue, person_values
from audit.retention import RetentionRequest, RetentionSchedule, retention_approve, retention_request
from audit.selectors import entry_proof
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError, GovernanceError, RejectedInputError, SeparationOfDutiesError
from governance.models import User
from governance.services.officers import Officer, officer_require, person_require
from modelnotary.errors import ModelNotaryError
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.disclosure import DisclosedEntry, Disclosure, Opening
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

REASON_MINIMUM = 20
_MAX_TEXT = 1000
_SHOWN: dict[type, tuple[str, ...]] = {
    Erasure: ("id", "state", "basis", "reason", "requested_by", "requested_at", "approved_by", "approved_at"),
    LegalHold: ("id", "scope", "log", "matter", "reason", "set_by", "set_at", "released_by", "released_at"),
}


def order_digest(order: Erasure | LegalHold) -> str:
    """Give the digest of an order as it stands, so that a step is taken on what was shown and on nothing newer.

    It covers what was ordered, by whom, and how far it is; never who the person is.
    """
    shown = {field: getattr(order, field) for field in _SHOWN[type(order)]}
    told = {name: format_time(value) if isinstance(value, datetime) else value for name, value in shown.items()}
    return Digest.of(canonical_bytes(told)).text


def officer_hindrance(*, user: User) -> str | None:
    """Say in words why somebody cannot take any step here, or nothing."""
    try:
        person_require(user, Role.PRIVACY, at=timezone.now())
    except GovernanceError as refusal:
        return str(refusal)
    return None


def erasure_hindrance(*, user: User, erasure: Erasure) -> str | None:
    """Say in words why somebody cannot approve an erasure, as far as it can be known beforehand, or nothing."""
    try:
        person_require(user, Role.PRIVACY, at=timezone.now())
        _require_second(user, erasure)
    except GovernanceError as refusal:
        return str(refusal)
    return None


def person_erasure_request(*, officer: Officer, person: str, basis: ErasureBasis, reason: str, at: datetime) -> Erasure:
    """Ask that a person be forgotten; see `audit.erasure.erasure_request`. A refused attempt is in the ledger.

    Raises:
        GovernanceError: The officer may not, or the input is not acceptable.
        AuditError: Nothing is kept about the person, it is asked for already, or a legal hold forbids it.
    """
    with _attempt(officer, "erasure.request", None, at):
        return erasure_request(
            actor=actor_of(officer.user), person=_identifier(person), basis=basis, reason=_reason(reason), at=at
        )


def person_erasure_approve(*, officer: Officer, erasure: Erasure, shown: str, person: str, at: datetime) -> Erasure:
    """Approve what another officer asked for; see `audit.erasure.erasure_approve`. A refused attempt is in the ledger.

    Args:
        officer: Another than who asked.
        erasure: The order.
        shown: `order_digest` of what was on the screen.
        person: Who is meant, typed again.
        at: Now.

    Raises:
        GovernanceError: The officer may not, or asked for it, or the order is not what was shown.
        AuditError: Another person is meant, or a legal hold forbids it.
    """
    with _attempt(officer, "erasure.approve", erasure, at):
        _require_second(officer.user, erasure)
        _require_shown(erasure, shown)
        return erasure_approve(actor=actor_of(officer.user), erasure_id=erasure.id, person=_identifier(person), at=at)


def person_erasure_cancel(*, officer: Officer, erasure: Erasure, shown: str, reason: str, at: datetime) -> Erasure:
    """Take an erasure back; see `audit.erasure.erasure_cancel`. A refused attempt is in the ledger.

    Raises:
        GovernanceError: The officer may not, or the order is not what was shown.
        AuditError: It is too late.
    """
    with _attempt(officer, "erasure.cancel", erasure, at):
        _require_shown(erasure, shown)
        return erasure_cancel(actor=actor_of(officer.user), erasure_id=erasure.id, reason=_reason(reason), at=at)


def legal_hold_set(
    *, officer: Officer, person: str | None, log: Log | None, matter: str, reason: str, at: datetime
) -> LegalHold:
    """Put a legal hold on a person or a log; see `audit.erasure.hold_set`. A refused attempt is in the ledger.

    Raises:
        GovernanceError: The officer may not, or the input is not acceptable.
        AuditError: It is too late, or neither or both of person and log are given.
    """
    with _attempt(officer, "hold.set", None, at):
        if not matter.strip() or len(matter) > _MAX_TEXT:
            raise RejectedInputError("/matter must name the matter or case")
        return hold_set(
            actor=actor_of(officer.user),
            person=None if person is None else _identifier(person),
            log=log,
            matter=matter.strip(),
            reason=_reason(reason),
            at=at,
        )


def legal_hold_release(*, officer: Officer, hold: LegalHold, shown: str, reason: str, at: datetime) -> LegalHold:
    """End a legal hold; see `audit.erasure.hold_release`. A refused attempt is in the ledger.

    Raises:
        GovernanceError: The officer may not, or the hold is not what was shown.
        AuditError: It is released already.
    """
    with _attempt(officer, "hold.release", hold, at):
        _require_shown(hold, shown)
        return hold_release(actor=actor_of(officer.user), hold_id=hold.id, reason=_reason(reason), at=at)


@transaction.atomic
def retention_schedule_request(
    *, officer: Officer, log: Log, keep_days: int, bases: Sequence[RetentionBasis], reason: str, at: datetime
) -> RetentionRequest:
    """Ask that entries of a class of logs be kept for so long; see `audit.retention.retention_request`.

    Raises:
        GovernanceError: The officer may not, or the reason is not acceptable.
        AuditError: No rule is named, or one asks for more.
    """
    _require_officer(officer, at)
    return retention_request(
        actor=actor_of(officer.user), log=log, keep_days=keep_days, bases=bases, reason=_reason(reason), at=at
    )


@transaction.atomic
def retention_schedule_approve(*, officer: Officer, request_id: str, at: datetime) -> RetentionSchedule:
    """Approve the schedule that another officer asked for; see `audit.retention.retention_approve`.

    Raises:
        GovernanceError: The officer may not.
        AuditError: No such request, it is too old or approved already, or the same officer asked.
    """
    _require_officer(officer, at)
    return retention_approve(actor=actor_of(officer.user), request_id=request_id, at=at)


def person_account(
    *,
    officer: Officer,
    person: str,
    reason: str,
    at: datetime,
    tell: Callable[[int], None] = lambda _rows: None,
) -> list[PersonalValue]:
    """Give everything that is kept about a person, oldest first (45 CFR 164.528). The look itself is logged first.

    Raises:
        GovernanceError: The officer may not.
        AuditError: The key file cannot be used.
    """
    _require_officer(officer, at)
    _look_record(officer, "person_account", reason, at)
    return list(person_values(person=_identifier(person), tell=tell))


def person_disclose(
    *, officer: Officer, person: str, reason: str, events: frozenset[str], names: frozenset[str], at: datetime
) -> Disclosure:
    """Put entries about a person together with what opens their commitments. That it was done is logged first.

    Args:
        officer: Who does it.
        person: The identifier.
        reason: Why.
        events: The entries in scope; all when empty.
        names: The fields in scope; all when empty.
        at: Now.

    Raises:
        GovernanceError: The officer may not, or nothing is in scope.
        AuditError: The key file cannot be used, or an entry in scope is not signed yet.
    """
    _require_officer(officer, at)
    _look_record(officer, "person_disclosure", reason, at)
    openings: dict[str, list[Opening]] = {}
    for found in person_values(person=_identifier(person)):
        if (not events or found.event_id in events) and (not names or found.name in names):
            openings.setdefault(found.event_id, []).append(Opening(found.name, found.salt, found.value))
    if not openings or events - openings.keys():
        raise RejectedInputError("nothing is kept about this person in those entries and fields")
    return Disclosure(
        tuple(
            DisclosedEntry(entry_proof(event_id=event_id).proof.encode(), tuple(some))
            for event_id, some in openings.items()
        )
    )


def _look_record(officer: Officer, kind: str, reason: str, at: datetime) -> None:
    with transaction.atomic():
        event_record(
            event=AccessEvent.RECORD_VIEWED,
            actor=actor_of(officer.user),
            subject=Subject(kind, new_id("acc", at=at)),
            data={"reason": _reason(reason)},
            at=at,
        )


@contextmanager
def _attempt(officer: Officer, step: str, order: Erasure | LegalHold | None, at: datetime) -> Iterator[None]:
    """Take a step whole or not at all, by somebody who may; what is refused is recorded by its code alone.

    The words of a refusal can name a legal hold, and with it tell which hold and which request mean one person.
    """
    kind = "legal_hold" if isinstance(order, LegalHold) else "erasure"
    subject = Subject("user", officer.user.id) if order is None else Subject(kind, order.id)
    try:
        with transaction.atomic():
            _require_officer(officer, at)
            yield
    except ModelNotaryError as refusal:
        with transaction.atomic():
            event_record(
                event=LineageEvent.PRIVACY_REFUSED,
                actor=actor_of(officer.user),
                subject=subject,
                data={"code": refusal.code, "step": step},
                at=at,
            )
        raise


def _require_officer(officer: Officer, at: datetime) -> None:
    officer_require(officer, Role.PRIVACY, at=at)


def _require_second(user: User, erasure: Erasure) -> None:
    if erasure.requested_by == user.id:
        raise SeparationOfDutiesError(
            f"{user.printed_name} asked for this erasure and so cannot approve it; ask another privacy officer"
        )


def _require_shown(order: Erasure | LegalHold, shown: str) -> None:
    """Refuse a step on an order that changed since it was read, under the lock that every change of orders takes."""
    orders_lock()
    order.refresh_from_db()
    if order_digest(order) != shown:
        raise ConflictError(f"{order.id} is not what was shown: it changed meanwhile; look at it again")


def _identifier(person: str) -> str:
    if not person.strip() or len(person) > _MAX_TEXT:
        raise RejectedInputError("/person must be the person's identifier, as the source system writes it")
    return person


def _reason(reason: str) -> str:
    text = reason.strip()
    if not REASON_MINIMUM <= len(text) <= _MAX_TEXT:
        raise RejectedInputError(f"/reason must say why in {REASON_MINIMUM} to {_MAX_TEXT} characters")
    return text
