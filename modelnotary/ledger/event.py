"""The entries of the ledger: one event each, as canonical JSON.

The bytes are made once, hashed as they are and stored as they are; everything else is read back from them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from modelnotary.errors import TimeFormatError
from modelnotary.ids import ID_PATTERN
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, DigestError, EventError
from modelnotary.ledger.tiles import MAX_ENTRY_BYTES
from modelnotary.times import format_time, parse_time

EVENT_VERSION = 1
LOG_NAMES = ("lineage", "access")
ACTOR_KINDS = ("person", "service", "system")
_MAX_TEXT = 1_000
_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)
_TIME_LENGTH = len("2026-11-21T10:00:00.000000Z")
_LINE = re.compile(rf"[^\x00-\x1f]{{1,{_MAX_TEXT}}}")
_KIND = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as values that outlive the account: ``kind`` is ``person``, ``service`` or ``system``."""

    kind: str
    id: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in ACTOR_KINDS:
            raise EventError(f"an actor is one of {', '.join(ACTOR_KINDS)}, not {self.kind!r}")
        _require_text("an actor's id", self.id)
        _require_text("an actor's name", self.name)


@dataclass(frozen=True, slots=True)
class Subject:
    """What it was done to: its kind (``model_version``), identifier and, if it has content, digest."""

    kind: str
    id: str
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise EventError(f"a subject's kind is a lowercase word, not {self.kind[:80]!r}")
        _require_text("a subject's id", self.id)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a log.

    ``type`` is dotted and past tense (``model_version.registered``), ``at`` is aware, and ``data`` is the
    JSON object that belongs to the type.

    Raises:
        EventError: a part does not have its agreed shape.
    """

    log: str
    type: str
    id: str
    at: datetime
    actor: Actor
    subject: Subject
    data: Mapping[str, Json]

    def __post_init__(self) -> None:
        if self.log not in LOG_NAMES:
            raise EventError(f"there is no log {self.log[:80]!r}; the logs are {', '.join(LOG_NAMES)}")
        if not _TYPE.fullmatch(self.type):
            raise EventError(f"an event type has the form entity.happened, not {self.type[:80]!r}")
        if not ID_PATTERN.fullmatch(self.id) or not self.id.startswith("evt_"):
            raise EventError(f"an event's id is evt_ and 32 hexadecimal digits, not {self.id[:80]!r}")

    def to_bytes(self) -> bytes:
        """Write the entry: canonical JSON of at most 65,535 bytes.

        Raises:
            EventError: the data has no canonical form, or the entry would be too long.
        """
        digest = self.subject.digest
        try:
            entry = canonical_bytes(
                {
                    "v": EVENT_VERSION,
                    "log": self.log,
                    "type": self.type,
                    "id": self.id,
                    "at": format_time(self.at),
                    "actor": {"kind": self.actor.kind, "id": self.actor.id, "name": self.actor.name},
                    "subject": {
                        "kind": self.subject.kind,
                        "id": self.subject.id,
                        "digest": None if digest is None else digest.text,
                    },
                    "data": dict(self.data),
                }
            )
        except (CanonicalError, TimeFormatError) as error:
            raise EventError(f"the event {self.type} cannot be written: {error}") from error
        if len(entry) > MAX_ENTRY_BYTES:
            raise EventError(
                f"the event {self.type} takes {len(entry)} bytes, more than {MAX_ENTRY_BYTES}; "
                "store the content elsewhere and put its digest into the event"
            )
        return entry

    @classmethod
    def from_bytes(cls, entry: bytes) -> Self:
        """Read an entry, the inverse of `to_bytes`.

        Raises:
            EventError: the bytes are not an entry, or not the one spelling of it.
        """
        try:
            value = parse_canonical(entry, limit=MAX_ENTRY_BYTES)
            fields = _members(value, "an event", {"v", "log", "type", "id", "at", "actor", "subject", "data"})
            if fields["v"] != EVENT_VERSION or isinstance(fields["v"], bool):
                raise EventError(f"this event has version {fields['v']!r}; version {EVENT_VERSION} is understood")
            event = cls(
                log=_text(fields, "log"),
                type=_text(fields, "type"),
                id=_text(fields, "id"),
                at=parse_time(_text(fields, "at")),
                actor=_actor(fields["actor"]),
                subject=_subject(fields["subject"]),
                data=_members(fields["data"], "an event's data", None),
            )
        except (CanonicalError, TimeFormatError, DigestError) as error:
            raise EventError(f"this is not a ledger event: {error}") from error
        if len(_text(fields, "at")) != _TIME_LENGTH:
            raise EventError("an event's time has six fraction digits")
        return event


def _actor(value: Json) -> Actor:
    fields = _members(value, "an actor", {"kind", "id", "name"})
    return Actor(_text(fields, "kind"), _text(fields, "id"), _text(fields, "name"))


def _subject(value: Json) -> Subject:
    fields = _members(value, "a subject", {"kind", "id", "digest"})
    digest = None if fields["digest"] is None else Digest.from_text(_text(fields, "digest"))
    return Subject(_text(fields, "kind"), _text(fields, "id"), digest)


def _members(value: Json, what: str, names: set[str] | None) -> dict[str, Json]:
    if not isinstance(value, dict) or (names is not None and value.keys() != names):
        expected = "" if names is None else f" with exactly the members {', '.join(sorted(names))}"
        raise EventError(f"{what} is a JSON object{expected}")
    return value


def _text(fields: dict[str, Json], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise EventError(f"{name!r} is text in an event, not {type(value).__name__}")
    return value


def _require_text(what: str, text: str) -> None:
    if not _LINE.fullmatch(text):
        raise EventError(f"{what} is one line of 1 to {_MAX_TEXT} characters")
