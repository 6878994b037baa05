"""A bank's mortgage denial model on the Boston survey of 1990, in two versions.

Version 1 is what a team in a hurry would do: every column but race, and the operating point at which the model denies
as often as the lenders did. Version 2 is the mitigation; `MITIGATION.md` gives the reasons and what else was measured.

    python -m examples.bank_train FOLDER
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.training import (
    DATA,
    TrainedModel,
    artifact_write,
    boost,
    held_out,
    holdout_metrics,
    predict,
    split_write,
    threshold_for_rate,
)
from explain.tables import Table, table_read

TABLE = DATA / "hmda_boston_1990.csv"
SURVEY_DENIAL_RATE = 285 / 2381
"""What the lenders themselves did, over the whole table."""

MORE_LIKELY_THAN_NOT = 0.5

ALL_BUT_RACE = (
    "debt_to_income",
    "housing_expense_to_income",
    "loan_to_value",
    "consumer_credit_score",
    "mortgage_credit_score",
    "public_bad_credit_record",
    "denied_mortgage_insurance",
    "self_employed",
    "single",
    "industry_unemployment_rate",
    "condominium",
)
WITHOUT_MARITAL_STATUS = tuple(name for name in ALL_BUT_RACE if name != "single")
NEVER_SPEAKS_FOR_THE_APPLICANT = (
    "debt_to_income",
    "housing_expense_to_income",
    "loan_to_value",
    "consumer_credit_score",
    "mortgage_credit_score",
    "public_bad_credit_record",
    "denied_mortgage_insurance",
)
"""More debt, a larger loan or a worse record may raise the probability of denial and must not lower it."""

TRAINING = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 2,
    "lambda": 2,
    "seed": 1990,
    "rounds": 120,
}


@dataclass(frozen=True)
class Recipe:
    """What distinguishes one version from another."""

    name: str
    features: tuple[str, ...]
    is_monotone: bool
    threshold: float | None
    """None for the operating point with the survey's own denial rate."""

    @property
    def training(self) -> dict[str, Any]:
        """XGBoost's parameters."""
        if not self.is_monotone:
            return TRAINING
        constrained = [name for name in self.features if name in NEVER_SPEAKS_FOR_THE_APPLICANT]
        return TRAINING | {"monotone_constraints": dict.fromkeys(constrained, 1)}


VERSION_1 = Recipe("denial-v1", ALL_BUT_RACE, is_monotone=False, threshold=None)
VERSION_2 = Recipe("denial-v2", WITHOUT_MARITAL_STATUS, is_monotone=True, threshold=MORE_LIKELY_THAN_NOT)


def bank_train(recipe: Recipe, folder: Path, run: str) -> TrainedModel:
    """Train one version of the denial model.

    Args:
        recipe: `VERSION_1` or `VERSION_2`.
        folder: Where `model.json`, `train.csv` and `holdout.csv` go.
        run: The name of the training run; the artifact records it.

    Returns:
        The run. The same recipe gives the same trees and the same split every time.
    """
    table = table_read(TABLE)
    holdout = held_out(_ids(table))
    rows, denied = table.matrix(recipe.features, {}), table.numbers("deny") == 1
    booster = boost(rows[~holdout], denied[~holdout], recipe.features, recipe.training)
    scores = predict(booster, rows[holdout], recipe.features)
    threshold = recipe.threshold or threshold_for_rate(scores, SURVEY_DENIAL_RATE)
    artifact_write(booster, run, folder / "model.json")
    train_path, holdout_path = split_write(TABLE, holdout, folder, {})
    return TrainedModel(
        name=recipe.name,
        model_path=folder / "model.json",
        train_path=train_path,
        holdout_path=holdout_path,
        features=recipe.features,
        parameters={
            "threshold": threshold,
            "encoding": {},
            "label": "deny",
            "positive": "yes",
            "training": recipe.training,
        },
        metrics=holdout_metrics(denied[holdout], scores, threshold),
        bias_parameters={
            "label": "deny",
            "positive": "yes",
            "favourable": "no",
            "sensitive": ["black"],
            "reference": {"black": "no"},
        },
    )


def _ids(table: Table) -> list[str]:
    return [str(word) for word in table.texts("application_id")]


if __name__ == "__main__":
    for version in (VERSION_1, VERSION_2):
        trained = bank_train(version, Path(sys.argv[1]) / version.name, run=version.name)
        print(trained.name, trained.parameters["threshold"], dict(trained.metrics))
