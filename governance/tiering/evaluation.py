"""A template and frozen fields -> the tier, with the whole working. Pure: the same bytes in, the same bytes out.

All numbers are whole. What is missing never lowers a tier: a template scores it like the worst value, or the result is
incomplete and suggests nothing.
"""

from dataclasses import dataclass

from governance.tiering.errors import TierFieldsError
from governance.tiering.fields import FieldValue, Snapshot, value_words
from governance.tiering.template import Component, Factor, Missing, Override, Threshold, TierTemplate
from modelnotary.ledger.canonical import Json, canonical_bytes

WORKING_FORMAT = "modelnotary-tier-working/v1"


@dataclass(frozen=True, slots=True)
class ComponentWorking:
    """What one field gave.

    Attributes:
        field: Its name.
        value: What it said; None is missing.
        rule: Place of the rule that was met, from 1; None when none was.
        condition: That rule in words.
        points: What it gave.
        problem: Why there are no points.
    """

    field: str
    value: FieldValue | None
    rule: int | None
    condition: str
    points: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FactorWorking:
    """What one factor gave: points of its components joined, and those times its weight; None while one is missing."""

    factor: Factor
    components: tuple[ComponentWorking, ...]

    @property
    def points(self) -> int | None:
        """The points of its components, joined."""
        points = [item.points for item in self.components if item.points is not None]
        return self.factor.aggregate(points) if len(points) == len(self.components) else None

    @property
    def weighted(self) -> int | None:
        """Its share of the total."""
        return None if self.points is None else self.points * self.factor.weight


@dataclass(frozen=True, slots=True)
class OverrideWorking:
    """What became of one override; `applies` is None when nobody knows, and `problem` then says why."""

    override: Override
    value: FieldValue | None
    applies: bool | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Working:
    """How a tier came about.

    Attributes:
        template: What was evaluated.
        fields_digest: Digest of the frozen fields.
        factors, overrides: What each gave.
        problems: Why it is incomplete; empty when it is not.
        total: Sum of the weighted factors, or None when it is incomplete, as the next two.
        threshold: Where the total lies.
        suggested: The higher of the threshold's tier and those of the overrides that apply.
    """

    template: TierTemplate
    fields_digest: str
    factors: tuple[FactorWorking, ...]
    overrides: tuple[OverrideWorking, ...]
    problems: tuple[str, ...]
    total: int | None
    threshold: Threshold | None
    suggested: str | None

    def to_json(self) -> dict[str, Json]:
        """Give it as a JSON value."""
        threshold = self.threshold
        return {
            "format": WORKING_FORMAT,
            "template": self.template.template,
            "template_digest": self.template.digest,
            "fields_digest": self.fields_digest,
            "factors": [_factor_json(item) for item in self.factors],
            "total": self.total,
            "threshold": None if threshold is None else _threshold_json(threshold),
            "overrides": [_override_json(item) for item in self.overrides],
            "problems": list(self.problems),
            "suggested": self.suggested,
        }

    def to_bytes(self) -> bytes:
        """Give the stored form, canonical JSON."""
        return canonical_bytes(self.to_json())


def tier_evaluate(template: TierTemplate, snapshot: Snapshot, fields_digest: str) -> Working:
    """Work out the tier.

    Args:
        template: The template.
        snapshot: The values of exactly the fields that it reads.
        fields_digest: Digest of the snapshot's bytes, to stand in the working.

    Raises:
        TierFieldsError: The snapshot has other fields.
    """
    if set(snapshot.values) != template.fields:
        differing = ", ".join(sorted(set(snapshot.values) ^ template.fields))
        raise TierFieldsError(f"the fields are not those that {template.template} reads: {differing}")
    factors = tuple(
        FactorWorking(factor, tuple(_component(item, snapshot) for item in factor.components))
        for factor in template.factors
    )
    overrides = tuple(_override(item, snapshot) for item in template.overrides)
    scored = [item.problem for factor in factors for item in factor.components]
    problems = tuple(words for words in (*scored, *(item.problem for item in overrides)) if words)
    shares = [factor.weighted for factor in factors if factor.weighted is not None]
    total = None if problems else sum(shares)
    threshold = None if total is None else template.threshold_of(total)
    return Working(
        template=template,
        fields_digest=fields_digest,
        factors=factors,
        overrides=overrides,
        problems=problems,
        total=total,
        threshold=threshold,
        suggested=None if threshold is None else _highest(template, threshold, overrides),
    )


def _highest(template: TierTemplate, threshold: Threshold, overrides: tuple[OverrideWorking, ...]) -> str:
    reached = [threshold.tier, *(item.override.at_least for item in overrides if item.applies)]
    return max(reached, key=template.tiers.index)


def _component(component: Component, snapshot: Snapshot) -> ComponentWorking:
    value = snapshot.values[component.field]
    for number, rule in enumerate(component.rules, start=1):
        if rule.condition.holds(value):
            return ComponentWorking(component.field, value, number, rule.condition.words, rule.points)
    words = f"{component.field} is {value_words(value)}; no rule scores that"
    return ComponentWorking(component.field, value, None, "", None, words)


def _override(override: Override, snapshot: Snapshot) -> OverrideWorking:
    value = snapshot.values[override.field]
    if override.condition.holds(value) or (value is None and override.or_missing):
        return OverrideWorking(override, value, applies=True)
    if value is None and not isinstance(override.condition, Missing):
        words = f"{override.field} is missing, so it is not known whether override {override.id} applies"
        return OverrideWorking(override, value, None, words)
    return OverrideWorking(override, value, applies=False)


def _plain(value: FieldValue | None) -> Json:
    return list(value) if isinstance(value, tuple) else value


def _threshold_json(threshold: Threshold) -> Json:
    return {"tier": threshold.tier, "from": threshold.least, "below": threshold.below}


def _factor_json(working: FactorWorking) -> Json:
    return {
        "id": working.factor.id,
        "title": working.factor.title,
        "aggregation": working.factor.aggregation.value,
        "weight": working.factor.weight,
        "components": [
            {
                "field": item.field,
                "value": _plain(item.value),
                "rule": item.rule,
                "condition": item.condition,
                "points": item.points,
                "problem": item.problem,
            }
            for item in working.components
        ],
        "points": working.points,
        "weighted": working.weighted,
    }


def _override_json(working: OverrideWorking) -> Json:
    override = working.override
    return {
        "id": override.id,
        "title": override.title,
        "field": override.field,
        "value": _plain(working.value),
        "condition": override.condition.words + (", or missing" if override.or_missing else ""),
        "at_least": override.at_least,
        "applies": working.applies,
        "problem": working.problem,
    }
