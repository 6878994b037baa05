"""A witness over real HTTP: it cosigns what extends the last tree, and neither a kill nor a race makes it forget."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import reference_tree as reference
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.ledger.add_checkpoint import AddCheckpoint, signatures_parse, size_parse
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.cosignature import cosignatures_verify
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner, NoteVerifier
from modelnotary.witness_memory import WitnessFolder

ORIGIN = "notary.example/1/lineage"
LOG = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
FORGER = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
STRANGER = NoteSigner("elsewhere.example/log", LOG.private_key)
LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(40)]
OTHERS = [*LEAVES[:3], leaf_hash(b"rewritten"), *LEAVES[4:]]


def request(old: int, new: int, *, signer: NoteSigner = LOG, leaves: list[bytes] = LEAVES) -> bytes:
    checkpoint = Checkpoint(signer.name, new, reference.root(leaves[:new]))
    proof = reference.proof(old, leaves[:new]) if 0 < old <= new else []
    return AddCheckpoint(old, tuple(proof), checkpoint_sign(checkpoint, signer)).to_bytes()


class Running:
    """The witness command as a child process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        created = self._command("create", str(folder), "--name", "witness.example/1")
        self.key = NoteVerifier.from_text(subprocess.check_output(created, text=True).strip())
        self.start()

    def start(self) -> None:
        command = self._command("serve", str(self.folder), "--log", LOG.verifier.text, "--port", "0")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        found = re.search(r"at port (\d+)$", self.process.stdout.readline().strip())
        assert found, self.process.wait()
        self.port = int(found[1])

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def post(self, body: bytes, path: str = "/add-checkpoint") -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", content=body, trust_env=False, timeout=20)

    def serve_again(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Try to start a second one."""
        command = self._command("serve", str(self.folder), "--log", LOG.verifier.text, "--port", "0", *options)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-u", "-m", "modelnotary.cli", "witness", *arguments]


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "witness")
    yield running
    running.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A witness that saw nine entries and no more."""
    running = Running(tmp_path_factory.mktemp("follower") / "witness")
    require_cosigned(running, running.post(request(0, 9)), 9)
    yield running
    running.end(signal.SIGTERM)


def require_cosigned(witness: Running, answer: httpx.Response, size: int) -> None:
    assert answer.status_code == 200, answer.text
    text = Checkpoint(ORIGIN, size, reference.root(LEAVES[:size])).text
    [found] = cosignatures_verify(text, signatures_parse(answer.content), [witness.key])
    assert abs(found.time - time.time()) < 60


def test_it_follows_a_log_and_still_knows_it_after_being_killed(witness: Running) -> None:
    require_cosigned(witness, witness.post(request(0, 5)), 5)
    require_cosigned(witness, witness.post(request(5, 9)), 9)
    witness.end(signal.SIGKILL)
    witness.start()
    behind = witness.post(request(5, 12))
    assert (behind.status_code, behind.headers["content-type"]) == (409, "text/x.tlog.size")
    assert size_parse(behind.content) == 9
    require_cosigned(witness, witness.post(request(9, 12)), 12)
    require_cosigned(witness, witness.post(request(12, 12)), 12)


REFUSED = {
    "a second history of equal size": (422, request(9, 9, leaves=OTHERS)),
    "a larger tree of a second history": (422, request(9, 20, leaves=OTHERS)),
    "a tree that was rolled back": (400, request(9, 5)),
    "a tree that was rolled back, as if nothing was seen": (409, request(0, 5)),
    "a proof of another tree": (422, request(9, 20).replace(request(9, 20).split(b"\n")[1], b"A" * 43 + b"=", 1)),
    "a signature by another key": (403, request(9, 12, signer=FORGER)),
    "a log that is not followed": (404, request(9, 12, signer=STRANGER)),
    "a request without a checkpoint": (400, b"old 9\n\n"),
    "no request": (400, b""),
    "bytes that are no text": (400, b"\xff" * 100),
    "a request that is too long": (413, b"old 9\n" * 20_000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_and_forgets_nothing(follower: Running, name: str) -> None:
    status, body = REFUSED[name]
    remembered = (follower.folder / "memory.json").read_bytes()
    assert follower.post(body).status_code == status
    assert (follower.folder / "memory.json").read_bytes() == remembered
    kept = [path.read_bytes() for path in follower.folder.glob("evidence/*")]
    assert (body in kept) == (name == "a second history of equal size")
    require_cosigned(follower, follower.post(request(9, 9)), 9)


def test_it_serves_nothing_else_and_waits_for_no_length(follower: Running) -> None:
    assert follower.post(request(0, 5), "/").status_code == 404
    assert httpx.get(f"http://127.0.0.1:{follower.port}/memory.json", trust_env=False).status_code == 501
    for length in (b"", b"Content-Length: -1\r\n", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n"):
        with socket.create_connection(("127.0.0.1", follower.port), timeout=20) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n")
            assert b" 411 " in connection.recv(100)


def test_of_two_histories_sent_at_once_it_cosigns_one(witness: Running) -> None:
    require_cosigned(witness, witness.post(request(0, 3)), 3)
    bodies = [request(3, 20), request(3, 20, leaves=OTHERS), request(3, 30), request(3, 30, leaves=OTHERS)] * 3
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(witness.post, bodies))
    granted = {body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200}
    assert len(granted) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}


def test_a_second_process_and_a_lost_or_damaged_memory_are_refused(witness: Running) -> None:
    second = witness.serve_again()
    assert (second.returncode, "another process" in second.stderr) == (1, True)
    require_cosigned(witness, witness.post(request(0, 9)), 9)
    memory = witness.folder / "memory.json"
    kept = memory.read_bytes()
    for damaged in (b"", b"{}", b"[]", kept.replace(b'"size": 9', b'"size": 0'), kept[:-2], b"\xff"):
        memory.write_bytes(damaged)
        assert witness.post(request(9, 12)).status_code == 503
    memory.unlink()
    assert witness.post(request(0, 9)).status_code == 503
    witness.end(signal.SIGTERM)
    refused = witness.serve_again()
    assert (refused.returncode, "restore the memory" in refused.stderr) == (1, True)
    memory.write_bytes(kept)
    witness.start()
    require_cosigned(witness, witness.post(request(9, 12)), 12)


def test_its_files_are_its_own_and_its_key_is_never_replaced(witness: Running) -> None:
    for name in ("witness.key", "memory.json"):
        assert (witness.folder / name).stat().st_mode & 0o777 == 0o600
    assert json.loads((witness.folder / "memory.json").read_bytes())["heads"] == {}
    assert WitnessFolder(witness.folder).cosigner().verifier == witness.key
    again = subprocess.run(
        witness._command("create", str(witness.folder), "--name", "other"), capture_output=True, text=True, check=False
    )
    assert (again.returncode, "never overwritten" in again.stderr) == (1, True)
    nameless = subprocess.run(
        witness._command("create", str(witness.folder / "new"), "--name", "two words"),
        capture_output=True,
        check=False,
    )
    assert nameless.returncode == 1
    assert not (witness.folder / "new").exists()
