"""`manage.py head_sign LOG --memory FOLDER`: let the signer look at a database once, and print the checkpoint.

For a copy or a restored backup: with a copy of the signer's memory it says whether the database still extends
everything that was signed.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.signing import log_signer
from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Sign the head of a log, or say why not."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the log and the folder of the signer's memory."""
        parser.add_argument("log", help="a log's name: lineage, access, or that of a successor, as lineage-2")
        parser.add_argument("--memory", type=Path, required=True, help="folder with the signer's memory; it is updated")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Print the signed note."""
        try:
            note = log_signer(log=options["log"], memory=options["memory"]).head_sign(now=timezone.now())
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(note.decode())
