"""What a log and a witness say to each other: ``POST …/add-checkpoint`` (C2SP tlog-witness v1.0.0).

The log sends the size the witness saw last, the proof that the new tree begins with that one, and the new checkpoint.
The witness answers with its signature lines, or with the size it really saw last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import CheckpointError, NoteError, TextError, WitnessMessageError
from modelnotary.ledger.merkle import MAX_TREE_SIZE
from modelnotary.ledger.note import MAX_NOTE_BYTES, NoteSignature, note_split
from modelnotary.ledger.text import base64_bytes, base64_text, decimal

MAX_PROOF = 63
MAX_REQUEST_BYTES = MAX_NOTE_BYTES + 4 * 1024
MAX_SIGNATURES = 16
SIZE_CONTENT_TYPE = "text/x.tlog.size"
_OLD = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A log's request to have a checkpoint cosigned.

    ``old_size`` is the size the witness is thought to have seen last, 0 for none; ``proof`` the consistency proof from
    there, hashes of 32 bytes; ``note`` the signed checkpoint, byte for byte. Reading one does not verify it.

    Raises:
        WitnessMessageError: the parts cannot stand in a request.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.old_size <= MAX_TREE_SIZE:
            raise WitnessMessageError(f"a witness cannot have seen a tree of {self.old_size}")
        if len(self.proof) > MAX_PROOF or any(len(value) != HASH_BYTES for value in self.proof):
            raise WitnessMessageError(f"a request carries at most {MAX_PROOF} hashes of 32 bytes")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the body of a request.

        Raises:
            WitnessMessageError: it is malformed.
        """
        if len(data) > MAX_REQUEST_BYTES:
            raise WitnessMessageError(f"the request is {len(data)} bytes long, more than {MAX_REQUEST_BYTES}")
        head, separator, note = data.partition(b"\n\n")
        if not separator:
            raise WitnessMessageError("a request has an empty line before its checkpoint")
        try:
            first, *proof = head.decode("ascii").split("\n")
            if not first.startswith(_OLD):
                raise WitnessMessageError("a request begins with the old size")
            request = cls(decimal(first[len(_OLD) :]), tuple(map(base64_bytes, proof)), note)
            request.checkpoint  # noqa: B018 -- a request without a checkpoint is none
        except (TextError, UnicodeDecodeError, NoteError, CheckpointError) as error:
            raise WitnessMessageError(f"the request is malformed: {error}") from error
        return request

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says, not yet believed.

        Raises:
            NoteError: the note is malformed.
            CheckpointError: it is no checkpoint.
        """
        return Checkpoint.from_text(note_split(self.note)[0])

    def to_bytes(self) -> bytes:
        """Write the body of the request, the inverse of `from_bytes`."""
        lines = (f"{_OLD}{self.old_size}", *map(base64_text, self.proof))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note


def signatures_write(signatures: Sequence[NoteSignature]) -> bytes:
    """Write a witness's answer to a request it granted: one line for each of its keys."""
    return "".join(f"{signature.line}\n" for signature in signatures).encode()


def signatures_parse(data: bytes) -> list[NoteSignature]:
    """Read a witness's answer, the inverse of `signatures_write`. The signatures are not verified.

    Raises:
        WitnessMessageError: it is malformed.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise WitnessMessageError(f"the answer is {len(data)} bytes long, more than {MAX_NOTE_BYTES}")
    try:
        *lines, rest = data.decode("utf-8").split("\n")
        if rest or not 0 < len(lines) <= MAX_SIGNATURES:
            raise WitnessMessageError(f"an answer is 1 to {MAX_SIGNATURES} lines, each ended by a newline")
        return [NoteSignature.from_line(line) for line in lines]
    except (UnicodeDecodeError, NoteError) as error:
        raise WitnessMessageError(f"the witness's answer is malformed: {error}") from error


def size_write(size: int) -> bytes:
    """Write the body of a 409 answer, of content type `SIZE_CONTENT_TYPE`: the size the witness saw last."""
    return f"{size}\n".encode()


def size_parse(data: bytes) -> int:
    """Read the body of a 409 answer, the inverse of `size_write`.

    Raises:
        WitnessMessageError: it is malformed.
    """
    try:
        text = data[:32].decode("ascii")
        if len(data) > len(text) or not text.endswith("\n"):
            raise WitnessMessageError("a witness states the size it saw last on one line")
        return decimal(text[:-1])
    except (UnicodeDecodeError, TextError) as error:
        raise WitnessMessageError(f"the size the witness states is malformed: {error}") from error
