"""`manage.py signer`: run the process that signs checkpoints with keys that no other process can read."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.enums import Log
from audit.signing import LogSigners, log_memory, signer_server
from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Serve signed checkpoints until told to stop."""

    help = __doc__
    # The checks concern the pages and the API; this process has neither, and is to be back quickly after a crash.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an operator's word about the clock."""
        parser.add_argument(
            "--accept-clock",
            action="store_true",
            help="forget when the last signatures were made, after a clock that was wrong has been set right",
        )

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Listen on SIGNER_URL's host and port until SIGTERM."""
        folder = settings.NOTARY_HOME / "signer"
        if options["accept_clock"]:
            try:
                for log in {*Log.values, *(path.stem for path in folder.glob("*.json"))}:
                    log_memory(log=log, folder=folder).time_forget()
            except ModelNotaryError as error:
                raise CommandError(str(error)) from error
        address = urlsplit(settings.SIGNER_URL)
        server = signer_server(
            (address.hostname or "127.0.0.1", address.port or 80),
            LogSigners(folder),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the serving loop, which is this very thread.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        with server:
            server.serve_forever()
