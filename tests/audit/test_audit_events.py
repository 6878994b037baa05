"""An event commits with the change it tells of, or not at all; only well-formed events enter a log."""

import json
import secrets
from datetime import UTC, datetime

import psycopg
import pytest
from conftest import Database
from django.db import OperationalError, connection, transaction
from ledger_driver import connect, counts, event_append, event_bytes, one, sequence_all
from psycopg import errors

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import LogFrozenError, NoTransactionError
from audit.models import Entry
from audit.sealing import value_seal
from audit.services import Recorded, event_record
from modelnotary.ids import new_id
from modelnotary.ledger.errors import EventError
from modelnotary.ledger.event import Actor, Event, Subject

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
ACTOR = Actor("person", "usr_1", "Pat Example")


class ChangedOurMindError(Exception):
    pass


def record(event: LineageEvent | AccessEvent = LineageEvent.SYSTEM_REGISTERED, **data: str) -> Recorded:
    return event_record(event=event, actor=ACTOR, subject=Subject("system", "sys_1"), data={**data}, at=AT)


def record_and_fail() -> None:
    record()
    raise ChangedOurMindError


def ledger_counts(database: Database) -> dict[str, int]:
    with connect(database, "superuser") as connection:
        return counts(connection)


def test_an_event_is_kept_as_the_bytes_it_was_recorded_with(database: Database) -> None:
    with transaction.atomic():
        recorded = record(slug="underwriting")
    entry = Entry.objects.get(event_id=recorded.event_id)
    event = Event.from_bytes(bytes(entry.bytes))
    assert (entry.body_id, entry.log, entry.seq) == (recorded.body_id, "lineage", None)
    assert (event.actor, event.at, event.data) == (ACTOR, AT, {"slug": "underwriting"})
    assert (entry.event_type, entry.at, entry.actor_name) == ("system.registered", AT, "Pat Example")


@pytest.mark.parametrize(
    ("event", "log"), [(LineageEvent.RUN_RECORDED, Log.LINEAGE), (AccessEvent.PHI_READ, Log.ACCESS)]
)
def test_the_log_follows_from_the_kind_of_event(
    database: Database, event: LineageEvent | AccessEvent, log: Log
) -> None:
    with transaction.atomic():
        recorded = record(event)
    assert Entry.objects.get(event_id=recorded.event_id).log == log


def test_outside_a_transaction_nothing_can_be_recorded_or_sealed(database: Database) -> None:
    before = ledger_counts(database)
    with pytest.raises(NoTransactionError):
        record()
    with pytest.raises(NoTransactionError):
        value_seal(person="p", event_id=new_id("evt"), name="patient", value="p")
    assert ledger_counts(database) == before


def test_a_connection_that_breaks_is_told_as_such_and_the_next_one_records(database: Database) -> None:
    with transaction.atomic():
        before = record()
        with connect(database, "superuser") as superuser, connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
        with pytest.raises(OperationalError, match="connection is lost"):
            record()
        transaction.set_rollback(True)
    with transaction.atomic():
        after = record()
    assert not Entry.objects.filter(event_id=before.event_id).exists()
    assert Entry.objects.get(event_id=after.event_id).body_id == after.body_id


def test_a_change_that_is_rolled_back_leaves_no_event(database: Database) -> None:
    before = ledger_counts(database)
    with pytest.raises(ChangedOurMindError), transaction.atomic():
        record_and_fail()
    with transaction.atomic():
        with pytest.raises(ChangedOurMindError), transaction.atomic():
            record_and_fail()
        kept = record()
    after = ledger_counts(database)
    assert (after["body"] - before["body"], after["queue"] - before["queue"]) == (1, 1)
    assert Entry.objects.filter(event_id=kept.event_id).exists()


