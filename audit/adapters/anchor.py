"""What every anchor is: a place outside the database that keeps checkpoints, so that rewriting the database is seen."""

import re
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from audit.enums import AnchorKind
from audit.errors import AnchorError
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import CheckpointError, NoteError
from modelnotary.ledger.note import note_split

_PART = re.compile(r"(?!\.)[A-Za-z0-9._-]+", re.ASCII)


class Anchor(Protocol):
    """A place that keeps checkpoints."""

    @property
    def kind(self) -> AnchorKind:
        """What it is."""

    @property
    def location(self) -> str:
        """Where it is, as configured."""

    def publish(self, note: bytes) -> bytes:
        """Have a checkpoint kept; doing it again changes nothing.

        Args:
            note: The signed checkpoint, byte for byte.

        Returns:
            The receipt: what the place gave in return.

        Raises:
            AnchorError: It was not reached, refused, or holds something that contradicts this checkpoint.
        """


@runtime_checkable
class ReadableAnchor(Anchor, Protocol):
    """A place that also tells which checkpoints it keeps."""

    def latest(self, origin: str) -> bytes | None:
        """Give the newest signed checkpoint of a log that is kept there; None when there is none.

        Raises:
            AnchorError: It was not reached, refused, or no longer protects what it keeps.
        """


@runtime_checkable
class SizeAnchor(Anchor, Protocol):
    """A place that remembers how large a log was and tells whoever shows it a signed checkpoint."""

    def size_seen(self, note: bytes) -> int | None:
        """Give the largest size of a log that was shown there; None when the place does not know the log.

        Args:
            note: A signed checkpoint of the log, as new as there is.

        Raises:
            AnchorContradictionError: It has seen another tree of the very size that this checkpoint has.
            AnchorError: It was not reached, or refused.
        """


def checkpoint_read(note: bytes) -> Checkpoint:
    """Read what a note says, without believing it.

    Raises:
        AnchorError: It is no checkpoint.
    """
    try:
        return Checkpoint.from_text(note_split(note)[0])
    except (NoteError, CheckpointError) as error:
        raise AnchorError(f"what is there is no checkpoint: {error}") from error


def log_folder(origin: str) -> PurePosixPath:
    """Give the relative folder that stands for a log's origin.

    Raises:
        AnchorError: The origin has parts that cannot be names of folders.
    """
    parts = origin.split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        raise AnchorError(f"the origin {origin} cannot be the name of a folder")
    return PurePosixPath(*parts)
