"""Attributions are Shapley values: they equal values worked out by hand and by full enumeration."""

import json
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from explain.errors import AdditivityError, EnginesDisagreeError
from explain.models_io.boosters import TreeModel, model_load
from explain.payload import silent
from explain.shapley import attributions as engine
from explain.shapley.attributions import (
    Attributions,
    OutputSpace,
    attribute_interventional,
    attribute_path_dependent,
    cross_check,
)
from explain.shapley.explanation import highest_rows, importance_rank
from explain.tables import Floats

NAMES = ("a", "b", "c", "d")


def sample(rows: int, seed: int = 3) -> Floats:
    """Rows with ties and gaps; `d` says nothing about the outcome."""
    random = np.random.default_rng(seed)
    values = np.round(random.normal(size=(rows, 4)), 1)
    values[random.random(values.shape) < 0.15] = np.nan
    return values


def trained(rows: Floats, **options: Any) -> TreeModel:
    known = np.nan_to_num(rows)
    labels = known[:, 0] + known[:, 1] * known[:, 2] > 0.3
    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": 1, **options}
    rounds = settings.pop("rounds", 5)
    booster = xgb.train(settings, xgb.DMatrix(rows, label=labels, feature_names=list(NAMES)), rounds)
    return model_load(bytes(booster.save_raw("json")))


@pytest.fixture(scope="module")
def rows() -> Floats:
    return sample(400)


@pytest.fixture(scope="module")
def model(rows: Floats) -> TreeModel:
    return trained(rows)


