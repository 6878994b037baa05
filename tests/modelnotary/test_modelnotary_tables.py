"""Row counts and schemas of tables, against readers by other hands, and against tables made to do harm."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelnotary.ledger.digest import Digest
from modelnotary.tables.comma_separated import ROW_LIMIT, csv_facts
from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import Column, TableFacts, TableFormat
from modelnotary.tables.parquet import FOOTER_LIMIT, footer_facts, parquet_facts

# --- CSV --------------------------------------------------------------------------------------------------------------
WELL_FORMED: dict[str, tuple[bytes, list[str], int]] = {
    "plain": (b"a,b\n1,2\n3,4\n", ["a", "b"], 2),
    "without a last line end": (b"a,b\n1,2", ["a", "b"], 1),
    "a header alone": (b"a,b\n", ["a", "b"], 0),
    "a header without a line end": (b"a,b", ["a", "b"], 0),
    "one column": (b"a\n1\n2\n", ["a"], 2),
    "one column with empty lines": (b"a\n\n1\n\n2\n\n", ["a"], 2),
    "empty lines": (b"a,b\n\n1,2\n\n\n3,4\n\n", ["a", "b"], 2),
    "CRLF": (b"a,b\r\n1,2\r\n3,4\r\n", ["a", "b"], 2),
    "both line ends": (b"a,b\r\n1,2\n3,4\r\n", ["a", "b"], 2),
    "a byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", ["a", "b"], 1),
    "a byte order mark before quotes": (b'\xef\xbb\xbf"a",b\n1,2\n', ["a", "b"], 1),
    "quotes": (b'"a","b"\n"1","2"\n', ["a", "b"], 1),
    "a comma in quotes": (b'a,b\n"1,5",2\n', ["a", "b"], 1),
    "a line end in quotes": (b'a,b\n"1\n5",2\n"x\r\ny","z"\n', ["a", "b"], 2),
    "quotes in quotes": (b'a,b\n"say ""hi""",2\n', ["a", "b"], 1),
    "a comma in the header": (b'"a,x",b\n1,2\n', ["a,x", "b"], 1),
    "a line end in the header": (b'"a\nx",b\n1,2\n', ["a\nx", "b"], 1),
    "empty cells": (b"a,b\n,\n,\n", ["a", "b"], 2),
    "an empty name": (b",b\n0,2\n", ["", "b"], 1),
    "beyond ASCII": ("größe,名\n1,é\n".encode(), ["größe", "名"], 1),
    "line ends of Unicode in a cell": ("a,b\n1\u2028\x85\x0b,2\n".encode(), ["a", "b"], 1),
    "text after quotes": (b'a,b\n"1"x,2\n', ["a", "b"], 1),
    "quotes within a cell": (b'a,b\n5" pipe,6" pipe\n', ["a", "b"], 1),
    "spaces": (b" a , b \n 1 , 2 \n", [" a ", " b "], 1),
}
MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not name columns"),
    "an empty first line": (b"\na,b\n", "does not name columns"),
    "too few cells": (b"a,b\n1,2\n3\n", "row 2 has 1 cells, the header has 2"),
    "too many cells": (b"a,b\n1,2,3\n", "row 1 has 3 cells, the header has 2"),
    "open quotes": (b'a,b\n1,"2\n', "ends inside quotes"),
    "open quotes in the header": (b'a,"b\n', "ends inside quotes"),
    "a lone carriage return": (b"a,b\n1,2\r3,4\n", "row 1 has a lone carriage return"),
    "old Macintosh lines": (b"a,b\r1,2\r3,4\r", "row 1 has a lone carriage return"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
    "a zero byte": (b"a,b\n1,\x002\n", "byte 0"),
    "Latin-1": ("a,b\n1,ü\n".encode("latin-1"), "not UTF-8"),
    "two columns of a name": (b"a,b,a\n1,2,3\n", "same name"),
    "a cell that is too long": (b"a,b\n1," + b"x" * 131_073 + b"\n", "131,072 characters"),
    "a row that is too long": (b"a,b\n1," + b"x" * ROW_LIMIT + b"\n", "longer than 1,048,576 bytes"),
    "a row that is too long in many lines": (b'a,b\n1,"' + b'",\n"' * ROW_LIMIT + b'"\n', "longer than|cells"),
    "a binary file": (bytes(range(256)) * 100, "not UTF-8"),
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("case", WELL_FORMED)
def test_a_table_of_commas_is_read_wherever_it_is_cut(case: str, size: int) -> None:
    data, names, rows = WELL_FORMED[case]
    facts = csv_facts(pieces(data, size))
    assert (list(facts.names), facts.row_count, facts.format) == (names, rows, TableFormat.CSV)


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_table_of_commas_is_refused_with_the_reason(case: str) -> None:
    data, message = MALFORMED[case]
    for size in (1 << 16, 1 << 22):
        with pytest.raises(TableError, match=message):
            csv_facts(pieces(data, size))


def by_the_standard_library(data: bytes) -> tuple[list[str], int] | None:
    """The same dialect, cell by cell and nothing else."""
    text = data.decode()
    try:
        *rows, last = csv.reader(f"{line}\n" for line in f"{text}\nend".split("\n"))
    except csv.Error:
        return None
    header, *body = rows or [[]]
    body = [row for row in body if row]
    ends_inside = last != ["end"]
    if ends_inside or not header or len(set(header)) < len(header) or any(len(row) != len(header) for row in body):
        return None
    return header, len(body)


@given(
    width=st.integers(1, 4),
    rows=st.lists(st.lists(st.sampled_from(["", "1", '"x"', '"a,b"', '"a\nb"', '"q""q"', '""', 'a"b']), min_size=1)),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 40),
)
@settings(max_examples=300, deadline=None)
def test_the_fast_way_counts_what_the_slow_way_counts(width: int, rows: list[list[str]], end: str, size: int) -> None:
    header = ",".join(f"c{number}" for number in range(width))
    data = end.join([header, *(",".join(row) for row in rows), ""]).encode()
    expected = by_the_standard_library(data)
    try:
        facts = csv_facts(pieces(data, size))
    except TableError:
        assert expected is None
        return
    assert (list(facts.names), facts.row_count) == expected


