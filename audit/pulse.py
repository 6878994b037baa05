"""How far the sequencer and the signer are behind the events, in one cheap query."""

from dataclasses import dataclass

from django.db import connections

from audit.guards import standing_faults

_PULSE = """
SELECT l.name, h.size, coalesce(c.size, 0),
       (SELECT extract(epoch FROM clock_timestamp() - (ledger.event_read(b.bytes)).at) FROM ledger.body b
         WHERE b.log_id = l.log_id
           AND b.id = (SELECT q.id FROM ledger.queue q WHERE q.log_id = l.log_id ORDER BY q.id LIMIT 1)),
       (SELECT extract(epoch FROM clock_timestamp() - (ledger.event_read(b.bytes)).at)
          FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
         WHERE e.log_id = l.log_id AND e.seq = coalesce(c.size, 0))
  FROM ledger.log l JOIN ledger.head h USING (log_id)
  LEFT JOIN LATERAL (SELECT size FROM ledger.checkpoint WHERE log_id = l.log_id ORDER BY size DESC LIMIT 1) c ON true
 WHERE l.state <> 'sealed' ORDER BY l.log_id
"""


@dataclass(frozen=True, slots=True)
class LogPulse:
    """How a log keeps up.

    Attributes:
        log: Its name.
        size: Entries that have their place.
        signed: Entries that a checkpoint covers.
        queue_age: Seconds since the oldest event that waits for its place; 0 when none waits.
        checkpoint_age: Seconds since the oldest entry that no checkpoint covers; 0 when all are covered.
    """

    log: str
    size: int
    signed: int
    queue_age: float
    checkpoint_age: float


def log_pulses() -> list[LogPulse]:
    """Give the pulse of every log that is not sealed, by the times that the events themselves carry."""
    with connections["auditor"].cursor() as cursor:
        cursor.execute(_PULSE)
        return [
            LogPulse(log, size, signed, max(0.0, float(queued or 0)), max(0.0, float(unsigned or 0)))
            for log, size, signed, queued, unsigned in cursor.fetchall()
        ]


def ledger_faults() -> list[str]:
    """Say which append-only triggers and partitions are missing or not as they must be; nothing if none."""
    auditor = connections["auditor"]
    auditor.ensure_connection()
    assert auditor.connection is not None
    # The guards ask past Django, which would otherwise never learn that the connection is gone and never open another.
    with auditor.wrap_database_errors:
        return standing_faults(auditor.connection)
