"""`manage.py ledger_verify`: hash every byte of the ledger again and hold the database against it and its keys.

Ends with 0 when all holds, 1 when something was tampered with, 2 when evidence is missing, 3 when it could not start.
"""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.verification import ledger_verify
from modelnotary.errors import ModelNotaryError
from modelnotary.verify.result import ExitCode, Outcome, VerificationReport
from modelnotary.verify.trust import TRUST_FILE, Trust

_MARKS = {Outcome.PASS: "ok     ", Outcome.FAIL: "FAILED ", Outcome.MISSING: "missing"}


class Command(BaseCommand):
    """Verify the database as the auditor's role and say where the first bad entry is."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the logs, the trust file and the form of the answer."""
        parser.add_argument("--log", action="append", default=[], help="only this log; may be given again")
        parser.add_argument("--trust", type=Path, help="the trust file; that of this installation unless given")
        parser.add_argument("--json", action="store_true", help="answer as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Print every check and end with the verdict."""
        try:
            report = self._report(options)
        except (ModelNotaryError, psycopg.Error) as error:
            raise CommandError(str(error), returncode=ExitCode.USAGE) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.to_json(), indent=2))
        else:
            for check in report.checks:
                place = f" (entries {check.span[0]} to {check.span[1] - 1})" if check.span else ""
                self.stdout.write(f"{_MARKS[check.outcome]} {check.name}: {check.detail}{place}")
            self.stdout.write(f"verdict: {report.exit_code.name.lower()}")
        sys.exit(report.exit_code)

    def _report(self, options: dict[str, Any]) -> VerificationReport:
        path = options["trust"] or settings.NOTARY_HOME / TRUST_FILE
        trust = Trust.from_file(path) if options["trust"] or path.exists() else None
        url = settings.ROLE_DATABASE_URLS["AUDITOR_DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            return ledger_verify(connection, trust=trust, logs=options["log"], progress=self._progress)

    def _progress(self, log: str, done: int, size: int) -> None:
        self.stderr.write(f"{log}: {done} of {size} entries")
