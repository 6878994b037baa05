"""The schema and the row count of a Parquet file, from its footer alone.

Source: the Apache Parquet format, `parquet.thrift` (FileMetaData, SchemaElement, LogicalType, ConvertedType) and
`LogicalTypes.md`. The pages are not decoded: the row count is what the footer states, for the file and once more for
each of its row groups, and the two have to agree.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import COLUMNS_LIMIT, Column, TableFacts, TableFormat
from modelnotary.tables.thrift import BINARY, BYTE, I32, I64, LIST, STRUCT, TRUE, CompactReader

MAGIC = b"PAR1"
MAGIC_ENCRYPTED = b"PARE"
MAGICS = frozenset({MAGIC, MAGIC_ENCRYPTED})
FOOTER_LIMIT = 64 * 1024 * 1024

_TAIL = 8
_DEPTH_LIMIT = 32
_ROWS_LIMIT = 2**53 - 1
_PHYSICAL = ("boolean", "int32", "int64", "int96", "float", "double", "byte_array", "fixed_len_byte_array")
_FIXED_LENGTH = 7
_REPETITIONS = ("required", "optional", "repeated")
# The older annotations, each in the words of the newer one that it stands for (LogicalTypes.md, "compatibility").
_CONVERTED = (
    *("string", "map", "map_key_value", "list", "enum", "decimal", "date", "time(ms,utc)", "time(us,utc)"),
    *("timestamp(ms,utc)", "timestamp(us,utc)", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32"),
    *("int64", "json", "bson", "interval"),
)
_CONVERTED_DECIMAL = 5
_LOGICAL = {1: "string", 2: "map", 3: "list", 4: "enum", 6: "date", 11: "null", 12: "json", 13: "bson", 14: "uuid"}
_LOGICAL |= {15: "float16", 16: "variant", 17: "geometry", 18: "geography"}
_LOGICAL_DECIMAL, _LOGICAL_INTEGER = 5, 10
_LOGICAL_TIMES = {7: "time", 8: "timestamp"}
_UNITS = {1: "ms", 2: "us", 3: "ns"}


@dataclass(slots=True)
class _Element:
    """A node of the schema, as the footer lists them: parents first, each with the number of its children."""

    name: str = ""
    physical: int | None = None
    length: int = 0
    repetition: int = 0
    children: int = 0
    converted: int | None = None
    scale: int = 0
    precision: int = 0
    logical: str = ""


@dataclass(slots=True)
class _Footer:
    elements: list[_Element] = field(default_factory=list)
    row_count: int = -1
    group_rows: int = 0


def parquet_facts(file: BinaryIO) -> TableFacts:
    """Read the footer of a Parquet file.

    Args:
        file: The file; it may stand anywhere.

    Raises:
        TableError: The footer is cut off, encrypted, not of this format, too large, or contradicts itself.
        OSError: The file cannot be read.
    """
    return footer_facts(_footer_bytes(file))


def footer_facts(data: bytes) -> TableFacts:
    """Read a footer: the bytes between the pages and the file's last eight bytes.

    Raises:
        TableError: See `parquet_facts`.
    """
    footer = _footer(CompactReader(data))
    if not footer.elements:
        raise TableError("its footer holds no schema")
    if not 0 <= footer.row_count <= _ROWS_LIMIT or footer.row_count != footer.group_rows:
        raise TableError("its footer states another number of rows for the file than for its row groups together")
    elements = iter(footer.elements)
    columns = _columns(elements, next(elements).children, 1)
    if not columns or next(elements, None) is not None:
        raise TableError("the schema in its footer is not one tree")
    return TableFacts(TableFormat.PARQUET, footer.row_count, columns)


def _footer_bytes(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(len(MAGIC))
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    if MAGIC_ENCRYPTED in {head, tail[4:]}:
        raise TableError("its footer is encrypted")
    if size < len(MAGIC) + _TAIL or head != MAGIC or tail[4:] != MAGIC:
        raise TableError("it is not a whole Parquet file")
    length = int.from_bytes(tail[:4], "little")
    if length > min(FOOTER_LIMIT, size - len(MAGIC) - _TAIL):
        raise TableError(f"its footer is longer than the file, or than the {FOOTER_LIMIT:,} bytes read here")
    file.seek(size - _TAIL - length)
    return file.read(length)


def _footer(reader: CompactReader) -> _Footer:
    footer = _Footer()
    for number, kind in reader.fields():
        if (number, kind) == (2, LIST):
            footer.elements = _elements(reader)
        elif (number, kind) == (3, I64):
            footer.row_count = reader.integer()
        elif (number, kind) == (4, LIST):
            footer.group_rows += _group_rows(reader)
        else:
            reader.skip(kind)
    return footer


def _elements(reader: CompactReader) -> list[_Element]:
    count, kind = reader.items()
    if kind != STRUCT or count > COLUMNS_LIMIT:
        raise TableError(f"the schema in its footer is not a list of at most {COLUMNS_LIMIT:,} columns")
    return [_element(reader) for _ in range(count)]


def _element(reader: CompactReader) -> _Element:
    element = _Element()
    numbers = {1: "physical", 2: "length", 3: "repetition", 5: "children", 6: "converted", 7: "scale", 8: "precision"}
    for number, kind in reader.fields():
        if kind == I32 and number in numbers:
            setattr(element, numbers[number], reader.integer())
        elif (number, kind) == (4, BINARY):
            element.name = _text(reader.binary())
        elif (number, kind) == (10, STRUCT):
            element.logical = _logical(reader)
        else:
            reader.skip(kind)
    return element


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise TableError("the name of a column is not UTF-8 text") from error


def _group_rows(reader: CompactReader) -> int:
    count, kind = reader.items()
    if count and kind != STRUCT:
        raise TableError("its footer holds no list of row groups")
    rows = 0
    for _ in range(count):
        group_rows = -1
        for number, field_kind in reader.fields():
            if (number, field_kind) == (3, I64):
                group_rows = reader.integer()
            else:
                reader.skip(field_kind)
        if group_rows < 0:
            raise TableError("a row group in its footer states no number of rows")
        rows += group_rows
    return rows


def _logical(reader: CompactReader) -> str:
    """Read the union of logical types; one that came later than this program is known by its number."""
    found = ""
    for number, kind in reader.fields():
        if kind == STRUCT and number in _LOGICAL_TIMES:
            found = f"{_LOGICAL_TIMES[number]}({_time(reader)})"
        elif kind == STRUCT and number in {_LOGICAL_DECIMAL, _LOGICAL_INTEGER}:
            one, two = _pair(reader)
            found = f"decimal({two},{one})" if number == _LOGICAL_DECIMAL else f"{'' if two else 'u'}int{one}"
        else:
            reader.skip(kind)
            found = _LOGICAL.get(number, f"logical{number}")
    return found


def _time(reader: CompactReader) -> str:
    is_utc, unit = False, ""
    for number, kind in reader.fields():
        if number == 1:
            is_utc = kind == TRUE
        elif (number, kind) == (2, STRUCT):
            for choice, choice_kind in reader.fields():
                unit = _UNITS.get(choice, f"unit{choice}")
                reader.skip(choice_kind)
        else:
            reader.skip(kind)
    return f"{unit},{'utc' if is_utc else 'local'}"


def _pair(reader: CompactReader) -> tuple[int, int]:
    """Read scale and precision of a decimal, or width and sign of an integer."""
    values = [0, 0]
    for number, kind in reader.fields():
        if number in {1, 2} and kind in {BYTE, I32}:
            values[number - 1] = reader.small_integer() if kind == BYTE else reader.integer()
        elif (number, kind) == (2, TRUE):
            values[1] = 1
        else:
            reader.skip(kind)
    return values[0], values[1]


def _columns(elements: Iterator[_Element], count: int, depth: int) -> tuple[Column, ...]:
    if depth > _DEPTH_LIMIT:
        raise TableError(f"its columns nest deeper than {_DEPTH_LIMIT} levels")
    columns = []
    for _ in range(count):
        element = next(elements, None)
        if element is None or not 0 <= element.repetition < len(_REPETITIONS):
            raise TableError("the schema in its footer is not one tree")
        fields = _columns(elements, element.children, depth + 1)
        columns.append(Column(element.name, _type(element), _REPETITIONS[element.repetition], fields))
    return tuple(columns)


def _type(element: _Element) -> str:
    physical = "group" if element.physical is None else _physical(element.physical, element.length)
    annotation = element.logical or _converted(element)
    # "A 32-bit number that is a 32-bit number": some writers say so, others do not.
    return physical if annotation in {"", physical} else f"{physical}:{annotation}"


def _physical(number: int, length: int) -> str:
    if not 0 <= number < len(_PHYSICAL):
        raise TableError("a column in its footer is of no known physical type")
    return f"{_PHYSICAL[number]}({length})" if number == _FIXED_LENGTH else _PHYSICAL[number]


def _converted(element: _Element) -> str:
    if element.converted is None:
        return ""
    if element.converted == _CONVERTED_DECIMAL:
        return f"decimal({element.precision},{element.scale})"
    known = 0 <= element.converted < len(_CONVERTED)
    return _CONVERTED[element.converted] if known else f"converted{element.converted}"
