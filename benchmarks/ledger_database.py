"""Verifying the database entry by entry, beside sending the same rows out unread."""

import time
from collections.abc import Iterator
from functools import partial

from installation import Database, database
from suite import Row, side_by_side

from audit.sequencing import batch_sequence, logs_list, projection_fill
from audit.verification import ledger_verify
from config.embedded import EmbeddedServices

ENTRIES = 100_000
_BATCH = 4096
_ROWS = """
SELECT e.seq, e.leaf, e.chain, b.bytes, b.event_id, p.event_type, p.at, p.actor_id, p.actor_name, p.subject_kind,
       p.subject_id, p.subject_digest
  FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
  LEFT JOIN ledger.projection p ON p.log_id = e.log_id AND p.seq = e.seq
 WHERE e.log_id = 1 ORDER BY e.seq
"""


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure ledger_verify on a log of `ENTRIES` entries."""
    with database(services, "checking") as made:
        _fill(made)
        yield side_by_side(
            "database verification / COPY TO STDOUT of the same rows",
            "entries/s",
            ours=partial(_verify, made),
            theirs=partial(_copy, made),
            goal=0.60,
        )


def _fill(made: Database) -> None:
    made.append(ENTRIES)
    with made.connect("sequencer") as connection:
        for log in logs_list(connection):
            while batch_sequence(connection, log, limit=_BATCH):
                pass
            while projection_fill(connection, log):
                pass
    made.sql("VACUUM ANALYZE")
    made.settle()


def _verify(made: Database) -> float:
    with made.connect("auditor") as connection:
        began = time.perf_counter()
        report = ledger_verify(connection, trust=None, logs=["lineage"])
        seconds = time.perf_counter() - began
    assert not [check for check in report.checks if check.outcome == "fail"]
    return ENTRIES / seconds


def _copy(made: Database) -> float:
    with made.connect("auditor") as connection, connection.cursor() as cursor:
        began = time.perf_counter()
        with cursor.copy(f"COPY ({_ROWS}) TO STDOUT (FORMAT BINARY)") as copy:
            for _ in copy:
                pass
        seconds = time.perf_counter() - began
        assert cursor.rowcount == ENTRIES
    return ENTRIES / seconds
