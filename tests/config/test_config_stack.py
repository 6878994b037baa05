import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from config.embedded import CHECKOUT, StartFailedError
from config.embedded.processes import PidFile, wait_until
from config.stack import Stack
from config.supervisor import PROCESSES, pid_file
from modelnotary.ids import new_id
from modelnotary.ledger.event import Actor, Event, Subject

pytestmark = pytest.mark.stack

ROLES = {
    "web": {"DATABASE_URL", "AUDITOR_DATABASE_URL"},
    "worker": {"DATABASE_URL", "AUDITOR_DATABASE_URL"},
    "beat": {"DATABASE_URL"},
    "sequencer": {"SEQUENCER_DATABASE_URL"},
    "signer": {"SIGNER_DATABASE_URL"},
}


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole product that these tests may break."""
    stack = Stack(tmp_path_factory.mktemp("a whole product") / "var", say=lambda _line: None)
    stack.up()
    yield stack
    stack.down()


def leader(stack: Stack, name: str) -> psutil.Process:
    process = pid_file(stack.home, name).leader()
    assert process is not None, f"{name} does not run"
    return process


def left_running(stack: Stack) -> list[str]:
    """Command lines of all processes that were started for the home folder."""
    home = str(stack.home)

    def belongs(process: psutil.Process) -> bool:
        try:
            return home in (process.environ().get("NOTARY_HOME"), *map(str, Path(process.cwd()).parents))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    return [" ".join(process.cmdline()) for process in psutil.process_iter() if belongs(process)]


def test_everything_runs_and_a_second_up_changes_nothing(own_stack: Stack) -> None:
    assert own_stack.status() == dict.fromkeys(("postgres", "valkey", "supervisor", *PROCESSES), True)
    before = {name: leader(own_stack, name).pid for name in PROCESSES}
    environment = own_stack.up()
    assert {name: leader(own_stack, name).pid for name in PROCESSES} == before
    assert httpx.get(f"{environment['PUBLIC_URL']}/readyz").status_code == 200


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_the_addresses_of_its_own_database_roles_only(own_stack: Stack, name: str) -> None:
    given = {variable for variable in leader(own_stack, name).environ() if variable.endswith("DATABASE_URL")}
    assert given == ROLES[name]


@pytest.mark.parametrize("name", ["sequencer", "worker"])
def test_a_killed_process_is_started_again_and_its_orphans_are_ended(own_stack: Stack, name: str) -> None:
    killed = leader(own_stack, name)
    orphans = killed.children(recursive=True)
    killed.kill()
    assert wait_until(
        lambda: (new := pid_file(own_stack.home, name).leader()) is not None and new.pid != killed.pid, seconds=60
    )
    assert psutil.wait_procs(orphans, timeout=20)[1] == []


def test_killed_services_are_started_again_under_the_running_processes(own_stack: Stack) -> None:
    before = own_stack.services.environment()
    valkey = PidFile(own_stack.home / "run" / "valkey.pid").leader()
    postmaster = int((own_stack.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    assert valkey is not None
    valkey.kill()
    os.kill(postmaster, signal.SIGKILL)

    def ready() -> bool:
        return httpx.get(f"{before['PUBLIC_URL']}/readyz", timeout=20).status_code == 200

    assert wait_until(lambda: all(own_stack.services.status().values()) and ready(), seconds=60)
    assert own_stack.services.environment() == before


@dataclass
class Writer:
    """Appends events one by one, as the application does, and knows which of them were acknowledged."""

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[str] = field(default_factory=list)
    interrupted: int = 0

    def append(self) -> None:
        event = Event(
            log="lineage",
            type="system.registered",
            id=new_id("evt"),
            at=datetime.now(UTC),
            actor=Actor("system", "test", "A test"),
            subject=Subject("system", new_id("sys")),
            data={},
        )
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            connection.execute("SELECT ledger.append('lineage', %s)", (event.to_bytes(),))
        self.acknowledged.append(event.id)

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.append()
            except psycopg.OperationalError:
                self.interrupted += 1
                self.stop.wait(0.1)

    def went_on(self) -> Callable[[], bool]:
        """Tells whether twenty more events were acknowledged since this call."""
        before = len(self.acknowledged)
        return lambda: len(self.acknowledged) > before + 20


@dataclass(frozen=True)
class Pulse:
    """How far the lineage log is: events kept, events in their place, entries under a checkpoint."""

    kept: int
    placed: int
    signed: int


def pulse(stack: Stack) -> Pulse:
    with psycopg.connect(stack.services.superuser_url(), connect_timeout=5) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.body b WHERE b.log_id = h.log_id), size, "
            "(SELECT coalesce(max(c.size), 0) FROM ledger.checkpoint c WHERE c.log_id = h.log_id) "
            "FROM ledger.head h WHERE log_id = 1"
        ).fetchone()
    assert row is not None
    return Pulse(*row)


def all_signed(stack: Stack) -> bool:
    now = pulse(stack)
    return now.kept == now.placed == now.signed


def is_placed(stack: Stack, size: int) -> bool:
    return pulse(stack).placed == size


def readyz(environment: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{environment['PUBLIC_URL']}/readyz", timeout=20)


@pytest.mark.parametrize("how", ["hangs", "is away"])
def test_without_a_signer_events_get_their_places_and_checkpoints_catch_up_later(own_stack: Stack, how: str) -> None:
    environment = own_stack.up()
    assert wait_until(lambda: all_signed(own_stack), seconds=60)
    before = pulse(own_stack)
    # A supervisor that is suspended with it leaves the killed signer away.
    suspended = leader(own_stack, "signer" if how == "hangs" else "supervisor")
    suspended.suspend()
    try:
        if how == "is away":
            leader(own_stack, "signer").kill()
        writer = Writer(environment["DATABASE_URL"])
        for number in range(1, 6):
            writer.append()
            # Each at once, although the sequencer has asked for a checkpoint in between and waits for the answer.
            assert wait_until(partial(is_placed, own_stack, before.placed + number), seconds=15)
            time.sleep(1.0)
        assert pulse(own_stack).signed == before.signed
        # More than once: on a busy machine one answer was 503 for a reason not known, and the signer is away for all.
        assert wait_until(lambda: readyz(environment).status_code == 200, seconds=30), readyz(environment).text
        ages = readyz(environment).json()["logs"]["lineage"]
        assert ages["queue_age"] == 0.0
        assert ages["checkpoint_age"] > 1
    finally:
        suspended.resume()
    assert wait_until(lambda: all_signed(own_stack), seconds=90)
    assert readyz(environment).json()["logs"]["lineage"]["checkpoint_age"] == 0.0


def test_a_database_that_restarts_under_everybody_loses_repeats_and_stops_nothing(own_stack: Stack) -> None:
    environment = own_stack.up()
    writer = Writer(environment["DATABASE_URL"])
    thread = threading.Thread(target=writer.run)
    thread.start()
    worker_log = own_stack.home / "log" / "worker.log"
    try:
        for _ in range(2):
            assert wait_until(writer.went_on(), seconds=90)
            postmaster = int((own_stack.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
            assert wait_until(lambda: writer.interrupted > 0, seconds=30)
            writer.interrupted = 0
        told = worker_log.stat().st_size
        assert wait_until(writer.went_on(), seconds=90)
    finally:
        writer.stop.set()
        thread.join()
    assert wait_until(lambda: all_signed(own_stack), seconds=90)
    assert wait_until(lambda: readyz(environment).status_code == 200, seconds=60)
    assert wait_until(lambda: "jobs_rescue" in worker_log.read_bytes()[told:].decode(), seconds=60)
    with psycopg.connect(own_stack.services.superuser_url()) as connection:
        placed = connection.execute(
            "SELECT b.event_id FROM ledger.entry e JOIN ledger.body b ON b.id = e.body_id WHERE e.log_id = 1 "
            "ORDER BY e.seq"
        ).fetchall()
    wanted = set(writer.acknowledged)
    # One writer appends one after the other, so the places are in the order of the acknowledgements.
    assert [event for (event,) in placed if event in wanted] == writer.acknowledged


def test_run_after_kill_9_of_everything_starts_all_anew_and_leaves_nothing(own_stack: Stack) -> None:
    environment = own_stack.up()
    for name in ("supervisor", *PROCESSES):
        leader(own_stack, name).kill()
    web_port = int(environment["WEB_PORT"])
    # What the killed leaders left behind, and a stranger on our port once it is free.
    own_stack.down()
    assert left_running(own_stack) == []
    program = (
        "import os, sys, urllib.request; "
        "sys.exit(7 if urllib.request.urlopen(os.environ['PUBLIC_URL'] + '/readyz').status == 200 else 1)"
    )
    with socket.create_server(("127.0.0.1", web_port)):
        done = subprocess.run(
            [sys.executable, "-m", "config.embedded", "run", "--", sys.executable, "-c", program],
            cwd=CHECKOUT,
            # Other test modules of this process may have set the addresses of their own servers.
            env={name: value for name, value in os.environ.items() if name not in environment}
            | {"NOTARY_HOME": str(own_stack.home)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 7, done.stdout + done.stderr
    assert int(own_stack.services.environment()["WEB_PORT"]) != web_port
    assert left_running(own_stack) == []


def test_with_a_frozen_log_everything_starts_for_the_operator_who_opens_its_successor(own_stack: Stack) -> None:
    """Comes last: nothing thaws a log."""
    own_stack.up()
    with psycopg.connect(own_stack.services.superuser_url()) as connection:
        connection.execute(
            "SELECT ledger.log_freeze(origin, 'it came back older') FROM ledger.log WHERE class = 'access'"
        )
    own_stack.down()
    said: list[str] = []
    environment = Stack(own_stack.home, say=said.append).up()
    assert [line for line in said if line.startswith("NOT READY: log access is frozen: it came back older")]
    answer = readyz(environment)
    assert (answer.status_code, answer.json()["frozen"]) == (503, ["access"])


def test_a_start_that_fails_says_why_and_stops_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no_such_settings")
    stack = Stack(tmp_path / "var", say=lambda _line: None)
    with pytest.raises(
        StartFailedError, match=r"(?s)migrate and roles_apply did not start.*No module named 'no_such_settings'"
    ):
        stack.up()
    assert left_running(stack) == []
