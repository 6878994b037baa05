"""Celery: the periodic publication of checkpoints."""

from celery import shared_task
from django.utils import timezone

from audit.anchoring import anchors_configured, anchors_update


@shared_task(time_limit=600)
def anchors_publish() -> None:
    """Publish the newest checkpoints; what fails is logged, and tried again by the next run."""
    anchors_update(anchors=anchors_configured(), at=timezone.now())
