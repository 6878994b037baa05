"""A tier template that can be evaluated: conditions with points, factors of components, thresholds and overrides."""

from dataclasses import dataclass
from enum import StrEnum

from governance.controls.places import reaches
from governance.tiering.fields import FieldValue


@dataclass(frozen=True, slots=True)
class Is:
    """A truth is as said."""

    value: bool

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        return value is self.value

    @property
    def words(self) -> str:
        """The condition in words."""
        return "is true" if self.value else "is false"


@dataclass(frozen=True, slots=True)
class Range:
    """A count is at least one number, below another one, or both."""

    least: int | None
    below: int | None

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return (self.least is None or value >= self.least) and (self.below is None or value < self.below)

    @property
    def words(self) -> str:
        """The condition in words."""
        ends = (("from", self.least), ("below", self.below))
        return " and ".join(f"{name} {number}" for name, number in ends if number is not None)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value, or one of a set of them, is in a list, letter for letter."""

    values: tuple[str, ...]

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        return not set(self.values).isdisjoint(_texts(value))

    @property
    def words(self) -> str:
        """The condition in words."""
        return f"one of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Within:
    """A declared place is one of several areas or lies in one, or is so large that one lies in it.

    A system declared for `US` may be used in Colorado: what is not known is not taken for a no.
    """

    areas: tuple[str, ...]

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        places = _texts(value)
        return any(reaches(area, places) is not False for area in self.areas)

    @property
    def words(self) -> str:
        """The condition in words."""
        return f"in {' or '.join(self.areas)}"


@dataclass(frozen=True, slots=True)
class Contains:
    """One of several texts stands in the value, whatever the case of its letters."""

    texts: tuple[str, ...]

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        said = [text.casefold() for text in _texts(value)]
        return any(sought.casefold() in text for sought in self.texts for text in said)

    @property
    def words(self) -> str:
        """The condition in words."""
        return f"contains {' or '.join(self.texts)}"


@dataclass(frozen=True, slots=True)
class Missing:
    """The field has no value."""

    words: str = "missing"

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        return value is None


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The field has a value, whatever it is."""

    words: str = "any other value"

    def holds(self, value: FieldValue | None) -> bool:
        """Tell whether a value meets it."""
        return value is not None


type Condition = Is | Range | OneOf | Within | Contains | Missing | Otherwise


class Aggregation(StrEnum):
    """How the points of a factor's components become those of the factor."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """Points for a value that meets a condition."""

    condition: Condition
    points: int


@dataclass(frozen=True, slots=True)
class Component:
    """One field and its scoring rules, of which the first that is met counts."""

    field: str
    rules: tuple[ScoringRule, ...]

    @property
    def most(self) -> int:
        """The most points that it can give."""
        return max(rule.points for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Factor:
    """Components that are scored together; its points count `weight` times."""

    id: str
    title: str
    aggregation: Aggregation
    weight: int
    components: tuple[Component, ...]

    def aggregate(self, points: list[int]) -> int:
        """Join the points of its components."""
        return max(points) if self.aggregation is Aggregation.MAX else sum(points)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The tier of the totals from one number to below another one; the last threshold has no end."""

    tier: str
    least: int
    below: int | None


@dataclass(frozen=True, slots=True)
class Override:
    """At least this tier, whatever the total is, where a condition holds of a field.

    Attributes:
        id, title: What it is called.
        field: The field.
        condition: What must hold of it.
        at_least: The tier.
        or_missing: Whether it also applies where the field has no value; otherwise nobody knows whether it applies.
    """

    id: str
    title: str
    field: str
    condition: Condition
    at_least: str
    or_missing: bool


@dataclass(frozen=True, slots=True)
class TierTemplate:
    """A template.

    Attributes:
        template: Its name.
        title: What it is about.
        digest: Of its text, `sha256:` and 64 hexadecimal digits.
        tiers: From the lowest to the highest.
        factors, thresholds, overrides: As above; thresholds in rising order, without gap or overlap from 0 on.
    """

    template: str
    title: str
    digest: str
    tiers: tuple[str, ...]
    factors: tuple[Factor, ...]
    thresholds: tuple[Threshold, ...]
    overrides: tuple[Override, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it reads."""
        scored = {component.field for factor in self.factors for component in factor.components}
        return frozenset(scored | {override.field for override in self.overrides})

    @property
    def most(self) -> int:
        """The largest total that there can be."""
        return sum(
            factor.weight * factor.aggregate([component.most for component in factor.components])
            for factor in self.factors
        )

    def threshold_of(self, total: int) -> Threshold:
        """Give the one threshold that a total lies in."""
        return next(item for item in reversed(self.thresholds) if item.least <= total)


def _texts(value: FieldValue | None) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()
