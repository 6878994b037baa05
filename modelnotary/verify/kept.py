"""A checkpoint an auditor kept: the memory that a rewritten history cannot reach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import CheckpointError, LedgerError, NoteError
from modelnotary.ledger.note import MAX_NOTE_BYTES, note_split
from modelnotary.verify.errors import InputError
from modelnotary.verify.result import Check, failed, missing, passed
from modelnotary.verify.trust import Trust

_CHECK = "kept checkpoint"


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """The signed note as it was kept, and what it says; the signature is checked by `compare`."""

    note: bytes
    checkpoint: Checkpoint

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a kept checkpoint.

        Raises:
            InputError: the file cannot be read or is no checkpoint.
        """
        try:
            with path.open("rb") as file:
                note = file.read(MAX_NOTE_BYTES + 1)
            return cls(note, Checkpoint.from_text(note_split(note)[0]))
        except OSError as error:
            raise InputError(f"cannot read the checkpoint {path}: {error.strerror}") from error
        except (NoteError, CheckpointError) as error:
            raise InputError(f"{path} is not a checkpoint: {error}") from error

    @property
    def origin(self) -> str:
        """The log it is of."""
        return self.checkpoint.origin

    def compare(self, size: int, root_then: bytes | None, trust: Trust, *, min_index: int = 0) -> Check:
        """Check that a log still begins with the entries it had when this was kept.

        Args:
            size: the size of the log now.
            root_then: the root over its first entries, as many as the kept checkpoint counts; None when it
                has fewer.
            trust: the log's key.
            min_index: the first entry that is left, where those before it were archived and dropped.
        """
        verifier = trust.log_verifier(self.origin)
        if verifier is None:
            return failed(_CHECK, f"the trust file has no key for the log {self.origin}")
        try:
            checkpoint_open(self.note, verifier)
        except LedgerError as error:
            return failed(_CHECK, f"the checkpoint you kept does not verify with the log's key: {error}")
        counted = self.checkpoint.size
        if root_then is None and counted < min_index:
            words = (
                f"the last of the {counted} entries that the log then had was archived; give the archive that holds it"
            )
            return missing(_CHECK, words, span=(counted - 1, counted))
        if root_then is None:
            return missing(
                _CHECK,
                f"the log had {counted} entries when you kept your checkpoint and has {size} here: this evidence is "
                "older than your checkpoint, or the log was cut back; ask for evidence of today",
            )
        if root_then != self.checkpoint.root:
            return failed(
                _CHECK,
                f"history was rewritten: at least one of the entries 0 to {counted - 1} is not the one the "
                "log had when you kept your checkpoint",
                span=(0, counted),
            )
        return passed(_CHECK, f"the first {counted} of {size} entries are the ones it had then")
