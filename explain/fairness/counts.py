"""The 2x2 counts of each group, which every rate below is made from.

Outcomes are counted from the side of the person: *favourable* is what the person hopes for (the loan, a place
in the care programme), whatever the model was trained to predict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

type Outcomes = npt.NDArray[np.bool_]
"""Shape `(rows,)`; True where the outcome is the favourable one."""


@dataclass(frozen=True)
class GroupCounts:
    """How often a group was selected, among those with the favourable actual outcome and among the others.

    Rates are None where their denominator is 0.
    """

    group: str
    selected_favourable: int
    """Predicted favourable, actually favourable (true positives)."""
    selected_unfavourable: int
    """Predicted favourable, actually unfavourable (false positives)."""
    refused_favourable: int
    """Predicted unfavourable, actually favourable (false negatives)."""
    refused_unfavourable: int
    """Predicted unfavourable, actually unfavourable (true negatives)."""

    @property
    def n(self) -> int:
        """All rows of the group."""
        return self.favourable + self.unfavourable

    @property
    def selected(self) -> int:
        """Rows with the favourable prediction."""
        return self.selected_favourable + self.selected_unfavourable

    @property
    def favourable(self) -> int:
        """Rows with the favourable actual outcome."""
        return self.selected_favourable + self.refused_favourable

    @property
    def unfavourable(self) -> int:
        """Rows with the unfavourable actual outcome."""
        return self.selected_unfavourable + self.refused_unfavourable

    @property
    def correct(self) -> int:
        """Rows predicted as they turned out."""
        return self.selected_favourable + self.refused_unfavourable

    @property
    def selection_rate(self) -> float | None:
        """Share with the favourable prediction."""
        return ratio(self.selected, self.n)

    @property
    def true_positive_rate(self) -> float | None:
        """Share with the favourable prediction among the actually favourable."""
        return ratio(self.selected_favourable, self.favourable)

    @property
    def false_positive_rate(self) -> float | None:
        """Share with the favourable prediction among the actually unfavourable."""
        return ratio(self.selected_unfavourable, self.unfavourable)

    @property
    def accuracy(self) -> float | None:
        """Share predicted as it turned out."""
        return ratio(self.correct, self.n)


def count_groups(actual: Outcomes, predicted: Outcomes, groups: Sequence[str | None]) -> tuple[GroupCounts, ...]:
    """Count the four cells of each group in one pass.

    Args:
        actual: The outcomes that happened.
        predicted: The outcomes the model decided.
        groups: Each row's group; rows with None belong to no group and are left out.

    Returns:
        The groups in the order of their names.
    """
    names = sorted({group for group in groups if group is not None})
    positions = {name: position for position, name in enumerate(names)}
    # Group, then cell 0-3; an unknown group is one past the last and is cut off.
    index = np.array([positions.get(group, len(names)) if group is not None else len(names) for group in groups])
    cells = np.bincount(4 * index + 2 * ~predicted + ~actual, minlength=4 * len(names))
    return tuple(
        GroupCounts(name, *map(int, cells[4 * position : 4 * position + 4])) for name, position in positions.items()
    )


def count_all(actual: Outcomes, predicted: Outcomes) -> GroupCounts:
    """Count the four cells of all rows together, at least one."""
    (everyone,) = count_groups(actual, predicted, ["everyone"] * len(actual))
    return everyone


def ratio(part: float, whole: float) -> float | None:
    """A quotient, or None where it is not defined."""
    return part / whole if whole else None
