"""What documents that one person drafts and another one publishes have in common."""

from django.conf import settings
from django.db import models

from governance.enums import DraftState
from governance.models.inventory import DIGEST_LENGTH


class DocumentDraft(models.Model):
    """A text as somebody proposes it, checked, with its digest. Insert-only: another text is another draft."""

    slug = models.SlugField(max_length=80)
    document = models.TextField()
    digest = models.CharField(max_length=DIGEST_LENGTH)
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ("-drafted_at",)

    def __str__(self) -> str:
        return f"Draft of {self.slug}"

    @property
    def state(self) -> DraftState:
        """What became of it."""
        if hasattr(self, "version"):
            return DraftState.PUBLISHED
        return DraftState.WITHDRAWN if hasattr(self, "withdrawal") else DraftState.OPEN


class DraftWithdrawal(models.Model):
    """That a draft is not to be published any more, and why. Insert-only."""

    reason = models.TextField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"Withdrawal of {self.draft}"  # type: ignore[attr-defined]  # each kind has its own


class PublishedDocument(models.Model):
    """A text as published. Immutable: a change is a new version."""

    number = models.PositiveIntegerField()
    document = models.TextField()
    digest = models.CharField(max_length=DIGEST_LENGTH)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ("-published_at",)
