"""Keeps the five processes running; `up` starts it as `python -m config.supervisor HOME`."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded import CHECKOUT, EmbeddedError, EmbeddedServices
from config.embedded.ports import LOOPBACK
from config.embedded.processes import PidFile, spawn

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_GRACE_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_HEALTHY_AFTER_SECONDS = 60.0

# What commands need and no process does.
_COMMANDS = {"MIGRATION_DATABASE_URL", "ARCHIVER_DATABASE_URL", "SUBJECT_KEK"}
_SERVING = {"SECRET_KEY", "TOKEN_PEPPER", "BROKER_URL", "DATABASE_URL"}
# As in production, a process is given the secrets that it works with and no other.
_SECRETS = {
    "web": {*_SERVING, "AUDITOR_DATABASE_URL"},
    "worker": {*_SERVING, "AUDITOR_DATABASE_URL"},
    "beat": _SERVING,
    "sequencer": {"SEQUENCER_DATABASE_URL"},
    "signer": {"SIGNER_DATABASE_URL"},
}
PROCESSES = tuple(_SECRETS)


def command(name: str, home: Path, environment: Mapping[str, str]) -> list[str]:
    """Give the command line of the process `name`."""
    schedule = str(home / "run" / "beat-schedule")
    return {
        "web": [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", LOOPBACK),
            *("--port", environment["WEB_PORT"], "--workers", "2", "--blocking-threads", "4", "--no-ws"),
            *("--respawn-failed-workers", "config.wsgi:application"),
        ],
        "worker": [
            *(sys.executable, "-m", "celery", "-A", "config", "worker", "--loglevel", "INFO"),
            *("-Q", "default,compute,reports,connectors", "--concurrency", "2"),
        ],
        # Without a pid file of its own, which would lie in the checkout and outlive a crash.
        "beat": [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "config",
            "beat",
            "--schedule",
            schedule,
            "--pidfile",
            "",
        ],
        "sequencer": [sys.executable, "manage.py", "sequencer"],
        "signer": [sys.executable, "manage.py", "signer"],
    }[name]


def process_environment(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Give the caller's environment and the product's, without the secrets that are not for `name`."""
    foreign = set().union(*_SECRETS.values(), _COMMANDS) - _SECRETS[name]
    merged = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    return {variable: value for variable, value in merged.items() if variable not in foreign}


def pid_file(home: Path, name: str) -> PidFile:
    """Where the process `name`, or the supervisor itself, is remembered."""
    return PidFile(home / "run" / f"{name}.pid")


def log_file(home: Path, name: str) -> Path:
    """Where the output of the process `name`, or of the supervisor itself, goes."""
    return home / "log" / f"{name}.log"


def end_processes(home: Path) -> None:
    """End all five processes, whoever started them; nothing of them runs afterwards."""
    with ThreadPoolExecutor(len(PROCESSES)) as pool:
        list(pool.map(lambda name: pid_file(home, name).end(grace_seconds=_GRACE_SECONDS), PROCESSES))


@dataclass
class _Child:
    """One supervised process. It is started again when it ends, later each time unless it had run well."""

    name: str
    home: Path
    started: float = float("-inf")
    pause: float = field(default=_FIRST_PAUSE)

    def keep_running(self, environment: Mapping[str, str]) -> None:
        remembered = pid_file(self.home, self.name)
        age = time.monotonic() - self.started
        if age < self.pause or remembered.leader():
            return
        if self.started > 0:
            logger.warning("%s ended, see %s; starting it again", self.name, log_file(self.home, self.name))
            self.pause = _FIRST_PAUSE if age > _HEALTHY_AFTER_SECONDS else min(2 * self.pause, _LONGEST_PAUSE)
        remembered.end(grace_seconds=0)
        self.started = time.monotonic()
        pid = spawn(
            command(self.name, self.home, environment),
            environment=process_environment(self.name, environment),
            log=log_file(self.home, self.name),
        )
        remembered.record(pid)


def supervise(home: Path) -> None:
    """Keep services and processes running until SIGTERM or SIGINT; then end the processes only."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    services = EmbeddedServices(home)
    environment = services.environment()
    end_processes(home)
    children = [_Child(name, home) for name in PROCESSES]
    while not stopping.is_set():
        if not all(services.status().values()):
            environment = _services_restarted(services, environment)
        for child in children:
            try:
                child.keep_running(environment)
            except OSError:
                logger.exception("%s is not started; trying again", child.name)
        stopping.wait(_TICK_SECONDS)
    end_processes(home)


def _services_restarted(services: EmbeddedServices, before: dict[str, str]) -> dict[str, str]:
    logger.warning("a service ended; starting it again")
    try:
        environment = services.start()
    # A full disk, or a server that dies as soon as it runs: whoever keeps others running has to outlive that.
    except (EmbeddedError, OSError):
        logger.exception("trying again")
        return before
    if environment != before:
        logger.warning("a service has a new port; starting the processes anew")
        end_processes(services.home)
    return environment


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    os.chdir(CHECKOUT)
    supervise(Path(sys.argv[1]))
