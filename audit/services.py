"""Writing events to the ledger."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import NoTransactionError
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Actor, Event, Subject


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
    """
    if not connection.in_atomic_block:
        raise NoTransactionError(
            f"{event} was recorded outside a transaction; wrap the change and its event in atomic()"
        )
    log = Log.LINEAGE if isinstance(event, LineageEvent) else Log.ACCESS
    identity = event_id or new_id("evt", at=at)
    record = Event(log=log.value, type=event.value, id=identity, at=at, actor=actor, subject=subject, data=data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger.append(%s, %s)", (log.value, record.to_bytes()))
        (body_id,) = cursor.fetchone()
    return Recorded(event_id=identity, body_id=body_id)
