"""Long work. The row is the truth; the broker only carries the reminder that there is something to do."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.enums import JobState, JobType
from governance.models.inventory import ModelVersion
from modelnotary.ids import new_id


class Job(models.Model):
    """A piece of work done once by a worker, however often it is started."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "job"), editable=False)
    type = models.CharField(max_length=20, choices=JobType.choices)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="jobs")
    parameters = models.JSONField()
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    stage = models.CharField(max_length=100, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    result = models.CharField(max_length=40, blank=True, help_text="Id of what the job made.")
    problem = models.JSONField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("state", "heartbeat_at")),)

    def __str__(self) -> str:
        return f"{self.get_type_display()} of {self.model_version}: {self.get_state_display()}"
