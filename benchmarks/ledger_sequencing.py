"""Giving events their place, beside one session that copies the same bytes into a plain table."""

import time
from collections.abc import Iterator
from functools import partial

from installation import Database, database
from sample_events import event
from suite import Row, side_by_side

from audit.sequencing import batch_sequence, logs_list
from config.embedded import EmbeddedServices

BATCH = 4096
ENTRIES = 8 * BATCH


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure the sequencer's batches."""
    with database(services, "sequencing") as made:
        made.sql("CREATE TABLE bench_plain (id bigint PRIMARY KEY, bytes bytea NOT NULL)")
        yield side_by_side(
            f"sequencer / binary COPY, batches of {BATCH:,}",
            "entries/s",
            ours=partial(_sequence, made),
            theirs=partial(_copy, made),
            goal=0.40,
        )


def _sequence(made: Database) -> float:
    made.append(ENTRIES)
    made.settle()
    with made.connect("sequencer") as connection:
        (log,) = (log for log in logs_list(connection) if log.name == "lineage")
        began, done = time.perf_counter(), 0
        while taken := batch_sequence(connection, log, limit=BATCH):
            done += taken
        seconds = time.perf_counter() - began
    assert done == ENTRIES
    return ENTRIES / seconds


def _copy(made: Database) -> float:
    """The same number of bytes, one transaction for each batch; the rows are ready before the clock starts."""
    rows = [(number, event(number)) for number in range(ENTRIES)]
    made.sql("TRUNCATE bench_plain")
    made.settle()
    with made.connect("superuser") as connection:
        began = time.perf_counter()
        for start in range(0, ENTRIES, BATCH):
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY bench_plain (id, bytes) FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.set_types(["int8", "bytea"])
                for row in rows[start : start + BATCH]:
                    copy.write_row(row)
        return ENTRIES / (time.perf_counter() - began)
