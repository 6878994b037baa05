"""No event of a log gets a place before its database was held against what is known outside."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from ledger_driver import (
    connect,
    event_bytes,
    events_append,
    head_sign,
    history_rewrite,
    log_named,
    one,
    sequence_all,
    triggers_off,
)
from restored_site import Site, site_of

from audit import continuity
from audit.adapters.file_drop import FileDrop
from audit.clearance import Clearance
from audit.continuity import SIGNER, Outlook, checkpoint_newest, continuity_fault, outlook
from audit.enums import AnchorKind
from audit.errors import AnchorError
from audit.sequencing import LogRow
from config.embedded import EmbeddedServices
from config.embedded.processes import wait_until
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.keys import key_generate, key_load
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.note import NoteSigner

SIZE = 300
OTHER = bytes(range(32))


@dataclass(frozen=True)
class Ledger:
    """A log of 300 signed entries, and the key that signs it."""

    database: Database
    log: LogRow
    signer: NoteSigner
    root: bytes

    def note(self, size: int, root: bytes, signer: NoteSigner | None = None) -> bytes:
        return checkpoint_sign(Checkpoint(self.log.origin, size, root), signer or self.signer)


@pytest.fixture(scope="module")
def ledger(database: Database, keys: Path) -> Ledger:
    events_append(database, SIZE)
    sequence_all(database)
    with connect(database, "auditor") as connection:
        log = log_named(connection, "lineage")
        root = one(connection, "SELECT root FROM ledger.head WHERE log_id = 1")
    signer = NoteSigner(log.origin, key_load(keys / "lineage.key"))
    head_sign(database, signer)
    return Ledger(database, log, signer, bytes(root))


@dataclass(frozen=True)
class Hanging:
    """A place that does not answer while the test runs."""

    released: threading.Event
    kind: AnchorKind = AnchorKind.GIT
    location: str = "git+https://example.org/anchors"

    def publish(self, note: bytes) -> bytes:
        raise AssertionError(note)

    def latest(self, origin: str) -> bytes | None:
        self.released.wait(60)
        raise AnchorError(f"nothing of {origin}")


# What lies in a folder outside, and what is said of the database then: nothing, why it is frozen, or who is silent.
HELD: dict[str, tuple[Callable[[Ledger, Path], dict[int, bytes]], str | None, str | None]] = {
    "nothing": (lambda _l, _p: {}, None, None),
    "the same": (lambda ledger, _: {SIZE: ledger.note(SIZE, ledger.root)}, None, None),
    "more": (
        lambda ledger, _: {SIZE: ledger.note(SIZE, ledger.root), SIZE + 9: ledger.note(SIZE + 9, OTHER)},
        "a folder outside knows 309 entries",
        None,
    ),
    "another history": (lambda ledger, _: {200: ledger.note(200, OTHER)}, "its history is another one", None),
    "what a stranger signed": (
        lambda ledger, path: {
            SIZE + 9: ledger.note(SIZE + 9, OTHER, NoteSigner(ledger.log.origin, key_generate(path / "stranger.key")))
        },
        None,
        "not signed by any key",
    ),
    "what is no checkpoint": (lambda _l, _p: {SIZE + 9: b"restored"}, None, "the folder"),
}


@pytest.mark.parametrize("what", HELD)
def test_what_lies_outside_decides(ledger: Ledger, keyless_signer: str, tmp_path: Path, what: str) -> None:
    notes, fault, silence = HELD[what]
    place = FileDrop(tmp_path)
    folder = tmp_path / Path(*ledger.log.origin.split("/"))
    folder.mkdir(parents=True)
    for size, note in notes(ledger, tmp_path).items():
        (folder / f"{size:012}.checkpoint").write_bytes(note)
    with connect(ledger.database, "sequencer", autocommit=True) as connection:
        known = outlook(
            ledger.log,
            newest=checkpoint_newest(connection, ledger.log),
            signer_url=keyless_signer,
            anchors=[place],
            keys=LogKeys.of(ledger.signer.verifier),
            patience=30,
        )
        said = continuity_fault(connection, ledger.log, known)
    assert (said is None) == (fault is None), said
    assert (fault or "") in (said or "")
    assert bool(known.silent) == (silence is not None), known.silent
    assert (silence or "") in " ".join(known.silent.values())


def test_a_place_that_hangs_is_left_behind_and_named(ledger: Ledger, keyless_signer: str) -> None:
    released = threading.Event()
    known = outlook(
        ledger.log, newest=None, signer_url=keyless_signer, anchors=[Hanging(released)], keys=None, patience=0.5
    )
    released.set()
    assert (known.testimonies, list(known.silent)) == ((), ["the git repository git+https://example.org/anchors"])


@dataclass
class Outside:
    """Answers that are held back until they are let go."""

    known: Outlook
    let_go: threading.Semaphore
    asked: list[LogRow]

    def ask(self, log: LogRow, newest: bytes | None) -> Outlook:  # noqa: ARG002 - what a witness would be shown
        self.asked.append(log)
        self.let_go.acquire()
        return self.known


@pytest.fixture
def connection(ledger: Ledger) -> Iterator[psycopg.Connection]:
    with connect(ledger.database, "sequencer", autocommit=True) as opened:
        yield opened


def test_a_log_is_cleared_by_the_signer_alone_and_stays_so(ledger: Ledger, connection: psycopg.Connection) -> None:
    outside = Outside(Outlook((), {SIGNER: "the signer: away"}), threading.Semaphore(0), [])
    clearance = Clearance(outside.ask)
    assert not clearance.given(connection, ledger.log)
    assert not clearance.given(connection, ledger.log)
    assert wait_until(lambda: len(outside.asked) == 1, seconds=30)
    outside.let_go.release()
    # Its answer is that the signer is silent; it is asked again.
    assert wait_until(lambda: not clearance.given(connection, ledger.log) and len(outside.asked) == 2, seconds=30)
    outside.known = Outlook((), {"a folder": "a folder: not mounted"})
    outside.let_go.release()
    assert wait_until(lambda: clearance.given(connection, ledger.log), seconds=30)
    # The folder that was silent is asked again later, and the log goes on meanwhile.
    assert clearance.given(connection, ledger.log)


def test_a_log_whose_tree_is_damaged_stands_still_and_is_not_frozen(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    known = Outlook((continuity.Testimony(SIGNER, SIZE, ledger.note(SIZE, ledger.root)),), {})
    clearance = Clearance(Outside(known, threading.Semaphore(1), []).ask)
    with connect(ledger.database, "superuser") as connection:
        with triggers_off(connection, "node"):
            connection.execute("DELETE FROM ledger.node WHERE log_id = 1")
        assert wait_until(
            lambda: not clearance.given(connection, ledger.log) and "and stands still" in caplog.text, seconds=30
        )
        assert not clearance.given(connection, ledger.log)
        assert one(connection, "SELECT state FROM ledger.log WHERE log_id = 1") == "active"
        connection.rollback()


@pytest.fixture(scope="module")
def site(
    ledger: Ledger, cluster: EmbeddedServices, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with site_of(ledger.database, cluster, keys, tmp_path_factory.mktemp("home")) as made:
        yield made


def test_a_history_that_was_rewritten_under_a_running_sequencer_is_frozen(site: Site, ledger: Ledger) -> None:
    """The rewritten log agrees with itself, so that only the signer's refusal is left."""
    site.start()
    site.settle()
    with connect(site.database, "auditor") as connection:
        signed = one(connection, "SELECT max(size) FROM ledger.checkpoint WHERE log_id = 1")
    history_rewrite(site.database, index=7, entry=event_bytes(forged=True))
    events_append(site.database, 1)
    assert site.frozen("lineage"), site.told()
    with connect(site.database, "auditor") as connection:
        reason = one(connection, "SELECT state_reason FROM ledger.log WHERE log_id = 1")
        assert "the signer refuses: " in reason
        assert "does not extend what was signed before" in reason
        assert one(connection, "SELECT max(size) FROM ledger.checkpoint WHERE log_id = 1") == signed
        assert one(connection, "SELECT state FROM ledger.log WHERE log_id = 2") == "active"
