"""`manage.py key_rotate LOG [--overlap N] [--another] [--json]`: hand a log over to a new key.

Interrupted at any step, the same command goes on. It needs both private keys, the application's and the auditor's
database roles, and running sequencer and signer.
"""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import Log
from audit.key_rotation import OVERLAP, key_rotate
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.event import Actor

_POLL_SECONDS = 0.2


class Command(BaseCommand):
    """Rotate the key of a log."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the log, the overlap and the form of the output."""
        parser.add_argument("log", choices=Log.values)
        parser.add_argument(
            "--overlap", type=int, default=OVERLAP, help="for how many entries both keys sign (default: %(default)s)"
        )
        parser.add_argument(
            "--another", action="store_true", help="rotate once more, although the last rotation was just now"
        )
        parser.add_argument(
            "--timeout", type=float, default=60.0, help="seconds to wait for the signature (default: %(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Rotate, telling each step on standard error."""
        deadline: float = time.monotonic() + options["timeout"]

        def wait() -> bool:
            time.sleep(_POLL_SECONDS)
            return time.monotonic() < deadline

        try:
            rotated = key_rotate(
                log=Log(options["log"]),
                overlap=options["overlap"],
                another=options["another"],
                actor=Actor(kind="system", id="key_rotate", name="Model Notary key_rotate"),
                at=timezone.now(),
                wait=wait,
                progress=lambda line: self.stderr.write(line, self.style.NOTICE),
            )
        except (ModelNotaryError, OSError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(rotated) | {"proof": str(rotated.proof)}))
            return
        done = "was handed over before" if rotated.again else "is handed over"
        self.stdout.write(
            f"{rotated.origin} {done} by entry {rotated.index}: {rotated.old} signs up to {rotated.until_size} "
            f"entries, {rotated.new} from {rotated.index + 1} on\n"
            f"for auditors: {rotated.proof}, or the trust file with the fingerprint {rotated.fingerprint}"
        )