@given(data=st.text(alphabet=',"\r\nab', max_size=40), size=st.integers(1, 40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_as_the_standard_library_reads_it(data: str, size: int) -> None:
    try:
        facts = csv_facts(pieces(data.encode(), size))
    except TableError:
        assert by_the_standard_library(data.encode()) is None
        return
    assert (list(facts.names), facts.row_count) == by_the_standard_library(data.encode())


# --- Parquet ----------------------------------------------------------------------------------------------------------
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: dict[str, tuple[pa.Array, Column]] = {
    "whole": (pa.array([1, 2], pa.int64()), Column("", "int64", "optional")),
    "byte": (pa.array([1, 2], pa.int8()), Column("", "int32:int8", "optional")),
    "unsigned": (pa.array([1, 2], pa.uint64()), Column("", "int64:uint64", "optional")),
    "half": (pa.array([1.0, 2.0], pa.float16()), Column("", "fixed_len_byte_array(2):float16", "optional")),
    "single": (pa.array([1.0, 2.0], pa.float32()), Column("", "float", "optional")),
    "double": (pa.array([1.0, 2.0]), Column("", "double", "optional")),
    "truth": (pa.array([True, None]), Column("", "boolean", "optional")),
    "text": (pa.array(["a", None]), Column("", "byte_array:string", "optional")),
    "category": (pa.array(["a", "b"]).dictionary_encode(), Column("", "byte_array:string", "optional")),
    "bytes": (pa.array([b"a", b"b"]), Column("", "byte_array", "optional")),
    "fixed": (pa.array([b"abc", b"def"], pa.binary(3)), Column("", "fixed_len_byte_array(3)", "optional")),
    "nothing": (pa.nulls(2), Column("", "int32:null", "optional")),
    "day": (pa.array([date(2026, 1, 1)] * 2), Column("", "int32:date", "optional")),
    "clock": (pa.array([time(1)] * 2, pa.time32("ms")), Column("", "int32:time(ms,local)", "optional")),
    "moment": (
        pa.array([MOMENT] * 2, pa.timestamp("us", tz="UTC")),
        Column("", "int64:timestamp(us,utc)", "optional"),
    ),
    "local": (pa.array([1, 2], pa.timestamp("ns")), Column("", "int64:timestamp(ns,local)", "optional")),
    "money": (
        pa.array([Decimal("1.25")] * 2, pa.decimal128(20, 2)),
        Column("", "fixed_len_byte_array(9):decimal(20,2)", "optional"),
    ),
    "list": (
        pa.array([[1], []]),
        Column(
            "",
            "group:list",
            "optional",
            (Column("list", "group", "repeated", (Column("element", "int64", "optional"),)),),
        ),
    ),
    "struct": (
        pa.array([{"x": 1, "y": "a"}] * 2),
        Column(
            "", "group", "optional", (Column("x", "int64", "optional"), Column("y", "byte_array:string", "optional"))
        ),
    ),
    "map": (
        pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int32())),
        Column(
            "",
            "group:map",
            "optional",
            (
                Column(
                    "key_value",
                    "group",
                    "repeated",
                    (Column("key", "byte_array:string", "required"), Column("value", "int32", "optional")),
                ),
            ),
        ),
    ),
}


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def read(data: bytes) -> TableFacts:
    return parquet_facts(io.BytesIO(data))


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_every_type_is_told(kind: str) -> None:
    array, expected = COLUMNS[kind]
    facts = read(parquet(pa.table({"": array})))
    assert (facts.row_count, facts.columns, facts.format) == (2, (expected,), TableFormat.PARQUET)


