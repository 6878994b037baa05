"""The whole procedure and the command line: what an auditor runs, and how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import reference_tree as reference
import sample_bundle as sample
from sample_bundle import DECISION_ID, FORGER, KEYS, LINEAGE, MODEL_ID, NOW, Sample

from modelnotary.attest.decision import decision_sign
from modelnotary.ledger.checkpoint import checkpoint_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.proof import InclusionProof
from modelnotary.verify.bundle import bundle_write
from modelnotary.verify.errors import InputError, VerifyError
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import (
    ExitCode,
    Outcome,
    TrustAnchor,
    VerificationReport,
    exit_code_of,
    failed,
    missing,
    passed,
)
from modelnotary.verify.steps import steps_of
from modelnotary.verify.trust import Trust

FILES = Sample().files()
PASSED = sample.decision(DECISION_ID, "passed", expires_at=NOW + timedelta(days=90))


def proof(index: int, entries: list[bytes], keys: sample.Keys = KEYS, *, extra: bool = True) -> bytes:
    leaves = [leaf_hash(entry) for entry in entries]
    note = checkpoint_sign(Sample().checkpoint(LINEAGE, entries), keys.signer(LINEAGE))
    path = tuple(reference.path(index, leaves))
    return InclusionProof(index, path, note, entries[index] if extra else None).to_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """What an auditor has: a bundle, a decision, a proof, a kept checkpoint, and the trust file elsewhere."""
    evidence = tmp_path / "inbox" / "evidence"
    evidence.mkdir(parents=True)
    bundle_write(evidence / "bundle.zip", FILES)
    (evidence / "decision.dsse.json").write_bytes(Sample().decisions()[DECISION_ID])
    (evidence / "entry.tlog-proof").write_bytes(proof(2, Sample().entries()))
    (evidence / "checkpoint").write_bytes(sample.kept_checkpoint(Sample(), 5))
    (tmp_path / "pinned.json").write_bytes(KEYS.trust().to_bytes())
    return tmp_path


def verify(desk: Path, *names: str, pinned: bool = True, kept: str | None = None) -> list[VerificationReport]:
    return verify_paths(
        [desk / "inbox" / "evidence" / name for name in names],
        trust_file=desk / "pinned.json" if pinned else None,
        checkpoint_file=None if kept is None else desk / "inbox" / "evidence" / kept,
    )


def test_everything_genuine_verifies_in_one_call(desk: Path) -> None:
    reports = verify(desk, "decision.dsse.json", "bundle.zip", "entry.tlog-proof", kept="checkpoint")
    assert [report.kind for report in reports] == ["decision", "bundle", "proof"]
    assert all(report.exit_code is ExitCode.VERIFIED for report in reports)
    assert all(report.anchor is not None and report.anchor.pinned for report in reports)
    assert all(steps_of(report.kind, check.name) for report in reports for check in report.checks)


def test_the_pinned_trust_file_wins_over_all_others(desk: Path) -> None:
    (desk / "inbox" / "evidence" / "trust.json").write_bytes(KEYS.trust().to_bytes())
    (desk / "pinned.json").write_bytes(FORGER.trust().to_bytes())
    assert {report.exit_code for report in verify(desk, "bundle.zip", "decision.dsse.json")} == {ExitCode.TAMPERED}


def test_the_trust_file_beside_the_evidence_wins_over_the_one_inside(desk: Path) -> None:
    beside = desk / "inbox" / "trust.json"
    beside.write_bytes(FORGER.trust().to_bytes())
    [report] = verify(desk, "bundle.zip", pinned=False)
    assert report.anchor == TrustAnchor(str(beside.resolve()), pinned=False, fingerprint=FORGER.trust().fingerprint)
    assert report.exit_code is ExitCode.TAMPERED


def test_single_files_can_rely_on_the_bundle_they_came_with(desk: Path) -> None:
    assert verify(desk, "decision.dsse.json", pinned=False)[0].exit_code is ExitCode.INCOMPLETE
    reports = verify(desk, "decision.dsse.json", "entry.tlog-proof", "bundle.zip", pinned=False)
    assert exit_code_of(reports) is ExitCode.VERIFIED
    assert reports[0].anchor == reports[2].anchor
    assert reports[0].anchor is not None
    assert not reports[0].anchor.pinned


def test_a_decision_tells_what_was_decided_and_whether_it_still_counts(desk: Path) -> None:
    path = desk / "inbox" / "evidence" / "old.json"
    path.write_bytes(decision_sign(replace(PASSED, expires_at=NOW - timedelta(days=1)), KEYS.decision))
    [report] = verify(desk, "old.json")
    assert report.exit_code is ExitCode.VERIFIED
    assert "credit-risk:7" in report.checks[1].detail
    assert "not allowed" not in report.checks[1].detail
    assert report.checks[2].detail.startswith("expired 2026-11-20")


def test_a_denial_verifies_and_is_called_one(desk: Path) -> None:
    path = desk / "inbox" / "evidence" / "denial.json"
    path.write_bytes(Sample().decisions()[sample.DENIAL_ID])
    [report] = verify(desk, "denial.json")
    assert report.exit_code is ExitCode.VERIFIED
    assert "not allowed in production" in report.checks[1].detail


FALSE_DECISIONS: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"hello",
    "signed by another key": decision_sign(PASSED, FORGER.decision),
    "signed before the key was in force": decision_sign(
        replace(PASSED, decided_at=NOW - timedelta(days=31)), KEYS.decision
    ),
    "signed after the key was in force": decision_sign(
        replace(PASSED, decided_at=NOW + timedelta(days=301)), KEYS.decision
    ),
    "a manifest": FILES["manifest.dsse.json"],
}


@pytest.mark.parametrize("case", FALSE_DECISIONS)
def test_a_false_decision_is_refused(case: str, desk: Path) -> None:
    (desk / "inbox" / "evidence" / "false.json").write_bytes(FALSE_DECISIONS[case])
    assert verify(desk, "false.json")[0].exit_code is ExitCode.TAMPERED


def test_no_single_changed_byte_of_a_decision_or_proof_goes_unnoticed(desk: Path) -> None:
    for name in ("decision.dsse.json", "entry.tlog-proof"):
        path = desk / "inbox" / "evidence" / name
        data = path.read_bytes()
        for position in range(0, len(data), 7):
            path.write_bytes(data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :])
            assert verify(desk, name)[0].exit_code is ExitCode.TAMPERED, f"{name} at {position}"


ENTRIES = Sample().entries()
FALSE_PROOFS: dict[str, tuple[bytes, ExitCode]] = {
    "empty": (b"", ExitCode.TAMPERED),
    "without its entry": (proof(2, ENTRIES, extra=False), ExitCode.INCOMPLETE),
    "signed by another key": (proof(2, ENTRIES, FORGER), ExitCode.TAMPERED),
    "an entry that is no event": (proof(0, [b"hello"]), ExitCode.TAMPERED),
    "an entry of another log": (
        proof(0, [sample.event(0, "a.b", Subject("x", "1"), {}, "access")]),
        ExitCode.TAMPERED,
    ),
    "a checkpoint that is no note": (InclusionProof(0, (), b"hello\n", b"x").to_bytes(), ExitCode.TAMPERED),
    "a log nobody trusts": (
        proof(2, ENTRIES).replace(LINEAGE.encode(), b"other.example/1/lineage"),
        ExitCode.TAMPERED,
    ),
}


@pytest.mark.parametrize("case", FALSE_PROOFS)
def test_a_false_proof_is_refused(case: str, desk: Path) -> None:
    data, code = FALSE_PROOFS[case]
    (desk / "inbox" / "evidence" / "false.tlog-proof").write_bytes(data)
    assert verify(desk, "false.tlog-proof")[0].exit_code is code


def test_every_entry_of_the_log_can_be_proved(desk: Path) -> None:
    path = desk / "inbox" / "evidence" / "any.tlog-proof"
    for index in range(len(ENTRIES)):
        path.write_bytes(proof(index, ENTRIES))
        assert verify(desk, "any.tlog-proof")[0].exit_code is ExitCode.VERIFIED


PDF = b"%PDF-1.7 the signed report"


@pytest.fixture
def report_desk(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk with a report, and a report verifier that finds nothing wrong with it; the real one has its own tests."""
    (desk / "inbox" / "evidence" / "report.pdf").write_bytes(PDF)

    def verify_report(path: Path, trust: Trust, **_: object) -> VerificationReport:
        sound = path.read_bytes().startswith(b"%PDF")
        return VerificationReport("report", str(path), ((passed if sound else failed)("signature", "…"),))

    monkeypatch.setattr("modelnotary.verify.report.verify_report", verify_report)
    monkeypatch.setattr(
        "modelnotary.verify.report.report_identity",
        lambda path: (sample.REPORT_ID, Digest.of(path.read_bytes()).text),
    )
    return desk


