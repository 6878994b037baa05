"""The training runs give the same models every time, and the figures that MITIGATION.md states."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.bank_train import VERSION_1, VERSION_2, bank_train
from examples.hospital_train import families, hospital_train
from examples.mitigation_study import CANDIDATES, measure, reweighing
from examples.training import TrainedModel, held_out, threshold_for_rate
from explain.assessment import bias_run, explanation_run
from explain.tables import table_read

MITIGATION = (Path(__file__).parents[2] / "examples" / "MITIGATION.md").read_text(encoding="utf-8")
PROSE = re.sub(r"\s+", " ", MITIGATION)


@dataclass(frozen=True)
class Assessed:
    """A training run and its two assessments on the holdout."""

    trained: TrainedModel
    bias: Mapping[str, Any]
    explanation: Mapping[str, Any]

    def group(self, column: str, name: str) -> Mapping[str, Any]:
        """One group's figures."""
        found: list[Mapping[str, Any]] = [
            entry for entry in self.bias["groups"] if (entry["column"], entry["group"]) == (column, name)
        ]
        return found[0]


def assessed(trained: TrainedModel) -> Assessed:
    own = {name: trained.parameters[name] for name in ("threshold", "encoding")}
    return Assessed(
        trained,
        bias_run(trained.model_path, trained.holdout_path, {**own, **trained.bias_parameters}),
        explanation_run(trained.model_path, trained.holdout_path, own),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assessed]:
    folder = tmp_path_factory.mktemp("runs")
    trained = {
        "version 1": bank_train(VERSION_1, folder / "v1", "run-1"),
        "version 2": bank_train(VERSION_2, folder / "v2", "run-2"),
        "hospital": hospital_train(folder / "hospital", "run-3"),
    }
    return {name: assessed(run) for name, run in trained.items()}


def test_version_1_fails_the_screen_and_version_2_passes_without_losing_accuracy(runs: dict[str, Assessed]) -> None:
    first, second = runs["version 1"].bias, runs["version 2"].bias
    assert (first["verdict"], second["verdict"]) == ("fail", "pass")
    assert first["demographic_parity_ratio"] < 0.8 <= second["demographic_parity_ratio"]
    assert second["auc"] > first["auc"] - 0.01
    assert second["accuracy"] > first["accuracy"]
    (line,) = [g["adverse_impact_ratio_low"] for g in second["groups"] if g["group"] == "yes"]
    assert line > 0.8


def test_version_1_denies_as_often_as_the_lenders_did(runs: dict[str, Assessed]) -> None:
    assert 1 - runs["version 1"].bias["selection_rate"] == pytest.approx(285 / 2381, abs=0.5 / 954)


def test_no_model_knows_race_and_version_2_no_marital_status(runs: dict[str, Assessed]) -> None:
    for run in runs.values():
        assert "black" not in run.trained.features
    assert set(runs["version 1"].trained.features) - set(runs["version 2"].trained.features) == {"single"}


def test_both_versions_are_tested_on_the_same_applications(runs: dict[str, Assessed]) -> None:
    first, second = runs["version 1"].trained, runs["version 2"].trained
    assert first.holdout_path.read_bytes() == second.holdout_path.read_bytes()
    rows = {
        path: set(path.read_text(encoding="utf-8").splitlines()[1:]) for path in (first.train_path, first.holdout_path)
    }
    assert not rows[first.train_path] & rows[first.holdout_path]
    assert sum(map(len, rows.values())) == 2381


def test_the_same_training_gives_the_same_trees_and_each_run_its_own_artifact(
    runs: dict[str, Assessed], tmp_path: Path
) -> None:
    first = runs["version 1"].trained
    again, other = bank_train(VERSION_1, tmp_path / "a", "run-1"), bank_train(VERSION_1, tmp_path / "b", "run-9")
    assert again.model_path.read_bytes() == first.model_path.read_bytes()
    assert again.parameters == other.parameters
    assert other.model_path.read_bytes() != first.model_path.read_bytes()
    models = [json.loads(run.model_path.read_bytes())["learner"] for run in (first, other)]
    assert models[0]["gradient_booster"] == models[1]["gradient_booster"]
    assert [model["attributes"]["run"] for model in models] == ["run-1", "run-9"]


