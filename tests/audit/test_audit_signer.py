"""The signer signs only what extends everything it ever signed, and forgets nothing when it is killed."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import psycopg
import pytest
import reference_tree
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_driver import (
    bodies_of,
    connect,
    event_bytes,
    events_append,
    history_rewrite,
    log_named,
    process_start,
    sequence_all,
    triggers_off,
)

from audit.errors import SigningRefusedError
from audit.keys import KeyRing
from audit.selectors import consistency_proof
from audit.sequencing import checkpoint_store
from audit.signer_memory import SignerMemory
from audit.signing import LogSigner, signer_server
from config.embedded import EmbeddedServices
from config.embedded.processes import wait_until
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import ProofError
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.merkle import leaf_hash, verify_consistency
from modelnotary.ledger.note import NoteSigner


@pytest.fixture(scope="module")
def key(database: Database) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, Ed25519PrivateKey.generate())


@dataclass(frozen=True)
class Desk:
    """A signer with its key and its memory, and the database it was made for."""

    database: Database
    key: NoteSigner
    memory: SignerMemory

    @property
    def ring(self) -> KeyRing:
        return KeyRing.of(self.key.private_key)

    def signer(self, database: Database | None = None) -> LogSigner:
        """The signer as started anew, on this database or on another one in its place."""
        reading = partial(connect, database or self.database, "signer")
        return LogSigner(keys=self.ring, memory=self.memory, connect=reading)

    def sign(self, database: Database | None = None) -> Checkpoint:
        return self.opened(self.signer(database).head_sign(now=datetime.now(UTC)))

    def opened(self, note: bytes) -> Checkpoint:
        return checkpoint_open(note, self.key.verifier)


@pytest.fixture
def desk(database: Database, key: NoteSigner, tmp_path: Path) -> Desk:
    """A signer with an empty memory, on a log that has entries which it has not signed."""
    grow(database)
    return Desk(database, key, SignerMemory(tmp_path / "lineage.json", key.name))


def grow(database: Database, count: int = 5) -> None:
    events_append(database, count)
    sequence_all(database)


def head(database: Database) -> tuple[int, bytes]:
    with connect(database, "auditor") as connection:
        size, root = connection.execute("SELECT size, root FROM ledger.head WHERE log_id = 1").fetchall()[0]
    return size, root


def test_it_signs_the_head_and_what_grows_from_it(desk: Desk) -> None:
    for _ in range(2):
        checkpoint = desk.sign()
        remembered = desk.memory.load().frontier
        assert (checkpoint.size, checkpoint.root) == (remembered.size, remembered.root()) == head(desk.database)
        leaves = [leaf_hash(body) for body in bodies_of(log="lineage", size=checkpoint.size)]
        assert checkpoint.root == reference_tree.root(leaves)
        grow(desk.database, 300)


@contextmanager
def restored_copy(cluster: EmbeddedServices, database: Database) -> Iterator[Database]:
    """The database as a backup of this moment would bring it back."""
    from django.db import connections

    connections.close_all()  # nobody may be connected to what is copied
    name = f"{database.name}_copy"
    cluster.create_database(name, database.name)
    yield Database(name, cluster.environment(name), cluster.superuser_url(name))
    cluster.drop_database(name)


def test_it_refuses_a_database_restored_from_before_what_it_signed(cluster: EmbeddedServices, desk: Desk) -> None:
    with restored_copy(cluster, desk.database) as backup:
        grow(desk.database)
        desk.sign()
        signed = desk.memory.path.read_bytes()
        with pytest.raises(SigningRefusedError, match="rolled back or restored"):
            desk.sign(backup)
        # Other entries on top of the backup do not help: they are another history.
        grow(backup, 20)
        with pytest.raises(SigningRefusedError, match="does not extend what was signed before"):
            desk.sign(backup)
    assert desk.memory.path.read_bytes() == signed
    grow(desk.database)
    assert desk.sign().size == head(desk.database)[0]


@pytest.mark.parametrize("grows", [False, True])
def test_it_refuses_a_history_that_a_superuser_rewrote_and_recomputed(
    cluster: EmbeddedServices, desk: Desk, grows: bool
) -> None:
    kept = desk.sign()
    signed = desk.memory.path.read_bytes()
    with restored_copy(cluster, desk.database) as attacked:
        history_rewrite(attacked, index=2, entry=event_bytes(forged=True))
        if grows:
            grow(attacked)  # the sequencer finds nothing wrong: the database agrees with itself
        with pytest.raises(SigningRefusedError, match="does not extend what was signed before"):
            desk.sign(attacked)
        assert desk.memory.path.read_bytes() == signed
        # Somebody who kept the checkpoint sees it too, without the signer.
        size, root = head(attacked)
        leaves = [reference_tree.leaf(entry) for entry in entries_of(attacked)]
        assert root == reference_tree.root(leaves)
        with pytest.raises(ProofError):
            verify_consistency(kept.size, size, reference_tree.proof(kept.size, leaves), kept.root, root)


def entries_of(database: Database) -> list[bytes]:
    statement = (
        "SELECT b.bytes FROM ledger.entry e JOIN ledger.body b ON b.id = e.body_id WHERE e.log_id = 1 ORDER BY e.seq"
    )
    with connect(database, "auditor") as connection:
        return [entry for (entry,) in connection.execute(statement)]


# What is changed, and how; %(last)s is the last entry's position.
ATTACKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "an entry that was not signed yet is edited": (
        "body",
        ("UPDATE ledger.body SET bytes = '{}' WHERE id = (SELECT max(body_id) FROM ledger.entry WHERE log_id = 1)",),
    ),
    "the head names another root": ("head", ("UPDATE ledger.head SET root = sha256('other') WHERE log_id = 1",)),
    "the head claims an entry that is not there": (
        "head",
        ("UPDATE ledger.head SET size = size + 1 WHERE log_id = 1",),
    ),
    "the head hides the last entry": ("head", ("UPDATE ledger.head SET size = size - 1 WHERE log_id = 1",)),
    "two entries are swapped": (
        "entry",
        (
            "UPDATE ledger.entry SET seq = 1000000 WHERE log_id = 1 AND seq = %(last)s",
            "UPDATE ledger.entry SET seq = %(last)s WHERE log_id = 1 AND seq = %(last)s - 1",
            "UPDATE ledger.entry SET seq = %(last)s - 1 WHERE log_id = 1 AND seq = 1000000",
        ),
    ),
    "an entry is deleted": ("entry", ("DELETE FROM ledger.entry WHERE log_id = 1 AND seq = %(last)s - 1",)),
    "an entry is repeated": (
        "entry",
        ("UPDATE ledger.entry SET body_id = body_id - 1 WHERE log_id = 1 AND seq = %(last)s",),
    ),
    "the log has another name": ("log", ("UPDATE ledger.log SET origin = 'other' WHERE log_id = 1",)),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_it_refuses_what_a_superuser_changed_since_the_last_signature(
    cluster: EmbeddedServices, desk: Desk, what: str
) -> None:
    table, statements = ATTACKS[what]
    desk.sign()
    signed = desk.memory.path.read_bytes()
    grow(desk.database)
    last = head(desk.database)[0] - 1
    with restored_copy(cluster, desk.database) as attacked:
        with connect(attacked, "superuser") as connection, triggers_off(connection, table):
            for statement in statements:
                assert connection.execute(statement.encode(), {"last": last}).rowcount == 1
        with pytest.raises(SigningRefusedError):
            desk.sign(attacked)
    assert desk.memory.path.read_bytes() == signed
    assert desk.sign().size == head(desk.database)[0]


ANY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def key_kept(**changed: object) -> dict[str, object]:
    return {"vkey": NoteSigner("other", ANY).verifier.text, "from_size": 0, "until_size": None} | changed


MEMORIES: dict[str, Callable[[dict[str, object]], object]] = {
    "nothing": lambda _: "",
    "no JSON": lambda _: "{",
    "no object": lambda _: [1],
    "no frontier": lambda kept: {name: value for name, value in kept.items() if name != "frontier"},
    "the memory of another log": lambda kept: kept | {"origin": "other/lineage"},
    "another root": lambda kept: kept | {"root": "00" * 32},
    "a smaller size": lambda kept: kept | {"size": 1},
    "a size that is no number": lambda kept: kept | {"size": "5"},
    "a size that is not whole": lambda kept: kept | {"size": 5.5},
    "a negative size": lambda kept: kept | {"size": -1},
    "a hash cut short": lambda kept: kept | {"frontier": ["00"]},
    "a hash that is none": lambda kept: kept | {"frontier": ["zz"]},
    "hashes that are no list": lambda kept: kept | {"frontier": 7},
    "the keys of another log": lambda kept: kept | {"keys": [key_kept(vkey=NoteSigner("other", ANY).verifier.text)]},
    "a key with a window that is none": lambda kept: kept | {"keys": [key_kept(until_size=-1)]},
    "a key that is none": lambda kept: kept | {"keys": [key_kept(vkey="lineage")]},
    "keys that are no list": lambda kept: kept | {"keys": 7},
    "no keys at all": lambda kept: kept | {"keys": []},
    "a time that is none": lambda kept: kept | {"time": "yesterday"},
}


@pytest.mark.parametrize("what", MEMORIES)
def test_it_refuses_to_sign_with_a_damaged_memory(desk: Desk, what: str) -> None:
    desk.sign()
    path = desk.memory.path
    whole = path.read_bytes()
    damaged = MEMORIES[what](json.loads(whole))
    path.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    kept = path.read_bytes()
    with pytest.raises(SigningRefusedError, match="the signer's memory"):
        desk.sign()
    assert path.read_bytes() == kept
    path.write_bytes(whole)
    desk.sign()


def test_a_signature_that_never_arrived_is_given_again_unchanged(desk: Desk) -> None:
    lost = desk.signer().head_sign(now=datetime.now(UTC))
    desk.memory.path.with_suffix(".new").write_text("{ cut off in the mid")  # a kill while writing the next one
    again = desk.signer().head_sign(now=datetime.now(UTC))
    assert again == lost
    checkpoint = desk.opened(again)
    with connect(desk.database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        for _ in range(2):
            checkpoint_store(connection, log, size=checkpoint.size, root=checkpoint.root, note=again.decode())


@contextmanager
def served(signers: dict[str, LogSigner]) -> Iterator[str]:
    server = signer_server(("127.0.0.1", 0), signers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_it_answers_over_http_with_a_note_or_with_the_reason(desk: Desk) -> None:
    nowhere = f"postgresql://mn_signer:secret@127.0.0.1:{unused_port()}/none"
    absent = LogSigner(keys=desk.ring, memory=desk.memory, connect=partial(psycopg.connect, nowhere))
    with served({"lineage": desk.signer(), "absent": absent}) as address:
        answer = httpx.post(f"{address}/logs/lineage/checkpoint")
        assert answer.status_code == HTTPStatus.OK
        assert desk.opened(answer.content).size == head(desk.database)[0]
        for path in ("/", "/logs/mine/checkpoint", "/logs/lineage", "/logs/lineage/checkpoint/x", "/logs//checkpoint"):
            assert httpx.post(address + path).status_code == HTTPStatus.NOT_FOUND
        assert httpx.put(f"{address}/logs/lineage/checkpoint").status_code == HTTPStatus.NOT_IMPLEMENTED
        away = httpx.post(f"{address}/logs/absent/checkpoint")
        assert away.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "secret" not in away.text
        desk.memory.path.write_text("{}")
        refused = httpx.post(f"{address}/logs/lineage/checkpoint")
        assert refused.status_code == HTTPStatus.CONFLICT
        assert "the signer's memory" in refused.text


def test_many_requests_at_once_on_a_growing_log_give_checkpoints_that_all_agree(desk: Desk) -> None:
    with served({"lineage": desk.signer()}) as address, ThreadPoolExecutor(8) as pool:

        def ask(_: int) -> Checkpoint:
            return desk.opened(httpx.post(f"{address}/logs/lineage/checkpoint").content)

        asked = [pool.submit(ask, number) for number in range(40)]
        for _ in range(10):
            grow(desk.database)
        checkpoints = {(answer.result().size, answer.result().root) for answer in asked}
        last = ask(0)
    assert len({size for size, _ in checkpoints}) == len(checkpoints)
    assert desk.memory.load().frontier.size == last.size == head(desk.database)[0]
    with connect(desk.database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        checkpoint_store(connection, log, size=last.size, root=last.root, note=last.text)
    for size, root in checkpoints:
        path = consistency_proof(log="lineage", old_size=size, new_size=last.size)
        verify_consistency(size, last.size, path, root, last.root)


def test_the_signer_process_remembers_what_it_signed_when_it_is_killed(
    cluster: EmbeddedServices, database: Database, keys: Path, tmp_path: Path
) -> None:
    home = tmp_path / "signer home"
    home.mkdir()
    (home / "keys").symlink_to(keys)
    grow(database)
    address = f"http://127.0.0.1:{unused_port()}"
    output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with connect(database, "auditor") as connection:
        origin = log_named(connection, "lineage").origin
    verifier = NoteSigner(origin, key_load(keys / "lineage.key")).verifier

    def ask() -> httpx.Response:
        return httpx.post(f"{address}/logs/lineage/checkpoint")

    def answers() -> bool:
        try:
            return httpx.get(address).status_code > 0
        except httpx.TransportError:
            return False

    with restored_copy(cluster, database) as backup:
        notes = []
        for on in (database, database, backup):
            process = process_start(on, "signer", output, NOTARY_HOME=str(home), SIGNER_URL=address)
            try:
                assert wait_until(answers, seconds=60)
                answer = ask()
            finally:
                process.kill()
                process.wait()
            if on is backup:
                assert answer.status_code == HTTPStatus.CONFLICT
            else:
                notes.append(checkpoint_open(answer.content, verifier))
                grow(database)
    os.close(output)
    assert notes[0].size < notes[1].size
