"""Enrolling an authenticator app, and ending its use."""

from datetime import datetime, timedelta

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import (
    ConflictError,
    HumanRequiredError,
    ReauthenticationError,
    RejectedInputError,
    SeparationOfDutiesError,
)
from governance.models import Authenticator, User
from governance.services.authenticator_secrets import secret_open, secret_seal
from governance.services.one_time_codes import secret_generate, step_of
from governance.services.proofs import PasswordAndCode, authenticator_of, password_require, proof_require, user_lock
from modelnotary.ledger.event import Subject

ENROL_WITHIN = timedelta(minutes=10)
REASON_MINIMUM = 20
_NAME_MAXIMUM = 100


def authenticator_request(*, user: User, name: str, password: str, at: datetime) -> Authenticator:
    """Make the secret of a new authenticator app; it signs once `authenticator_confirm` was given its first code.

    Raises:
        HumanRequiredError: A service account or a superuser, who never sign.
        ConflictError: The person has one already; it has to be revoked first.
        RejectedInputError: It needs a name.
        ReauthenticationError: The password is missing or wrong.
    """
    _require_signer(user)
    name = name.strip()
    if not name or len(name) > _NAME_MAXIMUM:
        raise RejectedInputError(f"/name must tell the device, in 1 to {_NAME_MAXIMUM} characters")
    password_require(user=user, password=password, at=at)
    with transaction.atomic():
        user_lock(user)
        _require_none(user)
        authenticator = Authenticator(user=user, name=name, requested_at=at)
        authenticator.secret = secret_seal(authenticator, secret_generate())
        authenticator.save(force_insert=True)
        _recorded(LineageEvent.AUTHENTICATOR_REQUESTED, authenticator, user, at)
    return authenticator


def authenticator_confirm(*, user: User, authenticator: Authenticator, code: str, at: datetime) -> Authenticator:
    """Enrol an authenticator by its first code, which proves that the app has the secret and the right time.

    Raises:
        SeparationOfDutiesError: It is somebody else's.
        ConflictError: It is enrolled or revoked already, was requested too long ago, or there is another one.
        ReauthenticationError: The code is wrong.
    """
    with transaction.atomic():
        user_lock(user)
        waiting = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        _require_waiting(user, waiting, at)
        _require_none(user)
        step = step_of(secret_open(waiting), code, at=at, after=None)
        if step is None:
            raise ReauthenticationError(
                "this is not the code of now; look whether the device's clock is right, and type the next one"
            )
        waiting.enrolled_at, waiting.last_step = at, step
        waiting.save(update_fields=["enrolled_at", "last_step"])
        _recorded(LineageEvent.AUTHENTICATOR_ENROLLED, waiting, user, at)
    return waiting


def authenticator_revoke(
    *, actor: User, authenticator: Authenticator, proof: PasswordAndCode, reason: str, at: datetime
) -> Authenticator:
    """End the use of an authenticator. Its owner replaces one that works; an administrator ends one that was lost.

    An owner gives password and code, so that a password alone puts no other authenticator in its place; of an
    administrator, who never signs and has no code, the password is asked.

    Raises:
        SeparationOfDutiesError: Somebody else tries.
        RejectedInputError: The reason is too short.
        ReauthenticationError: The proof is missing or wrong.
        ConflictError: It is revoked already.
    """
    if actor.pk != authenticator.user_id and not actor.is_superuser:
        raise SeparationOfDutiesError("only its owner and an administrator can revoke an authenticator")
    if len(reason.strip()) < REASON_MINIMUM:
        raise RejectedInputError(f"/reason must say why in at least {REASON_MINIMUM} characters")
    if actor.is_superuser:
        password_require(user=actor, password=proof.password, at=at)
    else:
        proof_require(user=actor, proof=proof, at=at)
    with transaction.atomic():
        user_lock(authenticator.user)
        return authenticator_end(actor=actor, authenticator=authenticator, reason=reason.strip(), at=at)


def authenticator_end(*, actor: User, authenticator: Authenticator, reason: str, at: datetime) -> Authenticator:
    """Write the end of an authenticator's use and tell of it, within the caller's transaction and right.

    Raises:
        ConflictError: It is revoked already.
    """
    current = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
    if current.revoked_at is not None:
        raise ConflictError("this authenticator was revoked already")
    current.revoked_at, current.revoked_by = at, actor
    current.save(update_fields=["revoked_at", "revoked_by"])
    _recorded(LineageEvent.AUTHENTICATOR_REVOKED, current, actor, at, reason=reason)
    return current


def enrolment_hindrance(*, user: User) -> str | None:
    """Say in words why a person cannot enrol an authenticator, or nothing."""
    try:
        _require_signer(user)
        _require_none(user)
    except (HumanRequiredError, ConflictError) as refusal:
        return str(refusal)
    return None


def confirmation_hindrance(*, user: User, authenticator: Authenticator, at: datetime) -> str | None:
    """Say in words why a person cannot give an authenticator's first code, or nothing."""
    try:
        _require_waiting(user, authenticator, at)
        _require_none(user)
    except (SeparationOfDutiesError, ConflictError) as refusal:
        return str(refusal)
    return None


def _require_signer(user: User) -> None:
    if user.is_service or user.is_superuser or not user.is_active:
        raise HumanRequiredError(f"{user.printed_name} never signs and so needs no authenticator")


def _require_none(user: User) -> None:
    current = authenticator_of(user)
    if current is not None:
        raise ConflictError(f'{user.printed_name} signs with the authenticator "{current.name}"; revoke that one first')


def _require_waiting(user: User, authenticator: Authenticator, at: datetime) -> None:
    if authenticator.user_id != user.pk:
        raise SeparationOfDutiesError("this is somebody else's authenticator")
    if authenticator.enrolled_at is not None or authenticator.revoked_at is not None:
        raise ConflictError("this authenticator waits for no code")
    if at - authenticator.requested_at > ENROL_WITHIN:
        raise ConflictError("this was begun more than ten minutes ago; begin again")


def _recorded(event: LineageEvent, authenticator: Authenticator, actor: User, at: datetime, **more: str) -> None:
    event_record(
        event=event,
        actor=actor_of(actor),
        subject=Subject("authenticator", authenticator.id),
        data={"user": authenticator.user_id, "name": authenticator.name, **more},
        at=at,
    )
