"""Servers of somebody else, on this machine: a witness, and one that answers whatever it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

from timestamp_authority import Reply

from modelnotary.ledger.note import NoteVerifier
from modelnotary.ledger.witness import Witness
from modelnotary.witness_memory import WitnessFolder
from modelnotary.witness_server import WitnessDesk, witness_server


@contextmanager
def served(reply: Callable[[bytes], Reply]) -> Iterator[str]:
    """Answer every POST; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, kind, body = reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with running(HTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


@contextmanager
def witness_running(folder: WitnessFolder, *logs: NoteVerifier) -> Iterator[str]:
    """Run our own witness on a folder; give its address."""
    keys = {log.name: [log] for log in logs}
    desk = WitnessDesk(witness=Witness(keys), cosigner=folder.cosigner(), folder=folder, clock=lambda: 1_795_255_200)
    server: ThreadingHTTPServer = witness_server(("127.0.0.1", 0), desk)
    with running(server) as address:
        yield address


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
