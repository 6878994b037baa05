"""Logs too large for one tile or for one process, bundles written as folders, and what is said meanwhile."""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

import pytest
import sample_bundle as sample
from sample_bundle import KEYS, LINEAGE, MODEL_ID, NOW, Sample

from modelnotary.cli.progress import Progress
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Event, Subject
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import bundle_encode
from modelnotary.ledger.tree import tree_root
from modelnotary.verify import procedure
from modelnotary.verify.archive import archive_pack, archive_write, files_open
from modelnotary.verify.bundle import verify_bundle
from modelnotary.verify.bundle_folder import LogWriter, folder_seal
from modelnotary.verify.errors import BundleError, WorkerError
from modelnotary.verify.evidence_signatures import EVIDENCE_DEPOSITED
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_replay import LogError, Replay, log_replay
from modelnotary.verify.log_stretch import DECISION_ISSUED, REPORT_ISSUED, Interest
from modelnotary.verify.parallel import ordered_map
from modelnotary.verify.result import Check, ExitCode, Outcome

SIZE = 2 * 32 * 256 + 300
INTEREST = Interest("lineage", about=MODEL_ID)
LOG = "logs/lineage"


@cache
def entries() -> list[bytes]:
    """Made when first asked for: processes that only need a function of this module do without."""
    made = [
        sample.event(number % 1000, "job.requested", Subject("job", f"job_{number:032x}"), {"n": number})
        for number in range(SIZE)
    ]
    evidence = Subject("evidence", sample.EVIDENCE_ID, sample.MODEL)
    made[9_000] = sample.event(1, EVIDENCE_DEPOSITED, evidence, {"model_version": MODEL_ID})
    made[-1] = sample.event(2, DECISION_ISSUED, Subject("decision", f"dec_{7:032x}", sample.MODEL), {})
    return made


@cache
def checkpoint() -> Checkpoint:
    return Checkpoint(LINEAGE, SIZE, root_of(SIZE))


def root_of(size: int) -> bytes:
    return tree_root(map(leaf_hash, entries()[:size]))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    writer = LogWriter(folder, LINEAGE)
    writer.extend(entries()[:1000])
    assert writer.head == (1000, root_of(1000))
    writer.extend(entries()[1000:])
    assert writer.head == (SIZE, checkpoint().root)
    writer.finish(checkpoint_sign(checkpoint(), KEYS.signer(LINEAGE)))
    return folder


@pytest.fixture
def export(written: Path, tmp_path: Path) -> Path:
    """A copy whose files may be replaced, but not written into."""
    folder = tmp_path / "export"
    for path in written.rglob("*"):
        target = folder / path.relative_to(written)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.link(path, target)
    return folder


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = change(path.read_bytes())
    path.unlink()
    path.write_bytes(data)


