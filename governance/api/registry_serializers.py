"""What the API takes and gives of systems, models, data, runs and lineage."""

from typing import Any

from rest_framework import serializers

from governance import models
from governance.api.serializers import DigestField, StrictSerializer
from governance.enums import (
    DEPLOYMENT_ROLES,
    DataFormat,
    Deidentification,
    LineageKind,
    LineageRole,
    Methodology,
    PhiType,
    Provenance,
    Trust,
)
from governance.selectors.lineage import DEPTH_LIMIT, PAGE_LIMIT, PAGE_STEPS


class AiSystemInput(StrictSerializer):
    slug = serializers.SlugField(max_length=80)
    name = serializers.CharField(max_length=200)
    operator = serializers.CharField(max_length=200, help_text="The organization that uses the system.")
    purpose = serializers.CharField()
    decision_supported = serializers.CharField()
    affected_persons = serializers.CharField()
    jurisdiction = serializers.CharField(max_length=200)
    contains_phi = serializers.BooleanField()


class AiSystemOutput(serializers.ModelSerializer[models.AiSystem]):
    class Meta:
        model = models.AiSystem
        fields = (
            "id",
            "slug",
            "name",
            "operator",
            "purpose",
            "decision_supported",
            "affected_persons",
            "jurisdiction",
            "contains_phi",
            "registered_at",
        )


class ModelInput(StrictSerializer):
    system = serializers.SlugField(max_length=80, help_text="Slug of the AI system.")
    slug = serializers.SlugField(max_length=80)
    name = serializers.CharField(max_length=200)


class ModelOutput(serializers.ModelSerializer[models.Model]):
    system = serializers.SlugField(source="system.slug")

    class Meta:
        model = models.Model
        fields = ("id", "slug", "name", "system", "registered_at")


class ArtifactOutput(serializers.ModelSerializer[models.Artifact]):
    class Meta:
        model = models.Artifact
        fields = ("digest", "size", "stored_at")


class ModelDescriptionInput(StrictSerializer):
    methodology = serializers.ChoiceField(choices=Methodology.choices)
    provenance = serializers.ChoiceField(choices=Provenance.choices)
    vendor = serializers.CharField(max_length=200, required=False, default="", help_text="Of a model that was bought.")
    restrictions_on_use = serializers.CharField(max_length=4000, help_text="What it must not be used for.")
    owner = serializers.CharField(max_length=150, help_text="User name of who answers for it.")
    developer = serializers.CharField(max_length=150, required=False, help_text="User name of who made it.")
    validator = serializers.CharField(
        max_length=150, required=False, help_text="User name of who validates it: neither owner nor developer."
    )


class ModelDescriptionOutput(serializers.ModelSerializer[models.ModelDescription]):
    owner = serializers.CharField(source="owner.username")
    developer = serializers.CharField(source="developer.username", default=None, allow_null=True)
    validator = serializers.CharField(source="validator.username", default=None, allow_null=True)
    described_by = serializers.CharField(source="described_by.printed_name")

    class Meta:
        model = models.ModelDescription
        fields = (
            "id",
            "number",
            "methodology",
            "provenance",
            "vendor",
            "restrictions_on_use",
            "owner",
            "developer",
            "validator",
            "described_by",
            "described_at",
        )


class ModelVersionInput(StrictSerializer):
    digest = DigestField()
    framework = serializers.CharField(max_length=80, required=False, help_text="With its version.")
    code_commit = serializers.CharField(max_length=64, required=False, default="")
    source_uri = serializers.CharField(max_length=500, required=False, help_text="Where the bytes came from.")
    environment_lock_digest = DigestField(required=False, help_text="Of the file that pins the libraries.")
    container_digest = DigestField(required=False, help_text="Of the image that it was trained in.")
    run = serializers.CharField(max_length=40, required=False, help_text="Id of the run that produced it.")
    parameters = serializers.DictField(required=False, default=dict)
    metrics = serializers.DictField(required=False, default=dict)


class ModelVersionOutput(serializers.ModelSerializer[models.ModelVersion]):
    model = serializers.SlugField(source="model.slug")
    digest = serializers.CharField()
    author = serializers.CharField(source="author.printed_name")

    class Meta:
        model = models.ModelVersion
        fields = (
            "id",
            "model",
            "number",
            "digest",
            "format",
            "framework",
            "code_commit",
            "source_uri",
            "environment_lock_digest",
            "container_digest",
            "run",
            "parameters",
            "metrics",
            "author",
            "registered_at",
        )


class DatasetInput(StrictSerializer):
    slug = serializers.SlugField(max_length=80)
    name = serializers.CharField(max_length=200)
    description = serializers.CharField()
    classification = serializers.CharField(max_length=80)
    contains_phi = serializers.BooleanField()


