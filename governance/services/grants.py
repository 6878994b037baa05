"""Roles: an administrator proposes who holds one, an officer confirms it; either takes one away at once."""

from datetime import datetime, timedelta

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import DUTY_LINES, GrantOrigin, Role
from governance.errors import ConflictError, HumanRequiredError, RejectedInputError, SeparationOfDutiesError
from governance.models import BusinessUnit, RoleGrant, RoleProposal, User
from governance.selectors.people import duty_conflict, grants_at
from governance.services.officers import Officer, administrator_hindrance
from governance.services.proofs import user_lock
from governance.services.steps import (
    administrator_step,
    officer_step,
    other_person_require,
    step_hindrance,
    words_require,
)
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

CONFIRMERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
PROPOSAL_STANDS = timedelta(days=7)
ENGAGEMENT_LIMIT = timedelta(days=365)


def role_propose(
    *,
    officer: Officer,
    person: User,
    role: Role,
    ends_at: datetime | None,
    reason: str,
    at: datetime,
    unit: BusinessUnit | None = None,
) -> RoleProposal:
    """Propose that somebody hold a role; an officer confirms it.

    Args:
        officer: The administrator who proposes.
        person: Who shall hold the role.
        role: The role.
        ends_at: When it shall end by itself, or None.
        reason: Why.
        at: The moment.
        unit: Where the role shall count, or None: everywhere.

    The role of an auditor is an engagement: it has an end, a year ahead at most, and its reason is the purpose.

    Raises:
        GovernanceError: It is no administrator, the reason says nothing, the end lies in the past, or this person
            cannot hold the role: no active person, an administrator, holds it already, or one of another line of duty.
    """
    with administrator_step(officer=officer, step="role.propose", subject=Subject("user", person.id), at=at):
        _require_end(role, ends_at, at)
        user_lock(person)
        require_role_possible(person, role, unit, since=at, until=ends_at)
        proposal = RoleProposal.objects.create(
            person=person,
            role=role,
            business_unit=unit,
            ends_at=ends_at,
            reason=words_require(reason, "/reason"),
            proposed_by=officer.user,
            proposed_at=at,
        )
        told: dict[str, Json] = {"reason": proposal.reason, "ends_at": format_time(ends_at) if ends_at else None}
        _record(LineageEvent.ROLE_PROPOSED, proposal, officer.user, told, at)
    return proposal


def role_confirm(*, officer: Officer, proposal: RoleProposal, at: datetime) -> RoleGrant:
    """Grant what an administrator proposed; the role is held from this moment.

    Raises:
        GovernanceError: The officer may not, proposed it or is the one it is for; the proposal is too old or was
            confirmed already; or this person cannot hold the role any more.
    """
    subject = Subject("role_proposal", proposal.id)
    with officer_step(officer=officer, roles=CONFIRMERS, step="role.confirm", subject=subject, at=at, about=proposal):
        _require_not_own(officer.user, proposal)
        other_person_require(officer.user, proposal.proposed_by)
        user_lock(proposal.person)
        _require_fresh(proposal, at)
        role = Role(proposal.role)
        _require_end(role, proposal.ends_at, at)
        require_role_possible(proposal.person, role, proposal.business_unit, since=at, until=proposal.ends_at)
        grant = RoleGrant.objects.create(
            person=proposal.person,
            role=role,
            business_unit=proposal.business_unit,
            origin=GrantOrigin.OFFICERS,
            valid_from=at,
            valid_to=proposal.ends_at,
            proposal=proposal,
            confirmed_by=officer.user,
        )
        told: dict[str, Json] = {"proposal": proposal.id, "proposed_by": proposal.proposed_by_id}
        _record(LineageEvent.ROLE_GRANTED, grant, officer.user, told, at)
    return grant


def role_end(*, officer: Officer, grant: RoleGrant, reason: str, at: datetime) -> RoleGrant:
    """Take a role away, at once: one administrator or officer does.

    Raises:
        GovernanceError: It is neither, the reason says nothing, or the role is not in force.
    """
    subject = Subject("role_grant", grant.id)
    step = (
        administrator_step(officer=officer, step="role.end", subject=subject, at=at)
        if officer.user.is_superuser
        else officer_step(officer=officer, roles=CONFIRMERS, step="role.end", subject=subject, at=at, about=grant)
    )
    with step:
        return grant_end(actor=officer.user, grant=grant, reason=words_require(reason, "/reason"), at=at)


def grant_end(*, actor: User, grant: RoleGrant, reason: str, at: datetime) -> RoleGrant:
    """Write the end of a grant and tell of it, within the caller's transaction and right.

    Raises:
        ConflictError: It is not in force.
    """
    current = RoleGrant.objects.select_for_update().select_related("person").get(pk=grant.pk)
    if not current.in_force(at) or current.ended_by_id is not None:
        raise ConflictError(f"{current} is not in force")
    current.valid_to, current.ended_by, current.end_reason = at, actor, reason
    current.save(update_fields=["valid_to", "ended_by", "end_reason"])
    _record(LineageEvent.ROLE_ENDED, current, actor, {"reason": reason}, at)
    return current


