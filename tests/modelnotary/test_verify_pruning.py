"""A log without its first entries is believed only as far as its own entries explain the gap."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sample_bundle as sample
from large_export import large_entries
from sample_bundle import FORGER, KEYS, LINEAGE, NOW, Keys

from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Subject
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tiles import Tile, bundle_encode
from modelnotary.ledger.tree import NodeReader, inclusion_path, tree_root
from modelnotary.verify.bundle_folder import LogWriter, folder_seal
from modelnotary.verify.errors import BundleError
from modelnotary.verify.log_archive_format import ArchiveSource, archive_export
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.pruning import PRUNED_FILE, PrunedPrefix
from modelnotary.verify.result import ExitCode, Outcome, VerificationReport

GONE, BEFORE, SIZE = 768, 1400, 1500


def link(entries: list[bytes], size: int) -> bytes:
    chain = Chain(LINEAGE)
    chain.extend(leaf_hash(entry) for entry in entries[:size])
    return chain.head


def pruned_event(entries: list[bytes], min_index: int = GONE, **other: object) -> bytes:
    data = {"origin": LINEAGE, "start": 0, "min_index": min_index, "chain": link(entries, min_index).hex()} | other
    kind = str(data.pop("type", "log.pruned"))
    return sample.event(9_000_000, kind, Subject("log", LINEAGE), data, at=NOW)


PLAIN = list(large_entries(SIZE))
ENTRIES = [*PLAIN[:BEFORE], pruned_event(PLAIN), *PLAIN[BEFORE + 1 :]]


def nodes(entries: list[bytes]) -> NodeReader:
    leaves = [leaf_hash(entry) for entry in entries]
    return lambda level, index: tree_root(leaves[index << level : (index + 1) << level])


def note(entries: list[bytes], keys: Keys = KEYS) -> bytes:
    root = tree_root(map(leaf_hash, entries))
    return checkpoint_sign(Checkpoint(LINEAGE, len(entries), root), keys.signer(LINEAGE))


def proof(entries: list[bytes], index: int = BEFORE, keys: Keys = KEYS) -> bytes:
    path = tuple(inclusion_path(index, len(entries), nodes(entries)))
    return InclusionProof(index, path, note(entries, keys), entries[index]).to_bytes()


def prefix(entries: list[bytes], min_index: int = GONE, index: int = BEFORE) -> PrunedPrefix:
    return PrunedPrefix(LINEAGE, min_index, link(entries, min_index), proof(entries, index))


def tiles_drop(folder: Path, gone: int = GONE, start: int = 0) -> None:
    for index in range(start // 256, gone // 256):
        for tile in (Tile(None, index), Tile(0, index)):
            (folder / tile.path).unlink()


def log_write(folder: Path, entries: list[bytes]) -> Path:
    writer = LogWriter(folder, LINEAGE)
    writer.extend(entries)
    writer.finish(note(entries))
    return folder / "logs/lineage"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the log after the pruning."""
    log = log_write(tmp_path_factory.mktemp("written"), ENTRIES)
    (log / "trust.json").write_bytes(KEYS.trust().to_bytes())
    tiles_drop(log)
    (log / PRUNED_FILE).write_bytes(prefix(ENTRIES).to_bytes())
    return log


@pytest.fixture
def export(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "folder" / "export"))


def verified(path: Path, *others: Path, checkpoint_file: Path | None = None) -> VerificationReport:
    return verify_paths([path, *others], checkpoint_file=checkpoint_file)[0]


def worst(report: VerificationReport) -> dict[str, tuple[int, int] | None]:
    return {check.name: check.span for check in report.checks if check.outcome is not Outcome.PASS}


def test_a_gap_that_the_log_explains_leaves_the_rest_verified(export: Path) -> None:
    report = verified(export)
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    details = {check.name: check.detail for check in report.checks}
    assert details["lineage pruning"].startswith(f"the entries 0 to {GONE - 1} are gone; the entry {BEFORE} of")
    assert details["lineage entries"] == f"all {SIZE - GONE} from {GONE} on read and hashed again"


