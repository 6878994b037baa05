"""What must hold besides the log: the clock, one signer for a memory, keys that can be reached, signatures stored."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_driver import connect, event_bytes, history_rewrite, log_named
from test_audit_signer import Desk, grow, head, restored_copy, served

from audit.errors import KeyUnavailableError, SignerNotReadyError, SigningRefusedError
from audit.keys import KeyRing, second_key, second_key_file
from audit.sequencing import checkpoint_store
from audit.signer_memory import SignerMemory
from audit.signing import CLOCKS_APART, LogSigner
from config.embedded import EmbeddedServices
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner, cosignatures_verify
from modelnotary.ledger.keys import lasting_key_generate, lasting_key_load
from modelnotary.ledger.log_keys import LogKey, LogKeys
from modelnotary.ledger.note import NoteSigner, note_split

MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """A signer with a key and a memory of its own, on a log that has entries which it has not signed."""
    grow(database)
    with connect(database, "auditor") as connection:
        key = NoteSigner(log_named(connection, "lineage").origin, Ed25519PrivateKey.generate())
    return Desk(database, key, SignerMemory(tmp_path / "lineage.json", key.name))


# How far the clock is from the right time at each signature, and what is said of the last.
CLOCKS: dict[str, tuple[list[timedelta], str | None]] = {
    "goes on": ([timedelta(0), MINUTE, 2 * MINUTE], None),
    "stands still": ([timedelta(0), timedelta(0)], None),
    "went back by what a leap second takes": ([MINUTE, MINUTE - timedelta(seconds=1)], None),
    "went back by more": ([MINUTE, MINUTE - timedelta(seconds=1.1)], "but the last signature was made at"),
    "went back by years": ([timedelta(0), timedelta(days=-2000)], "one of them is wrong"),
    "jumped ahead": ([timedelta(0), timedelta(hours=1)], "one of them is wrong"),
    "jumped ahead before the first signature": ([timedelta(days=20_000)], "one of them is wrong"),
    "was behind before the first signature": ([-CLOCKS_APART - MINUTE], "one of them is wrong"),
}


@pytest.mark.parametrize("what", CLOCKS)
def test_it_signs_only_by_a_clock_that_can_be_right(desk: Desk, what: str) -> None:
    offsets, reason = CLOCKS[what]
    start = datetime.now(UTC)
    signer = desk.signer()
    for offset in offsets[:-1] if reason else offsets:
        desk.opened(signer.head_sign(now=start + offset))
    before = desk.memory.path.read_bytes() if desk.memory.path.exists() else None
    if reason is None:
        times = [start + offset for offset in offsets]
        assert desk.memory.load().time == max(times)  # it never goes back
        return
    with pytest.raises(SignerNotReadyError, match=reason):
        signer.head_sign(now=start + offsets[-1])
    assert (desk.memory.path.read_bytes() if before else desk.memory.path.exists()) == (before or False)
    desk.opened(signer.head_sign(now=start + 2 * MINUTE))  # a clock that was set right signs again


def test_an_operator_can_say_that_the_clock_is_right_now(desk: Desk) -> None:
    now = datetime.now(UTC)
    desk.signer().head_sign(now=now + 4 * MINUTE)
    with pytest.raises(SignerNotReadyError, match="--accept-clock"):
        desk.signer().head_sign(now=now)
    kept = desk.memory.load()
    desk.memory.time_forget()
    forgetful = desk.memory.load()
    assert (forgetful.time, forgetful.keys, forgetful.frontier.root()) == (None, kept.keys, kept.frontier.root())
    desk.opened(desk.signer().head_sign(now=now))


def test_one_memory_serves_one_signer_at_a_time(desk: Desk) -> None:
    with served({"lineage": desk.signer()}) as address:
        with desk.memory.held():
            with pytest.raises(SignerNotReadyError, match="another signer"):
                desk.sign()
            answer = httpx.post(f"{address}/logs/lineage/checkpoint")
            assert (answer.status_code, answer.headers.get("Notary-Refusal")) == (HTTPStatus.SERVICE_UNAVAILABLE, None)
            assert "another signer" in answer.text
        assert httpx.post(f"{address}/logs/lineage/checkpoint").status_code == HTTPStatus.OK


def checkpoint_keep(desk: Desk, note: bytes, database: Database | None = None) -> None:
    checkpoint = Checkpoint.from_text(note_split(note)[0])
    with connect(database or desk.database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        checkpoint_store(connection, log, size=checkpoint.size, root=checkpoint.root, note=note.decode())


@pytest.mark.parametrize("older", ["missing", "of yesterday"])
def test_a_memory_older_than_a_stored_signature_goes_on_only_from_that_signature(
    cluster: EmbeddedServices, desk: Desk, older: str
) -> None:
    desk.sign()
    yesterday = desk.memory.path.read_bytes()
    grow(desk.database)
    checkpoint_keep(desk, desk.signer().head_sign(now=datetime.now(UTC)))

    def memory_loses() -> None:
        desk.memory.path.unlink()
        if older == "of yesterday":
            desk.memory.path.write_bytes(yesterday)

    memory_loses()
    grow(desk.database)
    assert desk.sign().size == head(desk.database)[0]
    with restored_copy(cluster, desk.database) as attacked:
        history_rewrite(attacked, index=head(attacked)[0] - 6, entry=event_bytes(forged=True))
        memory_loses()
        with pytest.raises(SigningRefusedError, match="is of another history"):
            desk.sign(attacked)


def test_a_stored_checkpoint_of_somebody_elses_key_holds_nobody_up(desk: Desk) -> None:
    desk.sign()
    grow(desk.database)
    size, _ = head(desk.database)
    stranger = NoteSigner(desk.key.name, Ed25519PrivateKey.generate())
    checkpoint_keep(desk, checkpoint_sign(Checkpoint(desk.key.name, size, bytes(32)), stranger))
    assert desk.sign().size == size


KEYS: dict[str, tuple[Callable[[Path], KeyRing], str]] = {
    "no key": (lambda _: KeyRing(list), "manage.py keys_create"),
    "a file that is not there": (lambda folder: KeyRing(lambda: [(folder / "none.key").as_uri()]), "cannot read"),
    "an address that is none": (lambda _: KeyRing(lambda: ["lineage.key"]), "is no address of a key"),
    "another key than before": (lambda _: KeyRing.of(Ed25519PrivateKey.generate()), "at none of the configured"),
}


@pytest.mark.parametrize("what", KEYS)
def test_without_its_key_it_signs_nothing_and_says_what_is_wrong(desk: Desk, tmp_path: Path, what: str) -> None:
    desk.sign()
    kept = desk.memory.path.read_bytes()
    grow(desk.database)
    ring, reason = KEYS[what]
    lost = LogSigner(keys=ring(tmp_path), memory=desk.memory, connect=partial(connect, desk.database, "signer"))
    if what != "no key":
        with pytest.raises(KeyUnavailableError, match=reason):
            lost.last_sign()
    with served({"lineage": lost}) as address:
        answer = httpx.post(f"{address}/logs/lineage/checkpoint")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert desk.key.verifier.key_id.hex() in answer.text
    assert desk.memory.path.read_bytes() == kept
    desk.sign()


def test_a_second_key_adds_a_signature_that_is_checked_where_it_is_trusted(
    desk: Desk, tmp_path: Path, settings: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("django.conf.settings.KEYS_DIR", tmp_path)
    monkeypatch.setattr("django.conf.settings.NOTARY_INSTANCE", desk.key.name.removesuffix("/lineage"))
    assert second_key("lineage") is None
    lasting_key_generate(second_key_file("lineage"))
    assert second_key_file("lineage").stat().st_mode & 0o777 == 0o600
    second = second_key("lineage")
    assert second is not None
    assert second.verifier == Cosigner(desk.key.name, lasting_key_load(second_key_file("lineage"))).verifier
    connecting = partial(connect, desk.database, "signer")
    signer = LogSigner(keys=desk.ring, memory=desk.memory, connect=connecting, second=second)
    now = datetime.now(UTC)
    note = signer.head_sign(now=now)
    keys = LogKeys((LogKey(desk.key.verifier), LogKey(second.verifier)))
    assert checkpoint_open(note, keys) == checkpoint_open(note, desk.key.verifier)
    text, lines = note_split(note)
    (found,) = cosignatures_verify(text, lines, [second.verifier])
    assert found.time == int(now.timestamp())
    # An installation without the algorithm says so and signs on with the first key.
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    with caplog.at_level(logging.ERROR):
        assert second_key("lineage") is None
    assert "no ML-DSA-44" in caplog.text
