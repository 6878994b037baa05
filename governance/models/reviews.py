"""Reviews of access: who may do what, frozen, and what a reviewer decided about each line."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q

from governance.enums import AccessDecisionKind
from governance.models.people import ApiToken, RoleGrant
from modelnotary.ids import new_id


class AccessReview(models.Model):
    """A review of everything that was held when it was opened. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "acr"), editable=False)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta:
        ordering = ("-opened_at",)

    def __str__(self) -> str:
        return f"Access review of {self.opened_at:%Y-%m-%d}"


class AccessReviewLine(models.Model):
    """One role or token as it was held when the review was opened, and when it was last used. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "arl"), editable=False)
    review = models.ForeignKey(AccessReview, on_delete=models.PROTECT, related_name="lines")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey(RoleGrant, null=True, on_delete=models.PROTECT, related_name="+")
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.PROTECT, related_name="+")
    rights = models.TextField(help_text="What it allows, in words.")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    last_sign_in = models.DateTimeField(null=True)
    last_signature = models.DateTimeField(null=True)
    token_last_used = models.DateTimeField(null=True)

    class Meta:
        ordering = ("account__username", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(grant__isnull=False, token__isnull=True) | Q(grant__isnull=True, token__isnull=False),
                name="access_line_is_about_one_thing",
            ),
            models.UniqueConstraint(fields=("review", "grant", "token"), name="access_line_once", nulls_distinct=False),
        )

    def __str__(self) -> str:
        return f"{self.account.printed_name}: {self.rights}"


class AccessDecision(models.Model):
    """What a reviewer decided about a line. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ard"), editable=False)
    line = models.OneToOneField(AccessReviewLine, on_delete=models.PROTECT, related_name="decision")
    kind = models.CharField(max_length=10, choices=AccessDecisionKind.choices)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(kind=AccessDecisionKind.KEPT) | ~Q(reason=""), name="access_taken_away_for_a_reason"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.line}"


class AccessReviewClosing(models.Model):
    """That every line of a review was decided, and who says so. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "arc"), editable=False)
    review = models.OneToOneField(AccessReview, on_delete=models.PROTECT, related_name="closing")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Closing of {self.review}"
