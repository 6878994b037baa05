"""Reading a whole log again: every entry is hashed, the tree and the chain are rebuilt from nothing else.

Large logs are read on all processors, in stretches; the chain, which has to be followed link by link, is followed
here. Memory holds a few stretches, the edge of the tree, what the log names of the bundle's files, and what people
signed by passkey and producers by their keys.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched, islice

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import EMPTY_ROOT
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, tiles_of_level
from modelnotary.ledger.tree import STORED_LEVELS, Frontier, Subtree
from modelnotary.processors import processors
from modelnotary.verify.archive import Files
from modelnotary.verify.bundle_format import log_folder
from modelnotary.verify.chain_heads import ChainHeads
from modelnotary.verify.errors import VerifyError
from modelnotary.verify.log_stretch import BadRange, Interest, Naming, StretchReading, TileSource, stretch_read
from modelnotary.verify.parallel import ordered_map
from modelnotary.verify.pruning import PrunedPrefix

SMALL_LOG = 20_000
"""Up to so many entries, starting processes takes longer than reading them here."""
_TILES_AT_ONCE = 32

type Progress = Callable[[str, int, int], None]
"""``progress(log, done, total)``: called now and then while the entries of a log are read."""


class LogError(VerifyError):
    """A log is not what it should be.

    Attributes:
        part: ``entries`` or ``tree``.
        range: the smallest range of entries known to hold something wrong.
    """

    code = "log-invalid"

    def __init__(self, part: str, bad: BadRange) -> None:
        super().__init__(bad.reason)
        self.part = part
        self.range = bad


@dataclass(slots=True)
class Replay:
    """What a log turned out to be: its root, its chain head, its root when it was smaller, what it names.

    ``kept_root`` is the root at the size that was asked for, if the log ever had it. ``namings`` are the entries of
    interest, by event type, ``passkeys`` those about passkeys and ``producers`` those about keys of producers, in their
    order. ``chain_heads`` is what entries tell of the chain, compared with it. ``frontier`` are the roots of the
    perfect subtrees that make up the tree.
    """

    root: bytes = EMPTY_ROOT
    chain_head: bytes = b""
    chain_heads: ChainHeads = field(default_factory=ChainHeads)
    kept_root: bytes | None = None
    namings: dict[str, list[Naming]] = field(default_factory=dict)
    passkeys: list[tuple[int, Event]] = field(default_factory=list)
    producers: list[tuple[int, Event]] = field(default_factory=list)
    frontier: Sequence[bytes] = ()
    roots_gone: tuple[bytes, ...] = ()

    @property
    def min_index(self) -> int:
        """The first entry that was there to be read."""
        return len(self.roots_gone) * TILE_WIDTH


def namings_merged(each: Iterable[dict[str, list[Naming]]]) -> dict[str, list[Naming]]:
    """Put together what several logs name."""
    merged: dict[str, list[Naming]] = {}
    for namings in each:
        for kind, found in namings.items():
            merged.setdefault(kind, []).extend(found)
    return merged


def no_progress(log: str, done: int, total: int) -> None:
    """Tell nobody."""


def log_replay(
    files: Files,
    checkpoint: Checkpoint,
    interest: Interest | None,
    *,
    pruned: PrunedPrefix | None = None,
    kept_size: int | None = None,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Replay:
    """Read all entries of a log in a bundle.

    Args:
        files: the bundle; all tiles of entries are there.
        checkpoint: what the log says it is; only origin and size are used here.
        interest: what to look for in the entries; None to hash them alone.
        pruned: what is said of entries at the start that are gone.
        kept_size: a smaller size at which the root is wanted too.
        workers: how many processes read; by default one for each processor, and none for a small log.
        progress: told how far the reading is.

    Raises:
        LogError: an entry is not an event of this log or not the one whose hash is in the bundle, or a hash in the
            bundle is not that of its entries.
        WorkerError: a process died.
        BundleError: a file is not there.
    """
    name = checkpoint.origin.rpartition("/")[2]
    if workers is None:
        workers = 1 if checkpoint.size <= SMALL_LOG else processors()
    reader = _Reader(files, checkpoint, kept_size)
    if pruned is not None:
        reader.skip(_roots_gone(files, checkpoint, pruned.min_index), pruned.chain)
    stretches = batched(_sources(files, checkpoint, reader.size // TILE_WIDTH), _TILES_AT_ONCE)
    for reading in ordered_map(partial(stretch_read, interest=interest), stretches, workers=workers):
        reader.take(reading)
        progress(name, reader.size, checkpoint.size)
    return reader.finish()


def _roots_gone(files: Files, checkpoint: Checkpoint, min_index: int) -> Iterator[bytes]:
    """The roots over 256 entries each of the entries that are gone, as the tiles of level 1 tell them."""
    for tile in tiles_of_level(1, checkpoint.size):
        start = tile.index * TILE_WIDTH**2
        if start >= min_index:
            return
        data = files.read(f"{log_folder(checkpoint.origin)}/{tile.path}")
        if len(data) != tile.width * HASH_BYTES:
            raise LogError("tree", BadRange(start, min_index, f"{tile.path} is cut off"))
        for index in range(min(tile.width, (min_index - start) // TILE_WIDTH)):
            yield data[index * HASH_BYTES : (index + 1) * HASH_BYTES]


def _sources(files: Files, checkpoint: Checkpoint, first: int) -> Iterator[TileSource]:
    folder = log_folder(checkpoint.origin)
    for tile in islice(tiles_of_level(None, checkpoint.size), first, None):
        leaves = f"{folder}/{Tile(0, tile.index, tile.width).path}"
        yield TileSource(
            tile,
            files.locate(f"{folder}/{tile.path}"),
            files.locate(leaves) if leaves in files.sizes else None,
        )


class _Reader:
    """Puts the stretches of a log together, in order."""

    def __init__(self, files: Files, checkpoint: Checkpoint, kept_size: int | None) -> None:
        self._replay = Replay(
            kept_root=EMPTY_ROOT if kept_size == 0 else None, chain_heads=ChainHeads(checkpoint.origin)
        )
        self._frontier = Frontier()
        self._origin = checkpoint.origin
        self._chain = Chain(self._origin)
        self._kept_size = kept_size
        self._tiles = _HashTiles(files, checkpoint)

    @property
    def size(self) -> int:
        """How many entries were read."""
        return self._chain.size

    def skip(self, roots: Iterable[bytes], link: bytes) -> None:
        """Begin with entries that are gone, of which only the roots over 256 each are left."""
        self._replay.roots_gone = tuple(roots)
        for root in self._replay.roots_gone:
            self._tile_add(root)
            if self._frontier.size == self._kept_size:
                self._replay.kept_root = self._frontier.root()
        self._chain = Chain(self._origin, self._frontier.size, link)

    def take(self, reading: StretchReading) -> None:
        leaves = [reading.leaves[start : start + HASH_BYTES] for start in range(0, len(reading.leaves), HASH_BYTES)]
        self._root_then(leaves)
        heads, start = self._replay.chain_heads, self._chain.size
        heads.follow(start, self._chain.extend(leaves))
        for index, head in reading.chain_heads:
            heads.compare(index, head)
        for root in reading.roots:
            self._tile_add(root)
        self._frontier.extend(leaves[len(reading.roots) * TILE_WIDTH :])
        for naming in reading.namings:
            self._replay.namings.setdefault(naming.type, []).append(naming)
        self._replay.passkeys += reading.passkeys
        self._replay.producers += reading.producers
        if reading.bad is not None:
            raise LogError("entries", reading.bad)

    def finish(self) -> Replay:
        self._tiles.finish()
        self._replay.root, self._replay.chain_head = self._frontier.root(), self._chain.head
        self._replay.frontier = self._frontier.hashes
        return self._replay

    def _tile_add(self, root: bytes) -> None:
        subtree = Subtree(STORED_LEVELS, self._frontier.size // TILE_WIDTH, root)
        for completed in (subtree, *self._frontier.extend([root], level=STORED_LEVELS)):
            self._tiles.add(completed)

    def _root_then(self, leaves: list[bytes]) -> None:
        wanted, size = self._kept_size, self._frontier.size
        if wanted is not None and size < wanted <= size + len(leaves):
            before = Frontier(size, self._frontier.hashes)
            before.extend(leaves[: wanted - size])
            self._replay.kept_root = before.root()


class _HashTiles:
    """Compares the hashes above the leaves with the tiles that hold them, where the bundle has such tiles."""

    def __init__(self, files: Files, checkpoint: Checkpoint) -> None:
        self._files = files
        self._folder = log_folder(checkpoint.origin)
        self._size = checkpoint.size
        self._rows: dict[int, list[bytes]] = {}

    def add(self, subtree: Subtree) -> None:
        row = self._rows.setdefault(subtree.level // STORED_LEVELS, [])
        row.append(subtree.hash)
        if len(row) == TILE_WIDTH:
            self._compare(Tile(subtree.level // STORED_LEVELS, subtree.index // TILE_WIDTH), row)
            row.clear()

    def finish(self) -> None:
        for level, row in self._rows.items():
            if row:
                self._compare(Tile(level, (self._size >> STORED_LEVELS * level) // TILE_WIDTH, len(row)), row)

    def _compare(self, tile: Tile, row: list[bytes]) -> None:
        path = f"{self._folder}/{tile.path}"
        if path not in self._files.sizes:
            return
        recorded = self._files.read(path)
        if recorded == b"".join(row):
            return
        width = TILE_WIDTH ** (tile.level or 0)
        offset = next(
            (at for at, value in enumerate(row) if recorded[at * HASH_BYTES : (at + 1) * HASH_BYTES] != value),
            len(row) - 1,
        )
        start = (tile.index * TILE_WIDTH + offset) * width
        end = start + width
        reason = f"the entries {start} to {end - 1} are not the ones whose hash stands in {tile.path}"
        raise LogError("tree", BadRange(start, end, reason))