def expectation(tree: dict[str, list[Any]], row: Floats, known: frozenset[int], node: int = 0) -> float:
    """A tree's output where only some features are known: unknown splits are averaged by training weight."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left == -1:
        return float(tree["split_conditions"][node])
    feature = tree["split_indices"][node]
    if feature in known:
        value = np.float32(row[feature])
        goes_left = bool(tree["default_left"][node]) if np.isnan(value) else value < tree["split_conditions"][node]
        return expectation(tree, row, known, left if goes_left else right)
    weights: list[float] = tree["sum_hessian"]
    below = [expectation(tree, row, known, child) * weights[child] for child in (left, right)]
    return float(sum(below) / weights[node])


def enumerated(model: TreeModel, row: Floats) -> Floats:
    """Shapley values from the definition (Shapley 1953), over all subsets of features."""
    document = json.loads(model.booster.save_raw("json"))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    worth = {
        frozenset(subset): sum(expectation(tree, row, frozenset(subset)) for tree in trees)
        for size in range(len(NAMES) + 1)
        for subset in combinations(range(len(NAMES)), size)
    }
    values = np.zeros(len(NAMES))
    for subset, alone in worth.items():
        for feature in set(range(len(NAMES))) - subset:
            share = factorial(len(subset)) * factorial(len(NAMES) - len(subset) - 1) / factorial(len(NAMES))
            values[feature] += share * (worth[subset | {feature}] - alone)
    return values


def test_path_dependent_values_equal_full_enumeration(model: TreeModel, rows: Floats) -> None:
    found = attribute_path_dependent(model, rows, silent)
    for row in range(0, len(rows), 40):
        np.testing.assert_allclose(found.values[row], enumerated(model, rows[row]), atol=2e-6)


def test_interventional_values_equal_the_definition_against_every_background_row(
    model: TreeModel, rows: Floats
) -> None:
    background = sample(150, seed=9)
    found = attribute_interventional(model, rows[:3], background, OutputSpace.MARGIN)
    assert found.base == pytest.approx(float(model.margins(model.matrix(background)).mean()), abs=1e-5)
    for row in range(3):
        values = np.zeros(len(NAMES))
        for feature in range(len(NAMES)):
            others = [other for other in range(len(NAMES)) if other != feature]
            for size in range(len(NAMES)):
                share = factorial(size) * factorial(len(NAMES) - size - 1) / factorial(len(NAMES))
                for subset in combinations(others, size):
                    without, with_it = background.copy(), background.copy()
                    without[:, subset] = rows[row, subset]
                    with_it[:, [*subset, feature]] = rows[row, [*subset, feature]]
                    gain = model.margins(model.matrix(with_it)) - model.margins(model.matrix(without))
                    values[feature] += share * float(gain.mean())
        np.testing.assert_allclose(found.values[row], values, atol=2e-6)


def test_a_single_split_gives_the_values_worked_out_by_hand() -> None:
    rows = np.column_stack([np.repeat([0.0, 1.0], [30, 10]), np.zeros((40, 3))])
    labels = rows[:, 0]
    booster = xgb.train(
        {"objective": "reg:squarederror", "max_depth": 1, "eta": 1, "lambda": 0, "base_score": 0},
        xgb.DMatrix(rows, label=labels, feature_names=list(NAMES)),
        1,
    )
    found = attribute_path_dependent(model_load(bytes(booster.save_raw("json"))), rows, silent)
    # The leaves are 0 and 1, three rows in four fall into the first: the mean is 1/4.
    assert found.base == pytest.approx(0.25)
    np.testing.assert_allclose(found.values[0], [-0.25, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(found.values[-1], [0.75, 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize("space", OutputSpace)
def test_interventional_values_add_up_in_either_space(model: TreeModel, rows: Floats, space: OutputSpace) -> None:
    found = attribute_interventional(model, rows[:20], rows, space)
    matrix = model.matrix(rows[:20])
    outputs = model.margins(matrix) if space is OutputSpace.MARGIN else model.probabilities(matrix)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), outputs, atol=1e-5)


def test_batches_do_not_change_the_values(model: TreeModel, rows: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = attribute_path_dependent(model, rows, silent)
    monkeypatch.setattr(engine, "BATCH_ROWS", 7)
    told: list[tuple[int, int, str]] = []
    parts = attribute_path_dependent(model, rows, lambda *step: told.append(step))
    np.testing.assert_array_equal(parts.values, whole.values)
    assert told[0][:2] == (7, 400)
    assert told[-1][:2] == (400, 400)


def test_the_second_implementation_agrees_and_notices_a_changed_value(model: TreeModel, rows: Floats) -> None:
    found = attribute_path_dependent(model, rows, silent)
    assert cross_check(model, rows, found, size=50, seed=4) < 1e-5
    changed = Attributions(found.values + np.array([0.01, 0, 0, 0]), found.base, found.outputs)
    with pytest.raises(EnginesDisagreeError, match=r"attributions differ by 0\.01"):
        cross_check(model, rows, changed, size=50, seed=4)


def test_the_second_implementation_is_not_the_first(
    model: TreeModel, rows: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = attribute_path_dependent(model, rows, silent)

    def forbidden(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("the check asked XGBoost, whose values it is to check")

    monkeypatch.setattr(xgb.Booster, "predict", forbidden)
    cross_check(model, rows, found, size=10, seed=4)


def test_values_between_two_32_bit_numbers_take_the_side_that_the_model_takes(model: TreeModel, rows: Floats) -> None:
    document = json.loads(model.booster.save_raw("json"))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    splits = np.unique([np.float32(value) for tree in trees for value in tree["split_conditions"]]).astype(float)
    hairline = np.column_stack([splits - 1e-12] * len(NAMES))
    found = attribute_path_dependent(model, hairline, silent)
    cross_check(model, hairline, found, size=len(hairline), seed=0)
    against = attribute_interventional(model, rows[:50], hairline, OutputSpace.MARGIN)
    assert against.base == pytest.approx(float(model.margins(model.matrix(hairline)).mean()), abs=1e-5)


def test_attributions_that_do_not_add_up_are_not_given_out(
    model: TreeModel, rows: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TreeModel, "margins", lambda _self, matrix: np.full(matrix.num_row(), 0.5))
    with pytest.raises(AdditivityError, match="miss the model's output"):
        attribute_path_dependent(model, rows, silent)


def test_ranks_features_with_a_normal_interval_and_equal_ones_by_name() -> None:
    values = np.array([[1.0, -2.0, 0.0], [3.0, 2.0, 0.0]])
    first, second, third = importance_rank(values, ("b", "a", "c"))
    assert [entry.feature for entry in (first, second, third)] == ["a", "b", "c"]
    assert (first.mean_abs, first.low, first.high) == (2, 2, 2)
    # The sizes 1 and 3 have a standard deviation of sqrt(2), so the mean's is 1.
    assert second.low == pytest.approx(2 - 1.959964)
    assert second.high == pytest.approx(2 + 1.959964)
    (alone, *_) = importance_rank(values[:1], ("b", "a", "c"))
    assert (alone.feature, alone.low, alone.high) == ("a", 2, 2)


def test_explains_the_highest_rows_first_and_names_rows_from_one() -> None:
    values = np.array([[0.0, 1.0], [0.5, -3.0], [1.0, 0.0], [0.0, 1.0]])
    found = Attributions(values, 0.0, np.array([1.0, -2.5, 1.0, 1.0]))
    rows = highest_rows(found, ("x", "y"), 3)
    assert [row.row for row in rows] == [1, 3, 4]
    assert rows[0].contributions == (("y", 1.0), ("x", 0.0))
    assert highest_rows(found, ("x", "y"), 0) == ()
