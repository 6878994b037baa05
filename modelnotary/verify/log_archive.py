"""The archive of a stretch of a log, verified offline from its files alone.

The procedure of `archive_examine`, numbered as in the code:

1. List the folder. Links and special files are refused.
2. Take the trust file: the one given, else, unpinned, the one in the folder.
3. Read the manifest; it says of which log and which entries this is the archive.
4. Compare the files with the manifest and with what such an archive has: each is there with its size and SHA-256,
   and there is no other.
5. Open the checkpoint: signed by the log's own key, by as many witnesses as the auditor's policy asks for, and of a
   tree that holds the stretch.
6. Hash every entry again, compare with the tiles of hashes, and read it as an event of that log.
7. Rebuild the tree: with the subtrees stated before and after them, the entries lead to the signed root.
8. Follow the chain from the value stated at the start to the one stated at the end; that of a log begins with zeros.
   What entries `ledger.chain_head` tell of it on the way must be so.
9. Compare with a checkpoint kept earlier, if there is one and the archive reaches to its last entry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched
from pathlib import Path

from modelnotary.ledger.chain import CHAIN_START, Chain
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.digest import HASH_BYTES, Digest
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.tiles import TILE_WIDTH, Tile
from modelnotary.ledger.tree import STORED_LEVELS, Frontier, subtrees_between
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.processors import processors
from modelnotary.verify.archive import Files, FileSlice, files_open
from modelnotary.verify.bundle import NO_TRUST, BundleFindings
from modelnotary.verify.chain_heads import ChainHeads, heads_check
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_archive_format import ARCHIVE_CHECKPOINT, ARCHIVE_MANIFEST, ArchiveManifest
from modelnotary.verify.log_replay import SMALL_LOG, Progress, no_progress
from modelnotary.verify.log_stretch import BadRange, Interest, StretchReading, TileSource, stretch_read
from modelnotary.verify.parallel import ordered_map
from modelnotary.verify.pruning import Archived
from modelnotary.verify.result import Check, Outcome, TrustAnchor, VerificationReport, failed, missing, passed
from modelnotary.verify.trust import TRUST_FILE, Trust
from modelnotary.verify.witnesses import witnesses_check

_TILES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file of the archive, and the digest that the manifest gives for it."""

    name: str
    place: FileSlice
    digest: Digest


type _Pair = tuple[Tile, _Listed, _Listed]
type _Reading = tuple[StretchReading, list[str]]


def archive_examine(
    path: Path,
    trust: Trust | None,
    *,
    kept: KeptCheckpoint | None,
    now: datetime,  # noqa: ARG001 - nothing in an archive expires; bundles are examined by the same call
    policy: WitnessPolicy | None = None,
    progress: Progress = no_progress,
) -> BundleFindings:
    """Verify an archive by the procedure at the top of this module.

    Args:
        path: the folder.
        trust: the keys to rely on; None to use, unpinned, those in the folder.
        kept: a checkpoint the auditor kept earlier.
        now: not used.
        policy: which witnesses must have signed the checkpoint; None if none must.
        progress: told how far the reading is.

    Returns:
        The findings. What is wrong is in the report and never raised.

    Raises:
        WorkerError: this machine could not finish; that says nothing about the archive.
    """
    examination = _Examination(kept, policy, progress)
    try:
        with files_open(path) as files:  # 1
            examination.run(files, trust, path)
    except BundleError as error:
        examination.checks.append(failed("files", str(error)))
    report = VerificationReport("archive", str(path), tuple(examination.checks), examination.anchor)
    return BundleFindings(report, examination.trust, {}, archived=examination.archived)


