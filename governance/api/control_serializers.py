"""What the API takes and gives of controls."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.api.serializers import StrictSerializer
from governance.controls.facts import PHI_FACT, SYSTEM_FACTS, Fact, FactKind
from governance.controls.places import PLACE_WORDS
from governance.controls.vocabulary import Force, Outcome, Status, Trust
from governance.models import SystemDeclaration

SOURCE_TRUST = [(trust.value, trust.words) for trust in Trust]


class AsOfQuestion(StrictSerializer):
    as_of = serializers.DateField(required=False, help_text="The day; today (UTC) when left out.")


@extend_schema_field({"type": "boolean"})
class TruthField(serializers.JSONField):
    """Takes any JSON: what is not exactly true or false is refused with the fact's own words, never converted."""


@extend_schema_field({"type": "integer"})
class CountField(serializers.JSONField):
    """Takes any JSON, for the same reason."""


@extend_schema_field({"type": "string"})
class ChoiceField(serializers.JSONField):
    """Takes any JSON, for the same reason."""


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class ListField(serializers.JSONField):
    """Takes any JSON, for the same reason."""


def _fact_field(fact: Fact) -> serializers.JSONField:
    if fact.kind is FactKind.TRUTH:
        return TruthField(required=False, help_text=fact.label)
    if fact.kind is FactKind.COUNT:
        return CountField(required=False, help_text=fact.label)
    known = PLACE_WORDS if fact.kind is FactKind.PLACES else ", ".join(fact.choices)
    kind = ChoiceField if fact.kind is FactKind.CHOICE else ListField
    return kind(required=False, help_text=f"{fact.label}: {known}")


class FactsInput(StrictSerializer):
    """Every fact that can be declared; what is left out is unknown."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Give one field for each fact of the catalogue's vocabulary."""
        return {name: _fact_field(fact) for name, fact in SYSTEM_FACTS.items() if name != PHI_FACT}


class DeclarationInput(StrictSerializer):
    facts = FactsInput()
    reason = serializers.CharField(
        max_length=4000, help_text="Why the system is in scope or not, and what the rest rests on."
    )


class DeclarationOutput(serializers.ModelSerializer[SystemDeclaration]):
    declared_by = serializers.CharField(source="declared_by.printed_name")

    class Meta:
        model = SystemDeclaration
        fields = ("id", "number", "facts", "reason", "declared_by", "declared_at")


class StandingOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    framework = serializers.CharField()
    citation = serializers.CharField()
    jurisdiction = serializers.CharField(help_text="Empty: everywhere.")
    force = serializers.ChoiceField(choices=[force.value for force in Force])
    status = serializers.ChoiceField(choices=[status.value for status in Status])
    status_words = serializers.CharField()
    why = serializers.CharField()
    trust = serializers.ChoiceField(choices=SOURCE_TRUST, help_text="The weakest source's mark.")
    trust_words = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())


class ControlOutput(StandingOutput):
    requirement = serializers.CharField()
    check = serializers.CharField()
    needs = serializers.ListField(child=serializers.JSONField())
    applies = serializers.ListField(child=serializers.JSONField())
    starts = serializers.ListField(child=serializers.JSONField())
    effective_to = serializers.DateField(allow_null=True, help_text="The first day on which it no longer holds.")
    superseded_by = serializers.ListField(child=serializers.CharField())
    checklist = serializers.CharField()
    note = serializers.CharField()


class CatalogueOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    digest = serializers.CharField()
    checked_on = serializers.DateField()
    covers_from = serializers.DateField()
    as_of = serializers.DateField()
    checked = serializers.BooleanField(help_text="False for a day after the last check of the catalogue.")
    controls = ControlOutput(many=True)


class ConsideredOutput(serializers.Serializer[Any]):
    evidence = serializers.CharField()
    counted = serializers.BooleanField()
    why = serializers.CharField()


class MissingOutput(serializers.Serializer[Any]):
    type = serializers.CharField()
    about = serializers.CharField()


class ControlResultOutput(StandingOutput):
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    reason = serializers.CharField()
    considered = ConsideredOutput(many=True)
    missing = MissingOutput(many=True)


class EvaluationOutput(serializers.Serializer[Any]):
    system = serializers.CharField()
    catalogue_version = serializers.CharField()
    catalogue_digest = serializers.CharField()
    as_of = serializers.DateField()
    checked = serializers.BooleanField(help_text="False for a day after the last check of the catalogue.")
    inputs_digest = serializers.CharField()
    digest = serializers.CharField(help_text="Of the whole result: who evaluates again must get the same.")
    counts = serializers.DictField(child=serializers.IntegerField())
    results = ControlResultOutput(many=True)