def test_a_report_is_the_file_its_ledger_names(report_desk: Path) -> None:
    report, _ = verify(report_desk, "report.pdf", "bundle.zip")
    assert [(check.name, check.outcome) for check in report.checks][-1] == ("ledger", Outcome.PASS)


def test_another_file_for_the_same_report_is_refused(report_desk: Path) -> None:
    (report_desk / "inbox" / "evidence" / "report.pdf").write_bytes(PDF + b"\n")
    report, _ = verify(report_desk, "report.pdf", "bundle.zip")
    assert (report.checks[-1].name, report.exit_code) == ("ledger", ExitCode.TAMPERED)


def test_a_report_the_ledger_does_not_know_is_incomplete(report_desk: Path) -> None:
    files = Sample(edit_entries=lambda entries: entries[:5], edit_files=without_reports).files()
    bundle_write(report_desk / "inbox" / "evidence" / "bundle.zip", files)
    report, bundle = verify(report_desk, "report.pdf", "bundle.zip")
    assert bundle.exit_code is ExitCode.VERIFIED
    assert (report.checks[-1].name, report.exit_code) == ("ledger", ExitCode.INCOMPLETE)


def without_reports(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != "reports.json"}


def test_what_a_broken_report_says_it_is_is_not_asked(report_desk: Path) -> None:
    (report_desk / "inbox" / "evidence" / "report.pdf").write_bytes(b"\x00" + PDF)
    report, _ = verify(report_desk, "report.pdf", "bundle.zip")
    assert [check.name for check in report.checks] == ["signature"]


