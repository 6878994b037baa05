"""Successors of logs: step 6 of the procedure in `bundle`, for logs that say they follow another one.

A log that was restored from a backup is sealed, and a successor tells in its entry 0 what became of it. That entry is
believed only as far as the predecessor itself, its signed notes and a checkpoint the auditor kept bear it out.
"""

from collections.abc import Iterator, Mapping, Sequence

from modelnotary.ledger.chain import CHAIN_START, Chain
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import IncarnationError, LedgerError, TileError
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import LOG_INCARNATION, Incarnation, log_number
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_decode, bundle_prefix, tiles_of_level
from modelnotary.ledger.tree import Frontier
from modelnotary.verify.archive import Files
from modelnotary.verify.bundle_format import log_folder
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_replay import Replay
from modelnotary.verify.result import Check, failed, missing, passed
from modelnotary.verify.trust import Trust


class SuccessionExamination:
    """Says whether the logs of a bundle follow one another as they claim to.

    Args:
        files: The bundle.
        logs: What its manifest says the logs are.
        trust: The logs' keys.
        kept: A checkpoint kept earlier.
    """

    def __init__(self, files: Files, logs: Sequence[Checkpoint], trust: Trust, kept: KeptCheckpoint | None) -> None:
        self._files, self._trust, self._kept = files, trust, kept
        self._logs = {log.origin: log for log in logs}
        self._replays: Mapping[str, Replay | None] = {}

    def checks(self, replays: Mapping[str, Replay | None], *, alone: bool = False) -> list[Check]:
        """Make the checks for every log that was read whole.

        Args:
            replays: The logs as read again, by origin; None for one that cannot be read.
            alone: One log was exported by itself; its predecessor need not be there.
        """
        self._replays = replays
        checks: list[Check] = []
        for origin, replay in replays.items():
            if replay is None or replay.min_index:
                continue  # where entry 0 was archived, its archive tells
            check = f"{_name(origin)} predecessor"
            places = [naming.index for naming in replay.namings.get(LOG_INCARNATION, [])]
            is_successor = log_number(origin) > 1
            stray = next((index for index in places if index or not is_successor), None)
            if stray is not None:
                detail = f"entry {stray} says that the log begins there; only entry 0 of a successor may"
                checks.append(failed(check, detail, span=(stray, stray + 1)))
            elif is_successor:
                checks += self._successor(check, self._logs[origin], alone=alone)
        return checks

    def _successor(self, check: str, log: Checkpoint, *, alone: bool) -> list[Check]:
        path = f"{log_folder(log.origin)}/{Tile(None, 0, min(log.size, TILE_WIDTH)).path}" if log.size else ""
        if log.size and path not in self._files.sizes:
            return [missing(check, f"{path} is not there, which says what {log.origin} follows", span=(0, 1))]
        try:
            told = self._incarnation(log, path)
            signed = self._signed(told)
        except IncarnationError as error:
            return [failed(check, str(error), span=(0, 1))]
        fault = self._kept_fault(told) or self._stated_fault(told)
        if fault:
            return [failed(check, fault, span=(0, 1))]
        if told.predecessor not in self._logs and told.covered.size and not alone:
            return [missing(check, f"the log {told.predecessor}, which {log.origin} follows, is not in the bundle")]
        start, end = told.lost
        what = f"lost the signed entries {start} to {end - 1}" if start < end else "lost no signed entry"
        if told.repeated:
            what += f", its last {told.repeated} are repeated here"
        approvers = " and ".join(item.name for item in told.approvers)
        return [
            passed(
                check,
                f"{told.predecessor}, signed at {signed.size} entries and sealed at {told.restored.size}, {what}: "
                f"{told.reason} (approved by {approvers})",
            )
        ]

    def _incarnation(self, log: Checkpoint, path: str) -> Incarnation:
        if log.size == 0:
            raise IncarnationError(f"{log.origin} has no entry 0, which must name its predecessor")
        try:
            entry = bundle_prefix(self._files.read(path), 1)[0]
            return Incarnation.from_event(Event.from_bytes(entry), origin=log.origin)
        except (TileError, IndexError) as error:
            raise IncarnationError(f"entry 0 of {log.origin} cannot be read") from error

    def _signed(self, told: Incarnation) -> Checkpoint:
        """The predecessor's newest checkpoint as the entry tells it, once its key is found to have signed it."""
        verifier = self._trust.log_verifier(told.predecessor)
        if verifier is None:
            raise IncarnationError(f"the trust file has no key for the predecessor {told.predecessor}")
        try:
            return checkpoint_open(told.note.encode(), verifier)
        except LedgerError as error:
            raise IncarnationError(f"the predecessor's note does not verify with its key: {error}") from error

    def _stated_fault(self, told: Incarnation) -> str | None:
        """In what the predecessor, as it lies in the bundle, contradicts what is told of it."""
        stated = self._logs.get(told.predecessor)
        if stated is None:
            return None if told.covered.size else self._repeated_fault(told)
        if stated.size != told.covered.size:
            return (
                f"{told.predecessor} is signed at {stated.size} entries here, but entry 0 of {told.successor} says "
                f"that what was restored bears out {told.covered.size}"
            )
        if stated.root != told.covered.root:
            return f"entry 0 of {told.successor} names another root of {told.predecessor} than the one that was signed"
        return self._repeated_fault(told)

    def _repeated_fault(self, told: Incarnation) -> str | None:
        """Whether the predecessor's entries, with those repeated in the successor, are what was restored."""
        successor = self._logs[told.successor]
        replay = self._replays.get(told.predecessor) if told.covered.size else Replay(chain_head=CHAIN_START)
        if replay is None:
            return None
        if successor.size <= told.repeated:
            return f"{told.successor} does not repeat the last {told.repeated} entries of {told.predecessor} yet"
        leaves = [leaf_hash(entry) for entry in self._entries(successor, 1, 1 + told.repeated)]
        tree = Frontier(told.covered.size, replay.frontier)
        tree.extend(leaves)
        chain = Chain(told.predecessor, told.covered.size, replay.chain_head)
        chain.extend(leaves)
        if (tree.root(), chain.head) != (told.restored.root, told.chain):
            return f"the entries that {told.successor} repeats are not the last ones of {told.predecessor}"
        return None

    def _entries(self, log: Checkpoint, start: int, end: int) -> Iterator[bytes]:
        for tile in tiles_of_level(None, log.size):
            first = tile.index * TILE_WIDTH
            if first >= end:
                break
            entries = bundle_decode(self._files.read(f"{log_folder(log.origin)}/{tile.path}"), tile.width)
            yield from entries[max(0, start - first) : end - first]

    def _kept_fault(self, told: Incarnation) -> str | None:
        """What the auditor's own checkpoint of the predecessor says that entry 0 conceals."""
        if self._kept is None or self._kept.origin != told.predecessor:
            return None
        kept, signed = self._kept.checkpoint, told.signed
        if kept.size > signed.size:
            return (
                f"you kept a checkpoint of {kept.size} entries of {told.predecessor}; entry 0 of {told.successor} says "
                f"that {signed.size} were signed at most, and conceals the others"
            )
        # Beyond what is lost, what was restored holds other entries at the same places.
        known = [signed, told.covered, *([told.restored] if told.restored.size <= told.lost[0] else [])]
        if any(kept.size == item.size and kept.root != item.root for item in known):
            return f"the {kept.size} entries of {told.predecessor} that entry 0 tells of are not those that you kept"
        return None


def _name(origin: str) -> str:
    return log_folder(origin).removeprefix("logs/")
