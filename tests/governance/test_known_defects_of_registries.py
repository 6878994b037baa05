"""What registries of models are known to get wrong, and what becomes of it here.

Most of it was seen in the registry that nearly everybody has: a data set's digest over the first 10,000 rows and a few
types of column, artifacts overwritten in place, pointers without history, deletion that wipes where a model came from,
changes that name nobody or that nothing tells of. What concerns connectors to such a registry (lost webhooks, versions
deleted there, aliases moved there) cannot be tested yet, because the product has no connector.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

import factories
import psycopg
import pytest
from api_driver import Api, require_problem
from conftest import Database
from django.core.files.storage import storages
from django.utils import timezone

from audit.models import Entry
from audit.reconciliation import changes_reconcile
from governance.errors import DigestMismatchError, GateDeniedError
from governance.models import AliasBinding, DatasetVersion, LineageEdge, ModelVersion, User
from governance.selectors.lineage import lineage_walk
from governance.services import inventory
from governance.services.aliases import alias_bind
from governance.services.deployments import deployment_record
from governance.services.inventory import artifact_path
from governance.services.stated import Origin
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")
ROWS = 20_000


@pytest.fixture(scope="module")
def engineer() -> User:
    return factories.person()


@pytest.fixture(scope="module")
def version(engineer: User, database: Database, keys: object) -> ModelVersion:
    return factories.model_version(engineer)


def table(**changed: str) -> bytes:
    """A table of 20,000 rows; `row_column` names a cell and gives it another value."""
    lines = ["amount,denied,decided_at"]
    for row in range(ROWS):
        cells = {"amount": str(row), "denied": "false", "decided_at": "2025-03-01T00:00:00Z"}
        cells |= {name: changed[f"r{row}_{name}"] for name in cells if f"r{row}_{name}" in changed}
        lines.append(",".join(cells.values()))
    return "\n".join(lines).encode()


UNSEEN_ELSEWHERE = {
    "a number after the 10,000th row": {"r15000_amount": "1"},
    "a truth value": {"r3_denied": "true"},
    "a date, by a year": {"r3_decided_at": "2026-03-01T00:00:00Z"},
    "one cell of the last row": {f"r{ROWS - 1}_amount": "0"},
}


@pytest.mark.parametrize("what", UNSEEN_ELSEWHERE)
def test_data_that_differ_anywhere_are_other_data(engineer: User, what: str) -> None:
    """Elsewhere: a digest of 32 bits over the first 10,000 rows, in which truth values and dates do not count."""
    now, mark = timezone.now(), secrets.token_hex(8)
    dataset = inventory.dataset_register(
        actor=engineer,
        slug=factories.unique("loans"),
        at=now,
        name="Loans",
        description="d",
        classification="confidential",
        contains_phi=False,
    )
    versions = [
        inventory.dataset_version_register(
            actor=engineer, dataset=dataset, digest=factories.stored(content, engineer), at=now
        )
        for content in (table(r0_amount=mark), table(**{"r0_amount": mark, **UNSEEN_ELSEWHERE[what]}))
    ]
    assert (versions[0].number, versions[1].number) == (1, 2)
    assert versions[0].digest != versions[1].digest
    assert all(len(item.digest) == len("sha256:") + 64 for item in versions)
    assert all(item.row_count == ROWS for item in versions)


def test_bytes_overwritten_in_place_are_found_before_use(engineer: User) -> None:
    """Elsewhere: a model's bytes can be replaced under its name, and nobody who uses it notices."""
    stored = factories.model_version(engineer).artifact
    path = Path(storages["artifacts"].path(stored.path))
    path.chmod(0o600)
    path.write_bytes(factories.model_bytes())
    with pytest.raises(DigestMismatchError, match="now have digest"):
        artifact_path(stored)


def test_an_upload_cannot_take_the_place_of_other_bytes(engineer: User, version: ModelVersion) -> None:
    """Elsewhere: the path names the artifact, and the last writer wins."""
    answer = Api(factories.token(engineer)).put(f"artifacts/{version.digest}", b"other bytes")
    require_problem(answer, 422, "digest-mismatch")
    artifact_path(version.artifact)


def test_a_version_is_known_by_its_bytes_and_not_by_a_name(version: ModelVersion) -> None:
    """Elsewhere: no table of the registry has a column for a hash."""
    assert version.digest == str(Digest.of(artifact_path(version.artifact).read_bytes()))
    assert {field.name for field in DatasetVersion._meta.fields} >= {"artifact", "schema_digest"}


