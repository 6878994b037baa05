"""What the API takes and gives of aliases, retirements and what runs in environments."""

from rest_framework import serializers

from governance import models
from governance.api.serializers import DigestField, StrictSerializer


class AliasQuestion(StrictSerializer):
    as_of = serializers.DateTimeField(required=False, help_text="The moment; now when left out.")
    history = serializers.BooleanField(required=False, default=False, help_text="All bindings that ever were.")


class AliasInput(StrictSerializer):
    alias = serializers.SlugField(max_length=80)
    digest = DigestField(help_text="Of the version that it names from now on.")


class AliasBindingOutput(serializers.ModelSerializer[models.AliasBinding]):
    model_version = serializers.CharField(source="model_version_id")
    digest = serializers.CharField(source="model_version.digest")
    bound_by = serializers.CharField(source="bound_by.printed_name")

    class Meta:
        model = models.AliasBinding
        fields = ("id", "alias", "model_version", "digest", "bound_from", "bound_to", "bound_by", "observed_via")


class RetirementInput(StrictSerializer):
    reason = serializers.CharField(max_length=4000)


class RetirementOutput(serializers.ModelSerializer[models.Retirement]):
    deployment = serializers.CharField(source="deployment_id")

    class Meta:
        model = models.Retirement
        fields = ("id", "deployment", "reason", "retired_at")


class RunningInput(StrictSerializer):
    place = serializers.CharField(max_length=200, help_text="Where: a service, a pod, a host. Once in a snapshot.")
    digest = DigestField(help_text="Of the bytes that are loaded there.")
    model = serializers.SlugField(
        max_length=80, required=False, default="", help_text="Short name of the model that the place is meant to serve."
    )


class SnapshotInput(StrictSerializer):
    taken_at = serializers.DateTimeField()
    running = serializers.ListField(
        child=RunningInput(), max_length=5_000, help_text="All that runs. What is not in the list is not running."
    )


class DiscrepancyOutput(serializers.ModelSerializer[models.Discrepancy]):
    deployment = serializers.CharField(source="deployment_id", allow_null=True)
    decision = serializers.CharField(source="decision_id", allow_null=True)

    class Meta:
        model = models.Discrepancy
        fields = ("id", "kind", "place", "observed_digest", "deployment", "decision", "detail")


class SnapshotOutput(serializers.ModelSerializer[models.EnvironmentSnapshot]):
    discrepancies = DiscrepancyOutput(many=True)

    class Meta:
        model = models.EnvironmentSnapshot
        fields = ("id", "environment", "digest", "running", "taken_at", "received_at", "discrepancies")
