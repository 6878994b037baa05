"""`manage.py bundle_export DIGEST PATH`: write the evidence bundle of a model version straight from a database.

For a database that nothing runs on, such as a restored backup or a copy under investigation.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import Log
from audit.selectors import checkpoint_latest, log_current
from governance.selectors import model_version_get
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.digest import Digest
from reports.services import bundle_write


class Command(BaseCommand):
    """Write a bundle up to the newest signed checkpoint."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the model version and the file to write."""
        parser.add_argument("digest", help="sha256:… of the model version")
        parser.add_argument("path", type=Path, help="the file to write")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Write it and say what it covers."""
        try:
            version = model_version_get(digest=Digest.from_text(options["digest"]))
            checkpoint = checkpoint_latest(log=log_current(log_class=Log.LINEAGE).name)
            bundle_write(path=options["path"], version=version, checkpoint=checkpoint, at=timezone.now())
        except (ModelNotaryError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['path']}: {version}, {checkpoint.size} entries of {checkpoint.origin}")
