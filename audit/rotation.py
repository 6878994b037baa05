"""Wrapping every person's key under a new generation and destroying the old one, which is how a person is forgotten.

1. Begin: settle which approved erasures are carried out, those whose two entries are in the ledger; add the next
   generation to the key file; wait for transactions that still know the old one alone.
2. Wrap every other person's key again under the new generation, in random order. The old rows stay as they are.
3. Commit to it: look for legal holds a last time, seal anew whom open orders and holds are about.
4. Destroy the old generation in the key file.
5. Delete all rows of the old generation together, and record what was erased.

Killed at any point it is run again and goes on from there. Nothing in the WAL or in a dump tells which rows of the old
generation have none in the new one: no row is deleted by itself, and the order of the new ones is random.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import batched
from secrets import SystemRandom

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from audit.enums import ErasureState, LineageEvent
from audit.erasure import orders_lock
from audit.errors import ErasureError, UnknownEntryError
from audit.models import DataSubject, Erasure, LegalHold
from audit.sealing import MAKING_KEYS_LOCK
from audit.selectors import entry_get, holds_blocking
from audit.services import event_record
from audit.subject_keys import (
    KeyRing,
    generation_add,
    generation_destroy,
    key_ring_lock,
    key_ring_read,
)
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.errors import EventError
from modelnotary.ledger.event import Actor, Event, Subject

BATCH = 1000

type Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        destroyed: The generations that do not exist any more.
        current: The generation that all keys are wrapped under now.
        persons: How many keys were wrapped again.
        erased: The erasures that are complete.
        held: Those that a legal hold set in the meantime stopped.
        unproven: Approved ones whose two entries the ledger does not have; they are not carried out.
        waiting: Approved ones that came too late for this rotation.
    """

    destroyed: tuple[int, ...]
    current: int
    persons: int
    erased: tuple[str, ...]
    held: tuple[str, ...]
    unproven: tuple[str, ...]
    waiting: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """The result as a JSON object."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def subject_keys_rotate(
    *, actor: Actor, at: datetime, tell: Tell = lambda _step, _done, _total: None, batch: int = BATCH
) -> Rotation:
    """Rotate the keys of persons once, or end a rotation that was cut short.

    Args:
        actor: Who is named in the entries.
        at: Now.
        tell: Called with the step, how many of its rows are done, and how many there are.
        batch: Keys wrapped in one transaction.

    Raises:
        SubjectKeysError: The key file cannot be read or written, or another rotation runs.
        ErasureError: The database is at a newer generation than the key file.
    """
    path = settings.SUBJECT_KEYS_FILE
    _require_rights()
    with key_ring_lock(path):
        ring = key_ring_read(path)
        _require_same_history(ring)
        persons = 0
        held: tuple[str, ...] = ()
        if len(ring.generations) > 1 or not _is_cut_short(ring):
            tell("begin", 0, 1)
            if len(ring.generations) == 1:
                _settle(ring.current + 1)  # 1
                ring = generation_add(path)
            _wait_for_makers()
            persons = _wrap_all(ring, tell, batch)  # 2
            held = _commit(ring)  # 3
            tell("destroy", 0, 1)
            for generation in sorted(ring.generations)[:-1]:
                ring = generation_destroy(path, generation)  # 4
        tell("end", 0, 1)
        return _end(ring, actor, at, persons=persons, held=held)  # 5


def _require_rights() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('audit_datasubject', 'DELETE')")
        (may_delete,) = cursor.fetchone()
    if not may_delete:
        raise ErasureError("only the tables' owner may destroy keys: set DJANGO_DATABASE_ROLE=migrator")


def _require_same_history(ring: KeyRing) -> None:
    newest = DataSubject.objects.order_by("-generation").values_list("generation", flat=True).first()
    if newest is not None and newest > ring.current:
        raise ErasureError(
            f"the database has keys of generation {newest}, and the key file ends with {ring.current}: it is an old "
            "copy, and going on would lose every key; bring back the newest key file"
        )


def _is_cut_short(ring: KeyRing) -> bool:
    """Tell whether a rotation destroyed the old generation and did not get to delete its rows."""
    carried_out = _approved().filter(irrevocable=True).count()
    old = DataSubject.objects.filter(generation__lt=ring.current).count()
    if old > carried_out + DataSubject.objects.filter(generation=ring.current).count():
        raise ErasureError(
            f"{old} persons have a key of a generation that was destroyed and none of a newer one: this database was "
            "restored from a backup older than the last rotation; bring back a newer one"
        )
    return bool(old or carried_out)


def _wait_for_makers() -> None:
    """Wait until no transaction can still make a key under the old generation alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING_KEYS_LOCK,))


@transaction.atomic
def _settle(generation: int) -> None:
    """Say which erasures the rotation to a generation carries out; later ones wait for the next."""
    orders_lock()
    proven = [erasure.pk for erasure in _approved() if erasure_is_proven(erasure)]
    Erasure.objects.filter(pk__in=proven).update(rotation=generation)


def _approved() -> QuerySet[Erasure]:
    return Erasure.objects.filter(state=ErasureState.APPROVED)


def erasure_is_proven(erasure: Erasure) -> bool:
    """Tell whether the ledger has the request and the approval, by the two people whom the row names.

    An order that it lacks is not carried out.
    """
    steps = (
        (erasure.request_event, LineageEvent.PRIVACY_ERASURE_REQUESTED, erasure.requested_by),
        (erasure.approval_event, LineageEvent.PRIVACY_ERASURE_APPROVED, erasure.approved_by),
    )
    for event_id, kind, person in steps:
        try:
            event = Event.from_bytes(bytes(entry_get(event_id=event_id or "").bytes))
        except (UnknownEntryError, EventError):
            return False
        if (event.type, event.actor.id, event.subject.id) != (kind.value, person, erasure.id):
            return False
    return True


