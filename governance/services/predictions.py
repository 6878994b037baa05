"""Recording what models decided about persons, and what people made of it: all of a batch or nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit.enums import LineageEvent
from audit.personal import subject_keys_find
from audit.sealing import persons_prepare
from audit.services import event_record
from audit.subject_keys import SubjectKey
from governance.actors import actor_of
from governance.enums import HumanAction
from governance.errors import ConflictError
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.models import HumanOverride, Model, ModelVersion, PredictionBatch, PredictionRecord, User
from governance.selectors.predictions import Approval, Approvals, day_of, predictions_counted, pseudonym_of
from governance.services.prediction_findings import unapproved_kinds, unapproved_notice
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.commitment import commit
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError
from modelnotary.ledger.event import Subject
from modelnotary.ledger.merkle import leaf_hashes
from modelnotary.ledger.tree import tree_root
from modelnotary.times import format_time

PREDICTION_FORMAT = "modelnotary-prediction/v1"
OVERRIDE_FORMAT = "modelnotary-prediction-override/v1"
BATCH_LIMIT = 1000
OUTPUT_LIMIT = 16 * 1024
CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One output of a model about one person, as the system that has it says.

    Attributes:
        reference: The sender's own name for it: random, so that it tells nothing of the person.
        model_digest: Of the bytes that decided; they need not be registered.
        model: Short name of the model that they are meant to be, for bytes that are not registered; else empty.
        environment: Where.
        at: When it was decided.
        subject: The person, as the source system identifies them.
        input_digest: Of what the model was given.
        output: What it gave, any JSON value.
    """

    reference: UUID
    model_digest: Digest
    environment: str
    at: datetime
    subject: str = field(repr=False)
    input_digest: Digest = field(repr=False)
    output: Json = field(repr=False)
    model: str = ""


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person made of a prediction.

    Attributes:
        reference: The sender's own name for it, random.
        prediction: That of the prediction.
        subject: Whom the prediction is about, once more.
        action: Accepted, modified or rejected.
        reason: Why, in their words.
        person, person_name: Who did it.
        at: When.
        output: What they put in its place; only where they modified it.
    """

    reference: UUID
    prediction: UUID
    subject: str = field(repr=False)
    action: HumanAction
    reason: str = field(repr=False)
    person: str
    person_name: str
    at: datetime
    output: Json = field(default=None, repr=False)


@transaction.atomic
def predictions_record(
    *, reporter: User, predictions: list[Prediction], interventions: list[Intervention], at: datetime
) -> list[PredictionRecord]:
    """Record predictions and what people made of them, all or none, with one entry in the ledger.

    The entry names the number of records and the root of a Merkle tree over them: each can be proved to be in it, and a
    busy system does not fill the log. What was recorded before under the same names, with the same content, is not
    recorded again.

    1. Find the keys of the persons, and make those that are missing.
    2. Find by the product's own records what stood behind each model at that moment.
    3. Write the documents, in which everything personal is a commitment, and seal the values under the person's key.
    4. Record what is new, commit to it, and open a finding for whatever decided without approval.

    Returns:
        The records of the predictions, in their order.

    Raises:
        EvidenceRefusedError: With every fault and its place.
        ConflictError: Another batch about one of the persons and days arrived at the same moment.
    """
    if faults := (*_prediction_faults(predictions, at), *_intervention_faults(interventions, at)):
        raise EvidenceRefusedError(faults)
    keys = _keys({item.subject for item in predictions} | {item.subject for item in interventions})  # 1
    batch = PredictionBatch(reporter=reporter, received_at=at)
    made = [_prediction(item, keys[item.subject], approval) for item, approval in _approved(predictions)]  # 2, 3
    known = _known(PredictionRecord, made, "/predictions")
    records = [known.get(item.reference, item) for item in made]
    fresh = [item for item in made if item.reference not in known]
    _pseudonyms_give(fresh, {item.reference: keys[item.subject] for item in predictions})
    overriding = _overriding(interventions, records, keys)
    known_overrides = _known(HumanOverride, overriding, "/overrides")
    fresh_overrides = [item for item in overriding if item.reference not in known_overrides]
    if fresh or fresh_overrides:  # 4
        _store(batch, fresh, fresh_overrides, at)
        for record in unapproved_kinds(fresh):
            unapproved_notice(record=record, at=at)
    return records


def _store(
    batch: PredictionBatch, fresh: list[PredictionRecord], overriding: list[HumanOverride], at: datetime
) -> None:
    everything: list[Any] = [*fresh, *overriding]
    for position, record in enumerate(everything):
        record.batch, record.position = batch, position
    batch.size = len(everything)
    batch.root = Digest(tree_root(leaf_hashes(item.document for item in everything))).text
    try:
        with transaction.atomic():
            batch.save()
            PredictionRecord.objects.bulk_create(fresh)
            HumanOverride.objects.bulk_create(overriding)
    except IntegrityError as error:
        raise ConflictError(
            "another batch with some of these records, or about the same person and day, arrived at the same moment; "
            "nothing of this one was kept, send it again"
        ) from error
    event_record(
        event=LineageEvent.PREDICTIONS_RECORDED,
        actor=actor_of(batch.reporter),
        subject=Subject("prediction_batch", batch.id, Digest.from_text(batch.root)),
        data={
            "predictions": len(fresh),
            "overrides": len(overriding),
            "unapproved": sum(not item.is_approved for item in fresh),
        },
        at=at,
    )


# --- What is wrong with it --------------------------------------------------------------------------------------------
def _prediction_faults(predictions: list[Prediction], at: datetime) -> Iterable[Fault]:
    slugs = {item.model for item in predictions if item.model}
    models = set(Model.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    yield from _repeated([item.reference for item in predictions], "/predictions", "id")
    for number, item in enumerate(predictions):
        place = f"/predictions/{number}"
        yield from _late(item.at, at, place)
        yield from _output_faults(item.output, f"{place}/output")
        if item.model and item.model not in models:
            yield Fault(f"{place}/model", f'there is no model "{item.model}"')


def _intervention_faults(interventions: list[Intervention], at: datetime) -> Iterable[Fault]:
    yield from _repeated([item.reference for item in interventions], "/overrides", "id")
    for number, item in enumerate(interventions):
        place = f"/overrides/{number}"
        yield from _late(item.at, at, place)
        yield from _output_faults(item.output, f"{place}/output")
        if (item.action == HumanAction.MODIFY) == (item.output is None):
            yield Fault(f"{place}/output", "says what was put in the place of the output, where that was modified only")


def _repeated(references: list[UUID], place: str, name: str) -> Iterable[Fault]:
    seen: set[UUID] = set()
    for number, reference in enumerate(references):
        if reference in seen:
            yield Fault(f"{place}/{number}/{name}", f"{reference} is given twice")
        seen.add(reference)


def _late(moment: datetime, at: datetime, place: str) -> Iterable[Fault]:
    if moment > at + CLOCK_SKEW:
        ahead = f"{format_time(moment)} is later than {format_time(at)}, now, by more than 60 s"
        yield Fault(f"{place}/at", f"{ahead}; set the sender's clock")


def _output_faults(output: Json, place: str) -> Iterable[Fault]:
    try:
        length = len(canonical_bytes(output))
    except CanonicalError as error:
        yield Fault(place, str(error))
        return
    if length > OUTPUT_LIMIT:
        yield Fault(place, f"has {length} bytes as canonical JSON, more than {OUTPUT_LIMIT}")


# --- What is kept of it -----------------------------------------------------------------------------------------------
def _keys(persons: set[str]) -> dict[str, SubjectKey]:
    persons_prepare(persons=persons)
    return subject_keys_find(persons=persons)


def _approved(
    predictions: list[Prediction],
) -> list[tuple[Prediction, tuple[ModelVersion | None, Model | None, Approval]]]:
    digests = {item.model_digest.text for item in predictions}
    registered = ModelVersion.objects.filter(artifact__in=digests).select_related("model__system__owner")
    versions = {item.digest: item for item in registered}
    named = Model.objects.filter(slug__in={item.model for item in predictions}).select_related("system__owner")
    models, approvals = {item.slug: item for item in named}, Approvals()
    found = []
    for item in predictions:
        version = versions.get(item.model_digest.text)
        approval = approvals.at(version, item.environment, item.at) if version else Approval()
        found.append((item, (version, version.model if version else models.get(item.model), approval)))
    return found


def _prediction(
    item: Prediction, key: SubjectKey, found: tuple[ModelVersion | None, Model | None, Approval]
) -> PredictionRecord:
    version, model, approval = found
    secret = {
        "subject": item.subject,
        "input_digest": item.input_digest.text,
        "output": canonical_bytes(item.output).decode(),
    }
    stated: dict[str, Json] = {
        "reference": str(item.reference),
        "model_digest": item.model_digest.text,
        "model": item.model,
        "environment": item.environment,
        "at": format_time(item.at),
    }
    records: dict[str, Any] = {
        "model_version": version,
        "deployment": approval.deployment,
        "decision": approval.decision,
        "override": approval.override,
    }
    named: dict[str, Json] = {name: record and record.pk for name, record in records.items()}
    return PredictionRecord(
        reference=item.reference,
        at=item.at,
        environment=item.environment,
        model_digest=item.model_digest.text,
        model=model,
        standing=approval.standing,
        is_approved=approval.is_approved,
        document=canonical_bytes(
            {
                "format": PREDICTION_FORMAT,
                "stated": stated | _commitments(key, item.reference, secret),
                "found": named | {"standing": approval.standing},
            }
        ),
        sealed=_sealed(key, item.reference, secret),
        **records,
    )


def _overriding(
    interventions: list[Intervention], records: list[PredictionRecord], keys: dict[str, SubjectKey]
) -> list[HumanOverride]:
    wanted = {item.prediction for item in interventions}
    found = {item.reference: item for item in PredictionRecord.objects.filter(reference__in=wanted)}
    found |= {item.reference: item for item in records}
    faults, made = [], []
    for number, item in enumerate(interventions):
        prediction, key = found.get(item.prediction), keys[item.subject]
        if prediction is None or not _is_about(prediction, key, item.subject):
            words = f"no prediction {item.prediction} about this person was recorded"
            faults.append(Fault(f"/overrides/{number}/prediction", words))
        elif item.at < prediction.at:
            faults.append(Fault(f"/overrides/{number}/at", "is before the prediction"))
        else:
            made.append(_override(item, prediction, key))
    if faults:
        raise EvidenceRefusedError(tuple(faults))
    return made


def _is_about(prediction: PredictionRecord, key: SubjectKey, subject: str) -> bool:
    said: Any = parse_canonical(bytes(prediction.document))
    return bool(said["stated"]["subject"] == _commitments(key, prediction.reference, {"subject": subject})["subject"])


def _override(item: Intervention, prediction: PredictionRecord, key: SubjectKey) -> HumanOverride:
    secret = {"reason": item.reason}
    if item.output is not None:
        secret["output"] = canonical_bytes(item.output).decode()
    stated: dict[str, Json] = {
        "reference": str(item.reference),
        "prediction": str(item.prediction),
        "action": item.action.value,
        "person": item.person,
        "person_name": item.person_name,
        "at": format_time(item.at),
    }
    return HumanOverride(
        reference=item.reference,
        prediction=prediction,
        at=item.at,
        action=item.action,
        person=item.person,
        person_name=item.person_name,
        document=canonical_bytes(
            {"format": OVERRIDE_FORMAT, "stated": stated | _commitments(key, item.reference, secret)}
        ),
        sealed=_sealed(key, item.reference, secret),
    )


def _commitments(key: SubjectKey, reference: UUID, secret: dict[str, str]) -> dict[str, Json]:
    """Commit to each value under a salt of its own, which only the person's key makes."""
    return {
        name: commit(salt=key.salt(f"{reference}/{name}".encode()), name=name, value=value).text
        for name, value in secret.items()
    }


