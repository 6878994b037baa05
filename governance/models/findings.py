"""Findings: what is wrong or limited, who has to see to it until when, and what was done about it."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from governance.enums import FindingKind, FindingState, Severity, SubjectKind
from governance.models.inventory import AiSystem, ModelVersion
from modelnotary.ids import new_id


class Finding(models.Model):
    """One finding. Insert-only: what became of it stands in its events."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "fnd"), editable=False)
    kind = models.CharField(max_length=20, choices=FindingKind.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    description = models.TextField()
    remediation = models.TextField(help_text="What has to be done.")
    subject_kind = models.CharField(max_length=20, choices=SubjectKind.choices)
    subject_id = models.CharField(max_length=40)
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="findings")
    model_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="findings")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="Who has to see to it."
    )
    escalates_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="Who is told when it is late."
    )
    due_at = models.DateTimeField()
    cause = models.CharField(  # noqa: DJ001 - many findings have none, and those that have one differ
        max_length=120, null=True, unique=True, help_text="What the product noticed; one finding for each."
    )
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()

    class Meta:
        ordering = ("-opened_at",)
        indexes = (models.Index(fields=("subject_id",)), models.Index(fields=("due_at",)))
        constraints = (
            models.CheckConstraint(
                condition=Q(cause=None, opened_by__isnull=False) | Q(cause__isnull=False, opened_by=None),
                name="finding_is_opened_by_a_person_or_has_a_cause",
            ),
            models.CheckConstraint(condition=Q(due_at__gt=F("opened_at")), name="finding_is_due_later"),
        )

    def __str__(self) -> str:
        return self.title


class FindingEvent(models.Model):
    """One step of a finding, by a person. Insert-only; the last one tells its state."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "fne"), editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="events")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=20, choices=FindingState.choices)
    note = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("finding", "number"), name="finding_event_number_once"),)

    def __str__(self) -> str:
        return f"{self.finding_id}: {self.get_state_display().lower()}"


class FindingEscalation(models.Model):
    """That somebody was told of a late finding, once for each level. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "fnx"), editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="escalations")
    level = models.PositiveSmallIntegerField()
    to = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ("level",)
        constraints = (models.UniqueConstraint(fields=("finding", "level"), name="finding_escalated_once_a_level"),)

    def __str__(self) -> str:
        return f"{self.finding_id}: level {self.level}"
