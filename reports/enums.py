"""Closed vocabularies of reports."""

from django.db.models import TextChoices


class DocumentKind(TextChoices):
    """What was issued."""

    REPORT = "report", "Model audit report"
    BUNDLE = "bundle", "Evidence bundle"
