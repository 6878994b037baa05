"""Bias figures equal Fairlearn's to the last digit and published ones; verdicts know when there is too little data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from scipy.stats import binom
from sklearn.metrics import accuracy_score

from explain.errors import EnginesDisagreeError, InvalidParameterError
from explain.fairness import crosscheck
from explain.fairness.assess import assess, assess_counts
from explain.fairness.counts import GroupCounts, count_groups
from explain.fairness.intervals import mover_ratio, wilson
from explain.fairness.metrics import Metric
from explain.fairness.payload import BiasReceipt, bias_payload
from explain.fairness.plan import BiasPlan
from explain.fairness.results import BiasAssessment, Verdict
from explain.tables import table_read

HMDA = Path(__file__).parents[2] / "examples" / "data" / "hmda_boston_1990.csv"
RATES = {
    "selection_rate": fairlearn.selection_rate,
    "true_positive_rate": fairlearn.true_positive_rate,
    "false_positive_rate": fairlearn.false_positive_rate,
    "accuracy": accuracy_score,
}
COMPARISONS = {
    Metric.DEMOGRAPHIC_PARITY_RATIO: fairlearn.demographic_parity_ratio,
    Metric.DEMOGRAPHIC_PARITY_DIFFERENCE: fairlearn.demographic_parity_difference,
    Metric.EQUALIZED_ODDS_DIFFERENCE: fairlearn.equalized_odds_difference,
}


def group(name: str, selected: int, n: int) -> GroupCounts:
    """A group of which only selections are told; every other row turned out favourable."""
    return GroupCounts(name, selected // 2, selected - selected // 2, (n - selected) // 2, (n - selected + 1) // 2)


def value_of(assessment: BiasAssessment, column: str, metric: Metric) -> float | None:
    (value,) = [c.value for c in assessment.criteria if (c.column, c.metric) == (column, metric)]
    return value


@pytest.mark.parametrize("seed", range(8))
def test_equals_fairlearn_to_the_last_digit(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(200, 3000))
    actual, predicted = random.random(size) < 0.7, random.random(size) < random.uniform(0.2, 0.9)
    sensitive = {
        "two": random.choice(["a", "b"], size).tolist(),
        "many": [f"group {number}" for number in random.geometric(0.35, size)],
    }
    assessment = assess(actual, predicted, sensitive, BiasPlan(min_group=1))
    assert assessment.cross_check_max_difference == 0
    for column in assessment.columns:
        rows = np.array(sensitive[column.column], dtype=object)
        frame = fairlearn.MetricFrame(metrics=RATES, y_true=actual, y_pred=predicted, sensitive_features=rows)
        for found in column.groups:
            for name in RATES:
                if (ours := getattr(found, name)) is not None:
                    assert ours == frame.by_group.loc[found.group, name]
        judged = [found.group for found in column.groups if min(found.favourable, found.unfavourable) > 0]
        for metric, theirs in COMPARISONS.items():
            kept = (
                np.isin(rows, judged) if metric is Metric.EQUALIZED_ODDS_DIFFERENCE else np.full(size, fill_value=True)
            )
            expected = theirs(actual[kept], predicted[kept], sensitive_features=rows[kept])
            assert value_of(assessment, column.column, metric) == expected


def test_counts_alone_give_the_same_assessment_as_the_rows() -> None:
    random = np.random.default_rng(5)
    actual, predicted = random.random(500) < 0.6, random.random(500) < 0.5
    rows = [None if draw < 0.1 else f"g{int(draw * 4)}" for draw in random.random(500)]
    plan = BiasPlan(references={"g": "g1"})
    (column,) = assess(actual, predicted, {"g": rows}, plan).columns
    assert column.unknown == sum(row is None for row in rows) > 0
    assert column == assess_counts("g", count_groups(actual, predicted, rows), plan, unknown=column.unknown)


def test_counts_each_cell_of_each_group() -> None:
    actual = np.array([True, True, False, False, True, True])
    predicted = np.array([True, False, True, False, True, True])
    groups = count_groups(actual, predicted, ["x", "x", "x", "x", None, "w"])
    assert groups == (GroupCounts("w", 1, 0, 0, 0), GroupCounts("x", 1, 1, 1, 1))
    assert groups[0].false_positive_rate is None


def test_gives_the_published_figures_of_the_boston_survey() -> None:
    """Of 339 Black applicants 96 were denied, of 2,041 White ones 189; the last row of the file is nobody."""
    table = table_read(HMDA)
    approved = np.array([word == "no" for word in table.texts("deny")])[:-1]
    (column,) = assess(
        approved, approved, {"black": table.texts("black")[:-1]}, BiasPlan(references={"black": "no"})
    ).columns
    white, black = column.groups
    assert (white.n, white.n - white.selected) == (2041, 189)
    assert (black.n, black.n - black.selected) == (339, 96)
    (impact,) = [c for c in column.criteria if c.metric is Metric.ADVERSE_IMPACT_RATIO]
    assert impact.value == pytest.approx(0.789966, abs=5e-7)
    assert impact.verdict is Verdict.FAIL


def test_gives_the_figures_of_the_new_york_rules_scoring_example() -> None:
    """6 RCNY 5-301: 50 of 92 men, 34 of 76 women; 18/28, 15/40, 16/32, 5/8, 10/24 by race, to the best group."""
    sex = assess_counts("sex", (group("Female", 34, 76), group("Male", 50, 92)), BiasPlan(min_group=1))
    assert sex.reference == sex.groups[1]
    assert sex.criteria[2].value == pytest.approx(0.82, abs=0.005)
    counts = {"Hispanic": (18, 28), "White": (15, 40), "Black": (16, 32), "Pacific": (5, 8), "Asian": (10, 24)}
    race = assess_counts("race", tuple(group(name, *pair) for name, pair in counts.items()), BiasPlan(min_group=1))
    assert race.reference is not None
    assert race.reference.group == "Hispanic"
    assert race.criteria[2].value == pytest.approx(0.58, abs=0.005)


FOUR_FIFTHS = {Metric.DEMOGRAPHIC_PARITY_RATIO: 0.8}
EXACT_LINE = group("b", 80, 100)
VERDICTS = {
    "above the line": ([("a", 100, 100), ("b", 81, 100)], {}, Verdict.PASS, "meets"),
    "on the line": ([("a", 100, 100), ("b", 80, 100)], {}, Verdict.PASS, "0.8 meets the line of 0.8"),
    "just below the line": ([("a", 100_000, 100_000), ("b", 79_999, 100_000)], {}, Verdict.FAIL, "0.79999 misses"),
    "one group only": ([("a", 50, 100)], {}, Verdict.INSUFFICIENT_DATA, "one group only"),
    "no group at all": ([], {}, Verdict.INSUFFICIENT_DATA, "No comparison"),
    "nobody selected": ([("a", 0, 100), ("b", 0, 100)], {}, Verdict.INSUFFICIENT_DATA, "nobody"),
    "two people": ([("a", 100, 100), ("b", 2, 2)], {}, Verdict.INSUFFICIENT_DATA, "'b' (n = 2)"),
    "29 people": ([("a", 100, 100), ("b", 29, 29)], {}, Verdict.INSUFFICIENT_DATA, "fewer than 30 rows: 'b'"),
    "30 people": ([("a", 100, 100), ("b", 30, 30)], {}, Verdict.PASS, "meets"),
    "a pass beside a small group": (
        [("a", 100, 100), ("b", 90, 100), ("c", 0, 3)],
        {},
        Verdict.INSUFFICIENT_DATA,
        "0.9 meets the line of 0.8. Too small",
    ),
    "a failure beside a small group": ([("a", 100, 100), ("b", 50, 100), ("c", 3, 3)], {}, Verdict.FAIL, "misses"),
    "a small group under its own size rule": ([("a", 10, 10), ("b", 9, 10)], {"min_group": 10}, Verdict.PASS, "meets"),
    "no line": ([("a", 100, 100), ("b", 10, 100)], {"lines": {}}, Verdict.NOT_APPLICABLE, "no line"),
}


@pytest.mark.parametrize(("counts", "rules", "verdict", "words"), VERDICTS.values(), ids=VERDICTS)
def test_gives_a_verdict_with_its_reason(
    counts: Sequence[tuple[str, int, int]], rules: dict[str, object], verdict: Verdict, words: str
) -> None:
    plan = BiasPlan(**{"lines": FOUR_FIFTHS, **rules})  # type: ignore[arg-type]  # the table mixes fields
    column = assess_counts("g", tuple(group(*entry) for entry in counts), plan)
    (criterion,) = [c for c in column.criteria if c.metric is Metric.DEMOGRAPHIC_PARITY_RATIO]
    assert criterion.verdict is verdict
    assert words in criterion.reason
    assert BiasAssessment(group("all", 1, 2), (column,), 0.0).verdict is verdict


def test_judges_error_rates_only_where_both_denominators_are_large_enough() -> None:
    groups = (GroupCounts("a", 50, 20, 5, 25), GroupCounts("b", 40, 3, 10, 6))
    plan = BiasPlan(lines={Metric.EQUALIZED_ODDS_DIFFERENCE: 0.1})
    column = assess_counts("g", groups, plan)
    by_metric = {criterion.metric: criterion for criterion in column.criteria}
    assert by_metric[Metric.DEMOGRAPHIC_PARITY_RATIO].value is not None
    assert by_metric[Metric.EQUALIZED_ODDS_DIFFERENCE].value is None
    assert by_metric[Metric.EQUALIZED_ODDS_DIFFERENCE].verdict is Verdict.INSUFFICIENT_DATA


def test_takes_a_fixed_reference_group_even_where_another_does_better() -> None:
    groups = (group("men", 20, 100), group("women", 40, 100))
    fixed = assess_counts("sex", groups, BiasPlan(references={"sex": "men"}))
    best = assess_counts("sex", groups, BiasPlan())
    assert fixed.criteria[2].value == 2
    assert best.criteria[2].value == 0.5
    with pytest.raises(InvalidParameterError, match=r"no group 'man'\. Its groups: 'men', 'women'"):
        assess_counts("sex", groups, BiasPlan(references={"sex": "man"}))


def test_the_whole_is_as_grave_as_its_gravest_part_and_unknown_where_a_part_is() -> None:
    good, bad = (group("a", 90, 100), group("b", 90, 100)), (group("a", 90, 100), group("b", 45, 100))
    small = (group("a", 90, 100), group("b", 2, 2))
    columns = {
        name: assess_counts(name, groups, BiasPlan())
        for name, groups in {"good": good, "bad": bad, "small": small}.items()
    }

    def whole(*names: str) -> BiasAssessment:
        return BiasAssessment(group("all", 1, 2), tuple(columns[name] for name in names), 0.0)

    assert whole("good").verdict is Verdict.PASS
    assert whole("good", "small").verdict is Verdict.INSUFFICIENT_DATA
    assert whole("good", "small", "bad").verdict is Verdict.FAIL
    assert whole("good", "bad").worst(Metric.DEMOGRAPHIC_PARITY_RATIO) == 0.5
    assert whole("good", "bad").worst(Metric.DEMOGRAPHIC_PARITY_DIFFERENCE) == 0.45
    assert whole("good", "small").worst(Metric.DEMOGRAPHIC_PARITY_RATIO) is None
    assert whole("good", "small").min_group_n == 2


def test_notices_when_fairlearn_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    actual = np.tile([True, False], 100)
    rows = ["a"] * 100 + ["b"] * 100
    assert assess(actual, actual, {"g": rows}, BiasPlan()).cross_check_max_difference == 0
    monkeypatch.setattr(fairlearn, "demographic_parity_difference", lambda *_rows, **_groups: 1e-9)
    with pytest.raises(EnginesDisagreeError, match="bias metrics"):
        assess(actual, actual, {"g": rows}, BiasPlan())
    assert crosscheck.TOLERANCE == 1e-12


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1),
    ],
)
def test_wilson_intervals_are_the_published_ones(part: int, whole: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3 (the last row is the third mirrored)."""
    assert [*wilson(part, whole)] == pytest.approx([low, high], abs=5e-5)


