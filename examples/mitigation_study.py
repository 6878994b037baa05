"""Every mitigation of the bank's model that was measured, on the demonstration's split and on twenty others.

    python -m examples.mitigation_study

prints the table that `MITIGATION.md` discusses.
"""

from dataclasses import dataclass, replace
from statistics import mean

import numpy as np
import xgboost as xgb

from examples.bank_train import (
    MORE_LIKELY_THAN_NOT,
    SURVEY_DENIAL_RATE,
    TABLE,
    VERSION_1,
    VERSION_2,
    Recipe,
)
from examples.training import Floats, Mask, boost, held_out, predict, threshold_for_rate
from explain.outcomes import area_under_curve
from explain.tables import table_read

OTHER_SPLITS = 20


@dataclass(frozen=True)
class Candidate:
    """A recipe, and what the training may know of race."""

    name: str
    recipe: Recipe
    is_reweighed: bool = False
    parity_penalty: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What one candidate did on the holdout of one split."""

    denied: float
    approved_black: float
    approved_white: float
    auc: float
    accuracy: float

    @property
    def ratio(self) -> float:
        """Approval rate of Black applicants over that of White ones."""
        return self.approved_black / self.approved_white


AT_SURVEY_RATE = replace(VERSION_2, threshold=None)
CANDIDATES = (
    Candidate("version 1", VERSION_1),
    Candidate("version 1, denying only at 0.5", replace(VERSION_1, threshold=MORE_LIKELY_THAN_NOT)),
    Candidate("without marital status", replace(AT_SURVEY_RATE, is_monotone=False)),
    Candidate("without marital status, monotone", AT_SURVEY_RATE),
    *(
        Candidate(
            f"the same without {name}",
            replace(AT_SURVEY_RATE, features=tuple(kept for kept in AT_SURVEY_RATE.features if kept != name)),
        )
        for name in ("denied_mortgage_insurance", "industry_unemployment_rate", "consumer_credit_score")
    ),
    Candidate("the same, reweighed", AT_SURVEY_RATE, is_reweighed=True),
    Candidate("the same, parity penalty 3", AT_SURVEY_RATE, parity_penalty=3),
    Candidate("the same, parity penalty 10", AT_SURVEY_RATE, parity_penalty=10),
    Candidate("version 2, reweighed", VERSION_2, is_reweighed=True),
    Candidate("version 2", VERSION_2),
)


def reweighing(black: Mask, denied: Mask) -> Floats:
    """Weights under which race and denial are independent in the training rows.

    Kamiran and Calders 2012, "Data preprocessing techniques for classification without discrimination",
    Knowledge and Information Systems 33, 1-33.

    Args:
        black: Shape `(rows,)`.
        denied: Shape `(rows,)`.
    """
    weights = np.empty(len(black))
    for group in (black, ~black):
        for outcome in (denied, ~denied):
            both = group & outcome
            weights[both] = group.mean() * outcome.mean() / both.mean()
    return weights


def penalised(rows: Floats, denied: Mask, black: Mask, recipe: Recipe, strength: float) -> xgb.Booster:
    """Train on the logistic loss plus the square of the gap between the groups' mean predictions.

    Args:
        rows: Shape `(rows, features)`.
        denied: Shape `(rows,)`.
        black: Shape `(rows,)`.
        recipe: Features and constraints.
        strength: Weight of the penalty, per row.
    """
    pull = np.where(black, 1 / black.sum(), -1 / (~black).sum())

    def objective(margins: Floats, matrix: xgb.DMatrix) -> tuple[Floats, Floats]:
        probability = 1 / (1 + np.exp(-margins))
        slope = np.maximum(probability * (1 - probability), 1e-6)
        gap = float((pull * probability).sum())
        return probability - matrix.get_label() + strength * len(margins) * gap * pull * slope, slope

    options = {key: value for key, value in recipe.training.items() if key not in {"rounds", "objective"}}
    matrix = xgb.DMatrix(rows, label=denied, feature_names=list(recipe.features), nthread=1)
    start = {"base_score": float(np.log(denied.mean() / (1 - denied.mean()))), "nthread": 1}
    return xgb.train(options | start, matrix, recipe.training["rounds"], obj=objective)


def measure(candidate: Candidate, salt: str) -> Outcome:
    """Train and test one candidate on one split."""
    table = table_read(TABLE)
    recipe = candidate.recipe
    rows, denied = table.matrix(recipe.features, {}), table.numbers("deny") == 1
    black = table.numbers("black") == 1
    holdout = held_out([str(word) for word in table.texts("application_id")], salt)
    train = ~holdout
    if candidate.parity_penalty:
        booster = penalised(rows[train], denied[train], black[train], recipe, candidate.parity_penalty)
        scores = 1 / (1 + np.exp(-predict(booster, rows[holdout], recipe.features)))
    else:
        weights = reweighing(black[train], denied[train]) if candidate.is_reweighed else None
        booster = boost(rows[train], denied[train], recipe.features, recipe.training, weights=weights)
        scores = predict(booster, rows[holdout], recipe.features)
    predicted = scores >= (recipe.threshold or threshold_for_rate(scores, SURVEY_DENIAL_RATE))
    return Outcome(
        denied=float(predicted.mean()),
        approved_black=1 - float(predicted[black[holdout]].mean()),
        approved_white=1 - float(predicted[~black[holdout]].mean()),
        auc=area_under_curve(denied[holdout], scores),
        accuracy=float((predicted == denied[holdout]).mean()),
    )


def study() -> None:
    """Print one line per candidate: the demonstration's split, then the mean over the others."""
    print(
        "| candidate | denied | approved Black / White | ratio | AUC | accuracy | 20 splits: ratio (below 0.8) | AUC |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for candidate in CANDIDATES:
        ours = measure(candidate, "")
        others = [measure(candidate, f"split {number}:") for number in range(OTHER_SPLITS)]
        ratios = [other.ratio for other in others]
        below = sum(value < 0.8 for value in ratios)  # noqa: PLR2004 - the four-fifths screen
        print(
            f"| {candidate.name} | {ours.denied:.1%} | {ours.approved_black:.1%} / {ours.approved_white:.1%} "
            f"| {ours.ratio:.3f} | {ours.auc:.3f} | {ours.accuracy:.3f} "
            f"| {mean(ratios):.3f}, {min(ratios):.3f}-{max(ratios):.3f} ({below}) "
            f"| {mean(other.auc for other in others):.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    study()
