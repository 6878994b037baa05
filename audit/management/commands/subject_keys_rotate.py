"""`manage.py subject_keys_rotate`: wrap every person's key anew, destroy the old generation, carry out erasures.

Run with DJANGO_DATABASE_ROLE=migrator, where the key file can be written. Cut short, it is run again and goes on.
Afterwards take a new backup of the database and of the key file, and destroy every older copy of the key file: an
erasure is complete only then. Ends with 0 when every approved erasure was carried out, 1 when one was not.
"""

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.rotation import BATCH, subject_keys_rotate
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.event import Actor
from modelnotary.verify.result import ExitCode

_ACTOR = Actor(kind="system", id="subject_keys_rotate", name="Model Notary subject_keys_rotate")
_TOLD_EVERY_SECONDS = 2.0


class Command(BaseCommand):
    """Rotate the keys of persons once."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the size of a transaction and the form of the output."""
        parser.add_argument("--batch", type=int, default=BATCH, help="keys wrapped in one transaction")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Rotate, telling how far it is on standard error."""
        if settings.SUBJECT_KEK:
            raise CommandError(
                "SUBJECT_KEK is still set. It wrapped persons' keys before the key file did, and old dumps can be read "
                "with it: no erasure would be complete. Once `migrate` has run, remove it everywhere.",
                returncode=ExitCode.USAGE,
            )
        told = time.monotonic()

        def tell(step: str, done: int, total: int) -> None:
            nonlocal told
            if step != "wrap" or time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                self.stderr.write(f"{step}: {done} of {total}")

        try:
            done = subject_keys_rotate(actor=_ACTOR, at=timezone.now(), tell=tell, batch=options["batch"])
        except ModelNotaryError as error:
            raise CommandError(str(error), returncode=ExitCode.USAGE) from error
        if options["json"]:
            self.stdout.write(json.dumps(done.to_json()))
        else:
            destroyed = ", ".join(map(str, done.destroyed))
            self.stdout.write(f"generation {destroyed} destroyed; {done.persons} keys wrapped under {done.current}")
            for what in ("erased", "held", "unproven", "waiting"):
                for erasure in getattr(done, what):
                    self.stdout.write(f"{what}: {erasure}")
            self.stdout.write("now back up the database and the key file, and destroy older copies of the key file")
        sys.exit(ExitCode.TAMPERED if done.held or done.unproven or done.waiting else ExitCode.VERIFIED)
