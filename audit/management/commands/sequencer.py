"""`manage.py sequencer`: run the process that orders the logs and has their heads signed."""

import logging
import signal
import threading
import time
from queue import SimpleQueue
from typing import Any

import httpx
import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand

from audit.errors import CorruptLogError
from audit.sequencing import (
    BATCH,
    LogRow,
    batch_sequence,
    checkpoint_due,
    checkpoint_store,
    logs_list,
    partitions_ahead,
    projection_fill,
)
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.note import note_split

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
CHECKPOINT_SECONDS = 1.0
RETRY_SECONDS = 1.0
PARTITIONS_SECONDS = 10.0
SIGNER_TIMEOUT_SECONDS = 30.0

type _Signed = tuple[Checkpoint, str]
"""A checkpoint and the note that it was read from."""


class Command(BaseCommand):
    """Order events and ask the signer for checkpoints until told to stop."""

    help = __doc__
    # The checks concern the pages and the API; this process has neither, and is to be back quickly after a crash.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Run until SIGTERM; reconnect when the database goes away."""
        stop, checkpoints = threading.Event(), _Checkpoints()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                with psycopg.connect(
                    settings.ROLE_DATABASE_URLS["SEQUENCER_DATABASE_URL"], autocommit=True
                ) as connection:
                    self._run(connection, checkpoints, stop)
            except psycopg.OperationalError as error:
                logger.warning("database not reached, trying again: %s", error)
                stop.wait(RETRY_SECONDS)

    def _run(self, connection: psycopg.Connection, checkpoints: "_Checkpoints", stop: threading.Event) -> None:
        logs = logs_list(connection)
        looked_at = float("-inf")
        while not stop.is_set():
            if time.monotonic() - looked_at >= PARTITIONS_SECONDS:
                looked_at = time.monotonic()
                partitions_ahead(connection)
            busy = False
            for log in logs:
                try:
                    busy |= batch_sequence(connection, log) == BATCH
                except CorruptLogError:
                    logger.exception("log stands still; restore it or open a successor")
                    stop.wait(RETRY_SECONDS)
                busy |= projection_fill(connection, log) == BATCH
                checkpoints.ask_when_due(connection, log)
            checkpoints.store(connection)
            if not busy:
                stop.wait(POLL_SECONDS)


class _Checkpoints:
    """Has heads signed beside the sequencing: a signer that hangs, is away or refuses delays no event.

    One thread at most asks for each log. It ends with the process, so that no signer can hold a stop up.
    """

    def __init__(self) -> None:
        self._asked_at: dict[LogRow, float] = {}
        self._waiting: set[LogRow] = set()
        self._answers: SimpleQueue[tuple[LogRow, _Signed | None]] = SimpleQueue()

    def ask_when_due(self, connection: psycopg.Connection, log: LogRow) -> None:
        """Ask for a checkpoint if the head has none, nobody waits for one, and the last question is a while ago."""
        if log in self._waiting or time.monotonic() - self._asked_at.get(log, float("-inf")) < CHECKPOINT_SECONDS:
            return
        if checkpoint_due(connection, log):
            self._asked_at[log] = time.monotonic()
            self._waiting.add(log)
            threading.Thread(target=self._ask, args=(log,), daemon=True).start()

    def store(self, connection: psycopg.Connection) -> None:
        """Keep what the signer gave since the last call."""
        while not self._answers.empty():
            log, signed = self._answers.get()
            self._waiting.discard(log)
            if signed is not None:
                checkpoint, note = signed
                checkpoint_store(connection, log, size=checkpoint.size, root=checkpoint.root, note=note)

    def _ask(self, log: LogRow) -> None:
        signed = None
        try:
            signed = _signed_head(log)
        finally:
            self._answers.put((log, signed))


def _signed_head(log: LogRow) -> "_Signed | None":
    """Ask the signer for a checkpoint of the head; None, and a line of the log, when it gives none."""
    address = f"{settings.SIGNER_URL}/logs/{log.name}/checkpoint"
    try:
        # The signer is a neighbour: a proxy of the machine's environment is for the world outside.
        answer = httpx.post(address, timeout=SIGNER_TIMEOUT_SECONDS, trust_env=False)
        answer.raise_for_status()
        text, _ = note_split(answer.content)
        checkpoint = Checkpoint.from_text(text)
    except httpx.HTTPStatusError as error:
        logger.error("%s not signed: %s", log.origin, error.response.text.strip())  # noqa: TRY400
    except httpx.HTTPError as error:
        logger.warning("signer not reached: %s", error)
    except LedgerError:
        logger.exception("%s answered with something that is no checkpoint; does it belong to the signer?", address)
    else:
        if checkpoint.origin == log.origin:
            return checkpoint, answer.text
        logger.error("%s answered with a checkpoint of %s instead of %s", address, checkpoint.origin, log.origin)
    return None
