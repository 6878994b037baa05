"""An inclusion proof as one text file (C2SP tlog-proof): index, path and checkpoint together.

The file may carry the entry itself as its ``extra`` data. Model Notary always writes it there, so that one
file is all an auditor needs.
"""

from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import ProofError, TextError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import leaf_hash, verify_inclusion
from modelnotary.ledger.note import MAX_NOTE_BYTES, NoteVerifier
from modelnotary.ledger.text import base64_bytes, base64_text, decimal

MAX_PATH = 63
MAX_PROOF_BYTES = 4 * MAX_NOTE_BYTES
_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The proof that an entry stands at ``index`` in the tree of a signed checkpoint.

    ``path`` holds 32-byte hashes, lowest sibling first; ``checkpoint`` the note, byte for byte; ``extra``
    the entry when the file carries it.

    Raises:
        ProofError: the parts cannot stand in a proof file.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if self.index < 0 or len(self.path) > MAX_PATH or any(len(h) != HASH_BYTES for h in self.path):
            raise ProofError(f"a proof has an index from 0 and at most {MAX_PATH} hashes of 32 bytes")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a proof file.

        Raises:
            ProofError: it is malformed.
        """
        if len(data) > MAX_PROOF_BYTES:
            raise ProofError(f"the proof is {len(data)} bytes long, more than the {MAX_PROOF_BYTES} allowed")
        head, separator, checkpoint = data.partition(b"\n\n")
        if not separator or not checkpoint:
            raise ProofError("a proof file holds a checkpoint after its first empty line")
        try:
            header, *lines = head.decode("utf-8").split("\n")
            if header != _HEADER:
                raise ProofError(f"a proof file begins with the line {_HEADER}")
            extra = base64_bytes(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
            if not lines or not lines[0].startswith("index "):
                raise ProofError("a proof file states the index of its entry")
            return cls(decimal(lines[0][6:]), tuple(map(base64_bytes, lines[1:])), checkpoint, extra)
        except (TextError, UnicodeDecodeError) as error:
            raise ProofError(f"the proof file is malformed: {error}") from error

    def to_bytes(self) -> bytes:
        """Write the proof file, the inverse of `from_bytes`."""
        extra = [] if self.extra is None else [f"extra {base64_text(self.extra)}"]
        lines = [_HEADER, *extra, f"index {self.index}", *map(base64_text, self.path)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint

    def verify(self, entry: bytes, verifier: NoteVerifier | LogKeys) -> Checkpoint:
        """Check that the log signed a tree that holds this entry at this index.

        Args:
            entry: the bytes of the entry, not its hash.
            verifier: the log's public key, or keys.

        Returns:
            The checkpoint the entry is proved against.

        Raises:
            ProofError: the entry is not in that tree at that index.
            LedgerError: the checkpoint is malformed, of another log, or not signed by its key.
        """
        checkpoint = checkpoint_open(self.checkpoint, verifier)
        verify_inclusion(self.index, checkpoint.size, leaf_hash(entry), self.path, checkpoint.root)
        return checkpoint
