"""Registering passkeys, ending their use, and the proof that one of them signed a statement."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import (
    ConflictError,
    GovernanceError,
    HumanRequiredError,
    ReauthenticationError,
    RejectedInputError,
    SeparationOfDutiesError,
)
from governance.models import Passkey, SigningTicket, User
from governance.services.authenticators import ENROL_WITHIN, REASON_MINIMUM
from governance.services.proofs import (
    PasswordAndCode,
    failure_count,
    failures_forget,
    password_require,
    proof_require,
    require_not_locked,
    user_lock,
)
from modelnotary.attest.errors import PasskeyError
from modelnotary.attest.passkey import Assertion, Registration, RelyingParty, assertion_verify, registration_verify
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Subject
from modelnotary.ledger.text import base64url_text

PASSKEY_METHOD = "passkey"
_NAME_MAXIMUM = 100
_CHALLENGE_BYTES = 32


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What a person gives to sign by passkey.

    Attributes:
        ticket: The statement that was prepared for it.
        credential_id: Which of the person's passkeys answered.
        assertion: Its answer.
    """

    ticket: SigningTicket
    credential_id: bytes = field(repr=False)
    assertion: Assertion = field(repr=False)


def relying_party() -> RelyingParty:
    """Give the domain and the origins that passkeys of this installation are made for.

    Raises:
        RejectedInputError: The installation's address cannot have passkeys.
    """
    try:
        return RelyingParty(settings.PASSKEY_RP_ID, tuple(settings.PASSKEY_ORIGINS))
    except PasskeyError as error:
        raise RejectedInputError(f"this installation can have no passkeys: {error}") from error


def passkeys_of(user: User) -> list[Passkey]:
    """Give the passkeys that a person signs with, for the present domain."""
    return list(
        Passkey.objects.filter(
            user=user, registered_at__isnull=False, revoked_at__isnull=True, rp_id=settings.PASSKEY_RP_ID
        )
    )


def registering_hindrance(*, user: User, passkey: Passkey | None = None, at: datetime | None = None) -> str | None:
    """Say in words why a person cannot begin a passkey, or answer for one that was begun; None when they can."""
    try:
        _require_signer(user)
        relying_party()
        if passkey is not None and at is not None:
            _require_waiting(user, passkey, at)
    except GovernanceError as refusal:
        return str(refusal)
    return None


def passkey_request(*, user: User, name: str, at: datetime) -> Passkey:
    """Make the challenge for a new passkey; it signs once `passkey_register` was given the authenticator's answer.

    Raises:
        HumanRequiredError: A service account or a superuser, who never sign.
        RejectedInputError: It needs a name, or the installation's address cannot have passkeys.
    """
    _require_signer(user)
    name = name.strip()
    if not name or len(name) > _NAME_MAXIMUM:
        raise RejectedInputError(f"/name must tell the device, in 1 to {_NAME_MAXIMUM} characters")
    party = relying_party()
    with transaction.atomic():
        passkey = Passkey.objects.create(
            user=user, name=name, rp_id=party.id, challenge=secrets.token_bytes(_CHALLENGE_BYTES), requested_at=at
        )
        _recorded(LineageEvent.PASSKEY_REQUESTED, passkey, user, at)
    return passkey


def passkey_register(
    *,
    user: User,
    passkey: Passkey,
    authenticator_data: bytes,
    client_data: bytes,
    proof: PasswordAndCode,
    at: datetime,
) -> Passkey:
    """Register a passkey by its authenticator's answer, with password and one-time code as proof of who answers.

    Raises:
        SeparationOfDutiesError: It is somebody else's.
        ConflictError: It waits for no answer, was begun too long ago, or the credential is registered already.
        RejectedInputError: The answer is not what was asked for.
        ReauthenticationError: The proof is missing or wrong.
    """
    _require_waiting(user, passkey, at)
    made = _answer_read(passkey, authenticator_data, client_data)
    proof_require(user=user, proof=proof, at=at)
    with transaction.atomic():
        user_lock(user)
        waiting = Passkey.objects.select_for_update().get(pk=passkey.pk)
        _require_waiting(user, waiting, at)
        if Passkey.objects.filter(credential_id=made.credential_id).exists():
            raise ConflictError("this credential is registered already")
        waiting.credential_id, waiting.public_key = made.credential_id, made.public_key
        waiting.sign_count, waiting.backup_eligible = made.sign_count, made.backup_eligible
        waiting.registered_at = at
        waiting.save()
        _recorded(
            LineageEvent.PASSKEY_REGISTERED,
            waiting,
            user,
            at,
            credential_id=base64url_text(made.credential_id),
            public_key=base64url_text(made.public_key),
            backup_eligible=made.backup_eligible,
        )
    return waiting


