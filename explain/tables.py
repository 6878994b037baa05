"""A table of rows to be scored, and the one rule by which its columns become the numbers of a model.

The rule, per value of a feature column:

1. A column that the model version's `encoding` names is converted by that mapping, and by nothing else.
2. Otherwise a number is itself, a truth value and the words yes, no, true and false are 1 and 0.
3. An empty cell and the words NA, NaN and null are missing, which is not zero: the model decides.
4. Anything else is refused, with its column, row and value.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from explain.errors import UnknownColumnsError, UnreadableTableError, UnusableValueError
from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import TableFacts, TableFormat
from modelnotary.tables.measuring import table_facts

type Floats = npt.NDArray[np.float64]
type Encoding = Mapping[str, Mapping[str, float]]

MISSING_WORDS = ("", "NA", "NaN", "nan", "null")
_TRUTH_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """Rows by named columns, as read: CSV cells are text, Parquet cells keep their type."""

    data: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.data.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the table's order."""
        return tuple(self.data.column_names)

    def require(self, names: Sequence[str], wanted_by: str) -> None:
        """Refuse to go on without these columns.

        Raises:
            UnknownColumnsError: At least one is not there; all that are missing are named.
        """
        known = set(self.names)
        if missing := [name for name in names if name not in known]:
            raise UnknownColumnsError(missing, self.names, wanted_by)

    def texts(self, name: str) -> list[str | None]:
        """One column as words, for labels and groups.

        Args:
            name: A column of the table.

        Returns:
            One entry per row, without surrounding spaces; None where the value is missing.
        """
        column = self._text_column(name)
        words = [_word(value) for value in column.dictionary.to_pylist()]
        return [None if index is None else words[index] for index in column.indices.to_pylist()]

    def numbers(self, name: str, mapping: Mapping[str, float] | None = None) -> Floats:
        """One column as numbers, by the rule at the top of this module.

        Args:
            name: A column of the table.
            mapping: The column's encoding, if it has one.

        Returns:
            Shape `(rows,)`; NaN where the value is missing.

        Raises:
            UnusableValueError: A value is neither a number nor covered by the rule or the mapping.
        """
        column = self._text_column(name)
        numbers = np.empty(len(column.dictionary) + 1)
        numbers[-1] = math.nan
        for position, value in enumerate(column.dictionary.to_pylist()):
            number = _number(_word(value), mapping)
            if number is None:
                row = int(pc.index(column.indices, position).as_py()) + 1
                raise UnusableValueError(name, row, value, _expected(mapping))
            numbers[position] = number
        positions: npt.NDArray[np.int32] = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        return np.take(numbers, positions)

    def matrix(self, features: Sequence[str], encoding: Encoding) -> Floats:
        """The model's input.

        Args:
            features: The model's own feature names; they set the order of the columns.
            encoding: The model version's recorded encoding of its text features.

        Returns:
            Shape `(rows, features)`; NaN where a value is missing.

        Raises:
            UnknownColumnsError: A feature has no column of its name.
            UnusableValueError: A value does not convert.
        """
        self.require(features, "the model")
        return np.column_stack([self.numbers(name, encoding.get(name)) for name in features])

    def _text_column(self, name: str) -> pa.DictionaryArray:
        column = self.data.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        try:
            return pc.dictionary_encode(pc.cast(column, pa.string()))
        except pa.ArrowException as error:
            raise UnreadableTableError(f"Column {name!r} holds {column.type} values, not plain cells.") from error


def table_read(path: Path) -> Table:
    """Read a CSV file (UTF-8, comma, one header line) or a Parquet file, told apart by content.

    Args:
        path: The file.

    Returns:
        The table, with at least one row.

    Raises:
        UnreadableTableError: It is missing, damaged, empty, has no header, or a column name twice.
    """
    try:
        facts = table_facts(path)
    except OSError as error:
        raise UnreadableTableError(f"The table {path.name!r} cannot be read: {error.strerror}.") from error
    except TableError as error:
        raise UnreadableTableError(f"The table {path.name!r} is not well-formed: {error}.") from error
    if not facts.row_count:
        raise UnreadableTableError(f"The table {path.name!r} has no rows below its header.")
    data = _data_read(path, facts)
    if data.num_rows != facts.row_count:
        raise UnreadableTableError(
            f"The table {path.name!r} has {data.num_rows} rows; counted without reading its cells, {facts.row_count}."
        )
    return Table(data)


def _data_read(path: Path, facts: TableFacts) -> pa.Table:
    try:
        if facts.format is TableFormat.PARQUET:
            return pa_parquet.read_table(path)
        as_text = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(facts.names, pa.string()),
            null_values=list(MISSING_WORDS),
            strings_can_be_null=True,
        )
        layout = pa_csv.ParseOptions(newlines_in_values=True)
        return pa_csv.read_csv(path, parse_options=layout, convert_options=as_text)
    except (OSError, pa.ArrowException) as error:
        # The parser quotes the row it stumbled over, and a row may be a patient's: its words stay out.
        raise UnreadableTableError(f"The cells of the table {path.name!r} cannot be read; is it damaged?") from error


def _word(value: str) -> str | None:
    word = value.strip()
    return None if word in MISSING_WORDS else word


def _number(word: str | None, mapping: Mapping[str, float] | None) -> float | None:
    """The number a word stands for; None when it stands for none."""
    if word is None:
        return math.nan
    if mapping is not None:
        return mapping.get(word)
    if _NUMBER.fullmatch(word) and math.isfinite(number := float(word)):
        return number
    return _TRUTH_WORDS.get(word.lower())


def _expected(mapping: Mapping[str, float] | None) -> str:
    if mapping is None:
        return "a number, yes, no, true or false; words need an entry in the model version's encoding"
    return f"one of the words in the column's encoding ({', '.join(sorted(mapping))})"
