"""People, service accounts, and the tokens they call the API with."""

from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from governance.enums import GrantOrigin, Role, Scope
from modelnotary.ids import new_id

TOKEN_LIFETIME_LIMIT = timedelta(days=365)


class BusinessUnit(models.Model):
    """A part of the organisation, whose AI systems are its own. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "bun"), editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person, or a service account with a person who answers for it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "usr"), editable=False)
    is_service = models.BooleanField("service account", default=False)
    owner = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="service_accounts",
        help_text="The person who answers for a service account.",
    )
    business_unit = models.ForeignKey(
        BusinessUnit,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="service_accounts",
        help_text="The only unit that a service account works for. People hold roles for units.",
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
            models.CheckConstraint(
                condition=Q(business_unit__isnull=True) | Q(is_service=True), name="only_service_accounts_have_a_unit"
            ),
        )

    @property
    def printed_name(self) -> str:
        """The name as it stands under a signature."""
        return self.get_full_name() or self.get_username()

    @property
    def roles(self) -> list[Role]:
        """The roles held now, for what is shown. A step asks `governance.selectors.people.roles_at`, at its moment."""
        now = timezone.now()
        return sorted({Role(grant.role) for grant in self.role_grants.all() if grant.in_force(now)})


class RoleProposal(models.Model):
    """An administrator's proposal that somebody hold a role. Insert-only; an officer confirms it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "rpr"), editable=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="role_proposals")
    role = models.CharField(max_length=20, choices=Role.choices)
    business_unit = models.ForeignKey(BusinessUnit, null=True, on_delete=models.PROTECT, related_name="+")
    ends_at = models.DateTimeField(null=True, help_text="When the role ends by itself.")
    reason = models.TextField()
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        ordering = ("-proposed_at",)

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.person.printed_name}, {place_of(self.business_unit)}"


class RoleGrant(models.Model):
    """That a person holds a role, from one moment to another. Only its end is written later, and that once.

    What a person may do at a moment follows from the grants in force then, and from nothing else. The database excludes
    rows of one person, role and unit that overlap in time, and roles of different lines of duty.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "rgr"), editable=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=20, choices=Role.choices)
    business_unit = models.ForeignKey(
        BusinessUnit,
        null=True,
        on_delete=models.PROTECT,
        related_name="role_grants",
        help_text="Where the role counts; none is everywhere.",
    )
    origin = models.CharField(max_length=20, choices=GrantOrigin.choices)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    proposal = models.OneToOneField(RoleProposal, null=True, on_delete=models.PROTECT, related_name="grant")
    confirmed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    end_reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-valid_from", "role")
        constraints = (
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="role_ends_after_it_began",
            ),
            models.CheckConstraint(
                condition=Q(ended_by__isnull=True, end_reason="")
                | (Q(ended_by__isnull=False, valid_to__isnull=False) & ~Q(end_reason="")),
                name="role_taken_away_by_somebody_with_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(origin=GrantOrigin.OFFICERS, proposal__isnull=False, confirmed_by__isnull=False)
                | (~Q(origin=GrantOrigin.OFFICERS) & Q(proposal__isnull=True, confirmed_by__isnull=True)),
                name="role_granted_by_two_or_marked",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.person.printed_name}, {place_of(self.business_unit)}"

    def in_force(self, at: datetime) -> bool:
        """Tell whether it is in force at a moment."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class Deactivation(models.Model):
    """That an account was closed, for good. Insert-only; the account itself stays."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dea"), editable=False)
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="deactivation")
    reason = models.TextField()
    deactivated_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"Closing of {self.user}"


def place_of(unit: BusinessUnit | None) -> str:
    """Say where something counts."""
    return unit.name if unit else "whole organisation"


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
