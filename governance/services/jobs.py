"""Long work, done exactly once.

The broker may deliver a reminder twice or lose it; a worker may be killed at any point. So the row decides: a worker
takes a job by locking it, shows that it is alive by its heartbeat, and what it made commits in one transaction with the
job's end. Whoever comes later finds the job ended and does nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of, system_actor
from governance.enums import JobState, JobType
from governance.errors import ConflictError
from governance.models import Job, ModelVersion, User
from modelnotary.ledger.event import Subject

ATTEMPTS_LIMIT = 3
_ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@transaction.atomic
def job_create(*, actor: User, kind: JobType, version: ModelVersion, parameters: dict[str, Any], at: datetime) -> Job:
    """Write down that work is wanted. The caller sends the reminder after the commit."""
    job = Job.objects.create(
        type=kind, model_version=version, parameters=parameters, requested_by=actor, created_at=at, heartbeat_at=at
    )
    event_record(
        event=LineageEvent.JOB_REQUESTED,
        actor=actor_of(actor),
        subject=Subject("job", job.id),
        data={"type": kind.value, "model_version": version.id, "parameters": parameters},
        at=at,
    )
    return job


@transaction.atomic
def job_take(*, job_id: str, at: datetime) -> Job | None:
    """Take a job for this worker; None when it has ended or another worker is alive on it."""
    job = (
        Job.objects.select_for_update(of=("self",))
        .select_related("model_version__model", "requested_by")
        .get(pk=job_id)
    )
    alive_since = at - timedelta(seconds=settings.JOB_STALLED_AFTER_SECONDS)
    if job.state in _ENDED or (job.state == JobState.RUNNING and job.heartbeat_at > alive_since):
        return None
    job.state, job.heartbeat_at, job.attempts = JobState.RUNNING, at, job.attempts + 1
    job.save(update_fields=["state", "heartbeat_at", "attempts"])
    if job.attempts > ATTEMPTS_LIMIT:
        detail = f"the worker died {ATTEMPTS_LIMIT} times on this job; look at the worker's log"
        job_fail(job=job, code="worker-lost", detail=detail, at=at)
        return None
    return job


def job_progress(*, job: Job, done: int, total: int, stage: str, at: datetime) -> bool:
    """Show progress and life; False when the job was cancelled or taken by another worker meanwhile."""
    mine = Job.objects.filter(pk=job.pk, state=JobState.RUNNING, attempts=job.attempts)
    return bool(mine.update(done=done, total=total, stage=stage, heartbeat_at=at))


@transaction.atomic
def job_finish(*, job: Job, make: Callable[[], str], at: datetime) -> bool:
    """Make the result and end the job in one transaction; False when somebody else ended it first.

    Args:
        job: The job as taken.
        make: Writes what the job was for, and returns its id.
        at: The moment.
    """
    locked = Job.objects.select_for_update().get(pk=job.pk)
    if locked.state != JobState.RUNNING or locked.attempts != job.attempts:
        return False
    locked.result, locked.state, locked.finished_at = make(), JobState.SUCCEEDED, at
    locked.done = locked.total
    locked.save(update_fields=["result", "state", "finished_at", "done"])
    return True


@transaction.atomic
def job_fail(*, job: Job, code: str, detail: str, at: datetime) -> None:
    """End a job that cannot succeed, with the reason."""
    locked = Job.objects.select_for_update().get(pk=job.pk)
    if locked.state in _ENDED or locked.attempts != job.attempts:
        return
    locked.state, locked.problem, locked.finished_at = JobState.FAILED, {"code": code, "detail": detail}, at
    locked.save(update_fields=["state", "problem", "finished_at"])
    event_record(
        event=LineageEvent.JOB_FAILED,
        actor=system_actor("worker"),
        subject=Subject("job", job.id),
        data={"type": job.type, "code": code},
        at=at,
    )


@transaction.atomic
def job_cancel(*, actor: User, job_id: str, at: datetime) -> Job:
    """Cancel work that is waiting or running.

    Raises:
        ConflictError: It has already ended.
    """
    job = Job.objects.select_for_update().get(pk=job_id)
    if job.state in _ENDED:
        raise ConflictError(f"{job.id} is already {job.get_state_display().lower()}")
    job.state, job.finished_at = JobState.CANCELLED, at
    job.save(update_fields=["state", "finished_at"])
    event_record(
        event=LineageEvent.JOB_CANCELLED,
        actor=actor_of(actor),
        subject=Subject("job", job.id),
        data={"type": job.type},
        at=at,
    )
    return job


def jobs_stalled(*, at: datetime) -> QuerySet[Job]:
    """Give the jobs whose worker died or whose reminder was lost."""
    silent_since = at - timedelta(seconds=settings.JOB_STALLED_AFTER_SECONDS)
    return Job.objects.filter(Q(state=JobState.RUNNING) | Q(state=JobState.QUEUED), heartbeat_at__lte=silent_since)
