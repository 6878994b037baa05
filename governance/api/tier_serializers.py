"""What the API takes and gives about tier templates, and about the tiers of systems."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.api.policy_serializers import DiagnosticOutput, PublicationInput
from governance.api.serializers import StrictSerializer
from governance.enums import DraftState
from governance.models import TierAssessment, TierTemplateDraft, TierTemplateVersion
from governance.policy.reading import SLUG
from governance.tiering.document import DOCUMENT_LIMIT, TIER
from governance.tiering.fields import FieldKind
from governance.tiering.template import Aggregation


class TierTemplateInput(StrictSerializer):
    document = serializers.CharField(
        max_length=DOCUMENT_LIMIT, trim_whitespace=False, help_text="The template as YAML."
    )


class TierConfirmationInput(PublicationInput):
    reason = serializers.CharField(max_length=4000, help_text="Why it may be lower, in 20 characters or more.")


class TierTemplateDraftOutput(serializers.ModelSerializer[TierTemplateDraft]):
    template = serializers.SlugField(source="slug")
    drafted_by = serializers.CharField(source="drafted_by.printed_name")
    state = serializers.ChoiceField(choices=DraftState.choices)
    version = serializers.CharField(source="version.id", default=None, allow_null=True)

    class Meta:
        model = TierTemplateDraft
        fields = ("id", "template", "digest", "drafted_by", "drafted_at", "state", "version", "document")


class TierTemplateVersionOutput(serializers.ModelSerializer[TierTemplateVersion]):
    template = serializers.SlugField(source="template.slug")
    draft = serializers.CharField(source="draft_id")
    tiers = serializers.ListField(child=serializers.CharField(), help_text="From the lowest to the highest.")
    published_by = serializers.CharField(source="published_by.printed_name")

    class Meta:
        model = TierTemplateVersion
        fields = ("id", "template", "number", "digest", "draft", "tiers", "published_by", "published_at", "document")


class TierTemplateCheckOutput(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    diagnostics = DiagnosticOutput(many=True)


class TierFieldOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[(kind.value, kind.value) for kind in FieldKind])
    words = serializers.CharField()
    choices = serializers.ListField(child=serializers.CharField(), help_text="Empty where any text can be.")


class TierAssessmentInput(StrictSerializer):
    template = serializers.RegexField(SLUG, max_length=80, help_text="Its newest published version counts.")
    final = serializers.RegexField(
        TIER, max_length=40, required=False, default="", allow_blank=True, help_text="Empty: what is suggested."
    )
    reason = serializers.CharField(
        max_length=4000, required=False, default="", allow_blank=True, help_text="Where the tier is another one."
    )


class ComponentWorkingOutput(serializers.Serializer[Any]):
    field = serializers.CharField()
    value = serializers.JSONField(allow_null=True, help_text="As frozen; null is missing.")
    rule = serializers.IntegerField(allow_null=True, help_text="The rule that was met, from 1.")
    condition = serializers.CharField()
    points = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField()


class FactorWorkingOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    aggregation = serializers.ChoiceField(choices=[(item.value, item.value) for item in Aggregation])
    weight = serializers.IntegerField()
    components = ComponentWorkingOutput(many=True)
    points = serializers.IntegerField(allow_null=True)
    weighted = serializers.IntegerField(allow_null=True)


class TierThresholdOutput(serializers.Serializer[Any]):
    tier = serializers.CharField()
    below = serializers.IntegerField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the field whose name is a word of the language."""
        return super().get_fields() | {"from": serializers.IntegerField()}


class OverrideWorkingOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    field = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    condition = serializers.CharField()
    at_least = serializers.CharField()
    applies = serializers.BooleanField(allow_null=True, help_text="Null where nobody knows.")
    problem = serializers.CharField()


class TierWorkingOutput(serializers.Serializer[Any]):
    format = serializers.CharField()
    template = serializers.CharField()
    template_digest = serializers.CharField()
    fields_digest = serializers.CharField()
    factors = FactorWorkingOutput(many=True)
    total = serializers.IntegerField(allow_null=True)
    threshold = TierThresholdOutput(allow_null=True)
    overrides = OverrideWorkingOutput(many=True)
    problems = serializers.ListField(child=serializers.CharField(), help_text="Why it is incomplete.")
    suggested = serializers.CharField(allow_null=True)


class TierAssessmentOutput(serializers.ModelSerializer[TierAssessment]):
    """An assessment; `stale` is given to it by the view."""

    system = serializers.CharField(source="system_id")
    template_version = serializers.CharField(source="template_version_id")
    state = serializers.ChoiceField(choices=DraftState.choices)
    needs_confirmation = serializers.BooleanField(source="is_lowered")
    confirmed_by = serializers.CharField(source="confirmation.confirmed_by.printed_name", default=None, allow_null=True)
    drafted_by = serializers.CharField(source="drafted_by.printed_name")
    published_by = serializers.CharField(source="publication.published_by.printed_name", default=None, allow_null=True)
    published_at = serializers.DateTimeField(source="publication.published_at", default=None, allow_null=True)
    stale = serializers.SerializerMethodField(help_text="What is no longer as it was; empty when all is.")
    working = serializers.SerializerMethodField()

    class Meta:
        model = TierAssessment
        fields = (
            "id",
            "system",
            "template_version",
            "state",
            "suggested",
            "final",
            "reason",
            "needs_confirmation",
            "confirmed_by",
            "drafted_by",
            "drafted_at",
            "published_by",
            "published_at",
            "stale",
            "snapshot_digest",
            "working_digest",
            "working",
        )

    def get_stale(self, assessment: TierAssessment) -> list[str]:  # noqa: ARG002 - of the one that the view gives
        """What is no longer as it was."""
        return list(self.context["stale"])

    @extend_schema_field(TierWorkingOutput)
    def get_working(self, assessment: TierAssessment) -> Any:  # noqa: ANN401 - JSON
        """The working as stored."""
        return json.loads(bytes(assessment.working))


class SystemTierOutput(serializers.Serializer[Any]):
    system = serializers.CharField()
    tier = serializers.CharField(help_text="Empty when the system was never assessed.")
    assessed = serializers.BooleanField()
    stale = serializers.ListField(
        child=serializers.CharField(), help_text="Why it has to be assessed anew; empty when it has not."
    )
    assessment = serializers.CharField(allow_null=True)
