"""A personal value is nowhere in plain, its commitment opens with the person's key, and nothing links two of them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Database
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from ledger_driver import connect
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from audit.enums import AccessEvent
from audit.errors import ErasedError, SubjectKeysError
from audit.models import DataSubject, Entry, SealedValue
from audit.personal import person_values, subject_key_find
from audit.sealing import persons_prepare, value_seal
from audit.services import event_record
from audit.subject_keys import KeyRing, SubjectKey, key_ring_create, key_ring_read
from modelnotary.ids import new_id
from modelnotary.ledger.commitment import commit
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def sealed(person: str, value: str) -> tuple[str, Digest]:
    """Record a reading of a personal value; return the event's id and what the event holds of the value."""
    event_id = new_id("evt")
    with transaction.atomic():
        commitment = value_seal(person=person, event_id=event_id, name="patient", value=value)
        event_record(
            event=AccessEvent.PHI_READ,
            actor=Actor("person", "usr_1", "Pat Example"),
            subject=Subject("data_subject", commitment.text),
            data={},
            at=AT,
            event_id=event_id,
        )
    return event_id, commitment


def key_of(person: str) -> SubjectKey:
    key = subject_key_find(person=person)
    assert key is not None
    return key


def test_the_value_is_nowhere_in_the_database_in_plain(database: Database) -> None:
    value = "patient-7341-Ångström"
    sealed(value, value)
    traces = (value, value.encode().hex(), "7341-")
    with connect(database, "superuser") as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'ledger')"
        ).fetchall()
        assert len(tables) > 20
        for table in tables:
            statement = sql.SQL("SELECT count(*) FROM {} t WHERE strpos(t::text, %s) > 0").format(
                sql.Identifier(*table)
            )
            for trace in traces:
                assert connection.execute(statement, (trace,)).fetchall() == [(0,)], table
        # The same search does find what is there in plain.
        found = connection.execute(
            "SELECT count(*) FROM ledger.body t WHERE strpos(convert_from(bytes, 'UTF8'), 'Pat Example') > 0"
        ).fetchall()
        assert found != [(0,)]


def test_the_commitment_opens_with_the_value_and_the_salt_of_the_persons_key(database: Database) -> None:
    event_id, commitment = sealed("patient-2", "the value")
    kept = SealedValue.objects.get(event_id=event_id)
    key, context = key_of("patient-2"), f"{event_id}/patient".encode()
    salt = key.salt(context)
    assert commit(salt=salt, name="patient", value="the value") == commitment
    assert commit(salt=salt, name="patient", value="another value") != commitment
    assert commit(salt=salt, name="another", value="the value") != commitment
    assert commitment.text.encode() in bytes(Entry.objects.get(event_id=event_id).bytes)
    ciphertext = bytes(kept.ciphertext)
    assert key.decrypt(ciphertext, context) == "the value"
    for other, place in ((key, b"another event/patient"), (SubjectKey.generate(), context)):
        with pytest.raises(ErasedError):
            other.decrypt(ciphertext, place)


def test_two_entries_about_one_person_have_nothing_in_common(database: Database) -> None:
    before = DataSubject.objects.count()
    events = dict(sealed("patient-3", "patient-3") for _ in range(5))
    assert len(set(events.values())) == 5
    assert DataSubject.objects.count() == before + 1
    rows = SealedValue.objects.filter(event_id__in=events)
    columns = [*zip(*((bytes(row.tag), bytes(row.ciphertext), row.event_id) for row in rows), strict=True)]
    assert [len(set(column)) for column in columns] == [5, 5, 5]
    assert not DataSubject._meta.related_objects  # no row refers to a person's


def test_the_length_of_a_ciphertext_does_not_tell_short_identifiers_apart(database: Database) -> None:
    events = [sealed(person, person)[0] for person in ("1", "patient-31", "p" * 62)]
    assert len({len(row.ciphertext) for row in SealedValue.objects.filter(event_id__in=events)}) == 1
    assert len({len(row.wrapped_key) for row in DataSubject.objects.all()}) == 1


