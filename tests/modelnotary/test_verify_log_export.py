"""An exported log is verified entry by entry, and whatever is done to its files is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_bundle import FORGER, KEYS, LINEAGE, Sample, kept_checkpoint

from modelnotary.ledger.checkpoint import checkpoint_sign
from modelnotary.verify.bundle_folder import LogWriter
from modelnotary.verify.errors import InputError
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode, Outcome, VerificationReport
from modelnotary.verify.steps import steps_of

SAMPLE = Sample(fill=700)
SIZE = len(SAMPLE.entries())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    writer = LogWriter(folder, LINEAGE)
    writer.extend(SAMPLE.entries())
    writer.finish(checkpoint_sign(SAMPLE.checkpoint(LINEAGE, SAMPLE.entries()), KEYS.signer(LINEAGE)))
    (folder / "logs/lineage/trust.json").write_bytes(KEYS.trust().to_bytes())
    return folder / "logs/lineage"


@pytest.fixture
def export(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "folder" / "export"))


def verified(path: Path, trust_file: Path | None = None, checkpoint_file: Path | None = None) -> VerificationReport:
    [report] = verify_paths([path], trust_file=trust_file, checkpoint_file=checkpoint_file)
    return report


def test_a_genuine_export_is_verified_and_says_whose_keys_were_used(export: Path, tmp_path: Path) -> None:
    report = verified(export)
    assert (report.kind, report.exit_code) == ("log", ExitCode.VERIFIED), report.to_json()
    assert all(steps_of(report.kind, check.name) for check in report.checks)
    assert report.anchor is not None
    assert not report.anchor.pinned
    pinned = tmp_path / "pinned.json"
    pinned.write_bytes(KEYS.trust().to_bytes())
    (export / "trust.json").unlink()
    report = verified(export, trust_file=pinned)
    assert report.exit_code is ExitCode.VERIFIED
    assert report.anchor is not None
    assert report.anchor.pinned
    assert verified(export).exit_code is ExitCode.INCOMPLETE


def _flip(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return flip


def _swap(folder: Path) -> None:
    first, second = folder / "tile/entries/000", folder / "tile/entries/001"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def _truncated(folder: Path) -> None:
    """The tail is cut off, and the checkpoint says so without the key."""
    note = (folder / "checkpoint").read_bytes()
    (folder / "checkpoint").write_bytes(note.replace(f"\n{SIZE}\n".encode(), b"\n512\n", 1))
    for path in list(folder.rglob("*.p/*")):
        path.unlink()


def _forged(folder: Path) -> None:
    forged = checkpoint_sign(SAMPLE.checkpoint(LINEAGE, SAMPLE.entries()), FORGER.signer(LINEAGE))
    (folder / "checkpoint").write_bytes(forged)


def _stray(folder: Path) -> None:
    """A partial tile that the log had once and has no more."""
    (folder / "tile/0/000.p").mkdir()
    (folder / "tile/0/000.p/3").write_bytes((folder / "tile/0/000").read_bytes()[:96])


ATTACKS: dict[str, tuple[Callable[[Path], object], ExitCode, str]] = {
    "a byte of an entry": (_flip("tile/entries/001"), ExitCode.TAMPERED, "lineage entries"),
    "a byte of a leaf hash": (_flip("tile/0/001"), ExitCode.TAMPERED, "lineage entries"),
    "a byte of a higher hash": (_flip("tile/1/000.p/2"), ExitCode.TAMPERED, "lineage tree"),
    "a byte of the chain head": (_flip("chain"), ExitCode.TAMPERED, "lineage chain"),
    "a byte of the trust file": (_flip("trust.json"), ExitCode.TAMPERED, "trust"),
    "two tiles in each other's place": (_swap, ExitCode.TAMPERED, "lineage entries"),
    "a tail that is cut off": (_truncated, ExitCode.TAMPERED, "lineage checkpoint"),
    "a checkpoint by another key": (_forged, ExitCode.TAMPERED, "lineage checkpoint"),
    "a checkpoint that is none": (
        lambda folder: (folder / "checkpoint").write_bytes(b"x"),
        ExitCode.TAMPERED,
        "checkpoint",
    ),
    "a tile that is missing": (
        lambda folder: (folder / "tile/entries/001").unlink(),
        ExitCode.INCOMPLETE,
        "lineage entries",
    ),
    "no checkpoint": (lambda folder: (folder / "checkpoint").unlink(), ExitCode.INCOMPLETE, "checkpoint"),
    "a file that has no place": (_stray, ExitCode.TAMPERED, "files"),
    "a link": (lambda folder: (folder / "tile/9").symlink_to(folder), ExitCode.TAMPERED, "files"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_to_an_export_is_named(export: Path, name: str) -> None:
    attack, code, check = ATTACKS[name]
    attack(export)
    report = verified(export)
    assert report.exit_code is code, report.to_json()
    assert check in {item.name for item in report.checks if item.outcome is not Outcome.PASS}


def test_a_kept_checkpoint_convicts_a_history_rewritten_with_the_right_key(export: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(kept_checkpoint(SAMPLE, 300))
    assert verified(export, checkpoint_file=kept).exit_code is ExitCode.VERIFIED
    other = Sample(fill=700, edit_entries=lambda entries: [*entries[:6], entries[7], entries[6], *entries[8:]])
    kept.write_bytes(kept_checkpoint(other, 300))
    report = verified(export, checkpoint_file=kept)
    assert report.exit_code is ExitCode.TAMPERED
    assert [item.name for item in report.checks if item.outcome is Outcome.FAIL] == ["kept checkpoint"]
    kept.write_bytes(kept_checkpoint(Sample(fill=800), SIZE + 1))
    assert verified(export, checkpoint_file=kept).exit_code is ExitCode.INCOMPLETE


def test_a_bundle_without_its_manifest_does_not_pass_for_an_export(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "logs/lineage")
    assert verified(tmp_path).exit_code is ExitCode.INCOMPLETE
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError):
        verified(empty)
