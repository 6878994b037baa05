"""Proofs out of what is stored of a log's tree: all that one of them needs, in one statement.

Hashes are read as tiles, as C2SP tlog-tiles cuts a tree: 256 neighbours of every eighth level, one page of 8 KiB. What
stands between two stored levels is computed from them. A tile of one width never changes, and nearly all proofs share
the upper ones and those at the right edge, so these are kept.
"""

from collections.abc import Callable, Iterable
from threading import Lock

from django.db import connections

from audit.errors import CorruptLogError
from audit.pruning import require_kept
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.merkle import EMPTY_ROOT, node_hash
from modelnotary.ledger.tiles import TILE_WIDTH, Tile
from modelnotary.ledger.tree import STORED_LEVELS, NodeReader

type PathMaker = Callable[[NodeReader], list[bytes]]
"""Makes a proof, given what reads the tree: `inclusion_path` or `consistency_path` of certain sizes."""

type _Rows = list[list[bytes]]
"""The hashes of a tile, then the roots over two neighbours each, over four, up to 128."""

# Some 35 kB each.
_KEPT = 512
_LEAVES = """
SELECT {}, string_agg(leaf, '' ORDER BY seq) FROM ledger.entry
 WHERE log_id = (SELECT log_id FROM ledger.log WHERE name = %s) AND seq >= %s AND seq < %s
   AND seq >= (SELECT min_index FROM ledger.log WHERE name = %s)
"""
_NODES = """
SELECT {}, string_agg(hash, '' ORDER BY idx) FROM ledger.node
 WHERE log_id = (SELECT log_id FROM ledger.log WHERE name = %s) AND level = %s AND idx >= %s AND idx < %s
"""


def tiles_read(*, log: str, tiles: Iterable[Tile]) -> dict[Tile, bytes]:
    """Read tiles of hashes in one statement.

    Raises:
        PrunedError: Entries of one were archived and dropped.
        CorruptLogError: The database lacks a part of one.
    """
    wanted, parts, parameters = list(tiles), list[str](), list[str | int]()
    for number, tile in enumerate(wanted):
        first = tile.index * TILE_WIDTH
        parts.append((_NODES if tile.level else _LEAVES).format(number))
        span = (first, first + tile.width)
        parameters += [log, tile.level * STORED_LEVELS, *span] if tile.level else [log, *span, log]
    if not wanted:
        return {}
    with connections["auditor"].cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), parameters)
        read = {wanted[number]: bytes(hashes or b"") for number, hashes in cursor.fetchall()}
    for tile, hashes in read.items():
        if len(hashes) != tile.width * HASH_BYTES:
            if not tile.level:
                require_kept(log=log, first=tile.index * TILE_WIDTH)
            raise CorruptLogError(f"log {log} lacks hashes of {tile.path}")
    return read


class TileMemory:
    """Makes proofs, and keeps the tiles that the next ones will want; for one process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Tile], _Rows] = {}
        self._lock = Lock()

    def path(self, *, log: str, size: int, make: PathMaker) -> list[bytes]:
        """Make a proof in the tree of this size.

        Raises:
            CorruptLogError: The database lacks a part of the tree.
            TreeError: As `make` does.
        """
        places: dict[tuple[int, int], Tile] = {}

        def ask(level: int, index: int) -> bytes:
            places[level, index] = _tile(level, index, size)
            return EMPTY_ROOT

        make(ask)
        wanted = set(places.values())
        tiles = {tile: rows for tile in wanted if (rows := self._kept.get((log, tile))) is not None}
        for tile, hashes in tiles_read(log=log, tiles=wanted - tiles.keys()).items():
            tiles[tile] = _rows(hashes)
            if tile.level or tile.width < TILE_WIDTH:
                self._keep(log, tile, tiles[tile])

        def node(level: int, index: int) -> bytes:
            height, tile = level % STORED_LEVELS, places[level, index]
            return tiles[tile][height][index - (tile.index * TILE_WIDTH >> height)]

        return make(node)

    def forget(self) -> None:
        """Read everything anew."""
        with self._lock:
            self._kept.clear()

    def _keep(self, log: str, tile: Tile, rows: _Rows) -> None:
        with self._lock:
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[log, tile] = rows


TILES = TileMemory()
"""What this process keeps."""


def node_reader(*, log: str, size: int) -> NodeReader:
    """Read the roots of perfect subtrees of a tree of this size, one by one."""
    tiles = TileMemory()
    return lambda level, index: tiles.path(log=log, size=size, make=lambda node: [node(level, index)])[0]


def _tile(level: int, index: int, size: int) -> Tile:
    """The tile of a tree of this size from which a node is computed."""
    stored, height = divmod(level, STORED_LEVELS)
    at = (index << height) // TILE_WIDTH
    return Tile(stored, at, min(TILE_WIDTH, (size >> STORED_LEVELS * stored) - at * TILE_WIDTH))


def _rows(hashes: bytes) -> _Rows:
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    rows = [row]
    for _ in range(STORED_LEVELS - 1):
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
        rows.append(row)
    return rows
