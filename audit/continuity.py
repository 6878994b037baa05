"""Does the database still hold what was signed of a log? Asked before a sequencer orders anything of it.

A database that was restored from a backup agrees with itself. What was signed since then is known outside of it: to
the signer, to folders, repositories and object stores that hold checkpoints, and to witnesses, which tell a size only.
The table ledger.anchor says nothing here, for it was restored together with the log.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread

import httpx
import psycopg

from audit.adapters.anchor import Anchor, ReadableAnchor, SizeAnchor, checkpoint_read
from audit.errors import AnchorContradictionError, AnchorError, AuditError, CorruptLogError
from audit.sequencing import LogRow
from modelnotary.ledger.checkpoint import checkpoint_open
from modelnotary.ledger.errors import LedgerError, TreeError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.tree import stored_nodes, subtree_root

SIGNER = "the signer"
_SIGNER_SECONDS = 5.0
_HEAD = "SELECT size FROM ledger.head WHERE log_id = %s"
_FIRST_KEPT = "SELECT min_index FROM ledger.log WHERE log_id = %s"
_NEWEST = "SELECT note FROM ledger.checkpoint WHERE log_id = %s ORDER BY size DESC LIMIT 1"
_LEAVES = "SELECT leaf FROM ledger.entry WHERE log_id = %s AND seq >= %s AND seq < %s ORDER BY seq"
_NODES = "SELECT hash FROM ledger.node WHERE log_id = %s AND level = %s AND idx >= %s AND idx < %s ORDER BY idx"


@dataclass(frozen=True, slots=True)
class Testimony:
    """What somewhere outside the database is known of a log.

    Attributes:
        source: Who says so, in words that anyone may read: no address.
        size: How many entries the log had at least.
        note: The signed checkpoint; None from a witness, which tells a size only.
        fault: In words, a contradiction that the source itself noticed.
    """

    source: str
    size: int
    note: bytes | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that is known outside of a log, and who could not be asked.

    Attributes:
        testimonies: What was told.
        silent: Why there is no answer, in words, by who was asked: SIGNER or the kind and location of an anchor.
    """

    testimonies: tuple[Testimony, ...]
    silent: Mapping[str, str]

    def newest(self) -> Testimony | None:
        """Give the one with the largest signed checkpoint; the signer's before another of the same size."""
        signed = [item for item in self.testimonies if item.note is not None]
        return max(signed, key=lambda item: (item.size, item.source == SIGNER), default=None)

    def unshown(self) -> list[str]:
        """Say who knows more entries than any signed checkpoint that was found."""
        newest = self.newest()
        size = newest.size if newest else 0
        return [
            f"{item.source} knows {item.size} entries, and no signed checkpoint of them was found"
            for item in self.testimonies
            if item.size > size
        ]


type Question = Callable[[], Testimony | None]
"""Asks somebody outside what is known of a log; None when nothing is."""


def checkpoint_newest(connection: psycopg.Connection, log: LogRow) -> bytes | None:
    """Give the newest signed checkpoint that the database has of a log."""
    row = connection.execute(_NEWEST, (log.log_id,)).fetchone()
    return None if row is None else str(row[0]).encode()


def outlook(
    log: LogRow,
    *,
    newest: bytes | None,
    signer_url: str,
    anchors: Sequence[Anchor],
    keys: LogKeys | None,
    patience: float,
) -> Outlook:
    """Ask the signer, and every anchor that can be read back, what they know of a log; all at once.

    Args:
        log: The log.
        newest: Its newest checkpoint in the database: what a witness is shown.
        signer_url: Where the signer answers.
        anchors: The places where checkpoints are published.
        keys: The log's keys; what lies in a place and they did not sign is not believed. None when they are not known.
        patience: For how many seconds to wait for answers.
    """
    questions: dict[str, Question] = {SIGNER: partial(_signer_ask, signer_url, log)}
    for anchor in anchors:
        source, place = f"a {anchor.kind.label.lower()} outside", f"the {anchor.kind.label.lower()} {anchor.location}"
        if isinstance(anchor, ReadableAnchor):
            questions[place] = partial(_anchor_ask, anchor, source, log, keys)
        elif isinstance(anchor, SizeAnchor) and newest:
            questions[place] = partial(_witness_ask, anchor, source, newest)
    return _asked(questions, patience)


