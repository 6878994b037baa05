"""Servers of somebody else, on this machine: a timestamp authority made of OpenSSL, a witness, and one that lies."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

from modelnotary.ledger.note import NoteVerifier
from modelnotary.ledger.witness import Witness
from modelnotary.witness_memory import WitnessFolder
from modelnotary.witness_server import WitnessDesk, witness_server

type Reply = tuple[int, str, bytes]

_CONFIGURATION = """
[tsa]
dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[extensions]
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)


class OpensslAuthority:
    """A timestamp authority: a root certificate, one for timestamps, and what answers a query."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=folder))
        new_key = ("req", "-newkey", "rsa:2048", "-noenc")
        for command in (
            (*new_key, "-x509", "-subj", "/CN=root", "-days", "2", "-keyout", "root.key", "-out", "root.pem"),
            (*new_key, "-subj", "/CN=timestamps", "-keyout", "tsa.key", "-out", "tsa.csr"),
            (
                *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-out", "tsa.pem"),
                *("-days", "2", "-extfile", "tsa.cnf", "-extensions", "extensions"),
            ),
        ):
            assert not openssl(folder, *command).returncode

    def reply(self, query: bytes) -> Reply:
        """What the authority answers to a query, in DER."""
        (self.folder / "query").write_bytes(query)
        made = openssl(
            self.folder, "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query", "-out", "reply"
        )
        assert not made.returncode, made.stderr
        return 200, "application/timestamp-reply", (self.folder / "reply").read_bytes()

    def verify(self, token: bytes, data: bytes) -> bool:
        """Whether OpenSSL accepts the token as a timestamp of the data."""
        (self.folder / "token").write_bytes(token)
        (self.folder / "data").write_bytes(data)
        command = ("ts", "-verify", "-token_in", "-in", "token", "-data", "data", "-CAfile", "root.pem")
        return "Verification: OK" in openssl(self.folder, *command).stdout


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
