"""Which roles people hold at a moment."""

from datetime import datetime

from django.db.models import Q, QuerySet

from governance.enums import DUTY_LINES, Role
from governance.models import RoleGrant, User


def grants_at(*, at: datetime) -> QuerySet[RoleGrant]:
    """Give the grants in force at a moment."""
    return RoleGrant.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=at), valid_from__lte=at)


def roles_at(*, user: User, at: datetime) -> frozenset[Role]:
    """Give the roles that somebody holds at a moment, as the database has them now."""
    return frozenset(Role(role) for role in grants_at(at=at).filter(person=user).values_list("role", flat=True))


def holders_at(*, role: Role, at: datetime) -> QuerySet[User]:
    """Give the people with active accounts who hold a role at a moment."""
    holding = grants_at(at=at).filter(role=role).values("person")
    return User.objects.filter(pk__in=holding, is_active=True, is_service=False)


def duty_conflict(*, user: User, role: Role, since: datetime, until: datetime | None) -> RoleGrant | None:
    """Give a grant that stands in the way of another role for a time: one of another line of duty, or None."""
    other_line = [other for other, line in DUTY_LINES.items() if line is not DUTY_LINES[role]]
    overlapping = RoleGrant.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=since), person=user, role__in=other_line
    )
    return (overlapping if until is None else overlapping.filter(valid_from__lt=until)).first()
