"""Personal values end with the entries that commit to them, and an archive holds none."""

from datetime import timedelta
from pathlib import Path

import pytest
from archive_driver import LONG_AGO, Scene, grow, partitions_narrow, scheduled_long_ago, settle
from conftest import Database
from django.db import transaction

from audit.enums import AccessEvent, Log
from audit.models import DataSubject, Entry, SealedValue
from audit.personal import person_values
from audit.sealing import value_seal
from audit.selectors import entry_proof
from audit.services import event_record
from modelnotary.ids import new_id
from modelnotary.ledger.event import Actor, Event, Subject

PATIENT = "patient-0815-4711"


def seen(number: int) -> str:
    """Record a look at a patient's data, long ago."""
    at = LONG_AGO + timedelta(seconds=number)
    event_id = new_id("evt", at=at)
    with transaction.atomic():
        commitment = value_seal(person=PATIENT, event_id=event_id, name="patient", value=PATIENT)
        event_record(
            event=AccessEvent.PHI_READ,
            actor=Actor("person", "usr_1", "Pat Example"),
            subject=Subject("data_subject", commitment.text),
            data={"resource": "chart"},
            at=at,
            event_id=event_id,
        )
    return event_id


@pytest.fixture(scope="module")
def scene(database: Database, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    partitions_narrow(database)
    return Scene(database, keys, tmp_path_factory.mktemp("archives"))


def test_what_is_sealed_for_archived_entries_is_deleted_with_them_and_nothing_else(scene: Scene) -> None:
    gone = [seen(number) for number in range(3)]
    settle(scene.database, scene.keys)
    grow(scene.database, scene.keys, 300, log="access")
    kept = [seen(400), seen(401)]
    settle(scene.database, scene.keys)
    assert [value.event_id for value in person_values(person=PATIENT)] == [*gone, *kept]
    entries = [bytes(Entry.objects.get(event_id=event).bytes) for event in gone]

    scheduled_long_ago(scene.database, 2192, log=Log.ACCESS)
    scene.archive("access")
    assert SealedValue.objects.count() == 5
    assert scene.archive("access", "--drop")["min_index"] == 256
    assert [value.event_id for value in person_values(person=PATIENT)] == kept
    assert set(SealedValue.objects.values_list("event_id", flat=True)) == set(kept)
    # The key stays, for nothing but the key itself tells whether a value is left; an erasure destroys it.
    assert DataSubject.objects.count() == 1

    archive = b"".join(path.read_bytes() for path in scene.archives.rglob("*") if path.is_file())
    assert PATIENT.encode() not in archive
    assert all(entry in archive and Event.from_bytes(entry).subject.id.startswith("sha256:") for entry in entries)
    assert entry_proof(event_id=kept[0]).index > 255
