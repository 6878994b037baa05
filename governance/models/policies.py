"""Policies: drafts by one person, versions that another one published, and where and when each is in force."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.enums import AttachmentKind
from governance.models.publications import DocumentDraft, DraftWithdrawal, PublishedDocument
from modelnotary.ids import new_id


class Policy(models.Model):
    """A named policy. What it is in force for, its attachments say."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pol"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.slug


class PolicyDraft(DocumentDraft):
    """The text of a policy as somebody proposes it: compiled, digest and all. Insert-only: another text is another."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pdr"), editable=False)
    slug = models.SlugField(max_length=80, help_text="The policy that it would be a version of.")

    class Meta(DocumentDraft.Meta):
        indexes = (models.Index(fields=("slug", "-drafted_at")),)


class PolicyWithdrawal(DraftWithdrawal):
    """That a draft is not to be published any more, and why. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pwd"), editable=False)
    draft = models.OneToOneField(PolicyDraft, on_delete=models.PROTECT, related_name="withdrawal")


class PolicyVersion(PublishedDocument):
    """The text of a policy as published. Immutable: a change is a new version."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "plv"), editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    draft = models.OneToOneField(
        PolicyDraft,
        null=True,
        on_delete=models.PROTECT,
        related_name="version",
        help_text="What was published. Only versions from before publication took two people have none.",
    )

    class Meta(PublishedDocument.Meta):
        constraints = (models.UniqueConstraint(fields=("policy", "number"), name="policy_version_number_once"),)

    def __str__(self) -> str:
        return f"{self.policy.slug} v{self.number}"


class AttachmentProposal(models.Model):
    """One person's proposal to put a policy in force somewhere, or out of it. Insert-only; another person confirms."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pap"), editable=False)
    kind = models.CharField(max_length=10, choices=AttachmentKind.choices)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+")
    environment = models.SlugField(max_length=80)
    tier = models.SlugField(max_length=40, blank=True, help_text="Risk tier; empty for all tiers.")
    replaces = models.ForeignKey(
        "PolicyAttachment",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What was in force there when it was proposed; if that changed, it cannot be confirmed any more.",
    )
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        ordering = ("-proposed_at",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.policy}: {place_words(self.environment, self.tier)}"


class PolicyAttachment(models.Model):
    """That a policy is in force for an environment and a tier, from one moment to another. It ends once, by two people.

    In one place one policy is in force at a moment: the database excludes rows of one place that overlap in time.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pat"), editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="attachments")
    environment = models.SlugField(max_length=80)
    tier = models.SlugField(max_length=40, blank=True, help_text="Risk tier; empty for all tiers.")
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    attached_under = models.OneToOneField(
        AttachmentProposal,
        null=True,
        on_delete=models.PROTECT,
        related_name="attachment",
        help_text="Only what was in force before attaching took two people has none.",
    )
    attached_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    detached_under = models.OneToOneField(
        AttachmentProposal, null=True, on_delete=models.PROTECT, related_name="detachment"
    )
    detached_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("environment", "tier", "-valid_from")

    def __str__(self) -> str:
        return f"{self.policy}: {place_words(self.environment, self.tier)}"


def place_words(environment: str, tier: str) -> str:
    """Name a place where a policy can be in force."""
    return f"{environment}, {tier} tier" if tier else f"{environment}, all tiers"
