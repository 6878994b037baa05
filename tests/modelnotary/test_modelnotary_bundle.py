"""Evidence bundles: a genuine one verifies, and no change to it goes unnoticed."""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sample_bundle as sample
from sample_bundle import DECISION_ID, EVIDENCE_ID, FORGER, KEYS, LINEAGE, NOW, Sample

from modelnotary.attest.dsse import Envelope, EnvelopeSignature
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.verify.archive import archive_write, files_open
from modelnotary.verify.bundle import bundle_examine, bundle_write, verify_bundle
from modelnotary.verify.bundle_format import log_files, reports_file
from modelnotary.verify.errors import BundleError
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.result import Check, ExitCode, Outcome, VerificationReport

TRUST = KEYS.trust()
FILES = Sample().files()
ENTRIES = "logs/lineage/tile/entries/000.p/10"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    bundle_write(path, FILES)
    return path


def examine(path: Path, *, kept: bytes | None = None, trusted: bool = True) -> VerificationReport:
    keeping = None
    if kept is not None:
        note = path.with_name("kept")
        note.write_bytes(kept)
        keeping = KeptCheckpoint.from_file(note)
    return verify_bundle(path, TRUST if trusted else None, kept=keeping, now=NOW)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "bundle.zip"
    archive_write(path, files)
    return path


def failures(report: VerificationReport) -> list[Check]:
    return [check for check in report.checks if check.outcome is not Outcome.PASS]


def test_a_genuine_bundle_verifies(bundle: Path) -> None:
    report = examine(bundle)
    assert failures(report) == []
    assert report.exit_code is ExitCode.VERIFIED
    assert [check.name for check in report.checks] == [
        "archive",
        "manifest",
        "files",
        "lineage checkpoint",
        "lineage entries",
        "lineage tree",
        "lineage chain",
        "access checkpoint",
        "access entries",
        "access tree",
        "access chain",
        "decisions",
        "evidence",
        "policies",
        "reports",
    ]


