"""A log without its first entries: why they are gone, and what they were if their archives are at hand.

In the folder of such a log stands ``pruned.json``. It names the first entry that is left, the hash chain before it, and
holds the proof of the entry `log.pruned` that says the same, so nothing is missing without the log's own word for it.
The roots over the entries that are gone stay in the tiles of level 1 and above, and lead to the signed root.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.chain import CHAIN_START
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import CanonicalError, LedgerError
from modelnotary.ledger.event import Event
from modelnotary.ledger.note import note_split
from modelnotary.ledger.proof import MAX_PROOF_BYTES, InclusionProof
from modelnotary.ledger.tiles import TILE_WIDTH, Tile
from modelnotary.verify.archive import Files
from modelnotary.verify.errors import BundleError
from modelnotary.verify.log_archive_format import ArchiveManifest
from modelnotary.verify.result import Check, failed, missing, passed
from modelnotary.verify.trust import Trust

PRUNED_FILE = "pruned.json"
PRUNED_FORMAT = "modelnotary-pruned/v1"
LOG_PRUNED = "log.pruned"


@dataclass(frozen=True, slots=True)
class PrunedPrefix:
    """That the entries before ``min_index``, a multiple of 256, are gone.

    Attributes:
        origin: the log's origin.
        min_index: the first entry that is left.
        chain: the hash chain before it, 32 bytes.
        proof: c2sp.org/tlog-proof of the entry that says so, in a log of the same instance.
    """

    origin: str
    min_index: int
    chain: bytes
    proof: bytes

    def __post_init__(self) -> None:
        if isinstance(self.min_index, bool) or self.min_index < 1 or self.min_index % TILE_WIDTH:
            raise BundleError(f"a log is pruned up to a multiple of {TILE_WIDTH}, not up to {self.min_index}")
        if len(self.chain) != HASH_BYTES or len(self.proof) > MAX_PROOF_BYTES:
            raise BundleError(f"{PRUNED_FILE} does not hold a hash of 32 bytes and a proof")

    def to_bytes(self) -> bytes:
        """Write ``pruned.json`` as canonical JSON."""
        return canonical_bytes(
            {
                "format": PRUNED_FORMAT,
                "origin": self.origin,
                "min_index": self.min_index,
                "chain": self.chain.hex(),
                "proof": self.proof.decode(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read ``pruned.json``, the inverse of `to_bytes`.

        Raises:
            BundleError: the bytes are not the one spelling of it.
        """
        try:
            prefix = cls._from_json(parse_canonical(data))
        except (CanonicalError, ValueError) as error:
            raise BundleError(f"{PRUNED_FILE} is malformed: {error}") from error
        if prefix.to_bytes() != data:
            raise BundleError(f"{PRUNED_FILE} is not in canonical form")
        return prefix

    @classmethod
    def _from_json(cls, value: Json) -> Self:
        match value:
            case {
                "format": "modelnotary-pruned/v1",
                "origin": str(origin),
                "min_index": int(min_index),
                "chain": str(chain),
                "proof": str(proof),
            }:
                return cls(origin, min_index, bytes.fromhex(chain), proof.encode())
            case _:
                raise BundleError(f"{PRUNED_FILE} ({PRUNED_FORMAT}) names a log, its first entry, a hash and a proof")

    def explained(self, trust: Trust) -> str:
        """Say by which entry the gap is explained.

        Raises:
            LedgerError: the proof does not hold.
            BundleError: it holds, but does not prove an entry of this instance that says this.
        """
        proof = InclusionProof.from_bytes(self.proof)
        origin = Checkpoint.from_text(note_split(proof.checkpoint)[0]).origin
        verifier = trust.log_verifier(origin)
        if verifier is None or proof.extra is None:
            raise BundleError(f"the proof in {PRUNED_FILE} is of an unknown log, {origin}, or carries no entry")
        proof.verify(proof.extra, verifier)
        event = Event.from_bytes(proof.extra)
        said = (event.type, event.data.get("origin"), event.data.get("min_index"), event.data.get("chain"))
        if said != (LOG_PRUNED, self.origin, self.min_index, self.chain.hex()):
            raise BundleError(f"the entry {proof.index} of {origin} does not say that this log was pruned so")
        return f"the entry {proof.index} of {origin}, {event.id}"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a log says about the entries it no longer has: ``roots`` are those over 256 of them each."""

    prefix: PrunedPrefix
    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Archived:
    """What a verified archive holds: ``roots`` are those over 256 of its entries each."""

    manifest: ArchiveManifest
    roots: tuple[bytes, ...]


def prefix_read(files: Files, folder: str, stated: Checkpoint, trust: Trust) -> tuple[PrunedPrefix | None, list[Check]]:
    """Read what a log in a bundle or export says about entries that are gone, and check that they are by its own word.

    Args:
        files: the bundle.
        folder: the log's folder in it.
        stated: the log's checkpoint.
        trust: the keys of the logs.

    Returns:
        What is said, None if nothing or nothing that could be; and the checks, none for a log without ``pruned.json``.
    """
    name, path = f"{folder.rpartition('/')[2]} pruning", f"{folder}/{PRUNED_FILE}"
    if path not in files.sizes:
        return None, []
    try:
        prefix = PrunedPrefix.from_bytes(files.read(path))
    except BundleError as error:
        return None, [failed(name, str(error))]
    if prefix.origin != stated.origin or prefix.min_index >= stated.size:
        words = f"{PRUNED_FILE} is of {prefix.origin} from entry {prefix.min_index} on, not of this log"
        return None, [failed(name, words)]
    words = f"the entries 0 to {prefix.min_index - 1} are gone"
    try:
        entry = prefix.explained(trust)
    except (LedgerError, BundleError) as error:
        check = failed(name, f"{words}, and no entry explains it: {error}", span=(0, prefix.min_index))
    else:
        check = passed(name, f"{words}; {entry} tells that they were archived and dropped")
    return prefix, [check, *_stray_checks(files, folder, prefix)]


def _stray_checks(files: Files, folder: str, prefix: PrunedPrefix) -> list[Check]:
    """Name a tile of entries that are said to be gone: nobody would look at it."""
    for index in range(prefix.min_index // TILE_WIDTH):
        for tile in (Tile(None, index), Tile(0, index)):
            if f"{folder}/{tile.path}" in files.sizes:
                return [failed(f"{folder.rpartition('/')[2]} pruning", f"{tile.path} is there, but is said to be gone")]
    return []


def archives_check(pruned: Pruned, archives: Sequence[Archived]) -> Check:
    """Check that archives hold exactly the entries that a log no longer has.

    Args:
        pruned: what the log says of them.
        archives: verified archives of any logs.

    Returns:
        Passed if with them the log is whole; missing if some entries are in none of them; failed if one holds others.
    """
    prefix, reached, link = pruned.prefix, 0, CHAIN_START
    mine = [archive for archive in archives if archive.manifest.origin == prefix.origin]
    for archive in sorted(mine, key=lambda one: one.manifest.start):
        manifest = archive.manifest
        first = manifest.start // TILE_WIDTH
        # An archive may reach beyond what was dropped.
        pairs = zip(archive.roots, pruned.roots[first:], strict=False)
        other = next((at for at, (one, two) in enumerate(pairs, first) if one != two), None)
        if other is not None:
            span = (other * TILE_WIDTH, (other + 1) * TILE_WIDTH)
            return failed("archives", "an archive holds other entries than the log had", span=span)
        if manifest.start > reached:
            break
        if manifest.start == reached:
            if manifest.chain_start != link:
                return failed("archives", f"the chain does not lead into the archive of entry {reached} and on")
            reached, link = manifest.end, manifest.chain_end
    if reached < prefix.min_index:
        words = f"the entries {reached} to {prefix.min_index - 1} are in none of the archives given"
        return missing("archives", words, span=(reached, prefix.min_index))
    if reached == prefix.min_index and link != prefix.chain:
        return failed("archives", f"the chain does not lead from the archives into entry {reached}")
    return passed("archives", f"the archives hold the entries 0 to {reached - 1}: with them the log is whole")
