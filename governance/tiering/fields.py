"""The fields of the inventory that a tier can rest on, and their values at one moment, frozen as canonical JSON.

A field is declared with its kind; nothing else of the inventory can be named in a template, and no text is ever run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance.controls.facts import COUNT_LIMIT
from governance.tiering.errors import TierFieldsError
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.errors import CanonicalError

SNAPSHOT_FORMAT = "modelnotary-tier-fields/v1"


class FieldKind(StrEnum):
    """The values that a field can have."""

    TRUTH = "truth"
    COUNT = "count"
    TEXT = "text"
    CHOICE = "choice"
    SET = "set"
    PLACES = "places"


_LISTS = frozenset({FieldKind.SET, FieldKind.PLACES})


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its kind, what it says in words, and its values where they are a closed list."""

    kind: FieldKind
    label: str
    choices: tuple[str, ...] = ()


type FieldValue = bool | int | str | tuple[str, ...]
type Fields = Mapping[str, Field]
"""Every field that a template may name."""


def field_matches(value: object, field: Field) -> bool:
    """Say whether a value is one of the field's kind; a truth is no number, a set is sorted."""
    if field.kind is FieldKind.TRUTH:
        return isinstance(value, bool)
    if field.kind is FieldKind.COUNT:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_LIMIT
    if field.kind not in _LISTS:
        return isinstance(value, str)
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        return False
    return list(value) == sorted(set(value))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the fields of one system said at one moment.

    Attributes:
        system: Id of the system.
        values: Name -> value, or None where it is missing.
    """

    system: str
    values: Mapping[str, FieldValue | None]

    def to_bytes(self) -> bytes:
        """Give the stored form, canonical JSON; `from_bytes` is the inverse."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self.values.items()}
        return canonical_bytes({"format": SNAPSHOT_FORMAT, "system": self.system, "fields": values})

    @classmethod
    def from_bytes(cls, stored: bytes, fields: Fields) -> "Snapshot":
        """Read the stored form.

        Raises:
            TierFieldsError: It is no snapshot, or a value is not of the kind that its field has.
        """
        try:
            parsed: Any = parse_canonical(stored)
        except CanonicalError as error:
            raise TierFieldsError(f"the fields are not canonical JSON: {error}") from error
        if not isinstance(parsed, dict) or set(parsed) != {"format", "system", "fields"}:
            raise TierFieldsError("the fields are no object with format, system and fields")
        system, values = parsed["system"], parsed["fields"]
        if parsed["format"] != SNAPSHOT_FORMAT or not isinstance(system, str) or not isinstance(values, dict):
            raise TierFieldsError(f"the fields are not of the format {SNAPSHOT_FORMAT}")
        return cls(system, {name: _value(name, value, fields) for name, value in values.items()})


def _value(name: str, stored: object, fields: Fields) -> FieldValue | None:
    if name not in fields:
        raise TierFieldsError(f"{name} is no field that a tier can rest on")
    value = tuple(stored) if isinstance(stored, list) else stored
    if value is not None and not field_matches(value, fields[name]):
        raise TierFieldsError(f"{name} is {stored!r}, which is no {fields[name].kind}")
    return value  # type: ignore[return-value]  # of the field's kind


def value_words(value: FieldValue | None) -> str:
    """Write a value for people."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    return (", ".join(value) or "empty") if isinstance(value, tuple) else str(value)