class DatasetOutput(serializers.ModelSerializer[models.Dataset]):
    class Meta:
        model = models.Dataset
        fields = ("id", "slug", "name", "description", "classification", "contains_phi", "registered_at")


class DatasetVersionInput(StrictSerializer):
    digest = DigestField()
    format = serializers.ChoiceField(choices=DataFormat.choices, required=False)
    row_count = serializers.IntegerField(min_value=0, max_value=2**53 - 1, required=False)
    columns = serializers.ListField(
        child=serializers.CharField(max_length=200, allow_blank=True, trim_whitespace=False),
        allow_empty=False,
        max_length=10_000,
        required=False,
    )
    classification = serializers.CharField(
        max_length=80, required=False, help_text="Where it differs from the data set's."
    )
    phi_types = serializers.ListField(
        child=serializers.ChoiceField(choices=PhiType.choices),
        required=False,
        max_length=len(PhiType),
        help_text="The identifiers of 45 CFR 164.514(b)(2)(i) that are in it; an empty list says that none is.",
    )
    deidentification = serializers.ChoiceField(choices=Deidentification.choices, required=False)
    legal_basis = serializers.CharField(max_length=500, required=False)
    collection_method = serializers.CharField(max_length=4000, required=False)
    known_biases = serializers.CharField(max_length=4000, required=False)


class DatasetVersionOutput(serializers.ModelSerializer[models.DatasetVersion]):
    dataset = serializers.SlugField(source="dataset.slug")
    digest = serializers.CharField()

    class Meta:
        model = models.DatasetVersion
        fields = (
            "id",
            "dataset",
            "number",
            "digest",
            "format",
            "row_count",
            "columns",
            "schema_digest",
            "classification",
            "phi_types",
            "deidentification",
            "legal_basis",
            "collection_method",
            "known_biases",
            "registered_at",
        )


class RunInput(StrictSerializer):
    name = serializers.CharField(max_length=200)
    code_commit = serializers.CharField(max_length=64, required=False, default="")
    parameters = serializers.DictField(required=False, default=dict)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()


class RunOutput(serializers.ModelSerializer[models.Run]):
    class Meta:
        model = models.Run
        fields = ("id", "name", "code_commit", "parameters", "started_at", "finished_at", "registered_at")


class LineageEndInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=LineageKind.choices)
    id = serializers.CharField(max_length=40)


class LineageInput(StrictSerializer):
    source = LineageEndInput()  # type: ignore[assignment]  # a field of this name, not the property
    target = LineageEndInput()
    role = serializers.ChoiceField(choices=[item for item in LineageRole.choices if item[0] not in DEPLOYMENT_ROLES])


class LineageOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    source_kind = serializers.ChoiceField(choices=LineageKind.choices)
    source_id = serializers.CharField()
    target_kind = serializers.ChoiceField(choices=LineageKind.choices)
    target_id = serializers.CharField()
    role = serializers.ChoiceField(choices=LineageRole.choices)
    trust = serializers.ChoiceField(choices=Trust.choices)


class LineageStepOutput(LineageOutput):
    depth = serializers.IntegerField(help_text="How many steps away its far end is.")


class LineageQuestion(StrictSerializer):
    direction = serializers.ChoiceField(
        choices=(("up", "What it came from"), ("down", "What came of it")), required=False, default="up"
    )
    depth = serializers.IntegerField(
        min_value=1,
        max_value=DEPTH_LIMIT,
        required=False,
        default=DEPTH_LIMIT,
        help_text="How many steps away at most.",
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=PAGE_LIMIT, required=False, default=PAGE_STEPS, help_text="How many steps in this page."
    )
    after = serializers.CharField(max_length=120, required=False, default="", help_text="`next` of the page before.")


class LineageWalkOutput(serializers.Serializer[Any]):
    steps = LineageStepOutput(many=True)
    truncated = serializers.BooleanField(help_text="There are more: beyond this page, or deeper than was asked for.")
    next = serializers.CharField(help_text="`after` of the next page; empty when there is none.")


class NamedOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    digest = serializers.CharField()


class AffectedVersionOutput(NamedOutput):
    depth = serializers.IntegerField(help_text="Steps of lineage from the data to it.")


class AffectedUseOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    model_version = serializers.CharField()
    environment = serializers.CharField()


class AffectedSystemOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField()
    owner_email = serializers.CharField()


class AffectedOutput(serializers.Serializer[Any]):
    dataset_version = NamedOutput()
    at = serializers.DateTimeField()
    truncated = serializers.BooleanField(help_text="More than `steps_limit` steps lead on, so something is missing.")
    steps_limit = serializers.IntegerField()
    model_versions = AffectedVersionOutput(many=True)
    deployments_in_use = AffectedUseOutput(many=True)
    decisions_that_stand = AffectedUseOutput(many=True)
    systems = AffectedSystemOutput(many=True)
