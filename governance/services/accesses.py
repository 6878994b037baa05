"""The access log: who looked at or used what, and for which purpose."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.enums import AccessEvent
from audit.sealing import persons_prepare, value_seal
from audit.services import event_record
from governance.actors import actor_of
from governance.models import User
from governance.selectors import model_version_get
from governance.selectors.scope import sight_of
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject
from modelnotary.times import format_time


@transaction.atomic
def access_record(
    *,
    actor: User,
    event: AccessEvent,
    kind: str,
    identity: str,
    digest: Digest | None,
    data: dict[str, Any],
    at: datetime,
) -> None:
    """Write who looked at a governed record. Committed before the answer leaves: no record, no answer."""
    event_record(event=event, actor=actor_of(actor), subject=Subject(kind, identity, digest), data=data, at=at)


@dataclass(frozen=True, slots=True)
class ForeignAccess:
    """An access that happened in another system.

    Attributes:
        event: A prediction was read, or protected health information was.
        at: When, as that system says.
        person: Who, as that system names them.
        person_name: Their name, printed.
        patient: Whose data: kept out of the ledger, which holds a salted commitment to it instead.
        purpose: Purpose of use, for instance TREAT, HPAYMT, HOPERAT (HL7 PurposeOfUse).
        resource: What was read.
    """

    event: AccessEvent
    at: datetime
    person: str
    person_name: str
    patient: str
    purpose: str
    resource: str


@transaction.atomic
def accesses_import(*, reporter: User, model_digest: Digest, accesses: list[ForeignAccess], at: datetime) -> list[str]:
    """Write accesses made in other systems, all of them or none; return the ids of their entries.

    Raises:
        UnknownArtifactError: No model version has that digest.
    """
    model_version_get(digest=model_digest, seen_by=sight_of(actor=reporter, at=at))
    patients = {access.patient for access in accesses}
    if len(patients) > 1:
        persons_prepare(persons=patients)
    return [_import(reporter, model_digest, access, at) for access in accesses]


def _import(reporter: User, model_digest: Digest, access: ForeignAccess, at: datetime) -> str:
    event_id = new_id("evt", at=at)
    commitment = value_seal(person=access.patient, event_id=event_id, name="patient", value=access.patient)
    event_record(
        event=access.event,
        actor=Actor(kind="person", id=access.person, name=access.person_name),
        subject=Subject("data_subject", commitment.text, model_digest),
        data={
            "purpose": access.purpose,
            "resource": access.resource,
            "happened_at": format_time(access.at),
            "reported_by": reporter.id,
        },
        at=at,
        event_id=event_id,
    )
    return event_id
