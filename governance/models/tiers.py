"""Risk tiers: templates in versions, and assessments of systems that froze what they rest on. All insert-only."""

from functools import partial

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.enums import DraftState
from governance.models.inventory import DIGEST_LENGTH, AiSystem
from governance.models.publications import DocumentDraft, DraftWithdrawal, PublishedDocument
from modelnotary.ids import new_id

TIER_LENGTH = 40


class TierTemplate(models.Model):
    """A named way to find the tier of a system."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ttp"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.slug


class TierTemplateDraft(DocumentDraft):
    """The text of a template as somebody proposes it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ttd"), editable=False)
    slug = models.SlugField(max_length=80, help_text="The template that it would be a version of.")

    class Meta(DocumentDraft.Meta):
        indexes = (models.Index(fields=("slug", "-drafted_at"), name="tier_template_draft_newest"),)


class TierTemplateWithdrawal(DraftWithdrawal):
    """That a draft is not to be published any more, and why."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ttw"), editable=False)
    draft = models.OneToOneField(TierTemplateDraft, on_delete=models.PROTECT, related_name="withdrawal")


class TierTemplateVersion(PublishedDocument):
    """The text of a template as published."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ttv"), editable=False)
    template = models.ForeignKey(TierTemplate, on_delete=models.PROTECT, related_name="versions")
    draft = models.OneToOneField(TierTemplateDraft, on_delete=models.PROTECT, related_name="version")
    tiers = ArrayField(models.SlugField(max_length=TIER_LENGTH), help_text="From the lowest to the highest.")

    class Meta(PublishedDocument.Meta):
        constraints = (models.UniqueConstraint(fields=("template", "number"), name="tier_template_number_once"),)

    def __str__(self) -> str:
        return f"{self.template.slug} v{self.number}"


class TierAssessment(models.Model):
    """A tier that somebody proposes for a system, with the fields and the working it rests on as they were."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "tas"), editable=False)
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="tier_assessments")
    template_version = models.ForeignKey(TierTemplateVersion, on_delete=models.PROTECT, related_name="assessments")
    snapshot = models.BinaryField(help_text="The fields that the template reads: canonical JSON, as hashed.")
    snapshot_digest = models.CharField(max_length=DIGEST_LENGTH)
    working = models.BinaryField(help_text="How the suggested tier came about: canonical JSON, as hashed.")
    working_digest = models.CharField(max_length=DIGEST_LENGTH)
    suggested = models.SlugField(max_length=TIER_LENGTH, blank=True, help_text="Empty where it is incomplete.")
    final = models.SlugField(max_length=TIER_LENGTH, blank=True)
    reason = models.TextField(blank=True, help_text="Why the final tier is another one than what is suggested.")
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()

    class Meta:
        ordering = ("-drafted_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(suggested="", final="") | ~(Q(suggested="") | Q(final="")),
                name="tier_assessment_incomplete_has_no_tier",
            ),
        )

    def __str__(self) -> str:
        return f"{self.system}: {self.final or 'incomplete'}"

    @property
    def state(self) -> DraftState:
        """What became of it."""
        if hasattr(self, "publication"):
            return DraftState.PUBLISHED
        return DraftState.WITHDRAWN if hasattr(self, "withdrawal") else DraftState.OPEN

    @property
    def is_complete(self) -> bool:
        """Whether it says a tier."""
        return bool(self.suggested)

    @property
    def is_lowered(self) -> bool:
        """Whether the final tier is lower than what is suggested."""
        rank = self.template_version.tiers.index
        return self.is_complete and rank(self.final) < rank(self.suggested)


class TierConfirmation(models.Model):
    """A second officer's word for a final tier lower than what is suggested."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "tcf"), editable=False)
    assessment = models.OneToOneField(TierAssessment, on_delete=models.PROTECT, related_name="confirmation")
    reason = models.TextField()
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Confirmation of {self.assessment_id}"


class TierPublication(models.Model):
    """That an assessment gives its system's tier from a moment on, until the next one of that system does."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "tpb"), editable=False)
    assessment = models.OneToOneField(TierAssessment, on_delete=models.PROTECT, related_name="publication")
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="tier_publications")
    number = models.PositiveIntegerField(help_text="Counted for each system; the highest is the one that stands.")
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField()

    class Meta:
        ordering = ("-published_at",)
        constraints = (models.UniqueConstraint(fields=("system", "number"), name="tier_publication_number_once"),)

    def __str__(self) -> str:
        return f"Publication {self.number} of {self.system}"


class TierWithdrawal(models.Model):
    """That an assessment is not to be published any more, and why."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "twd"), editable=False)
    assessment = models.OneToOneField(TierAssessment, on_delete=models.PROTECT, related_name="withdrawal")
    reason = models.TextField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Withdrawal of {self.assessment_id}"
