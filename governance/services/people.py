"""People, service accounts and tokens."""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import PEOPLE_ONLY, Role, Scope
from governance.errors import ConflictError, HumanRequiredError, RejectedInputError, TokenError
from governance.models import ApiToken, BusinessUnit, User
from governance.services.grants import roles_begin
from modelnotary.ledger.event import Actor, Subject
from modelnotary.times import format_time

TOKEN_PREFIX = "mn"  # noqa: S105 - it marks a token in a leak scanner, it is no secret
_LAST_USED_EVERY = timedelta(minutes=1)
_TOKEN = re.compile(
    rf"(?P<body>{TOKEN_PREFIX}_(?P<key_id>[0-9a-f]{{12}})_(?P<secret>[\w-]{{43}}))(?P<checksum>[0-9a-f]{{8}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with its text, which is never shown again."""

    token: ApiToken
    text: str


@transaction.atomic
def person_create(
    *,
    actor: Actor,
    username: str,
    full_name: str,
    email: str,
    password: str,
    roles: list[Role],
    at: datetime,
    unit: BusinessUnit | None = None,
) -> User:
    """Create a person who can sign in and sign, with the roles that the account comes with, for a unit or everywhere.

    Raises:
        ConflictError: The user name is taken.
        RejectedInputError: The password is too weak.
        SeparationOfDutiesError: The roles are of different lines of duty.
    """
    if User.objects.filter(username=username).exists():
        raise ConflictError(f'the user name "{username}" is taken')
    first, _, last = full_name.partition(" ")
    user = User(username=username, first_name=first, last_name=last, email=email, is_staff=True)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise RejectedInputError(f"the password is too weak: {' '.join(error.messages)}") from error
    user.set_password(password)
    user.save()
    roles_begin(person=user, roles=roles, unit=unit, at=at)
    _user_recorded(user, actor, at, roles, unit)
    return user


@transaction.atomic
def administrator_create(*, actor: Actor, username: str, password: str, at: datetime) -> User:
    """Create an account that administers the installation; it can never sign an approval."""
    user = User.objects.create_superuser(username=username, email="", password=password, first_name="Administrator")
    _user_recorded(user, actor, at)
    return user


@transaction.atomic
def service_account_create(
    *, actor: Actor, username: str, owner: User, at: datetime, unit: BusinessUnit | None = None
) -> User:
    """Create a service account that a person answers for; it can neither sign in nor sign.

    With a business unit it sees and registers what belongs to that unit, and what belongs to the whole organisation.

    Raises:
        ConflictError: The user name is taken.
        HumanRequiredError: The owner is a service account itself.
    """
    if owner.is_service:
        raise HumanRequiredError("a service account's owner must be a person")
    if User.objects.filter(username=username).exists():
        raise ConflictError(f'the user name "{username}" is taken')
    user = User(username=username, is_service=True, owner=owner, business_unit=unit)
    user.set_unusable_password()
    user.save()
    _user_recorded(user, actor, at, (), unit)
    return user


def _user_recorded(
    user: User, actor: Actor, at: datetime, roles: Sequence[Role] = (), unit: BusinessUnit | None = None
) -> None:
    event_record(
        event=LineageEvent.USER_CREATED,
        actor=actor,
        subject=Subject("user", user.id),
        data={
            "username": user.username,
            "roles": list(roles),
            "business_unit": unit.id if unit else None,
            "service": user.is_service,
            "owner": user.owner_id,
        },
        at=at,
    )


@transaction.atomic
def token_create(
    *, actor: Actor, user: User, name: str, scopes: list[Scope], expires_at: datetime, at: datetime
) -> NewToken:
    """Make a token. Its secret is returned once; only its keyed hash is stored.

    Raises:
        ConflictError: The account is closed.
        HumanRequiredError: A service account asks for a scope that only a person can use.
    """
    if not user.is_active:
        raise ConflictError(f"the account {user.username} is closed")
    if user.is_service and (for_people := sorted(PEOPLE_ONLY.intersection(scopes))):
        raise HumanRequiredError(f"{', '.join(for_people)} is for people; {user.username} is a service account")
    pepper_id, pepper = _pepper()
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        key_id=key_id,
        pepper_id=pepper_id,
        digest=_digest(pepper, secret),
        user=user,
        name=name,
        scopes=list(scopes),
        created_at=at,
        expires_at=expires_at,
    )
    event_record(
        event=LineageEvent.TOKEN_CREATED,
        actor=actor,
        subject=Subject("token", token.id),
        data={"user": user.id, "name": name, "scopes": list(scopes), "expires_at": format_time(expires_at)},
        at=at,
    )
    body = f"{TOKEN_PREFIX}_{key_id}_{secret}"
    return NewToken(token=token, text=body + _checksum(body))


@transaction.atomic
def token_revoke(*, actor: User, token: ApiToken, at: datetime) -> None:
    """End a token's life now."""
    locked = ApiToken.objects.select_for_update().get(pk=token.pk)
    if locked.revoked_at is not None:
        return
    locked.revoked_at = at
    locked.save(update_fields=["revoked_at"])
    event_record(
        event=LineageEvent.TOKEN_REVOKED, actor=actor_of(actor), subject=Subject("token", token.id), data={}, at=at
    )


def token_authenticate(*, text: str, at: datetime) -> ApiToken:
    """Give the token that a bearer presents.

    Raises:
        TokenError: Malformed, unknown, wrong, expired or revoked; unknown and wrong read the same.
    """
    parts = _TOKEN.fullmatch(text)
    if parts is None or parts["checksum"] != _checksum(parts["body"]):
        raise TokenError("this is not a token of Model Notary, or it was cut off when copied")
    token = ApiToken.objects.select_related("user", "user__owner").filter(key_id=parts["key_id"]).first()
    pepper_id, pepper = _pepper()
    digest = _digest(pepper, parts["secret"])
    if token is None or token.pepper_id != pepper_id or not hmac.compare_digest(token.digest, digest):
        raise TokenError("unknown token")
    if token.revoked_at is not None or not token.user.is_active:
        raise TokenError("the token was revoked")
    if token.expires_at <= at:
        raise TokenError(f"the token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC; create a new one")
    if token.last_used_at is None or at - token.last_used_at > _LAST_USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=at)
    return token


def _pepper() -> tuple[int, bytes]:
    number, _, value = settings.TOKEN_PEPPER.partition(":")
    return int(number), bytes.fromhex(value)


def _digest(pepper: bytes, secret: str) -> str:
    return hmac.digest(pepper, secret.encode(), hashlib.sha256).hex()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
