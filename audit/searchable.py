"""Holding what can be searched of an event against its bytes, in half the time that reading them as JSON takes.

An entry is canonical JSON: its members stand in the order of their names, and every text has one spelling. So what the
columns say gives the beginning of the entry, up to its data, and the end, from behind its data, letter by letter. What
stands between is read as one JSON value, so that no second `"actor"` can hide in it.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring

from modelnotary.ledger.event import ACTOR_KINDS

_DECODER = json.JSONDecoder()
# Times are in microseconds since PostgreSQL's epoch, as its binary protocol has them.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_SECOND_LENGTH = len("2026-11-21T10:00:00")
_DATA = '","data":'


type Searchable = tuple[str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None]
"""What can be searched of an event: its id, type and time as in the entry; the actor's id and name; the subject's kind,
its id, its digest."""


def searchable_agrees(entry: bytes, log_class: str, columns: Searchable) -> bool:
    """Tell whether columns say what the bytes of an event of this class of log say.

    Reads the entry as a whole only where it is not spelled as the columns demand: in one that is not canonical, or that
    was tampered with.
    """
    return _is_spelled(entry, log_class, columns) or columns == searchable_read(entry, log_class)


def searchable_read(entry: bytes, log_class: str) -> Searchable | None:
    """Give what can be searched of an event of this class of log; nothing if the bytes are none."""
    try:
        # What follows the object is the business of the leaf hash.
        event, _ = _DECODER.raw_decode(str(entry, "utf-8"))
        actor, subject = event["actor"], event["subject"]
        if event["log"] != log_class:
            return None
        names = (event["id"], event["type"], event["at"], actor["id"], actor["name"])
        return (*names, subject["kind"], subject["id"], subject["digest"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def time_text(microseconds: int) -> str | None:
    """Write a time, in microseconds since 2000-01-01 UTC, as events have it; nothing if beyond the years 1 to 9999."""
    seconds, rest = divmod(microseconds, _SECOND)
    second = _second_text(seconds)
    return second and f"{second}.{rest:06d}Z"


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str | None:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_SECOND_LENGTH]
    except OverflowError:
        return None


def _is_spelled(entry: bytes, log_class: str, columns: Searchable) -> bool:
    event_id, event_type, at, actor_id, name, kind, subject_id, digest = columns
    if at is None:
        return False
    try:
        text = str(entry, "utf-8")
        for begin in _beginnings(actor_id, name):
            start = f"{begin}{at}{_DATA}"
            if text.startswith(start):
                end = (
                    f',"id":{_spell(event_id)},"log":"{log_class}","subject":{{"digest":{_spell(digest)},'
                    f'"id":{_spell(subject_id)},{_ending(kind, event_type)}'
                )
                return text.endswith(end) and _DECODER.raw_decode(text, len(start))[1] == len(text) - len(end)
    except (ValueError, RecursionError):
        return False
    return False


@lru_cache(maxsize=4096)
def _beginnings(actor_id: str | None, name: str | None) -> tuple[str, ...]:
    """How an entry begins whose actor has this id and name, for each kind of actor."""
    return tuple(
        f'{{"actor":{{"id":{_spell(actor_id)},"kind":"{kind}","name":{_spell(name)}}},"at":"' for kind in ACTOR_KINDS
    )


@lru_cache(maxsize=4096)
def _ending(kind: str | None, event_type: str | None) -> str:
    """How an entry of this type ends whose subject is of this kind."""
    return f'"kind":{_spell(kind)}}},"type":{_spell(event_type)},"v":1}}'


def _spell(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)
