"""Who may say that a restored log goes on: two officers, each of whom proves afresh who they are."""

from collections.abc import Sequence
from datetime import datetime

from governance.actors import actor_of
from governance.enums import Role
from governance.errors import SeparationOfDutiesError
from governance.services.officers import Officer, officer_require
from modelnotary.ledger.event import Actor
from modelnotary.ledger.incarnation import APPROVERS


def restore_approvers(*, officers: Sequence[Officer], at: datetime) -> list[Actor]:
    """Give the people who approve, as the ledger names them.

    Raises:
        GovernanceError: They are not two different people with active accounts, officers, and their own passwords.
    """
    if len({officer.user.pk for officer in officers}) != APPROVERS or len(officers) != APPROVERS:
        raise SeparationOfDutiesError(f"it takes {APPROVERS} different people to approve")
    for officer in officers:
        officer_require(officer, Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY, at=at)
    return [actor_of(officer.user) for officer in officers]
