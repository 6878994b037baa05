"""Checkpoints: what a log commits to, as a signed note (C2SP tlog-checkpoint v1.0.0)."""

import re
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import CheckpointError, TextError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import EMPTY_ROOT, MAX_TREE_SIZE
from modelnotary.ledger.note import NoteSigner, NoteVerifier, note_open, note_sign, note_split
from modelnotary.ledger.text import base64_bytes, base64_text, decimal

_FIXED_LINES = 3
# As in any note: no control characters, no byte order mark.
_ORIGIN = re.compile(r"(?!\ufeff)[^\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The statement "this log has ``size`` entries and this 32-byte ``root``".

    ``extensions`` are further lines other logs may write. Ours writes none: they are not auditable.

    Raises:
        CheckpointError: the parts cannot stand in a checkpoint.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin):
            raise CheckpointError("a checkpoint names its log's origin on one line, without control characters")
        if not 0 <= self.size <= MAX_TREE_SIZE:
            raise CheckpointError(f"a log cannot have {self.size} entries")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"a root hash has 32 bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("the checkpoint of an empty log does not carry the root of the empty tree")
        if any(not line or "\n" in line for line in self.extensions):
            raise CheckpointError("an extension of a checkpoint is one line that is not empty")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text of a checkpoint, without signatures.

        Raises:
            CheckpointError: it is malformed.
        """
        lines = text.split("\n")
        if len(lines) <= _FIXED_LINES or lines.pop() != "":
            raise CheckpointError("a checkpoint is three lines or more, each ended by a newline")
        origin, size, root, *extensions = lines
        try:
            return cls(origin, decimal(size), base64_bytes(root), tuple(extensions))
        except TextError as error:
            raise CheckpointError(f"the checkpoint of {origin[:80]!r} is malformed: {error}") from error

    @property
    def text(self) -> str:
        """The text that is signed, the inverse of `from_text`."""
        lines = (self.origin, str(self.size), base64_text(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def checkpoint_sign(checkpoint: Checkpoint, *signers: NoteSigner) -> bytes:
    """Sign a checkpoint with its log's key, or keys while one hands over to another, and write the note.

    Raises:
        CheckpointError: a key is not named after the log's origin.
        NoteError: the origin cannot stand in a note.
    """
    for signer in signers:
        _require_origin(checkpoint, signer.name)
    return note_sign(checkpoint.text, signers)


def checkpoint_open(data: bytes, verifier: NoteVerifier | LogKeys) -> Checkpoint:
    """Read a checkpoint note and check that the log's own key signed it.

    Args:
        data: the note.
        verifier: the log's key; or its keys, of which those in force at the checkpoint's size count.

    Raises:
        CheckpointError: the note is no checkpoint, or speaks for another log than the key does.
        NoteError: the bytes are not a note.
        NoteSignatureError: the log's key did not sign it.
    """
    if isinstance(verifier, NoteVerifier):
        checkpoint = Checkpoint.from_text(note_open(data, [verifier]).text)
        _require_origin(checkpoint, verifier.name)
        return checkpoint
    checkpoint = Checkpoint.from_text(note_split(data)[0])
    _require_origin(checkpoint, verifier.name)
    verifier.verify(data, checkpoint.size)
    return checkpoint


def _require_origin(checkpoint: Checkpoint, name: str) -> None:
    if checkpoint.origin != name:
        raise CheckpointError(f"the checkpoint is of {checkpoint.origin}, but the key speaks for {name}")
