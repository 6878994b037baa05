"""Celery: the periodic publication of checkpoints."""

from celery import shared_task

from audit.anchoring import anchors_configured, checkpoints_publish


@shared_task(time_limit=600)
def anchors_publish() -> None:
    """Publish the newest checkpoints; what fails is logged, and tried again by the next run."""
    checkpoints_publish(anchors=anchors_configured())
