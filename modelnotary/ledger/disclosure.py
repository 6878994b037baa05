"""Selective disclosure: proven entries together with what opens some of the commitments in them.

Canonical JSON: ``format``, and ``entries``, each with ``proof`` (a tlog-proof that carries its entry, as text) and
``openings`` (``name``, ``salt`` in base64, ``value``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.commitment import SALT_BYTES, commit
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, DisclosureError, TextError
from modelnotary.ledger.event import Event
from modelnotary.ledger.text import base64_bytes, base64_text

DISCLOSURE_FORMAT = "modelnotary-disclosure/v1"
MAX_DISCLOSURE_BYTES = 64 * 1024 * 1024
_MAX_NAME_BYTES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one commitment: the field's name, 32 bytes of salt, and the value.

    Raises:
        DisclosureError: the salt has another length, or the name is longer than a commitment's can be.
    """

    name: str
    salt: bytes
    value: str

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES or not self.name or len(self.name.encode()) > _MAX_NAME_BYTES:
            raise DisclosureError(f"an opening has a name and a salt of {SALT_BYTES} bytes")

    @property
    def commitment(self) -> Digest:
        """What the entry must hold."""
        return commit(salt=self.salt, name=self.name, value=self.value)


@dataclass(frozen=True, slots=True)
class DisclosedEntry:
    """An entry: its proof file's bytes, and at least one opening, no name twice.

    Raises:
        DisclosureError: there is none, or one name comes twice.
    """

    proof: bytes
    openings: tuple[Opening, ...]

    def __post_init__(self) -> None:
        if not self.openings or len({opening.name for opening in self.openings}) != len(self.openings):
            raise DisclosureError("a disclosed entry has at least one opening, and none of a name twice")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Entries with openings; at least one, and no entry twice.

    Raises:
        DisclosureError: there is none, or one proof comes twice.
    """

    entries: tuple[DisclosedEntry, ...]

    def __post_init__(self) -> None:
        if not self.entries or len({entry.proof for entry in self.entries}) != len(self.entries):
            raise DisclosureError("a disclosure holds at least one entry, and none twice")

    def to_bytes(self) -> bytes:
        """Write the file."""
        entries: list[Json] = [
            {
                "proof": entry.proof.decode(),
                "openings": [
                    {"name": opening.name, "salt": base64_text(opening.salt), "value": opening.value}
                    for opening in entry.openings
                ],
            }
            for entry in self.entries
        ]
        return canonical_bytes({"format": DISCLOSURE_FORMAT, "entries": entries})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the file, the inverse of `to_bytes`.

        Raises:
            DisclosureError: it is malformed.
        """
        try:
            value = parse_canonical(data, limit=MAX_DISCLOSURE_BYTES)
            match value:
                case {"format": "modelnotary-disclosure/v1", "entries": list(entries), **rest} if not rest:
                    return cls(tuple(map(_entry, entries)))
        except (CanonicalError, TextError) as error:
            raise DisclosureError(f"the disclosure is malformed: {error}") from error
        raise DisclosureError(f"a disclosure has the members format ({DISCLOSURE_FORMAT}) and entries")


def commitments_of(event: Event) -> set[str]:
    """Give every text of an event that can be a commitment: its subject's id, and the digests in its data."""
    return {event.subject.id, *_texts(dict(event.data))}


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _entry(value: Json) -> DisclosedEntry:
    match value:
        case {"proof": str(proof), "openings": list(openings), **rest} if not rest:
            return DisclosedEntry(proof.encode(), tuple(map(_opening, openings)))
    raise DisclosureError("an entry of a disclosure has the members proof and openings")


def _opening(value: Json) -> Opening:
    match value:
        case {"name": str(name), "salt": str(salt), "value": str(text), **rest} if not rest:
            return Opening(name, base64_bytes(salt), text)
    raise DisclosureError("an opening has the members name, salt and value")
