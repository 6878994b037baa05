"""Opening the successor of a log that a restored backup left behind what was signed (docs/restore.md).

In one transaction, in which nobody else can append: what had waited for its place in the frozen log gets it, the log is
sealed, its successor is opened with the incarnation entry, and repeats what the old log's checkpoints do not prove.
Before it come the new key and its place in the trust file, each made once: killed anywhere, the same call goes on.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg.rows import class_row

from audit.continuity import Outlook, Testimony, contradicted_sizes, log_root
from audit.enums import LineageEvent, Log
from audit.errors import RestoreError
from audit.keys import file_replace, log_keys_make, second_key_file
from audit.sequencing import LogRow, batch_sequence
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.incarnation import Incarnation, empty_checkpoint, successor_name
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.text import base64_text
from modelnotary.verify.trust import Trust

_PROCESS = Actor("system", "log_open", "Model Notary log_open")
_LOCK_TIMEOUT = "60s"
_NEWEST_LOG = """
SELECT log_id, name, origin, class AS log_class, state, state_reason AS reason, predecessor IS NOT NULL AS follows, size
  FROM ledger.log JOIN ledger.head USING (log_id) WHERE class = %s ORDER BY log_id DESC LIMIT 1
"""
_HEAD = "SELECT size, root, chain FROM ledger.head WHERE log_id = %s"
# What is archived cannot be hashed again; it is covered by whatever covers the first entry that is left.
_CHECKPOINTS = """
SELECT c.size, c.root, c.note FROM ledger.checkpoint c JOIN ledger.log l USING (log_id)
 WHERE log_id = %s AND c.size <= %s AND c.size > l.min_index ORDER BY c.size
"""


@dataclass(frozen=True, slots=True)
class LogState:
    """The newest log of a class: why it is in its state, whether it follows another, how many entries it has."""

    log_id: int
    name: str
    origin: str
    log_class: str
    state: str
    reason: str | None
    follows: bool
    size: int

    @property
    def row(self) -> LogRow:
        """The log as the sequencer knows it."""
        return LogRow(self.log_id, self.name, self.origin, self.log_class)


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a successor.

    Attributes:
        log: The class of log.
        predecessor: Origin of the log that was sealed.
        successor: Origin of the log that goes on.
        sealed: Entries of the predecessor.
        proven: How many of them its own checkpoints prove; the others are repeated in the successor.
        lost: From and up to, without, which index entries were signed and are gone.
        source: Where the predecessor's newest signed checkpoint was found.
    """

    log: str
    predecessor: str
    successor: str
    sealed: int
    proven: int
    lost: tuple[int, int]
    source: str


def log_newest(connection: psycopg.Connection, *, log_class: str) -> LogState:
    """Give the newest log of a class: the one that events go to, or went to until it was frozen."""
    with connection.cursor(row_factory=class_row(LogState)) as cursor:
        found = cursor.execute(_NEWEST_LOG, (log_class,)).fetchone()
    if found is None:
        raise RestoreError(f"there is no log {log_class}")
    return found


def frozen_require(connection: psycopg.Connection, *, log_class: str) -> LogState | None:
    """Give the frozen log whose successor is to be opened; None when that was done before and the successor is active.

    Raises:
        RestoreError: The log is active and follows no other: nothing was restored.
    """
    newest = log_newest(connection, log_class=log_class)
    if newest.state == "frozen":
        return newest
    if newest.state == "active" and newest.follows:
        return None
    raise RestoreError(
        f"log {newest.name} is {newest.state}, not frozen: only a log whose database came back older than what was "
        "signed has a successor"
    )


def successor_trust(newest: LogState, *, trust: Path) -> str:
    """Make the keys of a successor unless they are there, name them in the trust file unless it does, and say so.

    A log whose checkpoints bear a second signature (ML-DSA-44) is followed by one whose checkpoints do.

    Args:
        newest: The newest log of its class: the frozen one, or the successor if it is open already.
        trust: The trust file.

    Raises:
        KeyUnavailableError: A key cannot be used.
        KeyFileError: A key's file cannot be read or written.
        TrustError: The trust file cannot be read.
        RestoreError: It cannot be written, or names another key.
    """
    name, lasting = newest.name, False
    if newest.state == "frozen":
        name, lasting = successor_name(name), second_key_file(name).exists()
    keys = log_keys_make(name, lasting=lasting)
    known = Trust.from_file(trust)
    named = known.log_verifier(keys.name)
    if named is None:
        known = replace(known, logs=(*known.logs, keys))
        try:
            file_replace(trust, known.to_bytes())
        except OSError as error:
            raise RestoreError(f"cannot write {trust}: {error.strerror}") from error
    elif named.keys[0] != keys.keys[0]:
        raise RestoreError(f"{trust} names another key of {keys.name} than the one that is here; bring that one back")
    return f"{trust} names the key of {keys.name}; its fingerprint is {known.fingerprint}"