def test_each_person_has_a_key_of_their_own_and_everything_about_them_is_found_with_it(database: Database) -> None:
    mine = [sealed("patient-4", f"value {number}")[0] for number in range(3)]
    theirs = [sealed("patient-5", "value 0")[0]]
    assert key_of("patient-4") != key_of("patient-5")
    found = list(person_values(person="patient-4"))
    assert [(value.event_id, value.value) for value in found] == [
        (event_id, f"value {number}") for number, event_id in enumerate(mine)
    ]
    assert [value.event_id for value in person_values(person="patient-5")] == theirs
    assert list(person_values(person="patient-nobody")) == []
    for value in found:
        text = commit(salt=value.salt, name=value.name, value=value.value).text
        assert text.encode() in bytes(Entry.objects.get(event_id=value.event_id).bytes)


def test_a_field_of_an_event_is_sealed_once_and_rolled_back_with_it(database: Database) -> None:
    event_id, _ = sealed("patient-7", "first")
    before = SealedValue.objects.count()
    with pytest.raises(DatabaseError, match="sealed_value_once"), transaction.atomic():
        value_seal(person="patient-7", event_id=event_id, name="patient", value="second")
    assert SealedValue.objects.count() == before


def test_a_person_whose_first_event_was_rolled_back_gets_a_key_with_the_next(database: Database) -> None:
    with transaction.atomic():
        value_seal(person="patient-8", event_id=new_id("evt"), name="patient", value="v")
        transaction.set_rollback(True)
    assert subject_key_find(person="patient-8") is None
    event_id, _ = sealed("patient-8", "v")
    assert [value.event_id for value in person_values(person="patient-8")] == [event_id]


def test_writers_that_meet_new_persons_at_the_same_moment_agree_on_one_key_each(database: Database) -> None:
    people = [f"new-{number}" for number in range(4)]
    start, events, failures = threading.Barrier(6), [], []

    def write(number: int) -> None:
        try:
            start.wait()
            for turn in range(8):
                rolls_back = (number + turn) % 3 == 0
                with transaction.atomic():
                    persons_prepare(persons=set(people))
                    for person in people[number % 2 :: 2]:
                        event_id = new_id("evt")
                        value_seal(person=person, event_id=event_id, name="patient", value=person)
                        if not rolls_back:
                            events.append((person, event_id))
                    transaction.set_rollback(rolls_back)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to see it
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    for person in people:
        rows = DataSubject.objects.filter(lookup__in=[ring.lookup(number, person) for number in ring.generations])
        assert rows.count() == 1
        expected = sorted(event_id for name, event_id in events if name == person)
        assert expected
        assert [value.event_id for value in person_values(person=person)] == expected


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_datasubject",
        "UPDATE audit_datasubject SET wrapped_key = ''",
        "SELECT FROM audit_datasubject FOR UPDATE",
        "TRUNCATE audit_datasubject",
        "DELETE FROM audit_sealedvalue",
        "UPDATE audit_sealedvalue SET ciphertext = ''",
        "DELETE FROM audit_erasure",
        "DELETE FROM audit_legalhold",
    ],
)
def test_the_application_can_neither_destroy_keys_nor_change_sealed_values(database: Database, statement: str) -> None:
    with connect(database, "app") as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


KEY_FILES: dict[str, Callable[[Path], object]] = {
    "is missing": Path.unlink,
    "is open to others": lambda path: path.chmod(0o644),
    "holds no generation": lambda path: path.write_text('{"format": "modelnotary-subject-keys/v1", "generations": {}}'),
    "has a short key": lambda path: path.write_text(
        '{"format": "modelnotary-subject-keys/v1", "generations": {"1": "00"}}'
    ),
    "is another file": lambda path: path.write_text("[]"),
    "is no text": lambda path: path.write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("what", KEY_FILES)
def test_a_key_file_that_cannot_be_trusted_is_refused_in_words(tmp_path: Path, what: str) -> None:
    path = tmp_path / "keys" / "subject.kek"
    made = key_ring_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_ring_create(path) == made == KeyRing.from_bytes(made.to_bytes())
    KEY_FILES[what](path)
    with pytest.raises(SubjectKeysError, match="key file"):
        key_ring_read(path)


def test_without_the_key_file_nothing_is_sealed_and_nothing_is_recorded(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = SealedValue.objects.count()
    monkeypatch.setattr(settings, "SUBJECT_KEYS_FILE", tmp_path / "nothing")
    with pytest.raises(SubjectKeysError, match="keys_create"):
        sealed("patient-9", "v")
    assert SealedValue.objects.count() == before
