"""Declaring what a system is, and with it which controls apply to it."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.controls.facts import facts_to_json, parse_facts
from governance.models import AiSystem, SystemDeclaration, User
from governance.services.locks import name_lock
from modelnotary.ledger.event import Subject


@transaction.atomic
def system_declare(
    *, actor: User, system: AiSystem, facts: Mapping[str, object], reason: str, at: datetime
) -> SystemDeclaration:
    """Declare what a system is; the same again gives the declaration that stands.

    Args:
        actor: Who declares.
        system: What it is about.
        facts: All facts that are known, by name (`governance.controls.facts`); what is left out is unknown from now on.
        reason: Why it is in scope or not, and what the rest rests on.
        at: The moment.

    Raises:
        DeclarationError: A fact is unknown, or its value is; every fault is named with its place.
    """
    declared = facts_to_json(parse_facts(facts))
    name_lock(f"governance.declaration {system.id}")
    standing = system.declarations.first()
    if standing and (standing.facts, standing.reason) == (declared, reason):
        return standing
    declaration = SystemDeclaration.objects.create(
        system=system,
        number=standing.number + 1 if standing else 1,
        facts=declared,
        reason=reason,
        declared_by=actor,
        declared_at=at,
    )
    event_record(
        event=LineageEvent.SYSTEM_DECLARED,
        actor=actor_of(actor),
        subject=Subject("system", system.id),
        data={"declaration": declaration.id, "number": declaration.number, "facts": declared, "reason": reason},
        at=at,
    )
    return declaration
