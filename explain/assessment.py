"""The assessments of a model on a table, from files to evidence.

All are pure: the same files and parameters give the same payload, and its receipt holds all it takes to ask again.
"""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from explain.errors import InvalidParameterError
from explain.fairness.assess import assess
from explain.fairness.crosscheck import TOLERANCE
from explain.fairness.payload import BiasReceipt, bias_payload
from explain.fairness.results import BiasAssessment
from explain.models_io.boosters import TreeModel, model_load
from explain.outcomes import (
    affirmative_value,
    area_under_curve,
    labels_read,
    predictions_read,
    value_known,
)
from explain.parameters import BiasParameters, ExplanationParameters, PredictionParameters
from explain.payload import Progress, silent
from explain.shapley.attributions import (
    Attributions,
    OutputSpace,
    attribute_interventional,
    attribute_path_dependent,
    cross_check,
)
from explain.shapley.explanation import (
    Explanation,
    ExplanationReceipt,
    explanation_payload,
    highest_rows,
    importance_rank,
)
from explain.tables import Floats, Table, table_read


def explanation_run(
    model_path: Path,
    table_path: Path,
    parameters: Mapping[str, Any],
    *,
    background_path: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Explain a model on every row of a table.

    Args:
        model_path: An XGBoost model as JSON or UBJSON.
        table_path: CSV or Parquet with a column for each feature of the model.
        parameters: See `ExplanationParameters`; all have defaults.
        background_path: A table to explain against. Without one the model's own training rows are the background.
        progress: Told how far the work is.

    Returns:
        The evidence; see `explain.shapley.explanation.explanation_payload`.

    Raises:
        ModelNotaryError: The model, the table or a parameter is not usable, or the result failed its own check.
    """
    wanted = ExplanationParameters.from_mapping(parameters)
    progress(0, 1, "loading the model and the table")
    model = model_load(model_path)
    rows = model.rows(table_read(table_path), wanted.encoding)
    if background_path is None:
        attributions, checked = _path_dependent(model, rows, wanted, progress)
    else:
        background = model.rows(table_read(background_path), wanted.encoding)
        progress(0, 1, "attributions")
        attributions, checked = attribute_interventional(model, rows, background, wanted.output), None
    receipt = ExplanationReceipt(
        engine="xgboost path-dependent" if background_path is None else "shap interventional",
        output_space=wanted.output,
        model_digest=model.digest,
        dataset_digest=_digest(table_path),
        background_digest=_digest(background_path) if background_path else None,
        parameters=wanted.to_mapping(),
        versions=_versions("xgboost", "shap", "numpy"),
        features=model.features,
        rows=len(rows),
        base_value=attributions.base,
        additivity_max_error=attributions.additivity_error,
        cross_check_max_difference=checked,
        tolerance=attributions.tolerance,
    )
    return explanation_payload(
        Explanation(
            global_importance=importance_rank(attributions.values, model.features),
            local=highest_rows(attributions, model.features, wanted.local_rows),
            receipt=receipt,
        )
    )


def bias_run(
    model_path: Path,
    table_path: Path,
    parameters: Mapping[str, Any],
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare a model's decisions between groups.

    Args:
        model_path: An XGBoost model as JSON or UBJSON that gives a probability.
        table_path: CSV or Parquet with the model's features, the label and the sensitive columns.
        parameters: See `BiasParameters`; `label`, `favourable`, `sensitive` and `threshold` have no default.
        progress: Told how far the work is.

    Returns:
        The evidence; see `explain.fairness.payload.bias_payload`.

    Raises:
        ModelNotaryError: The model, the table or a parameter is not usable, or the result failed its own check.
    """
    wanted = BiasParameters.from_mapping(parameters)
    progress(0, 3, "loading the model and the table")
    model = model_load(model_path)
    table = table_read(table_path)
    table.require([wanted.label, *wanted.sensitive], "the assessment")
    labels, values = labels_read(table, wanted.label)
    favourable = value_known("favourable", wanted.favourable, values)
    positive = value_known("positive", wanted.positive, values)
    progress(1, 3, "scoring")
    scores = model.probabilities(model.matrix(model.rows(table, wanted.encoding))).astype(np.float64)
    progress(2, 3, "comparing groups")
    assessment = assess(
        labels == favourable,
        (scores >= wanted.threshold) == (positive == favourable),
        {column: table.texts(column) for column in wanted.sensitive},
        wanted.plan,
    )
    receipt = _bias_receipt(assessment, model.digest, table_path, wanted.to_mapping())
    return bias_payload(assessment, wanted.plan, receipt, auc=area_under_curve(labels == positive, scores))


def predictions_run(table_path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Compare finished predictions between groups; no model is needed.

    Args:
        table_path: CSV or Parquet with the label, the prediction and the sensitive columns.
        parameters: See `PredictionParameters`; `label`, `prediction` and `sensitive` have no default.

    Returns:
        The evidence; see `explain.fairness.payload.bias_payload`.

    Raises:
        ModelNotaryError: The table or a parameter is not usable, or the result failed its own check.
    """
    wanted = PredictionParameters.from_mapping(parameters)
    table = table_read(table_path)
    named = [wanted.label, wanted.prediction, *wanted.sensitive]
    table.require(named if wanted.score is None else [*named, wanted.score], "the assessment")
    labels, values = labels_read(table, wanted.label)
    affirmative = affirmative_value(values)
    favourable = value_known("favourable", wanted.favourable or affirmative or "not given", values)
    assessment = assess(
        labels == favourable,
        predictions_read(table, wanted.prediction, values) == favourable,
        {column: table.texts(column) for column in wanted.sensitive},
        wanted.plan,
    )
    stated = replace(wanted, favourable=favourable).to_mapping()
    auc = None
    if wanted.score is not None:
        auc = area_under_curve(labels == (affirmative or favourable), _whole_column(table, wanted.score))
    return bias_payload(assessment, wanted.plan, _bias_receipt(assessment, None, table_path, stated), auc=auc)


def _path_dependent(
    model: TreeModel, rows: Floats, wanted: ExplanationParameters, progress: Progress
) -> tuple[Attributions, float]:
    if wanted.output is not OutputSpace.MARGIN:
        raise InvalidParameterError(
            "output", "attributions of a probability need a background table to be taken against; name one."
        )
    attributions = attribute_path_dependent(model, rows, progress)
    progress(len(rows), len(rows), "checking a sample with a second implementation")
    checked = cross_check(model, rows, attributions, size=wanted.cross_check_rows, seed=wanted.seed)
    return attributions, checked


def _bias_receipt(
    assessment: BiasAssessment, model_digest: str | None, table_path: Path, parameters: Mapping[str, Any]
) -> BiasReceipt:
    return BiasReceipt(
        model_digest=model_digest,
        dataset_digest=_digest(table_path),
        parameters=parameters,
        versions=_versions("xgboost", "fairlearn", "sklearn", "numpy"),
        rows=assessment.everyone.n,
        cross_check_max_difference=assessment.cross_check_max_difference,
        tolerance=TOLERANCE,
    )


def _whole_column(table: Table, name: str) -> Floats:
    numbers = table.numbers(name)
    if np.isnan(numbers).any():
        raise InvalidParameterError("score", f"column {name!r} has rows without a number.")
    return numbers


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _versions(*modules: str) -> dict[str, str]:
    return {name: str(importlib.import_module(name).__version__) for name in modules}
