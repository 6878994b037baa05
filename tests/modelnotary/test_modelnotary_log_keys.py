"""A log's keys one after the other: who may sign what, and how an auditor follows from one to the next."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import reference_tree
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_bundle import ACCESS, KEYS, LINEAGE, event, key
from typer.testing import CliRunner

from modelnotary.cli.app import app
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.errors import KeyRotationError, NoteSignatureError
from modelnotary.ledger.event import Subject
from modelnotary.ledger.log_keys import KeyRotation, LogKey, LogKeys
from modelnotary.ledger.note import NoteSigner, NoteVerifier, note_extend, note_sign
from modelnotary.ledger.proof import InclusionProof
from modelnotary.verify.errors import TrustError
from modelnotary.verify.trust import Trust

OLD, NEW, NEXT, THIEF = (NoteSigner(LINEAGE, key(number)) for number in (1, 21, 22, 23))
INDEX, OVERLAP = 4, 3
ROTATION = KeyRotation(OLD.verifier, NEW.verifier, OVERLAP)
BEFORE = LogKeys.of(OLD.verifier)
AFTER = LogKeys((LogKey(OLD.verifier, 0, INDEX + 1 + OVERLAP), LogKey(NEW.verifier, INDEX + 1)))


def rotation_entry(note: bytes, *, kind: str = "key.rotated") -> bytes:
    return event(50, kind, Subject("log", LINEAGE), {"rotation": note.decode()})


def leaves_with(entry: bytes, *, size: int = 20) -> list[bytes]:
    entries = [event(number, "model.registered", Subject("model", f"m{number}"), {}) for number in range(size)]
    entries[INDEX] = entry
    return entries


def proof_of(entry: bytes, *signers: NoteSigner, size: int = INDEX + 1) -> bytes:
    """The entry's proof in the tree of so many entries, as these keys sign it."""
    leaves = [reference_tree.leaf(item) for item in leaves_with(entry)[:size]]
    note = checkpoint_sign(Checkpoint(LINEAGE, size, reference_tree.root(leaves)), *signers)
    return InclusionProof(INDEX, tuple(reference_tree.path(INDEX, leaves)), note, entry).to_bytes()


def signed(size: int, *signers: NoteSigner) -> bytes:
    return checkpoint_sign(Checkpoint(LINEAGE, size, bytes(32) if size else reference_tree.root([])), *signers)


def test_a_rotation_is_read_as_it_was_written() -> None:
    note = ROTATION.sign(OLD, NEW)
    assert KeyRotation.from_note(note) == ROTATION
    assert BEFORE.rotated(INDEX, KeyRotation.from_note(note)) == AFTER
    assert AFTER.rotated(INDEX, ROTATION) == AFTER.rotated(INDEX + 7, ROTATION) == AFTER  # known: nothing changes


FORGED_ROTATIONS = {
    "without the old key's signature": note_sign(ROTATION.text, [NEW]),
    "without the new key's signature": note_sign(ROTATION.text, [OLD]),
    "signed by others": note_sign(ROTATION.text, [NEXT, THIEF]),
    "another overlap under the same signatures": ROTATION.sign(OLD, NEW).replace(b"\n3\n", b"\n4\n"),
    "another key under the same signatures": ROTATION.sign(OLD, NEW).replace(
        NEW.verifier.text.encode(), THIEF.verifier.text.encode()
    ),
    "a checkpoint": signed(5, OLD, NEW),
    "no note": b"modelnotary/key-rotation/v1\n",
    "nothing": b"",
    "another first line": note_sign(ROTATION.text.replace("v1", "v2"), [OLD, NEW]),
    "another log's name": note_sign(ROTATION.text.replace(f"\n{LINEAGE}\n", f"\n{ACCESS}\n"), [OLD, NEW]),
    "a line more": note_sign(ROTATION.text + "more\n", [OLD, NEW]),
    "an overlap that is none": note_sign(ROTATION.text.replace("\n3\n", "\n-3\n"), [OLD, NEW]),
    "to itself": note_sign(ROTATION.text.replace(NEW.verifier.text, OLD.verifier.text), [OLD, NEW]),
}


