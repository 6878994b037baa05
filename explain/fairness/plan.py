"""What will be tested, fixed before the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from explain.fairness.counts import GroupCounts
from explain.fairness.metrics import Metric

FOUR_FIFTHS = 0.8
"""The arithmetic of 29 CFR 1607.4(D), widely used as a screen; contested as law, and written for employment."""

MIN_GROUP = 30
"""A rate over fewer people than this is shown with its interval and not judged (a convention of practice)."""

DEFAULT_LINES = {Metric.DEMOGRAPHIC_PARITY_RATIO: FOUR_FIFTHS, Metric.ADVERSE_IMPACT_RATIO: FOUR_FIFTHS}


@dataclass(frozen=True)
class BiasPlan:
    """The rules that turn numbers into verdicts."""

    min_group: int = MIN_GROUP
    """The least denominator of a rate that is judged; at least 1."""
    lines: Mapping[Metric, float] = field(default_factory=lambda: dict(DEFAULT_LINES))
    """Where a comparison passes; one without a line is reported and not judged."""
    references: Mapping[str, str] = field(default_factory=dict)
    """The fixed reference group of a column; elsewhere it is the group with the highest selection rate."""

    def judged(self, metric: Metric, groups: Sequence[GroupCounts]) -> tuple[GroupCounts, ...]:
        """The groups in which every rate that a comparison uses has a large enough denominator."""
        return tuple(group for group in groups if _least_denominator(metric, group) >= self.min_group)


def _least_denominator(metric: Metric, group: GroupCounts) -> int:
    if metric is Metric.EQUALIZED_ODDS_DIFFERENCE:
        return min(group.favourable, group.unfavourable)
    return group.n
