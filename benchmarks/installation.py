"""A PostgreSQL of the benchmark's own on the disk of the checkout, and databases with the product's schema."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile

import psycopg
from sample_events import RANDOM_EVENT
from suite import RESULTS

from config.embedded import CHECKOUT, EmbeddedServices

_PAGE = 8192
_SYNCS = 100


@dataclass(frozen=True)
class Database:
    """A migrated database.

    Attributes:
        services: Where it is.
        name: Its name.
        environment: Variables for processes that are to work on it.
    """

    services: EmbeddedServices
    name: str
    environment: dict[str, str]

    def connect(self, role: str) -> psycopg.Connection:
        """Connect as `superuser`, or as the role `app`, `auditor`, `sequencer`, `signer`."""
        return psycopg.connect(self.address(role), autocommit=True)

    def address(self, role: str) -> str:
        """Where a role reaches the database."""
        if role == "superuser":
            return self.services.superuser_url(self.name)
        return self.environment["DATABASE_URL" if role == "app" else f"{role.upper()}_DATABASE_URL"]

    def sql(self, statement: str) -> None:
        """Run a statement as the superuser."""
        with self.connect("superuser") as connection:
            connection.execute(statement.encode())

    def append(self, entries: int) -> None:
        """Record so many events, as the application does but in one transaction."""
        statement = f"SELECT ledger.append('lineage', {RANDOM_EVENT}) FROM generate_series(1, {entries})"  # noqa: S608 - constants
        with self.connect("app") as connection:
            connection.execute(statement.encode())

    def settle(self) -> None:
        """Write out what is waiting to be written, so that one measurement does not pay for another."""
        self.sql("CHECKPOINT")

    def manage(self, *arguments: str, **environment: str) -> None:
        """Run a command of manage.py on it.

        Raises:
            subprocess.CalledProcessError: The command failed; what it said is on standard error.
        """
        search = {"PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(Path(__file__).parent)))}
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=os.environ | self.environment | search | environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def installation() -> Iterator[EmbeddedServices]:
    """Run services that nobody else uses; nothing of them is left afterwards."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=RESULTS, prefix="home-", ignore_cleanup_errors=True) as home:
        # The server runs as another user where the benchmark is run by root.
        Path(home).chmod(0o755)
        services = EmbeddedServices(Path(home))
        services.start()
        try:
            yield services
        finally:
            services.stop()


@contextmanager
def database(services: EmbeddedServices, name: str, settings: str = "config.settings") -> Iterator[Database]:
    """Give a new database with the tables of all apps of these settings, and drop it."""
    services.create_database(name)
    made = Database(services, name, services.environment(name))
    # Apps without migrations come second: their tables refer to those of the others.
    for arguments in (("migrate",), ("migrate", "--run-syncdb"), ("roles_apply",)):
        made.manage(*arguments, DJANGO_DATABASE_ROLE="migrator", DJANGO_SETTINGS_MODULE=settings)
    try:
        yield made
    finally:
        services.drop_database(name)


def disk(services: EmbeddedServices) -> str:
    """Tell whether commits wait for the disk, and how long it takes to answer."""
    with psycopg.connect(services.superuser_url("postgres")) as connection:
        settings = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN "
            "('fsync', 'synchronous_commit', 'full_page_writes', 'server_version') ORDER BY name"
        ).fetchall()
    words = ", ".join(f"{name} {setting}" for name, setting in settings)
    return f"{words}; fdatasync of a page takes {_sync_seconds(services.home) * 1000:.2f} ms"


def _sync_seconds(folder: Path) -> float:
    taken = []
    with TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(_PAGE))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken)
