"""What can be searched is compared with the bytes letter by letter, and never less strictly than by reading them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.searchable import Searchable, searchable_agrees, searchable_read, time_text
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import ACTOR_KINDS, Actor, Event, Subject
from modelnotary.times import format_time

DIGEST = "sha256:" + "ab" * 32
SAID: Searchable = (
    "evt_1",
    "system.registered",
    "2026-11-21T10:00:00.000000Z",
    "usr_1",
    "Olivia Grant",
    "system",
    "sys_1",
    DIGEST,
)
ENTRY = json.dumps(
    {
        "actor": {"id": "usr_1", "kind": "person", "name": "Olivia Grant"},
        "at": "2026-11-21T10:00:00.000000Z",
        "data": {"id": "inner", "n": 3},
        "id": "evt_1",
        "log": "lineage",
        "subject": {"digest": DIGEST, "id": "sys_1", "kind": "system"},
        "type": "system.registered",
        "v": 1,
    },
    separators=(",", ":"),
).encode()
OTHER_ACTOR = b'"actor":{"id":"usr_2","kind":"person","name":"Mallory"}'

# How an entry can say something else than its beginning and its end do, or say it in another spelling.
ENTRIES: dict[str, tuple[bytes, bool]] = {
    "as it should be": (ENTRY, True),
    "spaces, as no entry has them": (ENTRY.replace(b",", b", "), True),
    "another order of members": (json.dumps(dict(reversed(json.loads(ENTRY).items()))).encode(), True),
    "an escaped letter": (ENTRY.replace(b"Olivia", rb"\u004flivia"), True),
    "a second actor behind the data": (ENTRY.replace(b',"id":"evt_1"', b"," + OTHER_ACTOR + b',"id":"evt_1"'), False),
    "a second actor within what looks like the data": (
        ENTRY.replace(b'"n":3}', b'"n":3},' + OTHER_ACTOR + b',"data":{}'),
        False,
    ),
    "a second actor, its name escaped": (
        ENTRY.replace(b'"n":3}', b'"n":3},' + OTHER_ACTOR.replace(b"actor", rb"\u0061ctor") + b',"data":{}'),
        False,
    ),
    "a second actor with the same name before": (ENTRY.replace(b"{", b"{" + OTHER_ACTOR + b",", 1), True),
    "data that is no JSON": (ENTRY.replace(b'"n":3', b'"n":'), False),
    "data that never ends": (ENTRY.replace(b'"n":3}', b'"n":{}'), False),
    "bytes that are no text": (ENTRY.replace(b"inner", b"\xff\xfe"), False),
    "another log": (ENTRY.replace(b"lineage", b"access"), False),
    "nothing": (b"", False),
    "a number": (b"12", False),
    "nested too deeply": (ENTRY.replace(b'"n":3', b'"n":' + b"[" * 30_000 + b"]" * 30_000), False),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_columns_agree_with_what_a_reader_of_the_entry_would_see(name: str) -> None:
    entry, agrees = ENTRIES[name]
    assert searchable_agrees(entry, "lineage", SAID) is agrees
    assert (searchable_read(entry, "lineage") == SAID) is agrees


@pytest.mark.parametrize("place", range(len(SAID)))
@pytest.mark.parametrize("value", ["", "other", "Olivia Grant", None])
def test_any_other_column_does_not_agree(place: int, value: str | None) -> None:
    said = (*SAID[:place], value, *SAID[place + 1 :])
    assert searchable_agrees(ENTRY, "lineage", said) is (said == SAID)  # type: ignore[arg-type]


def test_a_column_cannot_spell_its_way_into_the_next_one() -> None:
    entry = ENTRY.replace(b'"name":"Olivia Grant"', b'"name":"x","name":"Olivia Grant"')
    said = (*SAID[:4], 'x","name":"Olivia Grant', *SAID[5:])
    assert not searchable_agrees(entry, "lineage", said)
    assert searchable_agrees(entry, "lineage", SAID)


_LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(name=_LINES, actor=_LINES, subject=_LINES, kind=st.sampled_from(ACTOR_KINDS), digest=st.booleans())
def test_every_event_agrees_with_what_it_says(name: str, actor: str, subject: str, kind: str, *, digest: bool) -> None:
    at = datetime(2026, 11, 21, 10, 0, 0, 7, tzinfo=UTC)
    event = Event(
        log="access",
        type="record.viewed",
        id=new_id("evt"),
        at=at,
        actor=Actor(kind, actor, name),
        subject=Subject("record", subject, Digest.from_text(DIGEST) if digest else None),
        data={"text": name},
    )
    said = (event.id, event.type, format_time(at), actor, name, "record", subject, DIGEST if digest else None)
    assert searchable_read(event.to_bytes(), "access") == said
    assert searchable_agrees(event.to_bytes(), "access", said)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "2000-01-01T00:00:00.000000Z"),
        (-1, "1999-12-31T23:59:59.999999Z"),
        (848_570_400_000_007, "2026-11-21T10:00:00.000007Z"),
        (-63_082_281_600_000_000, "0001-01-01T00:00:00.000000Z"),
        (2**63 - 1, None),
        (-(2**63), None),
    ],
)
def test_a_time_is_written_as_events_have_it(microseconds: int, text: str | None) -> None:
    assert time_text(microseconds) == text
