"""Assessments: computed by a worker, deposited as evidence."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from explain.isolation import Assessment, run_isolated
from governance.actors import system_actor
from governance.enums import EvidenceType, JobType, LineageKind, LineageRole, Trust
from governance.errors import RejectedInputError
from governance.models import DatasetVersion, Job, ModelVersion, User
from governance.services.evidence import Deposit, evidence_deposit
from governance.services.inventory import artifact_path
from governance.services.jobs import job_create
from governance.services.lineage import lineage_record
from governance.services.work import Clock, Progress, job_execute

_ASSESSMENTS: dict[JobType, Assessment] = {JobType.EXPLANATION: "explanation", JobType.BIAS: "bias"}


def assessment_request(
    *,
    actor: User,
    kind: JobType,
    version: ModelVersion,
    dataset: DatasetVersion,
    parameters: dict[str, Any],
    at: datetime,
) -> Job:
    """Write down that an assessment is wanted, at the encoding and threshold registered with the model version.

    Raises:
        RejectedInputError: The request names another encoding or threshold: it would assess a model that nobody uses.
    """
    own = {name: version.parameters[name] for name in ("encoding", "threshold") if name in version.parameters}
    for name in sorted(own.keys() & parameters.keys()):
        if parameters[name] != own[name]:
            raise RejectedInputError(f"/parameters/{name}: {version} was registered with {own[name]!r}; leave it out")
    wanted = {"dataset_version": dataset.id, "parameters": own | parameters}
    return job_create(actor=actor, kind=kind, version=version, parameters=wanted, at=at)


def assessment_execute(*, job_id: str, clock: Clock) -> None:
    """Compute an assessment and deposit it as evidence, exactly once."""
    job_execute(job_id=job_id, work=lambda job, progress: _assess(job, progress, clock), clock=clock)


def _assess(job: Job, progress: Progress, clock: Clock) -> Callable[[], str]:
    dataset = DatasetVersion.objects.get(pk=job.parameters["dataset_version"])
    version = job.model_version
    progress(0, 1, "hashing the model and the data again")
    model_path, table_path = artifact_path(version.artifact), artifact_path(dataset.artifact)
    wanted = job.parameters["parameters"]
    measured = run_isolated(_ASSESSMENTS[JobType(job.type)], model_path, table_path, wanted, progress=progress)
    payload = measured | {"model_digest": version.digest, "dataset_digest": dataset.digest}

    def make() -> str:
        now = clock()
        evidence = evidence_deposit(
            producer=job.requested_by,
            subject=version,
            deposit=Deposit(kind=EvidenceType(job.type).value, payload=payload),
            measured=True,
            at=now,
            actor=system_actor("worker"),
        )
        lineage_record(
            actor=job.requested_by,
            source=(LineageKind.DATASET_VERSION, dataset.id),
            target=(LineageKind.MODEL_VERSION, version.id),
            role=LineageRole.EVALUATED_ON,
            trust=Trust.MEASURED,
            at=now,
        )
        return evidence.id

    return make
