"""Evidence made after a rotation is verified with a trust file from before it, by the proofs that travel with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import report_samples
from sample_bundle import ACCESS, KEYS, LINEAGE, Sample, event, kept_checkpoint, key
from typer.testing import CliRunner

from modelnotary.cli.app import app
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Subject
from modelnotary.ledger.log_keys import KeyRotation
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner, note_sign
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tree import inclusion_path, perfect_root, tree_root
from modelnotary.verify.archive import archive_write
from modelnotary.verify.bundle_folder import LogWriter
from modelnotary.verify.errors import BundleError
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import Check, ExitCode, Outcome, VerificationReport
from modelnotary.verify.rotations import ROTATIONS_FILE, rotations_parse, rotations_write
from modelnotary.verify.trust import Trust

OLD, NEW, NEXT, THIEF = (NoteSigner(LINEAGE, key(number)) for number in (1, 21, 22, 23))
FIRST, SECOND, OVERLAP = 20, 30, 3
BEFORE = KEYS.trust()


def rotation_entry(number: int, note: bytes) -> bytes:
    return event(number, "key.rotated", Subject("log", LINEAGE), {"rotation": note.decode()})


def rotated(entries: list[bytes]) -> list[bytes]:
    """A log that hands over twice."""
    changed = list(entries)
    changed[FIRST] = rotation_entry(FIRST, KeyRotation(OLD.verifier, NEW.verifier, OVERLAP).sign(OLD, NEW))
    changed[SECOND] = rotation_entry(SECOND, KeyRotation(NEW.verifier, NEXT.verifier, OVERLAP).sign(NEW, NEXT))
    return changed


def proof(entries: list[bytes], index: int, *signers: NoteSigner, origin: str = LINEAGE) -> bytes:
    """The proof of an entry in the tree that ends with it."""
    leaves = [leaf_hash(entry) for entry in entries[: index + 1]]

    def node(level: int, number: int) -> bytes:
        return perfect_root(leaves[number << level : (number + 1) << level])

    note = checkpoint_sign(Checkpoint(origin, len(leaves), tree_root(leaves)), *signers)
    return InclusionProof(index, tuple(inclusion_path(index, len(leaves), node)), note, entries[index]).to_bytes()


SAMPLE = Sample(fill=40, edit_entries=rotated)
ENTRIES = SAMPLE.entries()
PROOFS = [proof(ENTRIES, FIRST, OLD, NEW), proof(ENTRIES, SECOND, NEW, NEXT)]
AFTER = BEFORE.followed(PROOFS[0]).followed(PROOFS[1])


@dataclass(frozen=True)
class Office:
    """Makes evidence of a log that has rotated its key twice, for an auditor with a trust file."""

    folder: Path

    def bundle(self, rotations: bytes | None, sample: Sample = SAMPLE, signer: NoteSigner = NEXT) -> Path:
        def given(files: dict[str, bytes]) -> dict[str, bytes]:
            note = checkpoint_sign(sample.checkpoint(LINEAGE, sample.entries()), signer)
            files |= {"logs/lineage/checkpoint": note, "trust.json": AFTER.to_bytes()}
            return files if rotations is None else files | {f"logs/lineage/{ROTATIONS_FILE}": rotations}

        path = self.folder / "bundle.zip"
        archive_write(path, replace(sample, edit_files=given).files())
        return path

    def export(self, rotations: bytes | None, sample: Sample = SAMPLE, signer: NoteSigner = NEXT) -> Path:
        writer = LogWriter(self.folder, LINEAGE)
        writer.extend(sample.entries())
        writer.finish(checkpoint_sign(sample.checkpoint(LINEAGE, sample.entries()), signer))
        path = self.folder / "logs/lineage"
        (path / "trust.json").write_bytes(AFTER.to_bytes())
        if rotations is not None:
            (path / ROTATIONS_FILE).write_bytes(rotations)
        return path

    def verified(self, path: Path, trust: Trust, kept: bytes | None = None) -> VerificationReport:
        trust_file, checkpoint_file = self.folder / "auditors.json", self.folder / "kept"
        trust_file.write_bytes(trust.to_bytes())
        if kept is not None:
            checkpoint_file.write_bytes(kept)
        [report] = verify_paths([path], trust_file=trust_file, checkpoint_file=checkpoint_file if kept else None)
        return report


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def named(report: VerificationReport, name: str) -> list[Check]:
    return [check for check in report.checks if check.name == name]


MADE: dict[str, Callable[..., Path]] = {"bundle": Office.bundle, "export": Office.export}


@pytest.mark.parametrize("made", MADE)
def test_an_old_trust_file_is_enough_and_it_is_said_how_the_key_was_followed(office: Office, made: str) -> None:
    path = MADE[made](office, rotations_write(PROOFS))
    report = office.verified(path, BEFORE, kept_checkpoint(SAMPLE, 10))
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    [keys] = named(report, "lineage keys")
    assert keys.detail == (
        f"the key {NEW.verifier.key_id.hex()} signs from {FIRST + 1} entries on, as the key before it says; "
        f"the key {NEXT.verifier.key_id.hex()} signs from {SECOND + 1} entries on, as the key before it says; "
        "not in the trust file, which can be brought up to date: modelnotary trust follow"
    )
    assert named(report, "lineage rotations") == []
    # What is pinned is what is named, not what was made of it.
    assert report.anchor is not None
    assert report.anchor.fingerprint == BEFORE.fingerprint
    [keys] = named(office.verified(path, AFTER), "lineage keys")
    assert keys.detail == "handed over as the trust file says"
    half = office.verified(path, BEFORE.followed(PROOFS[0]))
    assert half.exit_code is ExitCode.VERIFIED
    assert NEW.verifier.key_id.hex() not in named(half, "lineage keys")[0].detail


@pytest.mark.parametrize("made", MADE)
def test_without_the_proofs_an_old_trust_file_opens_nothing(office: Office, made: str) -> None:
    report = office.verified(MADE[made](office, None), BEFORE)
    assert report.exit_code is ExitCode.TAMPERED
    [checkpoint] = named(report, "lineage checkpoint")
    assert "follow it: modelnotary trust follow" in checkpoint.detail


def forged(note: bytes, *signers: NoteSigner) -> bytes:
    """The proof of a rotation that was put into the log for it."""
    entries = list(ENTRIES)
    entries[FIRST] = rotation_entry(FIRST, note)
    return proof(entries, FIRST, *signers)


TO_THIEF = KeyRotation(OLD.verifier, THIEF.verifier, 0)
OF_ACCESS = KeyRotation(KEYS.signer(ACCESS).verifier, NoteSigner(ACCESS, key(23)).verifier, 0)
FORGED: dict[str, bytes] = {
    "not signed by the old key": rotations_write([forged(note_sign(TO_THIEF.text, [THIEF]), OLD)]),
    "in a tree that only the new key signed": rotations_write(
        [forged(KeyRotation(OLD.verifier, NEW.verifier, 0).sign(OLD, NEW), NEW)]
    ),
    "signed by a stranger alone": rotations_write(
        [forged(KeyRotation(THIEF.verifier, NEXT.verifier, 0).sign(THIEF, NEXT), THIEF, NEXT)]
    ),
    "out of turn": rotations_write(PROOFS[::-1]),
    "one left out": rotations_write(PROOFS[1:]),
    "one damaged": rotations_write([PROOFS[0].replace(b"index 20", b"index 19"), PROOFS[1]]),
    "of another log": rotations_write(
        [
            proof(
                [event(0, "key.rotated", Subject("log", ACCESS), {"rotation": note.decode()}, log="access")],
                0,
                KEYS.signer(ACCESS),
                origin=ACCESS,
            )
            for note in [OF_ACCESS.sign(KEYS.signer(ACCESS), NoteSigner(ACCESS, key(23)))]
        ]
    ),
    "of no log": rotations_write([b"nothing"]),
    "in another spelling": rotations_write(PROOFS) + b"\n",
    "no proofs but numbers": b'{"format":"modelnotary-rotations/v1","proofs":[1]}',
    "another format": rotations_write(PROOFS).replace(b"/v1", b"/v2"),
    "no JSON": b"\xff",
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("made", MADE)
def test_forged_proofs_are_refused_and_nobody_is_followed(office: Office, made: str, what: str) -> None:
    report = office.verified(MADE[made](office, FORGED[what]), BEFORE)
    assert report.exit_code is ExitCode.TAMPERED
    [keys], [checkpoint] = named(report, "lineage keys"), named(report, "lineage checkpoint")
    assert (keys.outcome, checkpoint.outcome) == (Outcome.FAIL, Outcome.FAIL)


def test_a_thief_of_no_key_takes_no_auditor_to_his_own(office: Office) -> None:
    """The history is the thief's and signed by him, with a rotation to him that the old key never signed."""
    note = note_sign(TO_THIEF.text, [THIEF])
    taken = replace(SAMPLE, edit_entries=lambda all_: [*all_[:FIRST], rotation_entry(FIRST, note), *all_[FIRST + 1 :]])
    forgery = rotations_write([proof(taken.entries(), FIRST, THIEF)])
    for make in (office.bundle, office.export):
        report = office.verified(make(forgery, taken, THIEF), BEFORE)
        assert report.exit_code is ExitCode.TAMPERED
        assert [check.outcome for check in named(report, "lineage keys")] == [Outcome.FAIL]


