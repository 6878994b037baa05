"""Persons, their entries, and the process that may destroy keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from conftest import Database
from django.db import connections, transaction

from audit.enums import AccessEvent, ErasureBasis
from audit.erasure import erasure_approve, erasure_request
from audit.models import Erasure
from audit.rotation import Rotation, Tell, subject_keys_rotate
from audit.sealing import value_seal
from audit.services import event_record
from modelnotary.ids import new_id
from modelnotary.ledger.event import Actor, Subject

AT = datetime(2026, 11, 25, 10, tzinfo=UTC)
ADA, BEN = Actor("person", "usr_ada", "Ada Officer"), Actor("person", "usr_ben", "Ben Officer")
SYSTEM = Actor("system", "test", "A test")
REASON = "The patient withdrew the consent that was the only ground."


def access_record(person: str) -> str:
    """Record that somebody read about a person; return the event's id."""
    event_id = new_id("evt")
    with transaction.atomic():
        commitment = value_seal(person=person, event_id=event_id, name="patient", value=person)
        event_record(
            event=AccessEvent.PHI_READ,
            actor=Actor("person", "usr_1", "Pat Example"),
            subject=Subject("data_subject", commitment.text),
            data={"resource": "chart"},
            at=AT,
            event_id=event_id,
        )
    return event_id


def erasure_order(person: str) -> Erasure:
    """Ask for an erasure as one officer and approve it as another."""
    asked = erasure_request(actor=ADA, person=person, basis=ErasureBasis.GDPR_17_1_B, reason=REASON, at=AT)
    return erasure_approve(actor=BEN, erasure_id=asked.pk, person=person, at=AT)


@contextmanager
def migrating(database: Database) -> Iterator[None]:
    """Have Django work as the tables' owner, as DJANGO_DATABASE_ROLE=migrator does."""
    owner = urlsplit(database.environment["MIGRATION_DATABASE_URL"])
    connection = connections["default"]
    before = {name: connection.settings_dict[name] for name in ("USER", "PASSWORD")}
    connection.close()
    connection.settings_dict.update(USER=unquote(owner.username or ""), PASSWORD=unquote(owner.password or ""))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


def rotate(database: Database, tell: Tell = lambda _step, _done, _total: None, batch: int = 3) -> Rotation:
    """Rotate the keys of persons as the tables' owner."""
    with migrating(database):
        return subject_keys_rotate(actor=SYSTEM, at=AT, tell=tell, batch=batch)


def forget(database: Database, person: str) -> None:
    """Have a person forgotten: ordered by two officers, and the keys rotated."""
    erasure_order(person)
    rotate(database)
