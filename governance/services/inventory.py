"""Registering systems, models, data and how one came from another. Each change and its ledger entry commit together."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Max

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import DataFormat, LineageKind, LineageRole, Trust
from governance.errors import (
    ConflictError,
    DigestMismatchError,
    RejectedInputError,
    UnknownArtifactError,
)
from governance.models import (
    AiSystem,
    Artifact,
    Dataset,
    DatasetVersion,
    Model,
    ModelVersion,
    Run,
    User,
)
from governance.selectors.scope import sight_of
from governance.services.data_content import data_content
from governance.services.lineage import lineage_record
from governance.services.locks import name_lock
from governance.services.stated import Handling, Origin, handling_require
from modelnotary.formats import ArtifactFormat, refuse_unsafe, sniff
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time


def artifact_store(*, actor: User, file: Path, declared: Digest, at: datetime) -> Artifact:
    """Keep uploaded bytes under their digest; the same bytes twice are kept once.

    Args:
        actor: Who uploads.
        file: The received bytes.
        declared: The digest that the uploader says they have.
        at: The moment.

    Raises:
        DigestMismatchError: The bytes have another digest.
        UnsafeFormatError: The bytes are a format that can run code when loaded.
    """
    actual = Digest.of_file(file)
    if actual != declared:
        raise DigestMismatchError(f"the bytes received have digest {actual}, declared was {declared}; upload again")
    refuse_unsafe(file)
    name = f"{actual.hex[:2]}/{actual.hex}"
    _bytes_keep(name, file, actual)
    with transaction.atomic():
        artifact, created = Artifact.objects.get_or_create(
            pk=actual.text,
            defaults={"size": file.stat().st_size, "path": name, "stored_by": actor, "stored_at": at},
        )
        if created:
            event_record(
                event=LineageEvent.ARTIFACT_STORED,
                actor=actor_of(actor),
                subject=Subject("artifact", actual.text, actual),
                data={"size": artifact.size},
                at=at,
            )
    return artifact


def _bytes_keep(name: str, file: Path, digest: Digest) -> None:
    """Store bytes unless they are there whole; what an interrupted upload left is replaced."""
    store = storages["artifacts"]
    if store.exists(name):
        with store.open(name) as kept:
            if hashlib.file_digest(kept, "sha256").digest() == digest.value:
                return
        store.delete(name)
    with file.open("rb") as source:
        saved = store.save(name, File(source))
    if saved != name:  # the same bytes, uploaded twice at once
        store.delete(saved)


def artifact_path(artifact: Artifact) -> Path:
    """Give the stored file, after hashing it again.

    Raises:
        DigestMismatchError: The stored bytes changed or are gone.
    """
    path = Path(storages["artifacts"].path(artifact.path))
    try:
        actual = Digest.of_file(path)
    except OSError as error:
        raise DigestMismatchError(f"the stored bytes of {artifact.digest} cannot be read; upload them again") from error
    if actual.text != artifact.digest:
        raise DigestMismatchError(
            f"the stored bytes of {artifact.digest} now have digest {actual}; upload the right ones again"
        )
    return path


@transaction.atomic
def system_register(*, actor: User, owner: User, at: datetime, slug: str, **particulars: Any) -> AiSystem:  # noqa: ANN401
    """Register an AI system, or give the one of that slug. What the account of a business unit registers is its own.

    Raises:
        ConflictError: The slug is registered with other particulars.
    """
    name_lock(f"governance.system {slug}")
    existing = AiSystem.objects.filter(slug=slug).first()
    if existing:
        if not sight_of(actor=actor, at=at).sees(existing):
            raise ConflictError(f'the short name "{slug}" is taken')
        return _same_or_conflict(existing, particulars)
    system = AiSystem.objects.create(
        slug=slug, owner=owner, business_unit=actor.business_unit, registered_at=at, **particulars
    )
    event_record(
        event=LineageEvent.SYSTEM_REGISTERED,
        actor=actor_of(actor),
        subject=Subject("system", system.id),
        data={"slug": slug, "owner": owner.id, "business_unit": system.business_unit_id, **particulars},
        at=at,
    )
    return system


@transaction.atomic
def model_register(*, actor: User, system: AiSystem, slug: str, name: str, at: datetime) -> Model:
    """Register a model in a system, or give the one of that slug.

    Raises:
        ConflictError: The slug belongs to another system's model.
    """
    name_lock(f"governance.model {slug}")
    existing = Model.objects.filter(slug=slug).first()
    if existing:
        return _same_or_conflict(existing, {"system_id": system.id, "name": name})
    model = Model.objects.create(system=system, slug=slug, name=name, registered_at=at)
    event_record(
        event=LineageEvent.MODEL_REGISTERED,
        actor=actor_of(actor),
        subject=Subject("model", model.id),
        data={"slug": slug, "name": name, "system": system.id},
        at=at,
    )
    return model


@transaction.atomic
def model_version_register(
    *,
    actor: User,
    model: Model,
    digest: Digest,
    code_commit: str,
    parameters: dict[str, Any],
    metrics: dict[str, Any],
    at: datetime,
    origin: Origin | None = None,
) -> ModelVersion:
    """Register uploaded bytes as the next version of a model; the same bytes twice are one version.

    Where a run is named, that it produced the version is a step of lineage, recorded with it.

    Raises:
        UnknownArtifactError: No such bytes were uploaded.
        RejectedInputError: The bytes are not a model format that can be loaded without running code.
        ConflictError: The bytes are registered as a version of another model.
    """
    artifact = _artifact_get(digest)
    name_lock(f"governance.model_version {digest}")
    existing = ModelVersion.objects.filter(artifact=artifact).first()
    columns = (origin or Origin()).columns()
    if existing:
        stated = {name: value for name, value in columns.items() if value}
        return _same_or_conflict(existing, {"model_id": model.id, "parameters": parameters} | stated)
    kind = sniff(artifact_path(artifact))
    if not kind.is_accepted:
        accepted = ", ".join(item.value for item in ArtifactFormat if item.is_accepted)
        raise RejectedInputError(f"{digest} is no model that can be loaded without running code; accepted: {accepted}")
    Model.objects.select_for_update().get(pk=model.pk)  # the next number is given once
    version = ModelVersion.objects.create(
        model=model,
        number=_next_number(model.versions),
        artifact=artifact,
        format=kind.value,
        code_commit=code_commit,
        parameters=parameters,
        metrics=metrics,
        author=_person_behind(actor),
        registered_by=actor,
        registered_at=at,
        **columns,
    )
    event_record(
        event=LineageEvent.MODEL_VERSION_REGISTERED,
        actor=actor_of(actor),
        subject=Subject("model_version", version.id, digest),
        data={
            "model": model.id,
            "slug": model.slug,
            "number": version.number,
            "format": kind.value,
            "author": version.author_id,
            "code_commit": code_commit,
            "parameters": parameters,
            "metrics": metrics,
            **columns,
            "run": version.run_id,
        },
        at=at,
    )
    if version.run_id:
        lineage_record(
            actor=actor,
            source=(LineageKind.RUN, version.run_id),
            target=(LineageKind.MODEL_VERSION, version.id),
            role=LineageRole.PRODUCED,
            trust=Trust.SELF_REPORTED,
            at=at,
        )
    return version


@transaction.atomic
def dataset_register(*, actor: User, slug: str, at: datetime, **particulars: Any) -> Dataset:  # noqa: ANN401
    """Register a data set, or give the one of that slug.

    Raises:
        ConflictError: The slug is registered with other particulars.
    """
    name_lock(f"governance.dataset {slug}")
    existing = Dataset.objects.filter(slug=slug).first()
    if existing:
        return _same_or_conflict(existing, particulars)
    dataset = Dataset.objects.create(slug=slug, registered_at=at, **particulars)
    event_record(
        event=LineageEvent.DATASET_REGISTERED,
        actor=actor_of(actor),
        subject=Subject("dataset", dataset.id),
        data={"slug": slug, **particulars},
        at=at,
    )
    return dataset


@transaction.atomic
def dataset_version_register(
    *,
    actor: User,
    dataset: Dataset,
    digest: Digest,
    at: datetime,
    format: DataFormat | None = None,  # noqa: A002 - the column's name
    row_count: int | None = None,
    columns: list[str] | None = None,
    handling: Handling | None = None,
) -> DatasetVersion:
    """Register uploaded bytes as the next version of a data set; the same bytes twice are one version.

    Args:
        actor: Who registers.
        dataset: Of what it is a version.
        digest: Of the uploaded bytes.
        at: The moment.
        format: What the bytes are; a table of either format where nothing is said.
        row_count: How many rows the caller expects of a table. Of other data, what the caller says.
        columns: The same of their names.
        handling: What the bytes do not show.

    Raises:
        UnknownArtifactError: No such bytes were uploaded.
        RejectedInputError: The bytes are no table, or not the one that the caller expects; or what is said of
            identifiers contradicts itself or the data set.
        ConflictError: The bytes are registered as a version of another data set.
    """
    handling = handling or Handling()
    handling_require(dataset, handling)
    artifact = _artifact_get(digest)
    content = data_content(artifact_path(artifact), format=format, row_count=row_count, columns=columns)
    name_lock(f"governance.dataset_version {digest}")
    existing = DatasetVersion.objects.filter(artifact=artifact).first()
    if existing:
        # Versions from before tables were counted have no format.
        told = {"row_count": content.row_count, "columns": content.columns}
        stated = {name: value for name, value in handling.columns().items() if value not in ("", None)}
        return _same_or_conflict(existing, {"dataset_id": dataset.id, **told, **stated})
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=_next_number(dataset.versions),
        artifact=artifact,
        format=content.format,
        row_count=content.row_count,
        columns=content.columns,
        schema_digest=content.schema_digest,
        registered_by=actor,
        registered_at=at,
        **handling.columns(),
    )
    event_record(
        event=LineageEvent.DATASET_VERSION_REGISTERED,
        actor=actor_of(actor),
        subject=Subject("dataset_version", version.id, digest),
        data={
            "dataset": dataset.id,
            "slug": dataset.slug,
            "number": version.number,
            **content.to_json(),
            **handling.columns(),
        },
        at=at,
    )
    return version


@transaction.atomic
def run_record(*, actor: User, at: datetime, **particulars: Any) -> Run:  # noqa: ANN401 - the columns of Run
    """Record a training run as its author reports it.

    Raises:
        RejectedInputError: It ended before it began.
    """
    if particulars["finished_at"] < particulars["started_at"]:
        raise RejectedInputError("the run's finished_at is before its started_at")
    run = Run.objects.create(registered_by=actor, registered_at=at, **particulars)
    event_record(
        event=LineageEvent.RUN_RECORDED,
        actor=actor_of(actor),
        subject=Subject("run", run.id),
        data={
            "name": run.name,
            "code_commit": run.code_commit,
            "parameters": run.parameters,
            "started_at": format_time(run.started_at),
            "finished_at": format_time(run.finished_at),
        },
        at=at,
    )
    return run


def _artifact_get(digest: Digest) -> Artifact:
    try:
        return Artifact.objects.get(pk=digest.text)
    except Artifact.DoesNotExist as error:
        raise UnknownArtifactError(
            f"no bytes with digest {digest} were uploaded; PUT them to /api/v1/artifacts first"
        ) from error


def _person_behind(actor: User) -> User:
    """Give the person whose work a service account registers: its owner."""
    return actor.owner if actor.owner is not None else actor


def _next_number(versions: Any) -> int:  # noqa: ANN401 - a related manager of either kind of version
    return (versions.aggregate(last=Max("number"))["last"] or 0) + 1


def _same_or_conflict[Record: Any](existing: Record, wanted: dict[str, Any]) -> Record:
    differing = sorted(name for name, value in wanted.items() if getattr(existing, name) != value)
    if differing:
        raise ConflictError(f"{existing} is already registered with another {', '.join(differing)}")
    return existing
