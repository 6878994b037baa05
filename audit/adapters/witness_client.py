"""A witness of another organisation (C2SP tlog-witness): it cosigns only what extends the last tree that it saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from audit.adapters.anchor import checkpoint_read
from audit.adapters.web import Answer, post
from audit.enums import AnchorKind
from audit.errors import AnchorContradictionError, AnchorError
from modelnotary.ledger.add_checkpoint import (
    SIZE_CONTENT_TYPE,
    AddCheckpoint,
    signatures_parse,
    signatures_write,
    size_parse,
)
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.cosignature import cosignatures_verify
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.note import NoteVerifier


@dataclass(frozen=True, slots=True)
class WitnessClient:
    """Asks one witness.

    Attributes:
        url: Where it is; ``/add-checkpoint`` is added.
        key: Its public key.
        last: Gives the size that the witness at a location cosigned last for an origin; 0 for none.
        consistency: Gives the consistency proof of a log, by origin, from a size to a larger one.
    """

    kind: ClassVar[AnchorKind] = AnchorKind.WITNESS
    url: str
    key: NoteVerifier
    last: Callable[[str, str], int]
    consistency: Callable[[str, int, int], Sequence[bytes]]

    @property
    def location(self) -> str:
        """The witness's address and key."""
        return f"witness+{self.url}#{self.key.text}"

    def publish(self, note: bytes) -> bytes:
        """Have the checkpoint cosigned; see `Anchor.publish`.

        Returns:
            The witness's signature line.
        """
        checkpoint = checkpoint_read(note)
        answer = self._ask(self.last(self.location, checkpoint.origin), checkpoint, note)
        if answer.status == HTTPStatus.CONFLICT and answer.kind == SIZE_CONTENT_TYPE:
            answer = self._ask(self._told(answer), checkpoint, note)
        if answer.status != HTTPStatus.OK:
            reason = answer.body[:200].decode(errors="replace").strip()
            raise AnchorError(f"the witness {self.key.name} refused with status {answer.status}: {reason}")
        return self._cosignature(answer, checkpoint)

    def size_seen(self, note: bytes) -> int | None:
        """Ask how large a log was when this witness cosigned it last; see `SizeAnchor.size_seen`."""
        checkpoint = checkpoint_read(note)
        body = AddCheckpoint(checkpoint.size, (), note).to_bytes()
        answer = post(f"{self.url}/add-checkpoint", body, "text/plain")
        if answer.status == HTTPStatus.OK:
            return checkpoint.size
        if answer.status == HTTPStatus.CONFLICT and answer.kind == SIZE_CONTENT_TYPE:
            return self._told(answer)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        reason = answer.body[:200].decode(errors="replace").strip()
        # With the size that it saw last, nothing is left to prove but that the root is the same.
        refused = AnchorContradictionError if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY else AnchorError
        raise refused(f"the witness {self.key.name} refused with status {answer.status}: {reason}")

    def _ask(self, old: int, checkpoint: Checkpoint, note: bytes) -> Answer:
        if old > checkpoint.size:
            raise AnchorError(
                f"the witness {self.key.name} has seen {old} entries of {checkpoint.origin}, the newest checkpoint has "
                f"{checkpoint.size}: the database was rolled back"
            )
        proof = self.consistency(checkpoint.origin, old, checkpoint.size) if old else ()
        return post(f"{self.url}/add-checkpoint", AddCheckpoint(old, tuple(proof), note).to_bytes(), "text/plain")

    def _told(self, answer: Answer) -> int:
        try:
            return size_parse(answer.body)
        except LedgerError as error:
            raise AnchorError(f"the witness {self.key.name}: {error}") from error

    def _cosignature(self, answer: Answer, checkpoint: Checkpoint) -> bytes:
        try:
            found = cosignatures_verify(checkpoint.text, signatures_parse(answer.body), [self.key])
        except LedgerError as error:
            raise AnchorError(f"the witness {self.key.name}: {error}") from error
        if not found:
            raise AnchorError(f"{self.url} answered, but not with a signature by {self.key.name}")
        return signatures_write([cosignature.signature for cosignature in found])