class _Examination:
    def __init__(self, kept: KeptCheckpoint | None, policy: WitnessPolicy | None, progress: Progress) -> None:
        self.checks: list[Check] = []
        self.trust: Trust | None = None
        self.anchor: TrustAnchor | None = None
        self.archived: Archived | None = None
        self._kept = kept
        self._policy = policy
        self._progress = progress

    def run(self, files: Files, trust: Trust | None, path: Path) -> None:
        self.trust = trust or self._trust_inside(files, path)  # 2
        manifest = self._manifest(files)  # 3
        if self.trust is None or manifest is None:
            return
        misplaced = _names_checks(files, manifest)  # 4
        self.checks += misplaced
        checkpoint = self._checkpoint(files, manifest, self.trust)  # 5
        if not misplaced:
            self._entries(files, manifest, checkpoint, self.trust)

    def _trust_inside(self, files: Files, path: Path) -> Trust | None:
        if TRUST_FILE not in files.sizes:
            self.checks.append(missing("trust", NO_TRUST))
            return None
        try:
            trust = Trust.from_bytes(files.read(TRUST_FILE))
        except TrustError as error:
            self.checks.append(failed("trust", f"in the folder's own trust.json: {error}"))
            return None
        self.anchor = TrustAnchor(f"inside {path}", pinned=False, fingerprint=trust.fingerprint)
        return trust

    def _manifest(self, files: Files) -> ArchiveManifest | None:
        if ARCHIVE_MANIFEST not in files.sizes:
            self.checks.append(missing("manifest", "it is not there; the archive was not finished"))
            return None
        try:
            manifest = ArchiveManifest.from_bytes(files.read(ARCHIVE_MANIFEST))
        except BundleError as error:
            self.checks.append(failed("manifest", str(error)))
            return None
        words = f"the entries {manifest.start} to {manifest.end - 1} of {manifest.origin}; digest {manifest.digest}"
        self.checks.append(passed("manifest", words))
        return manifest

    def _checkpoint(self, files: Files, manifest: ArchiveManifest, trust: Trust) -> Checkpoint | None:
        verifier = trust.log_verifier(manifest.origin)
        if verifier is None:
            self.checks.append(failed("checkpoint", f"the trust file has no key for the log {manifest.origin}"))
            return None
        if ARCHIVE_CHECKPOINT not in files.sizes:
            return None
        note = files.read(ARCHIVE_CHECKPOINT)
        try:
            checkpoint = checkpoint_open(note, verifier)
        except LedgerError as error:
            self.checks.append(failed("checkpoint", str(error)))
            return None
        if checkpoint.size < manifest.end:
            words = f"it covers {checkpoint.size} entries, but the archive ends at {manifest.end}"
            self.checks.append(failed("checkpoint", words))
            return None
        self.checks.append(passed("checkpoint", f"signed by {manifest.origin} at {checkpoint.size} entries"))
        if self._policy is not None:
            self.checks.append(witnesses_check("witnesses", note, verifier, self._policy))
        return checkpoint

    def _entries(self, files: Files, manifest: ArchiveManifest, checkpoint: Checkpoint | None, trust: Trust) -> None:
        count = manifest.end - manifest.start
        kept_size = None if self._kept is None else self._kept.checkpoint.size
        stretch = _Stretch(manifest, kept_size)
        altered = [
            file.path
            for file in manifest.files
            if file.path in {ARCHIVE_CHECKPOINT, TRUST_FILE} and Digest.of(files.read(file.path)) != file.digest
        ]
        workers = 1 if count <= SMALL_LOG else processors()
        read = partial(_tiles_read, interest=Interest(log=manifest.log))
        for reading, changed in ordered_map(read, batched(_pairs(files, manifest), _TILES_AT_ONCE), workers=workers):
            stretch.take(reading)
            altered += changed
            self._progress(manifest.log, stretch.size - manifest.start, count)
            if reading.bad is not None:
                break
        self.checks += [failed("files", f"{name} is not the file the manifest lists") for name in sorted(altered)]
        if not altered and stretch.bad is None:
            self.checks.append(passed("files", f"all {len(manifest.files)} as listed in the manifest"))
        if stretch.bad is not None:
            span = (stretch.bad.start, stretch.bad.end)
            self.checks.append(failed("entries", stretch.bad.reason, span=span))  # 6
            return
        self.checks.append(passed("entries", f"all {count} read and hashed again"))
        if checkpoint is not None:
            self.checks += [stretch.tree_check(checkpoint), stretch.chain_check()]  # 7, 8
            self._kept_check(manifest, checkpoint, stretch, trust)  # 9
        if all(check.outcome is Outcome.PASS for check in self.checks):
            self.archived = Archived(manifest, tuple(stretch.roots))

    def _kept_check(self, manifest: ArchiveManifest, checkpoint: Checkpoint, stretch: "_Stretch", trust: Trust) -> None:
        kept = self._kept
        if kept is None:
            return
        size = kept.checkpoint.size
        if kept.origin != manifest.origin:
            self.checks.append(missing("kept checkpoint", f"this is not the log {kept.origin}"))
        elif size == checkpoint.size:
            self.checks.append(kept.compare(checkpoint.size, checkpoint.root, trust))
        elif manifest.start < size <= manifest.end:
            self.checks.append(kept.compare(checkpoint.size, stretch.kept_root, trust))
        else:
            words = (
                f"it is of {size} entries, which this archive of the entries {manifest.start} to {manifest.end - 1} "
                "cannot be compared with; give an export of the log"
            )
            self.checks.append(missing("kept checkpoint", words))


