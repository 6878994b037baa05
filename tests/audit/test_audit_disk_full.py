"""A disk that fills up stops work and says so; once there is space again everything goes on, and nothing is lost."""

import os
from collections.abc import Iterator
from http import HTTPStatus
from io import StringIO
from pathlib import Path

import httpx
import psycopg
import pytest
from conftest import Database, migrate
from django.core.management import CommandError, call_command
from ledger_driver import (
    assert_whole,
    connect,
    event_append,
    event_bytes,
    events_append,
    head_sign,
    log_named,
    one,
    process_start,
    sequence_all,
)
from small_disk import SmallDisk, small_disk

from config.embedded import EmbeddedServices
from config.embedded.ports import free_ports
from config.embedded.processes import wait_until
from modelnotary.ledger.checkpoint import checkpoint_open
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.note import NoteSigner
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode

BIG = "x" * 50_000


@pytest.fixture
def full_database(tmp_path: Path) -> Iterator[tuple[EmbeddedServices, Database, SmallDisk]]:
    """A migrated database on a disk of its own."""
    services = EmbeddedServices(tmp_path / "home")
    with small_disk(tmp_path / "home" / "postgres", megabytes=224) as disk:
        services.start()
        try:
            environment = services.environment()
            migrate(environment)
            yield services, Database("modelnotary", environment, services.superuser_url()), disk
        finally:
            disk.free()
            services.stop()


def append_big(database: Database) -> int:
    with connect(database, "app", connect_timeout=5) as connection:
        return event_append(connection, event_bytes(filling=BIG))


def log_until_the_server_dies(database: Database) -> None:
    """Ask for one segment of the write-ahead log after another; without space for one PostgreSQL gives up at once."""
    for _ in range(100):
        try:
            with connect(database, "superuser", autocommit=True, connect_timeout=5) as connection:
                connection.execute("SELECT pg_switch_wal()")
                connection.execute("SELECT pg_logical_emit_message(false, 'filling', 'up', true)")
        except psycopg.OperationalError:
            return
    raise AssertionError("PostgreSQL found space for a hundred segments")


def append_until_refused(database: Database) -> list[int]:
    """Append until the server has no space; give what it acknowledged until then."""
    done = []
    for _ in range(1000):
        try:
            done.append(append_big(database))
        except psycopg.OperationalError:
            return done
    raise AssertionError("a thousand events found space on a full disk")


def drained(database: Database) -> bool:
    with connect(database, "auditor", autocommit=True) as connection:
        return not one(connection, "SELECT count(*) FROM ledger.queue")


def test_a_database_without_space_refuses_events_and_goes_on_when_there_is_some(
    full_database: tuple[EmbeddedServices, Database, SmallDisk], keyless_signer: str, tmp_path: Path
) -> None:
    services, database, disk = full_database
    output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    process = process_start(database, "sequencer", output, SIGNER_URL=keyless_signer)
    try:
        committed = [append_big(database) for _ in range(5)]
        assert wait_until(lambda: drained(database), seconds=60)
        disk.fill()
        committed += append_until_refused(database)
        log_until_the_server_dies(database)
        disk.free()
        services.start()
        committed += [append_big(database) for _ in range(5)]
        assert wait_until(lambda: drained(database), seconds=60)
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        os.close(output)
    assert_whole(database)
    with connect(database, "auditor") as connection:
        kept = {row[0] for row in connection.execute("SELECT body_id FROM ledger.entry WHERE log_id = 1")}
    # The commit that ran into the full disk may have been written without being acknowledged.
    assert set(committed) <= kept
    assert len(kept - set(committed)) <= 1
    assert "No space left on device" in (services.home / "log" / "postgres.log").read_text()
    assert "database not reached, trying again" in (tmp_path / "output").read_text()


@pytest.fixture(scope="module")
def log_key(database: Database, keys: Path) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, key_load(keys / "lineage.key"))


def test_a_signer_that_cannot_remember_signs_nothing_until_it_can(
    database: Database, keys: Path, log_key: NoteSigner, tmp_path: Path
) -> None:
    home, address = tmp_path / "home", f"http://127.0.0.1:{free_ports(1)[0]}"
    output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def ask() -> httpx.Response:
        return httpx.post(f"{address}/logs/lineage/checkpoint", timeout=30)

    def answers() -> bool:
        try:
            return httpx.get(address).status_code > 0
        except httpx.TransportError:
            return False

    with small_disk(home, megabytes=1) as disk:
        (home / "keys").symlink_to(keys)
        process = process_start(database, "signer", output, NOTARY_HOME=str(home), SIGNER_URL=address)
        try:
            events_append(database, 5)
            sequence_all(database)
            assert wait_until(answers, seconds=60)
            before = checkpoint_open(ask().content, log_key.verifier)
            disk.fill()
            events_append(database, 5)
            sequence_all(database)
            refused = ask()
            assert (refused.status_code, "write its memory" in refused.text) == (HTTPStatus.SERVICE_UNAVAILABLE, True)
            disk.free()
            after = checkpoint_open(ask().content, log_key.verifier)
            assert after.size == before.size + 5
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
            os.close(output)
    assert "No space left on device" in (tmp_path / "output").read_text()


def test_an_export_that_finds_no_space_says_so_and_is_taken_up_again(
    database: Database, log_key: NoteSigner, tmp_path: Path
) -> None:
    with connect(database, "app") as connection:
        for _ in range(60):
            event_append(connection, event_bytes(filling=BIG))
    sequence_all(database)
    head_sign(database, log_key)
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        target = disk.folder / "export"
        disk.fill(leave=1_000_000)
        with pytest.raises(CommandError, match=r"cannot export to .*No space left on device"):
            call_command("ledger_export", "lineage", str(target))
        assert not (target / "checkpoint").exists()
        disk.free()
        call_command("ledger_export", "lineage", str(target), stdout=StringIO())
        [report] = verify_paths([target])
        assert report.exit_code is ExitCode.VERIFIED, report
        assert not list(target.rglob("*.part"))
