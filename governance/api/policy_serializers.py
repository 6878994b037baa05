"""What the API takes and gives about policies."""

from typing import Any

from rest_framework import serializers

from governance.api.serializers import StrictSerializer
from governance.enums import AttachmentKind, DraftState
from governance.models import AttachmentProposal, PolicyAttachment, PolicyDraft, PolicyVersion
from governance.policy.document import DOCUMENT_LIMIT
from governance.policy.reading import SLUG
from governance.policy.simulation import Effect
from governance.services.simulation import DECISIONS, DECISIONS_LIMIT


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
    state = serializers.ChoiceField(choices=DraftState.choices)
    version = serializers.CharField(source="version.id", default=None, allow_null=True)

    class Meta:
        model = PolicyDraft
        fields = ("id", "policy", "digest", "drafted_by", "drafted_at", "state", "version", "document")


class PolicyVersionOutput(serializers.ModelSerializer[PolicyVersion]):
    policy = serializers.SlugField(source="policy.slug")
    draft = serializers.CharField(source="draft_id", allow_null=True)
    published_by = serializers.CharField(source="published_by.printed_name")

    class Meta:
        model = PolicyVersion
        fields = ("id", "policy", "number", "digest", "draft", "published_by", "published_at")


class DiagnosticOutput(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer; empty for the whole document.")
    message = serializers.CharField()
    line = serializers.IntegerField(help_text="From 1; 0 when nothing is there to point at.")
    column = serializers.IntegerField()
    excerpt = serializers.CharField(help_text="The line with a caret below the column.")


class PolicyCheckOutput(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    diagnostics = DiagnosticOutput(many=True)


class SimulationInput(PolicyInput):
    environment = serializers.RegexField(
        SLUG,
        max_length=80,
        required=False,
        help_text="Whose decisions; left out, of the environment that the text is written for, else of all.",
    )
    decisions = serializers.IntegerField(
        min_value=1, max_value=DECISIONS_LIMIT, default=DECISIONS, help_text="How many, the newest first."
    )


class RuleChangeOutput(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Of the rule.")
    before = serializers.CharField(allow_blank=True, help_text="Its outcome; empty when there was no such rule.")
    after = serializers.CharField(allow_blank=True, help_text="Its outcome; empty when there is none, or unknown.")
    message = serializers.CharField()


class SimulatedOutput(serializers.Serializer[Any]):
    decision = serializers.CharField(help_text="Id of the decision on record.")
    digest = serializers.CharField(help_text="Of the model version.")
    environment = serializers.CharField()
    evaluated_at = serializers.DateTimeField()
    effect = serializers.ChoiceField(choices=[effect.value for effect in Effect])
    before = serializers.CharField(help_text="What the rules amounted to: pass, fail or error.")
    after = serializers.CharField(help_text="What they would amount to.")
    rules = RuleChangeOutput(many=True, help_text="Those that give another outcome.")


class SimulationOutput(serializers.Serializer[Any]):
    environment = serializers.CharField(allow_blank=True, help_text="Whose decisions; empty for all.")
    decisions = serializers.IntegerField(help_text="On how many it was tried.")
    same = serializers.IntegerField()
    newly_blocked = serializers.IntegerField()
    no_longer_blocked = serializers.IntegerField()
    unknown = serializers.IntegerField(help_text="Evidence that the text reads was not looked at then.")
    changed = SimulatedOutput(many=True)


class AttachmentProposalInput(StrictSerializer):
    policy = serializers.RegexField(SLUG, max_length=80)
    kind = serializers.ChoiceField(choices=AttachmentKind.choices)
    environment = serializers.RegexField(SLUG, max_length=80)
    tier = serializers.RegexField(
        SLUG, max_length=40, required=False, default="", allow_blank=True, help_text="Empty for all tiers."
    )
    reason = serializers.CharField(max_length=4000)
    password = serializers.CharField(trim_whitespace=False, write_only=True, help_text="Given afresh; never stored.")


class AttachmentProposalOutput(serializers.ModelSerializer[AttachmentProposal]):
    policy = serializers.SlugField(source="policy.slug")
    proposed_by = serializers.CharField(source="proposed_by.printed_name")

    class Meta:
        model = AttachmentProposal
        fields = ("id", "kind", "policy", "environment", "tier", "reason", "proposed_by", "proposed_at")


class AttachmentOutput(serializers.ModelSerializer[PolicyAttachment]):
    policy = serializers.SlugField(source="policy.slug")

    class Meta:
        model = PolicyAttachment
        fields = ("id", "policy", "environment", "tier", "valid_from", "valid_to")
