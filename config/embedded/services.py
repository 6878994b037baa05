"""The embedded PostgreSQL and Valkey of one home folder."""

from pathlib import Path

import psycopg
from psycopg import sql

from config.embedded.errors import StartFailedError
from config.embedded.installation import DATABASE, MIGRATOR, SUPERUSER, Installation
from config.embedded.ports import free_ports, is_free
from config.embedded.postgres import Postgres, dump_restore
from config.embedded.processes import PidFile, exclusive
from config.embedded.valkey import Valkey

# A port can be lost to another program between choosing it and listening on it.
_START_ATTEMPTS = 5


class EmbeddedServices:
    """A real PostgreSQL and a real Valkey under one folder, on loopback, each role with its own password.

    Attributes:
        home: The folder; everything that the services write is in it.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        log, run = self.home / "log", self.home / "run"
        self._postgres = Postgres(self.home / "postgres", log / "postgres.log")
        self._valkey = Valkey(self.home / "valkey", log / "valkey.log", PidFile(run / "valkey.pid"))
        self._lock = run / "services.lock"
        self._kept = self.home / "secrets" / "installation.json"

    def start(self) -> dict[str, str]:
        """Start what does not run yet, creating everything on first use; give the processes' environment.

        Safe to call at any time, also from several processes at once and after a crash.

        Raises:
            EmbeddedError: A service cannot be created or started.
        """
        with exclusive(self._lock):
            installation = Installation.load_or_create(self._kept)
            for service in (self._postgres, self._valkey):
                installation = self._started(service, installation)
            try:
                self._create_product_database(installation)
            except psycopg.OperationalError as error:
                raise StartFailedError(self._postgres.name, self._postgres.log, f"it is gone again: {error}") from error
        return installation.environment(self.home)

    def stop(self) -> None:
        """Stop both services; nothing of them runs afterwards."""
        with exclusive(self._lock):
            self._valkey.stop()
            self._postgres.stop()

    def status(self) -> dict[str, bool]:
        """Tell of each service whether it runs."""
        return {service.name: service.is_running() for service in (self._postgres, self._valkey)}

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """Give the processes' environment without starting anything; secrets are made on first use.

        Raises:
            InstallationDamagedError: The kept secrets cannot be read.
        """
        return self._installation().environment(self.home, database)

    def superuser_url(self, database: str = DATABASE) -> str:
        """Address at which the superuser, whom no process of the product ever is, reaches `database`."""
        return self._installation().database_url(SUPERUSER, database)

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create the database `name`, owned by the migrating role, as a copy of `template` if given.

        Raises:
            psycopg.Error: The name is taken, or somebody is connected to the template.
        """
        with psycopg.connect(self.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute(_create_statement(name, template))
            if template is not None:
                _copy_rights(connection, template, name)

    def copy_database(self, source: str, name: str) -> None:
        """Create the database `name` as a copy of `source`, which may be in use: what a backup and its restore give.

        Raises:
            CopyFailedError: The source cannot be read or the copy cannot be written; the message has the reason.
        """
        self.drop_database(name)
        self.create_database(name)
        dump_restore(self.superuser_url(source), self.superuser_url(name))

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it exists, whoever is connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with psycopg.connect(self.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def free_process_ports(self) -> dict[str, str]:
        """Choose new ports for web and signer where another program took theirs; give the environment.

        To be called only while the processes do not run.
        """
        with exclusive(self._lock):
            installation = Installation.load_or_create(self._kept)
            for name in ("web", "signer"):
                installation = self._with_free_port(name, installation)
        return installation.environment(self.home)

    def _installation(self) -> Installation:
        with exclusive(self._lock):
            return Installation.load_or_create(self._kept)

    def _started(self, service: Postgres | Valkey, installation: Installation) -> Installation:
        for _ in range(_START_ATTEMPTS):
            if not service.is_running():
                installation = self._with_free_port(service.name, installation)
            if service.start(installation):
                return installation
        raise StartFailedError(service.name, service.log, f"its process ended {_START_ATTEMPTS} times")

    def _with_free_port(self, name: str, installation: Installation) -> Installation:
        if is_free(installation.ports[name]):
            return installation
        moved = installation.with_port(name, free_ports(1)[0])
        moved.save(self._kept)
        return moved

    def _create_product_database(self, installation: Installation) -> None:
        password = sql.Literal(installation.role_passwords[MIGRATOR])
        role = sql.Identifier(MIGRATOR)
        with psycopg.connect(installation.database_url(SUPERUSER, "postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [MIGRATOR]).fetchone():
                statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(role, password)
                connection.execute(statement)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(_create_statement(DATABASE, None))


def _create_statement(name: str, template: str | None) -> sql.Composed:
    statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(MIGRATOR))
    return statement if template is None else statement + sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))


def _copy_rights(connection: psycopg.Connection, source: str, target: str) -> None:
    """Give `target` the rights that `source` grants; a copy begins with the server's defaults instead."""
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(target)))
    rights = connection.execute(
        "SELECT r.privilege_type, coalesce(quote_ident(g.rolname), 'PUBLIC') "
        "FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) r "
        "LEFT JOIN pg_roles g ON g.oid = r.grantee WHERE d.datname = %s",
        [source],
    ).fetchall()
    for right, grantee in rights:
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}")
        connection.execute(statement.format(sql.SQL(right), sql.Identifier(target), sql.SQL(grantee)))