def test_no_family_is_on_both_sides_of_the_hospitals_split(runs: dict[str, Assessed]) -> None:
    table = table_read(Path(__file__).parents[2] / "examples" / "data" / "rand_hie_visits.csv")
    keys = families(table)
    assert 3000 < len(set(keys)) < 4500
    ids = {
        path: set(table_read(path).texts("person_year_id"))
        for path in (runs["hospital"].trained.train_path, runs["hospital"].trained.holdout_path)
    }
    by_side = [
        {key for key, row in zip(keys, table.texts("person_year_id"), strict=True) if row in side}
        for side in ids.values()
    ]
    assert not by_side[0] & by_side[1]


def test_the_hospitals_label_is_what_it_says(runs: dict[str, Assessed]) -> None:
    table = table_read(runs["hospital"].trained.holdout_path)
    np.testing.assert_array_equal(table.numbers("high_use"), table.numbers("doctor_visits") >= 5)


def test_every_explanation_is_exact(runs: dict[str, Assessed]) -> None:
    for run in runs.values():
        assert run.explanation["additivity_max_error"] < 1e-5
        assert run.explanation["cross_check_max_difference"] < 1e-5


def test_the_prose_states_what_the_assessments_measured(runs: dict[str, Assessed]) -> None:
    for name in ("version 1", "version 2"):
        black, white = runs[name].group("black", "yes"), runs[name].group("black", "no")
        low, high = black["adverse_impact_ratio_low"], black["adverse_impact_ratio_high"]
        assert (
            f"{black['selected']} of 146 Black applicants ({black['selection_rate']:.1%})".replace("%", " %") in PROSE
        )
        assert f"{white['selected']} of 808 White ones ({white['selection_rate']:.1%})".replace("%", " %") in PROSE
        assert f"**{black['adverse_impact_ratio']:.3f}** (95 % interval {low:.3f} to {high:.3f})" in PROSE
    hospital = runs["hospital"]
    assert hospital.bias["verdict"] == "fail"
    for words, column, name in (
        ("Black head of household", "black", "TRUE"),
        ("other", "black", "FALSE"),
        ("men", "sex", "male"),
        ("women", "sex", "female"),
    ):
        group = hospital.group(column, name)
        shares = (group["favourable"] / group["n"], group["selection_rate"], group["true_positive_rate"])
        row = (
            f"| {words} | {group['n']:,} | " + " | ".join(f"{share:.1%}".replace("%", " %") for share in shares) + " |"
        )
        assert row in MITIGATION
    black = hospital.group("black", "TRUE")
    low, high = black["adverse_impact_ratio_low"], black["adverse_impact_ratio_high"]
    assert f"ratio {black['adverse_impact_ratio']:.3f} (95 % interval {low:.3f} to {high:.3f})" in PROSE


@pytest.mark.parametrize("name", ["version 1", "the same, reweighed", "the same, parity penalty 10", "version 2"])
def test_the_study_states_what_it_measures(name: str) -> None:
    (candidate,) = [candidate for candidate in CANDIDATES if candidate.name == name]
    found = measure(candidate, "")
    row = (
        f"| {name} | {found.denied:.1%} | {found.approved_black:.1%} / {found.approved_white:.1%} "
        f"| {found.ratio:.3f} | {found.auc:.3f} | {found.accuracy:.3f} |"
    )
    assert row in MITIGATION


def test_the_split_depends_on_the_key_alone() -> None:
    keys = [str(number) for number in range(5000)]
    whole = held_out(keys)
    assert whole.mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_array_equal(held_out(keys[100:200]), whole[100:200])
    digest = int.from_bytes(hashlib.sha256(b"7").digest()[:8])
    assert whole[7] == (digest % 100 < 40)
    assert (held_out(keys, "other") != whole).any()


def test_the_operating_point_gives_the_wanted_rate() -> None:
    scores = np.random.default_rng(1).random(954)
    threshold = threshold_for_rate(scores, 285 / 2381)
    assert (scores >= threshold).sum() == 114


def test_reweighing_makes_race_and_denial_independent() -> None:
    random = np.random.default_rng(3)
    black = random.random(1000) < 0.2
    denied = random.random(1000) < np.where(black, 0.4, 0.1)
    weights = reweighing(black, denied)
    rates = [np.average(denied[side], weights=weights[side]) for side in (black, ~black)]
    assert rates[0] == pytest.approx(rates[1])
    assert weights.sum() == pytest.approx(1000)
