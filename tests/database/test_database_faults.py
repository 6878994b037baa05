"""Transactions of others that never end, clocks that jump, entries that no service wrote."""

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database
from ledger_driver import (
    assert_whole,
    connect,
    event_append,
    event_bytes,
    events_append,
    log_named,
    one,
    process_start,
    sequence_all,
)

from audit.pulse import log_pulses
from audit.sequencing import batch_sequence, projection_fill
from config.embedded.processes import wait_until
from modelnotary.ledger.event import Event

WIDER = {"commit": 2_000_000, "rollback": 6_000_000}
WAITING = "SELECT count(*) FROM ledger.queue"


@contextmanager
def foreign_transactions(database: Database) -> Iterator[psycopg.Connection]:
    """What others may hold open for hours: an append that is not committed, an old snapshot, a backup's lock.

    Gives the connection whose append is not committed; ends all of them without a commit of their own.
    """
    with (
        connect(database, "app") as appending,
        connect(database, "auditor") as reading,
        connect(database, "superuser") as dumping,
    ):
        event_append(appending, event_bytes(held=True))
        reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        one(reading, "SELECT count(*) FROM ledger.entry")
        dumping.execute("LOCK TABLE ledger.body, ledger.entry, ledger.head IN ACCESS SHARE MODE")
        yield appending
        for connection in (appending, reading, dumping):
            connection.rollback()


def held_events(database: Database) -> list[int | None]:
    """The places of the events that were appended by a transaction held open; None while one waits."""
    with connect(database, "auditor") as connection:
        rows = connection.execute(
            "SELECT e.seq FROM ledger.body b LEFT JOIN ledger.entry e ON e.body_id = b.id "
            """WHERE convert_from(b.bytes, 'UTF8') LIKE '%%"held":true%%' ORDER BY e.seq"""
        ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_transactions_that_others_hold_open_neither_stall_the_queue_nor_lose_their_own_event(
    database: Database, end: str
) -> None:
    before = held_events(database)
    with foreign_transactions(database) as appending, connect(database, "sequencer", autocommit=True) as sequencer:
        log = log_named(sequencer, "lineage")
        # Wider than those there, so that some have to be made: that must not wait for whoever reads.
        sequencer.execute("SET lock_timeout = '10s'")
        assert one(sequencer, "SELECT ledger.partitions_ahead(%s)", WIDER[end]) > 0
        for _ in range(20):
            events_append(database, 200)
            assert batch_sequence(sequencer, log) == 200
        assert held_events(database) == before
        size = one(sequencer, "SELECT size FROM ledger.head WHERE log_id = 1")
        getattr(appending, end)()
        assert sequence_all(database) == (1 if end == "commit" else 0)
    assert held_events(database) == ([*before, size] if end == "commit" else before)
    assert_whole(database)


def test_an_event_of_any_time_gets_its_place_by_commit_and_not_by_its_clock(database: Database) -> None:
    now = datetime.now(UTC)
    times = [now, now - timedelta(days=1), now + timedelta(days=3650), datetime(1, 1, 1, tzinfo=UTC)]
    times += [datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), now]
    with connect(database, "app") as connection:
        bodies = []
        for at in times:
            bodies.append(event_append(connection, event_bytes(at=at)))
            connection.commit()
    assert all(pulse.queue_age >= 0 for pulse in log_pulses())
    sequence_all(database)
    with connect(database, "auditor") as connection:
        placed = connection.execute("SELECT body_id FROM ledger.entry WHERE log_id = 1 ORDER BY seq").fetchall()
    assert [row[0] for row in placed][-len(times) :] == bodies
    assert all(pulse.queue_age >= 0 and pulse.checkpoint_age >= 0 for pulse in log_pulses())
    assert_whole(database)


# Loaded by every Python of the process before anything else: the wall clock leaps years back and forth.
LEAPING_CLOCK = """
import itertools, time
_real, _leaps = time.time, itertools.cycle((0, -10 * 365 * 86400, 86400, 10 * 365 * 86400))
time.time = lambda: _real() + next(_leaps)
"""


def test_a_sequencer_whose_wall_clock_leaps_orders_events_as_ever(
    database: Database, keyless_signer: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LEAPING_CLOCK)
    output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    process = process_start(database, "sequencer", output, SIGNER_URL=keyless_signer, PYTHONPATH=str(tmp_path))
    try:
        with connect(database, "auditor", autocommit=True) as connection:
            for _ in range(3):
                events_append(database, 50)
                assert wait_until(lambda: not one(connection, WAITING), seconds=60)
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        os.close(output)
    assert_whole(database)


def test_writers_of_one_moment_and_a_sequencer_beside_them_lose_nothing_under_an_old_snapshot(
    database: Database,
) -> None:
    """The dead rows of the queue cannot be cleaned up while the snapshot is open; the drain must not depend on it."""
    with foreign_transactions(database), connect(database, "sequencer", autocommit=True) as sequencer:
        log = log_named(sequencer, "lineage")
        before = one(sequencer, "SELECT size FROM ledger.head WHERE log_id = 1")
        writers = [threading.Thread(target=events_append, args=(database, 500)) for _ in range(6)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            batch_sequence(sequencer, log, limit=100)
        for writer in writers:
            writer.join()
        while batch_sequence(sequencer, log):
            pass
        assert one(sequencer, "SELECT size FROM ledger.head WHERE log_id = 1") == before + 3000
    assert_whole(database)


def event_with(**members: Any) -> bytes:
    """A JSON object that the database takes for an event, with other members than an event has."""
    return json.dumps(json.loads(event_bytes()) | members).encode()


# As much as an index of the search takes; more is refused, see `test_the_database_itself_refuses`.
NOISE = secrets.token_hex(500)
# What only somebody with the application's password can append: every service writes events as they have to be.
UNSERVICED: dict[str, Callable[[], bytes]] = {
    "another spelling": lambda: event_bytes().replace(b":", b": "),
    "a member twice": lambda: event_bytes()[:-1] + b',"v":1}',
    "a number that is none in other readers": lambda: event_with(data={"n": 10**400}),
    "no type": lambda: event_with(type=None),
    "a type of a thousand letters": lambda: event_with(type=NOISE),
    "no time": lambda: event_with(at=None),
    "a time that is none": lambda: event_with(at="soon"),
    "a time before all others": lambda: event_with(at="-infinity"),
    "a time that no calendar has": lambda: event_with(at="2026-02-30T00:00:00Z"),
    "an actor that is a list": lambda: event_with(actor=["person", "usr_1"]),
    "an actor with a list for a name": lambda: event_with(actor={"kind": "person", "id": "a", "name": ["A"]}),
    "no subject": lambda: event_with(subject=None),
    "a subject of a thousand letters": lambda: event_with(subject={"kind": "system", "id": NOISE}),
    "a digest of a thousand letters": lambda: event_with(subject={"kind": "x", "id": "y", "digest": NOISE}),
}


@pytest.mark.parametrize("what", UNSERVICED)
def test_an_entry_that_is_no_event_holds_up_neither_order_nor_search(database: Database, what: str) -> None:
    with connect(database, "app") as connection:
        event_append(connection, UNSERVICED[what]())
    [after] = events_append(database, 1)
    with connect(database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        assert batch_sequence(connection, log) == 2
        while projection_fill(connection, log):
            pass
        event = Event.from_bytes(after)
        found = one(connection, "SELECT count(*) FROM ledger.projection WHERE event_id = %s", event.id)
    assert found == 1
    assert_whole(database)
