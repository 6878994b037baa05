"""The signer: signs a log's head only after checking for itself that it extends everything it ever signed.

It has its own identity (a read-only database role), its own keys and its own durable memory. It does not believe the
stored tree: it keeps the frontier of the last tree that it signed, hashes every entry after it from the stored bytes,
and signs only if that gives the head's root. A superuser who rewrites history can change the database, not this memory.

Asking it to sign is not a privilege: whoever asks, the answer depends on the log alone. That includes the keys: an
entry `key.rotated` signed by the log's present key makes the signer take the next one, at that entry and not before.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

import psycopg
from django.conf import settings

from audit.enums import Log, Refusal
from audit.errors import KeyUnavailableError, SignerNotReadyError, SigningRefusedError
from audit.keys import KeyRing, key_addresses, second_key
from audit.signer_memory import Remembered, SignerMemory
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import log_class, log_number
from modelnotary.ledger.log_keys import ROTATION_EVENT, LogKeys, rotation_of
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner, NoteVerifier, note_extend
from modelnotary.ledger.signature_types import ED25519
from modelnotary.ledger.tree import Frontier
from modelnotary.times import format_time

logger = logging.getLogger(__name__)

REFUSAL_HEADER = "Notary-Refusal"
CLOCK_BACK = timedelta(seconds=1)
"""How far the clock may have gone back since the last signature: what stepping over a leap second takes."""
CLOCKS_APART = timedelta(minutes=5)
"""How far this machine's clock and the database's may be apart."""
_ROWS_AT_ONCE = 4096
_ROTATION_MARK = f'"type":"{ROTATION_EVENT}"'.encode()
_BODIES = """
SELECT b.bytes FROM ledger.log l JOIN ledger.entry e USING (log_id)
  JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
 WHERE l.origin = %s AND e.seq >= %s AND e.seq < %s ORDER BY e.seq
"""
_HEAD = """
SELECT h.size, h.root, clock_timestamp(), l.min_index FROM ledger.head h JOIN ledger.log l USING (log_id)
 WHERE l.origin = %s
"""
_STORED = """
SELECT c.size, c.note FROM ledger.checkpoint c JOIN ledger.log l USING (log_id)
 WHERE l.origin = %s AND c.size >= %s AND c.size <= coalesce(%s, c.size) ORDER BY c.size DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class _Head:
    size: int
    root: bytes
    clock: datetime


