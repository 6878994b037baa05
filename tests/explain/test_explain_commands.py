"""The two commands give what the assessments give, on files alone: no database, no registration."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand

from explain.assessment import explanation_run, predictions_run
from explain.management.commands import bias_assess, explain_model

HMDA = Path(__file__).parents[2] / "examples" / "data" / "hmda_boston_1990.csv"
SURVEY = (str(HMDA), "--label", "deny", "--prediction", "deny", "--sensitive", "black", "single")


def output_of(command: BaseCommand, *arguments: str) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def test_bias_assess_writes_the_assessment_as_json() -> None:
    arguments = ("--score", "debt_to_income", "--reference", "black=no", "--favourable", "no", "--json")
    written = json.loads(output_of(bias_assess.Command(), *SURVEY, *arguments))
    assert written == predictions_run(
        HMDA,
        {
            "label": "deny",
            "prediction": "deny",
            "sensitive": ["black", "single"],
            "score": "debt_to_income",
            "reference": {"black": "no"},
            "favourable": "no",
        },
    )
    assert written["adverse_impact_ratio"] == pytest.approx(0.789927, abs=1e-6)


def test_bias_assess_says_the_same_in_words() -> None:
    written = output_of(bias_assess.Command(), *SURVEY, "--favourable", "no")
    assert "black = yes: n = 339, selection rate 0.7168 (95 % 0.6666 to 0.7621)" in written
    assert "black: demographic_parity_ratio: fail. 0.789927 misses the line of 0.8." in written
    assert written.endswith("verdict: fail\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reference", "black"), "write COL=VALUE"),
        (("--reference", "black=maybe"), "no group 'maybe'"),
        (("--score", "income"), "lacks 'income'"),
    ],
)
def test_bias_assess_refuses_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        output_of(bias_assess.Command(), *SURVEY, *arguments)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """A model with a feature of words, a table and an encoding."""
    folder = tmp_path_factory.mktemp("files")
    rows = np.column_stack([np.arange(60.0), np.tile([0.0, 1.0], 30)])
    matrix = xgb.DMatrix(rows, label=rows[:, 0] > 30 * rows[:, 1], feature_names=["x", "health"])
    xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3).save_model(folder / "model.json")
    lines = [f"{x},{'good' if health else 'poor'}" for x, health in rows]
    (folder / "table.csv").write_text("x,health\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "encoding.json").write_text('{"health": {"poor": 0, "good": 1}}', encoding="utf-8")
    return str(folder / "model.json"), str(folder / "table.csv"), str(folder / "encoding.json")


def test_explain_model_writes_the_explanation_as_json(files: tuple[str, str, str]) -> None:
    model, table, encoding = files
    written = json.loads(output_of(explain_model.Command(), model, table, "--encoding", encoding, "--json"))
    assert written == explanation_run(Path(model), Path(table), {"encoding": {"health": {"poor": 0, "good": 1}}})


def test_explain_model_explains_a_probability_against_a_background(files: tuple[str, str, str]) -> None:
    model, table, encoding = files
    written = output_of(
        explain_model.Command(), model, table, "--background", table, "--output", "probability", "--encoding", encoding
    )
    assert "x: 0." in written
    assert "60 rows in probability space; largest additivity error" in written


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "'health', row 1"),
        (("--encoding", "missing.json"), "--encoding missing.json"),
        (("--encoding", "ENCODING", "--output", "probability"), "need a background table"),
    ],
)
def test_explain_model_refuses_in_one_line(files: tuple[str, str, str], more: tuple[str, ...], words: str) -> None:
    model, table, encoding = files
    with pytest.raises(CommandError, match=words):
        output_of(explain_model.Command(), model, table, *(encoding if word == "ENCODING" else word for word in more))
