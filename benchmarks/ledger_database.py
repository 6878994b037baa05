"""Verifying the database beside sending the same rows out unread; and what an event takes of the disk."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
from installation import Database, database
from sample_events import RANDOM_EVENT
from suite import Row, compared, side_by_side

from audit.sequencing import batch_sequence, logs_list, projection_fill
from audit.verification import ledger_verify
from config.embedded import EmbeddedServices

ENTRIES = 100_000
_BATCH = 4096
_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
_ROWS = """
SELECT e.seq, e.leaf, e.chain, b.bytes, b.event_id, p.event_type, p.at, p.actor_id, p.actor_name, p.subject_kind,
       p.subject_id, p.subject_digest
  FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
  LEFT JOIN ledger.projection p ON p.log_id = e.log_id AND p.seq = e.seq
 WHERE e.log_id = 1 ORDER BY e.seq
"""


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure ledger_verify on a log of `ENTRIES` entries, and its size."""
    with database(services, "checking") as made:
        made.sql("CREATE TABLE bench_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea NOT NULL)")
        plain = f"INSERT INTO bench_plain (bytes) SELECT {RANDOM_EVENT} FROM generate_series(1, {ENTRIES})"  # noqa: S608 - constants
        theirs, append = _wal(made, partial(made.sql, plain)), _wal(made, partial(made.append, ENTRIES))
        whole = append + _wal(made, partial(_fill, made))
        for what, ours in (("recorded", append), ("with its place and search columns", whole)):
            name = f"WAL of an event, {what} / of a plain insert"
            yield compared(name, "bytes", [ours], [theirs], goal=1.7, better="lower")
        yield compared("disk of the ledger / bytes of the events", "bytes", *_disk(made), goal=1.5, better="lower")
        yield side_by_side(
            "database verification / COPY TO STDOUT of the same rows",
            "entries/s",
            ours=partial(_verify, made),
            theirs=partial(_copy, made),
            goal=0.60,
        )


def _wal(made: Database, work: Callable[[], None]) -> float:
    """Bytes of the write-ahead log for each event."""
    made.settle()
    with made.connect("superuser") as connection:
        before = _one(connection, _WRITTEN)
        work()
        return (_one(connection, _WRITTEN) - before) / ENTRIES


def _disk(made: Database) -> tuple[list[float], list[float]]:
    with made.connect("superuser") as connection:
        tables = "'body_1_0', 'entry_1_0', 'node', 'projection'"
        ours = f"SELECT sum(pg_total_relation_size('ledger.' || t)) FROM unnest(ARRAY[{tables}]) t"  # noqa: S608 - constants
        return [_one(connection, ours)], [_one(connection, "SELECT sum(octet_length(bytes)) FROM ledger.body")]


def _one(connection: psycopg.Connection, statement: str) -> float:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _fill(made: Database) -> None:
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
