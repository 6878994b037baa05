"""What the API takes and gives about types of evidence."""

from typing import Any

from rest_framework import serializers

from governance import models
from governance.api.serializers import StrictSerializer
from governance.models.evidence import ABOUT
from governance.policy.facts import FactType


class FactOutput(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As rules write it.")
    type = serializers.ChoiceField(choices=[kind.value for kind in FactType])


class EvidenceTypeRowOutput(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    about = serializers.ChoiceField(choices=ABOUT, help_text="What it is bound to.")
    fresh_days = serializers.IntegerField(help_text="For how many days after it was collected it counts.")
    schema_version = serializers.IntegerField()
    taken = serializers.BooleanField(help_text="Whether evidence of it can be deposited; not of a retired type.")
    facts = FactOutput(many=True, help_text="What rules may read.")


class EvidenceTypesOutput(serializers.Serializer[Any]):
    types = EvidenceTypeRowOutput(many=True)


class EvidenceTypeOutput(EvidenceTypeRowOutput):
    schema = serializers.DictField(help_text="JSON Schema (draft 2020-12) of the payload.")


class EvidenceTypeInput(StrictSerializer):
    name = serializers.CharField(max_length=40, help_text="`x_`, then lowercase letters, digits and underscores.")
    title = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=2000)
    about = serializers.ChoiceField(choices=ABOUT, help_text="What it is bound to.")
    fresh_days = serializers.IntegerField(help_text="For how many days after it was collected it counts.")
    schema = serializers.DictField(help_text="JSON Schema of the payload, closed and bounded.")
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class EvidenceTypeStepInput(StrictSerializer):
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class EvidenceTypeRetirementInput(StrictSerializer):
    reason = serializers.CharField(max_length=4000)
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class EvidenceTypeDraftOutput(serializers.ModelSerializer[models.EvidenceTypeDraft]):
    drafted_by = serializers.CharField(source="drafted_by.printed_name")

    class Meta:
        model = models.EvidenceTypeDraft
        fields = ("id", "name", "number", "digest", "drafted_by", "drafted_at")


class EvidenceTypeVersionOutput(serializers.ModelSerializer[models.EvidenceTypeVersion]):
    published_by = serializers.CharField(source="published_by.printed_name")

    class Meta:
        model = models.EvidenceTypeVersion
        fields = ("id", "name", "number", "digest", "published_by", "published_at")


class EvidenceTypeRetirementOutput(serializers.ModelSerializer[models.EvidenceTypeRetirement]):
    class Meta:
        model = models.EvidenceTypeRetirement
        fields = ("id", "name", "reason", "retired_at")
