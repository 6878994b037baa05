"""What is governed: systems, models, data, and how one came from another."""

from functools import partial, reduce
from operator import or_

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.enums import (
    LINEAGE_ENDS,
    DataFormat,
    Deidentification,
    LineageKind,
    LineageRole,
    PhiType,
    Trust,
)
from governance.models.people import BusinessUnit
from modelnotary.ids import new_id

DIGEST_LENGTH = 71


class AiSystem(models.Model):
    """An AI system: what the models in it decide, about whom, and who answers for it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "sys"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    operator = models.CharField(max_length=200, help_text="The organization that uses the system.")
    purpose = models.TextField()
    decision_supported = models.TextField()
    affected_persons = models.TextField()
    jurisdiction = models.CharField(max_length=200)
    contains_phi = models.BooleanField("holds protected health information")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="systems")
    business_unit = models.ForeignKey(
        BusinessUnit,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="systems",
        help_text="Whose system it is; none is that of the whole organisation.",
    )
    registered_at = models.DateTimeField()

    class Meta:
        verbose_name = "AI system"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Artifact(models.Model):
    """Stored bytes, known by their digest."""

    digest = models.CharField(primary_key=True, max_length=DIGEST_LENGTH)
    size = models.BigIntegerField()
    path = models.TextField(help_text="Name within the artifact store.")
    stored_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    stored_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest


class Model(models.Model):
    """A model: a line of versions that serve one purpose in one system."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "mdl"), editable=False)
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="models")
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    registered_at = models.DateTimeField()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """A version of a model. Its identity is the digest of its bytes; its number is a label."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "mv"), editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="+", db_column="digest")
    format = models.CharField(max_length=40)
    framework = models.CharField(max_length=80, blank=True, help_text="With its version, for instance xgboost 3.1.2.")
    code_commit = models.CharField(max_length=64, blank=True)
    source_uri = models.CharField(max_length=500, blank=True, help_text="Where the bytes came from.")
    environment_lock_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    container_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    run = models.ForeignKey("Run", null=True, on_delete=models.PROTECT, related_name="model_versions")
    parameters = models.JSONField(default=dict, help_text="Encoding, decision threshold, training parameters.")
    metrics = models.JSONField(default=dict, help_text="As reported by the author; evidence is what a policy reads.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="authored_versions")
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        ordering = ("-registered_at",)
        constraints = (
            models.UniqueConstraint(fields=("model", "number"), name="model_version_number_once"),
            models.UniqueConstraint(fields=("artifact",), name="model_version_digest_once"),
        )

    def __str__(self) -> str:
        return f"{self.model.slug} v{self.number}"

    @property
    def digest(self) -> str:
        """The digest of the model's bytes, `sha256:` and 64 hexadecimal digits."""
        return str(self.artifact_id)


class Dataset(models.Model):
    """A data set: a line of versions from one source."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ds"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField()
    classification = models.CharField(max_length=80)
    contains_phi = models.BooleanField("holds protected health information")
    registered_at = models.DateTimeField()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """A version of a data set, identified by the digest of its bytes."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dv"), editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="+", db_column="digest")
    format = models.CharField(max_length=20, choices=DataFormat.choices, default=DataFormat.OTHER)
    row_count = models.PositiveBigIntegerField(help_text="Counted in a table; of other data, as reported.")
    columns = models.JSONField()
    schema_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True, help_text="Of a table; else empty.")
    classification = models.CharField(max_length=80, blank=True, help_text="Where it differs from the data set's.")
    phi_types = ArrayField(models.CharField(max_length=20, choices=PhiType.choices), null=True)
    deidentification = models.CharField(max_length=20, choices=Deidentification.choices, blank=True)
    legal_basis = models.CharField(max_length=500, blank=True)
    collection_method = models.TextField(blank=True)
    known_biases = models.TextField(blank=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        ordering = ("-registered_at",)
        constraints = (
            models.UniqueConstraint(fields=("dataset", "number"), name="dataset_version_number_once"),
            models.UniqueConstraint(fields=("artifact",), name="dataset_version_digest_once"),
            models.CheckConstraint(
                condition=~Q(deidentification=Deidentification.SAFE_HARBOR)
                | Q(phi_types__isnull=True)
                | Q(phi_types=[]),
                name="dataset_version_safe_harbor_leaves_no_identifier",
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset.slug} v{self.number}"

    @property
    def digest(self) -> str:
        """The digest of the table's bytes."""
        return str(self.artifact_id)


class Run(models.Model):
    """A training run, as its author reports it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "run"), editable=False)
    name = models.CharField(max_length=200)
    code_commit = models.CharField(max_length=64, blank=True)
    parameters = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        ordering = ("-registered_at",)

    def __str__(self) -> str:
        return self.name


class LineageEdge(models.Model):
    """One step of lineage, from what was used to what came of it. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "edg"), editable=False)
    source_kind = models.CharField(max_length=20, choices=LineageKind.choices)
    source_id = models.CharField(max_length=40)
    target_kind = models.CharField(max_length=20, choices=LineageKind.choices)
    target_id = models.CharField(max_length=40)
    role = models.CharField(max_length=20, choices=LineageRole.choices)
    trust = models.CharField(max_length=20, choices=Trust.choices)
    recorded_at = models.DateTimeField()

    class Meta:
        # Walked in the order of these, so that the first steps of very many are found without looking at the rest.
        indexes = (
            models.Index(fields=("source_id", "id"), include=("target_id",), name="lineage_edge_down"),
            models.Index(fields=("target_id", "id"), include=("source_id",), name="lineage_edge_up"),
        )
        constraints = (
            models.UniqueConstraint(fields=("source_id", "target_id", "role", "trust"), name="lineage_edge_once"),
            models.CheckConstraint(condition=~Q(source_id=models.F("target_id")), name="lineage_edge_not_to_itself"),
            models.CheckConstraint(
                condition=reduce(
                    or_,
                    (
                        Q(role=role, source_kind=source, target_kind=target)
                        for role, ends in LINEAGE_ENDS.items()
                        for source, target in ends
                    ),
                ),
                name="lineage_edge_ends_fit_its_role",
            ),
            models.CheckConstraint(condition=Q(trust__in=Trust.values), name="lineage_edge_trust_known"),
        )

    def __str__(self) -> str:
        return f"{self.source_id} {self.role} {self.target_id}"
