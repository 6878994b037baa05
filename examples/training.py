"""What the bank's and the hospital's training share: the split, the operating point, the artifact."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from explain.outcomes import area_under_curve

DATA = Path(__file__).parent / "data"
HOLDOUT_PER_CENT = 40
"""Large, because a fairness figure rests on the smallest group of the holdout."""

type Mask = npt.NDArray[np.bool_]
type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainedModel:
    """One training run: its artifact, its data, and what an assessment of it needs to know."""

    name: str
    model_path: Path
    train_path: Path
    holdout_path: Path
    features: tuple[str, ...]
    parameters: Mapping[str, Any]
    """Of the model version: `threshold`, `encoding`, `label`, `positive`, `training`."""
    metrics: Mapping[str, float]
    """Measured on the holdout."""
    bias_parameters: Mapping[str, Any]
    """What to ask of the bias assessment; `threshold` and `encoding` are those of the model version."""


def held_out(keys: Sequence[str], salt: str = "") -> Mask:
    """Which rows are held out: decided by the hash of a key, so it is the same everywhere and tunes nothing.

    Args:
        keys: One per row; rows with the same key stay together.
        salt: Gives another split.

    Returns:
        Shape `(rows,)`.
    """
    digests = (hashlib.sha256(f"{salt}{key}".encode()).digest() for key in keys)
    return np.array([int.from_bytes(digest[:8]) % 100 < HOLDOUT_PER_CENT for digest in digests])


def threshold_for_rate(scores: Floats, rate: float) -> float:
    """The threshold at which this share of rows, as nearly as can be, scores at or above it.

    Args:
        scores: Shape `(rows,)`.
        rate: Between 0 and 1.

    Returns:
        The middle between two neighbouring scores, to six decimals.
    """
    ordered = np.sort(scores)[::-1]
    above = round(rate * len(scores))
    return round(float(ordered[above - 1] + ordered[above]) / 2, 6)


def boost(
    rows: Floats,
    labels: Mask,
    features: Sequence[str],
    training: Mapping[str, Any],
    *,
    weights: Floats | None = None,
) -> xgb.Booster:
    """Train on one thread, so that a rerun gives the same trees to the last bit.

    Args:
        rows: Shape `(rows, features)`.
        labels: Shape `(rows,)`.
        features: The names that the artifact will record.
        training: XGBoost's own parameters, and `rounds`.
        weights: Shape `(rows,)`; all equal when not given.
    """
    matrix = xgb.DMatrix(rows, label=labels, weight=weights, feature_names=list(features), nthread=1)
    options = {name: value for name, value in training.items() if name != "rounds"}
    return xgb.train({**options, "nthread": 1}, matrix, training["rounds"])


def predict(booster: xgb.Booster, rows: Floats, features: Sequence[str]) -> Floats:
    """The probability of the positive outcome; shape `(rows,)`."""
    return booster.predict(xgb.DMatrix(rows, feature_names=list(features), nthread=1)).astype(np.float64)


def artifact_write(booster: xgb.Booster, run: str, path: Path) -> None:
    """Write the model as plain data, with the name of its training run, so that each run has its own artifact."""
    booster.set_attr(run=run)
    path.parent.mkdir(parents=True, exist_ok=True)
    booster.save_model(path)


def split_write(source: Path, holdout: Mask, folder: Path, extra: Mapping[str, Sequence[str]]) -> tuple[Path, Path]:
    """Write the rows of a table into `train.csv` and `holdout.csv`, their cells as they are.

    Args:
        source: The table.
        holdout: Which rows are held out; shape `(rows,)`.
        folder: Where to.
        extra: Columns to add, by name, one cell per row.

    Returns:
        The two paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with source.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    cells = [[*row, *added] for row, *added in zip(rows, *extra.values(), strict=True)]
    for name, kept in (("train", ~holdout), ("holdout", holdout)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*header, *extra])
            writer.writerows(row for row, keep in zip(cells, kept, strict=True) if keep)
    return folder / "train.csv", folder / "holdout.csv"


def holdout_metrics(labels: Mask, scores: Floats, threshold: float) -> dict[str, float]:
    """How well a model does on rows it has not seen.

    Args:
        labels: Shape `(rows,)`.
        scores: Shape `(rows,)`.
        threshold: At or above it the prediction is positive.

    Returns:
        `auc`, `accuracy`, `predicted_rate`, `actual_rate` and `rows`.
    """
    predicted = scores >= threshold
    return {
        "auc": round(area_under_curve(labels, scores), 6),
        "accuracy": round(float((predicted == labels).mean()), 6),
        "predicted_rate": round(float(predicted.mean()), 6),
        "actual_rate": round(float(labels.mean()), 6),
        "rows": len(labels),
    }
