"""Exceptions to a rule (waivers), and overrides of a denial (break-glass): who asked, who answered, until when."""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual

from governance.enums import ExceptionStep, OverrideStep
from governance.models.decisions import Decision
from governance.models.inventory import DIGEST_LENGTH, AiSystem, ModelVersion
from modelnotary.ids import new_id

EXCEPTION_LIMIT = timedelta(days=180)
OVERRIDE_LIMIT = timedelta(hours=72)
OVERRIDE_REASON_MINIMUM = 30
RULE_LIMIT = 80
TICKET_LIMIT = 500


class PolicyException(models.Model):
    """A request that one rule need not hold, for one model version or system, in one environment, for a time.

    Insert-only. It counts once somebody else accepted the risk.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "exc"), editable=False)
    rule = models.CharField(max_length=RULE_LIMIT, help_text="Id of the rule, as the policy names it.")
    model_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="exceptions")
    system = models.ForeignKey(AiSystem, null=True, on_delete=models.PROTECT, related_name="exceptions")
    environment = models.SlugField(max_length=80)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="Who answers for the risk."
    )
    reason = models.TextField()
    risk = models.TextField(help_text="The risk that is accepted.")
    compensating_control = models.TextField(help_text="What is done instead.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at")) & Q(expires_at__lte=F("requested_at") + EXCEPTION_LIMIT),
                name="exception_ends_within_180_days",
            ),
            models.CheckConstraint(
                condition=Q(model_version=None, system__isnull=False) | Q(model_version__isnull=False, system=None),
                name="exception_is_about_one_thing",
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule} for {self.model_version or self.system} in {self.environment}"


class PolicyExceptionStep(models.Model):
    """What became of such a request. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "exs"), editable=False)
    exception = models.ForeignKey(PolicyException, on_delete=models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=10, choices=ExceptionStep.choices)
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ("at",)
        constraints = (models.UniqueConstraint(fields=("exception", "kind"), name="exception_step_once"),)

    def __str__(self) -> str:
        return f"{self.exception_id}: {self.get_kind_display().lower()}"


class Override(models.Model):
    """A request to use a denied model version all the same, in an emergency. Insert-only.

    It counts once somebody else approved it, for 72 hours at most, and is reviewed afterwards.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ovr"), editable=False)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="overrides")
    reason = models.TextField()
    ticket_url = models.URLField(max_length=TICKET_LIMIT)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    review_owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    review_due_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at")) & Q(expires_at__lte=F("requested_at") + OVERRIDE_LIMIT),
                name="override_ends_within_72_hours",
            ),
            models.CheckConstraint(
                condition=GreaterThanOrEqual(Length("reason"), OVERRIDE_REASON_MINIMUM), name="override_says_why"
            ),
            models.CheckConstraint(condition=Q(ticket_url__startswith="https://"), name="override_names_a_ticket"),
            models.CheckConstraint(
                condition=~Q(review_owner=F("requested_by")), name="override_is_reviewed_by_another"
            ),
            models.CheckConstraint(
                condition=Q(review_due_at__gt=F("requested_at")), name="override_is_reviewed_afterwards"
            ),
        )

    def __str__(self) -> str:
        return f"Override of {self.decision_id}"


class OverrideStepRecord(models.Model):
    """What became of an override. Insert-only; an approval carries the signed statement."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ovs"), editable=False)
    override = models.ForeignKey(Override, on_delete=models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=10, choices=OverrideStep.choices)
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    statement = models.BinaryField(null=True, help_text="The signed DSSE envelope of an approval, exactly as issued.")
    statement_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(fields=("override", "kind"), name="override_step_once"),
            models.CheckConstraint(
                condition=Q(kind=OverrideStep.APPROVED, statement__isnull=False)
                | (~Q(kind=OverrideStep.APPROVED) & Q(statement=None)),
                name="override_approval_is_signed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.override_id}: {self.get_kind_display().lower()}"