def roles_begin(*, person: User, roles: list[Role], at: datetime, unit: BusinessUnit | None = None) -> None:
    """Give a new account the roles that it comes with, an auditor's for a year. The event of the account tells of them.

    Raises:
        SeparationOfDutiesError: They are of different lines of duty.
    """
    for role in dict.fromkeys(roles):
        until = at + ENGAGEMENT_LIMIT if role is Role.AUDITOR else None
        require_role_possible(person, role, unit, since=at, until=until)
        RoleGrant.objects.create(
            person=person,
            role=role,
            business_unit=unit,
            origin=GrantOrigin.ACCOUNT,
            valid_from=at,
            valid_to=until,
        )


def _require_end(role: Role, ends_at: datetime | None, at: datetime) -> None:
    if ends_at is not None and ends_at <= at:
        raise RejectedInputError("/ends_at must be in the future")
    if role is Role.AUDITOR and (ends_at is None or ends_at > at + ENGAGEMENT_LIMIT):
        raise RejectedInputError(f"/ends_at must end an auditor's engagement within {ENGAGEMENT_LIMIT.days} days")


def require_role_possible(
    person: User, role: Role, unit: BusinessUnit | None, *, since: datetime, until: datetime | None
) -> None:
    """Demand that somebody can hold a role for a time.

    Raises:
        HumanRequiredError: It is a service account, or not active.
        SeparationOfDutiesError: An administrator, or somebody who holds a role of another line of duty then.
        ConflictError: The person holds it there already.
    """
    if person.is_service or not person.is_active:
        raise HumanRequiredError(f"{person.username} is no person with an active account")
    if person.is_superuser:
        raise SeparationOfDutiesError("an administrator can change the rules and so holds no role under them")
    if grants_at(at=since).filter(person=person, role=role, business_unit=unit).exists():
        raise ConflictError(f"{person.printed_name} holds the role {role.label} there already")
    if other := duty_conflict(user=person, role=role, since=since, until=until):
        held, wanted = (DUTY_LINES[Role(item)].label.lower() for item in (other.role, role))
        raise SeparationOfDutiesError(
            f"{person.printed_name} holds the role {other.get_role_display()} ({held}) and so cannot hold "
            f"{role.label} ({wanted}); one person holds roles of one line of duty"
        )


def proposing_hindrance(*, user: User, person: User) -> str | None:
    """Say in words why somebody cannot propose a role for a person, as far as it can be known beforehand."""
    if hindrance := administrator_hindrance(user=user):
        return hindrance
    if person.is_service or person.is_superuser or not person.is_active:
        return f"{person.printed_name} is no person with an active account who could hold a role"
    return None


def confirming_hindrance(*, user: User, proposal: RoleProposal, at: datetime) -> str | None:
    """Say in words why somebody cannot confirm a proposal, as far as it can be known beforehand, or nothing."""
    if hindrance := step_hindrance(user=user, roles=CONFIRMERS, others=(proposal.proposed_by,), about=proposal):
        return hindrance
    try:
        _require_not_own(user, proposal)
        _require_fresh(proposal, at)
    except (SeparationOfDutiesError, ConflictError) as refusal:
        return str(refusal)
    return None


def ending_hindrance(*, user: User, grant: RoleGrant, at: datetime) -> str | None:
    """Say in words why somebody cannot take a role away, or nothing."""
    if not grant.in_force(at) or grant.ended_by_id is not None:
        return "it is not in force"
    return administrator_hindrance(user=user) and step_hindrance(user=user, roles=CONFIRMERS, about=grant)


def _require_not_own(user: User, proposal: RoleProposal) -> None:
    if user.pk == proposal.person_id:
        raise SeparationOfDutiesError("nobody confirms a role of their own; ask another officer")


def _require_fresh(proposal: RoleProposal, at: datetime) -> None:
    if RoleGrant.objects.filter(proposal=proposal).exists():
        raise ConflictError(f"{proposal.id} was confirmed already")
    if at - proposal.proposed_at > PROPOSAL_STANDS:
        raise ConflictError(f"{proposal.id} was proposed more than {PROPOSAL_STANDS.days} days ago; propose it again")


def _record(
    event: LineageEvent, about: RoleGrant | RoleProposal, actor: User, more: dict[str, Json], at: datetime
) -> None:
    event_record(
        event=event,
        actor=actor_of(actor),
        subject=Subject("role_grant" if isinstance(about, RoleGrant) else "role_proposal", about.id),
        data={"person": about.person_id, "role": about.role, "business_unit": about.business_unit_id, **more},
        at=at,
    )
