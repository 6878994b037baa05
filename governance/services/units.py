"""Business units: made by an administrator, and systems put into one by an officer of the whole organisation."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError, RejectedInputError
from governance.models import AiSystem, BusinessUnit, User
from governance.policy.reading import SLUG
from governance.services.officers import Officer
from governance.services.steps import administrator_step, officer_step, step_hindrance, words_require
from modelnotary.ledger.event import Actor, Subject

ASSIGNERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
_NAME_LIMIT = 200


@transaction.atomic
def unit_create(*, actor: Actor, slug: str, name: str, at: datetime) -> BusinessUnit:
    """Make a business unit.

    Raises:
        RejectedInputError: The short name is none, or the name is empty or too long.
        ConflictError: The short name is taken.
    """
    if not SLUG.fullmatch(slug):
        raise RejectedInputError("/slug is a name of lowercase letters, digits, hyphens and underscores")
    if not 0 < len(name.strip()) <= _NAME_LIMIT:
        raise RejectedInputError(f"/name must have 1 to {_NAME_LIMIT} characters")
    if BusinessUnit.objects.filter(slug=slug).exists():
        raise ConflictError(f'there is a business unit "{slug}" already')
    unit = BusinessUnit.objects.create(slug=slug, name=name.strip(), created_at=at)
    event_record(
        event=LineageEvent.BUSINESS_UNIT_CREATED,
        actor=actor,
        subject=Subject("business_unit", unit.id),
        data={"slug": slug, "name": unit.name},
        at=at,
    )
    return unit


def unit_open(*, officer: Officer, slug: str, name: str, at: datetime) -> BusinessUnit:
    """Make a business unit, as an administrator who gives the password.

    Raises:
        GovernanceError: It is no administrator, or `unit_create` refuses.
    """
    subject = Subject("user", officer.user.id)
    with administrator_step(officer=officer, step="business_unit.create", subject=subject, at=at):
        return unit_create(actor=actor_of(officer.user), slug=slug, name=name, at=at)


def system_assign(
    *, officer: Officer, system: AiSystem, unit: BusinessUnit | None, reason: str, at: datetime
) -> AiSystem:
    """Put a system into a business unit, or let it belong to the whole organisation.

    From this moment those who hold roles for the unit see it and decide about it, and those of another no longer.

    Raises:
        GovernanceError: The officer holds no role for the whole organisation, the reason says nothing, or the system
            is there already.
    """
    subject = Subject("system", system.id)
    with officer_step(officer=officer, roles=ASSIGNERS, step="system.assign", subject=subject, at=at):
        current = AiSystem.objects.select_for_update().get(pk=system.pk)
        if current.business_unit_id == (unit.id if unit else None):
            raise ConflictError(f"{current} belongs there already")
        before, current.business_unit = current.business_unit_id, unit
        current.save(update_fields=["business_unit"])
        event_record(
            event=LineageEvent.SYSTEM_ASSIGNED,
            actor=actor_of(officer.user),
            subject=subject,
            data={"from": before, "to": current.business_unit_id, "reason": words_require(reason, "/reason")},
            at=at,
        )
    return current


def assigning_hindrance(*, user: User) -> str | None:
    """Say in words why somebody cannot put systems into business units, or nothing."""
    return step_hindrance(user=user, roles=ASSIGNERS)
