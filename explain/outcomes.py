"""Actual and predicted outcomes read from a table, and the one score-based measure of how they agree."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from explain.errors import InvalidParameterError, LabelNotBinaryError
from explain.tables import Floats, Table

type Words = npt.NDArray[np.object_]
"""One word per row, shape `(rows,)`."""

_TRUE_WORDS = frozenset({"1", "1.0", "yes", "true"})


def labels_read(table: Table, column: str) -> tuple[Words, tuple[str, str]]:
    """The actual outcomes.

    Args:
        table: The table.
        column: A column of it.

    Returns:
        The outcome of each row, and the two values in their order.

    Raises:
        LabelNotBinaryError: The column holds more or fewer than two values, or a row has none.
    """
    words = table.texts(column)
    values = sorted({word for word in words if word is not None})
    match values:
        case [first, second] if None not in words:
            return np.array(words, dtype=object), (first, second)
    found = [*values, *(["a missing value"] if None in words else [])]
    raise LabelNotBinaryError(column, found, "a label must hold two values, and one in every row")


def predictions_read(table: Table, column: str, values: tuple[str, str]) -> Words:
    """The predicted outcomes, in the words of the actual ones.

    Raises:
        LabelNotBinaryError: A row has another value, or none.
    """
    words = table.texts(column)
    if strangers := sorted({str(word) for word in words if word not in values}):
        raise LabelNotBinaryError(column, strangers, f"a prediction must be {values[0]!r} or {values[1]!r}")
    return np.array(words, dtype=object)


def value_known(parameter: str, value: str, values: tuple[str, str]) -> str:
    """Refuse an outcome that the label does not hold.

    Raises:
        InvalidParameterError: It is none of the two.
    """
    if value not in values:
        raise InvalidParameterError(parameter, f"is {value!r}, but the label holds {values[0]!r} and {values[1]!r}.")
    return value


def affirmative_value(values: tuple[str, str]) -> str | None:
    """The one of two outcomes that says yes, true or 1; None where both or neither do."""
    affirmative = [value for value in values if value.lower() in _TRUE_WORDS]
    return affirmative[0] if len(affirmative) == 1 else None


def area_under_curve(is_positive: Sequence[bool] | npt.NDArray[np.bool_], scores: Floats) -> float:
    """The area under the ROC curve: how often a positive row scores above another one, ties counting half.

    Args:
        is_positive: Shape `(rows,)`, with both values present.
        scores: Shape `(rows,)`; higher speaks for positive.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_positive, scores))
