"""What the API takes and gives about evidence."""

from typing import Any

from rest_framework import serializers

from governance import models
from governance.api.serializers import DigestField, StrictSerializer
from governance.evidence.registry import About
from governance.policy.facts import FactType


class FactOutput(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As rules write it.")
    type = serializers.ChoiceField(choices=[kind.value for kind in FactType])


class EvidenceTypeRowOutput(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    about = serializers.ChoiceField(choices=[about.value for about in About], help_text="What it is bound to.")
    fresh_days = serializers.IntegerField(help_text="For how many days after it was collected it counts.")
    schema_version = serializers.IntegerField()
    facts = FactOutput(many=True, help_text="What rules may read.")


class EvidenceTypesOutput(serializers.Serializer[Any]):
    types = EvidenceTypeRowOutput(many=True)


class EvidenceTypeOutput(EvidenceTypeRowOutput):
    schema = serializers.DictField(help_text="JSON Schema (draft 2020-12) of the payload.")


class EvidenceInput(StrictSerializer):
    subject = DigestField(help_text="Digest of the model version that the fact is about.")
    type = serializers.CharField(max_length=40, help_text="One of those that GET /evidence-types lists.")
    payload = serializers.DictField(help_text="As the schema of the type has it.")


class EvidenceOutput(serializers.ModelSerializer[models.Evidence]):
    subject = serializers.CharField(source="subject_digest")
    producer = serializers.CharField(source="producer.printed_name")

    class Meta:
        model = models.Evidence
        fields = ("id", "type", "subject", "digest", "payload", "producer", "measured", "deposited_at")