def test_a_column_that_is_never_null_has_another_schema() -> None:
    for nullable, repetition in ((True, "optional"), (False, "required")):
        schema = pa.schema([pa.field("a", pa.int64(), nullable=nullable)])
        facts = read(parquet(pa.table({"a": [1]}, schema=schema)))
        assert facts.columns == (Column("a", "int64", repetition),)


ALL = pa.table({name: array for name, (array, _) in COLUMNS.items()})


@pytest.mark.parametrize(
    "options",
    [
        {"row_group_size": 1},
        {"compression": "zstd"},
        {"use_dictionary": False},
        {"data_page_version": "2.0"},
        {"store_schema": False},
        {"write_page_index": True},
        {"write_statistics": False},
    ],
    ids=str,
)
def test_how_a_table_is_packed_changes_neither_schema_nor_rows(options: dict[str, Any]) -> None:
    facts = read(parquet(ALL, **options))
    assert facts == read(parquet(ALL))
    assert facts.row_count == pq.read_metadata(io.BytesIO(parquet(ALL, **options))).num_rows == 2


def test_older_annotations_are_read_as_the_newer_ones_they_stand_for() -> None:
    """The types that the first version of the format has, annotated as its writers did, without logical types."""
    facts = footer_facts(
        footer(
            [
                element("schema", children=6),
                element("text", physical=6, converted=0),
                element("moment", physical=2, converted=10),
                element("small", physical=1, converted=15),
                element("plain", physical=2, converted=18),
                element("money", physical=2, converted=5, precision=9, scale=2),
                element("new", physical=2, converted=77),
            ]
        )
    )
    assert [column.type for column in facts.columns] == [
        *("byte_array:string", "int64:timestamp(us,utc)", "int32:int8", "int64", "int64:decimal(9,2)"),
        "int64:converted77",
    ]


