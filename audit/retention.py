"""How long entries are kept: schedules for each class of logs, asked for by one officer and approved by another.

A schedule is its two entries; the database takes it over from the second one and checks that another person asked for
it. Nothing is given up without one. docs/retention.md says how to operate it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, connections, transaction

from audit.enums import LineageEvent, Log, RetentionBasis
from audit.errors import RetentionError
from audit.models import Entry
from audit.selectors import entry_get
from audit.services import event_record
from modelnotary.ledger.event import Actor, Event, Subject

OPEN_FOR = timedelta(days=30)
"""A request that nobody approved within this time has to be made again."""
MAXIMUM_DAYS = 36_525
_KIND = "log_class"


@dataclass(frozen=True, slots=True)
class RetentionRequest:
    """A schedule that was asked for.

    Attributes:
        id: The event `retention.requested`.
        log: The class of logs.
        keep_days: Days after an entry's time during which it must not be given up.
        bases: The rules that it follows.
        reason: Why.
        actor: Who asked.
        at: When.
    """

    id: str
    log: Log
    keep_days: int
    bases: tuple[RetentionBasis, ...]
    reason: str
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class RetentionSchedule:
    """A schedule that was approved: its event, what it says, and when the database took it over."""

    event_id: str
    request: str
    log: Log
    keep_days: int
    at: datetime


@transaction.atomic
def retention_request(
    *, actor: Actor, log: Log, keep_days: int, bases: Sequence[RetentionBasis], reason: str, at: datetime
) -> RetentionRequest:
    """Ask that entries of a class of logs be kept for so long and no longer.

    Args:
        actor: Who asks.
        log: The class.
        keep_days: Days after an entry's time.
        bases: The rules behind it, at least one.
        reason: Why.
        at: Now.

    Raises:
        RetentionError: No rule is named, or one asks for more.
    """
    if not bases:
        raise RetentionError("a retention schedule names at least one rule that it follows")
    longest = max(bases, key=lambda basis: basis.minimum_days)
    if not longest.minimum_days <= keep_days <= MAXIMUM_DAYS:
        raise RetentionError(
            f"{keep_days} days are not between {longest.minimum_days}, which {longest.label} asks for, and "
            f"{MAXIMUM_DAYS}, a hundred years"
        )
    chosen = tuple(sorted(set(bases)))
    recorded = event_record(
        event=LineageEvent.RETENTION_REQUESTED,
        actor=actor,
        subject=Subject(_KIND, log.value),
        data={
            "keep_days": keep_days,
            "bases": [basis.value for basis in chosen],
            "citations": [basis.label for basis in chosen],
            "reason": reason,
        },
        at=at,
    )
    return RetentionRequest(recorded.event_id, log, keep_days, chosen, reason, actor, at)


@transaction.atomic
def retention_approve(*, actor: Actor, request_id: str, at: datetime) -> RetentionSchedule:
    """Approve, as a second person, the schedule that somebody asked for.

    Args:
        actor: Another than who asked.
        request_id: The event `retention.requested`.
        at: Now.

    Raises:
        RetentionError: No such request, it is too old or approved already, or the same person asked.
        UnknownEntryError: There is no such event.
    """
    request = _request_read(entry_get(event_id=request_id))
    if request.actor.id == actor.id:
        raise RetentionError(f"{actor.name} asked for this schedule; another person has to approve it")
    if any(schedule.request == request_id for schedule in retention_schedules()):
        raise RetentionError(f"{request_id} is approved already")
    if at - request.at > OPEN_FOR:
        raise RetentionError(f"{request_id} is older than {OPEN_FOR.days} days; ask for the schedule again")
    recorded = event_record(
        event=LineageEvent.RETENTION_SCHEDULED,
        actor=actor,
        subject=Subject(_KIND, request.log.value),
        data={
            "request": request.id,
            "requested_by": request.actor.id,
            "keep_days": request.keep_days,
            "bases": [basis.value for basis in request.bases],
        },
        at=at,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ledger.retention_schedule(%s)", (recorded.event_id,))
    except IntegrityError as error:
        raise RetentionError(f"{request_id} was approved by somebody else a moment ago") from error
    return RetentionSchedule(recorded.event_id, request.id, request.log, request.keep_days, at)


def retention_requests(*, at: datetime) -> list[RetentionRequest]:
    """Give the requests that wait for a second person, oldest first."""
    approved = {schedule.request for schedule in retention_schedules()}
    entries = Entry.objects.filter(event_type=LineageEvent.RETENTION_REQUESTED, at__gt=at - OPEN_FOR)
    return [_request_read(entry) for entry in entries.order_by("body_id") if entry.event_id not in approved]


def retention_schedules() -> list[RetentionSchedule]:
    """Give the schedules that were approved, oldest first; the newest of a class is in force, once it counts."""
    with connections["auditor"].cursor() as cursor:
        cursor.execute("SELECT event_id, request, class, keep_days, at FROM ledger.retention ORDER BY at, event_id")
        return [RetentionSchedule(row[0], row[1], Log(row[2]), *row[3:]) for row in cursor.fetchall()]


def _request_read(entry: Entry) -> RetentionRequest:
    event = Event.from_bytes(bytes(entry.bytes))
    match event.data:
        case {"keep_days": int(keep_days), "bases": [*bases], "reason": str(reason), **_rest} if (
            event.type == LineageEvent.RETENTION_REQUESTED
        ):
            rules = tuple(RetentionBasis(str(basis)) for basis in bases)
            return RetentionRequest(event.id, Log(event.subject.id), keep_days, rules, reason, event.actor, event.at)
        case _:
            raise RetentionError(f"{event.id} asks for no retention schedule")