def test_a_bundle_may_hold_a_pruned_log(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(written, folder / "logs/lineage")
    (folder / "logs/lineage/trust.json").rename(folder / "trust.json")
    checkpoint = Checkpoint(LINEAGE, SIZE, tree_root(map(leaf_hash, ENTRIES)))
    folder_seal(folder, subject=sample.SUBJECT, logs=[checkpoint], created_at=NOW, private_key=KEYS.decision)
    assert verified(folder).exit_code is ExitCode.VERIFIED, verified(folder).to_json()
    (folder / "logs/lineage" / PRUNED_FILE).unlink()
    assert "lineage entries" in worst(verified(folder))


def _flip(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return flip


def _said(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        value = json.loads((folder / PRUNED_FILE).read_bytes())
        (folder / PRUNED_FILE).write_bytes(canonical_bytes(value | changes))

    return change


def _more_is_gone(folder: Path) -> None:
    """Another 256 entries are cut off, and said to be."""
    tiles_drop(folder, GONE + 256, GONE)
    _said(min_index=GONE + 256, chain=link(ENTRIES, GONE + 256).hex())(folder)


def _log_of(entries: list[bytes], index: int = BEFORE) -> Callable[[Path], None]:
    """The log holds other entries, all else is genuine and signed."""

    def change(folder: Path) -> None:
        shutil.rmtree(folder)
        made = log_write(folder.with_name("made"), entries)
        made.rename(folder)
        (folder / "trust.json").write_bytes(KEYS.trust().to_bytes())
        tiles_drop(folder)
        (folder / PRUNED_FILE).write_bytes(prefix(entries, index=index).to_bytes())

    return change


def _replaced(event: bytes) -> list[bytes]:
    return [*PLAIN[:BEFORE], event, *PLAIN[BEFORE + 1 :]]


T, GAP = ExitCode.TAMPERED, ExitCode.INCOMPLETE
ATTACKS: dict[str, tuple[Callable[[Path], object], ExitCode, str, tuple[int, int] | None]] = {
    "nothing explains it": (lambda f: (f / PRUNED_FILE).unlink(), GAP, "lineage entries", (0, 256)),
    "more is gone than was said": (_more_is_gone, T, "lineage pruning", (0, GONE + 256)),
    "more is gone than is said": (
        lambda f: tiles_drop(f, GONE + 256, GONE), GAP, "lineage entries", (GONE, GONE + 256)
    ),
    "less is gone than was said": (_said(min_index=GONE - 256), T, "lineage pruning", (0, GONE - 256)),
    "another chain": (_said(chain="00" * 32), T, "lineage pruning", (0, GONE)),
    "another log": (_said(origin=f"{LINEAGE}-2"), T, "lineage pruning", None),
    "all of it is gone": (_said(min_index=1536), T, "lineage pruning", None),
    "half a tile is gone": (_said(min_index=GONE + 1), T, "lineage pruning", None),
    "the proof of another entry": (_said(proof=proof(ENTRIES, 1000).decode()), T, "lineage pruning", (0, GONE)),
    "a proof by another key": (_said(proof=proof(ENTRIES, keys=FORGER).decode()), T, "lineage pruning", (0, GONE)),
    "a proof that is none": (_said(proof="x"), T, "lineage pruning", (0, GONE)),
    "an entry about something else": (
        _log_of(_replaced(pruned_event(PLAIN, type="log.sealed"))), T, "lineage pruning", (0, GONE)
    ),
    "an entry about another log": (
        _log_of(_replaced(pruned_event(PLAIN, origin=f"{LINEAGE}-2"))), T, "lineage pruning", (0, GONE)
    ),
    "an entry about more": (
        _log_of(_replaced(pruned_event(PLAIN, min_index=GONE + 256))), T, "lineage pruning", (0, GONE)
    ),
    "a root over what is gone": (
        lambda f: (f / "tile/1/000.p/5").write_bytes(bytes(32) + (f / "tile/1/000.p/5").read_bytes()[32:]),
        T, "lineage tree", (0, SIZE),
    ),
    "a cut tile of roots": (
        lambda f: (f / "tile/1/000.p/5").write_bytes((f / "tile/1/000.p/5").read_bytes()[:40]),
        T, "lineage tree", (0, GONE),
    ),
    "no tile of roots": (lambda f: (f / "tile/1/000.p/5").unlink(), GAP, "lineage entries", (0, GONE)),
    "a tile that should be gone": (
        lambda f: (f / "tile/entries/001").write_bytes(bundle_encode(ENTRIES[:256])), T, "lineage pruning", None
    ),
    "a byte of what is left": (_flip("tile/entries/004"), T, "lineage entries", (1152, 1153)),
    "another spelling": (
        lambda f: (f / PRUNED_FILE).write_bytes((f / PRUNED_FILE).read_bytes() + b" "), T, "lineage pruning", None
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_gap_without_its_explanation_is_named(export: Path, name: str) -> None:
    attack, code, check, span = ATTACKS[name]
    attack(export)
    report = verified(export)
    assert report.exit_code is code, report.to_json()
    assert worst(report).get(check, "not named") == span, report.to_json()


def test_a_kept_checkpoint_still_convicts(export: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for size in (0, 512, GONE, GONE + 1, SIZE):
        kept.write_bytes(note(ENTRIES[:size]))
        assert verified(export, checkpoint_file=kept).exit_code is ExitCode.VERIFIED, size
    kept.write_bytes(note(ENTRIES[:511]))
    assert worst(verified(export, checkpoint_file=kept)) == {"kept checkpoint": (510, 511)}
    kept.write_bytes(note(ENTRIES[:512][::-1]))
    assert verified(export, checkpoint_file=kept).exit_code is ExitCode.TAMPERED


def archive(folder: Path, start: int, end: int, entries: list[bytes] = ENTRIES, *, begin: bytes | None = None) -> Path:
    def tile(wanted: Tile) -> bytes:
        part = entries[wanted.index * 256 : wanted.index * 256 + 256]
        return bundle_encode(part) if wanted.level is None else b"".join(map(leaf_hash, part))

    def chain(size: int) -> bytes:
        if size != start or begin is None:
            return link(entries, size)
        return begin

    source = ArchiveSource("lineage", note(entries), KEYS.trust().to_bytes(), tile, nodes(entries), chain)
    archive_export(folder, start, end, source)
    return folder


def test_with_its_archives_a_pruned_log_is_whole(export: Path, tmp_path: Path) -> None:
    early, late = archive(tmp_path / "early", 0, 256), archive(tmp_path / "late", 256, GONE)
    report = verified(export, late, early)
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    assert report.checks[-1].detail == f"the archives hold the entries 0 to {GONE - 1}: with them the log is whole"
    longer = archive(tmp_path / "longer", 256, 1280)
    assert verified(export, early, longer).exit_code is ExitCode.VERIFIED
    assert worst(verified(export, early)) == {"archives": (256, GONE)}
    assert worst(verified(export, late)) == {"archives": (0, GONE)}


def test_archives_of_another_history_do_not_make_it_whole(export: Path, tmp_path: Path) -> None:
    """The other history is signed by the right key, which only the comparison shows."""
    other = [*ENTRIES[:300], ENTRIES[301], ENTRIES[300], *ENTRIES[302:]]
    early, late = archive(tmp_path / "early", 0, 256), archive(tmp_path / "late", 256, GONE, other)
    assert worst(verified(export, early, late)) == {"archives": (256, 512)}
    _flip("tile/entries/001")(late)
    assert worst(verified(export, early, late)) == {"archives": (256, GONE)}


def test_a_stretch_of_bad_chain_is_no_archive(export: Path, tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole", 0, GONE, begin=b"\x01" * 32)
    assert "chain" in worst(verify_paths([whole])[0])
    assert worst(verified(export, whole)) == {}  # what does not hold is no archive; its own report says so


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format":"modelnotary-pruned/v2"}'])
def test_what_is_no_pruning_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        PrunedPrefix.from_bytes(data)
    assert PrunedPrefix.from_bytes(prefix(ENTRIES).to_bytes()) == prefix(ENTRIES)
