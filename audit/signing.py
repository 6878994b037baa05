"""The signer: signs a log's head only after checking for itself that it extends everything it ever signed.

It has its own identity (a read-only database role), its own keys and its own durable memory. It does not believe the
stored tree: it keeps the frontier of the last tree that it signed, hashes every entry after it from the stored bytes,
and signs only if that gives the head's root. A superuser who rewrites history can change the database, not this memory.

Asking it to sign is not a privilege: whoever asks, the answer depends on the log alone.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

import psycopg
from django.conf import settings

from audit.enums import Log, Refusal
from audit.errors import SigningRefusedError
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.errors import TreeError
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tree import Frontier

logger = logging.getLogger(__name__)

REFUSAL_HEADER = "Notary-Refusal"
_ROWS_AT_ONCE = 4096
_BODIES = """
SELECT b.bytes FROM ledger.log l JOIN ledger.entry e USING (log_id)
  JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
 WHERE l.origin = %s AND e.seq >= %s AND e.seq < %s ORDER BY e.seq
"""
_HEAD = "SELECT h.size, h.root FROM ledger.head h JOIN ledger.log l USING (log_id) WHERE l.origin = %s"


@dataclass(frozen=True, slots=True)
class SignerMemory:
    """The last tree signed for one origin, kept in a file that is replaced as a whole and flushed to disk.

    Args:
        path: The file; its folder exists.
        origin: The log's origin.
    """

    path: Path
    origin: str

    def load(self) -> Frontier:
        """Give the tree last signed; an empty one before the first signature.

        Raises:
            SigningRefusedError: The file is damaged or belongs to another log. Restore it from its backup.
        """
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            frontier = Frontier(kept["size"], [bytes.fromhex(value) for value in kept["frontier"]])
            belongs = kept["origin"] == self.origin and kept["root"] == frontier.root().hex()
        except FileNotFoundError:
            return Frontier()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, TreeError) as error:
            raise SigningRefusedError(
                f"the signer's memory {self.path} cannot be read: {error}", kind=Refusal.MEMORY
            ) from error
        if not belongs:
            raise SigningRefusedError(
                f"the signer's memory {self.path} is not that of {self.origin}, or is damaged", kind=Refusal.MEMORY
            )
        return frontier

    def store(self, frontier: Frontier) -> None:
        """Remember a tree, on disk before this returns."""
        kept = {
            "origin": self.origin,
            "size": frontier.size,
            "root": frontier.root().hex(),
            "frontier": [value.hex() for value in frontier.hashes],
        }
        fresh = self.path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class LogSigner:
    """Signs the checkpoints of one origin.

    Args:
        key: The origin's key; its name is the origin.
        memory: What was signed before.
        connect: Opens a connection of the read-only signer role.
    """

    def __init__(self, *, key: NoteSigner, memory: SignerMemory, connect: Callable[[], psycopg.Connection]) -> None:
        self._key, self._memory, self._connect = key, memory, connect
        self._lock = Lock()

    def head_sign(self) -> bytes:
        """Sign the log's present head.

        1. Recall the tree signed last.
        2. Read the head; refuse one that is smaller.
        3. Hash the stored bytes of every entry after the remembered tree, and extend that tree by them.
        4. Refuse unless the result is the head's root.
        5. Remember the tree, on disk.
        6. Sign.

        What it does not check: that the head is the newest one (the database may hold entries back), and what the
        entries say.

        Raises:
            SigningRefusedError: One of the checks failed; nothing is signed and nothing is remembered.
        """
        with self._lock, self._connect() as connection:
            frontier = self._memory.load()  # 1
            size, root = self._head(connection, frontier)  # 2
            frontier.extend(leaf_hash(body) for body in self._bodies(connection, frontier.size, size))  # 3
            if (frontier.size, frontier.root()) != (size, root):  # 4
                raise SigningRefusedError(
                    f"{self._memory.origin}: the head of size {size} does not extend what was signed before; the "
                    f"entries stored after it give {frontier.size} leaves and root {frontier.root().hex()}, the head "
                    f"says {root.hex()}",
                    kind=Refusal.NOT_EXTENDING,
                )
            self._memory.store(frontier)  # 5
            return checkpoint_sign(Checkpoint(self._memory.origin, size, root), self._key)  # 6

    def last_sign(self) -> bytes | None:
        """Sign once more the tree that was signed last, whatever the database holds now; None when none was.

        That is what the log said of itself when it was last seen: a log that came back smaller is held against it.

        Raises:
            SigningRefusedError: The memory cannot be read.
        """
        with self._lock:
            frontier = self._memory.load()
        if not frontier.size:
            return None
        return checkpoint_sign(Checkpoint(self._memory.origin, frontier.size, frontier.root()), self._key)

    def _head(self, connection: psycopg.Connection, frontier: Frontier) -> tuple[int, bytes]:
        row = connection.execute(_HEAD, (self._memory.origin,)).fetchone()
        if row is None:
            raise SigningRefusedError(f"the database has no log {self._memory.origin}", kind=Refusal.UNKNOWN_LOG)
        size, root = row
        if size < frontier.size:
            raise SigningRefusedError(
                f"{self._memory.origin}: the head has size {size}, but size {frontier.size} was signed before; "
                "the database was rolled back or restored from an older backup",
                kind=Refusal.ROLLED_BACK,
            )
        return size, bytes(root)

    def _bodies(self, connection: psycopg.Connection, start: int, end: int) -> Iterator[bytes]:
        with connection.cursor(name="bodies", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(_BODIES, (self._memory.origin, start, end))
            for (body,) in cursor:
                yield bytes(body)


def log_signer(*, log: Log, memory: Path) -> LogSigner:
    """Give the signer of one of this instance's logs.

    Args:
        log: The log.
        memory: The folder of what was signed before; made when missing.

    Raises:
        KeyFileError: The log's key cannot be read.
    """
    memory.mkdir(mode=0o700, parents=True, exist_ok=True)
    origin = f"{settings.NOTARY_INSTANCE}/{log.value}"
    return LogSigner(
        key=NoteSigner(origin, key_load(settings.KEYS_DIR / f"{log.value}.key")),
        memory=SignerMemory(memory / f"{log.value}.json", origin),
        connect=partial(psycopg.connect, settings.ROLE_DATABASE_URLS["SIGNER_DATABASE_URL"]),
    )


def _checkpoint_or_reason(sign: Callable[[], bytes | None]) -> tuple[HTTPStatus, bytes, Refusal | None]:
    try:
        note = sign()
    except SigningRefusedError as error:
        logger.error("signing refused: %s", error)  # noqa: TRY400 - the reason says it all
        return HTTPStatus.CONFLICT, f"{error}\n".encode(), error.kind
    except (psycopg.Error, OSError):
        logger.exception("database not reached, or memory not written")
        return HTTPStatus.SERVICE_UNAVAILABLE, b"the signer cannot reach its database or write its memory\n", None
    if note is None:
        return HTTPStatus.NO_CONTENT, b"", None
    return HTTPStatus.OK, note, None


def signer_server(address: tuple[str, int], signers: dict[str, LogSigner]) -> ThreadingHTTPServer:
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
                self._answer(*_checkpoint_or_reason(signer.head_sign))

        def do_GET(self) -> None:
            if signer := self._signer():
                self._answer(*_checkpoint_or_reason(signer.last_sign))

        def _signer(self) -> LogSigner | None:
            name = self.path.removeprefix("/logs/").removesuffix("/checkpoint")
            if self.path == f"/logs/{name}/checkpoint" and name in signers:
                return signers[name]
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