@pytest.mark.parametrize(
    "counts", [(99, 146, 741, 808), (3, 3, 741, 808), (0, 12, 5, 9), (1, 20, 1, 20), (7, 34, 1, 34)]
)
def test_ratio_intervals_solve_the_equations_that_define_them(counts: tuple[int, int, int, int]) -> None:
    """Each end is as far from the estimate, in both directions at once, as the Wilson ends are (Newcombe 2016)."""
    part, whole, reference_part, reference_whole = counts
    (low, high), rate = wilson(part, whole), part / whole
    (reference_low, reference_high), reference = (
        wilson(reference_part, reference_whole),
        reference_part / reference_whole,
    )
    lowest, highest = mover_ratio(*counts)
    assert None not in {low, high, reference_low, reference_high, lowest, highest}
    assert (rate - lowest * reference) ** 2 == pytest.approx(  # type: ignore[operator]
        (rate - low) ** 2 + (lowest * (reference_high - reference)) ** 2  # type: ignore[operator]
    )
    assert (rate - highest * reference) ** 2 == pytest.approx(  # type: ignore[operator]
        (high - rate) ** 2 + (highest * (reference - reference_low)) ** 2  # type: ignore[operator]
    )


@pytest.mark.parametrize(
    ("rate", "reference", "n", "reference_n"), [(0.7, 0.9, 40, 80), (0.9, 0.9, 30, 30), (0.1, 0.2, 40, 60)]
)
def test_ratio_intervals_cover_the_truth_as_often_as_they_say(
    rate: float, reference: float, n: int, reference_n: int
) -> None:
    """Exact coverage: the probability of every table whose interval holds the true ratio."""
    chances, reference_chances = (
        binom.pmf(range(n + 1), n, rate),
        binom.pmf(range(reference_n + 1), reference_n, reference),
    )
    covered = 0.0
    for part, chance in enumerate(chances):
        for reference_part, reference_chance in enumerate(reference_chances):
            low, high = mover_ratio(part, n, reference_part, reference_n)
            if low is None or high is None or low <= rate / reference <= high:
                covered += chance * reference_chance
    assert 0.935 < covered < 0.975


def test_intervals_of_nothing_are_unknown() -> None:
    assert wilson(0, 0) == (None, None)
    assert mover_ratio(5, 10, 0, 10) == mover_ratio(0, 0, 5, 10) == (None, None)


def test_the_payload_is_plain_and_marks_reference_and_judged_groups() -> None:
    plan = BiasPlan()
    column = assess_counts("g", (group("a", 90, 100), group("b", 1, 1), group("c", 0, 0)), plan)
    assessment = BiasAssessment(group("all", 91, 101), (column,), 0.0)
    receipt = BiasReceipt(None, "sha256:00", {}, {}, 101, 0.0, 1e-12)
    payload = bias_payload(assessment, plan, receipt, auc=None)
    first, second, third = payload["groups"]
    assert (first["is_reference"], first["is_judged"], first["adverse_impact_ratio_low"]) == (True, True, None)
    assert (second["is_reference"], second["is_judged"]) == (False, False)
    assert second["adverse_impact_ratio"] == pytest.approx(1 / 0.9)
    assert second["adverse_impact_ratio_low"] < 1 < second["adverse_impact_ratio_high"]
    assert third["selection_rate"] is None
    assert payload["demographic_parity_ratio"] is None
    assert payload["verdict"] == "insufficient_data"
