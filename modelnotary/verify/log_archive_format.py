"""The archive of a stretch of a log: static files (C2SP tlog-tiles), and a manifest that lists them (format v1).

In the folder are ``manifest.json``, the signed ``checkpoint`` of a tree that holds the stretch, ``trust.json``, and for
every 256 entries the bundle ``tile/entries/…`` and the tile of their hashes ``tile/0/…``, under the same names as in
the whole log. The manifest holds the roots of the subtrees before and after the stretch: with them the entries lead to
the signed root, so the archive proves itself without the rest of the log.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES, Digest
from modelnotary.ledger.errors import CanonicalError, DigestError, LedgerError, TextError
from modelnotary.ledger.event import LOG_NAMES
from modelnotary.ledger.note import note_split
from modelnotary.ledger.text import base64_bytes, base64_text
from modelnotary.ledger.tiles import TILE_WIDTH, Tile
from modelnotary.ledger.tree import NodeReader, subtrees_between
from modelnotary.manifest.entry import FileEntry
from modelnotary.verify.archive import file_require
from modelnotary.verify.errors import BundleError
from modelnotary.verify.trust import TRUST_FILE

ARCHIVE_MANIFEST = "manifest.json"
ARCHIVE_FORMAT = "modelnotary-archive/v1"
ARCHIVE_CHECKPOINT = "checkpoint"
MAX_ARCHIVE_ENTRIES = 4_194_304
"""So many that the manifest stays below 8 MiB; a longer stretch takes several archives."""

type Told = Callable[[int, int], None]
"""``told(done, total)``: called after each tile."""


@dataclass(frozen=True, slots=True)
class ArchiveManifest:
    """What an archive holds: the entries ``start`` up to, without, ``end``, both multiples of 256, of one log.

    Attributes:
        origin: the log's origin.
        log: the class of its events, ``lineage`` or ``access``.
        start: the first entry.
        end: the first entry that is not in it.
        before: the roots of the subtrees that make up entries 0 to ``start``, 32 bytes each.
        after: those from ``end`` to the size of the checkpoint.
        chain_start: the hash chain before the first entry, 32 bytes.
        chain_end: the hash chain after the last entry.
        files: every other file, in the order of their paths.
    """

    origin: str
    log: str
    start: int
    end: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    chain_start: bytes
    chain_end: bytes
    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        stretch_require(self.start, self.end)
        hashes = (*self.before, *self.after, self.chain_start, self.chain_end)
        if any(len(value) != HASH_BYTES for value in hashes) or len(self.before) != self.start.bit_count():
            raise BundleError("the hashes in an archive's manifest do not fit its stretch")
        if self.log not in LOG_NAMES:
            raise BundleError(f"there is no log {self.log[:80]!r}; the logs are {', '.join(LOG_NAMES)}")
        if any(one.path >= other.path for one, other in pairwise(self.files)):
            raise BundleError("the files in an archive's manifest are not in order")
        for file in self.files:
            file_require(file.path, file.size)

    def to_bytes(self) -> bytes:
        """Write the manifest as canonical JSON."""
        return canonical_bytes(
            {
                "format": ARCHIVE_FORMAT,
                "origin": self.origin,
                "log": self.log,
                "start": self.start,
                "end": self.end,
                "before": [base64_text(value) for value in self.before],
                "after": [base64_text(value) for value in self.after],
                "chain_start": self.chain_start.hex(),
                "chain_end": self.chain_end.hex(),
                "files": [file.to_json() for file in self.files],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest, the inverse of `to_bytes`.

        Raises:
            BundleError: the bytes are not the one spelling of a manifest.
        """
        try:
            manifest = cls._from_json(parse_canonical(data))
        except (CanonicalError, DigestError, TextError, ValueError) as error:
            raise BundleError(f"the archive's manifest is malformed: {error}") from error
        if manifest.to_bytes() != data:
            raise BundleError("the archive's manifest is not in canonical form")
        return manifest

    @classmethod
    def _from_json(cls, value: Json) -> Self:
        match value:
            case {
                "format": "modelnotary-archive/v1",
                "origin": str(origin),
                "log": str(log),
                "start": int(start),
                "end": int(end),
                "before": [*before],
                "after": [*after],
                "chain_start": str(chain_start),
                "chain_end": str(chain_end),
                "files": [*files],
            }:
                return cls(
                    origin,
                    log,
                    start,
                    end,
                    tuple(map(_hash, before)),
                    tuple(map(_hash, after)),
                    bytes.fromhex(chain_start),
                    bytes.fromhex(chain_end),
                    tuple(map(_file, files)),
                )
            case _:
                raise BundleError(f"an archive's manifest ({ARCHIVE_FORMAT}) names its log, stretch, hashes and files")

    @property
    def digest(self) -> Digest:
        """The SHA-256 of the manifest as written: it stands for every byte of the archive."""
        return Digest.of(self.to_bytes())

    @property
    def tiles(self) -> Iterator[tuple[Tile, Tile]]:
        """The tiles of entries, each with that of its leaf hashes."""
        return stretch_tiles(self.start, self.end)


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """Where the parts of an archive come from.

    Attributes:
        log: the class of the log's events.
        note: the signed checkpoint of a tree that holds the stretch.
        trust: the content of ``trust.json``.
        tile: gives a full tile of entries or of leaf hashes.
        node: gives the roots of perfect subtrees of 256 entries and more.
        chain: gives the hash chain after so many entries.
    """

    log: str
    note: bytes
    trust: bytes
    tile: Callable[[Tile], bytes]
    node: NodeReader
    chain: Callable[[int], bytes]


