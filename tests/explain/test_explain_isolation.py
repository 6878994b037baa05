"""A hostile model brings down a child and nothing else, and the child has nothing to steal."""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from explain.assessment import bias_run, explanation_run
from explain.errors import CalculationDiedError, RelayedError
from explain.isolation import MEMORY_BYTES, run_isolated

BIAS: Mapping[str, Any] = {"label": "y", "favourable": "no", "sensitive": ["g"], "threshold": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a table, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("with space")
    random = np.random.default_rng(2)
    rows = random.normal(size=(300, 2))
    labels = rows[:, 0] > 0
    matrix = xgb.DMatrix(rows, label=labels, feature_names=["a", "b"])
    xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3).save_model(folder / "model.json")
    lines = [f"{a},{b},{'yes' if y else 'no'},{g}" for (a, b), y, g in zip(rows, labels, "uv" * 150, strict=True)]
    (folder / "table.csv").write_text("a,b,y,g\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_gives_the_same_evidence_as_without_a_child(folder: Path) -> None:
    model, table = folder / "model.json", folder / "table.csv"
    stages: list[tuple[int, int, str]] = []
    explained = run_isolated("explanation", model, table, {}, progress=lambda *step: stages.append(step))
    assert explained == explanation_run(model, table, {})
    assert stages[-1][:2] == (300, 300)
    assert run_isolated("bias", model, table, BIAS) == bias_run(model, table, BIAS)


HOSTILE = {
    "a child node that is not there": (b'"left_children":[1', b'"left_children":[99999999'),
    "nesting deeper than the parser's stack": (b'"version"', b'"x":' + b"[" * 2_000_000 + b',"version"'),
}


@pytest.mark.parametrize(("old", "new"), HOSTILE.values(), ids=HOSTILE)
def test_outlives_a_model_that_kills_its_reader(folder: Path, tmp_path: Path, old: bytes, new: bytes) -> None:
    content = (folder / "model.json").read_bytes()
    assert old in content
    (tmp_path / "model.json").write_bytes(content.replace(old, new))
    with pytest.raises(CalculationDiedError, match="ended by signal 11") as refusal:
        run_isolated("bias", tmp_path / "model.json", folder / "table.csv", BIAS)
    assert refusal.value.exit_code == -11


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"\x80\x04K\x01.", "unsafe-model-format"), (b'{"learner":{}}', "broken-model"), (b"text", "unsupported-model")],
)
def test_passes_on_a_refusal_with_its_code(folder: Path, tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(RelayedError) as refusal:
        run_isolated("explanation", tmp_path / "model.json", folder / "table.csv", {})
    assert refusal.value.code == code
    assert str(refusal.value)


def children() -> list[Path]:
    """The processes whose parent is this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text(encoding="latin-1").rpartition(")")[2].split()[1])
        except FileNotFoundError:
            continue
        if parent == os.getpid():
            found.append(status.parent)
    return found


def test_the_child_has_limits_and_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret that no library needs")
    seen: list[tuple[bytes, str]] = []
    others = set(children())

    def look(_done: int, _total: int, _stage: str) -> None:
        for path in set(children()) - others:
            with contextlib.suppress(ProcessLookupError):  # the child may have done its work and gone
                seen.append((path.joinpath("environ").read_bytes(), (path / "limits").read_text()))

    run_isolated("bias", folder / "model.json", folder / "table.csv", BIAS, progress=look)
    assert seen
    for environment, limits in seen:
        assert b"SECRET_KEY" not in environment
        (space,) = [line.split() for line in limits.splitlines() if line.startswith("Max address space")]
        assert space[3] == str(MEMORY_BYTES)


def test_stopping_ends_the_child(folder: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(_done: int, _total: int, _stage: str) -> None:
        raise StoppedError

    before = set(children())
    started = time.monotonic()
    with pytest.raises(StoppedError):
        run_isolated("explanation", folder / "model.json", folder / "table.csv", {}, progress=stop)
    assert set(children()) <= before
    assert time.monotonic() - started < 120
