"""What a version of a data set holds: counted in the bytes of a table, else what the caller says."""

from dataclasses import dataclass
from pathlib import Path

from governance.enums import DataFormat
from governance.errors import RejectedInputError
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import TableFacts
from modelnotary.tables.measuring import table_facts

_COLUMNS_SIZE = 32_768


@dataclass(frozen=True)
class DataContent:
    """The facts about the bytes that are recorded with a version."""

    format: DataFormat
    row_count: int
    columns: list[str]
    schema_digest: str

    def to_json(self) -> dict[str, Json]:
        """The facts for the ledger, whose entries are short: of a very wide table the schema's digest speaks."""
        facts: dict[str, Json] = {
            "format": self.format.value,
            "row_count": self.row_count,
            "column_count": len(self.columns),
            "schema_digest": self.schema_digest,
        }
        columns = list[Json](self.columns)
        is_wide = self.schema_digest and len(canonical_bytes(columns)) > _COLUMNS_SIZE
        return facts if is_wide else facts | {"columns": columns}


def data_content(
    path: Path,
    *,
    format: DataFormat | None,  # noqa: A002 - the column's name
    row_count: int | None,
    columns: list[str] | None,
) -> DataContent:
    """Read a table and hold it against what the caller expects; take the caller's word for other data.

    Raises:
        RejectedInputError: The bytes are no table, or not the expected one; or of other data too little is said.
    """
    if format == DataFormat.OTHER:
        if row_count is None or columns is None:
            raise RejectedInputError("data that are no table cannot be counted: state row_count and columns")
        return DataContent(DataFormat.OTHER, row_count, columns, "")
    facts = _table_facts(path)
    found = DataContent(DataFormat(facts.format), facts.row_count, list(facts.names), facts.schema_digest.text)
    for name, stated in (("format", format), ("row_count", row_count), ("columns", columns)):
        actual = getattr(found, name)
        if stated is not None and stated != actual:
            raise RejectedInputError(f"{name} is stated as {stated!s:.500}, the bytes have {actual!s:.500}")
    return found


def _table_facts(path: Path) -> TableFacts:
    try:
        return table_facts(path)
    except TableError as error:
        raise RejectedInputError(
            f"the bytes are not a well-formed table: {error}; data of another kind are registered with format 'other'"
        ) from error
