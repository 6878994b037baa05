"""One log of a bundle: steps 5 and 6 of the procedure in `bundle`."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.log_keys import ROTATION_EVENT
from modelnotary.ledger.tiles import TILE_WIDTH, tiles_of_level
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.archive import Files
from modelnotary.verify.bundle_format import chain_file, log_folder
from modelnotary.verify.chain_heads import heads_check
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_replay import LogError, Progress, Replay, log_replay
from modelnotary.verify.log_stretch import Interest
from modelnotary.verify.pruning import Pruned, prefix_read
from modelnotary.verify.receipts import RECEIPTS_FILE, note_with_cosignatures, receipts_check, receipts_parse
from modelnotary.verify.result import Check, Outcome, failed, missing, passed
from modelnotary.verify.rotations import ROTATIONS_FILE, rotations_follow, rotations_judge, rotations_parse
from modelnotary.verify.trust import Trust
from modelnotary.verify.witnesses import witnesses_check


class LogExamination:
    """Reads one log of a bundle again and says what holds.

    Args:
        files: the bundle.
        stated: what the manifest says the log is.
        trust: the log's key.
        kept: a checkpoint kept earlier, if it is of this log; what it covers need not be suspected.
        policy: which witnesses must have signed the checkpoint; None if none must.
    """

    def __init__(
        self,
        files: Files,
        stated: Checkpoint,
        trust: Trust,
        kept: KeptCheckpoint | None,
        policy: WitnessPolicy | None,
    ) -> None:
        self._files = files
        self._stated = stated
        self._trust = trust
        self._kept = kept if kept is not None and kept.origin == stated.origin else None
        self._policy = policy
        self._folder = log_folder(stated.origin)
        self._name = self._folder.removeprefix("logs/")
        self.pruned: Pruned | None = None

    @property
    def trust(self) -> Trust:
        """The trust file's keys, and after `run` those that took over from them."""
        return self._trust

    def run(self, interest: Interest, progress: Progress) -> tuple[Sequence[Check], Replay | None]:
        """Make all checks; the log as read again is None when it cannot be read.

        Args:
            interest: what to look for in the entries.
            progress: told how far the reading is.
        """
        followed = self._follow()
        prefix, pruning = prefix_read(self._files, self._folder, self._stated, self._trust)
        checks = [*followed, self._checkpoint(), *self._witnesses(), *pruning]
        first = 0 if prefix is None else prefix.min_index
        absent = self._absent(first)
        if absent is not None:
            return [*checks, absent], None
        size = None if self._kept is None else self._kept.checkpoint.size
        try:
            replay = log_replay(self._files, self._stated, interest, pruned=prefix, kept_size=size, progress=progress)
        except LogError as error:
            span = (error.range.start, error.range.end)
            return [*checks, failed(f"{self._name} {error.part}", str(error), span=span)], None
        if prefix is not None:
            self.pruned = Pruned(prefix, replay.roots_gone)
        words = f"all {self._stated.size - first} from {first} on" if first else f"all {self._stated.size}"
        checks.append(passed(f"{self._name} entries", f"{words} read and hashed again"))
        checks += [self._tree(replay), self._chain(replay), *self._rotations(replay), *self._receipts()]
        return checks, replay

    def _follow(self) -> list[Check]:
        """Follow the log to its newest key; where a proof does not hold, to none."""
        path, check = f"{self._folder}/{ROTATIONS_FILE}", f"{self._name} keys"
        if self._trust.log_verifier(self._stated.origin) is None or path not in self._files.sizes:
            return []
        try:
            proofs = rotations_parse(self._files.read(path))
            self._trust, words = rotations_follow(self._trust, self._stated.origin, proofs)
        except (BundleError, TrustError) as error:
            return [failed(check, str(error))]
        return [passed(check, words)]

    def _rotations(self, replay: Replay) -> list[Check]:
        keys = self._trust.log_verifier(self._stated.origin)
        return [] if keys is None else rotations_judge(self._name, keys, replay.namings.get(ROTATION_EVENT, []))

    def _absent(self, first: int) -> Check | None:
        """Name a file that is not there. Stops at the first, however many entries the log claims to have."""
        if f"{self._folder}/chain" not in self._files.sizes:
            return missing(f"{self._name} entries", f"{self._folder}/chain is not there")
        for tile in islice(tiles_of_level(1, self._stated.size), -(-first // TILE_WIDTH**2)):
            if f"{self._folder}/{tile.path}" not in self._files.sizes:
                return missing(f"{self._name} entries", f"{self._folder}/{tile.path} is not there", span=(0, first))
        for tile in islice(tiles_of_level(None, self._stated.size), first // TILE_WIDTH, None):
            if f"{self._folder}/{tile.path}" not in self._files.sizes:
                start = tile.index * TILE_WIDTH
                span = (start, start + tile.width)
                return missing(f"{self._name} entries", f"{self._folder}/{tile.path} is not there", span=span)
        return None

    def _checkpoint(self) -> Check:
        check, path, stated = f"{self._name} checkpoint", f"{self._folder}/checkpoint", self._stated
        verifier = self._trust.log_verifier(stated.origin)
        if verifier is None:
            return failed(check, f"the trust file has no key for the log {stated.origin}")
        if path not in self._files.sizes:
            return missing(check, f"{path} is not there")
        try:
            checkpoint = checkpoint_open(self._files.read(path), verifier)
        except LedgerError as error:
            return failed(check, str(error))
        if (checkpoint.size, checkpoint.root) != (stated.size, stated.root):
            return failed(check, "the signed checkpoint is not the one the manifest states")
        return passed(check, f"signed by the log {stated.origin} at {stated.size} entries")

    def _witnesses(self) -> list[Check]:
        path, verifier = f"{self._folder}/checkpoint", self._trust.log_verifier(self._stated.origin)
        if self._policy is None or verifier is None or path not in self._files.sizes:
            return []
        note, receipts = self._files.read(path), f"{self._folder}/{RECEIPTS_FILE}"
        if receipts in self._files.sizes:
            with suppress(BundleError):  # of which the check of the receipts tells
                note = note_with_cosignatures(note, receipts_parse(self._files.read(receipts)))
        return [witnesses_check(f"{self._name} witnesses", note, verifier, self._policy)]

    def _receipts(self) -> list[Check]:
        path, log = f"{self._folder}/{RECEIPTS_FILE}", self._trust.log_verifier(self._stated.origin)
        if log is None or path not in self._files.sizes:
            return []
        return receipts_check(
            f"{self._name} anchors",
            self._files.read(path),
            log=log,
            stated=self._stated,
            policy=self._policy,
            roots=self._trust.timestamp_roots,
        )

    def _tree(self, replay: Replay) -> Check:
        size = self._stated.size
        if replay.root == self._stated.root:
            return passed(f"{self._name} tree", "the entries lead to the signed root")
        span = (self._agreed(replay), size)
        return failed(f"{self._name} tree", f"the {size} entries do not lead to the root that was signed", span=span)

    def _agreed(self, replay: Replay) -> int:
        """How many entries at the start of the log are the ones it had when the kept checkpoint was signed."""
        if self._kept is None:
            return 0
        compared = self._kept.compare(self._stated.size, replay.kept_root, self._trust)
        return self._kept.checkpoint.size if compared.outcome is Outcome.PASS else 0

    def _chain(self, replay: Replay) -> Check:
        name = f"{self._name} chain"
        if self._files.read(f"{self._folder}/chain") != chain_file(replay.chain_head):
            return failed(name, "the entries do not lead to the chain head that is stated")
        return heads_check(name, replay.chain_heads, "the entries lead to the stated chain head")
