"""`manage.py sequencer`: run the process that orders the logs and has their heads signed."""

import logging
import signal
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import httpx
import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand

from audit.anchoring import anchors_configured
from audit.clearance import ANCHOR_SECONDS, Clearance, freeze
from audit.continuity import Outlook, outlook
from audit.enums import Refusal
from audit.errors import AnchorAddressError, CorruptLogError
from audit.sequencing import (
    BATCH,
    LogRow,
    batch_sequence,
    checkpoint_due,
    checkpoint_store,
    logs_active,
    logs_list,
    partitions_ahead,
    projection_fill,
)
from audit.signing import REFUSAL_HEADER
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.note import note_split
from modelnotary.verify.errors import TrustError
from modelnotary.verify.trust import TRUST_FILE, Trust

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
CHECKPOINT_SECONDS = 1.0
RETRY_SECONDS = 1.0
PARTITIONS_SECONDS = 10.0
LOGS_SECONDS = 1.0
FOR_GOOD = frozenset({Refusal.ROLLED_BACK, Refusal.NOT_EXTENDING})
SIGNER_TIMEOUT_SECONDS = 30.0


class Command(BaseCommand):
    """Order events and ask the signer for checkpoints until told to stop."""

    help = __doc__
    # The checks concern the pages and the API; this process has neither, and is to be back quickly after a crash.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Run until SIGTERM; reconnect when the database goes away."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                with psycopg.connect(
                    settings.ROLE_DATABASE_URLS["SEQUENCER_DATABASE_URL"], autocommit=True
                ) as connection:
                    self._run(connection, stop)
            except psycopg.OperationalError as error:
                logger.warning("database not reached, trying again: %s", error)
                stop.wait(RETRY_SECONDS)

    def _run(self, connection: psycopg.Connection, stop: threading.Event) -> None:
        # Of this connection: what was asked about the database before says nothing about the one that is there now.
        clearance, checkpoints = Clearance(_ask_outside), _Checkpoints()
        looked_at = listed_at = float("-inf")
        logs, active = list[LogRow](), set[int]()
        while not stop.is_set():
            began = time.monotonic()
            if time.monotonic() - looked_at >= PARTITIONS_SECONDS:
                looked_at = time.monotonic()
                partitions_ahead(connection)
            if time.monotonic() - listed_at >= LOGS_SECONDS:
                listed_at = time.monotonic()
                logs, active = logs_list(connection), logs_active(connection)
            busy = False
            for log in logs:
                if log.log_id in active and clearance.given(connection, log):
                    busy |= self._advance(connection, log, stop)
                    checkpoints.ask_when_due(connection, log)
                busy |= projection_fill(connection, log) == BATCH
            checkpoints.store(connection)
            if not busy:
                # From beginning to beginning: under load, waiting in full after the work would double the delay.
                stop.wait(max(0.0, began + POLL_SECONDS - time.monotonic()))

    def _advance(self, connection: psycopg.Connection, log: LogRow, stop: threading.Event) -> bool:
        try:
            return batch_sequence(connection, log) == BATCH
        except CorruptLogError:
            logger.exception("log stands still; restore it or open a successor")
            stop.wait(RETRY_SECONDS)
            return False


def _ask_outside(log: LogRow, newest: bytes | None) -> Outlook:
    """Ask the signer and the anchors that are configured; without the log's keys, what anchors hold is not believed."""
    try:
        keys = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE).log_verifier(log.origin)
    except TrustError:
        keys = None
    try:
        anchors = anchors_configured()
    except AnchorAddressError as error:
        logger.error("no anchor is asked about %s: %s", log.origin, error)  # noqa: TRY400 - the reason says it all
        anchors = []
    return outlook(
        log, newest=newest, signer_url=settings.SIGNER_URL, anchors=anchors, keys=keys, patience=ANCHOR_SECONDS
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of asking for a checkpoint: a checkpoint and its note, a refusal for good, or neither."""

    log: LogRow
    signed: tuple[Checkpoint, str] | None = None
    refusal: str | None = None


class _Checkpoints:
    """Has heads signed beside the sequencing: a signer that hangs, is away or refuses delays no event.

    One thread at most asks for each log. It ends with the process, so that no signer can hold a stop up.
    """

    def __init__(self) -> None:
        self._asked_at: dict[LogRow, float] = {}
        self._waiting: set[LogRow] = set()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()

    def ask_when_due(self, connection: psycopg.Connection, log: LogRow) -> None:
        """Ask for a checkpoint if the head has none, nobody waits for one, and the last question is a while ago."""
        if log in self._waiting or time.monotonic() - self._asked_at.get(log, float("-inf")) < CHECKPOINT_SECONDS:
            return
        if checkpoint_due(connection, log):
            self._asked_at[log] = time.monotonic()
            self._waiting.add(log)
            threading.Thread(target=self._ask, args=(log,), daemon=True).start()

    def store(self, connection: psycopg.Connection) -> None:
        """Keep what the signer gave since the last call; freeze a log that it refuses for good."""
        while not self._answers.empty():
            answer = self._answers.get()
            self._waiting.discard(answer.log)
            if answer.signed is not None:
                checkpoint, note = answer.signed
                checkpoint_store(connection, answer.log, size=checkpoint.size, root=checkpoint.root, note=note)
            if answer.refusal is not None:
                freeze(connection, answer.log, answer.refusal)

    def _ask(self, log: LogRow) -> None:
        answer = _Answer(log)
        try:
            answer = _signed_head(log)
        finally:
            self._answers.put(answer)


def _signed_head(log: LogRow) -> _Answer:
    """Ask the signer for a checkpoint of the head; when it gives none, say so in a line of the process's output."""
    address = f"{settings.SIGNER_URL}/logs/{log.name}/checkpoint"
    try:
        # The signer is a neighbour: a proxy of the machine's environment is for the world outside.
        answer = httpx.post(address, timeout=SIGNER_TIMEOUT_SECONDS, trust_env=False)
        answer.raise_for_status()
        text, _ = note_split(answer.content)
        checkpoint = Checkpoint.from_text(text)
    except httpx.HTTPStatusError as error:
        reason = error.response.text.strip()
        logger.error("%s not signed: %s", log.origin, reason)  # noqa: TRY400
        if error.response.headers.get(REFUSAL_HEADER) in FOR_GOOD:
            return _Answer(log, refusal=f"the signer refuses: {reason}")
    except httpx.HTTPError as error:
        logger.warning("signer not reached: %s", error)
    except LedgerError:
        logger.exception("%s answered with something that is no checkpoint; does it belong to the signer?", address)
    else:
        if checkpoint.origin == log.origin:
            return _Answer(log, (checkpoint, answer.text))
        logger.error("%s answered with a checkpoint of %s instead of %s", address, checkpoint.origin, log.origin)
    return _Answer(log)
