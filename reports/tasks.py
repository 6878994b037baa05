"""Celery: make documents."""

from celery import shared_task
from django.utils import timezone

from reports.services import bundle_execute, report_execute


@shared_task
def report_make(job_id: str) -> None:
    """Make one report."""
    report_execute(job_id=job_id, clock=timezone.now)


@shared_task
def bundle_make(job_id: str) -> None:
    """Make one evidence bundle."""
    bundle_execute(job_id=job_id, clock=timezone.now)
