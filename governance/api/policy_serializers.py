"""What the API takes and gives about policies."""

from typing import Any

from rest_framework import serializers

from governance.api.serializers import StrictSerializer
from governance.models import PolicyDraft, PolicyVersion
from governance.policy.document import DOCUMENT_LIMIT


class PolicyInput(StrictSerializer):
    document = serializers.CharField(max_length=DOCUMENT_LIMIT, trim_whitespace=False, help_text="The policy as YAML.")


class PublicationInput(StrictSerializer):
    password = serializers.CharField(trim_whitespace=False, write_only=True, help_text="Given afresh; never stored.")


class WithdrawalInput(StrictSerializer):
    reason = serializers.CharField(
        max_length=4000, help_text="Why it is not to be published, in 20 characters or more."
    )


class PolicyDraftOutput(serializers.ModelSerializer[PolicyDraft]):
    policy = serializers.SlugField(source="slug")
    drafted_by = serializers.CharField(source="drafted_by.printed_name")
    state = serializers.ChoiceField(choices=("open", "published", "withdrawn"))
    version = serializers.CharField(source="version.id", default=None, allow_null=True)

    class Meta:
        model = PolicyDraft
        fields = ("id", "policy", "digest", "drafted_by", "drafted_at", "state", "version", "document")


class PolicyVersionOutput(serializers.ModelSerializer[PolicyVersion]):
    policy = serializers.SlugField(source="policy.slug")
    environment = serializers.SlugField(source="policy.environment")
    draft = serializers.CharField(source="draft_id", allow_null=True)
    published_by = serializers.CharField(source="published_by.printed_name")

    class Meta:
        model = PolicyVersion
        fields = ("id", "policy", "environment", "number", "digest", "draft", "published_by", "published_at")


class DiagnosticOutput(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer; empty for the whole document.")
    message = serializers.CharField()
    line = serializers.IntegerField(help_text="From 1; 0 when nothing is there to point at.")
    column = serializers.IntegerField()
    excerpt = serializers.CharField(help_text="The line with a caret below the column.")


class PolicyCheckOutput(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    diagnostics = DiagnosticOutput(many=True)
