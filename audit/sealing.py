"""Sealing personal values that events commit to.

An event's transaction writes one row for each value, and for a person never seen before one row with their key. It
changes, locks or refers to no row of a person: that would stand in the WAL and link the person's entries for ever.
Two transactions that meet the same new person take turns by advisory locks, which are in memory only; had they met in
a unique index, the one that came second would have left the same lookup in the WAL as the first.
"""

from django.conf import settings
from django.db import connection

from audit.errors import NoTransactionError, SubjectKeysError
from audit.models import DataSubject, SealedValue
from audit.personal import subject_key_find, subject_keys_find
from audit.subject_keys import KeyRing, SubjectKey, key_ring_read
from modelnotary.ledger.commitment import commit
from modelnotary.ledger.digest import Digest

# Held shared by whoever makes a person's first key; whoever begins a new generation waits for them.
MAKING_KEYS_LOCK = 0x6D6E_0001


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
        SubjectKeysError: The key file cannot be used.
    """
    if not connection.in_atomic_block:
        raise NoTransactionError("a personal value was sealed outside a transaction")
    key = subject_key_find(person=person) or _subject_keys_make({person})[person]
    context = f"{event_id}/{name}".encode()
    SealedValue.objects.create(
        event_id=event_id, name=name, tag=key.tag(context), ciphertext=key.encrypt(value, context)
    )
    return commit(salt=key.salt(context), name=name, value=value)


def persons_prepare(*, persons: set[str]) -> None:
    """Make the missing keys of several persons, always in the same order, so that no two transactions block each other.

    Raises:
        NoTransactionError: Called outside `transaction.atomic()`.
        SubjectKeysError: The key file cannot be used.
    """
    if not connection.in_atomic_block:
        raise NoTransactionError("keys of persons were asked for outside a transaction")
    missing = persons - subject_keys_find(persons=persons).keys()
    if missing:
        _subject_keys_make(missing)


def _subject_keys_make(persons: set[str]) -> dict[str, SubjectKey]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (MAKING_KEYS_LOCK,))
        # Only now: no generation begins or ends until this transaction does.
        ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
        for lock in (lock for person in sorted(persons) for lock in ring.locks(person)):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
    found = subject_keys_find(persons=persons)
    made = {person: SubjectKey.generate() for person in sorted(persons - found.keys())}
    if made:
        _require_not_behind(ring)
        wrapped = [ring.wrap(ring.current, key, person) for person, key in made.items()]
        DataSubject.objects.bulk_create(
            DataSubject(lookup=lookup, generation=ring.current, wrapped_key=secret) for lookup, secret in wrapped
        )
    return found | made


def _require_not_behind(ring: KeyRing) -> None:
    newest = DataSubject.objects.order_by("-generation").values_list("generation", flat=True).first()
    if newest is not None and newest > ring.current:
        raise SubjectKeysError(
            f"this process reads a subject key file that ends with generation {ring.current}, and the database is at "
            f"{newest}: it is an old copy; all processes have to share one file"
        )
