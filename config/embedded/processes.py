"""Processes that outlive the one that started them, and are known again later by pid and start time."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

# The start time is derived from the boot time, which a clock adjustment moves by up to a second.
_START_TIME_TOLERANCE = 2.0
_POLL_SECONDS = 0.05


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the kernel lets go of it however the holder ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def spawn(argv: Sequence[str], *, environment: Mapping[str, str], log: Path) -> int:
    """Start `argv` in a session of its own, output appended to `log`; give its pid.

    Args:
        argv: Absolute path of the program, then its arguments.
        environment: The whole environment of the new process.
        log: File; its folder is made.

    Raises:
        OSError: The program does not exist or may not run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    # Python ignores SIGPIPE; servers expect the system's default.
    return os.posix_spawn(
        argv[0], list(argv), environment, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE]
    )


def running(pid: int) -> psutil.Process | None:
    """Give the process `pid` unless it has ended; a child of ours that has ended is reaped."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until `condition` holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@dataclass(frozen=True)
class PidFile:
    """Remembers a session leader started by `spawn`, so that a later process finds exactly that one."""

    path: Path

    def record(self, pid: int) -> None:
        """Remember `pid`, which must be running or not yet reaped."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(f"{pid} {psutil.Process(pid).create_time()}", encoding="ascii")

    def leader(self) -> psutil.Process | None:
        """Give the remembered process if it still runs."""
        pid, started = self._remembered()
        process = running(pid) if pid else None
        if process is None or abs(process.create_time() - started) > _START_TIME_TOLERANCE:
            return None
        return process

    def end(self, *, grace_seconds: float, polite: signal.Signals = signal.SIGTERM) -> None:
        """End the remembered process and everything left in its session; nothing of it runs afterwards.

        Args:
            grace_seconds: How long the leader may take after `polite` before the whole session is killed.
            polite: Signal that asks the leader to end.
        """
        if leader := self.leader():
            with suppress(psutil.NoSuchProcess):
                leader.send_signal(polite)
            wait_until(lambda: not self._session(), seconds=grace_seconds)
        while members := self._session():
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(members, timeout=1)
        self.path.unlink(missing_ok=True)

    def _remembered(self) -> tuple[int, float]:
        try:
            pid, started = self.path.read_text(encoding="ascii").split()
            return int(pid), float(started)
        except (FileNotFoundError, ValueError):
            return 0, 0.0

    def _session(self) -> list[psutil.Process]:
        """List what runs in the session; a pid is not given away again while its session lives."""
        pid, started = self._remembered()
        if not pid or (psutil.pid_exists(pid) and running(pid) and not self.leader()):
            return []
        return [
            process
            for process in map(running, _session_pids(pid))
            if process is not None and process.create_time() > started - _START_TIME_TOLERANCE
        ]


def _session_pids(session: int) -> list[int]:
    def belongs(pid: int) -> bool:
        try:
            return os.getsid(pid) == session
        except OSError:
            return False

    return [pid for pid in psutil.pids() if pid and belongs(pid)]
