"""What the API takes and gives about findings."""

from typing import Any

from rest_framework import serializers

from governance.api.ending_serializers import PasswordInput
from governance.api.serializers import StrictSerializer
from governance.enums import FindingKind, FindingState, Severity, SubjectKind
from governance.models import Finding, FindingEvent


class FindingInput(PasswordInput):
    kind = serializers.ChoiceField(choices=FindingKind.choices)
    severity = serializers.ChoiceField(choices=Severity.choices)
    title = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=4000)
    remediation = serializers.CharField(max_length=4000)
    subject_kind = serializers.ChoiceField(choices=SubjectKind.choices)
    subject_id = serializers.CharField(max_length=40)
    owner = serializers.CharField(max_length=150, help_text="User name of who has to see to it.")
    escalates_to = serializers.CharField(max_length=150, help_text="User name of who is told when it is late.")
    due_at = serializers.DateTimeField()


class FindingEventInput(PasswordInput):
    state = serializers.ChoiceField(choices=FindingState.choices)
    note = serializers.CharField(max_length=4000)


class FindingQuestion(StrictSerializer):
    state = serializers.ChoiceField(choices=FindingState.choices, required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    subject_id = serializers.CharField(max_length=40, required=False, help_text="Of what it is about.")
    system = serializers.SlugField(max_length=80, required=False)
    before = serializers.CharField(max_length=40, required=False, help_text="Id of the last finding before.")


class FindingEventOutput(serializers.ModelSerializer[FindingEvent]):
    state = serializers.ChoiceField(choices=FindingState.choices)
    by = serializers.CharField(source="by.printed_name")

    class Meta:
        model = FindingEvent
        fields = ("number", "state", "note", "by", "at")


class FindingOutput(serializers.ModelSerializer[Finding]):
    kind = serializers.ChoiceField(choices=FindingKind.choices)
    state = serializers.ChoiceField(choices=FindingState.choices)
    system = serializers.SlugField(source="system.slug")
    owner = serializers.CharField(source="owner.printed_name")
    escalates_to = serializers.CharField(source="escalates_to.printed_name")
    opened_by = serializers.CharField(
        source="opened_by.printed_name", default=None, allow_null=True, help_text="Null when the product noticed it."
    )
    events = FindingEventOutput(many=True)

    class Meta:
        model = Finding
        fields = (
            "id",
            "kind",
            "severity",
            "state",
            "title",
            "description",
            "remediation",
            "subject_kind",
            "subject_id",
            "system",
            "owner",
            "escalates_to",
            "due_at",
            "opened_by",
            "opened_at",
            "events",
        )


class FindingsOutput(serializers.Serializer[Any]):
    findings = FindingOutput(many=True)