def test_a_connection_lost_before_the_commit_leaves_no_event(database: Database) -> None:
    before = ledger_counts(database)
    connection = connect(database, "app")
    event_append(connection, event_bytes())
    with connect(database, "superuser", autocommit=True) as superuser:
        assert one(superuser, "SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    assert ledger_counts(database) == before


def test_an_event_too_long_for_a_log_is_refused_before_it_is_written(database: Database) -> None:
    before = ledger_counts(database)
    with pytest.raises(EventError, match="takes 70"), transaction.atomic():
        record(note="x" * 70_000)
    assert ledger_counts(database) == before


def long_event(field: str, length: int) -> bytes:
    """An event with a field of that many bytes that do not compress."""
    event = json.loads(event_bytes())
    holder, name = (event, "type") if field == "type" else (event["subject"], field.removeprefix("subject "))
    holder[name] = secrets.token_hex(length)[:length]
    return json.dumps(event).encode()


TEXT = b'"at":"2026-11-21T10:00:00Z","actor":{"id":"a","name":"A"},"subject":{"kind":"system","id":"s"}'
REFUSED: dict[str, tuple[str, bytes, type[psycopg.Error]]] = {
    "an event of the other log": ("access", event_bytes(log="lineage"), errors.InvalidParameterValue),
    "a log that does not exist": ("mine", event_bytes(), errors.InvalidParameterValue),
    "no log at all": ("lineage", b'{"type":"x.y","id":"e",' + TEXT + b"}", errors.InvalidParameterValue),
    "a JSON value that is no object": ("lineage", b'"lineage"', errors.InvalidParameterValue),
    "no JSON": ("lineage", b'{"log":"lineage"', errors.InvalidTextRepresentation),
    "bytes that are no text": ("lineage", b"\xff\xfe", errors.CharacterNotInRepertoire),
    "a text with a zero byte": ("lineage", b'{"log":"lineage","x":"\\u0000"}', errors.UntranslatableCharacter),
    "nothing": ("lineage", b"", errors.InvalidTextRepresentation),
    "no event id": ("lineage", b'{"log":"lineage","type":"x.y",' + TEXT + b"}", errors.NotNullViolation),
    "more than an entry can hold": (
        "lineage",
        b'{"log":"lineage","id":"e","type":"x.y",' + TEXT + b',"x":"' + b"x" * 65_535 + b'"}',
        errors.CheckViolation,
    ),
    "a few bytes that stand for a type of 5,001 digits": (
        "lineage",
        b'{"log":"lineage","id":"e","type":1e5000,' + TEXT + b"}",
        errors.StringDataRightTruncation,
    ),
    **{
        f"a {field} that no index can hold": ("lineage", long_event(field, 1001), errors.StringDataRightTruncation)
        for field in ("type", "subject id", "subject digest")
    },
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_database_itself_refuses(database: Database, what: str) -> None:
    log, entry, error = REFUSED[what]
    before = ledger_counts(database)
    with connect(database, "app") as connection:
        event_append(connection, event_bytes())
        connection.rollback()  # the same role can append what is right
        with pytest.raises(error):
            event_append(connection, entry, log=log)
    assert ledger_counts(database) == before


@pytest.mark.parametrize("field", ["type", "subject id", "subject digest"])
def test_the_longest_field_that_is_taken_can_be_searched(database: Database, field: str) -> None:
    with connect(database, "app") as connection:
        body_id = event_append(connection, long_event(field, 1000))
        connection.commit()
    sequence_all(database)
    with connect(database, "auditor") as connection:
        assert one(connection, "SELECT count(*) FROM ledger.projection WHERE body_id = %s", body_id) == 1


def test_the_same_event_cannot_be_appended_twice(database: Database) -> None:
    entry = event_bytes()
    with connect(database, "app") as connection:
        event_append(connection, entry)
        connection.commit()
        with pytest.raises(errors.UniqueViolation):
            event_append(connection, entry)


def test_nothing_is_recorded_in_a_log_that_is_frozen(database: Database) -> None:
    with connect(database, "superuser") as connection:
        origin = one(connection, "SELECT origin FROM ledger.log WHERE class = 'access'")
        with connect(database, "sequencer") as sequencer:
            assert one(sequencer, "SELECT ledger.log_freeze(%s, 'an older copy was restored')", origin) is True
    with pytest.raises(LogFrozenError, match="access is frozen: an older copy was restored"), transaction.atomic():
        record(AccessEvent.PHI_READ)
    with transaction.atomic():
        record()
