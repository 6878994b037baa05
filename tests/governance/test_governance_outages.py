"""What a caller is told while a disk is full or the database away; afterwards the same request succeeds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import factories
import psycopg
import pytest
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.conf import settings
from django.db import connections
from django.test import override_settings
from small_disk import SmallDisk, small_disk

from audit.models import Entry
from config.embedded.ports import free_ports
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("keys")

type Outage = Callable[[Database], AbstractContextManager[None]]

SYSTEM = {
    "slug": "triage",
    "name": "Triage",
    "operator": "First Example Hospital",
    "purpose": "Orders the waiting list",
    "decision_supported": "Who is seen first",
    "affected_persons": "Patients",
    "jurisdiction": "US",
    "contains_phi": True,
}


@pytest.fixture(scope="module")
def api(database: Database) -> Api:
    return Api(factories.token(factories.service_account(factories.person())))


@pytest.fixture
def storage(tmp_path: Path, folder: str) -> Iterator[SmallDisk]:
    """Uploads and artifacts in folders of their own, one of them on a disk that can be filled."""
    artifacts = cast("dict[str, Any]", settings.STORAGES["artifacts"])
    moved = artifacts | {"OPTIONS": artifacts["OPTIONS"] | {"location": tmp_path / "artifacts"}}
    stores = settings.STORAGES | {"artifacts": moved}
    with small_disk(tmp_path / folder, megabytes=4) as disk, override_settings(NOTARY_HOME=tmp_path, STORAGES=stores):
        yield disk


@pytest.mark.parametrize("folder", ["uploads", "artifacts"])
def test_an_upload_that_finds_no_space_keeps_nothing_and_succeeds_later(
    database: Database, api: Api, storage: SmallDisk, folder: str, tmp_path: Path
) -> None:
    content = factories.model_bytes() + b" " * 1_000_000
    address = f"artifacts/{Digest.of(content)}"
    before = snapshot(database)
    storage.fill(leave=200_000)
    require_problem(api.put(address, content), 507, "storage-full")
    assert not changes(before, snapshot(database))
    assert not list((tmp_path / "uploads").glob("tmp*"))
    storage.free()
    require(api.put(address, content), 201)
    [kept] = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert kept.read_bytes() == content
    assert Entry.objects.filter(event_type="artifact.stored", subject_id=Digest.of(content).text).count() == 1


@contextmanager
def without_space(database: Database) -> Iterator[None]:
    """A database that says of every new system what PostgreSQL says when its disk is full."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.no_space() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER no_space BEFORE INSERT ON governance_aisystem EXECUTE FUNCTION public.no_space()"
        )
        yield
        connection.execute("DROP FUNCTION public.no_space CASCADE")


@contextmanager
def without_server(_database: Database) -> Iterator[None]:
    """A database at whose address nothing answers."""
    address = connections["default"].settings_dict
    connections["default"].close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(address, "PORT", str(free_ports(1)[0]))
        yield
        connections["default"].close()


@pytest.mark.parametrize(
    ("outage", "status", "code"),
    [(without_space, 507, "storage-full"), (without_server, 503, "database-unavailable")],
)
def test_an_outage_of_the_database_is_told_from_a_fault_of_ours_and_nothing_is_half_done(
    database: Database, api: Api, outage: Outage, status: int, code: str
) -> None:
    before = snapshot(database)
    with outage(database):
        require_problem(api.post("systems", SYSTEM), status, code)
    assert not changes(before, snapshot(database))
    require(api.post("systems", SYSTEM), 201)
