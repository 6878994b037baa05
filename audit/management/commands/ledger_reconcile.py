"""`manage.py ledger_reconcile`: look for changes of governed records that no event of the ledger tells of.

Ends with 0 when there are none, 1 when there are some or a table is not watched, 3 when it could not start.
"""

import json
import sys
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.reconciliation import changes_reconcile
from modelnotary.errors import ModelNotaryError
from modelnotary.times import parse_time
from modelnotary.verify.result import ExitCode


class Command(BaseCommand):
    """Hold the changes of governed records against the events, as the auditor's role."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the moment to begin at and the form of the answer."""
        parser.add_argument("--since", help="leave out what changed before, for instance 2026-11-21T00:00:00Z")
        parser.add_argument("--json", action="store_true", help="answer as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Print every finding and end with the verdict."""
        try:
            since = parse_time(options["since"]) if options["since"] else None
            with psycopg.connect(settings.ROLE_DATABASE_URLS["AUDITOR_DATABASE_URL"]) as connection:
                found = changes_reconcile(connection, since=since)
        except (ModelNotaryError, psycopg.Error) as error:
            raise CommandError(str(error), returncode=ExitCode.USAGE) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.to_json(), indent=2))
        else:
            for table in found.uncaptured:
                self.stdout.write(f"not watched: {table}")
            for one in found.unattributed:
                self.stdout.write(f"unattributed: transaction {one.transaction} at {one.at}: {', '.join(one.changes)}")
            self.stdout.write(f"{len(found.unattributed)} unattributed transactions")
        sys.exit(ExitCode.TAMPERED if found.uncaptured or found.unattributed else ExitCode.VERIFIED)
