"""People who act for the organisation at a step that no machine takes: who they are is proven afresh each time."""

from dataclasses import dataclass

from governance.enums import Role
from governance.errors import HumanRequiredError, ReauthenticationError, SeparationOfDutiesError
from governance.models import User


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer who acts now.

    Attributes:
        user: The account.
        password: Proof of who they are, given afresh for this step; never stored.
    """

    user: User
    password: str


def person_require(user: User, *roles: Role) -> None:
    """Demand an active person who holds one of these roles and is no superuser.

    Raises:
        HumanRequiredError: It is a service account, or not active.
        SeparationOfDutiesError: A superuser, or without such a role.
    """
    if user.is_service or not user.is_active:
        raise HumanRequiredError(f"{user.username} is no person with an active account")
    if user.is_superuser or set(roles).isdisjoint(user.roles):
        raise SeparationOfDutiesError(
            f"{user.printed_name} is not a {' or '.join(role.label.lower() for role in roles)}"
        )


def officer_require(officer: Officer, *roles: Role) -> None:
    """Demand such a person who has just given the password.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: As `person_require`.
        ReauthenticationError: The password is missing or wrong.
    """
    person_require(officer.user, *roles)
    if not officer.user.check_password(officer.password):
        raise ReauthenticationError(
            f"the password of {officer.user.username} is missing or wrong; give it afresh for each step"
        )
