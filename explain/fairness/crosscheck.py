"""The same values from Fairlearn, which defines them; ours come from counts alone and must agree."""

from collections.abc import Sequence

import numpy as np

from explain.errors import EnginesDisagreeError
from explain.fairness.counts import GroupCounts, Outcomes
from explain.fairness.metrics import Metric
from explain.fairness.plan import BiasPlan
from explain.fairness.results import ColumnAssessment

TOLERANCE = 1e-12
"""Both sides divide the same whole numbers."""


def fairlearn_difference(
    actual: Outcomes,
    predicted: Outcomes,
    rows: Sequence[str | None],
    assessment: ColumnAssessment,
    plan: BiasPlan,
) -> float:
    """Compare one column's rates and comparisons with Fairlearn's.

    Args:
        actual: True where the actual outcome is the favourable one; shape `(rows,)`.
        predicted: True where the predicted outcome is the favourable one; shape `(rows,)`.
        rows: The group of each row, None where it is not known.
        assessment: The column's assessment.
        plan: What it was judged by.

    Returns:
        The largest absolute difference; 0 where there is nothing to compare.

    Raises:
        EnginesDisagreeError: It is larger than rounding explains.
    """
    differences = [
        *_rate_differences(actual, predicted, rows, assessment.groups),
        *_comparison_differences(actual, predicted, rows, assessment, plan),
    ]
    largest = max(differences, default=0.0)
    if not largest <= TOLERANCE:
        raise EnginesDisagreeError("the bias metrics", largest, TOLERANCE)
    return largest


def _rate_differences(
    actual: Outcomes, predicted: Outcomes, rows: Sequence[str | None], groups: Sequence[GroupCounts]
) -> list[float]:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    known = np.array([row is not None for row in rows])
    if not known.any():
        return []
    frame = MetricFrame(
        metrics={
            "selection_rate": selection_rate,
            "true_positive_rate": true_positive_rate,
            "false_positive_rate": false_positive_rate,
            "accuracy": accuracy_score,
        },
        y_true=actual[known].astype(int),
        y_pred=predicted[known].astype(int),
        sensitive_features=np.array([row for row in rows if row is not None], dtype=object),
    )
    ours = [(group.group, name, getattr(group, name)) for group in groups for name in frame.by_group.columns]
    return [abs(value - float(frame.by_group.loc[group, name])) for group, name, value in ours if value is not None]


def _comparison_differences(
    actual: Outcomes,
    predicted: Outcomes,
    rows: Sequence[str | None],
    assessment: ColumnAssessment,
    plan: BiasPlan,
) -> list[float]:
    from fairlearn import metrics as fairlearn

    theirs = {
        Metric.DEMOGRAPHIC_PARITY_RATIO: fairlearn.demographic_parity_ratio,
        Metric.DEMOGRAPHIC_PARITY_DIFFERENCE: fairlearn.demographic_parity_difference,
        Metric.EQUALIZED_ODDS_DIFFERENCE: fairlearn.equalized_odds_difference,
    }
    differences = []
    for criterion in assessment.criteria:
        if criterion.value is None or criterion.metric not in theirs:
            continue
        judged = {group.group for group in plan.judged(criterion.metric, assessment.groups)}
        covered = np.array([row in judged for row in rows])
        value = theirs[criterion.metric](
            actual[covered].astype(int),
            predicted[covered].astype(int),
            sensitive_features=np.array(rows, dtype=object)[covered],
        )
        differences.append(abs(criterion.value - float(value)))
    return differences