def _wrap_all(ring: KeyRing, tell: Tell, batch: int) -> int:
    """Wrap the keys of all but the erased again; give how many were wrapped now, not by a rotation cut short before."""
    erased = _lookups_erased(ring)
    old = DataSubject.objects.exclude(generation=ring.current).values_list("pk", flat=True)
    numbers = array("q", old.iterator(chunk_size=10_000))
    # The order of the new rows must not tell which old one each was.
    SystemRandom().shuffle(numbers)
    wrapped = 0
    for done, some in enumerate(batched(numbers, batch, strict=False)):
        tell("wrap", done * batch, len(numbers))
        wrapped += _wrap(ring, some, erased)
    tell("wrap", len(numbers), len(numbers))
    return wrapped


def _lookups_erased(ring: KeyRing) -> set[bytes]:
    carried_out = _approved().filter(rotation=ring.current)
    persons = [ring.person_open(bytes(erasure.person or b"")) for erasure in carried_out]
    return {ring.lookup(generation, person) for person in persons for generation in ring.generations}


@transaction.atomic
def _wrap(ring: KeyRing, numbers: Sequence[int], erased: set[bytes]) -> int:
    rows = DataSubject.objects.in_bulk(numbers)
    fresh: dict[bytes, DataSubject] = {}
    for number in numbers:
        row = rows[number]
        lookup = bytes(row.lookup)
        if lookup not in erased:
            key, person = ring.unwrap(row.generation, bytes(row.wrapped_key), lookup)
            new_lookup, wrapped = ring.wrap(ring.current, key, person)
            fresh[new_lookup] = DataSubject(lookup=new_lookup, generation=ring.current, wrapped_key=wrapped)
    there = set(map(bytes, DataSubject.objects.filter(lookup__in=fresh).values_list("lookup", flat=True)))
    missing = [row for lookup, row in fresh.items() if lookup not in there]
    DataSubject.objects.bulk_create(missing)
    return len(missing)


@transaction.atomic
def _commit(ring: KeyRing) -> tuple[str, ...]:
    """Make the erasures irrevocable but those that are held; let open orders and holds outlive the old generation."""
    orders_lock()
    with connection.cursor() as cursor:
        # What is destroyed next cannot be had again, so this must be on the disk, whatever the server's setting.
        cursor.execute("SET LOCAL synchronous_commit TO 'on'")
    held = []
    for erasure in _approved().filter(rotation=ring.current):
        person = ring.person_open(bytes(erasure.person or b""))
        if not erasure.irrevocable and holds_blocking(person=person):
            held.append(erasure.id)
            erasure.rotation = None
            erasure.save(update_fields=["rotation"])
            lookups = [ring.lookup(generation, person) for generation in ring.generations]
            numbers = DataSubject.objects.filter(lookup__in=lookups).values_list("pk", flat=True)
            _wrap(ring, list(numbers), set())
        elif not erasure.irrevocable:
            erasure.irrevocable = True
            erasure.save(update_fields=["irrevocable"])
    for order in _orders_open():
        order.person = ring.person_seal(ring.person_open(bytes(order.person or b"")))
        order.save(update_fields=["person"])
    return tuple(held)


def _orders_open() -> Iterator[Erasure | LegalHold]:
    yield from Erasure.objects.filter(
        state__in=(ErasureState.REQUESTED, ErasureState.APPROVED), irrevocable=False, person__isnull=False
    )
    yield from LegalHold.objects.filter(released_at=None, person__isnull=False)


@transaction.atomic
def _end(ring: KeyRing, actor: Actor, at: datetime, *, persons: int, held: tuple[str, ...]) -> Rotation:
    orders_lock()
    old = DataSubject.objects.filter(generation__lt=ring.current)
    destroyed = tuple(sorted(set(old.values_list("generation", flat=True)) or {ring.current - 1}))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_datasubject WHERE generation < %s", (ring.current,))
    erased = [_erased(erasure, actor, at, ring.current) for erasure in _approved().filter(irrevocable=True)]
    event_record(
        event=LineageEvent.SUBJECT_KEYS_ROTATED,
        actor=actor,
        subject=Subject("subject_keys", str(ring.current)),
        data={"destroyed": [str(generation) for generation in destroyed]},
        at=at,
    )
    left = [erasure for erasure in _approved() if erasure.pk not in held]
    unproven = tuple(erasure.pk for erasure in left if not erasure_is_proven(erasure))
    return Rotation(
        destroyed=destroyed,
        current=ring.current,
        persons=persons,
        erased=tuple(erased),
        held=held,
        unproven=unproven,
        waiting=tuple(erasure.pk for erasure in left if erasure.pk not in unproven),
    )


def _erased(erasure: Erasure, actor: Actor, at: datetime, generation: int) -> str:
    erasure.state, erasure.person = ErasureState.ERASED, None
    erasure.save(update_fields=["state", "person"])
    event_record(
        event=LineageEvent.PRIVACY_ERASED,
        actor=actor,
        subject=Subject("erasure", erasure.pk),
        data={
            "basis": erasure.basis,
            "requested_by": erasure.requested_by,
            "approved_by": str(erasure.approved_by),
            "generation": generation,
        },
        at=at,
    )
    return erasure.pk