@pytest.mark.parametrize("what", FORGED_ROTATIONS)
def test_a_forged_rotation_is_refused(what: str) -> None:
    with pytest.raises(KeyRotationError):
        KeyRotation.from_note(FORGED_ROTATIONS[what])
    trust = KEYS.trust()
    proof = proof_of(rotation_entry(FORGED_ROTATIONS[what]), OLD)
    with pytest.raises(TrustError, match="no proof of a key's rotation"):
        trust.followed(proof)


OUT_OF_TURN = {
    "by a key that the log never had": (BEFORE, KeyRotation(THIEF.verifier, NEXT.verifier, 0), 9),
    "by a key that had been retired": (AFTER, KeyRotation(OLD.verifier, THIEF.verifier, 0), 9),
    "by a key before it was one": (AFTER, KeyRotation(NEW.verifier, NEXT.verifier, 0), INDEX),
    "at an earlier entry than is known": (AFTER, ROTATION, INDEX - 1),
}


@pytest.mark.parametrize("what", OUT_OF_TURN)
def test_a_rotation_out_of_turn_is_refused(what: str) -> None:
    keys, rotation, index = OUT_OF_TURN[what]
    with pytest.raises(KeyRotationError, match="hands over"):
        keys.rotated(index, rotation)


# Size, who signed, whether that is enough.
CHECKPOINTS = {
    "old key before the entry": (INDEX, (OLD,), True),
    "new key before its entry": (INDEX, (NEW,), False),
    "both at the entry": (INDEX + 1, (OLD, NEW), True),
    "old key at the entry": (INDEX + 1, (OLD,), True),
    "new key at the entry": (INDEX + 1, (NEW,), True),
    "old key at the end of the overlap": (INDEX + 1 + OVERLAP, (OLD,), True),
    "old key after the overlap": (INDEX + 2 + OVERLAP, (OLD,), False),
    "both after the overlap": (INDEX + 2 + OVERLAP, (OLD, NEW), True),
    "new key after the overlap": (INDEX + 2 + OVERLAP, (NEW,), True),
    "a key that is none of the log's": (INDEX + 1, (THIEF,), False),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_a_checkpoint_needs_a_key_in_force_at_its_size(what: str) -> None:
    size, signers, enough = CHECKPOINTS[what]
    note = signed(size, *signers)
    if enough:
        assert checkpoint_open(note, AFTER).size == size
    else:
        with pytest.raises(NoteSignatureError, match=r"not signed by any key|which signs from"):
            checkpoint_open(note, AFTER)


def test_a_damaged_signature_of_a_key_in_force_spoils_the_other() -> None:
    whole = signed(6, OLD, NEW)
    line = OLD.sign("another text\n").line
    damaged = whole.replace(OLD.sign(Checkpoint(LINEAGE, 6, bytes(32)).text).line.encode(), line.encode())
    assert damaged != whole
    with pytest.raises(NoteSignatureError):
        checkpoint_open(damaged, AFTER)


def test_an_auditor_with_the_old_trust_file_follows_the_log_to_its_new_key() -> None:
    old = KEYS.trust()
    late = signed(15, NEW)
    lineage = old.log_verifier(LINEAGE)
    assert lineage is not None
    with pytest.raises(NoteSignatureError, match="modelnotary trust follow"):
        checkpoint_open(late, lineage)
    proof = proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), OLD, NEW)
    new = old.followed(proof)
    assert new.log_verifier(LINEAGE) == AFTER
    assert new.log_verifier(ACCESS) == old.log_verifier(ACCESS)
    assert checkpoint_open(late, AFTER).size == 15
    assert Trust.from_bytes(new.to_bytes()) == new.followed(proof) == new
    assert b"modelnotary-trust/v1" in old.to_bytes()
    assert b"modelnotary-trust/v2" in new.to_bytes()


def test_the_command_line_follows_and_leaves_what_it_cannot_follow(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_bytes(KEYS.trust().to_bytes())
    proof = proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), OLD, NEW)
    (tmp_path / "proof").write_bytes(proof)
    (tmp_path / "forged").write_bytes(UNPROVEN["in a tree that only the new key signed"])
    arguments = ["trust", "follow", str(tmp_path / "old.json"), str(tmp_path / "proof"), "--out"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "new.json")])
    assert done.exit_code == 0, done.output
    assert Trust.from_file(tmp_path / "new.json") == KEYS.trust().followed(proof)
    arguments[3] = str(tmp_path / "forged")
    assert CliRunner().invoke(app, [*arguments, str(tmp_path / "none.json")]).exit_code == 1
    assert not (tmp_path / "none.json").exists()


