"""An archive of a stretch of a log proves itself from its files alone, and whatever is done to them is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from large_export import large_entries
from sample_bundle import FORGER, KEYS, LINEAGE, Keys

from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import Tile, bundle_decode, bundle_encode
from modelnotary.ledger.tree import tree_root
from modelnotary.verify.errors import BundleError
from modelnotary.verify.log_archive_format import (
    ARCHIVE_MANIFEST,
    MAX_ARCHIVE_ENTRIES,
    ArchiveManifest,
    ArchiveSource,
    archive_export,
)
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode, Outcome, VerificationReport
from modelnotary.verify.steps import steps_of

SIZE = 1900
ENTRIES = list(large_entries(SIZE))
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
START, END = 512, 1280


def note_at(size: int, *, entries: list[bytes] | None = None, keys: Keys = KEYS) -> bytes:
    leaves = LEAVES if entries is None else [leaf_hash(entry) for entry in entries]
    return checkpoint_sign(Checkpoint(LINEAGE, size, tree_root(leaves[:size])), keys.signer(LINEAGE))


def source(*, note: bytes | None = None, entries: list[bytes] | None = None, origin: str = LINEAGE) -> ArchiveSource:
    """A log in memory: read like the database."""
    bodies = ENTRIES if entries is None else entries
    leaves = [leaf_hash(entry) for entry in bodies]

    def tile(wanted: Tile) -> bytes:
        part = slice(wanted.index * 256, wanted.index * 256 + 256)
        return bundle_encode(bodies[part]) if wanted.level is None else b"".join(leaves[part])

    def chain(size: int) -> bytes:
        links = Chain(origin)
        links.extend(leaves[:size])
        return links.head

    return ArchiveSource(
        log="lineage",
        note=note or note_at(SIZE),
        trust=KEYS.trust().to_bytes(),
        tile=tile,
        node=lambda level, index: tree_root(leaves[index << level : (index + 1) << level]),
        chain=chain,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "archive"
    archive_export(folder, START, END, source())
    return folder


@pytest.fixture
def archive(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "folder" / "archive"))


def verified(path: Path, checkpoint_file: Path | None = None) -> VerificationReport:
    [report] = verify_paths([path], checkpoint_file=checkpoint_file)
    return report


def worst(report: VerificationReport) -> dict[str, tuple[int, int] | None]:
    return {check.name: check.span for check in report.checks if check.outcome is not Outcome.PASS}


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [(0, 256, 256), (0, 256, SIZE), (256, 512, 600), (768, 1024, 1024), (512, 1280, 1281), (0, 1792, SIZE)],
)
def test_every_stretch_of_tiles_leads_to_every_root_that_holds_it(
    tmp_path: Path, start: int, end: int, size: int
) -> None:
    manifest = archive_export(tmp_path / "one", start, end, source(note=note_at(size)))
    report = verified(tmp_path / "one")
    assert (report.kind, report.exit_code) == ("archive", ExitCode.VERIFIED), report.to_json()
    assert ArchiveManifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.digest == Digest.of_file(tmp_path / "one" / ARCHIVE_MANIFEST)


def test_an_archive_written_twice_is_the_same_and_half_a_one_is_incomplete(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive_export(tmp_path / "one", START, END, source(), stop)
    assert told == [(1, 3), (2, 3)]
    assert verified(tmp_path / "one").exit_code is not ExitCode.VERIFIED
    first = archive_export(tmp_path / "one", START, END, source())
    assert archive_export(tmp_path / "two", START, END, source()) == first
    assert verified(tmp_path / "one").exit_code is ExitCode.VERIFIED


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 100), (1, 256), (512, 256), (0, MAX_ARCHIVE_ENTRIES + 256)])
def test_no_archive_is_made_of_half_a_tile_or_of_nothing(tmp_path: Path, start: int, end: int) -> None:
    with pytest.raises(BundleError):
        archive_export(tmp_path, start, end, source())


def test_an_archive_is_not_made_beyond_what_is_signed(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="covers 1000 entries"):
        archive_export(tmp_path, 512, 1024, source(note=note_at(1000)))
    with pytest.raises(BundleError, match="is none"):
        archive_export(tmp_path, 512, 1024, source(note=b"no note"))


def test_many_processes_find_the_same(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelnotary.verify.log_archive.SMALL_LOG", 0)
    monkeypatch.setattr("modelnotary.verify.log_archive._TILES_AT_ONCE", 1)
    told: list[tuple[str, int, int]] = []
    [report] = verify_paths([archive], progress=lambda *args: told.append(args))
    assert report.exit_code is ExitCode.VERIFIED
    assert all(steps_of(report.kind, check.name) for check in report.checks)
    assert told == [("lineage", 256, 768), ("lineage", 512, 768), ("lineage", 768, 768)]
    _flip("tile/entries/003")(archive)
    assert list(worst(verified(archive))) == ["files", "entries"]


def _flip(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return flip


def _listed_again(folder: Path) -> None:
    """Let the manifest list the files as they are: anybody can."""
    manifest = json.loads((folder / ARCHIVE_MANIFEST).read_bytes())
    for file in manifest["files"]:
        data = (folder / file["path"]).read_bytes()
        file |= {"size": len(data), "sha256": Digest.of(data).hex}
    (folder / ARCHIVE_MANIFEST).write_bytes(canonical_bytes(manifest))


def _then_listed(attack: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        attack(folder)
        _listed_again(folder)

    return change


def _manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / ARCHIVE_MANIFEST).read_bytes())
        (folder / ARCHIVE_MANIFEST).write_bytes(canonical_bytes(manifest | changes))

    return change


def _entry_replaced(folder: Path, *, consistently: bool) -> None:
    """One event is replaced by another of the same log; consistently, with hash and manifest."""
    entries = bundle_decode((folder / "tile/entries/003").read_bytes(), 256)
    entries[10] = ENTRIES[0]
    (folder / "tile/entries/003").write_bytes(bundle_encode(entries))
    if consistently:
        (folder / "tile/0/003").write_bytes(b"".join(map(leaf_hash, entries)))
    _listed_again(folder)


def _signed_by_another(folder: Path) -> None:
    (folder / "checkpoint").write_bytes(note_at(SIZE, keys=FORGER))
    _listed_again(folder)


def _another_history(folder: Path) -> None:
    """The whole archive is of another history, but for the checkpoint."""
    other = [*ENTRIES[:700], ENTRIES[701], ENTRIES[700], *ENTRIES[702:]]
    archive_export(folder, START, END, source(entries=other))


def _unlisted(folder: Path) -> None:
    manifest = json.loads((folder / ARCHIVE_MANIFEST).read_bytes())
    manifest["files"] = [file for file in manifest["files"] if file["path"] != "tile/entries/003"]
    (folder / ARCHIVE_MANIFEST).write_bytes(canonical_bytes(manifest))
    (folder / "tile/entries/003").unlink()


T, GAP = ExitCode.TAMPERED, ExitCode.INCOMPLETE
ATTACKS: dict[str, tuple[Callable[[Path], object], ExitCode, str, tuple[int, int] | None]] = {
    "a byte of an entry": (_flip("tile/entries/003"), T, "entries", (896, 897)),
    "a byte of an entry, listed again": (
        _then_listed(_flip("tile/entries/003")), T, "entries", (896, 897)
    ),
    "a byte of a leaf hash": (_flip("tile/0/003"), T, "entries", (896, 897)),
    "an entry replaced": (lambda f: _entry_replaced(f, consistently=False), T, "entries", (778, 779)),
    "an entry replaced with its hash": (lambda f: _entry_replaced(f, consistently=True), T, "tree", (START, END)),
    "another history": (_another_history, T, "tree", (START, END)),
    "a byte of the checkpoint": (_flip("checkpoint"), T, "checkpoint", None),
    "a checkpoint by another key": (_signed_by_another, T, "checkpoint", None),
    "an older checkpoint": (
        _then_listed(lambda f: (f / "checkpoint").write_bytes(note_at(1024))), T, "checkpoint", None
    ),
    "a later checkpoint": (
        _then_listed(lambda f: (f / "checkpoint").write_bytes(note_at(SIZE - 1))), T, "tree", (START, END)
    ),
    "a byte of the trust file": (_flip("trust.json"), T, "trust", None),
    "a byte of the manifest": (_flip("manifest.json"), T, "manifest", None),
    "a manifest in another spelling": (
        lambda f: (f / ARCHIVE_MANIFEST).write_bytes((f / ARCHIVE_MANIFEST).read_bytes() + b"\n"), T, "manifest", None
    ),
    "another range": (_manifest(start=START + 256, before=["", ""]), T, "manifest", None),
    "a shorter range": (_manifest(end=END - 256), T, "files", None),
    "a longer range": (_manifest(end=END + 256), T, "files", (END, END + 256)),
    "another class": (_manifest(log="access"), T, "entries", (START, START + 1)),
    "another log": (_manifest(origin=f"{LINEAGE}-2"), T, "checkpoint", None),
    "another start of the chain": (_manifest(chain_start="00" * 32), T, "chain", None),
    "another end of the chain": (_manifest(chain_end="00" * 32), T, "chain", None),
    "other subtrees before": (_manifest(before=["A" * 43 + "="]), T, "tree", (START, END)),
    "too few subtrees after": (_manifest(after=[]), T, "tree", (START, END)),
    "a file too many": (lambda f: (f / "tile/0/009").write_bytes(b""), T, "files", None),
    "a file that is neither there nor listed": (_unlisted, T, "files", (768, 1024)),
    "a link": (lambda f: (f / "tile/9").symlink_to(f), T, "files", None),
    "a missing tile": (lambda f: (f / "tile/entries/003").unlink(), GAP, "files", (768, 1024)),
    "a missing checkpoint": (lambda f: (f / "checkpoint").unlink(), GAP, "files", None),
    "two tiles in each other's place": (
        lambda f: (
            (f / "tile/entries/003").rename(f / "x"),
            (f / "tile/entries/004").rename(f / "tile/entries/003"),
            (f / "x").rename(f / "tile/entries/004"),
        ),
        T, "entries", (768, 769),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_to_an_archive_is_named(archive: Path, name: str) -> None:
    attack, code, check, span = ATTACKS[name]
    attack(archive)
    report = verified(archive)
    assert report.exit_code is code, report.to_json()
    assert worst(report).get(check, "not named") == span, report.to_json()


def test_a_kept_checkpoint_is_compared_where_the_archive_reaches_it(archive: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for size in (START + 1, 1000, END, SIZE):
        kept.write_bytes(note_at(size))
        assert verified(archive, checkpoint_file=kept).exit_code is ExitCode.VERIFIED, size
        kept.write_bytes(note_at(size, entries=ENTRIES[::-1]))
        assert worst(verified(archive, checkpoint_file=kept)) == {"kept checkpoint": (0, size)}
    for size in (START, END + 1):
        kept.write_bytes(note_at(size))
        assert verified(archive, checkpoint_file=kept).exit_code is ExitCode.INCOMPLETE, size


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"modelnotary-archive/v2"}', bytes(9_000_000)])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        ArchiveManifest.from_bytes(data)