def flipped(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def replayed(folder: Path, workers: int = 1, kept_size: int | None = None, interest: Interest | None = None) -> Replay:
    with files_open(folder) as files:
        return log_replay(files, checkpoint(), interest, kept_size=kept_size, workers=workers)


@pytest.mark.parametrize("kept_size", [0, 1, 256, 8191, 8192, 8193, 9_000, SIZE - 1, SIZE])
def test_the_root_at_any_earlier_size_is_found_again(written: Path, kept_size: int) -> None:
    replay = replayed(written, 1, kept_size)
    assert replay.root == checkpoint().root
    assert replay.kept_root == root_of(kept_size)


def test_several_processes_find_what_one_finds(written: Path) -> None:
    alone = replayed(written, 1, 9_000, INTEREST)
    assert replayed(written, 2, 9_000, INTEREST) == alone
    assert {kind: [naming.index for naming in namings] for kind, namings in alone.namings.items()} == {
        EVIDENCE_DEPOSITED: [9_000]
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_of_several_bad_entries_is_named_however_many_processes_read(export: Path, workers: int) -> None:
    for tile in ("062", "040", "039"):
        spoil(export / LOG / "tile/entries" / tile, flipped(700))
    with pytest.raises(LogError) as caught:
        replayed(export, workers)
    bad = caught.value.range
    assert (caught.value.part, bad.start // 256, bad.end - bad.start) == ("entries", 39, 1)


def test_a_naming_is_kept_only_if_something_in_the_bundle_asks_for_it() -> None:
    interest = Interest("lineage", names=frozenset({"dec_1"}), digests=frozenset({sample.MODEL}), about=MODEL_ID)
    about = {"model_version": MODEL_ID}
    wanted = {
        (DECISION_ISSUED, "dec_1", "other"): True,
        (DECISION_ISSUED, "dec_2", "other"): False,
        (DECISION_ISSUED, "dec_2", MODEL_ID): True,
        (EVIDENCE_DEPOSITED, "evd_2", MODEL_ID): True,
        (EVIDENCE_DEPOSITED, "evd_2", "other"): False,
        (REPORT_ISSUED, "rep_1", "other"): True,
        ("job.requested", "dec_1", MODEL_ID): False,
        ("policy.published", "pov_1", "other"): True,
    }
    for (kind, name, model), expected in wanted.items():
        data = about | {"model_version": model}
        read = Event.from_bytes(sample.event(1, kind, Subject("thing", name, sample.MODEL), data))
        assert interest.wants(read) is expected, (kind, name, model)
    nothing = Event.from_bytes(sample.event(1, DECISION_ISSUED, Subject("thing", "x"), {}))
    assert not Interest("lineage").wants(nothing)


PARTIAL = SIZE % 256
LAST = f"{SIZE // 256:03}.p/{PARTIAL}"
# What is done to which file of the log; which part fails, and the smallest range known to be bad.
DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes], str, int, int]] = {
    "an entry": ("tile/entries/003", flipped(30), "entries", 768, 769),
    "the length of an entry": ("tile/entries/003", flipped(1), "entries", 768, 769),
    "a length that runs out of the tile": ("tile/entries/003", flipped(0), "entries", 768, 769),
    "the last entry": (f"tile/entries/{LAST}", flipped(-9), "entries", SIZE - 1, SIZE),
    "a leaf hash": ("tile/0/003", flipped(33), "entries", 769, 770),
    "a leaf hash too many": ("tile/0/003", lambda data: data + data, "entries", 1023, 1024),
    "the leaf hashes cut off": ("tile/0/003", lambda data: data[:64], "entries", 770, 771),
    "an entry too many": ("tile/entries/003", lambda data: data + bundle_encode([b"x"]), "entries", 1023, 1024),
    "the last entry of a tile cut off": ("tile/entries/003", lambda data: data[:-1], "entries", 1023, 1024),
    "a hash over 256 entries": (f"tile/1/000.p/{SIZE // 256}", flipped(65), "tree", 512, 768),
    "the hashes over 256 entries cut off": (
        f"tile/1/000.p/{SIZE // 256}",
        lambda data: data[:-32],
        "tree",
        SIZE // 256 * 256 - 256,
        SIZE // 256 * 256,
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_the_smallest_range_that_holds_the_damage_is_named(case: str, export: Path) -> None:
    name, change, part, start, end = DAMAGE[case]
    spoil(export / LOG / name, change)
    with pytest.raises(LogError) as caught:
        replayed(export)
    assert (caught.value.part, caught.value.range.start, caught.value.range.end) == (part, start, end)


def test_damage_to_entries_and_leaf_hashes_alike_is_found_by_the_hash_above(export: Path) -> None:
    edited = [*entries()[:100], entries()[100].replace(b"Ada", b"Eve"), *entries()[101:256]]
    spoil(export / LOG / "tile/entries/000", lambda _: bundle_encode(edited))
    spoil(export / LOG / "tile/0/000", lambda _: b"".join(map(leaf_hash, edited)))
    with pytest.raises(LogError) as caught:
        replayed(export)
    assert (caught.value.part, caught.value.range.start, caught.value.range.end) == ("tree", 0, 256)


def test_without_tiles_of_hashes_damage_is_known_to_be_in_a_tile_or_shows_in_the_root(export: Path) -> None:
    for path in (*(export / LOG / "tile/0").rglob("*"), *(export / LOG / "tile/1").rglob("*")):
        if path.is_file():
            path.unlink()
    assert replayed(export).root == checkpoint().root
    spoil(export / LOG / "tile/entries/003", lambda data: data.replace(b"Ada", b"Eve", 1))
    assert replayed(export).root != checkpoint().root
    spoil(export / LOG / "tile/entries/003", lambda data: data[:-1])
    with pytest.raises(LogError) as caught:
        replayed(export)
    assert (caught.value.range.start, caught.value.range.end) == (768, 1024)


def sealed(folder: Path, stated: Checkpoint | None = None) -> Path:
    (folder / "trust.json").write_bytes(KEYS.trust().to_bytes())
    subject = replace(sample.SUBJECT, id=f"mv_{2:032x}")
    folder_seal(folder, subject=subject, logs=[stated or checkpoint()], created_at=NOW, private_key=KEYS.decision)
    return folder


def failures(folder: Path, *, kept: bytes | None = None) -> list[Check]:
    keeping = None
    if kept is not None:
        note = folder.with_name("kept")
        note.write_bytes(kept)
        keeping = KeptCheckpoint.from_file(note)
    report = verify_bundle(folder, KEYS.trust(), kept=keeping, now=NOW)
    return [check for check in report.checks if check.outcome is not Outcome.PASS]


def test_a_bundle_written_as_a_folder_verifies_though_its_manifest_lists_no_tiles(export: Path) -> None:
    assert failures(sealed(export)) == []
    assert (export / "manifest.dsse.json").stat().st_size < 3_000
    with pytest.raises(BundleError):
        sealed(export)


@pytest.mark.parametrize(
    "name",
    [
        f"tile/entries/{SIZE // 256 + 1:03}",
        f"tile/entries/{SIZE // 256:03}.p/{PARTIAL - 1}",
        f"tile/entries/{SIZE // 256:03}",
        "tile/0/000.p/7",
        "tile/2/000.p/1",
        "tile/0/x000/001",
        "tile/8/000",
        "notes",
    ],
)
def test_a_tile_that_the_log_cannot_have_is_not_let_in(name: str, export: Path) -> None:
    sealed(export)
    path = export / LOG / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"anything")
    assert [check.name for check in failures(export)] == ["files"]


def test_a_folder_packs_into_the_archive_of_its_files(export: Path, tmp_path: Path) -> None:
    sealed(export)
    packed, written = tmp_path / "packed.zip", tmp_path / "written.zip"
    archive_pack(packed, export)
    archive_write(
        written,
        {path.relative_to(export).as_posix(): path.read_bytes() for path in export.rglob("*") if path.is_file()},
    )
    assert packed.read_bytes() == written.read_bytes()
    assert failures(packed) == []
    (export / "trust.json").unlink()
    (export / "trust.json").symlink_to(written)
    with pytest.raises(BundleError):
        archive_pack(packed, export)


def test_a_file_without_a_place_is_not_sealed_in(export: Path) -> None:
    (export / "README.txt").write_bytes(b"trust me")
    with pytest.raises(BundleError):
        sealed(export)


def test_a_wrong_root_is_traced_to_what_came_after_the_kept_checkpoint(export: Path) -> None:
    wrong = replace(checkpoint(), root=bytes(32))
    (export / LOG / "checkpoint").unlink()
    (export / LOG / "checkpoint").write_bytes(checkpoint_sign(wrong, KEYS.signer(LINEAGE)))
    sealed(export, wrong)
    [check] = failures(export)
    assert (check.name, check.span) == ("lineage tree", (0, SIZE))
    kept = Checkpoint(LINEAGE, 9_000, root_of(9_000))
    [check] = failures(export, kept=checkpoint_sign(kept, KEYS.signer(LINEAGE)))
    assert (check.name, check.span) == ("lineage tree", (9_000, SIZE))
    assert check.to_json()["range"] == [9_000, SIZE]
    assert check.index is None


def dies(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def test_a_process_that_dies_is_not_taken_for_a_verdict() -> None:
    with pytest.raises(WorkerError):
        list(ordered_map(dies, range(50), workers=2))


def test_results_come_in_order_and_little_is_read_ahead() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    results = ordered_map(abs, numbers(), workers=2)
    assert [next(results) for _ in range(20)] == list(range(20))
    assert len(taken) < 30
    results.close()  # type: ignore[attr-defined]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, seconds: list[float]) -> str:
    clock = Clock()
    with Progress(stream, clock) as progress:
        for moment in seconds:
            clock.now = moment
            progress.tell("lineage", int(moment * 100_000), 10_000_000)
    return stream.getvalue()


def test_a_short_verification_says_nothing_about_its_progress() -> None:
    assert told(Terminal(), [0.0, 0.5, 0.9]) == told(io.StringIO(), [0.0, 0.9]) == ""


def test_a_terminal_sees_one_line_that_changes_and_vanishes() -> None:
    shown = told(Terminal(), [0.0, 1.5, 1.6, 2.0])
    assert shown.count("lineage: ") == 2
    assert "lineage: 150,000 of 10,000,000 entries (1 %), 100,000 per second" in shown
    assert "\n" not in shown
    assert shown.endswith(" \r")


def test_a_log_file_gets_a_line_every_ten_seconds() -> None:
    shown = told(io.StringIO(), [0.0, 2.0, 3.0, 11.0, 12.5, 30.0])
    assert [line.split()[1] for line in shown.splitlines()] == ["200,000", "1,250,000", "3,000,000"]


def test_the_procedure_tells_its_progress(export: Path, tmp_path: Path) -> None:
    sealed(export)
    steps: list[tuple[str, int, int]] = []
    reports = procedure.verify_paths([export], progress=lambda *step: steps.append(step))
    assert reports[0].exit_code is ExitCode.VERIFIED
    assert steps == [("lineage", 8192, SIZE), ("lineage", 16384, SIZE), ("lineage", SIZE, SIZE)]


def test_bundles_in_memory_and_in_folders_hold_the_same_files(tmp_path: Path) -> None:
    files = {name: data for name, data in Sample(fill=700).files().items() if name.startswith(LOG)}
    writer = LogWriter(tmp_path, LINEAGE)
    writer.extend(Sample(fill=700).entries())
    writer.finish(files[f"{LOG}/checkpoint"])
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == files
    assert f"{LOG}/tile/1/000.p/2" in found
