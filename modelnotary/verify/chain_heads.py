"""The links that entries `ledger.chain_head` tell, held against the chain as it was rebuilt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, CHAIN_HEAD_EVERY, ChainHead
from modelnotary.verify.result import Check, failed, missing, passed


def chain_marks(start: int, links: Sequence[bytes]) -> dict[int, bytes]:
    """Give the links at the sizes at which entries tell the chain, among those of the entries from ``start`` on."""
    first = -(-(start + 1) // CHAIN_HEAD_EVERY) * CHAIN_HEAD_EVERY
    return {size: links[size - start - 1] for size in range(first, start + len(links) + 1, CHAIN_HEAD_EVERY)}


@dataclass(slots=True)
class ChainHeads:
    """The chain of one log at every 10,000 entries, and which entries tell it.

    Attributes:
        origin: The log. What entries tell of another, as repeated ones do, is not compared.
        fault: What is wrong with the first entry that tells another link, and its index.
    """

    origin: str = ""
    fault: tuple[str, int] | None = None
    _links: dict[int, bytes] = field(default_factory=dict)
    _told: set[int] = field(default_factory=set)
    _first: int | None = None

    def follow(self, start: int, links: Sequence[bytes]) -> None:
        """Take further links of the chain, of the entries from ``start`` on."""
        self.take(start, chain_marks(start, links))

    def take(self, start: int, marks: Mapping[int, bytes]) -> None:
        """Take what `chain_marks` gave of the entries from ``start`` on."""
        if self._first is None:
            self._first = start
        self._links |= marks

    def compare(self, index: int, head: ChainHead) -> None:
        """Compare what the entry at an index tells; the links before it were taken."""
        if head.origin != self.origin:
            return
        self._told.add(head.size)
        if head.size > index:
            self.refuse(index, f"entry {index} tells the chain at {head.size} entries, which it cannot know")
        elif self._links.get(head.size, head.link) != head.link:
            words = (
                f"entry {index} tells another chain at {head.size} entries than the entries 0 to {head.size - 1} give"
            )
            self.refuse(index, words)

    @property
    def gap(self) -> int | None:
        """The first size at which no entry tells the chain, though a later one does; those of dropped entries apart."""
        first = (self._first or 0) // CHAIN_HEAD_EVERY * CHAIN_HEAD_EVERY + CHAIN_HEAD_EVERY
        sizes = range(first, max(self._told, default=0), CHAIN_HEAD_EVERY)
        return next((size for size in sizes if size not in self._told), None)

    @property
    def words(self) -> str:
        """Say up to where entries tell the chain."""
        return f"entries tell it up to {max(self._told)}" if self._told else "no entry tells it yet"

    def refuse(self, index: int, words: str) -> None:
        """Keep what is wrong with an entry, if it is the first."""
        self.fault = self.fault or (words, index)


def heads_check(name: str, heads: ChainHeads, good: str) -> Check:
    """Judge what entries tell of a chain whose end is right.

    Args:
        name: what to call the check.
        heads: all of them were compared.
        good: what to say of the end.

    Returns:
        Failed if an entry tells another link; missing if none tells it where one had to.
    """
    if heads.fault is not None:
        words, index = heads.fault
        return failed(name, words, span=(index, index + 1))
    if (size := heads.gap) is not None:
        words = f"no entry {CHAIN_HEAD_EVENT} tells the chain at {size} entries, though a later one does"
        return missing(name, words, span=(size - CHAIN_HEAD_EVERY, size))
    return passed(name, f"{good}; {heads.words}")
