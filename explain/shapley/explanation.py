"""From attributions to an explanation: global importance with intervals, single rows, and the receipt."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from explain.payload import stable
from explain.shapley.attributions import Attributions, OutputSpace
from explain.tables import Floats

NORMAL_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class FeatureImportance:
    """How much a feature moves the output on average: the mean of |attribution| over the rows."""

    feature: str
    mean_abs: float
    low: float
    """Lower end of the 95 % normal interval of the mean over rows, not below 0."""
    high: float


@dataclass(frozen=True)
class LocalExplanation:
    """Why one row got its output. It names the row and not its values: those stay in the dataset."""

    row: int
    """Counted from 1 after the header of the dataset that the receipt names."""
    output: float
    contributions: tuple[tuple[str, float], ...]
    """Every feature and its attribution, the largest in size first."""


@dataclass(frozen=True)
class ExplanationReceipt:
    """All it takes to compute the same explanation again, and how exact it was."""

    engine: str
    output_space: OutputSpace
    model_digest: str
    dataset_digest: str
    background_digest: str | None
    parameters: Mapping[str, Any]
    versions: Mapping[str, str]
    features: tuple[str, ...]
    rows: int
    base_value: float
    additivity_max_error: float
    cross_check_max_difference: float | None
    """None where no second engine computes the same values."""
    tolerance: float
    """What both numbers above had to stay under, in the output space."""
    interval: str = "normal, 95 %, over rows"


@dataclass(frozen=True)
class Explanation:
    """The explanation of one model on one dataset."""

    global_importance: tuple[FeatureImportance, ...]
    """Most important feature first."""
    local: tuple[LocalExplanation, ...]
    """The rows with the highest output first."""
    receipt: ExplanationReceipt


def importance_rank(values: Floats, features: tuple[str, ...]) -> tuple[FeatureImportance, ...]:
    """Rank features by the mean size of their attributions.

    Args:
        values: Attributions, shape `(rows, features)`, at least one row.
        features: Their names.

    Returns:
        Most important first, equal ones by name. With one row the interval is that one value.
    """
    sizes = np.abs(values)
    means = sizes.mean(axis=0)
    spread = sizes.std(axis=0, ddof=1) if len(sizes) > 1 else np.zeros(len(features))
    margins = NORMAL_95 * spread / np.sqrt(len(sizes))
    ranked = [
        FeatureImportance(name, float(mean), max(0.0, float(mean - margin)), float(mean + margin))
        for name, mean, margin in zip(features, means, margins, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda entry: (-entry.mean_abs, entry.feature)))


def highest_rows(attributions: Attributions, features: tuple[str, ...], count: int) -> tuple[LocalExplanation, ...]:
    """Explain the rows with the highest outputs, equal ones in the order of the table.

    Args:
        attributions: Of all rows.
        features: Their names.
        count: How many rows at most.
    """
    order = np.argsort(-attributions.outputs, kind="stable")[:count]
    return tuple(
        LocalExplanation(
            row=int(row) + 1,
            output=float(attributions.outputs[row]),
            contributions=_by_size(features, attributions.values[row]),
        )
        for row in order
    )


def explanation_payload(explanation: Explanation) -> dict[str, Any]:
    """The explanation as evidence: plain JSON values, the same bytes for the same calculation.

    Returns:
        `global_importance`, `local`, `rows`, `output_space`, `base_value`, `additivity_max_error`,
        `cross_check_max_difference` and `receipt`, which holds the last five again beside all else.
    """
    receipt = _plain(asdict(explanation.receipt))
    stated = ("rows", "output_space", "base_value", "additivity_max_error", "cross_check_max_difference")
    return {
        "global_importance": [_plain(asdict(entry)) for entry in explanation.global_importance],
        "local": [_local_payload(row) for row in explanation.local],
        **{name: receipt[name] for name in stated},
        "receipt": receipt,
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in fields.items()}


def _plain_value(value: object) -> object:
    match value:
        case float():
            return stable(value)
        case OutputSpace():
            return value.value
        case tuple():
            return list(value)
        case _:
            return value


def _local_payload(row: LocalExplanation) -> dict[str, Any]:
    return {
        "row": row.row,
        "output": stable(row.output),
        "contributions": [{"feature": name, "contribution": stable(value)} for name, value in row.contributions],
    }


def _by_size(features: tuple[str, ...], values: Floats) -> tuple[tuple[str, float], ...]:
    named = zip(features, map(float, values), strict=True)
    return tuple(sorted(named, key=lambda entry: (-abs(entry[1]), entry[0])))
