"""Comparisons between groups, with Fairlearn's names and values, and the adverse impact ratio it lacks."""

from collections.abc import Sequence
from enum import StrEnum

from explain.fairness.counts import GroupCounts, ratio


class Metric(StrEnum):
    """A comparison between the groups of one sensitive column."""

    DEMOGRAPHIC_PARITY_RATIO = "demographic_parity_ratio"
    """Lowest selection rate over the highest."""
    DEMOGRAPHIC_PARITY_DIFFERENCE = "demographic_parity_difference"
    """Highest selection rate minus the lowest."""
    ADVERSE_IMPACT_RATIO = "adverse_impact_ratio"
    """Lowest selection rate of the other groups over that of the reference group."""
    EQUALIZED_ODDS_DIFFERENCE = "equalized_odds_difference"
    """The larger of the spreads of the true and of the false positive rate."""

    @property
    def is_ratio(self) -> bool:
        """Whether 1 is even-handed and less is worse; otherwise 0 is even-handed and more is worse."""
        return self in {Metric.DEMOGRAPHIC_PARITY_RATIO, Metric.ADVERSE_IMPACT_RATIO}

    def worst(self, values: Sequence[float]) -> float:
        """The least even-handed of several values, at least one."""
        return min(values) if self.is_ratio else max(values)

    def meets(self, value: float, line: float) -> bool:
        """Whether a value lies on the even-handed side of a line, or on it."""
        return value >= line if self.is_ratio else value <= line


def compare(metric: Metric, groups: Sequence[GroupCounts], reference: GroupCounts | None) -> float | None:
    """Compare groups.

    Args:
        metric: The comparison.
        groups: The groups it covers; for `EQUALIZED_ODDS_DIFFERENCE` each with both kinds of actual outcome.
        reference: The group the adverse impact ratio is taken to.

    Returns:
        The value; None with fewer than two groups, and for a ratio to a rate of 0 or to a group not covered.
    """
    if len(groups) < 2:  # noqa: PLR2004 - a comparison takes two
        return None
    match metric:
        case Metric.DEMOGRAPHIC_PARITY_RATIO:
            rates = [group.selected / group.n for group in groups]
            return ratio(min(rates), max(rates))
        case Metric.DEMOGRAPHIC_PARITY_DIFFERENCE:
            return _spread([group.selected / group.n for group in groups])
        case Metric.ADVERSE_IMPACT_RATIO:
            return _lowest_impact_ratio(groups, reference)
        case Metric.EQUALIZED_ODDS_DIFFERENCE:
            true_positive = _spread([group.selected_favourable / group.favourable for group in groups])
            false_positive = _spread([group.selected_unfavourable / group.unfavourable for group in groups])
            return max(true_positive, false_positive)


def impact_ratio(group: GroupCounts, reference: GroupCounts) -> float | None:
    """One group's selection rate over the reference group's; None where one is not defined or the latter is 0."""
    rate, reference_rate = group.selection_rate, reference.selection_rate
    if rate is None or reference_rate is None:
        return None
    return ratio(rate, reference_rate)


def _lowest_impact_ratio(groups: Sequence[GroupCounts], reference: GroupCounts | None) -> float | None:
    if reference is None or reference not in groups:
        return None
    ratios = [impact_ratio(group, reference) for group in groups if group is not reference]
    return min((value for value in ratios if value is not None), default=None)


def _spread(rates: Sequence[float]) -> float:
    return max(rates) - min(rates)
