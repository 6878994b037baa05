"""The header and the row count of a CSV file, in one pass and constant memory.

The dialect is that of `csv.excel` in Python's standard library, which reads RFC 4180: UTF-8 with or without a byte
order mark, commas, double quotes that are doubled inside quotes, lines that end with LF or CRLF (the last may lack
it), the columns' names on the first line, as many cells in each row as in the header. An empty line is no row.
"""

import csv
from collections.abc import Iterable, Iterator

from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import COLUMNS_LIMIT, Column, TableFacts, TableFormat

ROW_LIMIT = 1024 * 1024
"""The longest row, in bytes."""

_TOO_LONG = f"a row is longer than {ROW_LIMIT:,} bytes"
_NOT_READ = "has a lone carriage return outside quotes, or a cell of more than 131,072 characters"
_BOM = b"\xef\xbb\xbf"
_STRUCTURE = b',"\r\n'
_REST = bytes(byte for byte in range(256) if byte not in _STRUCTURE)
# Up to this size no cell of a piece can be longer than the standard library's reader takes (131,072 characters).
_PLAIN_LIMIT = 128 * 1024


def csv_facts(chunks: Iterable[bytes]) -> TableFacts:
    """Read a CSV file.

    Args:
        chunks: The file's bytes, in pieces of any size; the facts do not depend on where they are cut. When an
            error is raised, the rest is not read.

    Raises:
        TableError: The bytes are not in the dialect, or a row is longer than `ROW_LIMIT`.
    """
    return _Counter(chunks).facts()


class _Counter:
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._pieces = _whole_lines(chunks)
        self._width = 0
        self._rows = 0
        self._row_size = 0  # of the row that is being read, in bytes; 0 between rows
        self._ends_inside = False

    def facts(self) -> TableFacts:
        reader = csv.reader(self._lines())
        try:
            header = next(reader, [])
            if not 0 < len(header) <= COLUMNS_LIMIT:
                raise TableError(f"its first line does not name columns, or more than {COLUMNS_LIMIT:,}")
            self._width, self._row_size = len(header), 0
            for row in reader:
                self._row_size = 0
                if row:
                    self._row_add(len(row))
        except csv.Error as error:
            raise TableError(f"row {self._rows + 1} {_NOT_READ}") from error
        if self._ends_inside:
            raise TableError("it ends inside quotes")
        columns = tuple(Column(name, "text", "optional") for name in header)
        return TableFacts(TableFormat.CSV, self._rows, columns)

    def _row_add(self, cells: int) -> None:
        if cells != self._width and not self._ends_inside:
            raise TableError(f"row {self._rows + 1} has {cells} cells, the header has {self._width}")
        self._rows += 1

    def _lines(self) -> Iterator[str]:
        for piece in self._pieces:
            text = _text(piece)
            if not self._row_size and (rows := self._plain_rows(piece)) is not None:
                self._rows += rows
                continue
            *lines, last = text.split("\n")
            for line in lines:
                yield self._line(f"{line}\n")
            if last:
                yield self._line(last)
        self._ends_inside = self._row_size > 0

    def _line(self, line: str) -> str:
        self._row_size += len(line) if line.isascii() else len(line.encode())
        if self._row_size > ROW_LIMIT:
            raise TableError(_TOO_LONG)
        return line

    def _plain_rows(self, piece: bytes) -> int | None:
        """Count the rows of whole lines without reading cell by cell; None where only that tells.

        When nothing is left of the lines but their commas, quotes and ends, and then no two quotes that stand next to
        each other, the quotes that are still there hold a comma or an end. If there are none, every comma and every
        end counts. Most data are like that, and it is many times as fast.
        """
        if self._width <= 1 or len(piece) > _PLAIN_LIMIT or not piece.endswith(b"\n"):
            return None
        structure = piece.translate(None, _REST).replace(b'""', b"")
        row = b"," * (self._width - 1) + (b"\r\n" if piece.endswith(b"\r\n") else b"\n")
        rows = len(structure) // len(row)
        return rows if structure == row * rows else None


def _text(piece: bytes) -> str:
    if b"\0" in piece:
        raise TableError("it holds the byte 0, so it is not UTF-8 text")
    try:
        return piece.decode()
    except UnicodeDecodeError as error:
        raise TableError("it is not UTF-8 text") from error


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut chunks anew, at ends of lines; the last piece may lack one."""
    rest, is_first = b"", True
    for chunk in chunks:
        head, end, tail = chunk.rpartition(b"\n")
        if end:
            piece = rest + head + end
            yield piece.removeprefix(_BOM) if is_first else piece
            rest, is_first = tail, False
        else:
            rest += tail
        if len(rest) > ROW_LIMIT + len(_BOM):
            raise TableError(_TOO_LONG)
    yield rest.removeprefix(_BOM) if is_first else rest
