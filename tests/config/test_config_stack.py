import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from config.embedded import CHECKOUT, StartFailedError
from config.embedded.processes import PidFile, wait_until
from config.stack import Stack
from config.supervisor import PROCESSES, pid_file

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


def test_a_start_that_fails_says_why_and_stops_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no_such_settings")
    stack = Stack(tmp_path / "var", say=lambda _line: None)
    with pytest.raises(
        StartFailedError, match=r"(?s)migrate and roles_apply did not start.*No module named 'no_such_settings'"
    ):
        stack.up()
    assert left_running(stack) == []
