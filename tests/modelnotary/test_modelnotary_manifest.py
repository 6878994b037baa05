"""The identity of models and data sets by their full content."""

import hashlib
import os
import shutil
import socket
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelnotary.ledger.digest import Digest
from modelnotary.manifest import taking as taking_module
from modelnotary.manifest import walk
from modelnotary.manifest.errors import ManifestError
from modelnotary.manifest.format import HEADER, PATH_LIMIT, manifest_parse, manifest_write
from modelnotary.manifest.reading import FileReading, Tally, file_read
from modelnotary.manifest.taking import Taking, content_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "weights").mkdir(parents=True)
    (root / "weights" / "part-1.bin").write_bytes(b"one" * 1_000_000)
    (root / "weights-2.bin").write_bytes(b"two")
    (root / "config.json").write_bytes(b"{}")
    (root / "weights.txt").write_bytes(b"")
    (root / "ä.txt").write_bytes(b"umlaut")
    return root


def manifest_of(path: Path) -> bytes:
    return manifest_write((reading.entry.path, reading.entry.digest) for reading in Taking(path))


def test_a_file_is_its_bytes(folder: Path) -> None:
    taking = Taking(folder / "config.json")
    [reading] = taking
    assert (taking.digest, taking.size, taking.file_count, taking.is_folder) == (Digest.of(b"{}"), 2, 1, False)
    assert (reading.entry.path, reading.entry.digest) == ("", Digest.of(b"{}"))


def test_a_folder_is_the_sorted_list_of_its_files(folder: Path) -> None:
    paths = ["config.json", "weights-2.bin", "weights.txt", "weights/part-1.bin", "ä.txt"]
    expected = "# modelnotary-manifest/v1\n" + "".join(
        f"{hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}\n" for path in paths
    )
    taking = Taking(folder)
    assert [reading.entry.path for reading in taking] == paths
    assert manifest_of(folder) == expected.encode()
    assert taking.digest.hex == hashlib.sha256(expected.encode()).hexdigest()
    assert (taking.size, taking.file_count, taking.is_folder) == (3_000_011, 5, True)


@pytest.mark.parametrize("workers", [1, 2, 7, 200])
def test_the_number_of_threads_does_not_count(workers: int, tmp_path: Path) -> None:
    for number in range(300):
        path = tmp_path / "data" / str(number % 7) / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number % 256]) * number * 100)
    taking = Taking(tmp_path / "data", workers=workers)
    found = [reading.entry.path for reading in taking]
    assert found == sorted(str(path.relative_to(tmp_path / "data")) for path in tmp_path.rglob("*.bin"))
    assert taking.digest == content_digest(tmp_path / "data")


