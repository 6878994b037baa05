"""Only plain XGBoost tree models with one output and named features are opened."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from explain.errors import BrokenModelError, InvalidParameterError, UnknownColumnsError, UnsupportedModelError
from explain.models_io.boosters import model_load
from explain.tables import table_read
from modelnotary.formats import ArtifactFormat, UnreadableArtifactError, UnsafeFormatError

NAMES = ("a", "b", "c")
RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(80, 3))
BINARY = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)


def trained(labels: Any = BINARY, rows: Any = ROWS, **options: Any) -> xgb.Booster:
    matrix = xgb.DMatrix(
        rows,
        label=labels,
        feature_names=options.pop("names", list(NAMES)),
        feature_types=options.pop("types", None),
        enable_categorical=True,
    )
    with xgb.config_context(verbosity=0):
        return xgb.train({"objective": "binary:logistic", "max_depth": 2, **options}, matrix, 3)


def raw(booster: xgb.Booster, raw_format: str = "json") -> bytes:
    with xgb.config_context(verbosity=0):
        return bytes(booster.save_raw(raw_format))


@pytest.mark.parametrize("raw_format", ["json", "ubj"])
@pytest.mark.parametrize("name", ["model.json", "model.pkl", "model"])
def test_loads_by_content_whatever_the_files_name(tmp_path: Path, raw_format: str, name: str) -> None:
    booster = trained()
    content = raw(booster, raw_format)
    (tmp_path / name).write_bytes(content)
    model = model_load(tmp_path / name)
    assert model.features == NAMES
    assert model.format is ArtifactFormat(f"xgboost-{raw_format}")
    assert model.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    expected = booster.predict(xgb.DMatrix(ROWS, feature_names=list(NAMES)))
    np.testing.assert_array_equal(model.probabilities(model.matrix(ROWS)), expected)


REFUSED = {
    "pickle": (pickle.dumps({"model": 1}), UnsafeFormatError, "Python pickle"),
    "text": (b"tree\nversion=v4\n", UnsupportedModelError, "no format that can be opened"),
    "linear": (raw(trained(booster="gblinear", max_depth=None)), UnsupportedModelError, "'gblinear' booster"),
    "three classes": (
        raw(trained(RANDOM.integers(0, 3, 80), objective="multi:softprob", num_class=3)),
        UnsupportedModelError,
        "several outputs",
    ),
    "two targets": (
        raw(trained(RANDOM.normal(size=(80, 2)), objective="reg:squarederror")),
        UnsupportedModelError,
        "several outputs",
    ),
    "no names": (raw(trained(names=None)), UnsupportedModelError, "name of each feature"),
    "categories": (
        raw(trained(rows=np.abs(np.round(ROWS)), types=["c", "q", "q"])),
        UnsupportedModelError,
        "category codes",
    ),
    "a name too few": (
        raw(trained()).replace(b'"feature_names":["a","b","c"]', b'"feature_names":["a","b"]'),
        (BrokenModelError, UnsupportedModelError),
        "feature",
    ),
    "nothing inside": (b'{"learner":{}}', BrokenModelError, "damaged"),
    "cut and closed": (raw(trained())[:700] + b"}", BrokenModelError, "damaged"),
    "UBJSON cut and closed": (raw(trained(), "ubj")[:700] + b"}", BrokenModelError, "damaged"),
}


@pytest.mark.parametrize(("content", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_refuses_other_models_in_words(content: bytes, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        model_load(content)


def test_says_that_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableArtifactError, match=r"'model\.json' cannot be read"):
        model_load(tmp_path / "model.json")


@pytest.mark.parametrize(
    ("csv", "encoding", "refusal"),
    [
        ("c,b,extra,a\n3,yes,x,1\n", {}, None),
        ("c,b,A\n3,2,1\n", {}, "lacks 'a', which the model needs"),
        ("c,b,a\n3,2,1\n", {"z": {"x": 1.0}}, "z is no feature"),
    ],
)
def test_matches_columns_by_name(tmp_path: Path, csv: str, encoding: Any, refusal: str | None) -> None:
    (tmp_path / "table.csv").write_text(csv, encoding="utf-8")
    table = table_read(tmp_path / "table.csv")
    model = model_load(raw(trained()))
    if refusal is None:
        assert model.rows(table, encoding).tolist() == [[1, 1, 3]]
        return
    with pytest.raises((UnknownColumnsError, InvalidParameterError), match=refusal):
        model.rows(table, encoding)


def test_gives_no_probability_for_a_model_of_amounts() -> None:
    model = model_load(raw(trained(ROWS[:, 0], objective="reg:squarederror")))
    with pytest.raises(UnsupportedModelError, match="'reg:squarederror', which gives no probability"):
        model.probabilities(model.matrix(ROWS))
