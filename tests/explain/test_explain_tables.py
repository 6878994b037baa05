"""Tables are read as they are, and become numbers by one written rule or not at all."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from explain.errors import UnknownColumnsError, UnreadableTableError, UnusableValueError
from explain.tables import Table, table_read
from modelnotary.tables.measuring import table_facts

CSV = "id,age,smoker,health,city\n01,30.5,yes,good,Ulm\n02,NA,NO,poor,\n03,-1e2,True,good,Ulm\n04,,false,fair,NA\n"
HEALTH = {"health": {"poor": 0.0, "fair": 1.0, "good": 2.0}}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    path = tmp_path / "people.data"
    path.write_text(CSV, encoding="utf-8")
    return table_read(path)


def test_reads_cells_as_text_and_keeps_leading_zeros(table: Table) -> None:
    assert table.rows == 4
    assert table.names == ("id", "age", "smoker", "health", "city")
    assert table.texts("id") == ["01", "02", "03", "04"]
    assert table.texts("city") == ["Ulm", None, "Ulm", None]


def test_builds_the_matrix_in_the_models_order_with_missing_values_as_nan(table: Table) -> None:
    matrix = table.matrix(["health", "age", "smoker"], HEALTH)
    expected = [[2, 30.5, 1], [0, math.nan, 0], [2, -100, 1], [1, math.nan, 0]]
    np.testing.assert_array_equal(matrix, np.array(expected))


def test_names_all_columns_that_are_missing_and_all_there_are(table: Table) -> None:
    with pytest.raises(UnknownColumnsError, match=r"'income', 'debt'.*'id', 'age'") as refusal:
        table.matrix(["age", "income", "debt"], {})
    assert refusal.value.missing == ("income", "debt")


def test_names_the_cell_that_is_no_number(table: Table) -> None:
    with pytest.raises(UnusableValueError, match="'health', row 1: 'good'") as refusal:
        table.matrix(["age", "health"], {})
    assert (refusal.value.column, refusal.value.row, refusal.value.value) == ("health", 1, "good")


def test_converts_an_encoded_column_by_its_mapping_alone(table: Table) -> None:
    with pytest.raises(UnusableValueError, match=r"row 2: 'poor' is not one of .*\(fair, good\)"):
        table.numbers("health", {"good": 2.0, "fair": 1.0})
    with pytest.raises(UnusableValueError, match="row 1: 'yes'"):
        table.numbers("smoker", {"no": 0.0})


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1_000", "1,5", "0x10", "1e999", "½", "yes please", "1 2"])
def test_refuses_what_only_looks_like_a_number(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f'x\n1\n"{cell}"\n', encoding="utf-8")
    with pytest.raises(UnusableValueError, match="row 2"):
        table_read(path).numbers("x")


def test_reads_parquet_to_the_same_numbers_and_words(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "age": [0.1, None, 1e-7],
        "count": pa.array([1, 2, 9_007_199_254_740_993], type=pa.int64()),
        "smoker": [True, False, None],
        "health": pa.array(["good", "poor", None]).dictionary_encode(),
        "score": pa.array([0.1, 0.2, math.nan], type=pa.float32()),
    }
    path = tmp_path / "people.csv"
    pa_parquet.write_table(pa.table(columns), path)
    table = table_read(path)
    np.testing.assert_array_equal(table.numbers("age"), [0.1, math.nan, 1e-7])
    np.testing.assert_array_equal(table.numbers("count"), [1, 2, 9_007_199_254_740_992])
    np.testing.assert_array_equal(table.numbers("smoker"), [1, 0, math.nan])
    np.testing.assert_array_equal(table.numbers("health", HEALTH["health"]), [2, 0, math.nan])
    np.testing.assert_array_equal(
        table.numbers("score").astype(np.float32), np.array([0.1, 0.2, math.nan], dtype=np.float32)
    )
    assert table.texts("smoker") == ["true", "false", None]


UNREADABLE = {
    "nothing": b"",
    "a header alone": b"a,b\n",
    "a short row": b"a,b\n1,2\n3\n",
    "a long row": b"a,b\n1,2,3\n",
    "a name twice": b"a,a\n1,2\n",
    "an open quote": b'a,b\n1,2\n"3,4\n',
    "another encoding": "a,b\nZürich,2\n".encode("latin-1"),
    "another encoding in the header": "ä,b\n1,2\n".encode("latin-1"),
    "half a Parquet file": b"PAR1" + bytes(50),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_refuses_a_damaged_table_without_quoting_its_rows(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "patients.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableTableError, match=r"patients\.csv") as refusal:
        table_read(path)
    assert "1,2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_says_that_a_missing_file_or_a_folder_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableTableError, match="cannot be read"):
        table_read(tmp_path / name)


def test_refuses_a_column_of_lists(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pa_parquet.write_table(pa.table({"x": [[1, 2], [3]]}), path)
    with pytest.raises(UnreadableTableError, match="'x' holds list"):
        table_read(path).numbers("x")


def test_leaves_a_byte_order_mark_out_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbfcode,b\n007,2\n")
    assert table_read(path).texts("code") == ["007"]


def test_a_table_is_what_its_version_was_counted_as(tmp_path: Path) -> None:
    rows = "".join(f'{number},"two\nlines, {number}"\n\n' for number in range(100_000))
    path = tmp_path / "table.csv"
    path.write_text(f'code,"a ""word"""\n{rows}', encoding="utf-8")
    table = table_read(path)
    facts = table_facts(path)
    assert (table.rows, table.names) == (facts.row_count, facts.names) == (100_000, ("code", 'a "word"'))
    assert table.texts('a "word"')[99_999] == "two\nlines, 99999"