def stretch_require(start: int, end: int) -> None:
    """Refuse a stretch that an archive cannot hold.

    Raises:
        BundleError: it is empty or too long, or does not begin and end with a tile.
    """
    if isinstance(start, bool) or isinstance(end, bool) or not 0 <= start < end or end - start > MAX_ARCHIVE_ENTRIES:
        raise BundleError(f"an archive holds 1 to {MAX_ARCHIVE_ENTRIES} entries, not {start} to {end}")
    if start % TILE_WIDTH or end % TILE_WIDTH:
        raise BundleError(f"an archive begins and ends with a tile of {TILE_WIDTH} entries, not {start} to {end}")


def stretch_tiles(start: int, end: int) -> Iterator[tuple[Tile, Tile]]:
    """List the full tiles of entries of a stretch, each with that of its leaf hashes."""
    for index in range(start // TILE_WIDTH, end // TILE_WIDTH):
        yield Tile(None, index), Tile(0, index)


def archive_export(
    folder: Path, start: int, end: int, source: ArchiveSource, told: Told = lambda _done, _total: None
) -> ArchiveManifest:
    """Write the archive of a stretch of a log into a folder; the manifest comes last, so a folder with one is whole.

    Done again after an interruption, it overwrites what was there.

    Args:
        folder: where to; made when missing.
        start: the first entry, a multiple of 256.
        end: the first entry no longer in it, a multiple of 256.
        source: the log.
        told: told how far it is.

    Raises:
        BundleError: there is no such archive, or the checkpoint does not cover the stretch.
        OSError: a file cannot be written.
    """
    stretch_require(start, end)
    checkpoint = _checkpoint(source.note, end)
    files = [
        _write(folder, name, data) for name, data in ((ARCHIVE_CHECKPOINT, source.note), (TRUST_FILE, source.trust))
    ]
    tiles = list(stretch_tiles(start, end))
    for done, pair in enumerate(tiles, start=1):
        files += [_write(folder, tile.path, source.tile(tile)) for tile in pair]
        told(done, len(tiles))
    manifest = ArchiveManifest(
        checkpoint.origin,
        source.log,
        start,
        end,
        tuple(source.node(*part) for part in subtrees_between(0, start)),
        tuple(source.node(*part) for part in subtrees_between(end, checkpoint.size)),
        source.chain(start),
        source.chain(end),
        tuple(sorted(files, key=lambda file: file.path)),
    )
    # Whoever drops what was archived relies on this: first all files, then the manifest that vouches for them.
    os.sync()
    _write(folder, ARCHIVE_MANIFEST, manifest.to_bytes())
    os.sync()
    return manifest


def _checkpoint(note: bytes, end: int) -> Checkpoint:
    try:
        checkpoint = Checkpoint.from_text(note_split(note)[0])
    except LedgerError as error:
        raise BundleError(f"the checkpoint for the archive is none: {error}") from error
    if checkpoint.size < end:
        raise BundleError(f"the checkpoint covers {checkpoint.size} entries, but the archive ends at {end}")
    return checkpoint


def _write(folder: Path, name: str, data: bytes) -> FileEntry:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_bytes(data)
    fresh.replace(path)
    return FileEntry(name, len(data), Digest.of(data))


def _hash(value: Json) -> bytes:
    if not isinstance(value, str):
        raise BundleError("a hash in an archive's manifest is base64")
    return base64_bytes(value)


def _file(value: Json) -> FileEntry:
    match value:
        case {"path": str(path), "size": int(size), "sha256": str(digits), **rest} if not rest:
            return FileEntry(path, int(size), Digest.from_text(f"sha256:{digits}"))
        case _:
            raise BundleError("a file in a manifest has the members path, size and sha256")
