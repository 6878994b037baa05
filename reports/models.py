"""What was issued. The bytes are in the artifact store under their digest."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.models import ModelVersion
from modelnotary.ids import new_id
from reports.enums import DocumentKind


class Document(models.Model):
    """A signed report or an evidence bundle. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "doc"), editable=False)
    kind = models.CharField(max_length=10, choices=DocumentKind.choices)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="documents")
    environment = models.SlugField(max_length=80)
    content_digest = models.CharField(
        max_length=71, help_text="Of the facts inside; the same facts give the same digest."
    )
    digest = models.CharField(max_length=71, help_text="Of the file as issued.")
    size = models.BigIntegerField()
    path = models.TextField()
    ledger_size = models.BigIntegerField(help_text="Size of the lineage log that the document speaks of.")
    issued_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField()

    class Meta:
        ordering = ("-issued_at",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.model_version}"
