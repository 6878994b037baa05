"""Which roles people hold at a moment."""

from datetime import datetime

from django.db.models import Q, QuerySet

from governance.enums import DUTY_LINES, Role
from governance.models import RoleGrant, User


def grants_at(*, at: datetime) -> QuerySet[RoleGrant]:
    """Give the grants in force at a moment."""
    return RoleGrant.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=at), valid_from__lte=at)


def roles_at(*, user: User, at: datetime, unit: str | None = None) -> frozenset[Role]:
    """Give the roles that somebody holds for a business unit at a moment, as the database has them now.

    For what belongs to the whole organisation (`unit` is None) only roles for the whole organisation count.
    """
    held = grants_at(at=at).filter(_covering(unit), person=user)
    return frozenset(Role(role) for role in held.values_list("role", flat=True))


def holders_at(*, role: Role, at: datetime, unit: str | None = None) -> QuerySet[User]:
    """Give the people with active accounts who hold a role for a business unit at a moment."""
    holding = grants_at(at=at).filter(_covering(unit), role=role).values("person")
    return User.objects.filter(pk__in=holding, is_active=True, is_service=False)


def _covering(unit: str | None) -> Q:
    everywhere = Q(business_unit__isnull=True)
    return everywhere if unit is None else everywhere | Q(business_unit=unit)


def duty_conflict(*, user: User, role: Role, since: datetime, until: datetime | None) -> RoleGrant | None:
    """Give a grant that stands in the way of another role for a time: one of another line of duty, or None."""
    other_line = [other for other, line in DUTY_LINES.items() if line is not DUTY_LINES[role]]
    overlapping = RoleGrant.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=since), person=user, role__in=other_line
    )
    return (overlapping if until is None else overlapping.filter(valid_from__lt=until)).first()
