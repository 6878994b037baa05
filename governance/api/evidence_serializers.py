"""What the API takes and gives about evidence."""

from typing import Any

from rest_framework import serializers

from governance import models
from governance.api.serializers import StrictSerializer


class EvidenceInput(StrictSerializer):
    subject = serializers.CharField(
        max_length=100,
        help_text="Digest of the model or data set version that the fact is about, `system:` with the id or short name "
        "of a system, or `organization`.",
    )
    type = serializers.CharField(max_length=40, help_text="One of those that GET /evidence-types lists.")
    payload = serializers.DictField(help_text="As the schema of the type has it.")
    collected_at = serializers.DateTimeField(required=False, help_text="When it was established; left out: now.")
    valid_until = serializers.DateTimeField(required=False, help_text="From then on it does not count.")
    supersedes = serializers.CharField(required=False, max_length=40, help_text="Id of what it takes the place of.")
    reason = serializers.CharField(required=False, max_length=4000, help_text="Why it does.")


class EvidenceBatchInput(StrictSerializer):
    items = serializers.ListField(child=EvidenceInput(), allow_empty=False, max_length=100)


class SupersessionOutput(serializers.ModelSerializer[models.EvidenceSupersession]):
    superseded = serializers.CharField(source="superseded_id")
    successor = serializers.CharField(source="successor_id")
    accepted = serializers.SerializerMethodField()

    class Meta:
        model = models.EvidenceSupersession
        fields = ("id", "superseded", "successor", "reason", "claimed_at", "accepted")

    def get_accepted(self, claim: models.EvidenceSupersession) -> bool:
        """Whether a reviewer accepted it; until then the superseded evidence counts."""
        return hasattr(claim, "acceptance")


class EvidenceOutput(serializers.ModelSerializer[models.Evidence]):
    subject = serializers.CharField(source="subject_digest")
    producer = serializers.CharField(source="producer.printed_name")
    signed_by = serializers.CharField(
        source="statement.key.fingerprint",
        default=None,
        allow_null=True,
        help_text="SHA-256 of the producer's key, where it came signed.",
    )
    unknown_signatures = serializers.SerializerMethodField()
    supersedes = SupersessionOutput(default=None, allow_null=True, read_only=True)
    superseded_by = SupersessionOutput(default=None, allow_null=True, read_only=True)

    class Meta:
        model = models.Evidence
        fields = (
            "id",
            "type",
            "schema_version",
            "about",
            "subject",
            "digest",
            "payload",
            "producer",
            "measured",
            "signed_by",
            "unknown_signatures",
            "collected_at",
            "valid_until",
            "deposited_at",
            "supersedes",
            "superseded_by",
        )

    def get_unknown_signatures(self, evidence: models.Evidence) -> list[str]:
        """What further signatures under the envelope name as their keys. They say nothing."""
        return list(evidence.statement.unknown_keys) if hasattr(evidence, "statement") else []


class EvidenceBatchOutput(serializers.Serializer[Any]):
    items = EvidenceOutput(many=True)
