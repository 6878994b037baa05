"""The whole product on the embedded services: prepared, started, waited for, stopped."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from config.embedded import CHECKOUT
from config.embedded.errors import StartFailedError
from config.embedded.processes import exclusive, spawn, wait_until
from config.embedded.services import EmbeddedServices
from config.supervisor import PROCESSES, end_processes, log_file, pid_file

_READY_SECONDS = 180.0
_SUPERVISOR = "supervisor"
# The supervisor gives its processes ten seconds.
_SUPERVISOR_GRACE_SECONDS = 20.0
# Several commands of manage.py in one process: most of each one's time is starting.
_MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
from django.core.management import call_command
django.setup()
for name in sys.argv[1:]:
    call_command(name)
"""


class Stack:
    """Embedded services and the five processes of one home folder.

    Attributes:
        services: The databases underneath.
        say: Called with one plain line for each step.
    """

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self.services = EmbeddedServices(home)
        self.home = self.services.home
        self.say = say
        self._lock = self.home / "run" / "stack.lock"
        self._supervisor = pid_file(self.home, _SUPERVISOR)

    def is_up(self) -> bool:
        """Tell whether the processes are being kept running."""
        return self._supervisor.leader() is not None

    def up(self) -> dict[str, str]:
        """Bring everything up unless it is; give the environment once the web process says that it is ready.

        Raises:
            EmbeddedError: A step failed; what was started for it is stopped again.
        """
        with exclusive(self._lock):
            had_services, had_processes = all(self.services.status().values()), self.is_up()
            self.say(f"Starting PostgreSQL and Valkey in {self.home}")
            try:
                environment = self.services.start()
                if not had_processes:
                    environment = self._processes_start()
                self._wait_ready(environment)
            except BaseException:
                if not had_processes:
                    self._processes_end()
                if not had_services and not had_processes:
                    self.services.stop()
                raise
        return environment

    def down(self, *, services: bool = True) -> None:
        """Stop the processes, and the services too unless told otherwise; works also after crashes."""
        with exclusive(self._lock):
            self.say("Stopping the processes")
            self._processes_end()
            if services:
                self.say("Stopping PostgreSQL and Valkey")
                self.services.stop()

    def status(self) -> dict[str, bool]:
        """Tell of each service and each process whether it runs."""
        processes = {name: pid_file(self.home, name).leader() is not None for name in (_SUPERVISOR, *PROCESSES)}
        return self.services.status() | processes

    def _processes_start(self) -> dict[str, str]:
        end_processes(self.home)
        environment = self.services.free_process_ports()
        self.say("Bringing the database and its roles up to date")
        self._manage("migrate", "roles_apply", environment=environment | {"DJANGO_DATABASE_ROLE": "migrator"})
        self.say("Creating signing keys and the first administrator where missing")
        self._manage("keys_create", "admin_create", environment=environment)
        self.say(f"Starting {', '.join(PROCESSES)}")
        argv = [sys.executable, "-m", "config.supervisor", str(self.home)]
        search = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        self._supervisor.record(spawn(argv, environment=search, log=log_file(self.home, _SUPERVISOR)))
        return environment

    def _processes_end(self) -> None:
        self._supervisor.end(grace_seconds=_SUPERVISOR_GRACE_SECONDS)
        end_processes(self.home)

    def _manage(self, *names: str, environment: dict[str, str]) -> None:
        log = log_file(self.home, names[0])
        with log.open("wb") as output:
            done = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-c", _MANAGE, *names],
                cwd=CHECKOUT,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise StartFailedError(" and ".join(names), log, f"exit code {done.returncode}")

    def _wait_ready(self, environment: dict[str, str]) -> None:
        address = f"{environment['PUBLIC_URL']}/readyz"
        self.say(f"Waiting for {address}")
        last = "no answer"

        def ready() -> bool:
            nonlocal last
            try:
                # Proxies of the caller's environment are for the world outside, not for loopback.
                answer = httpx.get(address, timeout=5, trust_env=False)
            except httpx.HTTPError as error:
                last = str(error)
                return False
            last = f"HTTP {answer.status_code} {answer.text[:500]}"
            return answer.status_code == httpx.codes.OK or self._is_frozen(answer)

        if not wait_until(lambda: ready() or not self.is_up(), seconds=_READY_SECONDS):
            raise StartFailedError("web", log_file(self.home, "web"), f"{address} is not ready: {last}")
        if not self.is_up():
            raise StartFailedError(_SUPERVISOR, log_file(self.home, _SUPERVISOR), "it ended")

    def _is_frozen(self, answer: httpx.Response) -> bool:
        """Whether all that it waits for is an operator: what opens a frozen log's successor needs what runs here."""
        try:
            body = answer.json()
        except ValueError:
            return False
        waits = bool(body.get("frozen")) and body.get("database") == body.get("broker") == "ok"
        if waits:
            self.say(f"NOT READY: {body.get('ledger')}")
        return waits