def test_an_alias_that_is_moved_keeps_what_it_named_and_who_moved_it(engineer: User) -> None:
    """Elsewhere: an alias is a pointer that is overwritten, and the event names nobody."""
    one, mover = factories.model_version(engineer), factories.person()
    two = inventory.model_version_register(
        actor=engineer,
        model=one.model,
        digest=factories.stored(factories.model_bytes(), engineer),
        code_commit="",
        parameters={},
        metrics={},
        at=timezone.now(),
    )
    alias_bind(actor=engineer, version=one, alias="production", observed_via="api", at=timezone.now())
    moved = alias_bind(actor=mover, version=two, alias="production", observed_via="api", at=timezone.now())
    history = AliasBinding.objects.filter(model=one.model, alias="production").order_by("bound_from")
    assert [(item.model_version_id, item.bound_by_id, item.ended_by_id) for item in history] == [
        (one.id, engineer.id, mover.id),
        (two.id, mover.id, None),
    ]
    assert Entry.objects.get(subject_id=moved.id).actor_id == mover.id


NOT_DELETED: dict[str, str] = {
    "the version": "DELETE FROM governance_modelversion WHERE id = %(id)s",
    "where it came from": "UPDATE governance_modelversion SET source_uri = 'REDACTED' WHERE id = %(id)s",
    "its run": "UPDATE governance_modelversion SET run_id = NULL WHERE id = %(id)s",
    "its author": "UPDATE governance_modelversion SET author_id = registered_by_id WHERE id = %(id)s",
    "its lineage": "DELETE FROM governance_lineageedge WHERE target_id = %(id)s",
    "its aliases": "DELETE FROM governance_aliasbinding WHERE model_version_id = %(id)s",
}


@pytest.mark.parametrize("what", NOT_DELETED)
def test_nothing_of_a_version_can_be_deleted_or_blanked(database: Database, engineer: User, what: str) -> None:
    """Elsewhere: deleting a version replaces its source and run by a placeholder, empties who made it, tells nobody."""
    now = timezone.now()
    run = inventory.run_record(
        actor=engineer, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    version = inventory.model_version_register(
        actor=engineer,
        model=factories.model_version(engineer).model,
        digest=factories.stored(factories.model_bytes(), engineer),
        code_commit="",
        parameters={},
        metrics={},
        at=now,
        origin=Origin(source_uri="s3://models/7", run=run),
    )
    alias_bind(actor=engineer, version=version, alias="production", observed_via="api", at=now)
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.RestrictViolation)
    for role in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        with psycopg.connect(database.environment[role]) as connection, pytest.raises(refusals):
            connection.execute(NOT_DELETED[what].encode(), {"id": version.id})
    for method in ("DELETE", "PATCH", "PUT"):
        answer = Api(factories.token(engineer)).call(method, f"/api/v1/model-versions/{version.digest}")
        require_problem(answer, 405, "method-not-allowed")


def test_every_registration_names_who_did_it(engineer: User, version: ModelVersion) -> None:
    """Elsewhere: events carry no actor."""
    entry = Entry.objects.get(subject_id=version.id, event_type="model_version.registered")
    assert (entry.actor_id, entry.actor_name) == (engineer.id, engineer.printed_name)


def test_no_call_puts_a_version_to_use_without_a_decision(engineer: User, version: ModelVersion) -> None:
    """Elsewhere: a transition to production is a plain call that anybody with write access makes."""
    environment = factories.unique("production")
    with pytest.raises(GateDeniedError, match="no decision was requested"):
        deployment_record(
            actor=engineer, digest=Digest.from_text(version.digest), environment=environment, at=timezone.now()
        )
    assert not version.deployments.exists()


def test_a_version_and_its_run_are_joined_in_one_transaction_or_visibly_not_at_all(
    engineer: User, version: ModelVersion
) -> None:
    """Elsewhere: versions lose the link to their run. Here one without says so, and a policy can ask for more."""
    assert version.run is None
    assert lineage_walk(start=version.id, upwards=True).steps == ()
    assert not LineageEdge.objects.filter(target_id=version.id).exists()


UNTOLD: dict[str, Callable[[ModelVersion], tuple[str, dict[str, str]]]] = {
    "a model renamed": lambda version: (
        "UPDATE governance_model SET name = 'Other' WHERE id = %(id)s",
        {"id": version.model_id},
    ),
    "a description rewritten": lambda version: (
        "UPDATE governance_aisystem SET purpose = 'Other' WHERE id = %(id)s",
        {"id": version.model.system_id},
    ),
}


@pytest.mark.parametrize("what", UNTOLD)
def test_a_change_past_the_services_is_found(database: Database, engineer: User, what: str) -> None:
    """Elsewhere: renames, new descriptions and whatever is written to the database directly emit no event."""
    statement, parameters = UNTOLD[what](factories.model_version(engineer))
    began = timezone.now()
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(statement.encode(), parameters)
    with psycopg.connect(database.environment["AUDITOR_DATABASE_URL"]) as connection:
        found = changes_reconcile(connection, since=began)
    assert any(parameters["id"] in change for item in found.unattributed for change in item.changes)
