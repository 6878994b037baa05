"""Types of evidence that an installation makes itself: drafted by one officer, published by another, never changed."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.models.inventory import DIGEST_LENGTH
from modelnotary.ids import new_id


class EvidenceTypeDraft(models.Model):
    """A type, or a next version of one, as an officer proposes it. Insert-only: another text is another draft."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "etd"), editable=False)
    name = models.CharField(max_length=40)
    number = models.PositiveSmallIntegerField(help_text="The version that it would be.")
    document = models.BinaryField(help_text="The definition, canonical JSON.")
    digest = models.CharField(max_length=DIGEST_LENGTH)
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()

    class Meta:
        ordering = ("-drafted_at",)

    def __str__(self) -> str:
        return f"Draft of {self.name} v{self.number}"


class EvidenceTypeVersion(models.Model):
    """A version of a type as published. Insert-only; facts that rules read of it stay in every later version."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "etv"), editable=False)
    draft = models.OneToOneField(EvidenceTypeDraft, on_delete=models.PROTECT, related_name="version")
    name = models.CharField(max_length=40)
    number = models.PositiveSmallIntegerField()
    document = models.BinaryField(help_text="The definition, canonical JSON, as drafted.")
    digest = models.CharField(max_length=DIGEST_LENGTH, unique=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField()

    class Meta:
        ordering = ("name", "-number")
        constraints = (models.UniqueConstraint(fields=("name", "number"), name="evidence_type_number_once"),)

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class EvidenceTypeRetirement(models.Model):
    """That nothing of a type is taken any more. What was deposited goes on counting. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "etr"), editable=False)
    name = models.CharField(max_length=40, unique=True)
    reason = models.TextField()
    retired_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    retired_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Retirement of {self.name}"
