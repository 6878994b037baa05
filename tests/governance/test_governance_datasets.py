"""What is recorded of a data set's version is counted in its bytes."""

import io
from pathlib import Path
from typing import Any

import factories
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone

from governance.enums import DataFormat, Scope
from governance.errors import ConflictError, RejectedInputError
from governance.models import Dataset, DatasetVersion, User
from governance.services import inventory
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Event
from modelnotary.manifest.format import manifest_write
from modelnotary.manifest.taking import Taking
from modelnotary.tables.comma_separated import csv_facts

pytestmark = pytest.mark.usefixtures("database", "keys")


@pytest.fixture(scope="module")
def engineer() -> User:
    return factories.person()


@pytest.fixture
def dataset(engineer: User) -> Dataset:
    return inventory.dataset_register(
        actor=engineer,
        slug=factories.unique("data"),
        at=timezone.now(),
        name="Applications",
        description="d",
        classification="public",
        contains_phi=False,
    )


def table_csv() -> bytes:
    return factories.unique('name,age\n"Doe, Jane",31\nRoe,').encode()


def table_parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"name": [factories.unique("x")] * 5, "age": [1, 2, 3, 4, None]}), stream, row_group_size=2)
    return stream.getvalue()


def register(engineer: User, dataset: Dataset, data: bytes, **stated: Any) -> DatasetVersion:
    digest = factories.stored(data, engineer)
    return inventory.dataset_version_register(
        actor=engineer, dataset=dataset, digest=digest, at=timezone.now(), **stated
    )


def test_the_rows_of_a_table_are_counted_by_the_server(engineer: User, dataset: Dataset) -> None:
    data = table_csv()
    version = register(engineer, dataset, data)
    facts = csv_facts([data])
    assert (version.format, version.row_count, version.columns) == (DataFormat.CSV, 2, ["name", "age"])
    assert version.schema_digest == facts.schema_digest.text
    version = register(engineer, dataset, table_parquet())
    assert (version.format, version.row_count, version.columns) == (DataFormat.PARQUET, 5, ["name", "age"])
    assert version.schema_digest not in {"", facts.schema_digest.text}


def test_versions_of_one_schema_have_one_schema_digest(engineer: User, dataset: Dataset) -> None:
    one, two = (register(engineer, dataset, table_csv()) for _ in range(2))
    assert one.digest != two.digest
    assert one.schema_digest == two.schema_digest


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "more rows": ({"row_count": 3}, "row_count is stated as 3, the bytes have 2"),
    "no rows": ({"row_count": 0}, "row_count is stated as 0, the bytes have 2"),
    "a column more": ({"columns": ["name", "age", "x"]}, "columns is stated as"),
    "another order": ({"columns": ["age", "name"]}, "columns is stated as"),
    "no columns": ({"columns": []}, "columns is stated as"),
    "another format": ({"format": DataFormat.PARQUET}, "format is stated as parquet, the bytes have csv"),
    "no table, and nothing said of it": ({"format": DataFormat.OTHER}, "state row_count and columns"),
}


@pytest.mark.parametrize("case", LIES)
def test_what_is_stated_otherwise_than_the_bytes_have_it_is_refused(
    case: str, engineer: User, dataset: Dataset
) -> None:
    stated, message = LIES[case]
    data = table_csv()
    with pytest.raises(RejectedInputError, match=message):
        register(engineer, dataset, data, **stated)
    assert not dataset.versions.exists()
    truth = {"format": DataFormat.CSV, "row_count": 2, "columns": ["name", "age"]}
    version = register(engineer, dataset, data, **truth)
    assert register(engineer, dataset, data, **truth).pk == register(engineer, dataset, data).pk == version.pk


NO_TABLES: dict[str, bytes] = {
    "a short row": b"a,b\n1,2\n3\n",
    "open quotes": b'a,b\n1,"2\n',
    "nothing": b"",
    "no text": bytes(range(128, 256)),
    "a Parquet file that is cut off": b"PAR1" + bytes(50),
    "a footer of four gigabytes": b"PAR1" + bytes(50) + b"\xff\xff\xff\xffPAR1",
    "a column twice": b"a,a\n1,2\n",
    "a name that no database keeps": b"a,\x00\n1,2\n",
}


