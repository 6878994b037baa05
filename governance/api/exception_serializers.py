"""What the API takes and gives about exceptions and overrides."""

from rest_framework import serializers

from governance import models
from governance.api.ending_serializers import PasswordInput
from governance.api.serializers import DigestField
from governance.enums import ExceptionStep, OverrideStep
from governance.policy.reading import SLUG


class ExceptionInput(PasswordInput):
    rule = serializers.CharField(max_length=80)
    digest = DigestField(required=False, help_text="Of the model version; or else `system`.")
    system = serializers.SlugField(max_length=80, required=False)
    environment = serializers.RegexField(SLUG, max_length=80)
    owner = serializers.CharField(max_length=150, help_text="User name of who answers for the risk.")
    reason = serializers.CharField(max_length=4000)
    risk = serializers.CharField(max_length=4000)
    compensating_control = serializers.CharField(max_length=4000)
    expires_at = serializers.DateTimeField()


class ExceptionOutput(serializers.ModelSerializer[models.PolicyException]):
    owner = serializers.CharField(source="owner.printed_name")
    requested_by = serializers.CharField(source="requested_by.printed_name")

    class Meta:
        model = models.PolicyException
        fields = (
            "id",
            "rule",
            "environment",
            "owner",
            "reason",
            "risk",
            "compensating_control",
            "requested_by",
            "requested_at",
            "expires_at",
        )


class ExceptionStepInput(PasswordInput):
    kind = serializers.ChoiceField(choices=ExceptionStep.choices)
    reason = serializers.CharField(max_length=4000)


class ExceptionStepOutput(serializers.ModelSerializer[models.PolicyExceptionStep]):
    kind = serializers.ChoiceField(choices=ExceptionStep.choices)
    by = serializers.CharField(source="by.printed_name")

    class Meta:
        model = models.PolicyExceptionStep
        fields = ("id", "kind", "reason", "by", "at")


class OverrideInput(PasswordInput):
    reason = serializers.CharField(max_length=4000)
    ticket_url = serializers.CharField(max_length=500)
    expires_at = serializers.DateTimeField()
    review_owner = serializers.CharField(max_length=150, help_text="User name of who reviews it afterwards.")
    review_due_at = serializers.DateTimeField()


class OverrideStepInput(PasswordInput):
    kind = serializers.ChoiceField(choices=OverrideStep.choices)
    reason = serializers.CharField(max_length=4000)


class OverrideStepOutput(serializers.ModelSerializer[models.OverrideStepRecord]):
    kind = serializers.ChoiceField(choices=OverrideStep.choices)
    by = serializers.CharField(source="by.printed_name")

    class Meta:
        model = models.OverrideStepRecord
        fields = ("id", "kind", "reason", "by", "at", "statement_digest")
