"""The same template and fields give the same tier, byte for byte; what is missing never lowers it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tier_samples import FIELDS, RIGHT, VALUES, parsed, snapshot

from governance.tiering.errors import TierFieldsError
from governance.tiering.evaluation import Working, tier_evaluate
from governance.tiering.fields import SNAPSHOT_FORMAT, Snapshot
from governance.tiering.template import (
    Aggregation,
    Component,
    Factor,
    Is,
    Otherwise,
    Override,
    ScoringRule,
    Threshold,
    TierTemplate,
)
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest

TEMPLATE = parsed(RIGHT)


def worked(taken: Snapshot, template: TierTemplate = TEMPLATE) -> Working:
    return tier_evaluate(template, taken, Digest.of(taken.to_bytes()).text)


@pytest.mark.parametrize(
    ("changed", "points", "total", "suggested"),
    [
        ({}, [2, 1], 3, "low"),
        ({"count": 100}, [6, 1], 7, "high"),
        ({"count": 99, "choice": "ml"}, [2, 2], 4, "low"),
        ({"text": "on DENIAL of credit"}, [2, 3], 5, "low"),
        ({"count": None}, [6, 1], 7, "high"),
        ({"truth": True}, [2, 1], 3, "high"),
        ({"count": 2**53 - 1, "text": "denial", "truth": True}, [6, 3], 9, "high"),
    ],
    ids=str,
)
def test_points_are_joined_weighted_and_summed_and_the_total_lies_in_a_threshold(
    changed: dict[str, Any], points: list[int], total: int, suggested: str
) -> None:
    working = worked(snapshot(**changed))
    assert [item.weighted for item in working.factors] == points
    assert (working.total, working.suggested, working.problems) == (total, suggested, ())


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"choice": None}, "s.choice is missing; no rule scores that"),
        ({"text": None}, "s.text is missing; no rule scores that"),
        ({"truth": None}, "s.truth is missing, so it is not known whether override PHI applies"),
    ],
    ids=str,
)
def test_a_missing_value_that_no_rule_scores_leaves_it_incomplete(changed: dict[str, Any], problem: str) -> None:
    working = worked(snapshot(**changed))
    assert working.problems == (problem,)
    assert (working.total, working.threshold, working.suggested) == (None, None, None)


def test_an_override_may_count_what_is_missing() -> None:
    (override,) = TEMPLATE.overrides
    unknown = replace(TEMPLATE, overrides=(replace(override, or_missing=True),))
    assert worked(snapshot(truth=None), unknown).suggested == "high"


def test_the_working_tells_every_step_and_is_the_same_bytes_again() -> None:
    first, again = worked(snapshot(count=None, truth=True)), worked(snapshot(truth=True, count=None))
    assert first.to_bytes() == again.to_bytes()
    told = json.loads(first.to_bytes())
    size, kind = told["factors"]
    assert size["components"] == [
        {"field": "s.count", "value": None, "rule": 3, "condition": "missing", "points": 3, "problem": ""}
    ]
    assert (size["points"], size["weight"], size["weighted"]) == (3, 2, 6)
    assert [item["rule"] for item in kind["components"]] == [2, 2]
    assert told["threshold"] == {"tier": "high", "from": 7, "below": None}
    assert [(item["id"], item["applies"], item["at_least"]) for item in told["overrides"]] == [("PHI", True, "high")]
    assert (told["total"], told["suggested"]) == (7, "high")
    assert (told["template_digest"], told["fields_digest"]) == (
        TEMPLATE.digest,
        Digest.of(snapshot(count=None, truth=True).to_bytes()).text,
    )


# --- The frozen fields ------------------------------------------------------------------------------------------------
def test_a_snapshot_is_read_back_as_it_was_written() -> None:
    taken = snapshot(set=("credit", "housing"), places=("US",), count=None)
    assert Snapshot.from_bytes(taken.to_bytes(), FIELDS) == taken


def stored(**changed: Any) -> dict[str, Any]:
    return {"format": SNAPSHOT_FORMAT, "system": "sys_1", "fields": VALUES} | changed


UNREADABLE: dict[str, Any] = {
    "another format": stored(format="modelnotary-tier-fields/v2"),
    "no system": {"format": SNAPSHOT_FORMAT, "fields": {}},
    "a key too many": stored(at="now"),
    "fields that are a list": stored(fields=[]),
    "a field that there is not": stored(fields={"s.wealth": 1}),
    "a truth that is a number": stored(fields={"s.truth": 1}),
    "a count that is a truth": stored(fields={"s.count": True}),
    "a count that is a fraction": stored(fields={"s.count": 1.5}),
    "a count below nothing": stored(fields={"s.count": -1}),
    "a text that is a list": stored(fields={"s.text": ["a"]}),
    "a set that is not sorted": stored(fields={"s.set": ["housing", "credit"]}),
    "a set with a number": stored(fields={"s.set": [1]}),
    "an object": stored(fields={"s.set": {"a": 1}}),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_fields_that_no_service_wrote_are_refused(what: str) -> None:
    with pytest.raises(TierFieldsError):
        Snapshot.from_bytes(canonical_bytes(UNREADABLE[what]), FIELDS)


def test_bytes_that_are_no_canonical_json_are_refused() -> None:
    for data in (b"", b"{", b'{"a": 1}', b"[" * 5000, b"\xff"):
        with pytest.raises(TierFieldsError):
            Snapshot.from_bytes(data, FIELDS)


def test_other_fields_than_the_template_reads_are_refused() -> None:
    with pytest.raises(TierFieldsError, match=r"s\.places, s\.truth"):
        worked(Snapshot("sys_1", {"s.count": 7, "s.choice": "ml", "s.text": "", "s.places": ()}))


# --- Whatever the template --------------------------------------------------------------------------------------------
POINTS = st.integers(0, 1000)


@st.composite
def templates(draw: st.DrawFn) -> TierTemplate:
    """Any template of factors with one rule for each component, whose thresholds cover what they must."""
    tiers = tuple(f"tier-{number}" for number in range(draw(st.integers(2, 5))))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    factors = tuple(
        Factor(
            id=f"F-{at}",
            title="f",
            aggregation=draw(st.sampled_from(Aggregation)),
            weight=draw(st.integers(1, 100)),
            components=tuple(Component("s.count", (ScoringRule(Otherwise(), draw(POINTS)),)) for _ in range(size)),
        )
        for at, size in enumerate(sizes)
    )
    cuts = sorted(draw(st.sets(st.integers(1, 400_000), min_size=len(tiers) - 1, max_size=len(tiers) - 1)))
    thresholds = tuple(
        Threshold(tier, least, below) for tier, least, below in zip(tiers, [0, *cuts], [*cuts, None], strict=True)
    )
    override = Override("O", "o", "s.truth", Is(value=True), draw(st.sampled_from(tiers)), or_missing=False)
    return TierTemplate("any", "t", "sha256:" + "0" * 64, tiers, factors, thresholds, (override,))


def raised(template: TierTemplate, factor: int, component: int, by: int) -> TierTemplate:
    """The template with more points for one component."""
    factors = list(template.factors)
    at = factor % len(factors)
    components = list(factors[at].components)
    here = component % len(components)
    components[here] = Component("s.count", (ScoringRule(Otherwise(), components[here].most + by),))
    factors[at] = replace(factors[at], components=tuple(components))
    return replace(template, factors=tuple(factors))


@given(templates(), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5000), st.booleans())
def test_more_points_for_any_component_never_lower_the_tier(
    template: TierTemplate, factor: int, component: int, by: int, phi: bool
) -> None:
    taken = Snapshot("sys_1", {"s.count": 1, "s.truth": phi})
    before, after = worked(taken, template), worked(taken, raised(template, factor, component, by))
    rank = template.tiers.index
    assert before.suggested is not None
    assert after.suggested is not None
    assert rank(after.suggested) >= rank(before.suggested)
    assert before.threshold is not None
    overridden = [item.at_least for item in template.overrides if phi]
    assert rank(before.suggested) == max(map(rank, [before.threshold.tier, *overridden]))


@given(templates(), st.integers(0, 10**9))
def test_every_total_lies_in_exactly_one_threshold(template: TierTemplate, total: int) -> None:
    holding = [
        item for item in template.thresholds if item.least <= total and (item.below is None or total < item.below)
    ]
    assert holding == [template.threshold_of(total)]
