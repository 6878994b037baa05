"""What the API takes and gives about predictions."""

from typing import Any

from rest_framework import serializers

from governance.api.serializers import DigestField, StrictSerializer
from governance.enums import DecisionStanding, HumanAction, Purpose
from governance.policy.reading import SLUG
from governance.services.prediction_search import SUBJECT_LIMIT
from governance.services.predictions import BATCH_LIMIT

_SUBJECT = "The person, as the source system identifies them. Kept in no column and no entry."


class PredictionInput(StrictSerializer):
    id = serializers.UUIDField(help_text="The sender's own, random; the same twice is recorded once.")
    model_digest = DigestField(help_text="Of the bytes that decided, registered or not.")
    model = serializers.CharField(
        required=False,
        max_length=80,
        help_text="Short name of the model that bytes which are not registered stand for.",
    )
    environment = serializers.RegexField(SLUG, max_length=80)
    at = serializers.DateTimeField(help_text="When it was decided.")
    subject = serializers.CharField(max_length=SUBJECT_LIMIT, trim_whitespace=False, help_text=_SUBJECT)
    input_digest = DigestField(help_text="Of what the model was given. Kept sealed.")
    output = serializers.JSONField(help_text="What it gave. Kept sealed.")


class HumanOverrideInput(StrictSerializer):
    id = serializers.UUIDField(help_text="The sender's own, random; the same twice is recorded once.")
    prediction = serializers.UUIDField(help_text="The sender's own name of the prediction.")
    subject = serializers.CharField(max_length=SUBJECT_LIMIT, trim_whitespace=False, help_text=_SUBJECT)
    action = serializers.ChoiceField(choices=HumanAction.choices)
    reason = serializers.CharField(max_length=4000, help_text="Kept sealed.")
    person = serializers.CharField(max_length=200, help_text="Who did it, as their system names them.")
    person_name = serializers.CharField(max_length=200)
    at = serializers.DateTimeField()
    output = serializers.JSONField(required=False, help_text="What was put in its place, where it was modified.")


class PredictionBatchInput(StrictSerializer):
    predictions = serializers.ListField(child=PredictionInput(), required=False, max_length=BATCH_LIMIT)
    overrides = serializers.ListField(child=HumanOverrideInput(), required=False, max_length=BATCH_LIMIT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Demand that there is something."""
        if not attrs.get("predictions") and not attrs.get("overrides"):
            raise serializers.ValidationError("give predictions, overrides or both")
        return attrs


class PredictionRecordedOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="reference")
    approved = serializers.BooleanField(source="is_approved")
    standing = serializers.ChoiceField(
        choices=DecisionStanding.choices, allow_blank=True, help_text="Of the newest decision then; empty: none."
    )
    decision = serializers.CharField(source="decision_id", allow_null=True)


class PredictionBatchOutput(serializers.Serializer[Any]):
    predictions = PredictionRecordedOutput(many=True)
    unapproved = serializers.IntegerField(help_text="How many of them something decided that was not approved.")


class PredictionQuestion(StrictSerializer):
    subject = serializers.CharField(
        max_length=SUBJECT_LIMIT, trim_whitespace=False, help_text="The person, as the source system identifies them."
    )
    day = serializers.DateField(help_text="In UTC.")
    purpose = serializers.ChoiceField(choices=Purpose.choices)


class InterventionOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="record.reference")
    action = serializers.ChoiceField(source="record.action", choices=HumanAction.choices)
    reason = serializers.CharField()
    output = serializers.JSONField()
    person = serializers.CharField(source="record.person")
    person_name = serializers.CharField(source="record.person_name")
    at = serializers.DateTimeField(source="record.at")


class PredictionOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="record.reference")
    at = serializers.DateTimeField(source="record.at")
    environment = serializers.CharField(source="record.environment")
    approved = serializers.BooleanField(source="record.is_approved")
    warning = serializers.CharField(help_text="What was not in order; empty where it was approved.")
    model_digest = serializers.CharField(source="record.model_digest")
    model_version = serializers.CharField(source="record.model_version_id", allow_null=True)
    name = serializers.SerializerMethodField(help_text="Of the model version; empty where it is not registered.")
    decision = serializers.CharField(source="record.decision_id", allow_null=True)
    standing = serializers.ChoiceField(
        source="record.standing", choices=DecisionStanding.choices, allow_blank=True, help_text="At that moment."
    )
    policy_version = serializers.SerializerMethodField()
    override = serializers.CharField(
        source="record.override_id", allow_null=True, help_text="What allowed it although the decision denied."
    )
    deployment = serializers.CharField(source="record.deployment_id", allow_null=True)
    input_digest = serializers.CharField()
    output = serializers.JSONField()
    overrides = InterventionOutput(source="interventions", many=True)
    batch = serializers.CharField(source="record.batch_id", help_text="Its entry commits to this record.")

    def get_name(self, answer: Any) -> str:  # noqa: ANN401 - an Answer
        """Name of the model version."""
        return str(answer.record.model_version or "")

    def get_policy_version(self, answer: Any) -> str | None:  # noqa: ANN401
        """Id of the policy version that the decision rests on."""
        decision = answer.record.decision
        return decision.policy_version_id if decision else None


class PredictionsOutput(serializers.Serializer[Any]):
    predictions = PredictionOutput(many=True)
