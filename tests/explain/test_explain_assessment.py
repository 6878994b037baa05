"""From files to evidence: the same question has the same answer, and a bad question a clear refusal."""

import csv
import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rfc8785
import xgboost as xgb

from explain.assessment import bias_run, explanation_run, predictions_run
from explain.errors import InvalidParameterError, LabelNotBinaryError, UnknownColumnsError
from explain.models_io.boosters import model_load
from explain.tables import table_read
from modelnotary.errors import ModelNotaryError
from modelnotary.formats import UnsafeFormatError

HEADER = ("age", "health", "region", "outcome", "guess", "score")
ENCODING = {"health": {"poor": 0.0, "good": 1.0}}


@dataclass(frozen=True)
class Files:
    """A trained model and a table it can score."""

    model: Path
    table: Path

    def explain(self, **parameters: Any) -> dict[str, Any]:
        """Explain the model on the table."""
        return explanation_run(self.model, self.table, {"encoding": ENCODING} | parameters)

    def assess(self, **parameters: Any) -> dict[str, Any]:
        """Assess the model's decisions on the table, as a lender would who denies on `yes`."""
        return bias_run(self.model, self.table, {**BIAS, **parameters})

    def assess_predictions(self, **parameters: Any) -> dict[str, Any]:
        """Assess the table's own predictions."""
        return predictions_run(self.table, {**PREDICTIONS, **parameters})


BIAS: Mapping[str, Any] = {
    "label": "outcome",
    "favourable": "no",
    "sensitive": ["region"],
    "threshold": 0.5,
    "encoding": ENCODING,
}
PREDICTIONS: Mapping[str, Any] = {"label": "outcome", "prediction": "guess", "sensitive": ["region"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(11)
    age = random.integers(18, 80, 600)
    health = random.choice(["poor", "good"], 600)
    region = random.choice(["north", "south"], 600, p=[0.7, 0.3])
    ill = (age + 25 * (health == "poor") + random.normal(0, 15, 600)) > 65
    guess = np.where(random.random(600) < 0.8, ill, ~ill)
    words = {True: "yes", False: "no"}
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for row in range(600):
            cells = (age[row], health[row], region[row], words[bool(ill[row])], words[bool(guess[row])], age[row] / 80)
            writer.writerow(cells)
    rows = np.column_stack([age, health == "good"]).astype(float)
    matrix = xgb.DMatrix(rows, label=ill, feature_names=["age", "health"])
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3, "seed": 0}, matrix, 20)
    booster.save_model(folder / "model.json")
    return Files(folder / "model.json", folder / "table.csv")


@pytest.mark.parametrize("assessment", ["explain", "assess", "assess_predictions"])
def test_asking_again_from_the_receipt_gives_the_same_bytes(files: Files, assessment: str) -> None:
    run: Callable[..., dict[str, Any]] = getattr(files, assessment)
    first = run()
    again = run(**first["receipt"]["parameters"])
    assert rfc8785.dumps(first) == rfc8785.dumps(again)


def test_the_receipts_name_the_files_by_digest_and_the_versions(files: Files) -> None:
    for payload in (files.explain(), files.assess()):
        receipt = payload["receipt"]
        assert receipt["model_digest"] == f"sha256:{hashlib.sha256(files.model.read_bytes()).hexdigest()}"
        assert receipt["dataset_digest"] == f"sha256:{hashlib.sha256(files.table.read_bytes()).hexdigest()}"
        assert receipt["versions"]["xgboost"] == xgb.__version__
        assert receipt["rows"] == payload["rows"] == 600


def test_an_explanation_ranks_features_and_says_how_exact_it_is(files: Files) -> None:
    payload = files.explain(local_rows=2)
    ranked = payload["global_importance"]
    assert [entry["feature"] for entry in ranked] == ["age", "health"]
    assert all(entry["low"] < entry["mean_abs"] < entry["high"] for entry in ranked)
    assert 0 <= payload["additivity_max_error"] < payload["receipt"]["tolerance"]
    assert 0 <= payload["cross_check_max_difference"] < payload["receipt"]["tolerance"]
    assert len(payload["local"]) == 2
    for row in payload["local"]:
        total = payload["base_value"] + sum(entry["contribution"] for entry in row["contributions"])
        assert total == pytest.approx(row["output"], abs=1e-5)


