"""Shapley attributions of a tree model, by two exact algorithms.

Path-dependent values (Lundberg et al. 2018, "Consistent Individualized Feature Attribution for Tree
Ensembles", arXiv:1802.03888, algorithm 2) take the training rows at each split as the background; XGBoost
computes them itself. Interventional values (Lundberg et al. 2020, "From local explanations to global
understanding with explainable AI for trees", Nature Machine Intelligence 2, 56-67) take a background table;
`shap` computes them.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from explain.errors import AdditivityError, EnginesDisagreeError
from explain.models_io.boosters import TreeModel
from explain.payload import Progress
from explain.tables import Floats

BATCH_ROWS = 5_000
RELATIVE_TOLERANCE = 1e-4
"""Of the largest output, at least 1: leaves are 32-bit floats, and each side sums them in its own order."""


class OutputSpace(StrEnum):
    """What the attributions of a row add up to."""

    MARGIN = "margin"
    PROBABILITY = "probability"


@dataclass(frozen=True)
class Attributions:
    """What each feature contributed to each row's output.

    For every row, `base + values.sum(axis=1)` is the model's output, up to `additivity_error`.
    """

    values: Floats
    """Shape `(rows, features)`, in the output space."""
    base: float
    """The output before any feature is known, in the output space."""
    outputs: Floats
    """The model's own output per row, shape `(rows,)`."""

    @property
    def additivity_error(self) -> float:
        """The largest difference over all rows between the sum of attributions and the model's output."""
        return float(np.abs(self.base + self.values.sum(axis=1) - self.outputs).max())

    @property
    def tolerance(self) -> float:
        """The largest difference that rounding explains, in the output space."""
        return RELATIVE_TOLERANCE * max(1.0, float(np.abs(self.outputs).max()))


def attribute_path_dependent(model: TreeModel, rows: Floats, progress: Progress) -> Attributions:
    """Attributions in margin space, the model's own training rows as the background.

    Args:
        model: The model.
        rows: Shape `(rows, features)`, columns in the model's order, at least one row.
        progress: Told after each batch.

    Returns:
        The attributions, additive within their tolerance.

    Raises:
        AdditivityError: They are not.
    """
    values = np.empty(rows.shape)
    outputs = np.empty(len(rows))
    base = 0.0
    for start in range(0, len(rows), BATCH_ROWS):
        batch = slice(start, start + BATCH_ROWS)
        matrix = model.matrix(rows[batch])
        contributions = np.asarray(model.booster.predict(matrix, pred_contribs=True), dtype=np.float64)
        values[batch] = contributions[:, :-1]
        outputs[batch] = model.margins(matrix)
        base = float(contributions[0, -1])
        progress(min(start + BATCH_ROWS, len(rows)), len(rows), "attributions")
    return _additive(Attributions(values, base, outputs))


def attribute_interventional(model: TreeModel, rows: Floats, background: Floats, output: OutputSpace) -> Attributions:
    """Attributions against a background table.

    Args:
        model: The model.
        rows: Shape `(rows, features)`, columns in the model's order, at least one row.
        background: Shape `(background rows, features)`; every row is used.
        output: The space the attributions add up in.

    Returns:
        The attributions, additive within their tolerance.

    Raises:
        AdditivityError: They are not.
        UnsupportedModelError: Probability space was asked of a model that gives none.
    """
    import shap

    matrix = model.matrix(rows)
    is_margin = output is OutputSpace.MARGIN
    outputs = model.margins(matrix) if is_margin else model.probabilities(matrix)
    explainer = shap.TreeExplainer(
        model.booster,
        # Handed over bare, a background of more than 100 rows would be sampled.
        data=shap.maskers.Independent(background, max_samples=len(background)),
        feature_perturbation="interventional",
        model_output="raw" if is_margin else "probability",
    )
    values = explainer.shap_values(rows, check_additivity=False)
    return _additive(Attributions(values, float(explainer.expected_value), outputs.astype(np.float64)))


def cross_check(model: TreeModel, rows: Floats, attributions: Attributions, *, size: int, seed: int) -> float:
    """Compare path-dependent attributions with `shap`'s own implementation on a seeded sample of rows.

    Args:
        model: The model.
        rows: The rows that were attributed, shape `(rows, features)`.
        attributions: The values to check.
        size: How many rows to draw, without replacement; all of them if there are fewer.
        seed: Of NumPy's PCG64.

    Returns:
        The largest absolute difference of any attribution, in margin space.

    Raises:
        EnginesDisagreeError: It is larger than the attributions' tolerance.
    """
    import shap

    sample = np.random.default_rng(seed).choice(len(rows), size=min(size, len(rows)), replace=False)
    explainer = shap.TreeExplainer(model.booster, feature_perturbation="tree_path_dependent")
    # For an XGBoost model shap would ask XGBoost itself, and the check would compare a thing with itself.
    explainer.model.model_type = "internal"
    values = explainer.shap_values(rows[sample], check_additivity=False)
    difference = float(np.abs(values - attributions.values[sample]).max())
    if not difference <= attributions.tolerance:
        raise EnginesDisagreeError("the attributions", difference, attributions.tolerance)
    return difference


def _additive(attributions: Attributions) -> Attributions:
    error = attributions.additivity_error
    if not error <= attributions.tolerance:
        raise AdditivityError(error, attributions.tolerance)
    return attributions
