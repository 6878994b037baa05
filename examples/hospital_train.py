"""A hospital's model of who will need many visits next year, on the RAND Health Insurance Experiment.

The hospital offers people with a high predicted use a place in a care programme, so being predicted is the favourable
outcome. Race is no feature. Sex is one: it is a clinical fact here. Both are assessed.

    python -m examples.hospital_train FOLDER
"""

import sys
from pathlib import Path

import numpy as np

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

TABLE = DATA / "rand_hie_visits.csv"
HIGH_USE_VISITS = 5
"""One person-year in five has at least as many."""

FEATURES = (
    "log_coinsurance",
    "individual_deductible_plan",
    "log_participation_incentive",
    "log_max_deductible_expenditure",
    "physical_limitation",
    "chronic_disease_index",
    "self_rated_health",
    "log_family_income",
    "log_family_size",
    "household_head_schooling_years",
    "age",
    "sex",
    "child",
)
ENCODING = {
    "self_rated_health": {"poor": 0.0, "fair": 1.0, "good": 2.0, "excellent": 3.0},
    "sex": {"female": 0.0, "male": 1.0},
}
FAMILY = ("log_family_income", "household_head_schooling_years", "black")
"""Constant within a family; the rows of a family follow each other."""

TRAINING = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 5,
    "lambda": 2,
    "seed": 1974,
    "rounds": 150,
}


def hospital_train(folder: Path, run: str) -> TrainedModel:
    """Train the high-use model.

    Args:
        folder: Where `model.json`, `train.csv` and `holdout.csv` go; both tables get a column `high_use`.
        run: The name of the training run; the artifact records it.

    Returns:
        The run. It gives the same trees and the same split every time.
    """
    table = table_read(TABLE)
    holdout = held_out(families(table))
    high_use = table.numbers("doctor_visits") >= HIGH_USE_VISITS
    rows = table.matrix(FEATURES, ENCODING)
    booster = boost(rows[~holdout], high_use[~holdout], FEATURES, TRAINING)
    scores = predict(booster, rows[holdout], FEATURES)
    threshold = threshold_for_rate(scores, float(high_use.mean()))
    artifact_write(booster, run, folder / "model.json")
    words = np.where(high_use, "yes", "no").tolist()
    train_path, holdout_path = split_write(TABLE, holdout, folder, {"high_use": words})
    return TrainedModel(
        name="high-use",
        model_path=folder / "model.json",
        train_path=train_path,
        holdout_path=holdout_path,
        features=FEATURES,
        parameters={
            "threshold": threshold,
            "encoding": ENCODING,
            "label": "high_use",
            "positive": "yes",
            "training": TRAINING,
        },
        metrics=holdout_metrics(high_use[holdout], scores, threshold),
        bias_parameters={
            "label": "high_use",
            "positive": "yes",
            "favourable": "yes",
            "sensitive": ["black", "sex"],
            "reference": {"black": "FALSE", "sex": "male"},
        },
    )


def families(table: Table) -> list[str]:
    """A key for each row, the same for all years of all members of a family.

    Without it a person's first year could train the model that is tested on the second.
    """
    facts = list(zip(*(table.texts(name) for name in FAMILY), strict=True))
    keys: list[str] = []
    for row, (fact, identifier) in enumerate(zip(facts, table.texts("person_year_id"), strict=True)):
        keys.append(keys[-1] if row and fact == facts[row - 1] else str(identifier))
    return keys


if __name__ == "__main__":
    trained = hospital_train(Path(sys.argv[1]), run="high-use")
    print(trained.name, trained.parameters["threshold"], dict(trained.metrics))
