"""JSON with exactly one spelling per value: RFC 8785 (JCS)."""

import json
from math import isfinite
from typing import NoReturn, cast

import rfc8785

from modelnotary.ledger.errors import CanonicalError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

MAX_JSON_BYTES = 8 * 1024 * 1024
_MAX_SAFE_INTEGER = 2**53 - 1
_SAFE_DIGITS = 17
_LEAST_PLAIN_FRACTION, _PLAIN_FRACTIONS_END = 1e-4, 1e16
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))


def canonical_bytes(value: object) -> bytes:
    """Write a JSON value as RFC 8785 canonical UTF-8 bytes.

    Raises:
        CanonicalError: the value holds NaN, an infinity, an integer beyond ±(2^53-1), a key or string
            that is not text, a type JSON does not have, or it nests too deeply.
    """
    try:
        if _is_plain(value):
            return _ENCODER.encode(value).encode()
        return rfc8785.dumps(cast("Json", value))
    except (ValueError, TypeError, AttributeError) as error:
        raise CanonicalError(f"this value has no canonical JSON form: {error}") from error
    except RecursionError as error:
        raise CanonicalError("this value nests too deeply for canonical JSON") from error


def parse_json(data: bytes, *, limit: int = MAX_JSON_BYTES) -> Json:
    """Read JSON in any layout, strictly: UTF-8, no repeated keys, no NaN or infinities, text that is text.

    Args:
        data: the bytes of one JSON value.
        limit: the largest accepted length of ``data`` in bytes.

    Raises:
        CanonicalError: the bytes are too long or not such JSON.
    """
    value = _parse(data, limit, _DECODER)
    canonical_bytes(value)  # a lone surrogate can be escaped in JSON, but is no text
    return value


def parse_canonical(data: bytes, *, limit: int = MAX_JSON_BYTES) -> Json:
    """Read RFC 8785 canonical JSON and refuse every other spelling of the same value.

    Args:
        data: the bytes of one JSON value.
        limit: the largest accepted length of ``data`` in bytes.

    Raises:
        CanonicalError: the bytes are too long, not JSON, or not the canonical spelling.
    """
    try:
        # Almost all entries of a log are of this kind, and it takes half the time.
        value = _parse(data, limit, _PLAIN_DECODER if data.isascii() else _CANONICAL_DECODER)
        written = _ENCODER.encode(value).encode() if data.isascii() else canonical_bytes(value)
    except _NotPlainError:
        value = _parse(data, limit, _CANONICAL_DECODER)
        written = canonical_bytes(value)
    except (UnicodeEncodeError, RecursionError) as error:
        raise CanonicalError(f"this JSON has no canonical form: {error}") from error
    if written != data:
        raise CanonicalError("this JSON is not in its canonical form (RFC 8785)")
    return value


def _is_plain(value: object) -> bool:
    """Tell whether the standard encoder, which is six times as fast, writes RFC 8785 for this value.

    It does unless there are unusual fractions (see `_is_plain_fraction`), unsafe integers, or keys beyond ASCII
    (RFC 8785 sorts them by UTF-16 units).
    """
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return True
    if isinstance(value, float):
        return kind is float and _is_plain_fraction(value)
    if isinstance(value, dict):
        # Most members are text: a call for each would take most of the time.
        return all(
            type(key) is str and key.isascii() and (type(item) is str or _is_plain(item)) for key, item in value.items()
        )
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, int) and kind is int and -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER


def _is_plain_fraction(number: float) -> bool:
    """Tell whether Python writes this number as ECMAScript does, and so RFC 8785.

    Both write the fewest digits that read back as the same double; they differ in whole numbers (``1.0`` and ``1``)
    and in when and how they write an exponent, which in this range neither does.
    """
    return _LEAST_PLAIN_FRACTION <= abs(number) < _PLAIN_FRACTIONS_END and not number.is_integer()


def _parse(data: bytes, limit: int, decoder: json.JSONDecoder) -> Json:
    if len(data) > limit:
        raise CanonicalError(f"this JSON is {len(data)} bytes long, more than the {limit} allowed")
    try:
        return cast("Json", decoder.decode(data.decode("utf-8")))
    except ValueError as error:
        raise CanonicalError(f"this is not valid JSON: {error}") from error
    except RecursionError as error:
        raise CanonicalError("this JSON nests too deeply") from error


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CanonicalError("a key is repeated within one JSON object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not a JSON number")


def _integer(text: str) -> int | float:
    """Read an integer literal as RFC 8785 does: a double, kept as int while that is exact."""
    if len(text) <= _SAFE_DIGITS and abs(number := int(text)) <= _MAX_SAFE_INTEGER:
        return number
    return _double(text)


def _double(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise CanonicalError(f"the number {text[:40]} is too large for JSON's doubles")
    return number


class _NotPlainError(Exception):
    """A number that the standard encoder does not write as RFC 8785 does."""


def _plain_integer(text: str) -> int:
    number = _integer(text)
    if isinstance(number, float):
        raise _NotPlainError
    return number


def _plain_fraction(text: str) -> float:
    number = float(text)
    if not _is_plain_fraction(number):
        raise _NotPlainError
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_double
)
# A repeated key cannot survive the comparison with the canonical spelling, so it need not be looked for.
_CANONICAL_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_integer, parse_float=_double)
# ASCII without unusual numbers: what the standard encoder writes for the value is RFC 8785.
_PLAIN_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_plain_integer, parse_float=_plain_fraction
)
