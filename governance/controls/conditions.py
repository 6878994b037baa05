"""Conditions over declared facts, with three answers: yes, no, and not known (Kleene's strong logic)."""

from dataclasses import dataclass

from governance.controls.facts import SYSTEM_FACTS, FactKind, Facts, FactValue
from governance.controls.places import reaches
from modelnotary.ledger.canonical import Json

type Required = bool | tuple[str, ...]
"""A truth that must hold as it stands, or values of which one is enough."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a condition holds (None: not known), and what that rests on, in words."""

    holds: bool | None
    because: tuple[str, ...] = ()


YES = Answer(holds=True)


@dataclass(frozen=True, slots=True)
class Condition:
    """Alternatives, of which one is enough; all facts of an alternative must hold. None at all always holds."""

    alternatives: tuple[tuple[tuple[str, Required], ...], ...] = ()

    def ask(self, facts: Facts) -> Answer:
        """Answer for a system."""
        if not self.alternatives:
            return YES
        answers = [all_of([_fact_ask(name, required, facts) for name, required in item]) for item in self.alternatives]
        if any(answer.holds for answer in answers):
            return YES
        unknown = [answer for answer in answers if answer.holds is None]
        return _joined(None if unknown else False, unknown or answers)

    def to_json(self) -> list[Json]:
        """The condition as in the catalogue's files."""
        return [
            {name: list(required) if isinstance(required, tuple) else required for name, required in item}
            for item in self.alternatives
        ]


ALWAYS = Condition()


def all_of(answers: list[Answer]) -> Answer:
    """Join answers that must all be yes: one no is a no, whatever else is not known."""
    refused = [answer for answer in answers if answer.holds is False]
    unknown = [answer for answer in answers if answer.holds is None]
    if refused:
        return _joined(False, refused)  # noqa: FBT003 - the answer itself
    return _joined(None, unknown) if unknown else YES


def _joined(holds: bool | None, answers: list[Answer]) -> Answer:  # noqa: FBT001
    return Answer(holds, tuple(dict.fromkeys(words for answer in answers for words in answer.because)))


def _fact_ask(name: str, required: Required, facts: Facts) -> Answer:
    fact, value = SYSTEM_FACTS[name], facts.get(name)
    if value is None:
        return Answer(None, (f"{name} is not declared ({fact.label})",))
    if fact.kind is FactKind.PLACES and isinstance(value, tuple) and isinstance(required, tuple):
        found = [reaches(area, value) for area in required]
        holds = True if True in found else None if None in found else False
        if holds is None:
            words = f"{name} names {_shown(value)} and does not tell whether {_shown(required)} is part of it"
            return Answer(None, (words,))
    elif isinstance(value, tuple) and isinstance(required, tuple):
        holds = not set(required).isdisjoint(value)
    else:
        holds = value in required if isinstance(required, tuple) else value == required
    return YES if holds else Answer(holds=False, because=(_refusal(fact.label, value, required),))


def _refusal(label: str, value: FactValue, required: Required) -> str:
    return f"{label}: {_shown(value)}; the control is for {_shown(required)}"


def _shown(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (" or ".join(value) or "none") if isinstance(value, tuple) else str(value)
