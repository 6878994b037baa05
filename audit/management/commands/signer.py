"""`manage.py signer`: run the process that signs checkpoints with keys that no other process can read."""

import signal
import threading
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand

from audit.enums import Log
from audit.signing import log_signer, signer_server


class Command(BaseCommand):
    """Serve signed checkpoints until told to stop."""

    help = __doc__
    # The checks concern the pages and the API; this process has neither, and is to be back quickly after a crash.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Listen on SIGNER_URL's host and port until SIGTERM."""
        address = urlsplit(settings.SIGNER_URL)
        server = signer_server(
            (address.hostname or "127.0.0.1", address.port or 80),
            {log.value: log_signer(log=log, memory=settings.NOTARY_HOME / "signer") for log in Log},
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the serving loop, which is this very thread.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        with server:
            server.serve_forever()
