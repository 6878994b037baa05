"""Numbers as evidence holds them: the same on every rerun, and never a NaN that JSON cannot say."""

import math
from collections.abc import Callable

SIGNIFICANT_DIGITS = 12

type Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and the name of the stage."""


def silent(_done: int, _total: int, _stage: str) -> None:
    """Report progress to nobody."""


def stable(value: float | None) -> float | None:
    """A number to 12 significant digits, so that the last bits of a sum's order do not change a digest.

    Args:
        value: A finite number, or NaN, an infinity or None for one that is not defined.

    Returns:
        The rounded number, never minus zero; None where it is not defined.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0
