"""What the documents API takes and gives."""

import re

from rest_framework import serializers

from governance.api.serializers import DigestField, StrictSerializer
from reports.enums import DocumentKind
from reports.models import Document


class DocumentInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=DocumentKind.choices)
    model = DigestField(help_text="Digest of the model version.")
    environment = serializers.RegexField(re.compile(r"[-a-z0-9_]{1,80}", re.ASCII), max_length=80)


class DocumentOutput(serializers.ModelSerializer[Document]):
    model = serializers.CharField(source="model_version.digest")

    class Meta:
        model = Document
        fields = ("id", "kind", "model", "environment", "content_digest", "digest", "size", "ledger_size", "issued_at")
