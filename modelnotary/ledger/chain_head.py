"""Entries that tell the hash chain: one for every 10,000 entries says the link there.

The chain is computed beside the tree and no checkpoint names it. Such an entry is in the tree as any other, so the
signature over the tree covers the chain up to there.
"""

from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import ChainHeadError
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import MAX_TREE_SIZE

CHAIN_HEAD_EVENT = "ledger.chain_head"
CHAIN_HEAD_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The statement that the chain of a log had this link, 32 bytes, after ``size`` entries.

    Raises:
        ChainHeadError: The size is no multiple of 10,000, or the link no hash.
    """

    origin: str
    size: int
    link: bytes

    def __post_init__(self) -> None:
        if not 0 < self.size <= MAX_TREE_SIZE or self.size % CHAIN_HEAD_EVERY:
            raise ChainHeadError(f"the chain is told at multiples of {CHAIN_HEAD_EVERY} entries, not at {self.size}")
        if len(self.link) != HASH_BYTES:
            raise ChainHeadError(f"a link of the chain has {HASH_BYTES} bytes, not {len(self.link)}")

    def to_data(self) -> dict[str, Json]:
        """Write it as an event's data; the origin is the event's subject."""
        return {"size": self.size, "chain": self.link.hex()}

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Read it, the inverse of `to_data`.

        Raises:
            ChainHeadError: The event is another, or malformed.
        """
        match dict(event.data):
            case {"size": int(size), "chain": str(digits), **rest} if (
                event.type == CHAIN_HEAD_EVENT and not rest and not isinstance(size, bool)
            ):
                head = cls(event.subject.id, size, _link(digits))
            case _:
                raise ChainHeadError(f"an entry {CHAIN_HEAD_EVENT} has exactly the members size and chain")
        if head.link.hex() != digits:
            raise ChainHeadError("a link of the chain is written in lowercase hexadecimal digits")
        return head


def _link(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise ChainHeadError("a link of the chain is written in hexadecimal digits") from error
