"""Intervals at the 95 % level, from counts alone."""

import math

NORMAL_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

type Interval = tuple[float | None, float | None]


def wilson(part: int, whole: int) -> Interval:
    """The score interval of a proportion.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209-212.

    Args:
        part: Successes.
        whole: Trials.

    Returns:
        Low and high end, within 0 and 1; None and None without trials.
    """
    if not whole:
        return None, None
    square = NORMAL_95**2
    middle = (part + square / 2) / (whole + square)
    half = NORMAL_95 / (whole + square) * math.sqrt(part * (whole - part) / whole + square / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def katz(part: int, whole: int, reference_part: int, reference_whole: int) -> Interval:
    """The log interval of a ratio of two independent proportions.

    Katz, Baptista, Azen and Pike 1978, "Obtaining confidence intervals for the risk ratio in cohort studies",
    Biometrics 34, 469-474.

    Args:
        part: Successes in the group.
        whole: Trials in the group.
        reference_part: Successes in the reference group.
        reference_whole: Trials in the reference group.

    Returns:
        Low and high end of `(part / whole) / (reference_part / reference_whole)`; None and None where one of
        the groups has no success, as the logarithm is not defined there.
    """
    if not part or not reference_part:
        return None, None
    value = (part / whole) / (reference_part / reference_whole)
    spread = math.sqrt(1 / part - 1 / whole + 1 / reference_part - 1 / reference_whole)
    return value * math.exp(-NORMAL_95 * spread), value * math.exp(NORMAL_95 * spread)
