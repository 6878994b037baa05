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


def officer_require(officer: Officer, *roles: Role) -> None:
    """Demand a person who holds one of these roles, is no superuser, and has just given the password.

    Raises:
        HumanRequiredError: It is a service account, or not active.
        SeparationOfDutiesError: A superuser, or without such a role.
        ReauthenticationError: The password is missing or wrong.
    """
    user = officer.user
    if user.is_service or not user.is_active:
        raise HumanRequiredError(f"{user.username} is no person with an active account")
    if user.is_superuser or set(roles).isdisjoint(user.roles):
        raise SeparationOfDutiesError(
            f"{user.printed_name} is not a {' or '.join(role.label.lower() for role in roles)}"
        )
    if not user.check_password(officer.password):
        raise ReauthenticationError(
            f"the password of {user.username} is missing or wrong; give it afresh for each step"
        )
