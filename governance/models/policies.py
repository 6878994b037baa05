"""Policies: drafts by one person, versions that another one published."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.models.inventory import DIGEST_LENGTH
from modelnotary.ids import new_id


class Policy(models.Model):
    """A named policy, attached to one environment."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pol"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    environment = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.slug


class PolicyDraft(models.Model):
    """The text of a policy as somebody proposes it: compiled, digest and all. Insert-only: another text is another."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pdr"), editable=False)
    slug = models.SlugField(max_length=80, help_text="The policy that it would be a version of.")
    document = models.TextField()
    digest = models.CharField(max_length=DIGEST_LENGTH)
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()

    class Meta:
        ordering = ("-drafted_at",)
        indexes = (models.Index(fields=("slug", "-drafted_at")),)

    def __str__(self) -> str:
        return f"Draft of {self.slug}"

    @property
    def state(self) -> str:
        """What became of it: open, published or withdrawn."""
        if hasattr(self, "version"):
            return "published"
        return "withdrawn" if hasattr(self, "withdrawal") else "open"


class PolicyWithdrawal(models.Model):
    """That a draft is not to be published any more, and why. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pwd"), editable=False)
    draft = models.OneToOneField(PolicyDraft, on_delete=models.PROTECT, related_name="withdrawal")
    reason = models.TextField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Withdrawal of {self.draft}"


class PolicyVersion(models.Model):
    """The text of a policy as published. Immutable: a change is a new version."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "plv"), editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    draft = models.OneToOneField(
        PolicyDraft,
        null=True,
        on_delete=models.PROTECT,
        related_name="version",
        help_text="What was published. Only versions from before publication took two people have none.",
    )
    document = models.TextField()
    digest = models.CharField(max_length=DIGEST_LENGTH)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField()

    class Meta:
        ordering = ("-published_at",)
        constraints = (models.UniqueConstraint(fields=("policy", "number"), name="policy_version_number_once"),)

    def __str__(self) -> str:
        return f"{self.policy.slug} v{self.number}"
