import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from config.embedded.processes import PidFile, exclusive, running, spawn, wait_until

# A leader with one child, both deaf to polite requests once they have said that they are ready.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("ready", flush=True)
time.sleep(600)
"""


def started(tmp_path: Path, program: str) -> tuple[PidFile, int]:
    log = tmp_path / "log" / "child.log"
    pid = spawn([sys.executable, "-c", program], environment=dict(os.environ), log=log)
    pid_file = PidFile(tmp_path / "run" / "child.pid")
    pid_file.record(pid)
    assert wait_until(lambda: log.exists() and log.read_text().count("ready") == 2, seconds=20)
    return pid_file, pid


def session(pid: int) -> set[int]:
    def session_of(other: int) -> int:
        try:
            return os.getsid(other)
        except ProcessLookupError:
            return 0

    return {other for other in psutil.pids() if session_of(other) == pid and running(other)}


def test_ending_kills_a_session_that_ignores_the_polite_signal(tmp_path: Path) -> None:
    pid_file, pid = started(tmp_path, STUBBORN)
    assert pid_file.leader() is not None
    assert len(session(pid)) == 2
    pid_file.end(grace_seconds=0.1)
    assert session(pid) == set()
    assert pid_file.leader() is None


def test_ending_finds_the_children_of_a_killed_leader(tmp_path: Path) -> None:
    pid_file, pid = started(tmp_path, STUBBORN)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: pid_file.leader() is None, seconds=10)
    assert len(session(pid)) == 1
    pid_file.end(grace_seconds=0.1)
    assert session(pid) == set()


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as innocent:
        pid_file = PidFile(tmp_path / "child.pid")
        pid_file.record(innocent.pid)
        pid, begun = pid_file.path.read_text().split()
        pid_file.path.write_text(f"{pid} {float(begun) - 3600}")
        assert pid_file.leader() is None
        pid_file.end(grace_seconds=0)
        assert innocent.poll() is None
        innocent.communicate(b"\n")
    assert innocent.returncode == 0


@pytest.mark.parametrize("content", [None, "", "12", "x y", "999999999 1.0"])
def test_an_absent_or_damaged_pid_file_names_nobody(tmp_path: Path, content: str | None) -> None:
    pid_file = PidFile(tmp_path / "child.pid")
    if content is not None:
        pid_file.path.write_text(content)
    assert pid_file.leader() is None
    pid_file.end(grace_seconds=0)


def test_a_spawned_process_gets_only_the_given_environment_and_no_open_file_of_ours(tmp_path: Path) -> None:
    log = tmp_path / "log" / "child.log"
    program = "import os; print(sorted(os.environ), sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:3])"
    with (tmp_path / "secret").open("w") as secret:
        pid = spawn([sys.executable, "-IXutf8", "-c", program], environment={"ONE": "1"}, log=log)
        assert wait_until(lambda: running(pid) is None, seconds=20)
        assert secret.fileno() > 2
    assert "ONE" in log.read_text()
    assert "PATH" not in log.read_text()


def test_only_one_holds_an_exclusive_lock(tmp_path: Path) -> None:
    inside = threading.Event()

    def second() -> None:
        with exclusive(tmp_path / "run" / "lock"):
            inside.set()

    thread = threading.Thread(target=second)
    with exclusive(tmp_path / "run" / "lock"):
        thread.start()
        assert not inside.wait(0.3)
    assert inside.wait(10)
    thread.join()
