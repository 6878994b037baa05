"""Offline verification against plain hashing of the same entries, and its memory on a large export."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from large_export import large_entries, large_export
from suite import Row, alone, side_by_side

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.merkle import root_from_inclusion_proof, verify_inclusion
from modelnotary.ledger.tree import inclusion_path
from modelnotary.verify.archive import files_open
from modelnotary.verify.log_replay import log_replay

ENTRIES = 1_000_000
PROOFS = 20_000
TREE = 10_000_000
_POLL_SECONDS = 0.05


def rows(entries: int = ENTRIES) -> Iterator[Row]:
    """Measure everything about offline verification, on an export of so many entries."""
    with _export(entries) as (folder, checkpoint):
        for workers, goal in ((1, 0.30), (2, 0.55)):
            yield side_by_side(
                f"offline: chain and tree, processes: {workers}, to raw hashlib",
                "entries/s",
                ours=partial(_chain_and_tree, folder, checkpoint, workers),
                theirs=partial(_raw_hashlib, entries),
                goal=goal,
            )
        yield _memory(folder, entries)
    yield alone(f"offline: inclusion proofs from a tree of {TREE:,}", "proofs/s", ours=_proofs_per_second, goal=100_000)


def memory_rows(entries: int) -> Iterator[Row]:
    """Measure memory alone, on an export of so many entries."""
    with _export(entries) as (folder, _):
        yield _memory(folder, entries)


def _memory(folder: Path, entries: int) -> Row:
    return alone(
        f"offline: memory of the whole command on {entries:,} entries",
        "MB",
        ours=partial(_peak_memory, folder),
        goal=300,
        better="lower",
        rounds=1,
    )


@contextmanager
def _export(entries: int) -> Iterator[tuple[Path, Checkpoint]]:
    with TemporaryDirectory() as folder:
        yield Path(folder), large_export(Path(folder), entries)


def _chain_and_tree(folder: Path, checkpoint: Checkpoint, workers: int) -> float:
    began = time.perf_counter()
    with files_open(folder) as files:
        replay = log_replay(files, checkpoint, None, workers=workers)
    seconds = time.perf_counter() - began
    assert replay.root == checkpoint.root
    return checkpoint.size / seconds


def _raw_hashlib(entries: int) -> float:
    """Hash the same entries, in memory already, a piece at a time."""
    seconds, piece = 0.0, list(large_entries(min(entries, 100_000)))
    for _ in range(entries // len(piece)):
        began = time.perf_counter()
        for entry in piece:
            sha256(entry).digest()
        seconds += time.perf_counter() - began
    return entries // len(piece) * len(piece) / seconds


def _peak_memory(folder: Path) -> float:
    """The most that ``modelnotary verify`` and all its processes held at once, in MB, shared pages counted once."""
    process = subprocess.Popen([sys.executable, "-m", "modelnotary.cli", "verify", str(folder)])
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional_megabytes, _family(process.pid))))
        time.sleep(_POLL_SECONDS)
    assert process.returncode == 0, "a clean export did not verify"
    return peak


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def _proportional_megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def _proofs_per_second() -> float:
    made = []
    for index in range(0, TREE, TREE // PROOFS):
        leaf = os.urandom(HASH_BYTES)
        path = inclusion_path(index, TREE, lambda _level, _index: os.urandom(HASH_BYTES))
        made.append((index, leaf, path, root_from_inclusion_proof(index, TREE, leaf, path)))
    began = time.perf_counter()
    for index, leaf, path, root in made:
        verify_inclusion(index, TREE, leaf, path, root)
    return len(made) / (time.perf_counter() - began)
