"""A bias assessment: counts by group, comparisons, and a verdict for each comparison."""

from collections.abc import Mapping, Sequence

from explain.errors import InvalidParameterError
from explain.fairness.counts import GroupCounts, Outcomes, count_all, count_groups
from explain.fairness.crosscheck import fairlearn_difference
from explain.fairness.metrics import Metric, compare
from explain.fairness.plan import BiasPlan
from explain.fairness.results import BiasAssessment, ColumnAssessment, Criterion, Verdict


def assess(
    actual: Outcomes, predicted: Outcomes, sensitive: Mapping[str, Sequence[str | None]], plan: BiasPlan
) -> BiasAssessment:
    """Compare the groups of each sensitive column.

    Args:
        actual: True where the actual outcome is the favourable one; shape `(rows,)`, at least one row.
        predicted: True where the predicted outcome is the favourable one; shape `(rows,)`.
        sensitive: Each sensitive column's group per row, None where it is not known; at least one column.
        plan: Group size, lines and references, fixed beforehand.

    Returns:
        The assessment. Its values have been compared with Fairlearn's.

    Raises:
        InvalidParameterError: A fixed reference group does not occur.
        EnginesDisagreeError: Fairlearn computes another value.
    """
    columns = {
        column: assess_counts(column, count_groups(actual, predicted, rows), plan, unknown=_unknown(rows))
        for column, rows in sensitive.items()
    }
    return BiasAssessment(
        everyone=count_all(actual, predicted),
        columns=tuple(columns.values()),
        cross_check_max_difference=max(
            fairlearn_difference(actual, predicted, rows, columns[column], plan) for column, rows in sensitive.items()
        ),
    )


def assess_counts(
    column: str, groups: tuple[GroupCounts, ...], plan: BiasPlan, *, unknown: int = 0
) -> ColumnAssessment:
    """Compare groups of which only the counts are known.

    Args:
        column: The sensitive column they come from.
        groups: Their counts.
        plan: Group size, lines and references, fixed beforehand.
        unknown: Rows that belong to no group.

    Raises:
        InvalidParameterError: The fixed reference group does not occur.
    """
    reference = _reference(column, groups, plan)
    return ColumnAssessment(
        column=column,
        groups=groups,
        reference=reference,
        unknown=unknown,
        criteria=tuple(_criterion(column, metric, groups, reference, plan) for metric in Metric),
    )


def _unknown(rows: Sequence[str | None]) -> int:
    return sum(row is None for row in rows)


def _reference(column: str, groups: Sequence[GroupCounts], plan: BiasPlan) -> GroupCounts | None:
    """The fixed reference group, or the large enough one with the highest selection rate."""
    if column in plan.references:
        name = plan.references[column]
        for group in groups:
            if group.group == name:
                return group
        present = ", ".join(repr(group.group) for group in groups) or "none"
        raise InvalidParameterError("reference", f"column {column!r} has no group {name!r}. Its groups: {present}.")
    judged = plan.judged(Metric.ADVERSE_IMPACT_RATIO, groups)
    return max(judged, key=lambda group: group.selected / group.n, default=None)


def _criterion(
    column: str, metric: Metric, groups: Sequence[GroupCounts], reference: GroupCounts | None, plan: BiasPlan
) -> Criterion:
    judged = plan.judged(metric, groups)
    value = compare(metric, judged, reference)
    line = plan.lines.get(metric)
    small = ", ".join(f"{group.group!r} (n = {group.n})" for group in groups if group not in judged)
    verdict, reason = _verdict(metric, value, line, small, plan.min_group)
    return Criterion(column=column, metric=metric, value=value, line=line, verdict=verdict, reason=reason)


def _verdict(
    metric: Metric, value: float | None, line: float | None, small: str, min_group: int
) -> tuple[Verdict, str]:
    too_small = f"Too small to judge, with a rate over fewer than {min_group} rows: {small}."
    if line is None:
        return Verdict.NOT_APPLICABLE, "The plan sets no line for this comparison; it is reported only."
    if value is None:
        return (
            Verdict.INSUFFICIENT_DATA,
            f"No comparison can be made. {too_small if small else _NOTHING_TO_COMPARE}",
        )
    side = "meets" if metric.meets(value, line) else "misses"
    measured = f"{value:.6g} {side} the line of {line:.6g}."
    if side == "misses":
        return Verdict.FAIL, measured
    return (Verdict.INSUFFICIENT_DATA, f"{measured} {too_small}") if small else (Verdict.PASS, measured)


_NOTHING_TO_COMPARE = "There is one group only, or nobody in the reference group has the favourable outcome."