def _sealed(key: SubjectKey, reference: UUID, secret: dict[str, str]) -> bytes:
    return key.encrypt(canonical_bytes(secret).decode(), str(reference).encode())


def _known[Record: (PredictionRecord, HumanOverride)](
    kind: type[Record], made: list[Record], place: str
) -> dict[UUID, Record]:
    """Give what was recorded before under the same names, after demanding that it says the same."""
    stored = {item.reference: item for item in kind.objects.filter(reference__in=[item.reference for item in made])}
    faults = [
        Fault(f"{place}/{number}/id", f"{item.reference} was recorded before with another content")
        for number, item in enumerate(made)
        if item.reference in stored and _stated(stored[item.reference]) != _stated(item)
    ]
    if faults:
        raise EvidenceRefusedError(tuple(faults))
    return stored


def _stated(record: PredictionRecord | HumanOverride) -> Json:
    said: Any = parse_canonical(bytes(record.document))
    stated: Json = said["stated"]
    return stated


def _pseudonyms_give(fresh: list[PredictionRecord], keys: dict[UUID, SubjectKey]) -> None:
    """File each new record under the next pseudonym of its person and day."""
    waiting: dict[tuple[bytes, date], tuple[SubjectKey, list[PredictionRecord]]] = {}
    for record in fresh:
        key, day = keys[record.reference], day_of(record.at)
        waiting.setdefault((key.secret, day), (key, []))[1].append(record)
    counts = predictions_counted([(key, day) for (_, day), (key, _) in waiting.items()])
    for ((_, day), (key, records)), count in zip(waiting.items(), counts, strict=True):
        for number, record in enumerate(records, count):
            record.pseudonym = pseudonym_of(key, day, number)
