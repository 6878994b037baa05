"""What a witness decides (C2SP tlog-witness v1.0.0): a log's newest tree is cosigned only if it extends the last one.

Pure: the caller keeps what was seen last and signs. It must hold one lock from reading the memory to having written the
new head durably, and only then sign and answer; otherwise two requests could make it sign two histories.

The log's own signer, a private witness and an auditor's follower are all this.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from modelnotary.ledger.add_checkpoint import SIZE_CONTENT_TYPE, AddCheckpoint, size_write
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import NoteError, ProofError, TreeError, WitnessMessageError
from modelnotary.ledger.merkle import EMPTY_ROOT, verify_consistency
from modelnotary.ledger.note import NoteVerifier, note_open


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The size and the 32-byte root of a tree.

    Raises:
        TreeError: there is no such tree.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.root) != HASH_BYTES or (self.size == 0 and self.root != EMPTY_ROOT):
            raise TreeError(f"no tree of {self.size} entries has this root")


class Verdict(Enum):
    """What came of a request, and the HTTP status that says so."""

    GRANTED = "granted", HTTPStatus.OK
    MALFORMED = "malformed", HTTPStatus.BAD_REQUEST
    BACKWARD = "backward", HTTPStatus.BAD_REQUEST
    NOT_SIGNED = "not-signed", HTTPStatus.FORBIDDEN
    UNKNOWN_LOG = "unknown-log", HTTPStatus.NOT_FOUND
    STALE = "stale", HTTPStatus.CONFLICT
    SPLIT_VIEW = "split-view", HTTPStatus.UNPROCESSABLE_ENTITY
    INCONSISTENT = "inconsistent", HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, word: str, status: HTTPStatus) -> None:
        self.word = word
        self.status = status

    @property
    def accuses_log(self) -> bool:
        """Whether the log itself signed something it must not: keep the request, it is evidence.

        An inconsistent proof can also be a client's mistake; two roots for one size cannot.
        """
        return self is Verdict.SPLIT_VIEW


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a witness decided.

    ``checkpoint`` is what to cosign and `head` what to remember first, both only when granted; ``last`` is the size
    seen last, for a log that was out of date.
    """

    verdict: Verdict
    reason: str
    checkpoint: Checkpoint | None = None
    last: int = 0

    @property
    def head(self) -> TreeHead | None:
        """The tree to remember, durably, before anything is signed; None when nothing was granted."""
        return None if self.checkpoint is None else TreeHead(self.checkpoint.size, self.checkpoint.root)

    @property
    def refusal(self) -> tuple[str, bytes]:
        """Content type and body of the answer to a request that was not granted."""
        if self.verdict is Verdict.STALE:
            return SIZE_CONTENT_TYPE, size_write(self.last)
        return "text/plain; charset=utf-8", f"{self.reason}\n".encode()


@dataclass(frozen=True, slots=True)
class Witness:
    """Whoever remembers the last tree of each log and grants only what extends it.

    ``keys`` are the public keys of each log it follows, by origin.
    """

    keys: Mapping[str, Sequence[NoteVerifier]]

    def decide(self, data: bytes, last: Callable[[str], TreeHead]) -> Ruling:
        """Decide on a request, whatever its bytes.

        Args:
            data: the body of the request.
            last: gives the last tree granted for an origin, the empty one at first; asked at most once, and only for
                an origin in ``keys``.

        Returns:
            The decision; it is granted, and is to be remembered and cosigned, or says why not.
        """
        try:
            request = AddCheckpoint.from_bytes(data)
        except WitnessMessageError as error:
            return Ruling(Verdict.MALFORMED, str(error))
        checkpoint = request.checkpoint
        keys = self.keys.get(checkpoint.origin)
        if not keys:
            return Ruling(Verdict.UNKNOWN_LOG, f"the log {checkpoint.origin} is not followed here")
        try:
            note_open(request.note, keys)
        except NoteError as error:
            return Ruling(Verdict.NOT_SIGNED, str(error))
        if request.old_size > checkpoint.size:
            return Ruling(Verdict.BACKWARD, "the old size is larger than the new one")
        return _extend(request, checkpoint, last(checkpoint.origin))


def _extend(request: AddCheckpoint, checkpoint: Checkpoint, last: TreeHead) -> Ruling:
    if request.old_size != last.size:
        reason = f"the last tree seen has {last.size} entries, not {request.old_size}"
        return Ruling(Verdict.STALE, reason, last=last.size)
    if checkpoint.size == last.size and checkpoint.root != last.root:
        reason = f"the log signed two different trees of {last.size} entries"
        return Ruling(Verdict.SPLIT_VIEW, reason)
    if not last.size and request.proof:
        return Ruling(Verdict.INCONSISTENT, "nothing was seen before, so the proof must be empty")
    try:
        if last.size:
            verify_consistency(last.size, checkpoint.size, request.proof, last.root, checkpoint.root)
    except ProofError as error:
        return Ruling(Verdict.INCONSISTENT, str(error))
    return Ruling(Verdict.GRANTED, f"it extends the last tree seen, of {last.size} entries", checkpoint)