class LogSigner:
    """Signs the checkpoints of one origin.

    Args:
        keys: The private keys that can be reached.
        memory: What was signed before.
        connect: Opens a connection of the read-only signer role.
        second: A key that adds a second line, secure against quantum computers.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        memory: SignerMemory,
        connect: Callable[[], psycopg.Connection],
        second: Cosigner | None = None,
    ) -> None:
        self._ring, self._memory, self._connect, self._second = keys, memory, connect, second
        self._lock = Lock()

    def head_sign(self, *, now: datetime) -> bytes:
        """Sign the log's present head; or, once for each rotation, the checkpoint by which a key hands over.

        1. Recall what was signed last.
        2. Read the head; refuse one that is smaller.
        3. Compare the clock with that of the last signature and with the database's.
        4. Hash the stored bytes of every entry after the remembered tree, extend that tree by them, and follow the
           log's keys.
        5. Refuse unless the result is the head's root, and passes through the newest stored checkpoint that bears a
           signature of this log's own.
        6. Find the keys that sign at this size.
        7. Sign.
        8. Remember tree, keys and time, on disk, before the signature leaves.

        What it does not check: that the head is the newest one (the database may hold entries back), and what the
        entries say.

        Args:
            now: The present, aware.

        Raises:
            SigningRefusedError: The log contradicts what was signed before, or the memory is damaged.
            SignerNotReadyError: The clock cannot be relied on, another signer holds the memory, or entries that the
                memory does not have yet were archived and dropped.
            KeyUnavailableError: A key that has to sign cannot be used.
        """
        with self._lock, self._memory.held(), self._connect() as connection:
            remembered = self._memory.load()  # 1
            head = self._head(connection, remembered.frontier)  # 2
            time = _time_checked(now, remembered.time, head.clock)  # 3
            known = remembered.keys or self._first_key()
            target = replace(remembered, keys=known)
            if not self._handover_waits(connection, remembered):
                target = self._extended(connection, remembered.frontier, known, head)  # 4, 5
            assert target.keys is not None
            signers = self._signers(target.keys, target.frontier.size)  # 6
            note = self._signed(target.frontier, signers, time)  # 7
            self._memory.store(replace(target, time=time))  # 8
            return note

    def last_sign(self) -> bytes | None:
        """Sign once more the tree that was signed last, whatever the database holds now; None when none was.

        That is what the log said of itself when it was last seen: a log that came back smaller is held against it.

        Raises:
            SigningRefusedError: The memory cannot be read.
            KeyUnavailableError: A key that has to sign cannot be used.
        """
        with self._lock:
            remembered = self._memory.load()
            if not remembered.frontier.size:
                return None
            signers = self._signers(remembered.keys or self._first_key(), remembered.frontier.size)
            return self._signed(remembered.frontier, signers, remembered.time)

    def _first_key(self) -> LogKeys:
        return LogKeys.of(NoteVerifier(self._memory.origin, ED25519, self._ring.first().public_bytes_raw()))

    def _signers(self, keys: LogKeys, size: int) -> list[NoteSigner]:
        return [self._signer(key) for key in keys.signing(size)]

    def _signed(self, frontier: Frontier, signers: list[NoteSigner], time: datetime | None) -> bytes:
        checkpoint = Checkpoint(self._memory.origin, frontier.size, frontier.root())
        note = checkpoint_sign(checkpoint, *signers)
        if self._second is None or time is None:
            return note
        return note_extend(note, [self._second.sign(checkpoint, at=int(time.timestamp()))])

    def _head(self, connection: psycopg.Connection, frontier: Frontier) -> _Head:
        row = connection.execute(_HEAD, (self._memory.origin,)).fetchone()
        if row is None:
            raise SigningRefusedError(f"the database has no log {self._memory.origin}", kind=Refusal.UNKNOWN_LOG)
        size, root, clock, min_index = row
        if size < frontier.size:
            raise SigningRefusedError(
                f"{self._memory.origin}: the head has size {size}, but size {frontier.size} was signed before; "
                "the database was rolled back or restored from an older backup",
                kind=Refusal.ROLLED_BACK,
            )
        if frontier.size < min_index:
            raise SignerNotReadyError(
                f"{self._memory.origin}: the signer remembers {frontier.size} entries, and the log begins at entry "
                f"{min_index}: what it would have to hash again is archived. Bring back the newest copy of its memory"
            )
        return _Head(size, bytes(root), clock)

    def _handover_waits(self, connection: psycopg.Connection, remembered: Remembered) -> bool:
        """Whether the last signature was the one by which a key hands over, and the database never got it."""
        frontier, keys = remembered.frontier, remembered.keys
        if keys is None or not frontier.size or frontier.size not in {key.from_size for key in keys.keys}:
            return False
        return not self._is_stored(connection, frontier, keys)

    def _is_stored(self, connection: psycopg.Connection, frontier: Frontier, keys: LogKeys) -> bool:
        stored = self._stored(connection, keys, frontier.size, frontier.size)
        return stored is not None and stored.root == frontier.root()

    def _stored(self, connection: psycopg.Connection, keys: LogKeys, start: int, end: int | None) -> Checkpoint | None:
        """Give the newest stored checkpoint from one size to another, if these keys signed it."""
        row = connection.execute(_STORED, (self._memory.origin, start, end)).fetchone()
        if row is None:
            return None
        try:
            return checkpoint_open(row[1].encode(), keys)
        except LedgerError as error:
            logger.warning("%s: the stored checkpoint of size %s is not ours: %s", self._memory.origin, row[0], error)
            return None

    def _extended(self, connection: psycopg.Connection, frontier: Frontier, known: LogKeys, head: _Head) -> Remembered:
        """Extend the remembered tree to the head; give that, or the tree at the first handover not yet signed."""
        origin, keys, handover, leaves = self._memory.origin, known, None, list[bytes]()
        newest = connection.execute(_STORED, (origin, frontier.size + 1, None)).fetchone()
        passed = None
        for body in self._bodies(connection, frontier.size, head.size):
            leaves.append(leaf_hash(body))
            at = frontier.size + len(leaves)
            rotated = self._rotated(keys, at - 1, body) if _ROTATION_MARK in body else keys
            if rotated != keys or len(leaves) == _ROWS_AT_ONCE or (newest is not None and at == newest[0]):
                frontier.extend(leaves)
                leaves.clear()
            if newest is not None and at == newest[0]:
                passed = frontier.root()
            if rotated != keys:
                keys = rotated
                if handover is None and not self._is_stored(connection, frontier, keys):
                    handover = Remembered(Frontier(frontier.size, frontier.hashes), keys)
        frontier.extend(leaves)
        if (frontier.size, frontier.root()) != (head.size, head.root):
            raise SigningRefusedError(
                f"{origin}: the head of size {head.size} does not extend what was signed before; the "
                f"entries stored after it give {frontier.size} leaves and root {frontier.root().hex()}, the head "
                f"says {head.root.hex()}",
                kind=Refusal.NOT_EXTENDING,
            )
        if newest is not None:
            self._require_passed(newest, passed, keys)
        return handover or Remembered(frontier, keys)

    def _require_passed(self, newest: tuple[int, str], root: bytes | None, keys: LogKeys) -> None:
        """Where the memory is older than a signature that is stored, that signature is remembered for it."""
        try:
            stored = checkpoint_open(newest[1].encode(), keys)
        except LedgerError as error:
            logger.warning("%s: the stored checkpoint of size %s is not ours: %s", keys.name, newest[0], error)
            return
        if stored.root != root:
            raise SigningRefusedError(
                f"{keys.name}: the stored checkpoint of size {stored.size}, which this log's own key signed, is of "
                "another history than the entries; the signer's memory is older than it",
                kind=Refusal.NOT_EXTENDING,
            )
        logger.warning("%s: the memory was older than the stored checkpoint of %s entries", keys.name, stored.size)

    def _rotated(self, keys: LogKeys, index: int, body: bytes) -> LogKeys:
        """Follow the log to its next key. An entry without the right to that changes nothing; the verifier names it."""
        try:
            event = Event.from_bytes(body)
            if event.type != ROTATION_EVENT:
                return keys
            return keys.rotated(index, rotation_of(event, self._memory.origin))
        except LedgerError as error:
            logger.error("%s: entry %s is no rotation of its key: %s", self._memory.origin, index, error)  # noqa: TRY400
            return keys

    def _signer(self, key: NoteVerifier) -> NoteSigner:
        try:
            return NoteSigner(self._memory.origin, self._ring.find(key.public_key))
        except KeyUnavailableError as error:
            raise KeyUnavailableError(
                f"the key {key.key_id.hex()} of {self._memory.origin} cannot be used: {error}"
            ) from error

    def _bodies(self, connection: psycopg.Connection, start: int, end: int) -> Iterator[bytes]:
        with connection.cursor(name="bodies", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(_BODIES, (self._memory.origin, start, end))
            for (body,) in cursor:
                yield bytes(body)


def _time_checked(now: datetime, last: datetime | None, database: datetime) -> datetime:
    """Give the time of this signature, which is never before that of the last one.

    A clock far ahead is told by the database's: it is refused before it is remembered, so that the right time is not
    refused for as long afterwards. Where both are wrong together, `signer --accept-clock` forgets what they said.

    Raises:
        SignerNotReadyError: One of the clocks is wrong.
    """
    if abs(now - database) > CLOCKS_APART:
        raise SignerNotReadyError(
            f"the signer's clock says {format_time(now)} and the database's {format_time(database)}, more than "
            f"{CLOCKS_APART} apart; one of them is wrong, and nothing is signed until they agree"
        )
    if last is not None and now < last - CLOCK_BACK:
        raise SignerNotReadyError(
            f"the clock says {format_time(now)}, but the last signature was made at {format_time(last)}; nothing is "
            "signed until the clock is past that time, or, if that time was wrong, until the signer is started with "
            "--accept-clock"
        )
    return now if last is None else max(now, last)


def log_memory(*, log: str, folder: Path) -> SignerMemory:
    """Give what the signer of one of this instance's logs remembers; its folder is made when missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SignerMemory(folder / f"{log}.json", f"{settings.NOTARY_INSTANCE}/{log}")


