"""Celery: compute assessments."""

from celery import shared_task
from django.utils import timezone

from explain.services import assessment_execute


@shared_task
def assessment_run(job_id: str) -> None:
    """Compute one assessment."""
    assessment_execute(job_id=job_id, clock=timezone.now)
