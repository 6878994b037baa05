"""What a rule may speak of: each fact by its dotted name, with its type.

A name that is not here cannot be compiled, so a misspelt metric is refused when the policy is published and not when a
release waits for it. Values come from the evidence payload field of the same name; the schema of the type declares it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from governance.evidence.registry import About, TypeVersion, installed_types


class FactType(StrEnum):
    """Type of a fact."""

    NUMBER = "number"
    INTEGER = "integer"
    TEXT = "text"
    TRUTH = "truth"


_WORD = 2**63
"""Beyond this an integer is none for the engine, and another number for other engines."""

type FactValue = float | int | str | bool

MEASURED = "measured"
"""A fact of every piece of evidence: whether the product computed it itself, or its producer reported it."""

SIGNED = "signed"
"""A fact of every piece of evidence: whether it came in an envelope that a registered key of its producer signed."""

_TYPES = {
    "number": FactType.NUMBER,
    "integer": FactType.INTEGER,
    "string": FactType.TEXT,
    "boolean": FactType.TRUTH,
}


def schema_facts(fields: Mapping[str, Any]) -> dict[str, FactType]:
    """Give the facts that the top-level fields of a payload's schema declare: each that holds one plain value.

    Args:
        fields: Name -> JSON Schema of the field. A field that may also be null is a fact, missing where it is null.
    """
    facts = {}
    for name, schema in fields.items():
        stated = schema.get("type")
        kinds = [kind for kind in ([stated] if isinstance(stated, str) else stated or ()) if kind != "null"]
        if len(kinds) == 1 and kinds[0] in _TYPES:
            facts[name] = _TYPES[kinds[0]]
    return facts | {MEASURED: FactType.TRUTH, SIGNED: FactType.TRUTH}


EVIDENCE_FACTS: dict[str, dict[str, FactType]] = {
    name: schema_facts(kind.fields) for name, kind in installed_types().items()
}
"""Evidence type -> field -> type. In a rule the fact is written `type.field`."""

MODEL_FACTS: dict[str, FactType] = {
    "model.format": FactType.TEXT,
    "model.has_training_data": FactType.TRUTH,
    "model.open_findings": FactType.INTEGER,
    "model.open_findings_high": FactType.INTEGER,
    "system.contains_phi": FactType.TRUTH,
    "system.tier": FactType.TEXT,
    "system.tier_assessed": FactType.TRUTH,
    "system.tier_stale": FactType.TRUTH,
}

FINDING_FACTS = frozenset({"model.open_findings", "model.open_findings_high"})
TIER_FACTS = frozenset({"system.tier", "system.tier_assessed", "system.tier_stale"})
MOVING_FACTS = FINDING_FACTS | TIER_FACTS
"""Facts that move without anything of the model changing: a decision rests on them only where its policy reads them."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What policies can speak of: the types that the product comes with, and those of an installation.

    Attributes:
        evidence: Evidence type -> field -> type of the fact.
        about: Evidence type -> what it is about.
        facts: Every dotted name with its type.
    """

    evidence: Mapping[str, Mapping[str, FactType]]
    about: Mapping[str, About]
    facts: Mapping[str, FactType]


@cache
def _vocabulary(own: tuple[TypeVersion, ...]) -> Vocabulary:
    evidence = EVIDENCE_FACTS | {kind.name: schema_facts(kind.fields) for kind in own}
    dotted = {f"{kind}.{field}": type_ for kind, fields in evidence.items() for field, type_ in fields.items()}
    about = {kind.name: kind.about for kind in (*installed_types().values(), *own)}
    return Vocabulary(evidence, about, dotted | MODEL_FACTS)


def vocabulary_of(own: Iterable[TypeVersion] = ()) -> Vocabulary:
    """Give the vocabulary with further types; for the same types the same one, so that what is compiled is kept."""
    return _vocabulary(tuple(sorted(own, key=lambda kind: kind.name)))


INSTALLED = vocabulary_of()
"""What policies can speak of where no further types were published."""


def fact_types() -> Mapping[str, FactType]:
    """Give every dotted name that the product comes with, with its type."""
    return INSTALLED.facts


def fact_matches(value: object, expected: FactType) -> bool:
    """Say whether a value is of the type that a rule was compiled for; NaN and infinities are not numbers here."""
    if expected is FactType.TRUTH:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if expected is FactType.TEXT:
        return isinstance(value, str)
    if expected is FactType.INTEGER:
        return isinstance(value, int) and -_WORD <= value < _WORD
    return isinstance(value, (int, float)) and value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN
