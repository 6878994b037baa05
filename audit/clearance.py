"""Which logs may be ordered: those whose database was held against what is known of them outside.

The rule is closed by default. Nothing of a log gets a place before the signer has said what it signed last: while it
is away, events are appended and wait. Anchors lie outside and may be away for days, so they get `ANCHOR_SECONDS` to
answer; one that was silent is asked again until it has answered once, while the log goes on.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

import psycopg

from audit.continuity import SIGNER, Outlook, checkpoint_newest, continuity_fault
from audit.errors import CorruptLogError
from audit.sequencing import LogRow, log_freeze

logger = logging.getLogger(__name__)

ANCHOR_SECONDS = 10.0
"""For how long anchors are waited for before a log is ordered."""
SIGNER_AGAIN_SECONDS = 1.0
ANCHORS_AGAIN_SECONDS = 60.0
_NEVER = float("inf")


@dataclass(slots=True)
class _Inquiry:
    """How far a log's question is: when it is put next, and what was last found wrong with the answers."""

    is_clear: bool = False
    is_asking: bool = False
    ask_at: float = 0.0
    silence: tuple[str, ...] = ()


class Clearance:
    """Says which logs may be ordered. For one connection: behind the next one there may be a restored database.

    Questions are put beside the sequencing, so nobody who is slow to answer holds up another log or a stop.

    Args:
        ask: Gives what is known of a log outside, from the newest checkpoint that the database has of it.
    """

    def __init__(self, ask: Callable[[LogRow, bytes | None], Outlook]) -> None:
        self._ask = ask
        self._inquiries: dict[LogRow, _Inquiry] = {}
        self._answers: SimpleQueue[tuple[LogRow, Outlook]] = SimpleQueue()

    def given(self, connection: psycopg.Connection, log: LogRow) -> bool:
        """Tell whether an active log may be ordered now. One that is not what was signed is frozen."""
        self._judge_answers(connection)
        inquiry = self._inquiries.setdefault(log, _Inquiry())
        if not inquiry.is_asking and time.monotonic() >= inquiry.ask_at:
            inquiry.is_asking = True
            Thread(target=self._put, args=(log, checkpoint_newest(connection, log)), daemon=True).start()
        return inquiry.is_clear

    def _put(self, log: LogRow, newest: bytes | None) -> None:
        self._answers.put((log, self._ask(log, newest)))

    def _judge_answers(self, connection: psycopg.Connection) -> None:
        while not self._answers.empty():
            log, known = self._answers.get()
            inquiry = self._inquiries[log]
            inquiry.is_asking = False
            inquiry.ask_at = time.monotonic() + _again_after(known)
            self._tell(log, inquiry, known)
            self._judge(connection, log, inquiry, known)

    def _judge(self, connection: psycopg.Connection, log: LogRow, inquiry: _Inquiry, known: Outlook) -> None:
        try:
            fault = continuity_fault(connection, log, known)
        except CorruptLogError:
            logger.exception("%s cannot be held against what is known outside, and stands still", log.origin)
            inquiry.is_clear, inquiry.ask_at = False, time.monotonic() + ANCHORS_AGAIN_SECONDS
            return
        if fault:
            inquiry.is_clear, inquiry.ask_at = False, _NEVER
            freeze(connection, log, fault)
        elif SIGNER not in known.silent:
            inquiry.is_clear = True

    def _tell(self, log: LogRow, inquiry: _Inquiry, known: Outlook) -> None:
        """Say who is silent, once and not each second."""
        silence = tuple(known.silent.values())
        if silence != inquiry.silence:
            inquiry.silence = silence
            then = "it goes on" if SIGNER not in known.silent or inquiry.is_clear else "its events wait for their place"
            for words in silence:
                logger.warning("%s is not held against all that is known outside; %s: %s", log.origin, then, words)


def freeze(connection: psycopg.Connection, log: LogRow, reason: str) -> None:
    """Freeze a log and say so where the operator looks."""
    if log_freeze(connection, log, reason=reason):
        logger.critical("%s is frozen: %s. See docs/restore.md", log.origin, reason)


def _again_after(known: Outlook) -> float:
    if SIGNER in known.silent:
        return SIGNER_AGAIN_SECONDS
    return ANCHORS_AGAIN_SECONDS if known.silent else _NEVER
