"""A personal value is nowhere in plain, its commitment opens with the person's key, and nothing links two of them."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from conftest import Database
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import DatabaseError, transaction
from ledger_driver import connect
from psycopg import sql

from audit.enums import AccessEvent
from audit.models import DataSubject, Entry, SealedValue
from audit.services import event_record, value_seal
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


def derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, f"modelnotary/v1/{purpose}".encode(), hashlib.sha256)


def subject_key(subject: DataSubject) -> bytes:
    """The person's key, unwrapped the way an auditor's tool would be told to."""
    kek = bytes.fromhex(settings.SUBJECT_KEK)
    wrapped = bytes(subject.wrapped_key)
    return AESGCM(derived(kek, "wrap")).decrypt(wrapped[:12], wrapped[12:], bytes(subject.lookup))


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
    kept = SealedValue.objects.select_related("subject").get(event_id=event_id)
    key, context = subject_key(kept.subject), f"{event_id}/patient".encode()
    salt = hmac.digest(derived(key, "salt"), context, "sha256")
    assert commit(salt=salt, name="patient", value="the value") == commitment
    assert commit(salt=salt, name="patient", value="another value") != commitment
    assert commit(salt=salt, name="another", value="the value") != commitment
    assert commitment.text.encode() in bytes(Entry.objects.get(event_id=event_id).bytes)
    ciphertext = bytes(kept.ciphertext)
    assert AESGCM(derived(key, "value")).decrypt(ciphertext[:12], ciphertext[12:], context) == b"the value"
    with pytest.raises(InvalidTag):
        AESGCM(derived(key, "value")).decrypt(ciphertext[:12], ciphertext[12:], b"another event/patient")


def test_two_entries_about_one_person_cannot_be_linked_by_their_commitments(database: Database) -> None:
    before = DataSubject.objects.count()
    commitments = [sealed("patient-3", "patient-3")[1] for _ in range(5)]
    assert len(set(commitments)) == 5
    assert DataSubject.objects.count() == before + 1


def test_each_person_has_a_key_of_their_own_and_no_two_wrappings_are_alike(database: Database) -> None:
    for person in ("patient-4", "patient-5"):
        sealed(person, "same value")
    subjects = DataSubject.objects.order_by("-pk")[:2]
    keys = {subject_key(subject) for subject in subjects}
    assert len(keys) == len({bytes(subject.lookup) for subject in subjects}) == 2
    ciphertexts = SealedValue.objects.filter(subject__in=subjects).values_list("ciphertext", flat=True)
    assert len({bytes(ciphertext) for ciphertext in ciphertexts}) == 2


def test_destroying_a_persons_key_leaves_every_entry_as_it_was(database: Database) -> None:
    event_id, commitment = sealed("patient-6", "to be forgotten")
    entry = bytes(Entry.objects.get(event_id=event_id).bytes)
    subject = SealedValue.objects.get(event_id=event_id).subject
    subject.wrapped_key = bytes(60)
    subject.save()
    with pytest.raises(InvalidTag):
        subject_key(subject)
    assert bytes(Entry.objects.get(event_id=event_id).bytes) == entry
    assert commitment.text.encode() in entry


def test_a_field_of_an_event_is_sealed_once_and_rolled_back_with_it(database: Database) -> None:
    event_id, _ = sealed("patient-7", "first")
    before = SealedValue.objects.count()
    with pytest.raises(DatabaseError, match="sealed_value_once"), transaction.atomic():
        value_seal(person="patient-7", event_id=event_id, name="patient", value="second")
    assert SealedValue.objects.count() == before