def passkey_revoke(*, actor: User, passkey: Passkey, proof: PasswordAndCode, reason: str, at: datetime) -> Passkey:
    """End the use of a passkey: its owner by password and code, an administrator, for a lost one, by password.

    Raises:
        SeparationOfDutiesError: Somebody else tries.
        RejectedInputError: The reason is too short.
        ReauthenticationError: The proof is missing or wrong.
        ConflictError: It is revoked already.
    """
    if actor.pk != passkey.user_id and not actor.is_superuser:
        raise SeparationOfDutiesError("only its owner and an administrator can revoke a passkey")
    if len(reason.strip()) < REASON_MINIMUM:
        raise RejectedInputError(f"/reason must say why in at least {REASON_MINIMUM} characters")
    if actor.is_superuser:
        password_require(user=actor, password=proof.password, at=at)
    else:
        proof_require(user=actor, proof=proof, at=at)
    with transaction.atomic():
        return passkey_end(actor=actor, passkey=passkey, reason=reason.strip(), at=at)


def passkey_end(*, actor: User, passkey: Passkey, reason: str, at: datetime) -> Passkey:
    """Write the end of a passkey's use and tell of it, within the caller's transaction and right.

    Raises:
        ConflictError: It is revoked already.
    """
    current = passkey_lock(passkey)
    if current.revoked_at is not None:
        raise ConflictError("this passkey was revoked already")
    current.revoked_at, current.revoked_by = at, actor
    current.save(update_fields=["revoked_at", "revoked_by"])
    _recorded(LineageEvent.PASSKEY_REVOKED, current, actor, at, reason=reason)
    return current


def passkey_prove(*, user: User, answer: PasskeyAnswer, at: datetime) -> Passkey:
    """Demand that a passkey of this person signed the ticket's statement.

    Like `proof_require` it is a transaction of its own, one at a time for each person: the counter and a failure stay
    counted whatever becomes of the signature, and too many failures lock signing.

    Raises:
        LockedError: There were too many failures a short time ago.
        ReauthenticationError: The passkey is unknown or revoked, its answer is not what was asked for, or its counter
            went back, as that of a copy does.
    """
    with transaction.atomic():
        locked = user_lock(user)
        require_not_locked(locked, at)
        passkey = Passkey.objects.filter(user=user, credential_id=answer.credential_id).select_for_update().first()
        fault = _fault(passkey, answer)
        if fault is None:
            failures_forget(locked)
        else:
            failure_count(locked, at)
    if fault is not None or passkey is None:
        raise ReauthenticationError(f"the passkey did not sign this: {fault}")
    return passkey


def passkey_lock(passkey: Passkey) -> Passkey:
    """Let whoever would change this passkey wait, and read it anew."""
    return Passkey.objects.select_for_update().get(pk=passkey.pk)


def _fault(passkey: Passkey | None, answer: PasskeyAnswer) -> str | None:
    if passkey is None or passkey.public_key is None or passkey.revoked_at is not None:
        return "it is not registered for this person, or was revoked"
    try:
        said = assertion_verify(
            answer.assertion,
            statement=bytes(answer.ticket.statement),
            party=relying_party(),
            public_key=bytes(passkey.public_key),
        )
    except PasskeyError as error:
        return str(error)
    if said.backup_eligible != passkey.backup_eligible:
        return "it may be copied and may not be, which no passkey changes"
    before = passkey.sign_count or 0
    if (said.sign_count or before) and said.sign_count <= before:
        return "its counter went back, as that of a copy does; revoke it"
    passkey.sign_count = said.sign_count
    passkey.save(update_fields=["sign_count"])
    return None


def _require_signer(user: User) -> None:
    if user.is_service or user.is_superuser or not user.is_active:
        raise HumanRequiredError(f"{user.printed_name} never signs and so needs no passkey")


def _require_waiting(user: User, passkey: Passkey, at: datetime) -> None:
    if passkey.user_id != user.pk:
        raise SeparationOfDutiesError("this is somebody else's passkey")
    if passkey.registered_at is not None or passkey.revoked_at is not None:
        raise ConflictError("this passkey waits for no answer")
    if at - passkey.requested_at > ENROL_WITHIN:
        raise ConflictError("this was begun more than ten minutes ago; begin again")


def _answer_read(passkey: Passkey, authenticator_data: bytes, client_data: bytes) -> Registration:
    try:
        return registration_verify(
            authenticator_data, client_data, challenge=bytes(passkey.challenge), party=relying_party()
        )
    except PasskeyError as error:
        raise RejectedInputError(f"the authenticator's answer is not what was asked for: {error}") from error


def _recorded(event: LineageEvent, passkey: Passkey, actor: User, at: datetime, **more: Json) -> None:
    event_record(
        event=event,
        actor=actor_of(actor),
        subject=Subject("passkey", passkey.id),
        data={"user": passkey.user_id, "name": passkey.name, "rp_id": passkey.rp_id, **more},
        at=at,
    )