IMPOSSIBLE: dict[str, Callable[[Path], object]] = {
    "nothing to verify": verify,
    "a file that is not there": lambda desk: verify(desk, "nothing.zip"),
    "a folder that is no bundle": lambda desk: verify(desk, "."),
    "a file of another kind": lambda desk: verify(desk, "checkpoint"),
    "a kept checkpoint without a bundle": lambda desk: verify(desk, "entry.tlog-proof", kept="checkpoint"),
    "a kept checkpoint that is none": lambda desk: verify(desk, "bundle.zip", kept="decision.dsse.json"),
    "a kept checkpoint that is not there": lambda desk: verify(desk, "bundle.zip", kept="nothing"),
    "a trust file that is none": lambda desk: verify_paths(
        [desk / "inbox" / "evidence" / "bundle.zip"], trust_file=desk / "inbox" / "evidence" / "checkpoint"
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_request_that_makes_no_sense_is_an_error_and_not_a_verdict(case: str, desk: Path) -> None:
    with pytest.raises(VerifyError):
        IMPOSSIBLE[case](desk)


def test_a_file_too_large_for_its_kind_is_refused_before_it_is_read(desk: Path) -> None:
    path = desk / "inbox" / "evidence" / "huge.json"
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)
    with pytest.raises(InputError, match="larger than"):
        verify(desk, "huge.json")


def test_kinds_are_told_by_content_when_the_name_says_nothing(desk: Path) -> None:
    evidence = desk / "inbox" / "evidence"
    for name in ("bundle.zip", "decision.dsse.json", "entry.tlog-proof"):
        (evidence / name).rename(evidence / name.split(".")[0])
    reports = verify(desk, "bundle", "decision", "entry")
    assert [report.kind for report in reports] == ["bundle", "decision", "proof"]
    assert exit_code_of(reports) is ExitCode.VERIFIED


def test_the_gravest_finding_decides() -> None:
    good = VerificationReport("proof", "a", (passed("x", ""),))
    gap = VerificationReport("proof", "b", (passed("x", ""), missing("y", "")))
    bad = VerificationReport("proof", "c", (missing("x", ""), failed("y", "")))
    nothing = VerificationReport("proof", "d", ())
    codes = [report.exit_code for report in (good, gap, bad, nothing)]
    assert codes == [ExitCode.VERIFIED, ExitCode.INCOMPLETE, ExitCode.TAMPERED, ExitCode.INCOMPLETE]
    assert exit_code_of([good, gap]) is ExitCode.INCOMPLETE
    assert exit_code_of([gap, bad, good]) is ExitCode.TAMPERED
    assert exit_code_of([]) is ExitCode.INCOMPLETE


def run(desk: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", "modelnotary.cli", *arguments],
        cwd=desk / "inbox" / "evidence",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])


def nothing(path: Path) -> None:
    assert path.exists()


def take_evidence_out(path: Path) -> None:
    bundle_write(path, {name: data for name, data in FILES.items() if not name.startswith("evidence/")})


