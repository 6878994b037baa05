"""Whatever changes a governed record, in whatever way, is seen; what no event tells of is named."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import factories
import pytest
from conftest import Database
from ledger_driver import connect

from audit.reconciliation import NOT_GOVERNED, Reconciliation, changes_reconcile


def reconcile(database: Database, since: datetime | None = None) -> Reconciliation:
    with connect(database, "auditor") as connection:
        return changes_reconcile(connection, since=since)


@contextmanager
def fresh(database: Database) -> Iterator[Callable[[], list[tuple[str, ...]]]]:
    """Gives the changes that were found since the block was entered."""
    before = {finding.transaction for finding in reconcile(database).unattributed}

    def found() -> list[tuple[str, ...]]:
        return [one.changes for one in reconcile(database).unattributed if one.transaction not in before]

    yield found


def command(*arguments: str) -> tuple[int, str]:
    from django.core.management import CommandError, call_command

    out = StringIO()
    with pytest.raises((SystemExit, CommandError)) as end:
        call_command("ledger_reconcile", *arguments, stdout=out)
    if isinstance(end.value, CommandError):
        return end.value.returncode, str(end.value)
    assert isinstance(end.value, SystemExit)
    return int(end.value.code or 0), out.getvalue()


def test_what_the_services_do_is_told_by_events(database: Database) -> None:
    from django.utils import timezone

    from governance.enums import JobType
    from governance.services.jobs import job_create, job_finish, job_progress, job_take

    owner = factories.person()
    factories.administrator()
    factories.service_account(owner)
    factories.token(owner)
    case = factories.waiting_case()
    version = factories.model_version(owner)
    job = job_create(actor=owner, kind=JobType.REPORT, version=version, parameters={}, at=timezone.now())
    taken = job_take(job_id=job.id, at=timezone.now())
    assert taken is not None
    assert job_progress(job=taken, done=1, total=2, stage="half", at=timezone.now())
    owner.last_login = timezone.now()
    owner.save(update_fields=["last_login"])
    assert case.request.pk
    with connect(database, "auditor") as connection:
        captured = connection.execute("SELECT count(DISTINCT source) FROM ledger.change").fetchone()
    assert captured is not None
    assert captured[0] > 8
    assert reconcile(database) == Reconciliation((), ())
    assert command() == (0, "0 unattributed transactions\n")
    # A job that ends without an event of what it made is not an ordinary one.
    with fresh(database) as found:
        assert job_finish(job=taken, make=lambda: "doc_none", at=timezone.now())
        assert found() == [(f"UPDATE governance_job {job.id}",)]


def raw(database: Database, statement: str, *parameters: object) -> None:
    with connect(database, "app") as connection:
        assert connection.execute(statement.encode(), parameters).rowcount > 0


def test_raw_sql_of_the_application_role_is_named_with_its_rows(database: Database) -> None:
    user = factories.person()
    with fresh(database) as found:
        raw(database, "UPDATE governance_user SET first_name = 'Y' WHERE id = %s", user.id)
        assert found() == [(f"UPDATE governance_user {user.id}",)]
        code, text = command("--json")
    assert code == 1
    assert f"UPDATE governance_user {user.id}" in json.loads(text)["unattributed"][-1]["changes"]


def test_update_bulk_create_and_delete_are_seen_row_by_row(database: Database) -> None:
    from governance.models import AiSystem, User

    version = factories.model_version(factories.person())
    system = version.model.system
    particulars: dict[str, Any] = {
        field.name: getattr(system, field.name) for field in AiSystem._meta.fields if field.name not in {"id", "slug"}
    }
    rows = [AiSystem(slug=factories.unique("system"), **particulars) for _ in range(3)]
    with fresh(database) as found:
        AiSystem.objects.bulk_create(rows)
        AiSystem.objects.filter(pk=rows[0].pk).update(name="Another")
        AiSystem.objects.filter(pk=rows[1].pk).delete()
        User.objects.filter(pk="usr_nobody").update(username="nothing")
        assert found() == [
            tuple(f"INSERT governance_aisystem {row.pk}" for row in rows),
            (f"UPDATE governance_aisystem {rows[0].pk}",),
            (f"DELETE governance_aisystem {rows[1].pk}",),
        ]


def test_an_event_of_the_access_log_does_not_cover_a_change(database: Database) -> None:
    from ledger_driver import event_append, event_bytes

    user = factories.person()
    with fresh(database) as found, connect(database, "app") as connection:
        event_append(connection, event_bytes(log="access"), log="access")
        connection.execute("UPDATE governance_user SET username = 'renamed' WHERE id = %s", (user.id,))
        connection.commit()
        assert found() == [(f"UPDATE governance_user {user.id}",)]


def test_what_was_rolled_back_leaves_nothing(database: Database) -> None:
    user = factories.person()
    with fresh(database) as found, connect(database, "app") as connection:
        connection.execute("UPDATE governance_user SET username = 'x' WHERE id = %s", (user.id,))
        connection.rollback()
        assert found() == []


def test_since_leaves_out_what_changed_before(database: Database) -> None:
    raw(database, "UPDATE governance_user SET first_name = 'X' WHERE id = %s", factories.person().id)
    now = datetime.now(UTC)
    assert reconcile(database, since=now - timedelta(minutes=1)).unattributed
    assert reconcile(database, since=now + timedelta(minutes=1)).unattributed == ()
    assert command("--since", "yesterday")[0] == 3


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER capture_update ON governance_user",
        "ALTER TABLE governance_user DISABLE TRIGGER capture_delete",
        "ALTER TABLE governance_user ENABLE TRIGGER capture_insert",
        "CREATE TABLE public.governance_user_new (id text)",
    ],
)
def test_a_table_that_is_not_watched_is_named(database: Database, statement: str) -> None:
    with connect(database, "superuser") as connection:
        connection.execute(statement.encode())
        found = changes_reconcile(connection)
        connection.rollback()
    assert found.uncaptured == ("governance_user_new" if "CREATE" in statement else "governance_user",)


def test_every_exception_is_a_table_that_there_is_and_has_a_reason(database: Database) -> None:
    with connect(database, "superuser") as connection:
        tables = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert NOT_GOVERNED.keys() <= tables
    assert all(NOT_GOVERNED.values())


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger.change SET pk = 'x'", "DELETE FROM ledger.change", "TRUNCATE ledger.change"]
)
def test_captured_changes_cannot_be_changed(database: Database, statement: str) -> None:
    import psycopg

    factories.person()
    with connect(database, "app") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
    with connect(database, "superuser") as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement.encode())
