"""People, service accounts, and the tokens they call the API with."""

from datetime import timedelta
from functools import partial
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.enums import Role, Scope
from modelnotary.ids import new_id

TOKEN_LIFETIME_LIMIT = timedelta(days=365)


class User(AbstractUser):
    """A person, or a service account with a person who answers for it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "usr"), editable=False)
    roles = ArrayField(models.CharField(max_length=20, choices=Role.choices), default=list, blank=True)
    is_service = models.BooleanField("service account", default=False)
    owner = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="service_accounts",
        help_text="The person who answers for a service account.",
    )
    signing_failures = models.PositiveIntegerField(default=0, help_text="Wrong proofs in a row.")
    signing_locked_until = models.DateTimeField(null=True, blank=True)

    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta(AbstractUser.Meta):
        constraints = (
            models.CheckConstraint(
                condition=Q(is_service=False) | Q(is_staff=False, is_superuser=False, owner__isnull=False),
                name="service_account_has_owner_and_no_sign_in",
            ),
        )

    @property
    def printed_name(self) -> str:
        """The name as it stands under a signature."""
        return self.get_full_name() or self.get_username()


class ApiToken(models.Model):
    """A bearer token. The secret itself is shown once and never stored."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "tok"), editable=False)
    key_id = models.CharField(max_length=12, unique=True)
    pepper_id = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64, help_text="HMAC-SHA256 of the secret under the numbered pepper.")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=100)
    scopes = ArrayField(models.CharField(max_length=30, choices=Scope.choices))
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")) & Q(expires_at__lte=F("created_at") + TOKEN_LIFETIME_LIMIT),
                name="token_expires_within_a_year",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"
