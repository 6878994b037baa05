"""Celery: reminders that there is work, and the periodic rescue of work whose worker died."""

import logging

from celery import current_app, shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from governance.enums import JobState, JobType
from governance.models import Job
from governance.services.endings import decisions_expire
from governance.services.findings import findings_escalate
from governance.services.jobs import jobs_stalled
from governance.services.watch import findings_watch

logger = logging.getLogger(__name__)

# By name, because the apps that do the work stand above this one.
_TASKS = {
    JobType.EXPLANATION: "explain.tasks.assessment_run",
    JobType.BIAS: "explain.tasks.assessment_run",
    JobType.REPORT: "reports.tasks.report_make",
    JobType.BUNDLE: "reports.tasks.bundle_make",
}


def job_remind(job: Job) -> None:
    """Tell the workers that a job waits.

    A lost reminder is sent again by the rescue, so a dead broker loses nothing.
    """
    try:
        current_app.send_task(_TASKS[JobType(job.type)], [job.id], retry=False)
    except OperationalError:
        logger.warning("broker not reached; %s will be picked up later", job.id)


@shared_task(time_limit=30)
def jobs_rescue() -> None:
    """Send reminders again for jobs whose worker died or whose reminder was lost."""
    now = timezone.now()
    for job in jobs_stalled(at=now):
        if job.state == JobState.QUEUED:
            # Wait as long again before the next reminder, so that a busy queue is not flooded.
            Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(heartbeat_at=now)
        job_remind(job)


@shared_task(time_limit=300)
def decisions_run_out() -> None:
    """Write to the ledger which decisions ran out. The gate itself goes by the clock and waits for nobody."""
    if recorded := decisions_expire(at=timezone.now()):
        logger.info("%d decisions ran out", recorded)


@shared_task(time_limit=300)
def findings_look() -> None:
    """Open findings for what the product notices, and tell of those that are late."""
    now = timezone.now()
    opened, escalated = findings_watch(at=now), findings_escalate(at=now)
    if opened or escalated:
        logger.info("%d findings opened, %d escalated", opened, escalated)
