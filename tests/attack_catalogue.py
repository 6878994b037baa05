"""The shape of the attack catalogue: what is attacked, by whom, how, and what has to notice it.

A *surface* is a thing that can be attacked: an exported bundle, a database. It makes clean victims and says what its
checks find on one. An *attack* changes a victim and says which check must fail and at which entry. A surface's attacks
are a table; new ones are new rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Finding:
    """A check that failed, or lacks something, and the smallest range of entries it points at, if any.

    ``detail`` is what the check says, and no part of what is expected.
    """

    check: str
    span: tuple[int, int] | None = None
    detail: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.span is None:
            return self.check
        start, end = self.span
        return f"{self.check}, entry {start}" if end - start == 1 else f"{self.check}, entries {start} to {end - 1}"


@dataclass(frozen=True)
class Attack[Victim]:
    """One row of the catalogue.

    ``attacker`` says what he has, ``act`` changes the victim and gives the finding that must be among those made.
    """

    name: str
    attacker: str
    act: Callable[[Victim], Finding]


class Surface[Victim](Protocol):
    """What is attacked."""

    @property
    def name(self) -> str: ...

    @property
    def attacks(self) -> Sequence[Attack[Victim]]: ...

    def victim(self) -> AbstractContextManager[Victim]:
        """A clean one, which the attack may destroy."""

    def findings(self, victim: Victim) -> list[Finding]:
        """All that is wrong with it."""


@dataclass(frozen=True)
class Attempt:
    """What came of an attack."""

    surface: str
    attack: str
    attacker: str
    expected: Finding
    findings: Sequence[Finding]

    @property
    def is_detected(self) -> bool:
        return self.expected in self.findings

    @property
    def noticed(self) -> Finding:
        """What noticed it, as found; what should have, if nothing did."""
        return next((finding for finding in self.findings if finding == self.expected), self.expected)


def attempts[Victim](surface: Surface[Victim]) -> Iterator[Attempt]:
    """Carry out all attacks on a surface, each on a clean victim."""
    for attack in surface.attacks:
        yield attempt(surface, attack)


def attempt[Victim](surface: Surface[Victim], attack: Attack[Victim]) -> Attempt:
    with surface.victim() as victim:
        expected = attack.act(victim)
        return Attempt(surface.name, attack.name, attack.attacker, expected, surface.findings(victim))
