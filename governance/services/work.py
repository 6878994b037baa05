"""Doing a job: heartbeat, progress, cancellation, and one end."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import connection

from governance.models import Job
from governance.services.jobs import job_fail, job_finish, job_progress, job_take
from modelnotary.errors import ModelNotaryError

logger = logging.getLogger(__name__)

type Clock = Callable[[], datetime]
type Progress = Callable[[int, int, str], None]
type Work = Callable[[Job, Progress], Callable[[], str]]
"""Computes outside any transaction, and returns what writes the result inside one and gives its id."""


class JobStoppedError(ModelNotaryError):
    """The job was cancelled, or another worker has taken it over."""

    code = "job-stopped"


def job_execute(*, job_id: str, work: Work, clock: Clock) -> None:
    """Do a job unless it is done, being done, or cancelled.

    1. Take the job; another reminder for it now finds it taken.
    2. Compute, with a heartbeat beside it.
    3. Write the result and the job's end in one transaction.
    An error that the product knows ends the job with its code; any other ends it as an internal error and is raised.
    """
    job = job_take(job_id=job_id, at=clock())  # 1
    if job is None:
        return

    def progress(done: int, total: int, stage: str) -> None:
        if not job_progress(job=job, done=done, total=total, stage=stage, at=clock()):
            raise JobStoppedError(f"{job.id} was cancelled or taken over")

    try:
        with _heartbeat(job, clock):
            make = work(job, progress)  # 2
        job_finish(job=job, make=make, at=clock())  # 3
    except JobStoppedError:
        logger.info("%s stopped", job.id)
    except ModelNotaryError as error:
        job_fail(job=job, code=error.code, detail=str(error), at=clock())
    except Exception:
        job_fail(job=job, code="internal-error", detail="a fault of the worker; see its log", at=clock())
        raise


@contextmanager
def _heartbeat(job: Job, clock: Clock) -> Iterator[None]:
    """Show life while a long computation says nothing of its progress."""
    stop = threading.Event()

    def beat() -> None:
        try:
            while not stop.wait(settings.JOB_HEARTBEAT_SECONDS):
                Job.objects.filter(pk=job.pk, attempts=job.attempts).update(heartbeat_at=clock())
        finally:
            connection.close()  # this thread's own

    thread = threading.Thread(target=beat, name=f"heartbeat {job.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
