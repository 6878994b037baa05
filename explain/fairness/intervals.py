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


def mover_ratio(part: int, whole: int, reference_part: int, reference_whole: int) -> Interval:
    """The interval of a ratio of two independent proportions, recovered from the Wilson interval of each.

    Newcombe 2016, "MOVER-R confidence intervals for ratios and products of two independently estimated quantities",
    Statistical Methods in Medical Research 25, 1774-1778. Unlike the log interval it stays wide where everybody
    in a small group is selected.

    Args:
        part: Successes in the group.
        whole: Trials in the group.
        reference_part: Successes in the reference group.
        reference_whole: Trials in the reference group.

    Returns:
        Low and high end of `(part / whole) / (reference_part / reference_whole)`; None and None where it is not
        defined.
    """
    low, high = wilson(part, whole)
    reference_low, reference_high = wilson(reference_part, reference_whole)
    if low is None or high is None or reference_low is None or reference_high is None or not reference_part:
        return None, None
    rate, reference_rate = part / whole, reference_part / reference_whole
    product = rate * reference_rate
    below = low * (2 * rate - low)
    above = high * (2 * rate - high)
    reference_above = reference_high * (2 * reference_rate - reference_high)
    reference_below = reference_low * (2 * reference_rate - reference_low)
    lowest = below / (product + math.sqrt(product**2 - below * reference_above)) if part else 0.0
    return lowest, (product + math.sqrt(product**2 - above * reference_below)) / reference_below
