"""Writing to the ledger: one function for events, one for personal values that an event commits to."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import connection

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import NoTransactionError
from audit.models import DataSubject, SealedValue
from modelnotary.ids import new_id
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.commitment import SALT_BYTES, commit
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Event, Subject

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: the event's id, and its row in ledger.body (its place in the log comes later)."""

    event_id: str
    body_id: int


def event_record(
    *,
    event: LineageEvent | AccessEvent,
    actor: Actor,
    subject: Subject,
    data: dict[str, Json],
    at: datetime,
    event_id: str | None = None,
) -> Recorded:
    """Write an event in the caller's transaction, so that it commits with the change it tells of, or not at all.

    The log follows from the kind of event: governance facts go to `lineage`, accesses to `access`.

    Raises:
        NoTransactionError: Called outside `transaction.atomic()`.
    """
    if not connection.in_atomic_block:
        raise NoTransactionError(
            f"{event} was recorded outside a transaction; wrap the change and its event in atomic()"
        )
    log = Log.LINEAGE if isinstance(event, LineageEvent) else Log.ACCESS
    identity = event_id or new_id("evt", at=at)
    record = Event(log=log.value, type=event.value, id=identity, at=at, actor=actor, subject=subject, data=data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger.append(%s, %s)", (log.value, record.to_bytes()))
        (body_id,) = cursor.fetchone()
    return Recorded(event_id=identity, body_id=body_id)


def value_seal(*, person: str, event_id: str, name: str, value: str) -> Digest:
    """Keep a personal value encrypted under the key of the person it is about; return what the event may hold of it.

    The salt is derived from the person's key, so destroying that key makes the commitment unlinkable too.

    Args:
        person: The data subject's identifier in the source system, for instance a patient number.
        event_id: The event that will carry the commitment.
        name: The field's name within the event.
        value: The personal value.

    Raises:
        NoTransactionError: Called outside `transaction.atomic()`.
    """
    if not connection.in_atomic_block:
        raise NoTransactionError("a personal value was sealed outside a transaction")
    data_subject, key = _subject_key(person)
    context = f"{event_id}/{name}".encode()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = nonce + AESGCM(_derive(key, b"value")).encrypt(nonce, value.encode(), context)
    SealedValue.objects.create(event_id=event_id, name=name, subject=data_subject, ciphertext=ciphertext)
    salt = hmac.digest(_derive(key, b"salt"), context, "sha256")
    assert len(salt) == SALT_BYTES
    return commit(salt=salt, name=name, value=value)


def _subject_key(person: str) -> tuple[DataSubject, bytes]:
    kek = bytes.fromhex(settings.SUBJECT_KEK)
    lookup = hmac.digest(_derive(kek, b"lookup"), person.encode(), "sha256")
    nonce, key = secrets.token_bytes(_NONCE_BYTES), secrets.token_bytes(32)
    wrapping = AESGCM(_derive(kek, b"wrap"))
    data_subject, _ = DataSubject.objects.get_or_create(
        lookup=lookup, defaults={"wrapped_key": nonce + wrapping.encrypt(nonce, key, lookup)}
    )
    wrapped = bytes(data_subject.wrapped_key)
    return data_subject, wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], lookup)


def _derive(key: bytes, purpose: bytes) -> bytes:
    """Give a key its own use, so that no key serves two."""
    return hmac.digest(key, b"modelnotary/v1/" + purpose, hashlib.sha256)
