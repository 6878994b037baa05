"""A log as static files: tile paths and entry bundles (C2SP tlog-tiles v0.1.0)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.errors import TileError
from modelnotary.ledger.merkle import MAX_TREE_SIZE

TILE_WIDTH = 256
MAX_ENTRY_BYTES = 65_535
_MAX_LEVEL = 63
_LENGTH_BYTES = 2
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One static file of a log: up to 256 entries, or up to 256 hashes of one level.

    ``level`` is ``None`` for a bundle of entries, else 0 for leaf hashes, 1 for the roots over 256 leaves
    each, and so on. ``width`` is the number of entries or hashes in the file.

    Raises:
        TileError: there is no such tile.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (0 <= (self.level or 0) <= _MAX_LEVEL and 0 <= self.index <= MAX_TREE_SIZE):
            raise TileError(f"there is no tile {self.index} at level {self.level}")
        if not 1 <= self.width <= TILE_WIDTH:
            raise TileError(f"a tile has 1 to {TILE_WIDTH} parts, not {self.width}")

    def is_of(self, size: int) -> bool:
        """Whether a log of ``size`` entries has this tile."""
        full, partial = divmod(size >> 8 * (self.level or 0), TILE_WIDTH)
        return self.index < full if self.width == TILE_WIDTH else (self.index, self.width) == (full, partial)

    @classmethod
    def from_path(cls, path: str) -> Self:
        """Read a path such as ``tile/0/x001/x234/067.p/12``.

        Raises:
            TileError: it is not a tile path, or not the one spelling of it.
        """
        match = _PATH.fullmatch(path[:120])
        if match is None:
            raise TileError(f"{path[:80]!r} is not the path of a tile")
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("/", "").replace("x", ""))
        tile = cls(level, index, int(match["width"] or TILE_WIDTH))
        if tile.path != path:
            raise TileError(f"{path[:80]!r} is not the canonical path of a tile")
        return tile

    @property
    def path(self) -> str:
        """The path relative to the log's own folder, the inverse of `from_path`."""
        name, index = f"{self.index % 1000:03}", self.index // 1000
        while index:
            name, index = f"x{index % 1000:03}/{name}", index // 1000
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{partial}"


def tiles_of_level(level: int | None, size: int) -> Iterator[Tile]:
    """List the tiles of one level that a log of ``size`` entries has, the partial last one included."""
    full, partial = divmod(size >> 8 * (level or 0), TILE_WIDTH)
    for index in range(full):
        yield Tile(level, index)
    if partial:
        yield Tile(level, full, partial)


def bundle_encode(entries: Sequence[bytes]) -> bytes:
    """Write up to 256 entries as one entry bundle: each is its length in two bytes, then itself.

    Raises:
        TileError: there are too many entries, or one is longer than 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise TileError(f"a bundle has at most {TILE_WIDTH} entries of at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES) + entry for entry in entries)


def bundle_decode(data: bytes, width: int) -> list[bytes]:
    """Read an entry bundle that must hold exactly ``width`` entries, the inverse of `bundle_encode`.

    Raises:
        TileError: the bundle is cut off, or holds more or fewer entries.
    """
    entries, position = _cut(data, width)
    if len(entries) < width:
        raise TileError(f"the bundle ends within its entry {len(entries)} of {width}")
    if position != len(data):
        raise TileError(f"the bundle holds {len(data) - position} bytes more than its {width} entries")
    return entries


def bundle_prefix(data: bytes, width: int) -> list[bytes]:
    """Read as many whole entries of a damaged bundle as there are, at most ``width``."""
    return _cut(data, width)[0]


def _cut(data: bytes, width: int) -> tuple[list[bytes], int]:
    """The whole entries at the start of a bundle, at most ``width``, and where they end."""
    entries, start, position = [], 0, 0
    try:
        for _ in range(width):
            start = position + _LENGTH_BYTES
            end = start + (data[position] << 8 | data[position + 1])
            entries.append(data[start:end])
            position = end
    except IndexError:
        pass
    if position > len(data):
        entries.pop()
        position = start - _LENGTH_BYTES
    return entries, position
