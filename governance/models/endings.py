"""How passed decisions end. The verdict is never changed: its ending is a record beside it."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q

from governance.enums import EndingKind
from governance.models.decisions import Decision
from modelnotary.ids import new_id


class RevocationProposal(models.Model):
    """One person's proposal to revoke a decision, which another person may confirm. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "rvp"), editable=False)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="revocation_proposals")
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        ordering = ("-proposed_at",)

    def __str__(self) -> str:
        return f"Proposal to revoke {self.decision_id}"


class DecisionEnding(models.Model):
    """When and why a passed decision stopped counting. Insert-only, one for each decision."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "end"), editable=False)
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="ending")
    kind = models.CharField(max_length=10, choices=EndingKind.choices)
    reason = models.TextField()
    proposal = models.OneToOneField(RevocationProposal, null=True, on_delete=models.PROTECT, related_name="ending")
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    successor = models.ForeignKey(Decision, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(help_text="When it stopped counting.")
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ("-ended_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(kind=EndingKind.EXPIRED, proposal=None, confirmed_by=None, successor=None)
                | Q(kind=EndingKind.SUPERSEDED, proposal=None, confirmed_by=None, successor__isnull=False)
                | Q(kind=EndingKind.REVOKED, proposal__isnull=False, confirmed_by__isnull=False, successor=None),
                name="decision_ending_has_its_cause",
            ),
        )

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.get_kind_display().lower()}"
