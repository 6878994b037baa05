"""What is told of a table beside its bytes: how many rows it has, and a digest of its schema."""

from dataclasses import dataclass
from enum import StrEnum

from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.tables.errors import TableError

SCHEMA_FORMAT = "modelnotary-schema/v1"
COLUMNS_LIMIT = 100_000


class TableFormat(StrEnum):
    """How the bytes hold the rows. The values are stored and never renamed."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a part of one.

    ``type`` is in the words of docs/manifests.md; ``repetition`` is Parquet's: required (never null), optional, or
    repeated. ``fields`` are the parts of a group.
    """

    name: str
    type: str
    repetition: str
    fields: tuple["Column", ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The column as it stands in a schema."""
        column: dict[str, Json] = {"name": self.name, "type": self.type, "repetition": self.repetition}
        return column | {"fields": [field.to_json() for field in self.fields]} if self.fields else column


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The rows and the columns of a table, in the table's order.

    Raises:
        TableError: two columns have one name, or a name holds the character U+0000.
    """

    format: TableFormat
    row_count: int
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = self.names
        if any("\0" in name for name in names):
            raise TableError("the name of a column holds the character U+0000")
        if len(set(names)) < len(names):
            raise TableError("two columns have the same name")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def schema_bytes(self) -> bytes:
        """The schema in its canonical form (RFC 8785)."""
        return canonical_bytes({"format": SCHEMA_FORMAT, "columns": [column.to_json() for column in self.columns]})

    @property
    def schema_digest(self) -> Digest:
        """The digest of the canonical form."""
        return Digest.of(self.schema_bytes())

    def to_json(self) -> dict[str, Json]:
        """The facts for programs."""
        return {
            "format": self.format.value,
            "row_count": self.row_count,
            "schema_digest": self.schema_digest.text,
            "columns": [column.to_json() for column in self.columns],
        }
