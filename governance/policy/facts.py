"""What a rule may speak of: each fact by its dotted name, with its type.

A name that is not here cannot be compiled, so a misspelt metric is refused when the policy is published and not when a
release waits for it. Values come from the evidence payload field of the same name.
"""

from enum import StrEnum


class FactType(StrEnum):
    """Type of a fact."""

    NUMBER = "number"
    INTEGER = "integer"
    TEXT = "text"
    TRUTH = "truth"


type FactValue = float | int | str | bool

MEASURED = "measured"
"""A fact of every piece of evidence: whether the product computed it itself, or its producer reported it."""

EVIDENCE_FACTS: dict[str, dict[str, FactType]] = {
    "bias": {
        "demographic_parity_ratio": FactType.NUMBER,
        "demographic_parity_difference": FactType.NUMBER,
        "adverse_impact_ratio": FactType.NUMBER,
        "equalized_odds_difference": FactType.NUMBER,
        "selection_rate": FactType.NUMBER,
        "accuracy": FactType.NUMBER,
        "auc": FactType.NUMBER,
        "rows": FactType.INTEGER,
        "min_group_n": FactType.INTEGER,
        "verdict": FactType.TEXT,
        MEASURED: FactType.TRUTH,
    },
    "explanation": {
        "rows": FactType.INTEGER,
        "additivity_max_error": FactType.NUMBER,
        "cross_check_max_difference": FactType.NUMBER,
        MEASURED: FactType.TRUTH,
    },
    "performance": {
        "auc": FactType.NUMBER,
        "rows": FactType.INTEGER,
        MEASURED: FactType.TRUTH,
    },
}
"""Evidence type -> field -> type. In a rule the fact is written `type.field`."""

MODEL_FACTS: dict[str, FactType] = {
    "model.format": FactType.TEXT,
    "model.has_training_data": FactType.TRUTH,
    "system.contains_phi": FactType.TRUTH,
}


def fact_types() -> dict[str, FactType]:
    """Give every dotted name with its type."""
    evidence = {f"{kind}.{field}": type_ for kind, fields in EVIDENCE_FACTS.items() for field, type_ in fields.items()}
    return evidence | MODEL_FACTS


def fact_matches(value: object, expected: FactType) -> bool:
    """Say whether a value is of the type that a rule was compiled for; NaN and infinities are not numbers here."""
    if expected is FactType.TRUTH:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if expected is FactType.TEXT:
        return isinstance(value, str)
    if expected is FactType.INTEGER:
        return isinstance(value, int)
    return isinstance(value, (int, float)) and value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN
