"""`manage.py signer`: run the process that signs checkpoints with keys that no other process can read."""

import signal
import threading
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand

from audit.enums import Log
from audit.signing import LogSigner, SignerMemory, signer_server
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.note import NoteSigner


class Command(BaseCommand):
    """Serve signed checkpoints until told to stop."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Listen on SIGNER_URL's host and port until SIGTERM."""
        address = urlsplit(settings.SIGNER_URL)
        server = signer_server(
            (address.hostname or "127.0.0.1", address.port or 80), {log.value: _signer(log) for log in Log}
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the serving loop, which is this very thread.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        with server:
            server.serve_forever()


def _signer(log: Log) -> LogSigner:
    origin = f"{settings.NOTARY_INSTANCE}/{log.value}"
    memory = settings.NOTARY_HOME / "signer"
    memory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LogSigner(
        key=NoteSigner(origin, key_load(settings.KEYS_DIR / f"{log.value}.key")),
        memory=SignerMemory(memory / f"{log.value}.json", origin),
        connect=partial(psycopg.connect, settings.ROLE_DATABASE_URLS["SIGNER_DATABASE_URL"]),
    )