def successor_open(
    connection: psycopg.Connection,
    *,
    log_class: str,
    known: Outlook,
    keys: LogKeys,
    reason: str,
    approvers: Sequence[Actor],
    at: datetime,
) -> Opened | None:
    """Seal the frozen log of a class and open its successor, in one transaction.

    Args:
        connection: Of the migrator, outside a transaction.
        log_class: `lineage` or `access`.
        known: What is known of the log outside of the database.
        keys: The frozen log's keys.
        reason: Why the database was restored.
        approvers: Two people, who have proven who they are.
        at: The present, aware.

    Returns:
        What was done; None when the successor was open already.

    Raises:
        RestoreError: Nothing is frozen, nothing signed was found, or writers do not end their transactions.
        IncarnationError: The approvers or the reason will not do, or what was found contradicts itself.
    """
    try:
        with connection.transaction():
            _writers_shut_out(connection)
            frozen = frozen_require(connection, log_class=log_class)
            if frozen is None:
                return None
            return _succeed(connection, frozen, known, keys, reason, tuple(approvers), at)
    except psycopg.errors.LockNotAvailable as error:
        raise RestoreError(
            f"transactions that may still write to log {log_class} have not ended for {_LOCK_TIMEOUT}; stop the web "
            "and worker processes, or end what pg_stat_activity shows, and say the same command again"
        ) from error


def _writers_shut_out(connection: psycopg.Connection) -> None:
    """Wait for every transaction that has appended, or still may, and let no other begin to.

    To append is to read ledger.log first, and that lock is held until the transaction ends. A sequencer that makes
    partitions holds its own lock and reads the table then, so that one is taken before.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('ledger.partitions_ahead'))")
    connection.execute("LOCK TABLE ledger.log IN ACCESS EXCLUSIVE MODE")


def _succeed(  # noqa: PLR0917 - passed on
    connection: psycopg.Connection,
    frozen: LogState,
    known: Outlook,
    keys: LogKeys,
    reason: str,
    approvers: tuple[Actor, ...],
    at: datetime,
) -> Opened:
    left = frozen.size
    while batch_sequence(connection, frozen.row, state="frozen"):
        pass
    restored, chain = _head(connection, frozen)
    contradicted = contradicted_sizes(connection, frozen.row, known, size=left)
    covered, note = _covered(connection, frozen, keys, min((left, *(size - 1 for size in contradicted))))
    newest = known.newest()
    if newest is None or newest.size < covered.size:
        newest = Testimony("the database itself", covered.size, note)
    told = Incarnation(
        note=_believed(newest, frozen, keys),
        restored=restored,
        chain=chain,
        covered=covered,
        lost=(covered.size if contradicted else min(left, newest.size), newest.size),
        reason=reason,
        approvers=approvers,
    )
    _open(connection, frozen, told, at)
    return Opened(
        frozen.log_class, frozen.origin, told.successor, restored.size, covered.size, told.lost, newest.source
    )


def _head(connection: psycopg.Connection, log: LogState) -> tuple[Checkpoint, bytes]:
    size, root, chain = connection.execute(_HEAD, (log.log_id,)).fetchall()[0]
    return Checkpoint(log.origin, size, bytes(root)), bytes(chain)


def _believed(testimony: Testimony, log: LogState, keys: LogKeys) -> str:
    """The testimony's note, once the log's key is found to have signed it."""
    if testimony.note is None:
        raise RestoreError(
            f"no signed checkpoint of {log.origin} was found, outside or inside the database; start the signer, or "
            "give back what ANCHORS names"
        )
    try:
        checkpoint_open(testimony.note, keys)
    except LedgerError as error:
        raise RestoreError(f"what {testimony.source} holds of {log.origin} does not verify: {error}") from error
    return testimony.note.decode()


def _covered(
    connection: psycopg.Connection, log: LogState, keys: LogKeys, size: int
) -> tuple[Checkpoint, bytes | None]:
    """The largest stored checkpoint of at most this size that the entries bear out.

    They bear out none larger than one that they do not.
    """
    stored = connection.execute(_CHECKPOINTS, (log.log_id, size)).fetchall()
    count = bisect_left(stored, True, key=lambda row: log_root(connection, log.row, size=row[0]) != bytes(row[1]))  # noqa: FBT003
    if not count:
        return empty_checkpoint(log.origin), None
    note = str(stored[count - 1][2]).encode()
    try:
        return checkpoint_open(note, keys), note
    except LedgerError as error:
        raise RestoreError(f"a stored checkpoint of {log.origin} does not verify: {error}") from error


def _open(connection: psycopg.Connection, frozen: LogState, told: Incarnation, at: datetime) -> None:
    entry = _event(frozen.log_class, LineageEvent.LOG_INCARNATION, told.successor, told.to_data(), at)
    connection.execute(
        "SELECT ledger.log_open(%s, %s, %s, %s, %s)",
        (frozen.origin, told.covered.size, successor_name(frozen.name), told.successor, entry),
    )
    sealed: dict[str, Json] = {
        "size": told.restored.size,
        "root": base64_text(told.restored.root),
        "chain": base64_text(told.chain),
        "successor": told.successor,
    }
    # The lineage log tells of every sealing, that of the access log too.
    said = _event(Log.LINEAGE.value, LineageEvent.LOG_SEALED, told.predecessor, sealed, at)
    connection.execute("SELECT ledger.append(%s, %s)", (Log.LINEAGE.value, said))


def _event(log: str, event: LineageEvent, origin: str, data: Mapping[str, Json], at: datetime) -> bytes:
    return Event(log, event.value, new_id("evt", at=at), at, _PROCESS, Subject("log", origin), data).to_bytes()
