"""A witness for other organisations' logs, over HTTP (C2SP tlog-witness v1.0.0): ``POST …/add-checkpoint``.

200 with the cosignature; 400 for a malformed or backward request, 403 unless the log signed it, 404 for a log that is
not followed, 409 with the size seen last, 422 for a tree that does not extend the last one; 411 and 413 for a body
without a length or too long, 503 when the memory cannot be written.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from modelnotary.ledger.add_checkpoint import MAX_REQUEST_BYTES, signatures_write
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.witness import Witness
from modelnotary.witness_memory import WitnessFolder, WitnessMemoryError

logger = logging.getLogger(__name__)

_PATH = "/add-checkpoint"
_TEXT = "text/plain; charset=utf-8"
_SOCKET_SECONDS = 20.0

type Answer = tuple[HTTPStatus, str, bytes]


class WitnessDesk:
    """Decides on requests one after the other, remembers, then cosigns.

    Args:
        witness: the logs it follows.
        cosigner: its key.
        folder: its memory; the caller holds it.
        clock: gives the present in seconds since 1970.
    """

    def __init__(
        self, *, witness: Witness, cosigner: Cosigner, folder: WitnessFolder, clock: Callable[[], int]
    ) -> None:
        self._witness, self._cosigner, self._folder, self._clock = witness, cosigner, folder, clock
        self._lock = Lock()

    def answer(self, request: bytes) -> Answer:
        """Give status, content type and body for the body of a request.

        Raises:
            WitnessMemoryError: the memory cannot be read or written; nothing was signed.
        """
        with self._lock:
            ruling = self._witness.decide(request, self._folder.last)
            if ruling.checkpoint is None or ruling.head is None:
                logger.warning("refused (%s): %s", ruling.verdict.word, ruling.reason)
                if ruling.verdict.accuses_log:
                    self._folder.evidence_keep(request)
                return ruling.verdict.status, *ruling.refusal
            self._folder.remember(ruling.checkpoint.origin, ruling.head)
            signature = self._cosigner.sign(ruling.checkpoint, at=self._clock())
        logger.info("cosigned %s at %d", ruling.checkpoint.origin, ruling.checkpoint.size)
        return HTTPStatus.OK, _TEXT, signatures_write([signature])


def witness_server(address: tuple[str, int], desk: WitnessDesk) -> ThreadingHTTPServer:
    """Give an HTTP server that asks ``desk``.

    Args:
        address: host and port to listen on.
        desk: who decides.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SOCKET_SECONDS

        def do_POST(self) -> None:
            if self.path != _PATH:
                self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"only /add-checkpoint is served here\n")
                return
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
                self._answer(HTTPStatus.LENGTH_REQUIRED, _TEXT, b"state the length of the request\n")
            elif len(length) > len(str(MAX_REQUEST_BYTES)) or int(length) > MAX_REQUEST_BYTES:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TEXT, b"the request is too long\n")
            else:
                self._answer(*_decided(desk, self.rfile.read(int(length))))

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            logger.debug(format, *args)

    return ThreadingHTTPServer(address, Handler)


def _decided(desk: WitnessDesk, request: bytes) -> Answer:
    try:
        return desk.answer(request)
    except WitnessMemoryError:
        logger.exception("nothing is cosigned")
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"the witness cannot read or write its memory\n"