UNPROVEN = {
    "in a tree that only the new key signed": proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), NEW),
    "in a tree after the overlap": proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), NEW, size=19),
    "in no tree": proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), OLD).replace(b"index 4", b"index 3"),
    "by another event": proof_of(rotation_entry(ROTATION.sign(OLD, NEW), kind="key.shown"), OLD),
    "without its entry": replace(
        InclusionProof.from_bytes(proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), OLD)), extra=None
    ).to_bytes(),
    "in another instance's log": proof_of(rotation_entry(ROTATION.sign(OLD, NEW)), OLD).replace(
        LINEAGE.encode(), b"elsewhere.example/lineage"
    ),
}


@pytest.mark.parametrize("what", UNPROVEN)
def test_a_rotation_counts_only_in_a_tree_that_the_old_key_signed(what: str) -> None:
    with pytest.raises(TrustError):
        KEYS.trust().followed(UNPROVEN[what])


def test_the_second_signature_cannot_be_left_out_where_its_key_is_trusted() -> None:
    mldsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    second = Cosigner(LINEAGE, mldsa.MLDSA44PrivateKey.generate())
    other = Cosigner(LINEAGE, mldsa.MLDSA44PrivateKey.generate())
    keys = LogKeys((LogKey(OLD.verifier), LogKey(second.verifier)))
    checkpoint = Checkpoint(LINEAGE, 7, bytes(32))
    plain = checkpoint_sign(checkpoint, OLD)
    both = note_extend(plain, [second.sign(checkpoint, at=1_800_000_000)])
    assert checkpoint_open(both, keys) == checkpoint_open(both, BEFORE) == checkpoint
    stranger = note_extend(plain, [other.sign(checkpoint, at=1_800_000_000)])
    elsewhere = note_extend(plain, [second.sign(Checkpoint(LINEAGE, 8, bytes(32)), at=1_800_000_000)])
    for note in (plain, stranger, elsewhere):
        with pytest.raises(NoteSignatureError):
            checkpoint_open(note, keys)
    alone = note_sign(checkpoint.text, [THIEF])
    with pytest.raises(NoteSignatureError):
        checkpoint_open(note_extend(alone, [second.sign(checkpoint, at=1_800_000_000)]), keys)
    trust = replace(KEYS.trust(), logs=(keys,))
    assert Trust.from_bytes(trust.to_bytes()) == trust


def trust_changed(**window: object) -> bytes:
    trust = json.loads(KEYS.trust().with_log(AFTER).to_bytes())
    trust["logs"][0] |= window
    return json.dumps(trust).encode()


MALFORMED: dict[str, bytes] = {
    "a size below nothing": trust_changed(from_size=-1),
    "an end before the beginning": trust_changed(from_size=9),
    "a truth for a size": trust_changed(from_size=False),
    "a fraction": trust_changed(until_size=8.5),
    "a size beyond all logs": trust_changed(until_size=2**64),
    "a member more": trust_changed(note="mine"),
    "the first format with two keys": trust_changed().replace(b"trust/v2", b"trust/v1"),
    "the second format without need": KEYS.trust().to_bytes().replace(b"trust/v1", b"trust/v2"),
    "a key twice": trust_changed().replace(NEW.verifier.text.encode(), OLD.verifier.text.encode()),
    "a third format": trust_changed().replace(b"trust/v2", b"trust/v3"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_trust_file_with_windows_is_refused(what: str) -> None:
    assert Trust.from_bytes(trust_changed()).log_verifier(LINEAGE) == AFTER
    with pytest.raises(TrustError):
        Trust.from_bytes(MALFORMED[what])


def test_the_keys_of_a_log_belong_together() -> None:
    witness = NoteVerifier(LINEAGE, 0x04, bytes(32))
    stranger = NoteSigner(ACCESS, Ed25519PrivateKey.generate()).verifier
    for keys in ((), (LogKey(OLD.verifier), LogKey(stranger)), (LogKey(OLD.verifier), LogKey(OLD.verifier, 3))):
        with pytest.raises(KeyRotationError):
            LogKeys(keys)
    with pytest.raises(KeyRotationError):
        LogKey(witness)
    with pytest.raises(KeyRotationError):
        KeyRotation(OLD.verifier, stranger, 0)