def test_an_explanation_holds_no_value_of_any_row(files: Files) -> None:
    assert {"row", "output", "contributions"} == set(files.explain()["local"][0])


def test_another_background_gives_another_explanation(files: Files, tmp_path: Path) -> None:
    lines = files.table.read_text(encoding="utf-8").splitlines(keepends=True)
    background = tmp_path / "background.csv"
    background.write_text("".join(lines[:40]), encoding="utf-8")
    against = explanation_run(
        files.model, files.table, {"encoding": ENCODING, "output": "probability"}, background_path=background
    )
    assert against["output_space"] == "probability"
    assert 0 < against["base_value"] < 1
    assert against["cross_check_max_difference"] is None
    assert against["receipt"]["background_digest"] == f"sha256:{hashlib.sha256(background.read_bytes()).hexdigest()}"
    assert against["global_importance"] != files.explain()["global_importance"]


def test_a_bias_payload_has_the_fields_that_policies_read(files: Files) -> None:
    payload = files.assess()
    north, south = payload["groups"]
    assert payload["verdict"] in {"pass", "fail"}
    assert payload["min_group_n"] == min(north["n"], south["n"])
    assert payload["demographic_parity_ratio"] == pytest.approx(
        min(north["selection_rate"], south["selection_rate"]) / max(north["selection_rate"], south["selection_rate"])
    )
    assert payload["auc"] > 0.8
    assert payload["accuracy"] > 0.7
    for entry in payload["groups"]:
        assert entry["selection_rate_low"] < entry["selection_rate"] < entry["selection_rate_high"]


def test_the_favourable_side_is_the_persons_and_not_the_models(files: Files) -> None:
    lender, carer = files.assess(favourable="no"), files.assess(favourable="yes")
    assert lender["auc"] == carer["auc"]
    assert lender["accuracy"] == carer["accuracy"]
    assert lender["selection_rate"] == pytest.approx(1 - carer["selection_rate"])
    assert lender["equalized_odds_difference"] == pytest.approx(carer["equalized_odds_difference"])
    for denied, chosen in zip(lender["groups"], carer["groups"], strict=True):
        assert denied["true_positive_rate"] == pytest.approx(1 - chosen["false_positive_rate"])


def test_a_score_at_the_threshold_is_positive(files: Files) -> None:
    model = model_load(files.model)
    lowest = float(model.probabilities(model.matrix(model.rows(table_read(files.table), ENCODING))).min())
    everyone = files.assess(threshold=lowest, favourable="yes")
    assert everyone["selection_rate"] == 1
    assert files.assess(threshold=float(np.nextafter(lowest, 1)), favourable="yes")["selection_rate"] < 1


def test_predictions_take_yes_as_favourable_unless_told_otherwise(files: Files) -> None:
    stated = files.assess_predictions()["receipt"]["parameters"]
    assert stated["favourable"] == "yes"
    scored = {name: files.assess_predictions(score="score", favourable=name) for name in ("yes", "no")}
    assert scored["yes"]["auc"] == scored["no"]["auc"] > 0.7
    assert scored["yes"]["selection_rate"] == pytest.approx(1 - scored["no"]["selection_rate"])


