"""What a bias assessment says."""

from dataclasses import dataclass
from enum import StrEnum

from explain.fairness.counts import GroupCounts
from explain.fairness.metrics import Metric


class Verdict(StrEnum):
    """What a comparison comes to under the plan: never a bare boolean."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INSUFFICIENT_DATA = "insufficient_data"
    NOT_APPLICABLE = "not_applicable"


_GRAVEST_FIRST = (Verdict.FAIL, Verdict.INSUFFICIENT_DATA, Verdict.PASS)


@dataclass(frozen=True)
class Criterion:
    """One comparison on one sensitive column, and its verdict."""

    column: str
    metric: Metric
    value: float | None
    """Over the groups that are large enough; None with fewer than two of them, or where it is not defined."""
    line: float | None
    verdict: Verdict
    reason: str
    """The verdict in words."""


@dataclass(frozen=True)
class ColumnAssessment:
    """The groups of one sensitive column and how they compare."""

    column: str
    groups: tuple[GroupCounts, ...]
    """All groups, small ones too, in the order of their names."""
    reference: GroupCounts | None
    """None where no group is large enough to be one."""
    unknown: int
    """Rows without a value in this column, left out of its groups."""
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True)
class BiasAssessment:
    """The assessment of all sensitive columns under one plan."""

    everyone: GroupCounts
    columns: tuple[ColumnAssessment, ...]
    cross_check_max_difference: float
    """The largest difference between these values and Fairlearn's own."""

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Every comparison on every column."""
        return tuple(criterion for column in self.columns for criterion in column.criteria)

    @property
    def verdict(self) -> Verdict:
        """Fail if one comparison fails; else insufficient data if one lacks data; else pass if one passes."""
        reached = {criterion.verdict for criterion in self.criteria}
        return next((verdict for verdict in _GRAVEST_FIRST if verdict in reached), Verdict.NOT_APPLICABLE)

    @property
    def min_group_n(self) -> int:
        """Rows in the smallest group of any column; 0 where a column has no groups."""
        return min((group.n for column in self.columns for group in column.groups), default=0)

    def worst(self, metric: Metric) -> float | None:
        """The least even-handed value of a comparison over the columns; None where one column has none."""
        values = [criterion.value for criterion in self.criteria if criterion.metric is metric]
        known = [value for value in values if value is not None]
        return metric.worst(known) if known and len(known) == len(values) else None
