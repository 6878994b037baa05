"""Reading a stretch of a log in a process of its own: entries are hashed, compared with their tiles, read as events."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, ChainHead
from modelnotary.ledger.digest import HASH_BYTES, Digest
from modelnotary.ledger.errors import ChainHeadError, EventError, TileError
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import LOG_INCARNATION
from modelnotary.ledger.log_keys import ROTATION_EVENT, ROTATION_NOTE
from modelnotary.ledger.merkle import leaf_hash, leaf_hashes
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_decode, bundle_prefix
from modelnotary.ledger.tree import perfect_root
from modelnotary.verify.archive import FileSlice
from modelnotary.verify.evidence_signatures import EVIDENCE_DEPOSITED, is_about_producers
from modelnotary.verify.passkey_signatures import is_about_passkeys

DECISION_ISSUED = "decision.issued"
POLICY_PUBLISHED = "policy.published"
REPORT_ISSUED = "report.issued"


@dataclass(frozen=True, slots=True)
class TileSource:
    """Where a tile of entries is found, and the tile of their leaf hashes if there is one."""

    tile: Tile
    entries: FileSlice
    leaves: FileSlice | None


@dataclass(frozen=True, slots=True)
class Interest:
    """What is looked for in the entries of a log: whatever names a file of the bundle, or should have one there.

    ``log`` is the class of log that every entry must carry. ``names`` and ``digests`` are those of the bundle's files,
    ``about`` the model version whose decisions and evidence must be in the bundle. All else is read and forgotten, so
    memory does not grow with the log.
    """

    log: str
    names: frozenset[str] = frozenset()
    digests: frozenset[Digest] = frozenset()
    about: str = ""

    def wants(self, event: Event) -> bool:
        """Whether an entry is kept for comparison with the files."""
        if event.type in {DECISION_ISSUED, EVIDENCE_DEPOSITED}:
            return event.subject.id in self.names or event.data.get("model_version") == self.about
        if event.type == POLICY_PUBLISHED:
            return event.subject.digest in self.digests
        return event.type in {REPORT_ISSUED, LOG_INCARNATION, ROTATION_EVENT}


@dataclass(frozen=True, slots=True)
class Naming:
    """A ledger entry that names a file of the bundle, or a new key: where it stands, and what it says."""

    type: str
    index: int
    subject: str
    digest: Digest | None
    attestation: str | None
    model_version: str | None
    rotation: str | None = None


@dataclass(frozen=True, slots=True)
class BadRange:
    """The smallest range of entries, ``start`` up to, without, ``end``, that is known to hold something wrong."""

    start: int
    end: int
    reason: str


@dataclass(slots=True)
class StretchReading:
    """What a stretch turned out to be: all leaf hashes in a row, the roots of its full tiles, what it names.

    ``chain_heads`` are the entries that tell the hash chain, ``passkeys`` those about passkeys, ``producers`` those
    about keys of producers and what they signed, each with its index. Where something is ``bad``, the rest is only what
    came before.
    """

    leaves: bytes = b""
    roots: list[bytes] = field(default_factory=list)
    namings: list[Naming] = field(default_factory=list)
    chain_heads: list[tuple[int, ChainHead]] = field(default_factory=list)
    passkeys: list[tuple[int, Event]] = field(default_factory=list)
    producers: list[tuple[int, Event]] = field(default_factory=list)
    bad: BadRange | None = None


def stretch_read(sources: Sequence[TileSource], interest: Interest | None) -> StretchReading:
    """Read consecutive tiles of entries.

    Args:
        sources: where they are.
        interest: what to look for in the events; None to hash alone.

    Raises:
        OSError: a file cannot be read.
    """
    reading, rows = StretchReading(), []
    for source in sources:
        data = source.entries.read()
        recorded = None if source.leaves is None else source.leaves.read()
        leaves = _hashed(source.tile, data, recorded)
        if isinstance(leaves, BadRange):
            reading.bad = leaves
            break
        entries, hashes = leaves
        if interest is not None:
            reading.bad = _events_read(reading, source.tile.index * TILE_WIDTH, entries, interest)
            if reading.bad is not None:
                break
        rows += hashes
        if source.tile.width == TILE_WIDTH:
            reading.roots.append(perfect_root(hashes))
    reading.leaves = b"".join(rows)
    return reading


def _hashed(tile: Tile, data: bytes, recorded: bytes | None) -> tuple[list[bytes], list[bytes]] | BadRange:
    """The entries of a tile and their leaf hashes, or the first that is not the one the recorded hashes tell."""
    try:
        entries = bundle_decode(data, tile.width)
    except TileError as error:
        return _first_bad(tile, bundle_prefix(data, tile.width), recorded, f"{tile.path} is damaged: {error}")
    hashes = leaf_hashes(entries)
    if recorded is not None and b"".join(hashes) != recorded:
        return _first_bad(tile, entries, recorded, f"{Tile(0, tile.index, tile.width).path} is damaged")
    return entries, hashes


def _first_bad(tile: Tile, entries: list[bytes], recorded: bytes | None, damage: str) -> BadRange:
    start = tile.index * TILE_WIDTH
    if recorded is None:
        return BadRange(start, start + tile.width, damage)
    for offset, entry in enumerate(entries):
        if leaf_hash(entry) != recorded[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]:
            index = start + offset
            return BadRange(index, index + 1, f"entry {index} is not the one whose hash stands in the log's tree")
    # All that could be read is right, so the damage is in what follows it.
    index = start + min(len(entries), tile.width - 1)
    return BadRange(index, start + tile.width, damage)


def _events_read(reading: StretchReading, start: int, entries: list[bytes], interest: Interest) -> BadRange | None:
    for index, entry in enumerate(entries, start):
        try:
            event = Event.from_bytes(entry)
            if event.type == CHAIN_HEAD_EVENT:
                reading.chain_heads.append((index, ChainHead.from_event(event)))
        except (EventError, ChainHeadError) as error:
            return BadRange(index, index + 1, f"entry {index} is not an event: {error}")
        if event.log != interest.log:
            reason = f"entry {index} belongs to the log {event.log}, not to {interest.log}"
            return BadRange(index, index + 1, reason)
        if interest.wants(event):
            reading.namings.append(_naming(index, event))
        if is_about_passkeys(event):
            reading.passkeys.append((index, event))
        if is_about_producers(event):
            reading.producers.append((index, event))
    return None


def _naming(index: int, event: Event) -> Naming:
    return Naming(
        event.type,
        index,
        event.subject.id,
        event.subject.digest,
        _text(event.data.get("attestation_digest")),
        _text(event.data.get("model_version")),
        _text(event.data.get(ROTATION_NOTE)) if event.type == ROTATION_EVENT else None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
