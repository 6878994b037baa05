"""`manage.py ledger_export LOG FOLDER [--json]`: write a log as static files that `modelnotary verify` reads.

Stopped, it goes on where it was when started again.
"""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.exporting import log_export
from modelnotary.errors import ModelNotaryError

_TOLD_EVERY_SECONDS = 2.0


class Command(BaseCommand):
    """Export a log as far as its newest signed checkpoint covers it."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the log, the folder and the form of the output."""
        parser.add_argument("log", help="a log's name: lineage, access, or that of a successor, as lineage-2")
        parser.add_argument("folder", type=Path, help="where to; made when missing")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Export, telling how far it is on standard error."""
        told = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                self.stderr.write(f"{done} of {total} files")

        try:
            done = log_export(log=options["log"], folder=options["folder"], progress=progress)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
        else:
            self.stdout.write(
                f"{done.origin}: {done.size} entries in {options['folder']}, {done.written} files written, "
                f"{done.kept} were there"
                + (f"; it begins at entry {done.min_index}, what was before is archived" if done.min_index else "")
            )
