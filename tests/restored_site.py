"""An installation whose database can be backed up and brought back, with its own keys, memory and anchor."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import factories
from conftest import Database
from django.db import connections, transaction
from django.test import override_settings
from django.utils import timezone
from ledger_driver import connect, one, process_start

from audit.anchoring import anchors_configured, anchors_update, checkpoints_publish
from audit.enums import AccessEvent, LineageEvent
from audit.models import LogRecord
from audit.services import event_record
from config.embedded import CHECKOUT, EmbeddedServices
from config.embedded.ports import free_ports
from config.embedded.processes import wait_until
from governance.models import User
from modelnotary.ledger.event import Actor, Subject
from modelnotary.verify.trust import TRUST_FILE

REASON = "disk array lost at 01:40; restored the backup of 01:00"
SYSTEM = Actor("system", "test", "A test")
# Runs `manage.py log_open` and kills its own process, as kill -9 does, when the function named has returned.
KILLED_CEREMONY = """
import os, signal, sys
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from audit import succession
from governance.management.commands import log_open

settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
fatal, arguments = sys.argv[1], sys.argv[2:]


def killing(function):
    def killed(*args, **kwargs):
        function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return killed


room = log_open if hasattr(log_open, fatal) else succession
setattr(room, fatal, killing(getattr(room, fatal)))
call_command("log_open", *arguments)
"""


def record(*, event: LineageEvent | AccessEvent = LineageEvent.RUN_RECORDED, name: str = "run") -> str:
    """Record an event through the product's own door; give its id."""
    with transaction.atomic():
        return event_record(
            event=event, actor=SYSTEM, subject=Subject("run", name), data={}, at=datetime.now(UTC)
        ).event_id


@dataclass
class Site:
    """Real signer and sequencer processes on a database, and a folder that an auditor keeps."""

    database: Database
    cluster: EmbeddedServices
    home: Path
    environment: dict[str, str]
    running: dict[str, Popen[bytes]] = field(default_factory=dict)

    @property
    def trust(self) -> Path:
        return self.home / TRUST_FILE

    @property
    def share(self) -> Path:
        """The folder that the auditor keeps."""
        return self.home / "share"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    def start(self, *names: str) -> None:
        for name in names or ("signer", "sequencer"):
            with (self.home / f"{name}.log").open("ab") as log:
                self.running[name] = process_start(self.database, name, log.fileno(), **self.environment)

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait()
        self.running.clear()
        connections.close_all()

    def told(self) -> str:
        return (self.home / "sequencer.log").read_text()

    def settle(self) -> None:
        """Wait until everything recorded in active logs is signed, and publish it."""
        anchors_update(anchors=anchors_configured(), at=timezone.now())
        assert wait_until(self._is_signed, seconds=90), self.told()[-3000:]
        checkpoints_publish(anchors=anchors_configured())

    def _is_signed(self) -> bool:
        with connect(self.database, "auditor") as connection:
            return bool(
                one(
                    connection,
                    "SELECT NOT EXISTS (SELECT FROM ledger.queue) AND bool_and(h.size = coalesce("
                    "(SELECT max(size) FROM ledger.checkpoint c WHERE c.log_id = h.log_id), 0)) "
                    "FROM ledger.head h JOIN ledger.log USING (log_id) WHERE state = 'active'",
                )
            )

    def backup(self) -> None:
        """Take a backup as pg_dump does."""
        connections.close_all()
        self.cluster.create_database(f"{self.database.name}_backup")
        self.cluster.copy_database(self.database.name, f"{self.database.name}_backup")

    def restore(self) -> None:
        """Bring the backup back under the same name."""
        connections.close_all()
        self.cluster.drop_database(self.database.name)
        self.cluster.create_database(self.database.name, f"{self.database.name}_backup")

    def frozen(self, *logs: str) -> bool:
        def are_frozen() -> bool:
            states = dict(LogRecord.objects.filter(name__in=logs).values_list("name", "state"))
            return set(states.values()) == {"frozen"}

        return wait_until(are_frozen, seconds=90)

    def approving(self, *people: User, password: str = factories.PASSWORD) -> list[str]:
        """The --approve options of these people."""
        options = []
        for person in people:
            path = self.home / f"{person.username}.txt"
            path.write_text(f"{password}\n", encoding="utf-8")
            options.append(f"--approve={person.username}={path}")
        return options

    def ceremony_killed_after(self, function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED_CEREMONY, function, *arguments, f"--reason={REASON}"],
            cwd=CHECKOUT,
            env=os.environ | self.database.environment | self.environment | {"PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def site_of(database: Database, cluster: EmbeddedServices, keys: Path, home: Path) -> Iterator[Site]:
    """Set an installation up in an empty folder, with copies of the keys and of the trust file."""
    shutil.copytree(keys, home / keys.name)
    shutil.copy(keys.parent / TRUST_FILE, home)
    (port,) = free_ports(1)
    environment = {
        "NOTARY_HOME": str(home),
        "SIGNER_URL": f"http://127.0.0.1:{port}",
        "ANCHORS": (home / "share").as_uri(),
    }
    made = Site(database, cluster, home, environment)
    made.share.mkdir()
    changed: dict[str, Any] = {
        "NOTARY_HOME": home,
        "KEYS_DIR": made.keys,
        "SIGNER_URL": environment["SIGNER_URL"],
        "ANCHORS": [environment["ANCHORS"]],
    }
    with override_settings(**changed):
        try:
            yield made
        finally:
            made.stop()
            cluster.drop_database(f"{database.name}_backup")
