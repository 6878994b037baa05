"""Reading what is sealed about a person: their key, everything about them, and openings for others to check."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.conf import settings

from audit.models import DataSubject, SealedValue
from audit.subject_keys import TAG_BYTES, KeyRing, SubjectKey, key_ring_read

_SCAN_ROWS = 10_000
_FETCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class PersonalValue:
    """A value about a person, with what opens the commitment that its entry holds.

    Attributes:
        event_id: The entry.
        name: The field's name within the entry.
        value: The personal value itself.
        salt: 32 bytes.
    """

    event_id: str
    name: str
    value: str = field(repr=False)
    salt: bytes = field(repr=False)


def subject_key_find(*, person: str) -> SubjectKey | None:
    """Give the key of a person, or None for somebody who has none: never seen, or forgotten.

    Raises:
        SubjectKeysError: The key file cannot be used.
    """
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    found = _find(ring, person)
    if found is None:
        # A generation may have ended between the reading of the file and the question.
        again = key_ring_read(settings.SUBJECT_KEYS_FILE)
        found = None if again == ring else _find(again, person)
    return found


def subject_keys_find(*, persons: set[str]) -> dict[str, SubjectKey]:
    """Give the keys of several persons, with one question to the database; who has none is left out.

    Raises:
        SubjectKeysError: The key file cannot be used.
    """
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    wanted = {
        ring.lookup(generation, person): (generation, person) for generation in ring.generations for person in persons
    }
    found: dict[str, SubjectKey] = {}
    for row in DataSubject.objects.filter(lookup__in=wanted).order_by("generation"):
        lookup = bytes(row.lookup)
        generation, person = wanted[lookup]
        found[person] = ring.unwrap(generation, bytes(row.wrapped_key), lookup)[0]
    return found


def _find(ring: KeyRing, person: str) -> SubjectKey | None:
    lookups = {ring.lookup(generation, person): generation for generation in ring.generations}
    row = DataSubject.objects.filter(lookup__in=lookups).order_by("-generation").first()
    if row is None:
        return None
    lookup = bytes(row.lookup)
    return ring.unwrap(lookups[lookup], bytes(row.wrapped_key), lookup)[0]


def person_values(*, person: str, tell: Callable[[int], None] = lambda _rows: None) -> Iterator[PersonalValue]:
    """Give everything that is sealed about a person, in the order of the events (HIPAA: 45 CFR 164.528).

    Nothing but the person's key tells which rows are theirs, so all are looked at: about a million in two seconds.

    Args:
        person: The identifier, as in the source system.
        tell: Called now and then with the number of rows looked at.

    Raises:
        SubjectKeysError: The key file cannot be used.
    """
    key = subject_key_find(person=person)
    if key is None:
        return
    found: list[tuple[str, str]] = []
    for place in _places(key, tell):
        found.append(place)
        if len(found) == _FETCH_ROWS:
            yield from _opened(key, found)
            found = []
    yield from _opened(key, found)


def _places(key: SubjectKey, tell: Callable[[int], None]) -> Iterator[tuple[str, str]]:
    recogniser = key.recogniser()
    rows = SealedValue.objects.order_by("event_id", "name").values_list("event_id", "name", "tag")
    for number, (event_id, name, tag) in enumerate(rows.iterator(chunk_size=_SCAN_ROWS), 1):
        if hmac.digest(recogniser, f"{event_id}/{name}".encode(), "sha256")[:TAG_BYTES] == bytes(tag):
            yield event_id, name
        if number % _SCAN_ROWS == 0:
            tell(number)


def _opened(key: SubjectKey, places: list[tuple[str, str]]) -> Iterator[PersonalValue]:
    wanted = set(places)
    rows = SealedValue.objects.filter(event_id__in={event_id for event_id, _ in places}).order_by("event_id", "name")
    for sealed in rows:
        if (sealed.event_id, sealed.name) in wanted:
            context = f"{sealed.event_id}/{sealed.name}".encode()
            value = key.decrypt(bytes(sealed.ciphertext), context)
            yield PersonalValue(event_id=sealed.event_id, name=sealed.name, value=value, salt=key.salt(context))
