"""What the API takes and gives."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance import models
from governance.enums import (
    DecisionStanding,
    DecisionState,
    EndingKind,
    JobState,
    JobType,
    Purpose,
    Role,
    Vote,
)
from governance.policy.reading import SLUG
from governance.selectors.gate import decision_standing
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import DigestError


class DigestField(serializers.CharField):
    """`sha256:` and 64 lowercase hexadecimal digits."""

    def to_internal_value(self, data: Any) -> Digest:  # type: ignore[override]  # noqa: ANN401 - a parsed value
        """Parse the text."""
        try:
            return Digest.from_text(super().to_internal_value(data))
        except DigestError as error:
            raise serializers.ValidationError(str(error)) from error


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt one must not be silently ignored."""

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401 - DRF's signature
        """Parse, after checking the names."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(sorted(self.fields))
            raise serializers.ValidationError({name: [f"unknown field; known: {known}"] for name in unknown})
        return super().to_internal_value(data)


class GateQuestion(StrictSerializer):
    digest = DigestField()
    environment = serializers.RegexField(SLUG, max_length=80)


class RuleResultOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    outcome = serializers.CharField()
    reason_code = serializers.CharField()
    observed = serializers.JSONField()
    expected = serializers.CharField()
    message = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())
    remediation = serializers.CharField()


class DecisionEndingOutput(serializers.ModelSerializer[models.DecisionEnding]):
    kind = serializers.ChoiceField(choices=EndingKind.choices)
    proposed_by = serializers.CharField(source="proposal.proposed_by.printed_name", default=None, allow_null=True)
    confirmed_by = serializers.CharField(source="confirmed_by.printed_name", default=None, allow_null=True)
    successor = serializers.CharField(source="successor_id", allow_null=True)

    class Meta:
        model = models.DecisionEnding
        fields = ("kind", "reason", "ended_at", "proposed_by", "confirmed_by", "successor")


class DecisionOutput(serializers.ModelSerializer[models.Decision]):
    state = serializers.SerializerMethodField(help_text="The verdict, or how a passed decision ended.")
    verdict = serializers.ChoiceField(source="state", choices=DecisionState.choices)
    ending = DecisionEndingOutput(default=None, allow_null=True)
    supersedes = serializers.CharField(source="supersedes_id", allow_null=True)
    subject = serializers.SerializerMethodField()
    policy_version = serializers.CharField(source="policy_version_id", allow_null=True)
    rules = RuleResultOutput(many=True)
    approval_request = serializers.SerializerMethodField()
    attestation_digest = serializers.CharField()

    class Meta:
        model = models.Decision
        fields = (
            "id",
            "state",
            "verdict",
            "ending",
            "supersedes",
            "subject",
            "environment",
            "policy_version",
            "evidence_set_digest",
            "context_digest",
            "engine",
            "rules",
            "approval_request",
            "evaluated_at",
            "decided_at",
            "expires_at",
            "attestation_digest",
        )

    @extend_schema_field(serializers.ChoiceField(choices=DecisionStanding.choices))
    def get_state(self, decision: models.Decision) -> str:
        """What the decision is worth now."""
        return decision_standing(decision, at=timezone.now()).value

    def get_subject(self, decision: models.Decision) -> dict[str, str]:
        """Name and digest of the model version."""
        return {"name": str(decision.model_version), "digest": decision.model_version.digest}

    def get_approval_request(self, decision: models.Decision) -> str | None:
        """Id of the request that waits for signatures."""
        request = models.ApprovalRequest.objects.filter(decision=decision).first()
        return request.id if request else None


class OverrideOutput(serializers.ModelSerializer[models.Override]):
    decision = serializers.CharField(source="decision_id")
    requested_by = serializers.CharField(source="requested_by.printed_name")
    review_owner = serializers.CharField(source="review_owner.printed_name")

    class Meta:
        model = models.Override
        fields = (
            "id",
            "decision",
            "reason",
            "ticket_url",
            "requested_by",
            "requested_at",
            "expires_at",
            "review_owner",
            "review_due_at",
        )


class AssertionOutput(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()
    reason_code = serializers.CharField()
    message = serializers.CharField()
    decision = serializers.CharField(source="decision.id", default=None, allow_null=True)
    expires_at = serializers.DateTimeField(source="decision.expires_at", default=None, allow_null=True)
    override = OverrideOutput(default=None, allow_null=True, help_text="What allows it although the decision denies.")


class VoteInput(StrictSerializer):
    vote = serializers.ChoiceField(choices=Vote.choices)
    role = serializers.ChoiceField(choices=Role.choices)
    reason = serializers.CharField(max_length=4000)
    evidence_set_digest = DigestField()
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)
    code = serializers.CharField(write_only=True, max_length=20, help_text="Of the person's authenticator app.")


class AuthenticatorInput(StrictSerializer):
    name = serializers.CharField(max_length=100, help_text="The device, for instance: work phone.")
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class CodeInput(StrictSerializer):
    code = serializers.CharField(write_only=True, max_length=20)


class AuthenticatorOutput(serializers.ModelSerializer[models.Authenticator]):
    class Meta:
        model = models.Authenticator
        fields = ("id", "name", "requested_at", "enrolled_at", "revoked_at")


class AuthenticatorSecretOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    secret = serializers.CharField(help_text="Base 32; SHA-1, 6 digits, 30 seconds (RFC 6238).")
    uri = serializers.CharField(help_text="What a QR code for an app holds.")


class SignatureOutput(serializers.ModelSerializer[models.Signature]):
    class Meta:
        model = models.Signature
        fields = (
            "id",
            "printed_name",
            "role",
            "vote",
            "meaning",
            "reason",
            "method",
            "statement_digest",
            "signed_at",
        )


class ApprovalRequestOutput(serializers.ModelSerializer[models.ApprovalRequest]):
    decision = DecisionOutput()
    signatures = SignatureOutput(many=True)
    roles = serializers.ListField(child=serializers.CharField())
    at_least = serializers.DictField(child=serializers.IntegerField())

    class Meta:
        model = models.ApprovalRequest
        fields = ("id", "state", "quorum", "roles", "at_least", "decision", "signatures", "opened_at", "closed_at")


class DeploymentOutput(serializers.ModelSerializer[models.Deployment]):
    decision = serializers.CharField(source="decision_id")

    class Meta:
        model = models.Deployment
        fields = ("id", "environment", "decision", "deployed_at")


class JobProgressOutput(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    stage = serializers.CharField()


class JobOutput(serializers.ModelSerializer[models.Job]):
    type = serializers.ChoiceField(choices=JobType.choices)
    state = serializers.ChoiceField(choices=JobState.choices)
    progress = JobProgressOutput(source="*")
    problem = serializers.DictField(allow_null=True)

    class Meta:
        model = models.Job
        fields = ("id", "type", "state", "progress", "result", "problem", "attempts", "created_at", "finished_at")


class AccessInput(StrictSerializer):
    event = serializers.ChoiceField(choices=(("prediction.read", "Prediction"), ("phi.read", "Health information")))
    at = serializers.DateTimeField()
    person = serializers.CharField(max_length=200)
    person_name = serializers.CharField(max_length=200)
    patient = serializers.CharField(max_length=200, help_text="Kept out of the ledger, which commits to it.")
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    resource = serializers.CharField(max_length=200)


class AccessBatchInput(StrictSerializer):
    model = DigestField()
    accesses = serializers.ListField(child=AccessInput(), allow_empty=False, max_length=500)


class AccessBatchOutput(serializers.Serializer[Any]):
    events = serializers.ListField(child=serializers.CharField())


class EntryProofOutput(serializers.Serializer[Any]):
    log = serializers.CharField()
    origin = serializers.CharField()
    index = serializers.IntegerField()
    leaf = serializers.CharField(help_text="The entry's bytes, base64.")
    proof = serializers.CharField(help_text="c2sp.org/tlog-proof text with the signed checkpoint.")


class LogOutput(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="What its addresses carry.")
    log_class = serializers.CharField(help_text="What it is for: lineage or access.")
    origin = serializers.CharField()
    state = serializers.CharField(help_text="active, frozen or sealed; of a class, one at most is active.")
    state_reason = serializers.CharField(allow_null=True)
    predecessor = serializers.CharField(allow_null=True, help_text="The log that it follows since a restore.")


class LogsOutput(serializers.Serializer[Any]):
    logs = LogOutput(many=True)


class CheckpointOutput(serializers.Serializer[Any]):
    log = serializers.CharField()
    origin = serializers.CharField()
    size = serializers.IntegerField()
    note = serializers.CharField(help_text="The signed note, verbatim.")


class ConsistencyQuestion(StrictSerializer):
    old_size = serializers.IntegerField(min_value=1)
    new_size = serializers.IntegerField(min_value=1)


class ConsistencyOutput(serializers.Serializer[Any]):
    path = serializers.ListField(child=serializers.CharField(), help_text="Hashes, base64, lowest first.")


class WhoamiOutput(serializers.Serializer[Any]):
    user = serializers.CharField()
    name = serializers.CharField()
    service = serializers.BooleanField()
    roles = serializers.ListField(child=serializers.CharField())
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()


class ProblemOutput(serializers.Serializer[Any]):
    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    trace_id = serializers.CharField()
    errors = serializers.ListField(  # type: ignore[assignment]  # a field of this name, not the property
        child=serializers.DictField(), required=False
    )
