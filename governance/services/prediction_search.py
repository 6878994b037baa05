"""Answering which approved model decided about a person on a day; who asks and why stands in the access log."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import transaction

from audit.enums import AccessEvent
from audit.personal import subject_key_find
from audit.sealing import value_seal
from audit.services import event_record
from audit.subject_keys import SubjectKey
from governance.actors import actor_of
from governance.enums import Purpose, Role
from governance.errors import RejectedInputError
from governance.models import HumanOverride, PredictionRecord, User
from governance.selectors.predictions import predictions_about
from governance.services.officers import person_require
from governance.services.prediction_findings import unapproved_words
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Subject

ASKERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY, Role.AUDITOR)
SUBJECT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Intervened:
    """What a person made of a prediction, opened."""

    record: HumanOverride
    reason: str = field(repr=False)
    output: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction about the person, opened.

    Attributes:
        record: What was recorded, and what the product found then.
        input_digest: Of what the model was given.
        output: What it gave.
        interventions: What people made of it, the earliest first.
    """

    record: PredictionRecord
    input_digest: str = field(repr=False)
    output: Json = field(repr=False)
    interventions: tuple[Intervened, ...]

    @property
    def warning(self) -> str:
        """What was not in order when it was made; empty where it was approved."""
        return unapproved_words(self.record)


@transaction.atomic
def predictions_find(*, asker: User, subject: str, day: date, purpose: Purpose, at: datetime) -> list[Answer]:
    """Give what decided about a person on a day (UTC), and on the strength of which decision.

    Somebody who was never seen, and somebody who was forgotten, both give nothing: there is no key that could tell.

    Args:
        asker: A compliance, model risk or privacy officer, or an auditor.
        subject: The person, as the source system identifies them.
        day: The day.
        purpose: What it is looked at for.
        at: The moment.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: Somebody else asks.
        RejectedInputError: The identifier is empty or too long.
        SubjectKeysError: The key file cannot be used.
    """
    person_require(asker, *ASKERS, at=at)
    if not 0 < len(subject) <= SUBJECT_LIMIT:
        raise RejectedInputError(f"/subject is an identifier of 1 to {SUBJECT_LIMIT} characters")
    key = subject_key_find(person=subject)
    answers = [_opened(record, key) for record in predictions_about(key, day)] if key else []
    _access(asker, subject, key, day, purpose, answers, at)
    return answers


def _opened(record: PredictionRecord, key: SubjectKey) -> Answer:
    secret = _unsealed(record, key)
    interventions = (_intervened(item, key) for item in record.human_overrides.all())
    return Answer(record, secret["input_digest"], json.loads(secret["output"]), tuple(interventions))


def _intervened(record: HumanOverride, key: SubjectKey) -> Intervened:
    secret = _unsealed(record, key)
    return Intervened(record, secret["reason"], json.loads(secret["output"]) if "output" in secret else None)


def _unsealed(record: PredictionRecord | HumanOverride, key: SubjectKey) -> dict[str, str]:
    secret: dict[str, str] = json.loads(key.decrypt(bytes(record.sealed), str(record.reference).encode()))
    return secret


def _access(  # noqa: PLR0917 - who asked what, why, and what came of it
    asker: User,
    subject: str,
    key: SubjectKey | None,
    day: date,
    purpose: Purpose,
    answers: list[Answer],
    at: datetime,
) -> None:
    """Write who asked. Whoever has no key is given none by being asked for, and is not named in any form."""
    event_id = new_id("evt", at=at)
    name = "nobody"
    if key is not None:
        name = value_seal(person=subject, event_id=event_id, name="patient", value=subject).text
    event_record(
        event=AccessEvent.PREDICTION_READ,
        actor=actor_of(asker),
        subject=Subject("data_subject", name),
        data={"purpose": purpose.value, "day": day.isoformat(), "found": len(answers)},
        at=at,
        event_id=event_id,
    )
