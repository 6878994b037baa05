"""A log exported as static files (C2SP tlog-tiles): verified offline against its own key, entry by entry.

The procedure of `log_examine`, numbered as in the code:

1. List the folder. Links and special files are refused.
2. Take the trust file: the one given, else, unpinned, the one in the folder.
3. Read the checkpoint; it says which log this is and how many entries it has.
4. Make of it what steps 5 and 6 of a bundle make of each log: its key is followed to the newest, the checkpoint is
   signed by it, every entry is hashed again, and tree and chain are rebuilt and compared.
5. Compare with a checkpoint kept earlier, if there is one: the log must begin with exactly the entries it then had.
6. Find no file but these and the tiles of the log.
"""

from datetime import datetime
from pathlib import Path

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import LedgerError, TileError
from modelnotary.ledger.incarnation import log_class
from modelnotary.ledger.note import note_split
from modelnotary.ledger.tiles import Tile
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.archive import Files, FileSlice, files_open
from modelnotary.verify.bundle import NO_TRUST, BundleFindings
from modelnotary.verify.bundle_contents import reports_named
from modelnotary.verify.bundle_format import log_folder
from modelnotary.verify.bundle_log import LogExamination
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.incarnations import SuccessionExamination
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_replay import Progress, Replay, no_progress
from modelnotary.verify.log_stretch import Interest
from modelnotary.verify.pruning import PRUNED_FILE, Pruned
from modelnotary.verify.receipts import RECEIPTS_FILE
from modelnotary.verify.result import Check, TrustAnchor, VerificationReport, failed, missing, passed
from modelnotary.verify.rotations import ROTATIONS_FILE
from modelnotary.verify.trust import TRUST_FILE, Trust

CHECKPOINT_FILE = "checkpoint"
_FILES = frozenset({CHECKPOINT_FILE, "chain", RECEIPTS_FILE, ROTATIONS_FILE, PRUNED_FILE, TRUST_FILE})


def log_examine(
    path: Path,
    trust: Trust | None,
    *,
    kept: KeptCheckpoint | None,
    now: datetime,  # noqa: ARG001 - nothing in a log expires; bundles are examined by the same call
    policy: WitnessPolicy | None = None,
    progress: Progress = no_progress,
) -> BundleFindings:
    """Verify an exported log by the procedure at the top of this module.

    Args:
        path: the folder.
        trust: the keys to rely on; None to use, unpinned, those in the folder.
        kept: a checkpoint the auditor kept earlier.
        now: not used.
        policy: which witnesses must have signed the checkpoint; None if none must.
        progress: told how far the reading is.

    Returns:
        The findings. What is wrong is in the report and never raised.
    """
    examination = _Examination(kept, policy, progress)
    try:
        with files_open(path) as files:  # 1
            examination.run(files, trust, path)
    except BundleError as error:
        examination.checks.append(failed("files", str(error)))
    report = VerificationReport("log", str(path), tuple(examination.checks), examination.anchor)
    reports = reports_named(examination.replay or Replay())
    return BundleFindings(report, examination.trust, reports, pruned=examination.pruned)


class _Examination:
    def __init__(self, kept: KeptCheckpoint | None, policy: WitnessPolicy | None, progress: Progress) -> None:
        self.checks: list[Check] = []
        self.trust: Trust | None = None
        self.anchor: TrustAnchor | None = None
        self.replay: Replay | None = None
        self.pruned: tuple[Pruned, ...] = ()
        self._kept = kept
        self._policy = policy
        self._progress = progress

    def run(self, files: Files, trust: Trust | None, path: Path) -> None:
        self.trust = trust or self._trust_inside(files, path)  # 2
        stated = self._stated(files)  # 3
        if self.trust is None or stated is None:
            return
        named = _AsInBundle(files, stated)
        log = LogExamination(named, stated, self.trust, self._kept, self._policy)  # 4
        checks, self.replay = log.run(Interest(log=log_class(stated.origin)), self._progress)
        self.checks += checks
        self.trust = log.trust
        succession = SuccessionExamination(named, [stated], self.trust, self._kept)
        self.checks += succession.checks({stated.origin: self.replay}, alone=True)
        if log.pruned is not None:
            self.pruned = (log.pruned,)
        self._kept_check(stated, self.trust)  # 5
        self.checks.append(_files_check(files, stated))  # 6

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

    def _stated(self, files: Files) -> Checkpoint | None:
        if CHECKPOINT_FILE not in files.sizes:
            self.checks.append(missing("checkpoint", "it is not there; the export was not finished"))
            return None
        try:
            return Checkpoint.from_text(note_split(files.read(CHECKPOINT_FILE))[0])
        except LedgerError as error:
            self.checks.append(failed("checkpoint", str(error)))
            return None

    def _kept_check(self, stated: Checkpoint, trust: Trust) -> None:
        if self._kept is None:
            return
        if self._kept.origin != stated.origin:
            self.checks.append(missing("kept checkpoint", f"this is not the log {self._kept.origin}"))
        elif self.replay is None:
            self.checks.append(missing("kept checkpoint", "the log cannot be read, so it cannot be compared"))
        else:
            kept_root, first = self.replay.kept_root, self.replay.min_index
            self.checks.append(self._kept.compare(stated.size, kept_root, trust, min_index=first))


class _AsInBundle:
    """The files of the folder under the names they have in a bundle."""

    def __init__(self, files: Files, log: Checkpoint) -> None:
        self._files = files
        self._prefix = f"{log_folder(log.origin)}/"
        self.sizes = {f"{self._prefix}{name}": size for name, size in files.sizes.items()}

    def read(self, name: str) -> bytes:
        return self._files.read(name.removeprefix(self._prefix))

    def locate(self, name: str) -> FileSlice:
        return self._files.locate(name.removeprefix(self._prefix))


def _files_check(files: Files, log: Checkpoint) -> Check:
    extra = next((name for name in sorted(files.sizes) if name not in _FILES and not _is_tile(name, log.size)), None)
    if extra is not None:
        return failed("files", f"{extra} is no file of a log of {log.size} entries")
    return passed("files", f"{len(files.sizes)}, all of them the log's")


def _is_tile(name: str, size: int) -> bool:
    try:
        return Tile.from_path(name).is_of(size)
    except TileError:
        return False
