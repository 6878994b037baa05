"""What the API takes and gives about how decisions end."""

from rest_framework import serializers

from governance import models
from governance.api.serializers import StrictSerializer


class PasswordInput(StrictSerializer):
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class RevocationInput(PasswordInput):
    reason = serializers.CharField(max_length=4000)


class RevocationProposalOutput(serializers.ModelSerializer[models.RevocationProposal]):
    decision = serializers.CharField(source="decision_id")
    proposed_by = serializers.CharField(source="proposed_by.printed_name")

    class Meta:
        model = models.RevocationProposal
        fields = ("id", "decision", "reason", "proposed_by", "proposed_at")