class _Stretch:
    """Puts the tiles of the archive together, in order, upon the subtrees before them."""

    def __init__(self, manifest: ArchiveManifest, kept_size: int | None) -> None:
        self._manifest = manifest
        self._kept_size = kept_size
        self._frontier = Frontier(manifest.start, manifest.before)
        self._chain = Chain(manifest.origin, manifest.start, manifest.chain_start)
        self._heads = ChainHeads(manifest.origin)
        self.kept_root: bytes | None = None
        self.roots: list[bytes] = []
        self.bad: BadRange | None = None

    @property
    def size(self) -> int:
        """The entry after the last that was read."""
        return self._frontier.size

    def take(self, reading: StretchReading) -> None:
        leaves = [reading.leaves[at : at + HASH_BYTES] for at in range(0, len(reading.leaves), HASH_BYTES)]
        wanted = self._kept_size
        if wanted is not None and self.size < wanted <= self.size + len(leaves):
            before = Frontier(self.size, self._frontier.hashes)
            before.extend(leaves[: wanted - self.size])
            self.kept_root = before.root()
        self._heads.follow(self._chain.size, self._chain.extend(leaves))
        for index, head in reading.chain_heads:
            self._heads.compare(index, head)
        self._frontier.extend(reading.roots, level=STORED_LEVELS)
        self.roots += reading.roots
        self.bad = self.bad or reading.bad

    def tree_check(self, checkpoint: Checkpoint) -> Check:
        manifest, parts = self._manifest, subtrees_between(self._manifest.end, checkpoint.size)
        span = (manifest.start, manifest.end)
        if len(parts) != len(manifest.after):
            return failed("tree", f"the manifest does not have the {len(parts)} subtrees after the stretch", span=span)
        for (level, _), root in zip(parts, manifest.after, strict=True):
            self._frontier.extend([root], level=level)
        if self._frontier.root() != checkpoint.root:
            words = f"the entries {span[0]} to {span[1] - 1} do not lead to the root that was signed"
            return failed("tree", words, span=span)
        return passed("tree", f"the entries lead to the root signed for {checkpoint.size} entries")

    def chain_check(self) -> Check:
        if self._manifest.start == 0 and self._manifest.chain_start != CHAIN_START:
            return failed("chain", "the chain of a log begins with zeros")
        if self._chain.head != self._manifest.chain_end:
            return failed("chain", "the entries do not lead from the stated start of the chain to its stated end")
        return heads_check(
            "chain", self._heads, "the entries lead from the stated start of the chain to its stated end"
        )


def _names_checks(files: Files, manifest: ArchiveManifest) -> list[Check]:
    """What is wrong with the names and sizes of the files, or with the list of them; nothing if all are as expected."""
    listed = {file.path: file for file in manifest.files}
    expected = {ARCHIVE_CHECKPOINT, TRUST_FILE, *(tile.path for pair in manifest.tiles for tile in pair)}
    checks = []
    if unlisted := sorted(expected - listed.keys()):
        checks.append(failed("files", f"the manifest does not list {unlisted[0]}, which the stretch has"))
    if foreign := sorted(listed.keys() - expected):
        checks.append(failed("files", f"the manifest lists {foreign[0]}, which has no place in such an archive"))
    if extra := sorted(files.sizes.keys() - expected - {ARCHIVE_MANIFEST}):
        checks.append(failed("files", f"{extra[0]} is not in the manifest"))
    if absent := sorted(expected - files.sizes.keys()):
        checks.append(missing("files", f"{absent[0]} is not there", span=_span(absent[0])))
    return checks


def _span(name: str) -> tuple[int, int] | None:
    if not name.startswith("tile/"):
        return None
    start = Tile.from_path(name).index * TILE_WIDTH
    return start, start + TILE_WIDTH


def _pairs(files: Files, manifest: ArchiveManifest) -> Iterator[_Pair]:
    listed = {file.path: file for file in manifest.files}

    def one(tile: Tile) -> _Listed:
        return _Listed(tile.path, files.locate(tile.path), listed[tile.path].digest)

    for entries, leaves in manifest.tiles:
        yield entries, one(entries), one(leaves)


def _tiles_read(pairs: Sequence[_Pair], interest: Interest) -> _Reading:
    """Read consecutive tiles in a process of its own; name the files that are not the ones listed."""
    listed = [file for _, *files in pairs for file in files]
    altered = [file.name for file in listed if Digest.of(file.place.read()) != file.digest]
    sources = [TileSource(tile, entries.place, leaves.place) for tile, entries, leaves in pairs]
    return stretch_read(sources, interest), altered
