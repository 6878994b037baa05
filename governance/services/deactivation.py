"""Closing an account: never deleted, and from that moment it signs in nowhere, calls nothing and holds nothing."""

from datetime import datetime

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import ConflictError, SeparationOfDutiesError
from governance.models import ApiToken, Authenticator, Deactivation, Passkey, User
from governance.selectors.handover import publishers_left
from governance.selectors.people import grants_at
from governance.services.authenticators import authenticator_end
from governance.services.grants import grant_end
from governance.services.locks import name_lock
from governance.services.officers import Officer, administrator_hindrance
from governance.services.passkeys import passkey_end
from governance.services.people import token_revoke
from governance.services.proofs import user_lock
from governance.services.steps import administrator_step, words_require
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Subject

_LOCK = "governance.administrators"
PUBLISHERS_WANTED = 2


def account_deactivate(*, officer: Officer, user: User, reason: str, at: datetime) -> Deactivation:
    """Close an account, for good. What it signed, registered and owned stays as it is.

    Its roles end, its tokens, authenticators and passkeys are revoked, and its sessions with its password.

    Args:
        officer: The administrator who closes it.
        user: The account: a person, a service account or another administrator.
        reason: Why.
        at: The moment.

    Raises:
        GovernanceError: It is no administrator, the account is the officer's own, that of the last administrator, or
            closed already; or the reason says nothing.
    """
    with administrator_step(officer=officer, step="account.deactivate", subject=Subject("user", user.id), at=at):
        name_lock(_LOCK)
        current = user_lock(user)
        _require_closable(officer.user, current)
        words = words_require(reason, "/reason")
        ended = _everything_end(officer.user, current, words, at)
        current.is_active = False
        current.set_unusable_password()
        current.save(update_fields=["is_active", "password"])
        deactivation = Deactivation.objects.create(user=current, reason=words, deactivated_by=officer.user, at=at)
        event_record(
            event=LineageEvent.USER_DEACTIVATED,
            actor=actor_of(officer.user),
            subject=Subject("user", current.id),
            data={"reason": words, "ended": ended},
            at=at,
        )
    return deactivation


def deactivation_hindrance(*, user: User, other: User) -> str | None:
    """Say in words why somebody cannot close an account, as far as it can be known beforehand, or nothing."""
    if hindrance := administrator_hindrance(user=user):
        return hindrance
    try:
        _require_closable(user, other)
    except (ConflictError, SeparationOfDutiesError) as refusal:
        return str(refusal)
    return None


def deactivation_warning(*, user: User, at: datetime) -> str | None:
    """Say in words what an installation can no longer do once an account is closed, or nothing."""
    left = publishers_left(without=user, at=at)
    if left is None or left >= PUBLISHERS_WANTED:
        return None
    return (
        f"Without this account {left} of the {PUBLISHERS_WANTED} people remain that it takes to publish policies "
        "and to put them in force. Grant somebody else a role first."
    )


def _require_closable(by: User, user: User) -> None:
    if not user.is_active:
        raise ConflictError(f"the account {user.username} is closed already")
    if by.pk == user.pk:
        raise SeparationOfDutiesError("nobody closes their own account; ask another administrator")
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_superuser and not others.exists():
        raise ConflictError("this is the last administrator; make another one first")


def _everything_end(by: User, user: User, reason: str, at: datetime) -> list[Json]:
    """End what the account holds, and give the ids of it."""
    grants = grants_at(at=at).filter(person=user, ended_by=None)
    tokens = list(ApiToken.objects.filter(user=user, revoked_at=None, expires_at__gt=at))
    authenticators = Authenticator.objects.filter(user=user, revoked_at=None)
    passkeys = Passkey.objects.filter(user=user, revoked_at=None)
    for token in tokens:
        token_revoke(actor=by, token=token, at=at)
    return [
        *(grant_end(actor=by, grant=grant, reason=reason, at=at).id for grant in grants),
        *(token.id for token in tokens),
        *(authenticator_end(actor=by, authenticator=item, reason=reason, at=at).id for item in authenticators),
        *(passkey_end(actor=by, passkey=item, reason=reason, at=at).id for item in passkeys),
    ]
