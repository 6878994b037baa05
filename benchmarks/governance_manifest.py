"""The manifest of a large folder against the system's own programs for digests, on the same number of processors."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from suite import Row, say, side_by_side

from modelnotary.processors import processors

FOLDER_BYTES = 5_000_000_000
FILES = 2_000
TABLE_BYTES = 1_000_000_000
TABLES = 20
GOAL = 0.8
_BLOCK = 1 << 20
_FILES_FOR_EACH_CALL = 50


def folder_rows(size: int = FOLDER_BYTES, files: int = FILES) -> Iterator[Row]:
    """Measure the whole command on a folder of so many bytes in so many files of mixed size."""
    with _folder(size, files) as folder:
        yield _row(_name(size, files), folder, size, ["sha256sum"])


def openssl_rows(size: int = FOLDER_BYTES, files: int = FILES) -> Iterator[Row]:
    """The same beside OpenSSL: coreutils may be built without the processor's own instructions for SHA-256."""
    with _folder(size, files) as folder:
        yield _row(_name(size, files), folder, size, ["openssl", "dgst", "-sha256"])


def table_rows(size: int = TABLE_BYTES) -> Iterator[Row]:
    """Measure it on CSV files, whose rows are counted on the way."""
    for name, cell in (("numbers", _number), ("quoted words", _text)):
        with _tables(size, cell) as folder:
            real = sum(path.stat().st_size for path in folder.iterdir())
            yield _row(f"manifest: {real / 1e9:.1f} GB of CSV, {name}", folder, real, ["sha256sum"])


def _name(size: int, files: int) -> str:
    return f"manifest: {size / 1e9:.1f} GB in {files:,} files"


def _row(name: str, folder: Path, size: int, program: Sequence[str]) -> Row:
    return side_by_side(
        f"{name}, processors: {processors()}, to {program[0]}",
        "MB/s",
        ours=partial(_command, folder, size),
        theirs=partial(_program, folder, size, program),
        goal=GOAL,
    )


def _command(folder: Path, size: int) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "modelnotary.cli", "manifest", str(folder)], check=True, capture_output=True)
    return size / 1e6 / (time.perf_counter() - began)


def _program(folder: Path, size: int, program: Sequence[str]) -> float:
    """Digest all files in the way a person would on so many processors, and the list of digests once more."""
    digests = ["xargs", "-0", f"-P{processors()}", f"-n{_FILES_FOR_EACH_CALL}", *program]
    began = time.perf_counter()
    with (
        subprocess.Popen(["find", ".", "-type", "f", "-print0"], cwd=folder, stdout=subprocess.PIPE) as found,  # noqa: S607 -- the system's own
        subprocess.Popen(digests, cwd=folder, stdin=found.stdout, stdout=subprocess.PIPE) as made,
    ):
        subprocess.run(["sha256sum"], stdin=made.stdout, check=True, capture_output=True)  # noqa: S607
    assert made.returncode == found.returncode == 0
    return size / 1e6 / (time.perf_counter() - began)


@contextmanager
def _folder(size: int, files: int) -> Iterator[Path]:
    """A folder of random bytes; few large files hold most of it, many small ones the rest."""
    say(f"writing {size / 1e9:.1f} GB in {files:,} files")
    generator = random.Random(4)  # noqa: S311 -- sizes and bytes, no secrets
    block = generator.randbytes(_BLOCK)
    weights = [generator.lognormvariate(0, 2) for _ in range(files)]
    with TemporaryDirectory() as name:
        for number, weight in enumerate(weights):
            path = Path(name) / f"part-{number % 20:02}" / f"{number:05}.bin"
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                for start in range(0, length := int(size * weight / sum(weights)), len(block)):
                    file.write(block[: length - start])
        yield Path(name)


@contextmanager
def _tables(size: int, cell: Callable[[random.Random], str]) -> Iterator[Path]:
    generator = random.Random(4)  # noqa: S311
    lines = [",".join(cell(generator) for _ in range(12)) + "\n" for _ in range(20_000)]
    piece = "".join(lines).encode()
    with TemporaryDirectory() as name:
        for number in range(TABLES):
            with (Path(name) / f"{number:02}.csv").open("wb") as file:
                file.write(",".join(f"c{column}" for column in range(12)).encode() + b"\n")
                for _ in range(size // TABLES // len(piece)):
                    file.write(piece)
        yield Path(name)


def _number(generator: random.Random) -> str:
    return f"{generator.random():.6f}"


def _text(generator: random.Random) -> str:
    return f'"{generator.choice(["approved", "denied", "withdrawn"])}"'
