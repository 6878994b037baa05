"""Typed reading of JSON parameters: each reader returns a value of its type or says what is wrong with it."""

import sys
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from explain.errors import InvalidParameterError

LARGEST_COUNT = 2**31 - 1


class Fields:
    """Named parameters of unknown provenance.

    Args:
        raw: The parameters as JSON gave them.
        known: Every name that means something.

    Raises:
        InvalidParameterError: A name is not known.
    """

    def __init__(self, raw: Mapping[str, Any], *, known: Collection[str]) -> None:
        for name in raw:
            if name not in known:
                raise InvalidParameterError(name, f"is not known. Known are: {', '.join(sorted(known))}.")
        self._raw = raw

    def text(self, name: str, default: str | None = None) -> str:
        """A text of at least one character."""
        value = self._raw.get(name, default)
        if value is None:
            raise InvalidParameterError(name, "is missing.")
        return _text(name, value)

    def optional_text(self, name: str) -> str | None:
        """A text of at least one character, or None where it is not given."""
        value = self._raw.get(name)
        return None if value is None else _text(name, value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of different texts, at least one."""
        value = self._raw.get(name)
        if not isinstance(value, (list, tuple)) or not value:
            raise InvalidParameterError(name, "must be a list of at least one text.")
        texts = tuple(_text(name, item) for item in value)
        if len(set(texts)) < len(texts):
            raise InvalidParameterError(name, "names the same thing twice.")
        return texts

    def words(self, name: str) -> dict[str, str]:
        """Texts by text; empty where it is not given."""
        return {key: _text(name, value) for key, value in self._object(name).items()}

    def numbers(self, name: str, default: Mapping[str, float]) -> dict[str, float]:
        """Numbers by text."""
        return {key: _number(name, value) for key, value in self._object(name, default).items()}

    def encoding(self, name: str) -> dict[str, dict[str, float]]:
        """For each column, numbers by word; empty where it is not given."""
        return {
            column: {word: _number(name, number) for word, number in _object(name, words).items()}
            for column, words in self._object(name).items()
        }

    def count(self, name: str, *, default: int, least: int) -> int:
        """A whole number of at least `least`."""
        value = self._raw.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST_COUNT:
            raise InvalidParameterError(name, f"must be a whole number from {least}; it is {value!r}.")
        return value

    def fraction(self, name: str) -> float:
        """A number above 0 and below 1."""
        if name not in self._raw:
            raise InvalidParameterError(name, "is missing.")
        value = _number(name, self._raw[name])
        if not 0 < value < 1:
            raise InvalidParameterError(name, f"must lie between 0 and 1; it is {value!r}.")
        return value

    def member[Kind: StrEnum](self, name: str, kind: type[Kind], *, default: Kind) -> Kind:
        """One of the values of an enumeration."""
        value = self._raw.get(name, default)
        for member in kind:
            if member == value:
                return member
        raise InvalidParameterError(name, f"is none of {', '.join(kind)}; it is {value!r}.")

    def _object(self, name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        return _object(name, self._raw.get(name, default or {}))


def _object(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidParameterError(name, "must be an object with named entries.")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidParameterError(name, f"must hold text; it holds {value!r}.")
    return value


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise InvalidParameterError(name, f"must hold numbers; it holds {value!r}.")
    return float(value)
