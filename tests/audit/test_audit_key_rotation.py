"""Handing a log over to a new key: once, however often it is interrupted, and so that auditors can follow."""

import itertools
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Database
from django.core.management import call_command
from ledger_driver import connect, event_append, events_append, log_named, sequence_all

from audit import key_rotation
from audit.enums import Log
from audit.errors import KeyRotationPendingError, KeyUnavailableError
from audit.exporting import log_export
from audit.key_rotation import Rotated, key_rotate, rotations_file
from audit.keys import KeyRing, key_addresses, key_open
from audit.models import Checkpoint, Entry
from audit.selectors import checkpoint_latest, entry_prove
from audit.sequencing import checkpoint_store
from audit.signer_memory import SignerMemory
from audit.signing import LogSigner
from modelnotary.ids import new_id
from modelnotary.ledger.checkpoint import checkpoint_open
from modelnotary.ledger.errors import KeyRotationError, NoteSignatureError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.keys import key_generate
from modelnotary.ledger.log_keys import KeyRotation, LogKey, LogKeys
from modelnotary.ledger.note import NoteSigner, note_sign, note_split
from modelnotary.verify.errors import TrustError
from modelnotary.verify.rotations import rotations_follow, rotations_parse
from modelnotary.verify.trust import Trust

ACTOR = Actor("system", "test", "A test")
OVERLAP = 4
NUMBERS = itertools.count(1)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Office:
    """An installation with one log of its own: keys, trust file, sequencer and signer."""

    database: Database
    home: Path
    origin: str

    @property
    def trust(self) -> Trust:
        return Trust.from_file(self.home / "trust.json")

    @property
    def keys(self) -> LogKeys:
        keys = self.trust.log_verifier(self.origin)
        assert keys is not None
        return keys

    def signer(self, number: int) -> NoteSigner:
        return NoteSigner(self.origin, key_open(key_addresses("lineage")[number]))

    def sign(self) -> bytes:
        """Give waiting events their place and have the head signed, as the processes do."""
        sequence_all(self.database)
        signer = LogSigner(
            keys=KeyRing(partial(key_addresses, "lineage")),
            memory=SignerMemory(self.home / "memory.json", self.origin),
            connect=partial(connect, self.database, "signer"),
        )
        note = signer.head_sign(now=datetime.now(UTC))
        text, _ = note_split(note)
        size, root = int(text.split("\n")[1]), checkpoint_open(note, self.followed()).root
        with connect(self.database, "sequencer", autocommit=True) as connection:
            log = log_named(connection, "lineage")
            checkpoint_store(connection, log, size=size, root=root, note=note.decode())
        return note

    def followed(self) -> LogKeys:
        """The keys as the log's own entries tell of them."""
        keys = LogKeys.of(self.signer(0).verifier)
        for item in key_rotation._rotations("lineage"):
            if item.entry.seq is not None and item.entry.seq >= self.start:
                with suppress(KeyRotationError):
                    keys = keys.rotated(item.entry.seq, item.rotation)
        return keys

    start: int = 0

    def rotate(self, **options: Any) -> Rotated:
        def wait() -> bool:
            self.sign()
            return True

        usual: dict[str, Any] = {
            "log": Log.LINEAGE,
            "overlap": OVERLAP,
            "another": False,
            "actor": ACTOR,
            "at": datetime.now(UTC),
            "wait": wait,
            "progress": lambda _: None,
        }
        return key_rotate(**(usual | options))

    def entries(self) -> list[Entry]:
        return list(Entry.objects.filter(log="lineage", event_type="key.rotated", seq__gte=self.start))


