"""The log tells its own hash chain every 10,000 entries: each time once, whoever runs, dies or runs beside."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from conftest import Database
from django.db import connections
from ledger_driver import connect, event_append, events_append_many, log_named, sequence_all

from audit.chain_heads import chain_heads_record
from audit.models import Entry
from audit.sequencing import batch_sequence, projection_fill
from audit.tasks import chain_heads_tell
from audit.verification import ledger_verify
from config.embedded import CHECKOUT
from modelnotary.ids import new_id
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, ChainHead
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.verify.result import Check, Outcome

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
# Tells the chain and kills its own process, as kill -9 does, once the entry is appended and not committed.
KILLED = """
import os, signal
import django
django.setup()
from django.utils import timezone
from audit import chain_heads
record = chain_heads.event_record

def record_and_die(**arguments):
    record(**arguments)
    os.kill(os.getpid(), signal.SIGKILL)

chain_heads.event_record = record_and_die
chain_heads.chain_heads_record(at=timezone.now())
"""


def told(log: str = "lineage") -> list[int]:
    """The sizes at which entries tell the chain, waiting ones too, in the order they were appended."""
    entries = Entry.objects.filter(event_type=CHAIN_HEAD_EVENT, log=log).order_by("body_id")
    return [ChainHead.from_event(Event.from_bytes(bytes(entry.bytes))).size for entry in entries]


def chain_check(database: Database) -> Check:
    with connect(database, "auditor") as connection:
        report = ledger_verify(connection, trust=None, logs=["lineage"])
    return next(check for check in report.checks if check.name == "lineage: chain")


@pytest.fixture(scope="module", autouse=True)
def grown(database: Database) -> None:
    events_append_many(database, 9_999)
    sequence_all(database)


def test_the_chain_is_told_when_the_log_has_grown_and_once(database: Database) -> None:
    assert chain_heads_record(at=NOW) == 0
    events_append_many(database, 10_001)
    sequence_all(database)
    assert chain_heads_record(at=NOW) == 2
    # They wait for their places, and are seen all the same.
    assert chain_heads_record(at=NOW) == 0
    sequence_all(database)
    chain_heads_tell()
    assert told() == [10_000, 20_000]
    assert told("access") == []
    check = chain_check(database)
    assert (check.outcome, "tell it up to 20000" in check.detail) == (Outcome.PASS, True)


def test_runs_beside_each_other_and_killed_ones_tell_it_once(database: Database) -> None:
    events_append_many(database, 10_000)
    sequence_all(database)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=CHECKOUT,
        env=os.environ | database.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert told() == [10_000, 20_000]
    start, done = threading.Barrier(4), []

    def run() -> None:
        start.wait()
        done.append(chain_heads_record(at=NOW))
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 1]
    sequence_all(database)
    assert told() == [10_000, 20_000, 30_000]
    assert chain_check(database).outcome is Outcome.PASS


@pytest.mark.parametrize("waits_for_search", [True, False])
def test_whoever_tells_another_chain_is_named(database: Database, waits_for_search: bool) -> None:
    """The application can append what it likes; that entry stays in the log for ever, and so does the finding."""
    with connect(database, "superuser") as connection:
        log = log_named(connection, "lineage")
        event = Event(
            log="lineage",
            type=CHAIN_HEAD_EVENT,
            id=new_id("evt"),
            at=NOW,
            actor=Actor("system", "chain", "A test"),
            subject=Subject("log", log.origin),
            data={"size": 10_000, "chain": "00" * 32},
        )
        event_append(connection, event.to_bytes())
        size = connection.execute("SELECT size FROM ledger.head WHERE log_id = 1").fetchall()[0][0]
        assert batch_sequence(connection, log) == 1
        while not waits_for_search and projection_fill(connection, log):
            pass
        report = ledger_verify(connection, trust=None, logs=["lineage"])
        connection.rollback()
    failed = [(check.name, check.span) for check in report.checks if check.outcome is Outcome.FAIL]
    assert failed == [("lineage: chain", (size, size + 1))]
