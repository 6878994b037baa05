"""How long entries are kept is said by two people, never below what the named rules ask for, and with notice."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import factories
import psycopg
import pytest
from archive_driver import ADA, BEN, REASON, schedule
from conftest import Database
from django.core.management import CommandError, call_command
from ledger_driver import connect, event_append, event_bytes, one

from audit.enums import Log, RetentionBasis
from audit.errors import RetentionError, UnknownEntryError
from audit.models import Entry
from audit.retention import retention_approve, retention_request, retention_requests, retention_schedules
from governance.enums import Role
from modelnotary.ledger.event import Event

NOW = datetime.now(UTC)


def asked(days: int = 3000, *bases: RetentionBasis, log: Log = Log.ACCESS, at: datetime = NOW) -> str:
    chosen = bases or (RetentionBasis.HIPAA_164_316,)
    return retention_request(actor=ADA, log=log, keep_days=days, bases=chosen, reason=REASON, at=at).id


def test_two_people_make_a_schedule_and_both_entries_tell_of_it(database: Database) -> None:
    request = asked(2557, RetentionBasis.SOX_210_2_06, RetentionBasis.AI_ACT_19)
    assert [one.id for one in retention_requests(at=NOW)] == [request]
    made = retention_approve(actor=BEN, request_id=request, at=NOW)
    assert retention_requests(at=NOW) == []
    [stored] = retention_schedules()
    assert (stored.event_id, stored.request, stored.log, stored.keep_days) == (
        made.event_id,
        request,
        Log.ACCESS,
        2557,
    )
    said = [Event.from_bytes(bytes(Entry.objects.get(event_id=event).bytes)) for event in (request, made.event_id)]
    assert [event.actor for event in said] == [ADA, BEN]
    assert [event.data["keep_days"] for event in said] == [2557, 2557]
    assert "17 CFR 210.2-06" in str(said[0].data["citations"])


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no rule": (
        lambda: retention_request(actor=ADA, log=Log.ACCESS, keep_days=9999, bases=[], reason=REASON, at=NOW),
        "at least one rule",
    ),
    "less than a rule asks for": (lambda: asked(2191), r"not between 2192, which 45 CFR 164.316\(b\)\(2\)\(i\)"),
    "less than the strictest of several": (
        lambda: asked(2192, RetentionBasis.AI_ACT_18, RetentionBasis.HIPAA_164_316),
        r"not between 3653, which Regulation \(EU\) 2024/1689 Art. 18\(1\)",
    ),
    "no day": (lambda: asked(0, RetentionBasis.OWN), "not between 1"),
    "more than a hundred years": (lambda: asked(36_526), "36525, a hundred years"),
    "the one who asked": (
        lambda: retention_approve(actor=ADA, request_id=asked(), at=NOW),
        "another person has to approve it",
    ),
    "a request of long ago": (
        lambda: retention_approve(actor=BEN, request_id=asked(at=NOW - timedelta(days=31)), at=NOW),
        "is older than 30 days",
    ),
    "an entry about something else": (
        lambda: retention_approve(actor=BEN, request_id=schedule(9).event_id, at=NOW),
        "asks for no retention schedule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_schedule_is_refused(database: Database, name: str) -> None:
    act, message = REFUSED[name]
    with pytest.raises(RetentionError, match=message):
        act()


def test_a_request_is_approved_once_and_has_to_exist(database: Database) -> None:
    request = asked()
    retention_approve(actor=BEN, request_id=request, at=NOW)
    with pytest.raises(RetentionError, match="is approved already"):
        retention_approve(actor=BEN, request_id=request, at=NOW)
    with pytest.raises(UnknownEntryError):
        retention_approve(actor=BEN, request_id="evt_none", at=NOW)


OBJECTIONS: dict[str, tuple[list[tuple[str, int]], str, str | None]] = {
    "no schedule": ([], "2026-01-01", "no schedule says"),
    "the first one, without notice": (
        [("2025-12-15", 100)],
        "2026-01-01",
        "is of 2025-12-15, and counts 30 days later",
    ),
    "not yet": ([("2020-01-01", 100)], "2026-01-01", "are kept for 100 days"),
    "by the second": ([("2020-01-01", 100)], "2026-04-11", None),
    "made shorter, without notice": ([("2020-01-01", 100), ("2026-03-01", 10)], "2026-03-15", "are kept for 100 days"),
    "made shorter, after the notice": ([("2020-01-01", 100), ("2026-03-01", 10)], "2026-03-31", None),
    "made longer, at once": ([("2020-01-01", 10), ("2026-03-01", 100)], "2026-03-01", "are kept for 100 days"),
    "made shorter and taken back": (
        [("2020-01-01", 100), ("2026-03-01", 10), ("2026-03-20", 100)],
        "2026-04-05",
        "are kept for 100 days",
    ),
}


@pytest.mark.parametrize("name", OBJECTIONS)
def test_a_longer_period_counts_at_once_and_a_shorter_one_with_notice(database: Database, name: str) -> None:
    """For entries of 2026-01-01."""
    schedules, at, objection = OBJECTIONS[name]
    with connect(database, "superuser") as connection:
        for number, (since, days) in enumerate(schedules):
            row = (f"e{number}", f"r{number}", "test", days, f"{since}T00:00Z")
            connection.execute("INSERT INTO ledger.retention VALUES (%s, %s, %s, %s, %s)", row)
        statement = "SELECT ledger.retention_objection('test', '2026-01-01T00:00Z', %s)"
        found = one(connection, statement, f"{at}T00:00Z")
        assert (found is None) if objection is None else objection in found
        connection.rollback()


def _event(kind: str, actor: dict[str, str], **data: Any) -> bytes:
    document = json.loads(event_bytes(**data)) | {"type": kind, "actor": actor}
    document["subject"] |= {"kind": "log_class", "id": "access"}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


PERSON, OTHER = {"kind": "person", "id": "usr_1", "name": "One"}, {"kind": "person", "id": "usr_2", "name": "Two"}
FORGED: dict[str, tuple[dict[str, str], dict[str, str], str, int]] = {
    "by one person": (PERSON, PERSON, "retention.requested", 10),
    "by a system": (PERSON, {"kind": "system", "id": "s", "name": "S"}, "retention.requested", 10),
    "asked for by a system": ({"kind": "system", "id": "s", "name": "S"}, PERSON, "retention.requested", 10),
    "that nobody asked for": (PERSON, OTHER, "model.registered", 10),
    "other than asked for": (PERSON, OTHER, "retention.requested", 11),
}


@pytest.mark.parametrize("name", FORGED)
def test_the_database_takes_no_schedule_over(database: Database, name: str) -> None:
    asker, approver, kind, days = FORGED[name]
    with connect(database, "app") as connection:
        request = _event(kind, asker, keep_days=10)
        approval = _event("retention.scheduled", approver, keep_days=days, request=json.loads(request)["id"])
        event_append(connection, request)
        event_append(connection, approval)
        with pytest.raises(psycopg.Error, match="no entry of this transaction is the approval, by another person"):
            connection.execute("SELECT ledger.retention_schedule(%s)", (json.loads(approval)["id"],))
        connection.rollback()


def test_officers_make_a_schedule_by_the_command(database: Database, tmp_path: Path) -> None:
    first, second = factories.person(Role.PRIVACY), factories.person(Role.PRIVACY)
    secret = tmp_path / "password"
    secret.write_text(factories.PASSWORD)

    def run(*arguments: str, officer: str | None = None) -> list[dict[str, Any]]:
        who = () if officer is None else ("--officer", officer, "--password-file", str(secret))
        out = StringIO()
        call_command("retention_schedule", *arguments, *who, "--json", stdout=out)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    ask = (
        "request",
        "lineage",
        "--days",
        "3653",
        "--basis",
        "ai-act-18",
        "--basis",
        "sox-210-2-06",
        "--reason",
        REASON,
    )
    [request] = run(*ask, officer=first.username)
    assert (request["state"], request["bases"]) == ("requested", ["ai-act-18", "sox-210-2-06"])
    with pytest.raises(CommandError, match="another person has to approve it"):
        run("approve", request["request"], officer=first.username)
    with pytest.raises(CommandError, match="is not a privacy officer"):
        run("approve", request["request"], officer=factories.person(Role.COMPLIANCE).username)
    [approved] = run("approve", request["request"], officer=second.username)
    assert (approved["state"], approved["log"], approved["keep_days"]) == ("approved", "lineage", 3653)
    assert approved["request"] in [item["request"] for item in run("list") if item["state"] == "approved"]