def test_the_schema_digest_is_that_of_the_documented_bytes() -> None:
    facts = read(parquet(pa.table({"a": [1], "b": ["x"]})))
    expected = {
        "columns": [
            {"name": "a", "repetition": "optional", "type": "int64"},
            {"name": "b", "repetition": "optional", "type": "byte_array:string"},
        ],
        "format": "modelnotary-schema/v1",
    }
    assert facts.schema_bytes() == json.dumps(expected, separators=(",", ":")).encode()
    assert facts.schema_digest == Digest.of(facts.schema_bytes())


SCHEMAS_APART: dict[str, pa.Table] = {
    "as it is": pa.table({"a": pa.array([1], pa.int64()), "b": ["x"]}),
    "another order": pa.table({"b": ["x"], "a": pa.array([1], pa.int64())}),
    "another name": pa.table({"A": pa.array([1], pa.int64()), "b": ["x"]}),
    "another type": pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}),
    "another unit": pa.table({"a": pa.array([1], pa.timestamp("ms")), "b": ["x"]}),
    "another unit again": pa.table({"a": pa.array([1], pa.timestamp("us")), "b": ["x"]}),
    "a column more": pa.table({"a": pa.array([1], pa.int64()), "b": ["x"], "c": ["x"]}),
    "a column less": pa.table({"a": pa.array([1], pa.int64())}),
}


def test_schemas_that_differ_have_digests_that_differ_and_rows_do_not_count() -> None:
    digests = {read(parquet(table)).schema_digest for table in SCHEMAS_APART.values()}
    assert len(digests) == len(SCHEMAS_APART)
    table = SCHEMAS_APART["as it is"]
    assert read(parquet(pa.concat_tables([table, table]))).schema_digest == read(parquet(table)).schema_digest