@pytest.fixture
def office(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A log whose key has never been rotated. The database is the module's, so each test goes on from another key."""
    monkeypatch.setattr("django.conf.settings.NOTARY_HOME", tmp_path)
    monkeypatch.setattr("django.conf.settings.KEYS_DIR", tmp_path / "keys")
    (tmp_path / "keys").mkdir()
    key_generate(tmp_path / "keys" / "lineage.key")
    with connect(database, "auditor") as connection:
        log = log_named(connection, "lineage")
        size = connection.execute("SELECT size FROM ledger.head WHERE log_id = %s", (log.log_id,)).fetchone()
    assert size is not None
    desk = Office(database, tmp_path, log.origin)
    desk.start = size[0]
    trust = Trust(log.origin.removesuffix("/lineage"), (LogKeys.of(desk.signer(0).verifier),), (), ())
    (tmp_path / "trust.json").write_bytes(trust.to_bytes())
    events_append(database, 3)
    desk.sign()
    return desk


def test_both_keys_sign_through_the_overlap_and_then_the_new_one_alone(office: Office) -> None:
    old, before = office.signer(0).verifier, office.trust
    first = office.sign()
    rotated = office.rotate()
    new = office.signer(1).verifier
    assert (rotated.old, rotated.new, rotated.again) == (old.text, new.text, False)
    assert office.keys == LogKeys((LogKey(old, 0, rotated.until_size), LogKey(new, rotated.index + 1)))
    assert checkpoint_open(first, office.keys).size <= rotated.index
    for _ in range(OVERLAP):
        note = office.sign()
        assert checkpoint_open(note, old) == checkpoint_open(note, new)
        events_append(office.database, 1)
    assert checkpoint_open(office.sign(), old).size == rotated.until_size
    events_append(office.database, 1)
    last = office.sign()
    assert checkpoint_open(last, office.keys) == checkpoint_open(last, new)
    with pytest.raises(NoteSignatureError):
        checkpoint_open(last, old)
    # An auditor who kept the old trust file follows by the proof alone.
    proof = rotated.proof.read_bytes()
    assert before.followed(proof) == office.trust
    assert office.trust.fingerprint == rotated.fingerprint


def test_the_checkpoint_that_ends_with_the_entry_is_signed_however_large_the_batch(office: Office) -> None:
    with pytest.raises(KeyRotationPendingError):
        office.rotate(wait=lambda: False, overlap=0)
    events_append(office.database, 50)
    closing, head = office.sign(), office.sign()
    rotated = office.rotate()
    old, new = office.signer(0).verifier, office.signer(1).verifier
    assert checkpoint_open(closing, old) == checkpoint_open(closing, new)
    assert checkpoint_open(closing, old).size == rotated.index + 1 == rotated.until_size
    assert checkpoint_open(head, new).size == rotated.index + 51


def test_a_closing_checkpoint_that_was_lost_on_its_way_is_signed_again(office: Office) -> None:
    with pytest.raises(KeyRotationPendingError):
        office.rotate(wait=lambda: False)
    sequence_all(office.database)
    memory = SignerMemory(office.home / "memory.json", office.origin)
    ring = KeyRing(partial(key_addresses, "lineage"))
    signer = LogSigner(keys=ring, memory=memory, connect=partial(connect, office.database, "signer"))
    lost = signer.head_sign(now=datetime.now(UTC))
    events_append(office.database, 9)
    assert office.sign() == lost
    assert office.rotate().index + 1 == checkpoint_open(lost, office.keys).size


# Where the command is killed: the function, and whether before or after it has done its work the how-manieth time.
KILLS: dict[str, tuple[str, str, int]] = {
    "before the key is made": ("key_generate", "before", 1),
    "after the key is made": ("key_generate", "after", 1),
    "before the entry commits": ("event_record", "after", 1),
    "after the entry commits": ("_stored_by", "before", 2),
    "before the checkpoint": ("_closing", "before", 1),
    "after the checkpoint": ("_closing", "after", 1),
    "after the proof is written": ("file_replace", "after", 1),
    "after the trust file is written": ("file_replace", "after", 2),
}


@pytest.mark.parametrize("when", KILLS)
def test_killed_at_any_step_the_same_command_goes_on_and_rotates_once(
    office: Office, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    name, side, times = KILLS[when]
    whole = getattr(key_rotation, name)
    calls = itertools.count(1)

    def killed(*arguments: Any, **options: Any) -> Any:
        last = next(calls) == times
        if last and side == "before":
            raise Killed
        result = whole(*arguments, **options)
        if last:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(key_rotation, name, killed)
        with pytest.raises(Killed):
            office.rotate()
    rotated = office.rotate()
    assert office.rotate() == rotated.__class__(**{**vars_of(rotated), "again": True})
    assert len(office.entries()) == 1
    assert [path.name for path in sorted((office.home / "keys").iterdir())] == ["lineage.2.key", "lineage.key"]
    assert [key.verifier.text for key in office.keys.keys] == [rotated.old, rotated.new]


def vars_of(rotated: Rotated) -> dict[str, Any]:
    return {name: getattr(rotated, name) for name in Rotated.__dataclass_fields__}


def test_a_log_is_handed_over_again_only_when_that_is_said(office: Office) -> None:
    first = office.rotate()
    assert office.rotate().again
    second = office.rotate(another=True)
    assert (second.old, second.again) == (first.new, False)
    assert len(office.entries()) == 2
    assert [key.from_size for key in office.keys.keys] == [0, first.index + 1, second.index + 1]


def forged_notes(office: Office) -> dict[str, bytes]:
    old, thief = office.signer(0), NoteSigner(office.origin, key_generate(office.home / f"thief{next(NUMBERS)}.key"))
    text = KeyRotation(old.verifier, thief.verifier, 0).text
    stranger = NoteSigner(office.origin, key_generate(office.home / f"stranger{next(NUMBERS)}.key"))
    return {
        "without the old key's signature": note_sign(text, [thief]),
        "by a key that the log never had": KeyRotation(stranger.verifier, thief.verifier, 0).sign(stranger, thief),
        "no note": b"no note",
    }


@pytest.mark.parametrize("what", ["without the old key's signature", "by a key that the log never had", "no note"])
def test_a_forged_rotation_in_the_log_changes_no_key(office: Office, what: str) -> None:
    note = forged_notes(office)[what]
    entry = Event(
        "lineage",
        "key.rotated",
        new_id("evt"),
        datetime.now(UTC),
        ACTOR,
        Subject("log", office.origin),
        {"rotation": note.decode()},
    ).to_bytes()
    with connect(office.database, "app") as connection:
        event_append(connection, entry)
    note = office.sign()
    assert checkpoint_open(note, office.signer(0).verifier) == checkpoint_open(note, office.keys)
    remembered = SignerMemory(office.home / "memory.json", office.origin).load()
    assert remembered.keys == LogKeys.of(office.signer(0).verifier)
    rotated = office.rotate()
    assert rotated.old == office.signer(0).verifier.text
    forged = Entry.objects.get(event_id=Event.from_bytes(entry).id)
    closing = Checkpoint.objects.filter(log="lineage", size__gt=forged.seq).order_by("size")[0]
    proof = entry_prove(entry=forged, checkpoint=closing).proof.encode()
    with pytest.raises(TrustError):
        Trust(office.origin.removesuffix("/lineage"), (LogKeys.of(office.signer(0).verifier),), (), ()).followed(proof)


def test_a_signer_with_a_folder_of_its_own_has_the_new_key_before_the_entry(office: Office, settings: Any) -> None:
    """As with docker-compose.yml, where the signer sees nothing of the keys but its own copies."""
    own = office.home / "own"
    own.mkdir()
    shutil.copy(office.home / "keys" / "lineage.key", own)
    settings.KEYS_SIGNER = str(own)

    def addresses() -> list[str]:
        return [path.as_uri() for path in sorted(own.iterdir(), key=lambda path: (len(path.name), path.name))]

    signer = LogSigner(
        keys=KeyRing(addresses),
        memory=SignerMemory(office.home / "memory.json", office.origin),
        connect=partial(connect, office.database, "signer"),
    )

    def wait() -> bool:
        sequence_all(office.database)
        note = signer.head_sign(now=datetime.now(UTC))
        head = checkpoint_open(note, office.followed())
        with connect(office.database, "sequencer", autocommit=True) as connection:
            log = log_named(connection, "lineage")
            checkpoint_store(connection, log, size=head.size, root=head.root, note=note.decode())
        return True

    rotated = office.rotate(wait=wait)
    assert rotated.new == office.signer(1).verifier.text
    assert [path.name for path in sorted(own.iterdir())] == ["lineage.2.key", "lineage.key"]
    assert (own / "lineage.2.key").stat().st_mode & 0o777 == 0o400
    assert (own / "lineage.2.key").read_bytes() == (office.home / "keys" / "lineage.2.key").read_bytes()
    office.rotate(another=True, wait=wait)
    assert len(list(own.iterdir())) == 3


def test_exports_and_bundles_carry_the_proofs_also_when_their_files_are_gone(office: Office, tmp_path: Path) -> None:
    before = tmp_path / "auditors.json"
    before.write_bytes(office.trust.to_bytes())
    assert rotations_file(checkpoint=checkpoint_latest(log="lineage")) is None
    first = office.rotate(overlap=0)
    events_append(office.database, 2)
    office.rotate(overlap=0, another=True)
    events_append(office.database, 2)
    office.sign()
    checkpoint = checkpoint_latest(log="lineage")
    carried = rotations_file(checkpoint=checkpoint)
    assert carried is not None
    followed, words = rotations_follow(Trust.from_file(before), office.origin, rotations_parse(carried))
    assert followed == office.trust
    assert words.count("as the key before it says") == 2
    assert checkpoint_open(checkpoint.note.encode(), office.keys).size == checkpoint.size
    shutil.rmtree(office.home / "rotations")
    assert rotations_file(checkpoint=checkpoint) == carried
    closing = Checkpoint.objects.get(log="lineage", size=first.index + 1)
    assert len(rotations_parse(rotations_file(checkpoint=closing) or b"")) == 1
    log_export(log="lineage", folder=tmp_path / "export", progress=lambda _done, _all: None)
    assert (tmp_path / "export" / "rotations.json").read_bytes() == carried


def test_with_addresses_in_the_configuration_the_new_key_needs_one(office: Office, settings: Any) -> None:
    first = key_addresses("lineage")[0]
    settings.LOG_KEYS = {"lineage": [first]}
    with pytest.raises(KeyUnavailableError, match="LINEAGE_KEY names no key"):
        office.rotate()
    assert not office.entries()
    key_generate(office.home / "elsewhere.key")
    settings.LOG_KEYS = {"lineage": [first, (office.home / "elsewhere.key").as_uri()]}
    assert office.rotate().new == office.signer(1).verifier.text


def test_the_command_tells_what_it_did(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    rotated = office.rotate()
    call_command("key_rotate", "lineage", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told == vars_of(rotated) | {"proof": str(rotated.proof), "again": True}
    call_command("key_rotate", "lineage")
    assert "was handed over before" in capsys.readouterr().out
