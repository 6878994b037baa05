"""Payloads against the JSON Schema of their type: every fault with its place, in words that say what to do."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # publishes no types
from referencing import Registry

from governance.evidence.errors import Fault

FAULTS_SHOWN = 50
_SHOWN_LENGTH = 60
_TYPE_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_LIMIT_WORDS = {
    "minimum": "less than",
    "maximum": "more than",
    "exclusiveMinimum": "not more than",
    "exclusiveMaximum": "not less than",
}
_COUNT_WORDS = {
    "minLength": "has fewer than {} characters",
    "maxLength": "has more than {} characters",
    "minItems": "has fewer than {} items",
    "maxItems": "has more than {} items",
    "minProperties": "has fewer than {} fields",
    "maxProperties": "has more than {} fields",
}


class Schema:
    """A JSON Schema (draft 2020-12) that can judge payloads. It refers to nothing outside itself."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        # An empty registry, because the library's own would fetch what a $ref names from the network.
        self._validator = Draft202012Validator(
            document, registry=Registry(), format_checker=FormatChecker(formats=["date"])
        )

    def faults(self, payload: object, pointer: str = "/payload") -> tuple[Fault, ...]:
        """Give everything that is wrong with a payload, in the order of its places; at most 50 faults.

        Args:
            payload: JSON values. NaN, infinities and the character U+0000 are faults wherever they stand.
            pointer: Of the payload itself.
        """
        if faults := tuple(_unusable(payload, pointer)):
            return faults[:FAULTS_SHOWN]
        errors = sorted(self._validator.iter_errors(payload), key=lambda error: [str(step) for step in error.path])
        found = (fault for error in errors for fault in _faults_of(error, pointer))
        return tuple(dict.fromkeys(found))[:FAULTS_SHOWN]


@cache
def dialect() -> Any:  # noqa: ANN401 - the library publishes no types
    """Give what judges a schema itself."""
    return Draft202012Validator(Draft202012Validator.META_SCHEMA)


def _unusable(value: object, pointer: str) -> Iterator[Fault]:
    waiting: list[tuple[object, str]] = [(value, pointer)]
    while waiting:
        item, place = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            yield Fault(place, f"{item} is not a number; leave the field out or give null where it may be null")
        elif isinstance(item, str) and "\0" in item:
            yield Fault(place, "a text holds the character U+0000, which cannot be stored")
        elif isinstance(item, dict):
            if any("\0" in name for name in item):
                yield Fault(place, "the name of a field holds the character U+0000, which cannot be stored")
            waiting.extend((part, _step(place, name)) for name, part in reversed(item.items()))
        elif isinstance(item, (list, tuple)):
            waiting.extend((part, _step(place, number)) for number, part in reversed(list(enumerate(item))))


def _faults_of(error: Any, pointer: str) -> Iterator[Fault]:  # noqa: ANN401
    place = pointer
    for step in error.absolute_path:
        place = _step(place, step)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = sorted(error.schema.get("properties", {}))
        for name in sorted(error.instance.keys() - set(known)):
            yield Fault(_step(place, name), _unknown(name, known))
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield Fault(_step(place, name), "is missing")
    else:
        yield Fault(place, _words(error.validator, error.validator_value, error.instance) or str(error.message)[:400])


def _words(keyword: str, limit: Any, value: object) -> str:  # noqa: ANN401
    match keyword:
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            return f"{_shown(value)} is not {' or '.join(_TYPE_WORDS[kind] for kind in kinds)}"
        case "enum":
            return f"{_shown(value)} is none of {', '.join(_shown(item) for item in limit)}"
        case "pattern" if "sha256" in limit:
            return f"{_shown(value)} is not a digest: sha256: and 64 lowercase hexadecimal digits"
        case "pattern" | "format":
            return f"{_shown(value)} does not have the form {limit}"
        case _:
            pass
    if keyword in _LIMIT_WORDS:
        return f"{_shown(value)} is {_LIMIT_WORDS[keyword]} {limit}"
    return _COUNT_WORDS[keyword].format(limit) if keyword in _COUNT_WORDS else ""


def _unknown(name: str, known: list[str]) -> str:
    return f"unknown field; {name_hint(name, known)}"


def name_hint(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or which there are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known: {', '.join(names)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _step(pointer: str, name: str | int) -> str:
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