@pytest.mark.parametrize("case", NO_TABLES)
def test_bytes_that_are_no_table_are_registered_as_other_data_or_not_at_all(
    case: str, engineer: User, dataset: Dataset
) -> None:
    data = NO_TABLES[case]
    with pytest.raises(RejectedInputError, match=r"not a well-formed table: .* format 'other'"):
        register(engineer, dataset, data)
    version = register(engineer, dataset, data, format=DataFormat.OTHER, row_count=7, columns=["image"])
    assert (version.format, version.row_count, version.columns, version.schema_digest) == ("other", 7, ["image"], "")


def test_a_version_from_before_rows_were_counted_stays_what_it_is(engineer: User, dataset: Dataset) -> None:
    data = table_csv()
    digest = factories.stored(data, engineer)
    old = DatasetVersion.objects.create(
        dataset=dataset,
        number=1,
        artifact_id=digest.text,
        row_count=2,
        columns=["name", "age"],
        registered_by=engineer,
        registered_at=timezone.now(),
    )
    assert register(engineer, dataset, data, row_count=2, columns=["name", "age"]).pk == old.pk
    old.refresh_from_db()
    assert (old.format, old.schema_digest) == (DataFormat.OTHER, "")


def test_a_very_wide_table_has_its_place_in_the_ledger(engineer: User, dataset: Dataset) -> None:
    header = ",".join(f"measurement of sensor number {number}" for number in range(20_000))
    version = register(engineer, dataset, f"{header}\n{factories.unique('')}{',' * 19_999}\n".encode())
    assert (version.row_count, len(version.columns)) == (1, 20_000)


def test_the_same_bytes_are_no_version_of_another_data_set(engineer: User, dataset: Dataset) -> None:
    data = table_csv()
    register(engineer, dataset, data)
    other = inventory.dataset_register(
        actor=engineer,
        slug=factories.unique("data"),
        at=timezone.now(),
        name="Other",
        description="d",
        classification="public",
        contains_phi=False,
    )
    with pytest.raises(ConflictError, match="another dataset_id"):
        register(engineer, other, data)


def test_a_folder_is_registered_by_its_manifest(engineer: User, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "image-1.png").write_bytes(factories.unique("one").encode())
    (tmp_path / "image-2.png").write_bytes(b"two")
    taking = Taking(tmp_path)
    data = manifest_write([(reading.entry.path, reading.entry.digest) for reading in taking])
    version = register(engineer, dataset, data, format=DataFormat.OTHER, row_count=2, columns=["image"])
    assert version.digest == taking.digest.text


def test_the_api_counts_refuses_and_records(database: Database, engineer: User, dataset: Dataset) -> None:
    api = Api(factories.token(engineer, Scope.REGISTRY_WRITE))
    data = table_csv()
    digest = Digest.of(data)
    require(api.put(f"artifacts/{digest}", data), 201)
    path = f"datasets/{dataset.slug}/versions"
    before = snapshot(database)
    problem = require_problem(api.post(path, {"digest": digest.text, "row_count": 9}), 422, "validation-failed")
    assert "the bytes have 2" in problem["detail"]
    require_problem(api.post(path, {"digest": digest.text, "format": "xlsx"}), 400, "validation-failed")
    assert not changes(before, snapshot(database))
    made = require(api.post(path, {"digest": digest.text, "columns": ["name", "age"]}), 201)
    schema = csv_facts([data]).schema_digest.text
    assert (made["format"], made["row_count"], made["schema_digest"]) == ("csv", 2, schema)
    assert require(api.post(path, {"digest": digest.text}), 201) == made
    with psycopg.connect(database.superuser_url) as connection:
        [(body,)] = connection.execute(
            "SELECT bytes FROM ledger.body WHERE position(%s::bytea in bytes) > 0 AND position(%s::bytea in bytes) > 0",
            (made["id"].encode(), b"dataset_version.registered"),
        ).fetchall()
    recorded = Event.from_bytes(bytes(body)).data
    counted = {"format": "csv", "row_count": 2, "column_count": 2, "columns": ["name", "age"], "schema_digest": schema}
    assert recorded.items() >= counted.items()