def _asked(questions: dict[str, Question], patience: float) -> Outlook:
    """Put all questions at once. A thread whose answer does not come keeps neither us nor the end of the process."""
    answers: SimpleQueue[tuple[str, Testimony | None, str | None]] = SimpleQueue()

    def ask(source: str, question: Question) -> None:
        try:
            answers.put((source, question(), None))
        except (AuditError, LedgerError, httpx.HTTPError, OSError) as error:
            answers.put((source, None, f"{source}: {error}"))

    for source, question in questions.items():
        Thread(target=ask, args=(source, question), daemon=True).start()
    silent = {source: f"{source} has not answered for {patience:.0f} seconds" for source in questions}
    testimonies, until = [], time.monotonic() + patience
    for _ in questions:
        try:
            source, testimony, fault = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        del silent[source]
        silent |= {source: fault} if fault else {}
        testimonies += [testimony] if testimony else []
    return Outlook(tuple(testimonies), silent)


def _signer_ask(signer_url: str, log: LogRow) -> Testimony | None:
    # The signer is a neighbour: a proxy of the machine's environment is for the world outside.
    answer = httpx.get(f"{signer_url}/logs/{log.name}/checkpoint", timeout=_SIGNER_SECONDS, trust_env=False)
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return None
    if answer.status_code != HTTPStatus.OK:
        raise AnchorError(f"status {answer.status_code}: {answer.text[:200].strip()}")
    return _signed(SIGNER, answer.content, log, None)


def _anchor_ask(anchor: ReadableAnchor, source: str, log: LogRow, keys: LogKeys | None) -> Testimony | None:
    if keys is None:
        raise AnchorError("there is no trust file here to check its checkpoints with")
    note = anchor.latest(log.origin)
    return None if note is None else _signed(source, note, log, keys)


def _witness_ask(anchor: SizeAnchor, source: str, newest: bytes) -> Testimony | None:
    try:
        size = anchor.size_seen(newest)
    except AnchorContradictionError as error:
        return Testimony(source, 0, fault=str(error))
    return None if size is None else Testimony(source, size)


def _signed(source: str, note: bytes, log: LogRow, keys: LogKeys | None) -> Testimony:
    checkpoint = checkpoint_read(note) if keys is None else checkpoint_open(note, keys)
    if checkpoint.origin != log.origin:
        raise AnchorError(f"it answered with a checkpoint of {checkpoint.origin}")
    return Testimony(source, checkpoint.size, note)


def continuity_fault(connection: psycopg.Connection, log: LogRow, known: Outlook) -> str | None:
    """Say in what the database contradicts what is known outside of it; None when it does not.

    Raises:
        CorruptLogError: The database lacks a part of the log.
    """
    row = connection.execute(_HEAD, (log.log_id,)).fetchone()
    size = 0 if row is None else int(row[0])
    for testimony in known.testimonies:
        if testimony.fault:
            return testimony.fault
        if testimony.size > size:
            return (
                f"{testimony.source} knows {testimony.size} entries of {log.origin}, and the database has {size}: it "
                "was rolled back or restored from an older backup"
            )
        if _contradicts(connection, log, testimony):
            return (
                f"{testimony.source} holds a checkpoint of {testimony.size} entries of {log.origin} that the database "
                "does not bear out: its history is another one"
            )
    return None


def contradicted_sizes(connection: psycopg.Connection, log: LogRow, known: Outlook, *, size: int) -> list[int]:
    """Give the sizes, up to one, of signed checkpoints outside that the database's entries do not bear out."""
    return [item.size for item in known.testimonies if item.size <= size and _contradicts(connection, log, item)]


def _contradicts(connection: psycopg.Connection, log: LogRow, testimony: Testimony) -> bool:
    if testimony.note is None or testimony.size <= _first_kept(connection, log):
        return False  # what was archived cannot be hashed again
    return log_root(connection, log, size=testimony.size) != checkpoint_read(testimony.note).root


def _first_kept(connection: psycopg.Connection, log: LogRow) -> int:
    row = connection.execute(_FIRST_KEPT, (log.log_id,)).fetchone()
    return 0 if row is None else int(row[0])


def log_root(connection: psycopg.Connection, log: LogRow, *, size: int) -> bytes:
    """Give the root over a log's first `size` entries, at least one, from the stored leaves and subtrees.

    Raises:
        CorruptLogError: The database lacks one of them.
    """
    try:
        return subtree_root(0, size, stored_nodes(partial(_stored, connection, log)))
    except TreeError as error:
        raise CorruptLogError(f"{log.origin} has no tree of {size} entries: {error}") from error


def _stored(connection: psycopg.Connection, log: LogRow, level: int, first: int, count: int) -> list[bytes]:
    statement, place = (_NODES, (log.log_id, level)) if level else (_LEAVES, (log.log_id,))
    hashes = [bytes(row[0]) for row in connection.execute(statement, (*place, first, first + count))]
    if len(hashes) != count:
        raise CorruptLogError(f"{log.origin} lacks hashes {first} to {first + count - 1} of level {level}")
    return hashes
