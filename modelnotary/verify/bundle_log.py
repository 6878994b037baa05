"""Reading a whole log again: every entry is hashed, the tree and the chain are rebuilt from nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES, Digest
from modelnotary.ledger.errors import EventError, TileError
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import EMPTY_ROOT, leaf_hash
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_decode, tiles_of_level
from modelnotary.ledger.tree import Frontier
from modelnotary.verify.archive import Files
from modelnotary.verify.bundle_format import log_folder
from modelnotary.verify.errors import VerifyError

DECISION_ISSUED = "decision.issued"
EVIDENCE_DEPOSITED = "evidence.deposited"
POLICY_PUBLISHED = "policy.published"
REPORT_ISSUED = "report.issued"
_NAMING = frozenset({DECISION_ISSUED, EVIDENCE_DEPOSITED, POLICY_PUBLISHED, REPORT_ISSUED})


class EntryError(VerifyError):
    """A ledger entry is not what it should be.

    Attributes:
        index: position of the first entry found to be bad.
    """

    code = "entry-invalid"

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True, slots=True)
class Naming:
    """A ledger entry that names a file of the bundle: where it stands, and what it says."""

    index: int
    subject: str
    digest: Digest | None
    attestation: str | None
    model_version: str | None


@dataclass(slots=True)
class Replay:
    """What a log turned out to be: its root, its chain head, its root when it was smaller, what it names.

    ``kept_root`` is the root at the size that was asked for, if the log ever had it. ``namings`` are the
    entries that name files, by event type.
    """

    root: bytes = EMPTY_ROOT
    chain_head: bytes = b""
    kept_root: bytes | None = None
    namings: dict[str, list[Naming]] = field(default_factory=dict)


def log_replay(files: Files, checkpoint: Checkpoint, kept_size: int | None) -> Replay:
    """Read all entries of a log in a bundle, in memory for one tile of 256 entries.

    Args:
        files: the bundle.
        checkpoint: what the log says it is; only origin and size are used here.
        kept_size: a smaller size at which the root is wanted too.

    Raises:
        EntryError: an entry is not an event of this log, or not the one whose leaf hash is in the bundle.
        BundleError: a file with entries is not there.
    """
    replay, frontier, chain = Replay(), Frontier(), Chain(checkpoint.origin)
    name = checkpoint.origin.rpartition("/")[2]
    for tile, entries in _tiles(files, checkpoint):
        leaves = [leaf_hash(entry) for entry in entries]
        _compare_leaves(files, checkpoint.origin, tile, leaves)
        if kept_size is not None and frontier.size <= kept_size <= frontier.size + len(leaves):
            before = Frontier(frontier.size, frontier.hashes)
            before.extend(leaves[: kept_size - frontier.size])
            replay.kept_root = before.root()
        for offset, entry in enumerate(entries):
            _note_event(replay, name, frontier.size + offset, entry)
        chain.extend(leaves)
        frontier.extend(leaves)
    if kept_size == 0:
        replay.kept_root = EMPTY_ROOT
    replay.root, replay.chain_head = frontier.root(), chain.head
    return replay


def _tiles(files: Files, checkpoint: Checkpoint) -> Iterator[tuple[Tile, list[bytes]]]:
    for tile in tiles_of_level(None, checkpoint.size):
        path = f"{log_folder(checkpoint.origin)}/{tile.path}"
        first = tile.index * TILE_WIDTH
        try:
            yield tile, bundle_decode(files.read(path), tile.width)
        except TileError as error:
            raise EntryError(first, f"{path} is damaged: {error}") from error


def _compare_leaves(files: Files, origin: str, tile: Tile, leaves: list[bytes]) -> None:
    """Name the exact entry that is not the logged one, when the bundle carries the leaf hashes."""
    path = f"{log_folder(origin)}/{Tile(0, tile.index, tile.width).path}"
    if path not in files.sizes:
        return
    recorded = files.read(path)
    for offset, leaf in enumerate(leaves):
        if recorded[offset * HASH_BYTES : (offset + 1) * HASH_BYTES] != leaf:
            index = tile.index * TILE_WIDTH + offset
            raise EntryError(index, f"entry {index} is not the one whose hash stands in the log's tree")


def _note_event(replay: Replay, log: str, index: int, entry: bytes) -> None:
    try:
        event = Event.from_bytes(entry)
    except EventError as error:
        raise EntryError(index, f"entry {index} is not an event: {error}") from error
    if event.log != log:
        raise EntryError(index, f"entry {index} belongs to the log {event.log}, not to {log}")
    if event.type in _NAMING:
        naming = Naming(
            index,
            event.subject.id,
            event.subject.digest,
            _text(event.data.get("attestation_digest")),
            _text(event.data.get("model_version")),
        )
        replay.namings.setdefault(event.type, []).append(naming)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
