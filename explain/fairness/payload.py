"""A bias assessment as evidence."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from explain.fairness.counts import GroupCounts
from explain.fairness.intervals import mover_ratio, wilson
from explain.fairness.metrics import Metric, impact_ratio
from explain.fairness.plan import BiasPlan
from explain.fairness.results import BiasAssessment, ColumnAssessment, Criterion
from explain.payload import stable


@dataclass(frozen=True)
class BiasReceipt:
    """All it takes to compute the same assessment again."""

    model_digest: str | None
    """None where a table of finished predictions was assessed."""
    dataset_digest: str
    parameters: Mapping[str, Any]
    versions: Mapping[str, str]
    rows: int
    cross_check_max_difference: float
    tolerance: float
    """What the difference to Fairlearn had to stay under."""
    engine: str = "counts by group, checked against Fairlearn"
    intervals: str = "95 %: Wilson for rates, MOVER-R for ratios"


def bias_payload(
    assessment: BiasAssessment, plan: BiasPlan, receipt: BiasReceipt, *, auc: float | None
) -> dict[str, Any]:
    """The assessment as plain JSON values, the same bytes for the same calculation.

    Args:
        assessment: The assessment.
        plan: What it was judged by.
        receipt: How it was made.
        auc: The area under the ROC curve of the score, if there is one.

    Returns:
        For policy rules, at the top: each comparison's least even-handed value over the sensitive columns (None
        where a column has none), `verdict`, `min_group_n`, `selection_rate`, `accuracy`, `auc` and `rows`.
        Below: `criteria`, `groups` and `receipt`.
    """
    return {
        **{metric.value: stable(assessment.worst(metric)) for metric in Metric},
        "verdict": assessment.verdict.value,
        "min_group_n": assessment.min_group_n,
        "selection_rate": stable(assessment.everyone.selection_rate),
        "accuracy": stable(assessment.everyone.accuracy),
        "auc": stable(auc),
        "rows": receipt.rows,
        "criteria": [_criterion_payload(entry) for entry in assessment.criteria],
        "groups": [_group_payload(column, group, plan) for column in assessment.columns for group in column.groups],
        "unknown": {column.column: column.unknown for column in assessment.columns},
        "receipt": {
            **asdict(receipt),
            "cross_check_max_difference": stable(receipt.cross_check_max_difference),
            "tolerance": stable(receipt.tolerance),
        },
    }


def _criterion_payload(criterion: Criterion) -> dict[str, Any]:
    return {
        "column": criterion.column,
        "metric": criterion.metric.value,
        "value": stable(criterion.value),
        "line": stable(criterion.line),
        "verdict": criterion.verdict.value,
        "reason": criterion.reason,
    }


def _group_payload(column: ColumnAssessment, group: GroupCounts, plan: BiasPlan) -> dict[str, Any]:
    return {
        "column": column.column,
        "group": group.group,
        "n": group.n,
        "selected": group.selected,
        "favourable": group.favourable,
        "unfavourable": group.unfavourable,
        **_rate("selection_rate", group.selected, group.n),
        **_rate("true_positive_rate", group.selected_favourable, group.favourable),
        **_rate("false_positive_rate", group.selected_unfavourable, group.unfavourable),
        **_rate("accuracy", group.correct, group.n),
        **_impact(group, column.reference),
        "is_reference": group is column.reference,
        "is_judged": group in plan.judged(Metric.ADVERSE_IMPACT_RATIO, column.groups),
    }


def _rate(name: str, part: int, whole: int) -> dict[str, float | None]:
    low, high = wilson(part, whole)
    value = part / whole if whole else None
    return {name: stable(value), f"{name}_low": stable(low), f"{name}_high": stable(high)}


def _impact(group: GroupCounts, reference: GroupCounts | None) -> dict[str, float | None]:
    """The ratio to the reference group; for that group itself it is 1 and has no interval."""
    name = "adverse_impact_ratio"
    value = impact_ratio(group, reference) if reference else None
    low, high = None, None
    if reference is not None and group is not reference:
        low, high = mover_ratio(group.selected, group.n, reference.selected, reference.n)
    return {name: stable(value), f"{name}_low": stable(low), f"{name}_high": stable(high)}