REFUSALS: Mapping[str, tuple[str, dict[str, Any], type[ModelNotaryError], str]] = {
    "unknown parameter": ("assess", {"treshold": 0.5}, InvalidParameterError, "'treshold'.*Known are.*threshold"),
    "no threshold": ("assess", {"threshold": None}, InvalidParameterError, "'threshold': must hold numbers"),
    "threshold of 1": ("assess", {"threshold": 1}, InvalidParameterError, "between 0 and 1"),
    "threshold as text": ("assess", {"threshold": "0.5"}, InvalidParameterError, "must hold numbers"),
    "threshold NaN": ("assess", {"threshold": float("nan")}, InvalidParameterError, "must hold numbers"),
    "threshold too long": ("assess", {"threshold": 10**400}, InvalidParameterError, "must hold numbers"),
    "label not there": ("assess", {"label": "result"}, UnknownColumnsError, "lacks 'result'.*'outcome'"),
    "sensitive not there": ("assess", {"sensitive": ["region", "sex"]}, UnknownColumnsError, "lacks 'sex'"),
    "sensitive as text": ("assess", {"sensitive": "region"}, InvalidParameterError, "list of at least one"),
    "sensitive empty": ("assess", {"sensitive": []}, InvalidParameterError, "list of at least one"),
    "sensitive twice": ("assess", {"sensitive": ["region", "region"]}, InvalidParameterError, "twice"),
    "label of many values": ("assess", {"label": "age"}, LabelNotBinaryError, "'age' holds.*two values"),
    "favourable unknown": ("assess", {"favourable": "denied"}, InvalidParameterError, "'denied', but the label holds"),
    "positive unknown": ("assess", {"positive": "1"}, InvalidParameterError, "'1', but the label holds"),
    "reference elsewhere": ("assess", {"reference": {"sex": "f"}}, InvalidParameterError, "sex is not among"),
    "reference unknown": ("assess", {"reference": {"region": "east"}}, InvalidParameterError, "no group 'east'"),
    "min_group 0": ("assess", {"min_group": 0}, InvalidParameterError, "from 1; it is 0"),
    "min_group true": ("assess", {"min_group": True}, InvalidParameterError, "whole number"),
    "line unknown": ("assess", {"lines": {"parity": 0.8}}, InvalidParameterError, "parity is none of"),
    "line as text": ("assess", {"lines": {"adverse_impact_ratio": "0.8"}}, InvalidParameterError, "must hold numbers"),
    "encoding of no feature": ("assess", {"encoding": {"sex": {"f": 1}}}, InvalidParameterError, "sex is no feature"),
    "encoding not an object": ("assess", {"encoding": {"health": 1}}, InvalidParameterError, "must be an object"),
    "encoding forgotten": ("explain", {"encoding": {}}, ModelNotaryError, "'health', row 1"),
    "probability without background": ("explain", {"output": "probability"}, InvalidParameterError, "background"),
    "output unknown": ("explain", {"output": "logit"}, InvalidParameterError, "none of margin, probability"),
    "seed below 0": ("explain", {"seed": -1}, InvalidParameterError, "from 0"),
    "prediction not there": ("assess_predictions", {"prediction": "p"}, UnknownColumnsError, "lacks 'p'"),
    "prediction of other words": (
        "assess_predictions",
        {"prediction": "health"},
        LabelNotBinaryError,
        "'good', 'poor'",
    ),
    "score of words": ("assess_predictions", {"score": "health"}, ModelNotaryError, "not a number"),
    "no affirmative value": (
        "assess_predictions",
        {"label": "health", "prediction": "health"},
        InvalidParameterError,
        "'favourable'.*'good' and 'poor'",
    ),
}


@pytest.mark.parametrize(("assessment", "parameters", "error", "words"), REFUSALS.values(), ids=REFUSALS)
def test_refuses_a_question_that_makes_no_sense(
    files: Files, assessment: str, parameters: dict[str, Any], error: type[ModelNotaryError], words: str
) -> None:
    with pytest.raises(error, match=words):
        getattr(files, assessment)(**parameters)


@pytest.mark.parametrize("name", ["label", "favourable", "sensitive", "threshold"])
def test_says_which_parameter_is_missing(files: Files, name: str) -> None:
    without = {key: value for key, value in BIAS.items() if key != name}
    with pytest.raises(InvalidParameterError, match=f"'{name}': (is missing|must be a list)"):
        bias_run(files.model, files.table, without)


@pytest.mark.parametrize("cell", ["", "maybe"])
def test_refuses_a_label_with_a_gap_or_a_third_value(files: Files, tmp_path: Path, cell: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(files.table.read_text(encoding="utf-8") + f"40,good,north,{cell},no,0.1\n", encoding="utf-8")
    with pytest.raises(LabelNotBinaryError, match="missing value" if not cell else "'maybe'"):
        bias_run(files.model, table, BIAS)


def test_refuses_a_pickle_before_it_reads_the_table(files: Files, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_bytes(b"\x80\x04K\x01.")
    for run, parameters in ((bias_run, BIAS), (explanation_run, {})):
        with pytest.raises(UnsafeFormatError):
            run(model, tmp_path / "missing.csv", parameters)


def test_a_version_threshold_is_no_concern_of_an_explanation(files: Files) -> None:
    assert files.explain(threshold=0.3) == files.explain()


def test_the_assessments_need_no_server() -> None:
    code = (
        "import sys, explain.assessment, explain.isolation, fairlearn.metrics, shap;"
        "sys.exit(bool({'django', 'celery', 'psycopg'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
