"""The tier template: YAML text -> checked template. Every fault is gathered, with line, column and a caret."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any

from governance.policy.source import Source
from governance.tiering.conditions_reading import ConditionReader
from governance.tiering.errors import TierTemplateError
from governance.tiering.fields import Field, Fields
from governance.tiering.template import (
    Aggregation,
    Component,
    Condition,
    Factor,
    Missing,
    Otherwise,
    Override,
    ScoringRule,
    Threshold,
    TierTemplate,
)
from modelnotary.ledger.digest import Digest

DOCUMENT_LIMIT = 64 * 1024
TIER = re.compile(r"[-a-z0-9_]{1,40}", re.ASCII)
_LEAST_TIERS, _MOST_TIERS = 2, 10
_POINTS_LIMIT = 1000
_WEIGHT_LIMIT = 100
_TOTAL_LIMIT = 10**9
_KEYS = {"template", "title", "tiers", "factors", "thresholds", "overrides"}
_FACTOR_KEYS = {"id", "title", "aggregation", "weight", "components"}
_COMPONENT_KEYS = {"field", "rules"}
_THRESHOLD_KEYS = {"tier", "from", "below"}
_OVERRIDE_KEYS = {"id", "title", "field", "at_least", "or_missing"}


def parse_template(text: str, *, fields: Fields) -> TierTemplate:
    """Read and check a tier template.

    Args:
        text: The YAML document.
        fields: The fields that it may name.

    Raises:
        TierTemplateError: With every fault found and where it is.
    """
    source = Source(text, limit=DOCUMENT_LIMIT, what="a tier template", error=TierTemplateError)
    if not isinstance(source.value, dict):
        words = "a tier template is a mapping with the keys " + ", ".join(sorted(_KEYS))
        raise TierTemplateError([source.fault("", words)])
    return _Reader(source, fields).template(source.value, Digest.of(text.encode()).text)


class _Reader(ConditionReader):
    """Reads a loaded template."""

    def __init__(self, source: Source, fields: Fields) -> None:
        super().__init__(source)
        self._fields = fields
        self._tiers: tuple[str, ...] = ()

    def template(self, document: dict[str, Any], digest: str) -> TierTemplate:
        self._keys(document, _KEYS, "")
        self._tiers = self._tier_names(document)
        factors = [self._factor(item, f"/factors/{at}") for at, item in enumerate(self._list(document, "factors"))]
        thresholds = self._thresholds(document)
        overridden = self._list(document, "overrides") if "overrides" in document else []
        overrides = [self._override(item, f"/overrides/{at}") for at, item in enumerate(overridden)]
        parsed = TierTemplate(
            template=self._slug(document, "template"),
            title=self._text(document, "title", ""),
            digest=digest,
            tiers=self._tiers,
            factors=tuple(item for item in factors if item),
            thresholds=tuple(thresholds),
            overrides=tuple(item for item in overrides if item),
        )
        self._require_once([item.id for item in parsed.factors], "/factors", "factor")
        self._require_once([item.id for item in parsed.overrides], "/overrides", "override")
        if not self._faults:
            self._require_reached(parsed)
        self._require_no_fault(TierTemplateError)
        return parsed

    def _tier_names(self, document: dict[str, Any]) -> tuple[str, ...]:
        names = self._list(document, "tiers")
        for at, name in enumerate(names):
            if not isinstance(name, str) or not TIER.fullmatch(name):
                words = "a name of 1 to 40 lowercase letters, digits, hyphens and underscores is needed"
                self._fault(f"/tiers/{at}", words)
        known = tuple(name for name in names if isinstance(name, str))
        self._require_once(list(known), "/tiers", "tier")
        if names and not _LEAST_TIERS <= len(names) <= _MOST_TIERS:
            self._fault("/tiers", f"{_LEAST_TIERS} to {_MOST_TIERS} tiers are needed, from the lowest to the highest")
        return known

    def _factor(self, item: object, pointer: str) -> Factor | None:
        if not isinstance(item, dict):
            self._fault(pointer, "a factor is a mapping with the keys " + ", ".join(sorted(_FACTOR_KEYS)))
            return None
        self._keys(item, _FACTOR_KEYS, pointer)
        joined = item.get("aggregation")
        if joined not in tuple(Aggregation):
            self._fault(f"{pointer}/aggregation", f"one of {', '.join(Aggregation)} is needed")
        listed = self._list(item, "components", pointer)
        components = [self._component(one, f"{pointer}/components/{at}") for at, one in enumerate(listed)]
        factor = Factor(
            id=self._text(item, "id", pointer),
            title=self._text(item, "title", pointer),
            aggregation=Aggregation.MAX if joined == Aggregation.MAX else Aggregation.SUM,
            weight=self._count(item, "weight", pointer, _WEIGHT_LIMIT),
            components=tuple(one for one in components if one),
        )
        return factor if factor.components else None

    def _component(self, item: object, pointer: str) -> Component | None:
        if not isinstance(item, dict):
            self._fault(pointer, "a component is a mapping with the keys " + ", ".join(sorted(_COMPONENT_KEYS)))
            return None
        self._keys(item, _COMPONENT_KEYS, pointer)
        field = self._field(item, pointer)
        listed = self._list(item, "rules", pointer)
        rules = [self._rule(one, f"{pointer}/rules/{at}", field) for at, one in enumerate(listed)]
        component = Component(str(item.get("field")), tuple(rule for rule in rules if rule))
        if not component.rules:
            return None
        self._require_reachable(component, pointer)
        self._require_missing_worst(component, pointer)
        return component

    def _field(self, item: dict[str, Any], pointer: str) -> Field | None:
        name = item.get("field")
        if isinstance(name, str) and name in self._fields:
            return self._fields[name]
        self._fault(f"{pointer}/field", f"unknown field; {self._hint(name, self._fields)}")
        return None

    def _rule(self, item: object, pointer: str, field: Field | None) -> ScoringRule | None:
        if not isinstance(item, dict):
            self._fault(pointer, "a rule is a mapping of one condition and points")
            return None
        condition = self._condition(item, pointer, field, also={"points"})
        points = self._count(item, "points", pointer, _POINTS_LIMIT, least=0)
        return ScoringRule(condition, points) if condition else None

    def _require_reachable(self, component: Component, pointer: str) -> None:
        before: set[Condition] = set()
        for at, rule in enumerate(component.rules):
            overtaken = Otherwise() in before and not isinstance(rule.condition, Missing)
            if overtaken or rule.condition in before:
                self._fault(f"{pointer}/rules/{at}", "this rule is never reached: one before it is met first")
            before.add(rule.condition)

    def _require_missing_worst(self, component: Component, pointer: str) -> None:
        """Else leaving a field out would lower the tier."""
        for at, rule in enumerate(component.rules):
            if isinstance(rule.condition, Missing) and rule.points < component.most:
                words = f"what is missing must count as the worst that can be, {component.most}, so that leaving a "
                self._fault(f"{pointer}/rules/{at}/points", words + "field out never lowers the tier")

    def _thresholds(self, document: dict[str, Any]) -> list[Threshold]:
        listed = self._list(document, "thresholds")
        read = [self._threshold(item, f"/thresholds/{at}") for at, item in enumerate(listed)]
        found = [item for item in read if item]
        if found and len(found) == len(listed):
            self._require_whole(found)
        return found

    def _threshold(self, item: object, pointer: str) -> Threshold | None:
        if not isinstance(item, dict):
            self._fault(pointer, "a threshold is a mapping with the keys tier, from and below")
            return None
        self._keys(item, _THRESHOLD_KEYS, pointer)
        faults = len(self._faults)
        tier = self._tier(item, "tier", pointer)
        least = self._count(item, "from", pointer, _TOTAL_LIMIT, least=0)
        below = self._count(item, "below", pointer, _TOTAL_LIMIT) if "below" in item else None
        if len(self._faults) > faults:
            return None
        if below is not None and below <= least:
            self._fault(f"{pointer}/below", f"no total is from {least} and below {below}")
        return Threshold(tier, least, below)

    def _require_whole(self, thresholds: list[Threshold]) -> None:
        """Demand that every total from 0 on lies in one threshold, and that more points never give a lower tier."""
        if least := thresholds[0].least:
            self._fault("/thresholds/0/from", f"a gap: totals from 0 and below {least} have no tier")
        for at, (one, after) in enumerate(pairwise(thresholds), start=1):
            place = f"/thresholds/{at}"
            if one.below is None:
                self._fault(f"/thresholds/{at - 1}", "below is needed: only the last threshold has no end")
            elif after.least > one.below:
                self._fault(f"{place}/from", f"a gap: totals from {one.below} and below {after.least} have no tier")
            elif after.least < one.below:
                self._fault(f"{place}/from", f"an overlap: totals from {after.least} have the tier {one.tier} already")
            if self._tiers.index(after.tier) <= self._tiers.index(one.tier):
                self._fault(f"{place}/tier", f"{after.tier} is not higher than {one.tier}; begin with the lowest tier")
        if thresholds[-1].below is not None:
            at = len(thresholds) - 1
            self._fault(
                f"/thresholds/{at}/below", "a gap: the last threshold has no end, so that each total has a tier"
            )

    def _override(self, item: object, pointer: str) -> Override | None:
        if not isinstance(item, dict):
            self._fault(pointer, "an override is a mapping with the keys id, title, field, at_least and one condition")
            return None
        field = self._field(item, pointer)
        condition = self._condition(item, pointer, field, also=_OVERRIDE_KEYS)
        if isinstance(condition, Otherwise):
            self._fault(f"{pointer}/otherwise", "an override asks for a value; otherwise would always apply")
        or_missing = self._truth(item, "or_missing", pointer) if "or_missing" in item else False
        override = Override(
            id=self._text(item, "id", pointer),
            title=self._text(item, "title", pointer),
            field=str(item.get("field")),
            condition=condition or Missing(),
            at_least=self._tier(item, "at_least", pointer),
            or_missing=or_missing,
        )
        return override if condition else None

    def _tier(self, item: dict[str, Any], key: str, pointer: str) -> str:
        name = item.get(key)
        if isinstance(name, str) and name in self._tiers:
            return name
        self._fault(f"{pointer}/{key}", f"unknown tier; {self._hint(name, self._tiers)}")
        return ""

    def _require_once(self, names: list[str], pointer: str, what: str) -> None:
        for name in sorted(name for name, times in Counter(names).items() if times > 1):
            self._fault(pointer, f"{what} {name} is given twice")

    def _require_reached(self, template: TierTemplate) -> None:
        """Demand that each tier can come about: else a number or a name is not what was meant."""
        for at, threshold in enumerate(template.thresholds):
            if threshold.least > template.most:
                words = f"no total reaches this: the most that the factors give is {template.most}"
                self._fault(f"/thresholds/{at}/from", words)
        reached = {item.tier for item in template.thresholds} | {item.at_least for item in template.overrides}
        for at, name in enumerate(template.tiers):
            if name not in reached:
                self._fault(f"/tiers/{at}", f"no threshold and no override leads to {name}")
