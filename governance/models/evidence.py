"""Evidence: immutable facts bound to the digest of what they are about."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.evidence.registry import type_title
from governance.models.inventory import DIGEST_LENGTH, ModelVersion
from modelnotary.ids import new_id


class Evidence(models.Model):
    """One fact about a model version, kept as the bytes that were deposited."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "evd"), editable=False)
    type = models.CharField(max_length=40)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evidence")
    subject_digest = models.CharField(max_length=DIGEST_LENGTH)
    document = models.BinaryField(help_text="Canonical JSON, exactly as hashed.")
    digest = models.CharField(max_length=DIGEST_LENGTH)
    payload = models.JSONField(help_text="The document, parsed for searching.")
    producer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    measured = models.BooleanField(help_text="Computed by the product itself, not reported by the producer.")
    deposited_at = models.DateTimeField()

    class Meta:
        ordering = ("-deposited_at",)
        verbose_name_plural = "evidence"
        constraints = (models.UniqueConstraint(fields=("model_version", "type", "digest"), name="evidence_once"),)

    def __str__(self) -> str:
        return f"{self.title} of {self.model_version}"

    @property
    def title(self) -> str:
        """The type in words."""
        return type_title(self.type)
