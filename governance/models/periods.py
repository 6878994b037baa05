"""Periodic attestation: who signs off what a system looked like, for each period. Sign-offs are permanent."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from governance.enums import AttestationStep
from governance.models.inventory import DIGEST_LENGTH, AiSystem
from modelnotary.ids import new_id


class AttestationPeriod(models.Model):
    """A period for which a system has to be attested, by three named people. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "atp"), editable=False)
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="attestation_periods")
    starts_on = models.DateField()
    ends_on = models.DateField()
    due_at = models.DateTimeField()
    submitter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()

    class Meta:
        ordering = ("-starts_on",)
        constraints = (
            models.UniqueConstraint(fields=("system", "starts_on"), name="attestation_period_once"),
            models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="attestation_period_has_days"),
            models.CheckConstraint(
                condition=~Q(submitter=F("reviewer")) & ~Q(submitter=F("approver")) & ~Q(reviewer=F("approver")),
                name="attestation_by_three_people",
            ),
        )

    def __str__(self) -> str:
        return f"{self.system}, {self.starts_on} to {self.ends_on}"


class AttestationSignOff(models.Model):
    """One person's sign-off under what was submitted. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ats"), editable=False)
    period = models.ForeignKey(AttestationPeriod, on_delete=models.PROTECT, related_name="sign_offs")
    kind = models.CharField(max_length=10, choices=AttestationStep.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=200)
    reason = models.TextField()
    content = models.BinaryField(null=True, help_text="What was submitted: canonical JSON, exactly as hashed.")
    content_digest = models.CharField(max_length=DIGEST_LENGTH)
    statement = models.BinaryField(help_text="Canonical JSON of what this person signed.")
    statement_digest = models.CharField(max_length=DIGEST_LENGTH)
    at = models.DateTimeField()

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(fields=("period", "kind"), name="attestation_signed_off_once"),
            models.CheckConstraint(
                condition=Q(kind=AttestationStep.SUBMITTED, content__isnull=False)
                | (~Q(kind=AttestationStep.SUBMITTED) & Q(content=None)),
                name="attestation_content_is_submitted",
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}: {self.get_kind_display().lower()}"
