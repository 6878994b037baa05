"""An auditor's policy on witnesses: bundles, logs and proofs must meet it, and it is never ignored in silence."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import reference_tree as reference
import sample_bundle as sample
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_bundle import KEYS, LINEAGE, Sample

from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import note_extend
from modelnotary.ledger.proof import InclusionProof
from modelnotary.verify.archive import archive_write
from modelnotary.verify.errors import InputError
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import Check, ExitCode, Outcome

WITNESSES = [
    Cosigner(f"witness.example/{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number in (31, 32, 33)
]
ENTRIES = Sample(with_access=False).entries()


@dataclass
class Desk:
    """A bundle, an exported log and a proof, all with the same checkpoint, and a policy."""

    folder: Path

    def __post_init__(self) -> None:
        lines = [f"witness w{number} {witness.verifier.text}\n" for number, witness in enumerate(WITNESSES)]
        self.policy = self.folder / "policy.txt"
        self.policy.write_text("".join(lines) + "group two 2 w0 w1 w2\nquorum two\n", encoding="utf-8")
        (self.folder / "trust.json").write_bytes(KEYS.trust().to_bytes())

    def evidence(self, kind: str, signing: list[Cosigner], at: int = 1_795_255_200) -> Path:
        checkpoint = Sample().checkpoint(LINEAGE, ENTRIES)
        plain = sample.kept_checkpoint(Sample(with_access=False), len(ENTRIES))
        note = note_extend(plain, [witness.sign(checkpoint, at=at) for witness in signing])
        return self.place(kind, note)

    def place(self, kind: str, note: bytes) -> Path:
        return {"bundle": self._bundle, "log": self._log, "proof": self._proof}[kind](note)

    def _bundle(self, note: bytes) -> Path:
        files = Sample(with_access=False, edit_files=lambda files: files | {"logs/lineage/checkpoint": note}).files()
        archive_write(self.folder / "bundle.zip", files)
        return self.folder / "bundle.zip"

    def _log(self, note: bytes) -> Path:
        folder = self.folder / "log"
        for name, data in (Sample(with_access=False).files() | {"logs/lineage/checkpoint": note}).items():
            if name.startswith("logs/lineage/"):
                path = folder / name.removeprefix("logs/lineage/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return folder

    def _proof(self, note: bytes) -> Path:
        path = reference.path(2, list(map(leaf_hash, ENTRIES)))
        file = self.folder / "entry.tlog-proof"
        file.write_bytes(InclusionProof(2, tuple(path), note, ENTRIES[2]).to_bytes())
        return file

    def judge(self, path: Path) -> tuple[ExitCode, Check]:
        [report] = verify_paths([path], trust_file=self.folder / "trust.json", policy_file=self.policy)
        [check] = [check for check in report.checks if "witnesses" in check.name]
        return report.exit_code, check


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("kind", ["bundle", "log", "proof"])
def test_enough_witnesses_are_named_with_the_time_they_signed(kind: str, desk: Desk) -> None:
    code, check = desk.judge(desk.evidence(kind, [WITNESSES[2], WITNESSES[0]]))
    assert (code, check.outcome) == (ExitCode.VERIFIED, Outcome.PASS)
    assert "witness.example/33 at 2026-11-21T10:00:00Z, witness.example/31 at" in check.detail


def test_a_time_no_calendar_has_is_said_in_seconds(desk: Desk) -> None:
    _, check = desk.judge(desk.evidence("proof", WITNESSES, at=2**62))
    assert f"at second {2**62}" in check.detail


@pytest.mark.parametrize("kind", ["bundle", "log", "proof"])
def test_too_few_witnesses_leave_the_evidence_incomplete(kind: str, desk: Desk) -> None:
    code, check = desk.judge(desk.evidence(kind, [WITNESSES[1]]))
    assert (code, check.outcome) == (ExitCode.INCOMPLETE, Outcome.MISSING)
    assert "w1" in check.detail


@pytest.mark.parametrize("kind", ["bundle", "log", "proof"])
def test_a_false_signature_of_a_known_witness_is_tampering(kind: str, desk: Desk) -> None:
    note = sample.kept_checkpoint(Sample(with_access=False), len(ENTRIES))
    of_another_tree = WITNESSES[0].sign(Sample().checkpoint(LINEAGE, ENTRIES[:3]), at=7)
    code, check = desk.judge(desk.place(kind, note_extend(note, [of_another_tree])))
    assert (code, check.outcome) == (ExitCode.TAMPERED, Outcome.FAIL)


def test_a_policy_that_would_be_compared_with_nothing_is_refused(desk: Desk) -> None:
    decision = desk.folder / "decision.dsse.json"
    decision.write_bytes(Sample().decisions()[sample.DECISION_ID])
    with pytest.raises(InputError, match="policy"):
        verify_paths([decision], trust_file=desk.folder / "trust.json", policy_file=desk.policy)


def test_a_malformed_policy_ends_with_the_code_for_usage(desk: Desk) -> None:
    desk.policy.write_text("quorum two\n", encoding="utf-8")
    proof = desk.evidence("proof", WITNESSES)
    done = subprocess.run(
        [sys.executable, "-m", "modelnotary.cli", "verify", proof, "--policy", desk.policy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "line 1 of the policy: 'two' is not defined" in done.stderr
