"""A tier template with a fault is refused when it is drafted, with the place of every fault."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tier_samples import FIELDS, RIGHT, parsed, text

from governance.selectors.tier_fields import TIER_FIELDS
from governance.tiering.document import DOCUMENT_LIMIT, parse_template
from governance.tiering.errors import TierTemplateError
from governance.tiering.evaluation import tier_evaluate
from governance.tiering.fields import Snapshot
from governance.tiering.template import Contains, Is, Missing, OneOf, Otherwise, Range, Within

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiers" / "model-risk-tier.yaml"
FACTOR, COMPONENT = RIGHT["factors"][0], RIGHT["factors"][0]["components"][0]
OVERRIDE = RIGHT["overrides"][0]
HUGE = 10**400


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def with_factor(**changed: Any) -> dict[str, Any]:
    return RIGHT | {"factors": [FACTOR | changed]}


def with_rules(*rules: Any, field: str = "s.count") -> dict[str, Any]:
    return with_factor(components=[{"field": field, "rules": list(rules)}])


def with_override(**changed: Any) -> dict[str, Any]:
    return RIGHT | {"overrides": [OVERRIDE | changed]}


def with_thresholds(*thresholds: Any) -> dict[str, Any]:
    named = [dict(zip(("tier", "from", "below"), item, strict=False)) for item in thresholds]
    return RIGHT | {"thresholds": named}


FACTORS, RULES = "/factors/0", "/factors/0/components/0/rules"
FAULTY: dict[str, tuple[dict[str, Any], set[str]]] = {
    **{f"no {key}": (without(RIGHT, key), {f"/{key}"}) for key in ("template", "title", "factors", "thresholds")},
    "no tiers": (
        without(RIGHT, "tiers"), {"/tiers", "/thresholds/0/tier", "/thresholds/1/tier", "/overrides/0/at_least"}
    ),
    "a key too many": (RIGHT | {"owner": "me"}, {"/owner"}),
    "a name that no address could hold": (RIGHT | {"template": "Model Risk"}, {"/template"}),
    "one tier": (RIGHT | {"tiers": ["low"]}, {"/tiers", "/thresholds/1/tier", "/overrides/0/at_least"}),
    "eleven tiers": (RIGHT | {"tiers": ["low", "high", *(f"t{at}" for at in range(9))]}, {"/tiers"}),
    "a tier twice": (RIGHT | {"tiers": ["low", "high", "low"]}, {"/tiers"}),
    "a tier that YAML takes for a truth": (RIGHT | {"tiers": ["low", "high", False]}, {"/tiers/2"}),
    "a tier with a capital": (RIGHT | {"tiers": ["low", "high", "Top"]}, {"/tiers/2"}),
    "a tier too long": (RIGHT | {"tiers": ["low", "high", "t" * 41]}, {"/tiers/2"}),
    "a tier that nothing leads to": (RIGHT | {"tiers": ["low", "high", "top"]}, {"/tiers/2"}),
    "a factor that is no mapping": (RIGHT | {"factors": ["SIZE"]}, {FACTORS}),
    "a factor twice": (RIGHT | {"factors": [FACTOR, deepcopy(FACTOR)]}, {"/factors"}),
    "an aggregation that there is not": (with_factor(aggregation="mean"), {f"{FACTORS}/aggregation"}),
    "an aggregation that is a list": (with_factor(aggregation=["sum"]), {f"{FACTORS}/aggregation"}),
    **{
        f"a weight of {weight!r}": (with_factor(weight=weight), {f"{FACTORS}/weight"})
        for weight in (0, -1, 101, True, 0.5, "2", None, float("nan"), float("inf"), HUGE)
    },
    "no components": (with_factor(components=[]), {f"{FACTORS}/components"}),
    "a component that is no mapping": (with_factor(components=[3]), {f"{FACTORS}/components/0"}),
    "a field that there is not": (
        with_factor(components=[COMPONENT | {"field": "s.cuont"}]), {f"{FACTORS}/components/0/field"}
    ),
    "a field that is a list": (
        with_factor(components=[COMPONENT | {"field": ["s.count"]}]), {f"{FACTORS}/components/0/field"}
    ),
    "no rules": (with_rules(), {RULES}),
    "a rule that is no mapping": (with_rules("from 3"), {f"{RULES}/0"}),
    "a rule without a condition": (with_rules({"points": 1}), {f"{RULES}/0"}),
    "a rule with two conditions": (with_rules({"from": 1, "missing": True, "points": 1}), {f"{RULES}/0"}),
    "a condition that there is not": (with_rules({"matches": ".*", "points": 1}), {f"{RULES}/0", f"{RULES}/0/matches"}),
    **{
        f"points of {points!r}": (with_rules({"otherwise": True, "points": points}), {f"{RULES}/0/points"})
        for points in (-1, 1001, True, 1.5, "1", None, float("nan"), HUGE)
    },
    **{
        f"a range from {least!r}": (with_rules({"from": least, "points": 1}), {f"{RULES}/0/from"})
        for least in (-1, True, 1.5, "1", float("nan"), float("-inf"), 2**53, HUGE)
    },
    "an empty range": (with_rules({"from": 5, "below": 5, "points": 1}), {f"{RULES}/0/below"}),
    "a range of a truth": (with_rules({"from": 1, "points": 1}, field="s.truth"), {f"{RULES}/0/from"}),
    "a truth of a count": (with_rules({"is": True, "points": 1}), {f"{RULES}/0/is"}),
    "a truth that is a number": (with_rules({"is": 1, "points": 1}, field="s.truth"), {f"{RULES}/0/is"}),
    "a text in a choice": (with_rules({"contains": ["m"], "points": 1}, field="s.choice"), {f"{RULES}/0/contains"}),
    "a value that a choice cannot have": (
        with_rules({"one_of": ["ml", "mk"], "points": 1}, field="s.choice"), {f"{RULES}/0/one_of/1"}
    ),
    "a value that YAML takes for a truth": (
        with_rules({"one_of": [False], "points": 1}, field="s.text"), {f"{RULES}/0/one_of/0"}
    ),
    "an empty text, which everything contains": (
        with_rules({"contains": [" "], "points": 1}, field="s.text"), {f"{RULES}/0/contains/0"}
    ),
    "missing that is not so": (with_rules({"missing": False, "points": 1}), {f"{RULES}/0/missing"}),
    "missing that lowers the tier": (
        with_rules({"from": 0, "points": 3}, {"missing": True, "points": 2}), {f"{RULES}/1/points"}
    ),
    "a rule after otherwise": (
        with_rules({"otherwise": True, "points": 1}, {"from": 3, "points": 2}), {f"{RULES}/1"}
    ),
    "a rule twice": (with_rules({"from": 3, "points": 1}, {"from": 3, "points": 2}), {f"{RULES}/1"}),
    "totals below the first threshold": (with_thresholds(("low", 1, 7), ("high", 7)), {"/thresholds/0/from"}),
    "a gap": (with_thresholds(("low", 0, 6), ("high", 7)), {"/thresholds/1/from"}),
    "an overlap": (with_thresholds(("low", 0, 7), ("high", 6)), {"/thresholds/1/from"}),
    "a last threshold with an end": (with_thresholds(("low", 0, 7), ("high", 7, 9)), {"/thresholds/1/below"}),
    "a first threshold without an end": (with_thresholds(("low", 0), ("high", 7)), {"/thresholds/0"}),
    "a threshold of no total": (with_thresholds(("low", 0, 0), ("high", 0)), {"/thresholds/0/below"}),
    "a threshold that no total reaches": (with_thresholds(("low", 0, 10), ("high", 10)), {"/thresholds/1/from"}),
    "tiers that fall as totals rise": (with_thresholds(("high", 0, 7), ("low", 7)), {"/thresholds/1/tier"}),
    "a threshold of a tier that there is not": (with_thresholds(("low", 0, 7), ("hihg", 7)), {"/thresholds/1/tier"}),
    "a total that is no number": (with_thresholds(("low", 0, True), ("high", 7)), {"/thresholds/0/below"}),
    "overrides that are empty": (RIGHT | {"overrides": []}, {"/overrides"}),
    "an override twice": (RIGHT | {"overrides": [OVERRIDE, dict(OVERRIDE)]}, {"/overrides"}),
    "an override to a tier that there is not": (with_override(at_least="top"), {"/overrides/0/at_least"}),
    "an override of any value": (
        RIGHT | {"overrides": [without(OVERRIDE, "is") | {"otherwise": True}]}, {"/overrides/0/otherwise"}
    ),
    "an override with a text for a truth": (with_override(or_missing="yes"), {"/overrides/0/or_missing"}),
    "several faults, each in its place": (
        with_factor(weight=0, components=[{"field": "x", "rules": [{"points": -1}]}]) | {"title": ""},
        {"/title", f"{FACTORS}/weight", f"{FACTORS}/components/0/field", f"{RULES}/0", f"{RULES}/0/points"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTY)
def test_each_fault_is_named_by_its_place(what: str) -> None:
    document, pointers = FAULTY[what]
    with pytest.raises(TierTemplateError) as refusal:
        parsed(document)
    faults = refusal.value.diagnostics
    assert {item.pointer for item in faults} == pointers
    assert all(item.message and item.line and item.excerpt.endswith("^") for item in faults)


TEXT = text(RIGHT)
NO_TEMPLATE: dict[str, str] = {
    "nothing": "",
    "a list": "- 1",
    "two documents": f"{TEXT}---\n{TEXT}",
    "a key twice": f"{TEXT}title: again\n",
    "an alias": TEXT.replace("title: Two factors", "title: &t Two factors") + "owner: *t\n",
    "an object of a program": TEXT + "owner: !!python/object/apply:os.system ['false']\n",
    "lists without end": "[" * 20_000,
    "nested deeper than any template": "template: " + "[" * 20 + "]" * 20,
    "a number of 5,000 digits": TEXT.replace("weight: 2", "weight: " + "9" * 5000),
    "a text of a megabyte": f"{TEXT}# {'x' * 1_000_000}",
    "one character too long": TEXT + "#" * (DOCUMENT_LIMIT - len(TEXT) + 1),
}


@pytest.mark.parametrize("what", NO_TEMPLATE)
def test_what_is_not_one_unambiguous_document_is_refused_as_a_whole(what: str) -> None:
    with pytest.raises(TierTemplateError) as refusal:
        parse_template(NO_TEMPLATE[what], fields=FIELDS)
    assert [item.pointer for item in refusal.value.diagnostics] == [""]


def test_a_document_full_of_faults_names_the_first_hundred() -> None:
    many = with_rules(*({"one_of": [f"v{at}", f"w{at}"], "points": 1} for at in range(900)), field="s.places")
    with pytest.raises(TierTemplateError) as refusal:
        parsed(many)
    assert len(refusal.value.diagnostics) == 100


def test_a_misspelt_name_is_pointed_at_and_the_one_meant_is_named() -> None:
    misspelt = TEXT.replace("at_least: high", "at_least: hihg")
    with pytest.raises(TierTemplateError) as refusal:
        parse_template(misspelt, fields=FIELDS)
    (fault,) = refusal.value.diagnostics
    shown, caret = fault.excerpt.splitlines()
    assert fault.message == 'unknown tier; did you mean "high"?'
    assert (shown, caret.index("^") - len(" | ")) == (" |   at_least: hihg", fault.column - 1)
    assert misspelt.splitlines()[fault.line - 1].index("hihg") == fault.column - 1


def test_the_template_that_all_faults_were_made_from_is_right() -> None:
    template = parsed(RIGHT)
    assert (template.template, template.tiers, template.most) == ("small", ("low", "high"), 9)
    assert template.fields == {"s.count", "s.choice", "s.text", "s.truth"}
    assert [item.id for item in template.factors] == ["SIZE", "KIND"]


def test_the_template_of_the_examples_names_fields_that_exist() -> None:
    template = parse_template(EXAMPLE.read_text(), fields=TIER_FIELDS)
    assert template.tiers == ("low", "medium", "high", "critical")
    assert f"```yaml\n{EXAMPLE.read_text()}```\n" in (EXAMPLE.parents[2] / "docs" / "tiering.md").read_text()


def test_the_worked_example_of_the_documentation_comes_out_as_it_says() -> None:
    template = parse_template(EXAMPLE.read_text(), fields=TIER_FIELDS)
    values: dict[str, Any] = {
        "declared.exposure": 120_000_000, "declared.persons_per_year": 40_000, "declared.solely_automated": False,
        "declared.decision_domains": ("credit",), "declared.eu_ai_act_class": "outside",
        "models.methodology": ("ml",), "models.provenance": ("internal",),
        "system.contains_phi": False, "system.decision_supported": "Denial of a mortgage",
    }  # fmt: skip
    working = tier_evaluate(template, Snapshot("sys_1", values), "")
    assert [(item.points, item.weighted) for item in working.factors] == [(3, 9), (3, 6), (4, 12)]
    assert (working.total, working.suggested) == (27, "high")
    unknown = tier_evaluate(template, Snapshot("sys_1", values | {"declared.exposure": None}), "")
    assert (unknown.total, unknown.suggested) == (30, "high")


@pytest.mark.parametrize(
    ("condition", "meets", "fails"),
    [
        (Is(True), (True,), (False, None, 1, "true")),
        (Range(5, 9), (5, 8), (4, 9, None, True, "7")),
        (Range(None, 1), (0,), (1, False, None)),
        (OneOf(("ml", "a")), ("ml", ("a", "b")), ("ML", "m", ("b",), (), None)),
        (Contains(("ÄRGER", "x")), ("viel ärger", "X", ("a", "aXb")), ("arger", (), None)),
        (Within(("US-MA", "EU")), (("US-MA",), ("US",), ("DE",), ("EU", "JP")), (("US-CO",), ("JP",), (), None)),
        (Missing(), (None,), (False, 0, "", ())),
        (Otherwise(), (False, 0, "", ()), (None,)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_condition_holds_of_these_values_and_no_others(condition: Any, meets: Any, fails: Any) -> None:
    assert all(condition.holds(value) for value in meets)
    assert not any(condition.holds(value) for value in fails)
    assert condition.words
