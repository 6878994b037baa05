"""A whole log as static files in a folder (C2SP tlog-tiles): what an auditor takes away, or a web server hands out.

The folder holds ``checkpoint``, ``chain``, ``tile/…``, the operator's ``trust.json``, if there are anchors what they
gave in ``receipts.json``, and if the log's key was rotated the proofs of that in ``rotations.json``. Done again, it
goes on where it stopped, or follows the log as it grew; full tiles never change and are not written again. Where the
log no longer has its first entries, ``pruned.json`` tells of it; a folder that was exported before they were dropped
keeps them.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.conf import settings

from audit.anchoring import receipts_file
from audit.errors import ExportError
from audit.key_rotation import rotations_file
from audit.models import Checkpoint
from audit.pruning import pruned_prefix
from audit.selectors import chain_head, checkpoint_latest, tile_read
from modelnotary.ledger.checkpoint import Checkpoint as SignedCheckpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import LedgerError, TileError
from modelnotary.ledger.note import note_split
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_decode, tiles_of_level
from modelnotary.ledger.tree import STORED_LEVELS
from modelnotary.verify.bundle_format import chain_file
from modelnotary.verify.errors import BundleError
from modelnotary.verify.pruning import PRUNED_FILE, PrunedPrefix
from modelnotary.verify.receipts import RECEIPTS_FILE
from modelnotary.verify.rotations import ROTATIONS_FILE

CHECKPOINT_FILE, CHAIN_FILE, TRUST_FILE = "checkpoint", "chain", "trust.json"

type Progress = Callable[[int, int], None]
"""``progress(done, total)``: told after each file."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to.

    Attributes:
        log: `lineage` or `access`.
        origin: The log's origin.
        size: Entries in the folder.
        written: Tiles written now.
        kept: Tiles that were there already.
        min_index: The first entry in it; those before were archived and dropped.
    """

    log: str
    origin: str
    size: int
    written: int
    kept: int
    min_index: int


def log_export(*, log: str, folder: Path, progress: Progress) -> Exported:
    """Write a log, as far as its newest signed checkpoint covers it, into a folder.

    In memory for one tile; the checkpoint is written last, so that a folder with one is whole.

    Raises:
        UnknownEntryError: No such log, or nothing is signed yet.
        CorruptLogError: The database lacks a part of the log.
        ExportError: The folder holds another log or a larger tree, lacks entries that the log no longer has, or cannot
            be written.
    """
    checkpoint = checkpoint_latest(log=log)
    try:
        _require_continuation(folder / CHECKPOINT_FILE, checkpoint)
        prefix = _prefix(folder, log)
        first = 0 if prefix is None else prefix.min_index
        (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
        tiles = list(log_tiles(size=checkpoint.size, first=first))
        written = 0
        for number, tile in enumerate(tiles, start=1):
            if not _is_there(folder / tile.path, tile):
                _write(folder / tile.path, tile_read(log=log, tile=tile))
                written += 1
            progress(number, len(tiles))
        _partials_remove(folder, checkpoint.size)
        _write(folder / CHAIN_FILE, chain_file(chain_head(log=log, size=checkpoint.size)))
        _write(folder / TRUST_FILE, (settings.NOTARY_HOME / "trust.json").read_bytes())
        _optional_write(folder / RECEIPTS_FILE, receipts_file(checkpoint=checkpoint))
        _optional_write(folder / ROTATIONS_FILE, rotations_file(checkpoint=checkpoint))
        if prefix is not None:
            _write(folder / PRUNED_FILE, prefix.to_bytes())
        os.sync()
        _write(folder / CHECKPOINT_FILE, checkpoint.note.encode())
    except OSError as error:
        raise ExportError(f"cannot export to {folder}: {error.filename or ''} {error.strerror}") from error
    return Exported(log, checkpoint.origin, checkpoint.size, written, len(tiles) - written, first)


def log_parts(*, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    """Give the files of a log up to a signed checkpoint, each under its name in the log's folder.

    Raises:
        UnknownEntryError: Entries are missing that no entry tells of.
        CorruptLogError: The database lacks a part of the log.
    """
    log, prefix = checkpoint.log, pruned_prefix(log=checkpoint.log)
    yield CHECKPOINT_FILE, checkpoint.note.encode()
    for tile in log_tiles(size=checkpoint.size, first=0 if prefix is None else prefix.min_index):
        yield tile.path, tile_read(log=log, tile=tile)
    yield CHAIN_FILE, chain_file(chain_head(log=log, size=checkpoint.size))
    if prefix is not None:
        yield PRUNED_FILE, prefix.to_bytes()
    receipts = receipts_file(checkpoint=checkpoint)
    if receipts is not None:
        yield RECEIPTS_FILE, receipts
    rotations = rotations_file(checkpoint=checkpoint)
    if rotations is not None:
        yield ROTATIONS_FILE, rotations


def log_tiles(*, size: int, first: int) -> Iterator[Tile]:
    """List the tiles of a log of `size` entries that begins at entry `first`; of what is before, the roots stay."""
    for level in (None, 0):
        yield from islice(tiles_of_level(level, size), first // TILE_WIDTH, None)
    level = 1
    while size >> STORED_LEVELS * level:
        yield from tiles_of_level(level, size)
        level += 1


def _prefix(folder: Path, log: str) -> PrunedPrefix | None:
    """Say what the folder begins with: what the log does, or, if it was exported before, what it has kept itself."""
    prefix = pruned_prefix(log=log)
    if prefix is None:
        return None
    path = folder / PRUNED_FILE
    try:
        before = PrunedPrefix.from_bytes(path.read_bytes()) if path.is_file() else None
    except BundleError as error:
        raise ExportError(f"{path} cannot be read; give an empty folder: {error}") from error
    start = 0 if before is None else before.min_index
    if not (folder / Tile(None, start // TILE_WIDTH).path).is_file():
        return prefix
    for index in range(start // TILE_WIDTH, prefix.min_index // TILE_WIDTH):
        for tile in (Tile(None, index), Tile(0, index)):
            if not _is_there(folder / tile.path, tile):
                raise ExportError(
                    f"{folder} lacks {tile.path}, and the log begins at entry {prefix.min_index} now; give an empty "
                    "folder, or put that file back from the archive"
                )
    return before


def _optional_write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        _write(path, content)


def _require_continuation(path: Path, checkpoint: Checkpoint) -> None:
    if not path.is_file():
        return
    try:
        there = SignedCheckpoint.from_text(note_split(path.read_bytes())[0])
    except LedgerError as error:
        raise ExportError(f"{path} is no checkpoint; give an empty folder: {error}") from error
    if there.origin != checkpoint.origin or there.size > checkpoint.size:
        raise ExportError(
            f"{path} is of {there.origin} at {there.size} entries, which {checkpoint.origin} at {checkpoint.size} "
            "does not continue; give an empty folder"
        )


def _is_there(path: Path, tile: Tile) -> bool:
    """Whether a file is there and whole. That it holds what was signed is for the verifier to say."""
    if not path.is_file():
        return False
    data = path.read_bytes()
    if tile.level is not None:
        return len(data) == tile.width * HASH_BYTES
    try:
        bundle_decode(data, tile.width)
    except TileError:
        return False
    return True


def _partials_remove(folder: Path, size: int) -> None:
    """Remove the partial tiles of the smaller tree that was exported before."""
    for path in [path for path in (folder / "tile").rglob("*.p/*") if path.is_file()]:
        tile = Tile.from_path(path.relative_to(folder).as_posix())
        if tile.width < TILE_WIDTH and not tile.is_of(size):
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_bytes(data)
    fresh.replace(path)
