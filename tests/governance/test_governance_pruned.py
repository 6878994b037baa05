"""The whole product on a log that no longer has its first entries: what is gone is said to be, the rest works."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import factories
import pytest
from admin_records import signed_in
from api_driver import Api, require, require_problem
from archive_driver import LONG_AGO, Scene, grow, partitions_narrow, scheduled_long_ago, settle
from conftest import Database
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from ledger_driver import connect

from audit.anchoring import receipts_file
from audit.enums import LineageEvent
from audit.errors import SignerNotReadyError
from audit.models import Entry
from audit.reconciliation import changes_reconcile
from audit.selectors import checkpoint_latest
from audit.signing import log_signer
from governance.enums import Role, Scope
from governance.models import ModelVersion
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode
from reports.errors import ContentError
from reports.selectors.citations import Citations
from reports.services import bundle_write


@dataclass
class Product(Scene):
    """A model registered in 2015 and another today; the entries about the first one are archived and dropped."""

    old: ModelVersion
    new: ModelVersion
    event: str
    memory: Path


@pytest.fixture(scope="module")
def product(database: Database, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    partitions_narrow(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: LONG_AGO)
        old = factories.model_version(factories.person())
    settle(database, keys)
    with connect(database, "app") as connection:
        connection.execute("SELECT ledger.anchor_record('lineage', %s, 'file', 'file:///left', '')", (_size(),))
    grow(database, keys, 600)
    memory = tmp_path_factory.mktemp("memory")
    log_signer(log="lineage", memory=memory).head_sign(now=datetime.now(UTC))
    author, producer = factories.person(Role.COMPLIANCE), factories.person()
    new = factories.model_version(producer)
    factories.evidence(author, new)
    settle(database, keys)
    event = Entry.objects.get(event_type=LineageEvent.MODEL_VERSION_REGISTERED, subject_id=old.id).event_id
    product = Product(database, keys, tmp_path_factory.mktemp("archives"), old, new, event, memory)
    scheduled_long_ago(database, 2192)
    product.archive("lineage")
    assert product.archive("lineage", "--drop")["min_index"] == 512
    return product


def _size() -> int:
    return checkpoint_latest(log="lineage").size


@pytest.fixture(scope="module")
def auditor(product: Product) -> Api:
    return Api(factories.token(factories.person(Role.ENGINEER), Scope.AUDIT_READ))


def test_the_api_says_that_it_is_gone_and_where_it_is(product: Product, auditor: Api) -> None:
    for path in ("logs/lineage/tile/entries/000", "logs/lineage/tile/0/001", f"audit-events/{product.event}/proof"):
        problem = require_problem(auditor.get(path), 410, "pruned")
        assert product.archives.as_uri() in problem["detail"]
    size = str(_size())
    require_problem(auditor.get("logs/lineage/consistency", old_size="300", new_size=size), 410, "pruned")
    assert require(auditor.get("logs/lineage/consistency", old_size="512", new_size=size), 200)["path"]
    assert auditor.get("logs/lineage/tile/entries/002.p/88").status_code in {200, 404}
    assert auditor.get("logs/lineage/tile/0/000").status_code == 410
    new = Entry.objects.get(event_type=LineageEvent.MODEL_VERSION_REGISTERED, subject_id=product.new.id)
    proof = require(auditor.get(f"audit-events/{new.event_id}/proof"), 200)
    assert base64.b64decode(proof["leaf"]) == bytes(new.bytes)


def test_it_is_ready(product: Product) -> None:
    answer = Client(SERVER_NAME="127.0.0.1").get("/readyz")
    assert answer.json()["ledger"] == "ok", answer.content
    assert answer.json()["logs"].keys() >= {"lineage", "access"}


def test_the_pages_say_where_the_archive_is(product: Product) -> None:
    site: Client = signed_in(factories.person(Role.AUDITOR))
    answer = site.get(reverse("admin:audit_entry_change", args=[product.event]), follow=True)
    assert f"No entry {product.event} is left" in answer.content.decode()
    assert product.archives.as_uri() in answer.content.decode()
    shown = site.get(reverse("admin:governance_modelversion_change", args=[product.old.pk])).content.decode()
    assert "Not shown: the entries 256 to 511 of log lineage are archived at" in shown


def test_a_bundle_begins_where_the_log_does_and_is_whole_with_the_archives(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    bundle_write(path=path, version=product.new, checkpoint=checkpoint_latest(log="lineage"), at=timezone.now())
    report = verify_paths([path, *sorted(product.archives.iterdir())])[0]
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    details = {check.name: check.detail for check in report.checks}
    assert "tells that they were archived and dropped" in details["lineage pruning"]
    assert details["archives"] == "the archives hold the entries 0 to 511: with them the log is whole"
    assert verify_paths([path])[0].exit_code is ExitCode.VERIFIED


def test_a_report_that_needs_what_is_gone_says_so(product: Product) -> None:
    citations = Citations(lineage=checkpoint_latest(log="lineage"))
    assert citations.cite(LineageEvent.MODEL_VERSION_REGISTERED, product.new.id, None).index >= 512
    with pytest.raises(ContentError, match="the entries 256 to 511 of log lineage are archived at"):
        citations.cite(LineageEvent.MODEL_VERSION_REGISTERED, product.old.id, None)


def test_receipts_of_a_place_left_long_ago_are_left_out(product: Product) -> None:
    assert receipts_file(checkpoint=checkpoint_latest(log="lineage")) is None


def test_changes_that_archived_entries_told_of_are_not_accused(product: Product) -> None:
    with connect(product.database, "superuser") as connection:
        assert changes_reconcile(connection).unattributed != ()
        connection.execute("ALTER TABLE ledger.change DISABLE TRIGGER USER")
        connection.execute("UPDATE ledger.change SET at = %s WHERE at < now()", (LONG_AGO,))
        assert changes_reconcile(connection).unattributed == ()
        connection.rollback()


def test_the_signer_goes_on_and_says_when_its_memory_is_older_than_the_log(product: Product, tmp_path: Path) -> None:
    signed = log_signer(log="lineage", memory=product.memory).head_sign(now=datetime.now(UTC))
    assert f"\n{_size()}\n".encode() in signed
    with pytest.raises(SignerNotReadyError, match="remembers 0 entries, and the log begins at entry 512"):
        log_signer(log="lineage", memory=tmp_path).head_sign(now=datetime.now(UTC))