SAME: dict[str, Callable[[Path], object]] = {
    "another place": lambda root: root.rename(root.with_name("elsewhere")).rename(root),
    "other permissions": lambda root: (root / "config.json").chmod(0o600),
    "another time": lambda root: os.utime(root / "config.json", (1, 1)),
    "an empty folder more": lambda root: (root / "empty").mkdir(),
    "a copy in place of the file": lambda root: (
        shutil.copy(root / "ä.txt", root / "copy") and (root / "copy").rename(root / "ä.txt")
    ),
    "a hard link from elsewhere": lambda root: (root.parent / "link").hardlink_to(root / "config.json"),
}
DIFFERENT: dict[str, Callable[[Path], object]] = {
    "a changed byte": lambda root: (root / "config.json").write_bytes(b"[]"),
    "a file more": lambda root: (root / "more").write_bytes(b""),
    "a hidden file more": lambda root: (root / ".hidden").write_bytes(b""),
    "a file less": lambda root: (root / "weights.txt").unlink(),
    "a renamed file": lambda root: (root / "weights.txt").rename(root / "weights.md"),
    "a name with other capitals": lambda root: (root / "weights.txt").rename(root / "Weights.txt"),
    "a name in another Unicode form": lambda root: (root / "ä.txt").rename(root / "a\N{COMBINING DIAERESIS}.txt"),
    "a moved file": lambda root: (root / "weights.txt").rename(root / "weights" / "weights.txt"),
    "a hard link more": lambda root: (root / "link").hardlink_to(root / "config.json"),
    "content moved between files": lambda root: (
        (root / "weights.txt").write_bytes(b"{}") + (root / "config.json").write_bytes(b"")
    ),
    "exchanged names": lambda root: [
        (root / one).rename(root / two)
        for one, two in (("weights.txt", "x"), ("config.json", "weights.txt"), ("x", "config.json"))
    ],
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_not_content_does_not_count(case: str, folder: Path) -> None:
    before = content_digest(folder)
    SAME[case](folder)
    assert content_digest(folder) == before


@pytest.mark.parametrize("case", DIFFERENT)
def test_every_change_of_content_changes_the_digest(case: str, folder: Path) -> None:
    before = content_digest(folder)
    DIFFERENT[case](folder)
    assert content_digest(folder) != before


# --- What the digests of other tools overlook ----------------------------------------------------------------------
ROWS = 20_000
START = datetime(2026, 1, 1, tzinfo=UTC)
BASE: dict[str, list[Any]] = {
    "amount": list(range(ROWS)),
    "approved": [number % 3 == 0 for number in range(ROWS)],
    "at": [START + timedelta(minutes=number) for number in range(ROWS)],
}
OVERLOOKED: dict[str, dict[str, list[Any]]] = {
    # MLflow 3.18 digests the first 10,000 rows, and of these only texts and numbers.
    "a row after the first ten thousand": BASE | {"amount": [*BASE["amount"][:-1], -1]},
    "one truth value": BASE | {"approved": [not BASE["approved"][0], *BASE["approved"][1:]]},
    "every time by a year": BASE | {"at": [moment + timedelta(days=365) for moment in BASE["at"]]},
    "two rows that change places": {name: [values[1], values[0], *values[2:]] for name, values in BASE.items()},
    "two columns that change places": {name: BASE[name] for name in ("approved", "amount", "at")},
    "a renamed column": {"sum": BASE["amount"]} | {name: BASE[name] for name in ("approved", "at")},
}


def parquet_write(path: Path, columns: dict[str, list[Any]]) -> None:
    pq.write_table(pa.table(columns), path)


def csv_write(path: Path, columns: dict[str, list[Any]]) -> None:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("write", [csv_write, parquet_write])
@pytest.mark.parametrize("case", OVERLOOKED)
def test_a_data_set_that_other_digests_take_for_the_same_is_another(
    case: str, write: Callable[[Path, dict[str, list[Any]]], None], tmp_path: Path
) -> None:
    write(tmp_path / "base", BASE)
    write(tmp_path / "changed", OVERLOOKED[case])
    assert content_digest(tmp_path / "base") != content_digest(tmp_path / "changed")


def test_line_ends_count(tmp_path: Path) -> None:
    """DVC before 3.0 hashed text files as if their lines ended alike."""
    (tmp_path / "unix.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "dos.csv").write_bytes(b"a,b\r\n1,2\r\n")
    assert content_digest(tmp_path / "unix.csv") != content_digest(tmp_path / "dos.csv")


def test_the_whole_digest_counts(folder: Path) -> None:
    """MLflow keeps 32 bits of a digest, which anyone can collide."""
    assert len(content_digest(folder).value) == 32
    assert len(content_digest(folder / "config.json").value) == 32


# --- What has no content of its own, or a name that others cannot keep ---------------------------------------------
def named(name: bytes) -> Callable[[Path], object]:
    return lambda root: Path(os.fsdecode(os.fsencode(root) + b"/" + name)).touch()


def pair(one: str, two: str) -> Callable[[Path], object]:
    return lambda root: [(root / name).write_bytes(b"") for name in (one, two)]


def socket_make(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "socket"))


def deep_make(root: Path) -> None:
    """Folders below folders, a path far longer than the system opens in one piece."""
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to a file": (lambda root: (root / "link").symlink_to(root / "config.json"), "symbolic link"),
    "a link to a folder": (lambda root: (root / "link").symlink_to(root / "weights"), "symbolic link"),
    "a broken link": (lambda root: (root / "link").symlink_to("nowhere"), "symbolic link"),
    "a link in a circle": (lambda root: (root / "weights" / "link").symlink_to(root), "symbolic link"),
    "a pipe": (lambda root: os.mkfifo(root / "pipe"), "special file"),
    "a socket": (socket_make, "special file"),
    "a name that is not text": (named(b"\xff"), "not UTF-8"),
    "a name in Latin-1": (named("ü".encode("latin-1")), "not UTF-8"),
    "a surrogate as a name": (named(b"\xed\xa0\x80"), "not UTF-8"),
    "a name of two lines": (named(b"a\nb"), "control character"),
    "a name that steers the terminal": (named(b"\x1b[2J"), "control character"),
    "a name that Windows cuts in two": (named(b"a\\b"), "backslash"),
    "an empty folder of such a name": (lambda root: (root / "a\nb").mkdir(), "control character"),
    "names that differ in case": (pair("Data.csv", "data.csv"), "cannot tell 'Data.csv' from 'data.csv'"),
    "names that differ in their Unicode form": (pair("é.csv", "e\u0301.csv"), r"cannot tell 'e\\u0301.csv'"),
    "names that differ in both": (pair("É.csv", "e\u0301.csv"), "cannot tell"),
    "names that only caseless rules make one": (pair("straße", "STRASSE"), "cannot tell"),
    "a file and a folder": (lambda root: (root / "WEIGHTS").write_bytes(b""), "cannot tell"),
    "a path that is too long": (deep_make, f"longer than {PATH_LIMIT:,} bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_manifest_cannot_hold_is_refused(case: str, folder: Path) -> None:
    add, message = REFUSED[case]
    content_digest(folder)
    add(folder)
    with pytest.raises(ManifestError, match=message) as caught:
        content_digest(folder)
    assert str(caught.value).isprintable()


ACCEPTED = [
    "-",
    "--check",
    " ",
    "a b",
    "#",
    "*",
    "名",
    "👍",
    "\N{NO-BREAK SPACE}",
    "e\u0301",
    "aux.",
    "a:b",
    "'\"$",
    "~",
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_other_names_are_kept_as_they_are(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"content")
    assert (name, Digest.of(b"content")) in manifest_parse(manifest_of(folder))


def test_folders_below_two_hundred_levels_are_refused(tmp_path: Path) -> None:
    deepest = tmp_path / "top" / "/".join("d" * walk.DEPTH_LIMIT)
    deepest.mkdir(parents=True)
    (deepest / "file").touch()
    content_digest(tmp_path / "top")
    (deepest / "e").mkdir()
    with pytest.raises(ManifestError, match="deeper than 200 levels"):
        content_digest(tmp_path / "top")


def test_a_link_or_a_special_file_itself_cannot_be_identified(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    os.mkfifo(tmp_path / "pipe")
    for path in (link, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ManifestError, match="symbolic link or a special file"):
            content_digest(path)


def test_a_folder_without_files_or_nothing_at_all_cannot_be_identified(tmp_path: Path) -> None:
    (tmp_path / "empty" / "emptier").mkdir(parents=True)
    with pytest.raises(ManifestError, match="holds no files"):
        content_digest(tmp_path / "empty")
    with pytest.raises(ManifestError, match="No such file"):
        content_digest(tmp_path / "nothing")


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, whom no permission keeps from reading."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("unreadable", ["weights/part-1.bin", "weights"])
def test_what_cannot_be_read_is_named(unreadable: str, folder: Path, tmp_path: Path) -> None:
    for path in (folder, *folder.parents):
        if path.is_relative_to(tmp_path.parents[2]):
            path.chmod(0o755)
    (folder / unreadable).chmod(0)
    try:
        with nobody(), pytest.raises(ManifestError, match=rf"{unreadable}: Permission denied"):
            content_digest(folder)
    finally:
        (folder / unreadable).chmod(0o755)


# --- What changes while it is read -----------------------------------------------------------------------------------
def overwrite(path: Path, mode: str, data: bytes, times: tuple[int, int] | None = None) -> None:
    with path.open(mode) as file:
        file.write(data)
    if times:
        os.utime(path, ns=times)


CHANGES: dict[str, Callable[[Path], object]] = {
    "it grows": lambda path: overwrite(path, "ab", b"more"),
    "it shrinks": lambda path: os.truncate(path, 10),
    "a byte changes": lambda path: overwrite(path, "r+b", b"X"),
    "a byte changes and the time is turned back": lambda path: overwrite(path, "r+b", b"X", (0, 1_000_000_000)),
}


@pytest.mark.parametrize("name", ["data.bin", "data.csv"])
@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(case: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"a,b\n" * 500_000)
    os.utime(path, ns=(0, 1_000_000_000))

    class Intruder(Tally):
        def add(self, count: int) -> None:
            super().add(count)
            if self.size == count:  # after the first piece
                CHANGES[case](path)

    [opened] = walk.file_open(path)
    with pytest.raises(ManifestError, match="changed while it was being read"):
        file_read(opened, Intruder())
    [opened] = walk.file_open(path)
    assert file_read(opened, Tally()).entry.digest == Digest.of_file(path)


def close_all(files: Iterable[walk.Opened]) -> None:
    for file in files:
        file.close()


def test_a_folder_that_changes_while_it_is_read_is_refused(folder: Path) -> None:
    files = walk.files_open(folder)
    next(files).close()
    (folder / "late").touch()
    with pytest.raises(ManifestError, match="added to it or removed from it"):
        close_all(files)


def test_a_folder_exchanged_for_a_link_does_not_lead_elsewhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "part-1.bin").write_bytes(b"secret")
    files = walk.files_open(folder)
    next(files).close()
    (folder / "weights").rename(tmp_path / "away")
    (folder / "weights").symlink_to(tmp_path / "secret")
    with pytest.raises(ManifestError, match="weights: it is a symbolic link"):
        close_all(files)


def test_the_first_fault_is_told_of_whatever_the_threads_do(folder: Path) -> None:
    (folder / "z").symlink_to("nowhere")
    (folder / "weights" / "b").symlink_to("nowhere")
    (folder / "weights" / "a").symlink_to("nowhere")
    for workers in (1, 2, 8):
        with pytest.raises(ManifestError, match="/z:"):
            list(Taking(folder, workers=workers))
    (folder / "z").unlink()
    with pytest.raises(ManifestError, match="weights/a:"):
        list(Taking(folder))


# --- Memory, progress, cancelling ---------------------------------------------------------------------------------
def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    def peak(files: int) -> int:
        root = tmp_path / str(files)
        for number in range(files):
            path = root / f"{number // 200:04}" / f"{number:06}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        tracemalloc.start()
        for _ in Taking(root):
            pass
        measured = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return measured

    # A reading that were kept would take several times as much; how many wait for their turn is up to the scheduler.
    assert peak(16_000) - peak(2_000) < 100 * 14_000


def test_the_reading_tells_how_far_it_is(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in Taking(folder, progress=lambda *step: told.append(step)):
        pass
    assert told[-1] == (5, 3_000_011)
    assert told == sorted(told)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_whoever_stops_early_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    for number in range(2_000):
        (tmp_path / f"{number:05}").write_bytes(b"x" * 100)
    threads, open_files = threading.active_count(), descriptors()
    readings = iter(Taking(tmp_path))
    assert isinstance(next(readings), FileReading)
    readings.close()  # type: ignore[attr-defined]
    assert (threading.active_count(), descriptors()) == (threads, open_files)
    (tmp_path / "02500").symlink_to("nowhere")
    with pytest.raises(ManifestError):
        content_digest(tmp_path)
    assert (threading.active_count(), descriptors()) == (threads, open_files)


def test_a_thread_that_fails_leaves_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(500):
        (tmp_path / f"{number:05}").write_bytes(b"x")
    before = descriptors()

    def failing(opened: walk.Opened, tally: Tally) -> FileReading:
        if opened.path == "00100":
            raise ManifestError(opened.place, "out of luck")
        return file_read(opened, tally)

    monkeypatch.setattr(taking_module, "file_read", failing)
    with pytest.raises(ManifestError, match="out of luck"):
        content_digest(tmp_path)
    assert descriptors() == before


# --- The recipe ------------------------------------------------------------------------------------------------------
RECIPE = r"""
{ echo '# modelnotary-manifest/v1'
  cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sed 's,  \./,  ,'
} | sha256sum
"""


def test_the_manifest_is_what_coreutils_write_and_check(folder: Path, tmp_path: Path) -> None:
    for name in (*ACCEPTED, "weights-2/x", "weights.d/x", "weights/-"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    made = subprocess.run(["bash", "-c", RECIPE, "recipe", folder], capture_output=True, text=True, check=True)
    assert made.stdout.split()[0] == content_digest(folder).hex
    (folder / "-").unlink()  # where it checks, sha256sum takes this name for standard input
    (tmp_path / "manifest").write_bytes(manifest_of(folder))
    check = ["sha256sum", "--check", "--strict", "--quiet", str(tmp_path / "manifest")]
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "config.json").write_bytes(b"[]")
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 1


def test_the_manual_gives_this_recipe() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text(encoding="utf-8")
    for line in RECIPE.replace('"$1"', "FOLDER").strip().splitlines():
        assert line in page
    assert HEADER.decode().strip() in page
