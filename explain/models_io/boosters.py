"""XGBoost tree models from plain data (JSON or UBJSON), checked before anything is computed with them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from explain.errors import BrokenModelError, InvalidParameterError, UnsupportedModelError
from explain.tables import Encoding, Floats, Table
from modelnotary.formats import ArtifactFormat, UnreadableArtifactError, refuse_unsafe

PROBABILITY_OBJECTIVES = frozenset({"binary:logistic", "reg:logistic"})
_REASON_LENGTH = 200


@dataclass(frozen=True)
class TreeModel:
    """A model of gradient-boosted trees with one output."""

    booster: xgb.Booster
    digest: str
    """`sha256:` and the hex digest of exactly the bytes the booster was loaded from."""
    format: ArtifactFormat
    features: tuple[str, ...]
    """The names the artifact itself records, in its own order."""
    objective: str

    def rows(self, table: Table, encoding: Encoding) -> Floats:
        """The table's rows as the model's input, columns matched by name and put into the model's order.

        Returns:
            Shape `(rows, features)`; NaN where a value is missing.

        Raises:
            UnknownColumnsError: The table lacks a feature of the model.
            UnusableValueError: A value does not convert by the rule of `explain.tables`.
            InvalidParameterError: The encoding names a column that is no feature of the model.
        """
        if strangers := sorted(set(encoding) - set(self.features)):
            raise InvalidParameterError("encoding", f"{', '.join(strangers)} is no feature of the model.")
        return table.matrix(self.features, encoding)

    def matrix(self, rows: Floats) -> xgb.DMatrix:
        """Rows of the model's input, shape `(rows, features)`, as XGBoost takes them."""
        return xgb.DMatrix(rows, feature_names=list(self.features))

    def margins(self, matrix: xgb.DMatrix) -> npt.NDArray[np.float32]:
        """The sums of leaf values per row, before the objective's link; shape `(rows,)`."""
        return np.asarray(self.booster.predict(matrix, output_margin=True))

    def probabilities(self, matrix: xgb.DMatrix) -> npt.NDArray[np.float32]:
        """The probability of the model's positive outcome per row; shape `(rows,)`.

        Raises:
            UnsupportedModelError: The model's objective does not give a probability.
        """
        if self.objective not in PROBABILITY_OBJECTIVES:
            raise UnsupportedModelError(
                f"The model's objective is {self.objective!r}, which gives no probability. "
                f"A decision threshold needs one of: {', '.join(sorted(PROBABILITY_OBJECTIVES))}."
            )
        return np.asarray(self.booster.predict(matrix))


def model_load(source: Path | bytes) -> TreeModel:
    """Load an XGBoost model from its JSON or UBJSON bytes.

    Args:
        source: A file, or its whole content. The content alone decides; the file's name is ignored.

    Returns:
        The model, ready to predict.

    Raises:
        UnsafeFormatError: The artifact can run code when it is opened.
        UnreadableArtifactError: The file cannot be read.
        UnsupportedModelError: It is not an XGBoost tree model with one output and recorded feature names.
        BrokenModelError: It begins like one and is damaged.
    """
    content = source if isinstance(source, bytes) else _read(source)
    found = refuse_unsafe(content)
    if not found.is_accepted:
        raise UnsupportedModelError(
            "The artifact is in no format that can be opened here. Accepted: XGBoost JSON and UBJSON, "
            "as booster.save_model('model.json') or 'model.ubj' writes them."
        )
    try:
        with xgb.config_context(verbosity=0):
            booster = xgb.Booster(model_file=bytearray(content))
            learner = json.loads(booster.save_config())["learner"]
    except (xgb.core.XGBoostError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:_REASON_LENGTH]
        raise BrokenModelError(f"The {found.value} artifact is damaged: {reason}") from error
    return TreeModel(
        booster=booster,
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        format=found,
        features=_features(booster, learner),
        objective=learner["objective"]["name"],
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableArtifactError(path, error.strerror or type(error).__name__) from error


def _features(booster: xgb.Booster, learner: Mapping[str, Any]) -> tuple[str, ...]:
    """The recorded feature names of a model of the supported kind."""
    kind = learner["gradient_booster"]["name"]
    shape = learner["learner_model_param"]
    if kind != "gbtree":
        raise UnsupportedModelError(f"The model is a {kind!r} booster; only trees ('gbtree') can be explained.")
    if int(shape["num_class"]) > 1 or int(shape["num_target"]) > 1:
        raise UnsupportedModelError("The model has several outputs; only models with one can be explained.")
    if "c" in (booster.feature_types or ()):
        raise UnsupportedModelError("The model splits on category codes; encode categories as numbers instead.")
    names = booster.feature_names
    if not names or len(names) != int(shape["num_feature"]):
        raise UnsupportedModelError(
            "The model does not record the name of each feature, so its columns cannot be matched by name. "
            "Train it on a table with named columns."
        )
    return tuple(names)
