"""What runs where: what an alias names, what an agent saw, what does not agree, what was taken out of use."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.enums import DiscrepancyKind
from governance.models.decisions import Decision, Deployment
from governance.models.inventory import DIGEST_LENGTH, Model, ModelVersion
from modelnotary.ids import new_id


class AliasBinding(models.Model):
    """An alias of a model that named one version for a time. Only its end is ever written, and that once.

    That an alias names one version at a time is an exclusion constraint of the database.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "alb"), editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="alias_bindings")
    alias = models.SlugField(max_length=80)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="alias_bindings")
    bound_from = models.DateTimeField()
    bound_to = models.DateTimeField(null=True)
    observed_via = models.CharField(max_length=80, help_text="Where it was seen: the API, or a registry's name.")
    bound_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-bound_from",)

    def __str__(self) -> str:
        return f"{self.alias} of {self.model}"


class Retirement(models.Model):
    """That a deployment was taken out of use. Insert-only, one for each deployment."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ret"), editable=False)
    deployment = models.OneToOneField(Deployment, on_delete=models.PROTECT, related_name="retirement")
    reason = models.TextField()
    retired_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    retired_at = models.DateTimeField()

    class Meta:
        ordering = ("-retired_at",)

    def __str__(self) -> str:
        return f"Retirement of {self.deployment}"


class EnvironmentSnapshot(models.Model):
    """Everything that an agent saw running in an environment at a moment. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "snp"), editable=False)
    environment = models.SlugField(max_length=80)
    running = models.JSONField(help_text="All that runs: where, which digest, and of which model where that is known.")
    digest = models.CharField(max_length=DIGEST_LENGTH, help_text="Of the list, as canonical JSON.")
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(help_text="By the agent's clock.")
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("-received_at",)

    def __str__(self) -> str:
        return f"{self.environment} at {self.received_at:%Y-%m-%d %H:%M:%S} UTC"


class Discrepancy(models.Model):
    """Something in a snapshot that does not agree with deployments and decisions. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dsc"), editable=False)
    snapshot = models.ForeignKey(EnvironmentSnapshot, on_delete=models.PROTECT, related_name="discrepancies")
    kind = models.CharField(max_length=20, choices=DiscrepancyKind.choices)
    place = models.CharField(max_length=200, blank=True)
    observed_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.PROTECT, related_name="discrepancies")
    decision = models.ForeignKey(Decision, null=True, on_delete=models.PROTECT, related_name="+")
    detail = models.TextField()

    class Meta:
        ordering = ("-snapshot__received_at", "id")
        verbose_name_plural = "discrepancies"
        constraints = (
            models.UniqueConstraint(
                fields=("snapshot", "kind", "place", "observed_digest", "deployment"),
                nulls_distinct=False,
                name="discrepancy_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} in {self.snapshot.environment}"
