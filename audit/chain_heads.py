"""Telling the hash chain in the log itself, an entry for every 10,000 entries, each exactly once.

The sequencer cannot append, so the application does it, a little later. One run at a time works on a log, and sees what
the one before it committed; one that is killed has told nothing or all of its own.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import connection as database
from django.db import connections, transaction

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import AuditError
from audit.models import Entry
from audit.selectors import chain_head
from audit.services import event_record
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, CHAIN_HEAD_EVERY, ChainHead
from modelnotary.ledger.event import Actor, Event, Subject

logger = logging.getLogger(__name__)

_PROCESS = Actor("system", "chain", "Model Notary chain heads")
_EVENTS: dict[str, LineageEvent | AccessEvent] = {
    Log.LINEAGE: LineageEvent.LEDGER_CHAIN_HEAD,
    Log.ACCESS: AccessEvent.LEDGER_CHAIN_HEAD,
}
# Of an old log that never told its chain; the rest is told by the next runs.
_AT_ONCE = 1_000
# Any number that nothing else in the database locks; the log's own is added.
_LOCK = 7_240_001
_GROWN = """
SELECT l.log_id, l.class, l.name, l.origin, h.size, l.min_index FROM ledger.log l JOIN ledger.head h USING (log_id)
 WHERE l.state = 'active' AND h.size >= %s ORDER BY l.log_id
"""


@dataclass(frozen=True, slots=True)
class _GrownLog:
    log_id: int
    log_class: str
    name: str
    origin: str
    size: int
    min_index: int


def chain_heads_record(*, at: datetime) -> int:
    """Tell the chain of each active log at every multiple of 10,000 entries where no entry tells it yet.

    Args:
        at: The present.

    Returns:
        How many entries were appended. A log that refuses is logged, and is no reason to leave out the other one.
    """
    with connections["auditor"].cursor() as cursor:
        cursor.execute(_GROWN, (CHAIN_HEAD_EVERY,))
        logs = [_GrownLog(*row) for row in cursor.fetchall()]
    done = 0
    for log in logs:
        try:
            done += _heads_tell(log, at=at)
        except AuditError as error:
            logger.error("the chain of %s is not told: %s", log.origin, error)  # noqa: TRY400
    return done


def _heads_tell(log: _GrownLog, *, at: datetime) -> int:
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK + log.log_id,))
        # Those of entries that were dropped cannot be told any more.
        told = max(_told(log), log.min_index // CHAIN_HEAD_EVERY * CHAIN_HEAD_EVERY)
        sizes = range(told + CHAIN_HEAD_EVERY, log.size + 1, CHAIN_HEAD_EVERY)[:_AT_ONCE]
        for size in sizes:
            head = ChainHead(log.origin, size, chain_head(log=log.name, size=size))
            event_record(
                event=_EVENTS[log.log_class],
                actor=_PROCESS,
                subject=Subject("log", log.origin),
                data=head.to_data(),
                at=at,
            )
    return len(sizes)


def _told(log: _GrownLog) -> int:
    """The largest size at which the chain is told already, by an entry that may still wait for its place."""
    last = Entry.objects.filter(subject_id=log.origin, event_type=CHAIN_HEAD_EVENT).order_by("-body_id").first()
    return ChainHead.from_event(Event.from_bytes(bytes(last.bytes))).size if last else 0
