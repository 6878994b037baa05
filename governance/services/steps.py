"""Steps that officers take one at a time: whole or not at all, and a refused attempt leaves its trace in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.db.models import Model as DjangoModel
from django.utils import timezone

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import GovernanceError, RejectedInputError, SeparationOfDutiesError
from governance.models import User
from governance.selectors.scope import unit_of
from governance.services.officers import Officer, administrator_require, officer_require, person_require
from modelnotary.ledger.event import Subject

REASON_MINIMUM = 20
_TEXT_LIMIT = 4000


@contextmanager
def officer_step(
    *,
    officer: Officer,
    roles: tuple[Role, ...],
    step: str,
    subject: Subject,
    at: datetime,
    about: DjangoModel | None = None,
) -> Iterator[None]:
    """Take a step in one transaction, by somebody who may and has just proven who they are.

    A step about a record that belongs to a business unit takes a role that counts there; one about nothing in
    particular takes a role for the whole organisation.

    Raises:
        GovernanceError: The officer may not. What is refused here or inside is recorded by its code.
    """
    with _recorded_step(officer, step, subject, at):
        officer_require(officer, *roles, at=at, unit=unit_of(about) if about else None)
        yield


@contextmanager
def administrator_step(*, officer: Officer, step: str, subject: Subject, at: datetime) -> Iterator[None]:
    """Take a step as `officer_step` does, by an administrator."""
    with _recorded_step(officer, step, subject, at):
        administrator_require(officer)
        yield


@contextmanager
def _recorded_step(officer: Officer, step: str, subject: Subject, at: datetime) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except GovernanceError as refusal:
        with transaction.atomic():
            event_record(
                event=LineageEvent.OFFICER_REFUSED,
                actor=actor_of(officer.user),
                subject=subject,
                data={"code": refusal.code, "step": step},
                at=at,
            )
        raise


def step_hindrance(
    *,
    user: User,
    roles: tuple[Role, ...],
    others: tuple[User | None, ...] = (),
    about: DjangoModel | None = None,
) -> str | None:
    """Say in words why somebody cannot take a step now, as far as it can be known beforehand, or nothing."""
    try:
        person_require(user, *roles, at=timezone.now(), unit=unit_of(about) if about else None)
        other_person_require(user, *others)
    except GovernanceError as refusal:
        return str(refusal)
    return None


def opening_hindrance(*, user: User, roles: tuple[Role, ...]) -> str | None:
    """Say in words why somebody cannot take a step about anything at all, or nothing: what it is about, they name."""
    hindrance = step_hindrance(user=user, roles=roles)
    takes_steps = user.is_active and not (user.is_service or user.is_superuser)
    return None if takes_steps and not set(roles).isdisjoint(user.roles) else hindrance


def other_person_require(user: User, *others: User | None) -> None:
    """Demand somebody else than those who took part before, and than the owner of a service account that did.

    Raises:
        SeparationOfDutiesError: It is one of them.
    """
    for other in others:
        if other is not None and user.pk in {other.pk, other.owner_id}:
            raise SeparationOfDutiesError(
                f"{user.printed_name} took part in this already and so cannot be the second person; ask someone else"
            )


def words_require(text: str, pointer: str, *, at_least: int = REASON_MINIMUM) -> str:
    """Give a text without the space around it.

    Raises:
        RejectedInputError: It is too short to say anything, or too long to be kept.
    """
    words = text.strip()
    if not at_least <= len(words) <= _TEXT_LIMIT:
        raise RejectedInputError(f"{pointer} must have {at_least} to {_TEXT_LIMIT} characters")
    return words