def log_signer(*, log: str, memory: Path) -> LogSigner:
    """Give the signer of one of this instance's logs. Its keys are opened when they are needed.

    Args:
        log: The log's name.
        memory: The folder of what was signed before; made when missing.
    """
    return LogSigner(
        keys=KeyRing(partial(key_addresses, str(log))),
        memory=log_memory(log=log, folder=memory),
        connect=partial(psycopg.connect, settings.ROLE_DATABASE_URLS["SIGNER_DATABASE_URL"]),
        second=second_key(str(log)),
    )


class LogSigners:
    """The signers of this instance's logs by name. Those of successors are made when they are first asked for.

    Args:
        memory: The folder of what was signed before.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._lock = Lock()
        self._made: dict[str, LogSigner] = {}

    def get(self, name: str) -> LogSigner | None:
        """Give the signer of a log; None when this instance has no such log, or no key of it."""
        if log_class(name) not in Log.values or not (log_number(name) == 1 or key_addresses(name)):
            return None
        with self._lock:
            if name not in self._made:
                self._made[name] = log_signer(log=name, memory=self._memory)
            return self._made[name]


def _checkpoint_or_reason(sign: Callable[[], bytes | None]) -> tuple[HTTPStatus, bytes, Refusal | None]:
    try:
        note = sign()
    except SigningRefusedError as error:
        logger.error("signing refused: %s", error)  # noqa: TRY400 - the reason says it all
        return HTTPStatus.CONFLICT, f"{error}\n".encode(), error.kind
    except (KeyUnavailableError, SignerNotReadyError) as error:
        logger.error("cannot sign now: %s", error)  # noqa: TRY400 - the reason says it all
        return HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode(), None
    except (psycopg.Error, OSError):
        logger.exception("database not reached, or memory not written")
        return HTTPStatus.SERVICE_UNAVAILABLE, b"the signer cannot reach its database or write its memory\n", None
    if note is None:
        return HTTPStatus.NO_CONTENT, b"", None
    return HTTPStatus.OK, note, None


def signer_server(address: tuple[str, int], signers: LogSigners | dict[str, LogSigner]) -> ThreadingHTTPServer:
    """Give an HTTP server that answers `POST /logs/NAME/checkpoint`, and `GET` for what was signed last.

    200 with a signed checkpoint, 204 to GET when nothing was signed yet, 404 for another address, 409 with the reason
    for refusing and its `Refusal` in the header REFUSAL_HEADER, 503 when it cannot work.

    Args:
        address: Host and port to listen on.
        signers: The signer of each log, by the log's name.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if signer := self._signer():
                self._answer(*_checkpoint_or_reason(partial(signer.head_sign, now=datetime.now(UTC))))

        def do_GET(self) -> None:
            if signer := self._signer():
                self._answer(*_checkpoint_or_reason(signer.last_sign))

        def _signer(self) -> LogSigner | None:
            name = self.path.removeprefix("/logs/").removesuffix("/checkpoint")
            signer = signers.get(name) if self.path == f"/logs/{name}/checkpoint" else None
            if signer:
                return signer
            self._answer(HTTPStatus.NOT_FOUND, f"no log at {self.path}\n".encode(), None)
            return None

        def _answer(self, status: HTTPStatus, body: bytes, refusal: Refusal | None) -> None:
            self.send_response(status)
            if refusal:
                self.send_header(REFUSAL_HEADER, refusal.value)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            logger.debug(format, *args)

    return ThreadingHTTPServer(address, Handler)
