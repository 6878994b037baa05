"""Numbers as the report prints them; one that could not be estimated is an en dash, never a zero."""

ABSENT = "\N{EN DASH}"
_COMPARISONS = {">=": "\N{GREATER-THAN OR EQUAL TO}", "<=": "\N{LESS-THAN OR EQUAL TO}"}


def count(value: int) -> str:
    """A count with thousands separators: ``20,186``."""
    return f"{value:,}"


def rate(value: float | None) -> str:
    """A fraction as a percentage with one decimal: ``71.4 %``."""
    return ABSENT if value is None else f"{100 * value:.1f} %"


def rate_interval(low: float | None, high: float | None) -> str:
    """The bounds of a fraction in percent: ``68.9 to 73.8``."""
    return ABSENT if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def decimal(value: float | None) -> str:
    """An estimate with three decimals, in two significant digits where that would read as zero."""
    if value is None:
        return ABSENT
    fixed = f"{value:.3f}"
    return f"{value:.2g}" if value and float(fixed) == 0 else fixed


def interval(low: float | None, high: float | None) -> str:
    """The bounds of an estimate: ``0.371 to 0.455``."""
    return ABSENT if low is None or high is None else f"{decimal(low)} to {decimal(high)}"


def limit(comparison: str, threshold: float) -> str:
    """A limit with its comparison sign: ``≥ 0.800``."""
    return f"{_COMPARISONS.get(comparison, comparison)} {decimal(threshold)}"
