"""Writing events to the ledger."""

from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection

from audit.appending import entry_append
from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import LogFrozenError, NoTransactionError
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Actor, Event, Subject

# The SQLSTATE with which ledger.append refuses when no log of the class is active.
_LOG_FROZEN = "MN001"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: the event's id, and its row in ledger.body (its place in the log comes later)."""

    event_id: str
    body_id: int


def event_record(
    *,
    event: LineageEvent | AccessEvent,
    actor: Actor,
    subject: Subject,
    data: dict[str, Json],
    at: datetime,
    event_id: str | None = None,
) -> Recorded:
    """Write an event in the caller's transaction, so that it commits with the change it tells of, or not at all.

    The log follows from the kind of event: governance facts go to `lineage`, accesses to `access`.

    Raises:
        NoTransactionError: Called outside `transaction.atomic()`.
        LogFrozenError: The log is frozen or sealed and has no successor yet.
    """
    if not connection.in_atomic_block:
        raise NoTransactionError(
            f"{event} was recorded outside a transaction; wrap the change and its event in atomic()"
        )
    log = Log.LINEAGE if isinstance(event, LineageEvent) else Log.ACCESS
    identity = event_id or new_id("evt", at=at)
    record = Event(log=log.value, type=event.value, id=identity, at=at, actor=actor, subject=subject, data=data)
    try:
        body_id = entry_append(log=log, entry=record.to_bytes())
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOG_FROZEN:
            raise LogFrozenError(
                f"{event} cannot be recorded: {str(error).splitlines()[0]}. An operator has to open the log's "
                f"successor: manage.py log_open {log.value} (docs/restore.md)"
            ) from error
        raise
    return Recorded(event_id=identity, body_id=body_id)