# --- Parquet made by hand, to do harm ------------------------------------------------------------------------------
def number(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    return varint(value)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text(value: bytes) -> bytes:
    return varint(len(value)) + value


def struct(*fields: tuple[int, int, bytes]) -> bytes:
    """Fields as (number, type, bytes), each with the long form of its header."""
    return b"".join(bytes([kind]) + number(field) + data for field, kind, data in fields) + b"\0"


def items(kind: int, *values: bytes, count: int | None = None) -> bytes:
    return bytes([0xF0 | kind]) + varint(len(values) if count is None else count) + b"".join(values)


def element(name: str = "a", **members: int) -> bytes:
    numbers = {"physical": 1, "length": 2, "repetition": 3, "children": 5, "converted": 6, "scale": 7, "precision": 8}
    fields = [(numbers[member], 5, number(value)) for member, value in members.items()]
    return struct((4, 8, text(name.encode("utf-8", "surrogateescape"))), *fields)


def footer(elements: list[bytes], rows: int = 0, groups: list[int] | None = None) -> bytes:
    row_groups = [struct((3, 6, number(count))) for count in (groups if groups is not None else [rows])]
    return struct((2, 9, items(12, *elements)), (3, 6, number(rows)), (4, 9, items(12, *row_groups)))


def packed(data: bytes, *, length: int | None = None) -> bytes:
    return b"PAR1" + data + (len(data) if length is None else length).to_bytes(4, "little") + b"PAR1"


ROOT, LEAF = element("schema", children=1), element(physical=1)
GENUINE = footer([ROOT, LEAF], 3, [1, 2])
NESTED = b"".join(bytes([0x1C]) for _ in range(100_000))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a whole Parquet file"),
    "the marks alone": (b"PAR1PAR1", "not a whole Parquet file"),
    "cut off": (packed(GENUINE)[:-1], "not a whole Parquet file"),
    "an encrypted footer": (b"PARE" + packed(GENUINE)[4:-4] + b"PARE", "encrypted"),
    "a footer longer than the file": (packed(GENUINE, length=len(GENUINE) + 5), "longer than the file"),
    "a footer of four gigabytes": (packed(GENUINE, length=2**32 - 1), "longer than the file"),
    "an empty footer": (packed(b""), "cut off"),
    "a footer cut off": (packed(GENUINE[:-3]), "cut off"),
    "no schema": (packed(struct((3, 6, number(0)))), "no schema"),
    "no row count": (packed(struct((2, 9, items(12, ROOT, LEAF)))), "another number of rows"),
    "a row count below zero": (packed(footer([ROOT, LEAF], -1, [])), "another number of rows"),
    "more rows than the groups have": (packed(footer([ROOT, LEAF], 10, [1, 2])), "another number of rows"),
    "a group with rows below zero": (packed(footer([ROOT, LEAF], 1, [2, -1])), "states no number of rows"),
    "more rows than a number holds": (packed(footer([ROOT, LEAF], 2**60)), "another number of rows"),
    "a parent without children": (packed(footer([element("schema", children=2), LEAF])), "not one tree"),
    "a child without parents": (packed(footer([ROOT, LEAF, LEAF])), "not one tree"),
    "a schema without columns": (packed(footer([element("schema")])), "not one tree"),
    "children below zero": (packed(footer([element("schema", children=-1), LEAF])), "not one tree"),
    "two thousand million children": (packed(footer([element("schema", children=2**31 - 1), LEAF])), "not one tree"),
    "columns that nest too deeply": (packed(footer([ROOT] * 5_000 + [LEAF])), "nest deeper"),
    "an unknown repetition": (packed(footer([ROOT, element(physical=1, repetition=7)])), "not one tree"),
    "an unknown physical type": (packed(footer([ROOT, element(physical=99)])), "physical type"),
    "a name that is no text": (packed(footer([ROOT, element("\udcff", physical=1)])), "not UTF-8"),
    "a name with a zero": (packed(footer([ROOT, element("a\0", physical=1)])), r"U\+0000"),
    "two columns of a name": (packed(footer([element("schema", children=2), LEAF, LEAF])), "same name"),
    "a list longer than the footer": (packed(struct((2, 9, items(12, count=2**40)))), "more items"),
    "a map longer than the footer": (packed(struct((99, 11, varint(2**40) + b"\x55"))), "more items"),
    "too many columns": (packed(footer([element("schema", children=1)] + [LEAF] * 100_001)), "at most 100,000"),
    "a text longer than the footer": (packed(struct((99, 8, varint(2**40)))), "cut off"),
    "a number without end": (packed(struct((3, 6, b"\xff" * 100))), "too many bytes"),
    "a type that does not exist": (packed(struct((99, 14, b""))), "no known type"),
    "structs in structs": (packed(NESTED), "nests too deeply"),
    "lists in lists": (packed(struct((99, 9, b"\x19" * 100_000))), "nests too deeply"),
}


def test_a_footer_made_by_hand_is_read() -> None:
    assert read(packed(GENUINE)) == TableFacts(TableFormat.PARQUET, 3, (Column("a", "int32", "required"),))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_parquet_file_made_to_do_harm_is_refused_with_the_reason(case: str) -> None:
    data, message = HOSTILE[case]
    with pytest.raises(TableError, match=message):
        read(data)


def test_the_footer_that_is_read_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.seek(FOOTER_LIMIT + 100)
        file.write((FOOTER_LIMIT + 1).to_bytes(4, "little") + b"PAR1")
    with path.open("rb") as file, pytest.raises(TableError, match="67,108,864 bytes read here"):
        parquet_facts(file)


GREEDY: dict[str, Callable[[], Iterable[bytes]]] = {
    "one endless line": lambda: (b"x" * 65_536 for _ in range(500)),
    "one endless line in quotes": lambda: (b'"' + b"x" * 65_535 for _ in range(500)),
    "an endless row of lines": lambda: (b'a,"\n",' * 9_000 for _ in range(500)),
    "an endless header": lambda: (b"c," * 30_000 for _ in range(500)),
    "many rows": lambda: (b"aa,bb\n" * 10_000 for _ in range(500)),
}


@pytest.mark.parametrize("case", GREEDY)
def test_a_csv_file_made_to_fill_memory_does_not(case: str) -> None:
    tracemalloc.start()
    with suppress(TableError):
        csv_facts(GREEDY[case]())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * ROW_LIMIT
