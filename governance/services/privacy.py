"""Privacy officers: forgetting a person, legal holds, retention, and telling what is kept about somebody.

Each step needs a person who holds the role of privacy officer and gives the password afresh.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction

from audit.enums import AccessEvent, ErasureBasis, Log, RetentionBasis
from audit.erasure import erasure_approve, erasure_cancel, erasure_request, hold_release, hold_set
from audit.models import Erasure, LegalHold
from audit.personal import PersonalValue, person_values
from audit.retention import RetentionRequest, RetentionSchedule, retention_approve, retention_request
from audit.selectors import entry_proof
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import RejectedInputError, SeparationOfDutiesError
from governance.services.officers import Officer, officer_require
from modelnotary.ids import new_id
from modelnotary.ledger.disclosure import DisclosedEntry, Disclosure, Opening
from modelnotary.ledger.event import Subject

REASON_MINIMUM = 20
_MAX_TEXT = 1000


@transaction.atomic
def person_erasure_request(*, officer: Officer, person: str, basis: ErasureBasis, reason: str, at: datetime) -> Erasure:
    """Ask that a person be forgotten; see `audit.erasure.erasure_request`.

    Raises:
        GovernanceError: The officer may not, or the input is not acceptable.
        AuditError: Nothing is kept about the person, it is asked for already, or a legal hold forbids it.
    """
    _require_officer(officer)
    return erasure_request(
        actor=actor_of(officer.user), person=_identifier(person), basis=basis, reason=_reason(reason), at=at
    )


@transaction.atomic
def person_erasure_approve(*, officer: Officer, erasure_id: str, person: str, at: datetime) -> Erasure:
    """Approve what another officer asked for; see `audit.erasure.erasure_approve`.

    Raises:
        GovernanceError: The officer may not, or asked for it.
        AuditError: No such request, another person is meant, or a legal hold forbids it.
    """
    _require_officer(officer)
    if Erasure.objects.filter(pk=erasure_id, requested_by=officer.user.id).exists():
        raise SeparationOfDutiesError(
            f"{officer.user.printed_name} asked for this erasure and so cannot approve it; ask another privacy officer"
        )
    return erasure_approve(actor=actor_of(officer.user), erasure_id=erasure_id, person=_identifier(person), at=at)


@transaction.atomic
def person_erasure_cancel(*, officer: Officer, erasure_id: str, reason: str, at: datetime) -> Erasure:
    """Take an erasure back; see `audit.erasure.erasure_cancel`.

    Raises:
        GovernanceError: The officer may not.
        AuditError: No such erasure, or it is too late.
    """
    _require_officer(officer)
    return erasure_cancel(actor=actor_of(officer.user), erasure_id=erasure_id, reason=_reason(reason), at=at)


@transaction.atomic
def legal_hold_set(
    *, officer: Officer, person: str | None, log: Log | None, matter: str, reason: str, at: datetime
) -> LegalHold:
    """Put a legal hold on a person or a log; see `audit.erasure.hold_set`.

    Raises:
        GovernanceError: The officer may not, or the input is not acceptable.
        AuditError: It is too late, or neither or both of person and log are given.
    """
    _require_officer(officer)
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


@transaction.atomic
def legal_hold_release(*, officer: Officer, hold_id: str, reason: str, at: datetime) -> LegalHold:
    """End a legal hold; see `audit.erasure.hold_release`.

    Raises:
        GovernanceError: The officer may not.
        AuditError: No such hold, or it is released already.
    """
    _require_officer(officer)
    return hold_release(actor=actor_of(officer.user), hold_id=hold_id, reason=_reason(reason), at=at)


@transaction.atomic
def retention_schedule_request(
    *, officer: Officer, log: Log, keep_days: int, bases: Sequence[RetentionBasis], reason: str, at: datetime
) -> RetentionRequest:
    """Ask that entries of a class of logs be kept for so long; see `audit.retention.retention_request`.

    Raises:
        GovernanceError: The officer may not, or the reason is not acceptable.
        AuditError: No rule is named, or one asks for more.
    """
    _require_officer(officer)
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
    _require_officer(officer)
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
    _require_officer(officer)
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
    _require_officer(officer)
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


def _require_officer(officer: Officer) -> None:
    officer_require(officer, Role.PRIVACY)


def _identifier(person: str) -> str:
    if not person.strip() or len(person) > _MAX_TEXT:
        raise RejectedInputError("/person must be the person's identifier, as the source system writes it")
    return person


def _reason(reason: str) -> str:
    text = reason.strip()
    if not REASON_MINIMUM <= len(text) <= _MAX_TEXT:
        raise RejectedInputError(f"/reason must say why in {REASON_MINIMUM} to {_MAX_TEXT} characters")
    return text