CLAIMS: dict[str, bytes] = {
    "not signed by the old key": note_sign(TO_THIEF.text, [THIEF]),
    "by a key that the log never had": KeyRotation(THIEF.verifier, NEXT.verifier, 0).sign(THIEF, NEXT),
    "to a key that has taken over already": KeyRotation(OLD.verifier, NEXT.verifier, 0).sign(OLD, NEXT),
    "a genuine one, repeated": KeyRotation(NEW.verifier, NEXT.verifier, OVERLAP).sign(NEW, NEXT),
    "by a key that was retired": KeyRotation(OLD.verifier, THIEF.verifier, 0).sign(OLD, THIEF),
    "about another log": OF_ACCESS.sign(KEYS.signer(ACCESS), NoteSigner(ACCESS, key(23))),
    "no note": b"trust me",
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("made", MADE)
def test_a_forged_rotation_that_stands_in_the_log_is_named_with_its_index(
    office: Office, made: str, claim: str
) -> None:
    """The application can append anything, so such an entry is true to the log; it is told and changes no key."""
    at = 35
    entry = rotation_entry(at, CLAIMS[claim])
    sample = replace(SAMPLE, edit_entries=lambda all_: [*rotated(all_)[:at], entry, *rotated(all_)[at + 1 :]])
    report = office.verified(MADE[made](office, rotations_write(PROOFS), sample), BEFORE)
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    [told] = named(report, "lineage rotations")
    assert (told.index, told.outcome) == (at, Outcome.PASS)
    assert f"entry {at} claims that the log's key was handed over, and it was not" in told.detail


def test_a_genuine_rotation_within_its_overlap_needs_no_proof_and_is_not_called_forged(office: Office) -> None:
    sample = replace(SAMPLE, fill=FIRST + 1 - 6, edit_entries=lambda all_: rotated([*all_, *all_])[: FIRST + 1])
    report = office.verified(office.bundle(None, sample, OLD), BEFORE)
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    assert named(report, "lineage rotations") == named(report, "lineage keys") == []


def test_a_trust_file_is_brought_up_to_date_by_the_file_of_a_bundle(tmp_path: Path) -> None:
    before, after, rotations = tmp_path / "before.json", tmp_path / "after.json", tmp_path / ROTATIONS_FILE
    before.write_bytes(BEFORE.to_bytes())
    rotations.write_bytes(rotations_write(PROOFS))
    arguments = ["trust", "follow", str(before), str(rotations), "--out", str(after)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert Trust.from_file(after) == AFTER
    rotations.write_bytes(FORGED["one left out"])
    after.unlink()
    assert CliRunner().invoke(app, arguments).exit_code == 1
    assert not after.exists()


def test_the_file_is_read_as_it_was_written() -> None:
    assert rotations_parse(rotations_write(PROOFS)) == tuple(PROOFS)
    assert rotations_parse(rotations_write([])) == ()
    with pytest.raises(BundleError, match="canonical"):
        rotations_parse(rotations_write(PROOFS).replace(b",", b", ", 1))


# --- Reports ----------------------------------------------------------------------------------------------------------
def report_after_rotation(forge: Callable[[bytes], bytes] = lambda proof: proof) -> tuple[bytes, Trust]:
    """A report over a log whose first entry hands its key over, and the trust file from before that."""
    sample, bank = report_samples.sample_report(), report_samples.SampleBank()
    old, new = bank.lineage.signer, NoteSigner(bank.lineage.origin, key(24))
    trust = replace(bank.trust, report_roots=sample.trust.report_roots)
    note = KeyRotation(old.verifier, new.verifier, 0).sign(old, new).decode()
    bank.lineage.entries.append(
        event(0, "key.rotated", Subject("log", bank.lineage.origin), {"rotation": note}, at=report_samples.AS_OF)
    )
    handed = forge(proof(bank.lineage.entries, 0, old, new, origin=bank.lineage.origin)).decode()
    bank.lineage.signer = new
    content = bank.report()
    lineage, access = content.ledger.checkpoints
    checkpoints = (replace(lineage, rotations=(handed,) if handed else ()), access)
    return sample.issue(replace(content, ledger=replace(content.ledger, checkpoints=checkpoints))), trust


def test_a_report_carries_the_proofs_too() -> None:
    report = report_samples.judge(*report_after_rotation())
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    [keys] = named(report, "keys")
    assert "signs from 1 entries on, as the key before it says" in keys.detail


@pytest.mark.parametrize(
    ("forge", "check"),
    [
        (lambda _: b"", "checkpoints"),
        (lambda proof: proof.replace(b"index 0", b"index 1"), "keys"),
        (lambda _: PROOFS[0], "keys"),
    ],
    ids=["left out", "damaged", "of another log"],
)
def test_a_report_without_the_proof_or_with_a_forged_one_is_refused(
    forge: Callable[[bytes], bytes], check: str
) -> None:
    data, trust = report_after_rotation(forge)
    assert report_samples.failing(report_samples.judge(data, trust)) == check
