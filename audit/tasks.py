"""Celery: the periodic publication of checkpoints, and telling the chain."""

from celery import shared_task
from django.utils import timezone

from audit.anchoring import anchors_configured, anchors_update
from audit.chain_heads import chain_heads_record


@shared_task(time_limit=600)
def anchors_publish() -> None:
    """Publish the newest checkpoints; what fails is logged, and tried again by the next run."""
    anchors_update(anchors=anchors_configured(), at=timezone.now())


@shared_task(time_limit=600)
def chain_heads_tell() -> None:
    """Append the entries that tell the hash chain where it grew by 10,000 entries."""
    chain_heads_record(at=timezone.now())
