"""Telling what a table holds, whichever of the formats it has."""

from pathlib import Path

from modelnotary.tables.comma_separated import csv_facts
from modelnotary.tables.facts import TableFacts
from modelnotary.tables.parquet import MAGICS, parquet_facts

CHUNK = 64 * 1024
"""Bytes of a CSV file taken at once: cut at line ends, such pieces stay small enough to be counted the fast way."""


def table_facts(path: Path) -> TableFacts:
    """Count the rows of a file that is said to be a table: Parquet by its first bytes, else CSV.

    Raises:
        TableError: It is no well-formed table.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
        if head in MAGICS:
            return parquet_facts(file)
        file.seek(0)
        return csv_facts(iter(lambda: file.read(CHUNK), b""))
