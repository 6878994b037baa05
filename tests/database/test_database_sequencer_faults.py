"""A sequencer that is killed at any statement of a batch, or that loses its database, leaves nothing half done."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from ledger_driver import assert_whole, connect, counts, events_append, log_named, one, process_start, sequence_all

from audit.sequencing import batch_sequence
from config.embedded import CHECKOUT, EmbeddedServices
from config.embedded.processes import wait_until

# Runs one batch and kills its own process, as kill -9 does, before the statement of the given number is sent, or,
# for the number after the last, between the last statement and the commit's answer being used.
KILLED_BATCH = """
import os, signal, sys
import psycopg
from audit.sequencing import batch_sequence, logs_list

url, fatal = sys.argv[1], int(sys.argv[2])
sent = 0


def count():
    global sent
    if sent == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    sent += 1


class Cursor(psycopg.Cursor):
    def execute(self, *args, **kwargs):
        count()
        return super().execute(*args, **kwargs)

    def executemany(self, *args, **kwargs):
        count()
        return super().executemany(*args, **kwargs)

    def copy(self, *args, **kwargs):
        count()
        return super().copy(*args, **kwargs)


class Transaction(psycopg.transaction.Transaction):
    def __exit__(self, *args):
        count()
        return super().__exit__(*args)


psycopg.connection.Transaction = Transaction
connection = psycopg.connect(url, autocommit=True)
lineage = logs_list(connection)[0]
connection.cursor_factory = Cursor
batch_sequence(connection, lineage)
count()
print(sent)
"""
# Lock the head, say how to read, drain, look at the last entry, COPY, store subtrees, move the head, commit; then dead
# after the commit.
STEPS = ("lock", "settings", "drain", "look", "copy", "nodes", "head", "commit", "after the commit")


def killed_batch(database: Database, fatal: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED_BATCH, database.environment["SEQUENCER_DATABASE_URL"], str(fatal)],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_steps_below_are_all_that_a_batch_has(database: Database) -> None:
    events_append(database, 300)
    done = killed_batch(database, -1)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(STEPS))), done.stderr


@pytest.mark.parametrize("step", STEPS)
def test_a_batch_killed_at_any_step_is_done_whole_or_not_at_all(database: Database, step: str) -> None:
    sequence_all(database)
    events_append(database, 300)
    with connect(database, "superuser", autocommit=True) as connection:
        before = counts(connection)
        assert killed_batch(database, STEPS.index(step)).returncode == -signal.SIGKILL
        # The server notices that the client is gone when it next reads from it.
        assert wait_until(lambda: not sequencers(connection), seconds=30)
        after = counts(connection)
        done = 300 if step == "after the commit" else 0
        assert after["entry"] - before["entry"] == before["queue"] - after["queue"] == done
        assert sequence_all(database) == 300 - done
    assert_whole(database)


def sequencers(connection: psycopg.Connection) -> int:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mn_sequencer' AND datname = current_database()"
    return int(one(connection, statement))


def test_postgresql_stopped_in_the_middle_loses_and_repeats_nothing(
    cluster: EmbeddedServices, database: Database, keyless_signer: str, tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        process = process_start(database, "sequencer", output.fileno(), SIGNER_URL=keyless_signer)
        try:
            committed = 0
            for _ in range(2):
                for _ in range(20):
                    committed += len(events_append(database, 50))
                crash(database)
                assert wait_until(lambda: answers(database), seconds=60)
            with connect(database, "auditor", autocommit=True) as connection:
                assert wait_until(lambda: not one(connection, "SELECT count(*) FROM ledger.queue"), seconds=60)
            assert committed == 2000
            assert process.poll() is None
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
    assert_whole(database)


def crash(database: Database) -> None:
    """Kill one server process, at which PostgreSQL throws all others out and recovers from its log."""
    with connect(database, "superuser", autocommit=True) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)


def answers(database: Database) -> bool:
    try:
        with connect(database, "auditor", connect_timeout=5) as connection:
            return bool(one(connection, "SELECT 1"))
    except psycopg.OperationalError:
        return False


def test_two_sequencers_at_once_grow_one_tree(database: Database) -> None:
    events_append(database, 3000)
    start = threading.Barrier(2)

    def run() -> None:
        with connect(database, "sequencer", autocommit=True) as connection:
            log = log_named(connection, "lineage")
            start.wait()
            while one(connection, "SELECT count(*) FROM ledger.queue WHERE log_id = 1"):
                batch_sequence(connection, log, limit=100)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_whole(database)
