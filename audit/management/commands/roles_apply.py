"""`manage.py roles_apply`: give each database role the password that its address carries. Run after `migrate`."""

from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg import sql

_ROLES = (
    "DATABASE_URL",
    "AUDITOR_DATABASE_URL",
    "SEQUENCER_DATABASE_URL",
    "SIGNER_DATABASE_URL",
    "ARCHIVER_DATABASE_URL",
)


class Command(BaseCommand):
    """Set the passwords of the roles that the migrations created without one."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Connect as the migrator and set every password that is known here."""
        migrator = settings.ROLE_DATABASE_URLS["MIGRATION_DATABASE_URL"]
        if not migrator:
            raise CommandError("MIGRATION_DATABASE_URL is not set: only the migrator may set the roles' passwords")
        with psycopg.connect(migrator, autocommit=True) as connection:
            for name in _ROLES:
                if url := settings.ROLE_DATABASE_URLS[name]:
                    self.stdout.write(f"{_password_set(connection, url)}: password set")


def _password_set(connection: psycopg.Connection, url: str) -> str:
    parts = urlsplit(url)
    role, password = unquote(parts.username or ""), unquote(parts.password or "")
    # Hashed here, so that the server's log never holds the password itself.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))
    return role
