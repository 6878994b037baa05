"""Proof of who signs, given afresh for each signature by two components (21 CFR 11.200(a)(1)): password and code."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import LockedError, ReauthenticationError
from governance.models import Authenticator, User
from governance.services.authenticator_secrets import secret_open
from governance.services.one_time_codes import step_of
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

METHOD = "password+totp"
FAILURES_ALLOWED = 5
LOCKED_FOR = timedelta(minutes=15)
_WRONG = "the password or the code is missing or wrong; give both afresh for each signature"


@dataclass(frozen=True, slots=True)
class PasswordAndCode:
    """What a person gives to prove who they are; neither is stored.

    Attributes:
        password: The account's password.
        code: The code that the person's authenticator app shows now.
    """

    password: str = field(repr=False)
    code: str = field(repr=False)


def proof_require(*, user: User, proof: PasswordAndCode, at: datetime) -> None:
    """Demand the password and a code that was never used, both now.

    It is a transaction of its own, one at a time for each person: a code stays used and a failure stays counted
    whatever becomes of the signature. Every failure beyond the fifth in a row locks signing for 15 minutes; the next
    proof that is right begins the count anew.

    Raises:
        LockedError: There were too many failures a short time ago.
        ReauthenticationError: Something is missing, wrong or used; nothing tells which of the two components.
    """
    with transaction.atomic():
        locked = user_lock(user)
        require_not_locked(locked, at)
        fault = _fault(locked, proof, at)
        if fault is None:
            failures_forget(locked)
        else:
            failure_count(locked, at)
    if fault is not None:
        raise ReauthenticationError(fault)


def password_require(*, user: User, password: str, at: datetime) -> None:
    """Demand the password alone, where a person has no second component yet; a failure counts like any other.

    Raises:
        LockedError: There were too many failures a short time ago.
        ReauthenticationError: The password is missing or wrong.
    """
    with transaction.atomic():
        locked = user_lock(user)
        require_not_locked(locked, at)
        right = locked.check_password(password)
        if not right:
            failure_count(locked, at)
    if not right:
        raise ReauthenticationError("the password is missing or wrong")


def authenticator_of(user: User) -> Authenticator | None:
    """Give the authenticator that a person signs with, or None."""
    return Authenticator.objects.filter(user=user, enrolled_at__isnull=False, revoked_at__isnull=True).first()


def user_lock(user: User) -> User:
    """Let whoever else proves to be this person wait. What refers to the account need not."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def require_not_locked(user: User, at: datetime) -> None:
    """Refuse while signing is locked."""
    if user.signing_locked_until is not None and at < user.signing_locked_until:
        raise LockedError(
            f"signing is locked for {user.printed_name} until {user.signing_locked_until:%H:%M} UTC "
            "after too many wrong attempts"
        )


def failures_forget(user: User) -> None:
    """Begin the count of failures anew, under the lock of the person."""
    if user.signing_failures:
        user.signing_failures, user.signing_locked_until = 0, None
        user.save(update_fields=["signing_failures", "signing_locked_until"])


def failure_count(user: User, at: datetime) -> None:
    """Count a failure, under the lock of the person; too many lock signing, which the ledger tells."""
    user.signing_failures += 1
    if user.signing_failures >= FAILURES_ALLOWED:
        user.signing_locked_until = at + LOCKED_FOR
        event_record(
            event=LineageEvent.SIGNING_LOCKED,
            actor=actor_of(user),
            subject=Subject("user", user.id),
            data={"failures": user.signing_failures, "until": format_time(user.signing_locked_until)},
            at=at,
        )
    user.save(update_fields=["signing_failures", "signing_locked_until"])


def _fault(user: User, proof: PasswordAndCode, at: datetime) -> str | None:
    """Check both components whatever the first gives, so that no answer and no delay tells which one was wrong."""
    authenticator = authenticator_of(user)
    if authenticator is None:
        raise ReauthenticationError(
            f"{user.printed_name} has no authenticator app yet; enrol one first, under Accounts"
        )
    right = user.check_password(proof.password)
    step = step_of(secret_open(authenticator), proof.code, at=at, after=authenticator.last_step)
    if not right or step is None:
        return _WRONG
    authenticator.last_step = step
    authenticator.save(update_fields=["last_step"])
    return None