def test_an_unpacked_bundle_verifies_like_the_archive(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    assert failures(examine(folder)) == []
    assert [check.name for check in examine(folder).checks] == [check.name for check in examine(bundle).checks]


def test_the_same_files_make_the_same_archive_and_other_tools_can_read_it(bundle: Path, tmp_path: Path) -> None:
    again = written(tmp_path / ".", dict(reversed(FILES.items())))
    assert again.read_bytes() == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_a_log_of_several_tiles_verifies(tmp_path: Path) -> None:
    path = written(tmp_path, Sample(fill=700).files())
    assert failures(examine(path)) == []


def test_a_bundle_verifies_with_the_keys_inside_it_but_says_so(bundle: Path) -> None:
    report = examine(bundle, trusted=False)
    assert report.exit_code is ExitCode.VERIFIED
    assert report.anchor is not None
    assert not report.anchor.pinned
    assert report.anchor.fingerprint == TRUST.fingerprint


def test_the_findings_name_the_reports_of_the_ledger(bundle: Path) -> None:
    findings = bundle_examine(bundle, TRUST, kept=None, now=NOW)
    assert findings.reports == {sample.REPORT_ID: frozenset({sample.REPORT})}


def test_an_expired_decision_is_reported_and_not_refused(tmp_path: Path) -> None:
    path = written(tmp_path, Sample(expires_at=NOW - timedelta(days=1)).files())
    report = examine(path)
    assert report.exit_code is ExitCode.VERIFIED
    assert any("1 no longer valid today" in check.detail for check in report.checks)


def positions(size: int) -> list[int]:
    """Spread evenly, and every byte of the first header and of the last 200 bytes besides."""
    spread = range(0, size, max(1, size // 400))
    return sorted({*spread, *range(48), *range(size - 200, size)})


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_no_single_changed_byte_of_the_archive_goes_unnoticed(bundle: Path, bit: int) -> None:
    data = bundle.read_bytes()
    assert len(positions(len(data))) > 500
    for position in positions(len(data)):
        bundle.write_bytes(data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :])
        for trusted in (True, False):
            report = examine(bundle, trusted=trusted)
            assert report.exit_code is ExitCode.TAMPERED, f"byte {position} of {len(data)}"


@pytest.mark.parametrize("name", FILES)
def test_no_changed_byte_within_a_file_goes_unnoticed_when_the_archive_is_made_anew(name: str, tmp_path: Path) -> None:
    data = FILES[name]
    for position in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
        changed = data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :]
        path = written(tmp_path, FILES | {name: changed})
        for trusted in (True, False):
            assert examine(path, trusted=trusted).exit_code is ExitCode.TAMPERED, f"{name} at {position}"


@pytest.mark.parametrize("cut", [1, 10, 22, 500])
def test_a_cut_off_or_prolonged_archive_is_refused(bundle: Path, cut: int) -> None:
    data = bundle.read_bytes()
    for changed in (data[:-cut], data + b"\x00" * cut, data[cut:], b"\x00" * cut + data):
        bundle.write_bytes(changed)
        assert examine(bundle).exit_code is ExitCode.TAMPERED


def test_a_folder_with_a_link_is_refused(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(bundle, folder)
    secret = tmp_path / "secret"
    secret.write_bytes(FILES["reports.json"])
    (folder / "reports.json").unlink()
    (folder / "reports.json").symlink_to(secret)
    assert examine(folder).exit_code is ExitCode.TAMPERED


def without(*names: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {name: data for name, data in files.items() if name not in names}


def with_file(name: str, data: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {name: data}


def swapped(first: int, second: int) -> Callable[[list[bytes]], list[bytes]]:
    def swap(entries: list[bytes]) -> list[bytes]:
        entries = list(entries)
        entries[first], entries[second] = entries[second], entries[first]
        return entries

    return swap


def edited(index: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda entries: [
        entry.replace(old, new) if position == index else entry for position, entry in enumerate(entries)
    ]


def entries_file(entries: list[bytes]) -> bytes:
    return log_files(LINEAGE, entries, b"")[ENTRIES]


GENUINE_ENTRIES = Sample().entries()
EDIT = edited(2, b"Ada", b"Eve")
SWAP = swapped(3, 4)

# Edits by someone who can write the files but has no keys: exit code, failing check, first bad entry.
WITHOUT_KEYS: dict[str, tuple[dict[str, bytes], str, int | None]] = {
    "an edited entry": ({ENTRIES: entries_file(EDIT(GENUINE_ENTRIES))}, "lineage entries", 2),
    "two swapped entries": ({ENTRIES: entries_file(SWAP(GENUINE_ENTRIES))}, "lineage entries", 3),
    "a repeated entry": (
        {ENTRIES: entries_file([*GENUINE_ENTRIES[:9], GENUINE_ENTRIES[0]])},
        "lineage entries",
        9,
    ),
    "an entry with the same meaning in other bytes": (
        {ENTRIES: entries_file(edited(6, b'{"n":6}', b'{"n":6 }')(GENUINE_ENTRIES))},
        "lineage entries",
        6,
    ),
    "an added file": ({"reports.json.bak": b"x"}, "files", None),
    "another chain head": ({"logs/lineage/chain": b"00" * 32 + b"\n"}, "lineage chain", None),
    "other leaf hashes": ({"logs/lineage/tile/0/000.p/10": bytes(320)}, "lineage entries", 0),
    "another checkpoint of the same log": (
        {"logs/lineage/checkpoint": sample.kept_checkpoint(Sample(), 5)},
        "lineage checkpoint",
        None,
    ),
    "another trust file": ({"trust.json": FORGER.trust().to_bytes()}, "files", None),
}


@pytest.mark.parametrize("case", WITHOUT_KEYS)
def test_an_edit_without_keys_is_named(case: str, tmp_path: Path) -> None:
    changes, name, index = WITHOUT_KEYS[case]
    report = examine(written(tmp_path, FILES | changes))
    assert report.exit_code is ExitCode.TAMPERED
    assert (name, index) in [(check.name, check.index) for check in failures(report)]


@pytest.mark.parametrize("index", [0, 255, 256, 400, 511, 512, 700])
def test_the_exact_edited_entry_is_named_in_a_log_of_several_tiles(index: int, tmp_path: Path) -> None:
    genuine = Sample(fill=700)
    files = genuine.files()
    tampered = replace(genuine, edit_entries=edited(index, b"Ada", b"Eve")).files()
    touched = {name: data for name, data in tampered.items() if "lineage/tile/entries" in name}
    report = examine(written(tmp_path, files | touched))
    assert [check.index for check in failures(report) if check.name == "lineage entries"] == [index]


# Forgeries by someone who holds some keys, each part made consistent: which keys, the failing check.
WITH_KEYS: dict[str, tuple[Sample, str]] = {
    "everything edited, recomputed and signed with other keys": (Sample(FORGER, edit_entries=EDIT), "manifest"),
    "a truncated log signed with another log key": (
        Sample(replace(KEYS, lineage=FORGER.lineage), edit_entries=lambda entries: entries[:8]),
        "lineage checkpoint",
    ),
    "an edited log signed with another log key": (
        Sample(replace(KEYS, lineage=FORGER.lineage), edit_entries=EDIT),
        "lineage checkpoint",
    ),
    "decisions signed with another key": (
        Sample(replace(KEYS, decision=FORGER.decision), manifest_key=KEYS.decision),
        "decisions",
    ),
    "a manifest signed with another key": (Sample(manifest_key=FORGER.decision), "manifest"),
    "a manifest signed with the log's key": (Sample(manifest_key=KEYS.lineage), "manifest"),
    "a manifest signed before its key was in force": (Sample(created_at=NOW - timedelta(days=31)), "manifest"),
    "a manifest signed after its key was in force": (Sample(created_at=NOW + timedelta(days=301)), "manifest"),
    "a root that does not belong to the entries": (
        Sample(edit_checkpoint=lambda checkpoint: replace(checkpoint, root=bytes(32))),
        "lineage tree",
    ),
    "an entry that is no event": (
        Sample(edit_entries=lambda entries: [*entries, b'{"v":1}']),
        "lineage entries",
    ),
    "an entry of the other log": (
        Sample(edit_entries=lambda entries: [*entries, sample.event(99, "a.b", Subject("x", "1"), {}, "access")]),
        "lineage entries",
    ),
    "an entry with a repeated key": (
        Sample(edit_entries=edited(6, b'{"n":6}', b'{"n":6,"n":6}')),
        "lineage entries",
    ),
    "evidence the ledger does not know": (
        Sample(edit_files=with_file(f"evidence/evd_{9:032x}.json", b"{}")),
        "evidence",
    ),
    "evidence with other content": (
        Sample(edit_files=with_file(f"evidence/{EVIDENCE_ID}.json", b'{"ratio":0.99}')),
        "evidence",
    ),
    "a policy the ledger does not know": (
        Sample(edit_files=with_file("policies/pol_9-v1.yaml", b"rules: []\n")),
        "policies",
    ),
    "a report the ledger does not know": (
        Sample(edit_files=with_file("reports.json", reports_file({"rep_9": sample.REPORT}))),
        "reports",
    ),
    "a report with another digest": (
        Sample(edit_files=with_file("reports.json", reports_file({sample.REPORT_ID: Digest.of(b"x")}))),
        "reports",
    ),
    "a decision the ledger does not know": (
        Sample(edit_files=with_file(f"decisions/dec_{9:032x}.dsse.json", Sample().decisions()[DECISION_ID])),
        "decisions",
    ),
    "a denial in the place of the approval": (
        Sample(
            edit_files=lambda files: (
                files | {f"decisions/{DECISION_ID}.dsse.json": files[f"decisions/{sample.DENIAL_ID}.dsse.json"]}
            )
        ),
        "decisions",
    ),
    "a file that has no place in a bundle": (Sample(edit_files=with_file("README.txt", b"trust me")), "files"),
    "a malformed list of reports": (Sample(edit_files=with_file("reports.json", b"[ ]")), "reports"),
}


@pytest.mark.parametrize("case", WITH_KEYS)
def test_a_forgery_with_some_keys_is_named(case: str, tmp_path: Path) -> None:
    forged, name = WITH_KEYS[case]
    report = examine(written(tmp_path, forged.files()))
    assert report.exit_code is ExitCode.TAMPERED
    assert name in [check.name for check in failures(report)]


def test_a_forgery_with_its_own_keys_is_told_by_its_fingerprint(tmp_path: Path) -> None:
    report = examine(written(tmp_path, Sample(FORGER, edit_entries=EDIT).files()), trusted=False)
    assert report.anchor is not None
    assert report.anchor.fingerprint != TRUST.fingerprint


# What is missing though the signed manifest, the ledger or a decision speaks of it.
INCOMPLETE: dict[str, tuple[dict[str, bytes], str]] = {
    "evidence taken out": (without(f"evidence/{EVIDENCE_ID}.json")(FILES), "files"),
    "evidence never put in": (Sample(edit_files=without(f"evidence/{EVIDENCE_ID}.json")).files(), "evidence"),
    "a decision never put in": (Sample(edit_files=without(f"decisions/{DECISION_ID}.dsse.json")).files(), "decisions"),
    "a policy never put in": (Sample(edit_files=without(f"policies/pol_{1:032x}-v1.yaml")).files(), "decisions"),
    "a checkpoint taken out": (without("logs/lineage/checkpoint")(FILES), "lineage checkpoint"),
    "entries taken out": (without(ENTRIES)(FILES), "lineage entries"),
    "a chain head taken out": (without("logs/lineage/chain")(FILES), "lineage entries"),
    "the manifest taken out": (without("manifest.dsse.json")(FILES), "manifest"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_a_bundle_that_lacks_something_is_incomplete(case: str, tmp_path: Path) -> None:
    files, name = INCOMPLETE[case]
    report = examine(written(tmp_path, files))
    assert report.exit_code is ExitCode.INCOMPLETE
    assert name in [check.name for check in failures(report)]


def test_a_bundle_without_any_trust_file_is_incomplete(tmp_path: Path) -> None:
    path = written(tmp_path, Sample(edit_files=without("trust.json")).files())
    assert examine(path).exit_code is ExitCode.VERIFIED
    assert examine(path, trusted=False).exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize("size", range(11))
def test_a_bundle_continues_every_checkpoint_kept_of_its_log(size: int, bundle: Path) -> None:
    report = examine(bundle, kept=sample.kept_checkpoint(Sample(), size))
    assert failures(report) == []
    assert report.checks[11].name == "kept checkpoint"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 705, 706])
def test_a_kept_checkpoint_is_found_in_a_log_of_several_tiles(size: int, tmp_path: Path) -> None:
    grown = Sample(fill=700)
    path = written(tmp_path, grown.files())
    assert failures(examine(path, kept=sample.kept_checkpoint(grown, size))) == []
    if size:
        rewritten = replace(grown, edit_entries=edited(size - 1, b"Ada", b"Eve"))
        assert examine(path, kept=sample.kept_checkpoint(rewritten, size)).exit_code is ExitCode.TAMPERED


REWRITTEN = {
    "an entry edited": Sample(edit_entries=edited(1, b"Ada", b"Eve")),
    "two entries swapped": Sample(edit_entries=swapped(6, 7)),
    "an entry dropped": Sample(fill=6, edit_entries=lambda entries: entries[:7] + entries[8:]),
}


@pytest.mark.parametrize("case", REWRITTEN)
def test_a_history_rewritten_with_the_right_keys_is_told_only_by_a_kept_checkpoint(case: str, tmp_path: Path) -> None:
    path = written(tmp_path, REWRITTEN[case].files())
    assert failures(examine(path)) == []
    report = examine(path, kept=sample.kept_checkpoint(Sample(), 9))
    assert [check.name for check in failures(report)] == ["kept checkpoint"]
    assert report.exit_code is ExitCode.TAMPERED


def test_a_log_shorter_than_the_kept_checkpoint_is_incomplete_for_it_may_be_older_or_cut_back(tmp_path: Path) -> None:
    path = written(tmp_path, Sample(edit_entries=lambda entries: entries[:7]).files())
    assert failures(examine(path)) == []
    report = examine(path, kept=sample.kept_checkpoint(Sample(), 9))
    assert [check.name for check in failures(report)] == ["kept checkpoint"]
    assert report.exit_code is ExitCode.INCOMPLETE


def test_a_kept_checkpoint_that_the_trusted_key_did_not_sign_is_refused(bundle: Path) -> None:
    report = examine(bundle, kept=sample.kept_checkpoint(Sample(FORGER), 5))
    assert [check.name for check in failures(report)] == ["kept checkpoint"]
    assert report.exit_code is ExitCode.TAMPERED


def test_a_kept_checkpoint_of_a_log_that_is_not_in_the_bundle_cannot_be_compared(tmp_path: Path) -> None:
    path = written(tmp_path, Sample(with_access=False).files())
    note = checkpoint_sign(Checkpoint(sample.ACCESS, 1, bytes(32)), KEYS.signer(sample.ACCESS))
    assert examine(path, kept=note).exit_code is ExitCode.INCOMPLETE


def test_a_log_that_claims_to_be_immense_costs_nothing_to_refuse(tmp_path: Path) -> None:
    immense = Sample(edit_checkpoint=lambda checkpoint: replace(checkpoint, size=2**52))
    report = examine(written(tmp_path, immense.files()))
    assert report.exit_code is ExitCode.INCOMPLETE


def test_a_second_signature_by_an_unknown_key_cannot_ride_along(tmp_path: Path) -> None:
    envelope = Envelope.from_bytes(FILES["manifest.dsse.json"])
    signed = replace(envelope, signatures=(*envelope.signatures, EnvelopeSignature("0" * 64, bytes(64))))
    report = examine(written(tmp_path, FILES | {"manifest.dsse.json": signed.to_bytes()}))
    assert report.exit_code is ExitCode.TAMPERED


def test_a_manifest_in_another_spelling_is_refused(tmp_path: Path) -> None:
    value = parse_canonical(FILES["manifest.dsse.json"])
    assert canonical_bytes(value) == FILES["manifest.dsse.json"]
    path = written(tmp_path, FILES | {"manifest.dsse.json": FILES["manifest.dsse.json"].replace(b":", b": ")})
    assert examine(path).exit_code is ExitCode.TAMPERED


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"reports.json": b"[]"},
        FILES | {"README.txt": b""},
        FILES | {"../reports.json": b""},
        FILES | {"evidence/évd.json": b""},
    ],
)
def test_what_is_no_bundle_is_not_written(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        bundle_write(tmp_path / "bundle.zip", files)
    assert list(tmp_path.iterdir()) == []


def test_a_file_too_large_for_a_bundle_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="more than"):
        archive_write(tmp_path / "bundle.zip", {"reports.json": bytes(33 * 1024 * 1024)})


def test_a_file_that_is_not_there_cannot_be_read(bundle: Path) -> None:
    with files_open(bundle) as files, pytest.raises(BundleError):
        files.read("reports.xml")


def test_a_path_that_is_not_there_is_reported(tmp_path: Path) -> None:
    assert examine(tmp_path / "bundle.zip").exit_code is ExitCode.TAMPERED
