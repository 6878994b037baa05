"""Why an explanation or an assessment could not be computed."""

from collections.abc import Sequence
from typing import ClassVar

from modelnotary.errors import ModelNotaryError

_LISTED = 30


class ExplainError(ModelNotaryError):
    """An explanation or an assessment was asked for that cannot be computed as asked."""

    code: ClassVar[str] = "explain-error"


class UnsupportedModelError(ExplainError):
    """The model is readable, but of a kind that cannot be explained or assessed yet."""

    code: ClassVar[str] = "unsupported-model"


class BrokenModelError(ExplainError):
    """The model's bytes begin like an accepted format and do not hold together."""

    code: ClassVar[str] = "broken-model"


class UnreadableTableError(ExplainError):
    """The table is missing, damaged, empty, or neither CSV nor Parquet."""

    code: ClassVar[str] = "unreadable-table"


class UnknownColumnsError(ExplainError):
    """Columns that the model or the parameters name are not in the table.

    Attributes:
        missing: The names that were asked for and are not there.
        available: The names the table has.
    """

    code: ClassVar[str] = "unknown-columns"

    def __init__(self, missing: Sequence[str], available: Sequence[str], wanted_by: str) -> None:
        super().__init__(
            f"The table lacks {_listing(missing)}, which {wanted_by} needs. Its columns are: {_listing(available)}."
        )
        self.missing = tuple(missing)
        self.available = tuple(available)


class UnusableValueError(ExplainError):
    """A value cannot be turned into the number the model needs.

    Attributes:
        column: The column it stands in.
        row: The row it stands in, counted from 1 after the header.
        value: The value as read.
    """

    code: ClassVar[str] = "unusable-value"

    def __init__(self, column: str, row: int, value: str, expected: str) -> None:
        super().__init__(f"Column {column!r}, row {row}: {value!r} is not {expected}.")
        self.column = column
        self.row = row
        self.value = value


class InvalidParameterError(ExplainError):
    """A parameter is missing, unknown, or has a value outside its range.

    Attributes:
        parameter: Its name.
    """

    code: ClassVar[str] = "invalid-parameter"

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"Parameter {parameter!r}: {problem}")
        self.parameter = parameter


class LabelNotBinaryError(ExplainError):
    """An outcome column does not hold exactly the two outcomes that a bias assessment compares.

    Attributes:
        column: The column.
        values: The distinct values found, at most a few.
    """

    code: ClassVar[str] = "label-not-binary"

    def __init__(self, column: str, values: Sequence[str], expected: str) -> None:
        super().__init__(f"Column {column!r} holds {_listing(values)}; {expected}.")
        self.column = column
        self.values = tuple(values)


class AdditivityError(ExplainError):
    """Attributions do not add up to the model's output, so they explain something else.

    Attributes:
        error: The largest difference found, in the output space.
        tolerance: The largest difference allowed.
    """

    code: ClassVar[str] = "attributions-do-not-add-up"

    def __init__(self, error: float, tolerance: float) -> None:
        super().__init__(
            f"The attributions of one row miss the model's output by {error:.3g}, "
            f"more than the {tolerance:.3g} allowed. "
            "Nothing was recorded; report the model and the library versions."
        )
        self.error = error
        self.tolerance = tolerance


class EnginesDisagreeError(ExplainError):
    """Two independent calculations of the same numbers differ by more than rounding.

    Attributes:
        difference: The largest difference found.
        tolerance: The largest difference allowed.
    """

    code: ClassVar[str] = "engines-disagree"

    def __init__(self, what: str, difference: float, tolerance: float) -> None:
        super().__init__(
            f"Two calculations of {what} differ by {difference:.3g}, more than the {tolerance:.3g} allowed. "
            "Nothing was recorded; report the model, the table and the library versions."
        )
        self.difference = difference
        self.tolerance = tolerance


class CalculationDiedError(ExplainError):
    """The process that computed was killed or broke down: by its limits, or by what it was given to read.

    Attributes:
        exit_code: Of the process; negative for the signal that ended it.
    """

    code: ClassVar[str] = "calculation-died"

    def __init__(self, exit_code: int) -> None:
        ending = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with code {exit_code}"
        super().__init__(
            f"The calculation {ending}. The model or the table is damaged, or needs more memory or time than is "
            "allowed. Check that the model loads and predicts where it was trained."
        )
        self.exit_code = exit_code


class RelayedError(ExplainError):
    """A refusal by the process that computed, with the code and the words it gave."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # the code of the refusal that is passed on


def _listing(names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:_LISTED]) or "nothing"
    return listed if len(names) <= _LISTED else f"{listed} and {len(names) - _LISTED} more"
