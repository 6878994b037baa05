"""People who act for the organisation at a step that no machine takes: who they are is proven afresh each time."""

from dataclasses import dataclass
from datetime import datetime

from governance.enums import Role
from governance.errors import HumanRequiredError, ReauthenticationError, SeparationOfDutiesError
from governance.models import User
from governance.selectors.people import roles_at


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer who acts now.

    Attributes:
        user: The account.
        password: Proof of who they are, given afresh for this step; never stored.
    """

    user: User
    password: str


def person_require(user: User, *roles: Role, at: datetime, unit: str | None = None) -> None:
    """Demand an active person who holds one of these roles for a business unit at this moment and is no superuser.

    Raises:
        HumanRequiredError: It is a service account, or not active.
        SeparationOfDutiesError: A superuser, or without such a role.
    """
    if user.is_service or not user.is_active:
        raise HumanRequiredError(f"{user.username} is no person with an active account")
    elsewhere = "" if set(roles).isdisjoint(user.roles) else " for what this belongs to"
    if user.is_superuser or roles_at(user=user, at=at, unit=unit).isdisjoint(roles):
        raise SeparationOfDutiesError(
            f"{user.printed_name} is not a {' or '.join(role.label.lower() for role in roles)}{elsewhere}"
        )


def officer_require(officer: Officer, *roles: Role, at: datetime, unit: str | None = None) -> None:
    """Demand such a person who has just given the password.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: As `person_require`.
        ReauthenticationError: The password is missing or wrong.
    """
    person_require(officer.user, *roles, at=at, unit=unit)
    _require_password(officer)


def administrator_require(officer: Officer) -> None:
    """Demand somebody who administers the installation and has just given the password.

    Raises:
        SeparationOfDutiesError: It is no administrator.
        ReauthenticationError: The password is missing or wrong.
    """
    if hindrance := administrator_hindrance(user=officer.user):
        raise SeparationOfDutiesError(hindrance)
    _require_password(officer)


def administrator_hindrance(*, user: User) -> str | None:
    """Say in words why somebody cannot take an administrator's step, or nothing."""
    if user.is_superuser and user.is_active and not user.is_service:
        return None
    return f"{user.printed_name} is not an administrator"


def _require_password(officer: Officer) -> None:
    if not officer.user.check_password(officer.password):
        raise ReauthenticationError(
            f"the password of {officer.user.username} is missing or wrong; give it afresh for each step"
        )