PINNED = ("--trust", "../../pinned.json")
COMMANDS: dict[str, tuple[Callable[[Path], None], tuple[str, ...], int, str]] = {
    "a genuine bundle": (nothing, ("bundle.zip", *PINNED), 0, "VERIFIED"),
    "with a kept checkpoint": (nothing, ("bundle.zip", *PINNED, "--checkpoint", "checkpoint"), 0, "kept checkpoint"),
    "without a pinned trust file": (nothing, ("bundle.zip",), 0, "NOT pinned by you"),
    "several pieces": (nothing, ("bundle.zip", "entry.tlog-proof", *PINNED), 0, "All 2 together: VERIFIED"),
    "a changed byte": (damage, ("bundle.zip", *PINNED), 1, "TAMPERED"),
    "evidence taken out": (take_evidence_out, ("bundle.zip", *PINNED), 2, "INCOMPLETE"),
    "a path that is not there": (nothing, ("nothing.zip",), 3, "no file"),
    "a kind that cannot be verified": (nothing, ("checkpoint",), 3, "no evidence bundle"),
    "an unknown option": (nothing, ("bundle.zip", "--fast"), 3, "No such option"),
    "no path": (nothing, (), 3, "Missing argument"),
    "an option without its value": (nothing, ("bundle.zip", "--trust"), 3, "requires an argument"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_the_command_ends_with_the_code_of_its_finding(case: str, desk: Path) -> None:
    prepare, arguments, code, words = COMMANDS[case]
    prepare(desk / "inbox" / "evidence" / "bundle.zip")
    result = run(desk, "verify", *arguments)
    assert result.returncode == code, result.stderr
    assert words in (result.stdout if code < 3 else result.stderr)
    assert "Traceback" not in result.stderr


def test_the_command_names_the_failing_check_and_the_trust_file(desk: Path) -> None:
    damage(desk / "inbox" / "evidence" / "bundle.zip")
    result = run(desk, "verify", "bundle.zip", *PINNED)
    assert "✗ FAILS    1     archive: " in result.stdout
    assert f"fingerprint {KEYS.trust().fingerprint}" in result.stdout


def test_the_result_as_json_says_the_same(desk: Path) -> None:
    take_evidence_out(desk / "inbox" / "evidence" / "bundle.zip")
    result = run(desk, "verify", "bundle.zip", *PINNED, "--json")
    content = json.loads(result.stdout)
    assert (result.returncode, content["exit_code"], content["verdict"]) == (2, 2, "incomplete")
    [report] = content["reports"]
    assert report["trust"] == {
        "source": "../../pinned.json",
        "pinned": True,
        "fingerprint": KEYS.trust().fingerprint,
    }
    assert {"pass", "missing"} == {check["outcome"] for check in report["checks"]}
    steps = {check["name"]: check["steps"] for check in report["checks"]}
    assert (steps["archive"], steps["lineage tree"], steps["evidence"]) == ([1], [6], [9])


def test_names_in_evidence_cannot_steer_the_terminal(desk: Path) -> None:
    subject = replace(sample.SUBJECT, name="\x1b[2Jcredit\rVERIFIED", id=MODEL_ID)
    bundle_write(desk / "inbox" / "evidence" / "bundle.zip", Sample(subject=subject).files())
    result = run(desk, "verify", "bundle.zip", *PINNED)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout


def test_a_verdict_survives_a_terminal_without_our_signs(desk: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "modelnotary.cli", "verify", "bundle.zip"],
        cwd=desk / "inbox" / "evidence",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, b"VERIFIED" in result.stdout) == (0, True)


def test_the_manifest_command_prints_the_digest(desk: Path) -> None:
    path = desk / "inbox" / "evidence" / "decision.dsse.json"
    result = run(desk, "manifest", path.name)
    assert (result.returncode, result.stdout) == (0, f"{Digest.of_file(path)}\n")
    content = json.loads(run(desk, "manifest", ".", "--json").stdout)
    assert content["kind"] == "folder"
    assert [file["path"] for file in content["files"]] == sorted(file["path"] for file in content["files"])
    assert run(desk, "manifest", "nothing").returncode == 3


def test_the_version_is_printed_without_loading_what_it_does_not_need(desk: Path) -> None:
    result = run(desk, "--version")
    assert (result.returncode, result.stdout.split()[0]) == (0, "modelnotary")
    probe = (
        "import sys; import modelnotary.cli.app; print(sorted(set(sys.modules) & {'cryptography', 'pyhanko', 'httpx'}))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
