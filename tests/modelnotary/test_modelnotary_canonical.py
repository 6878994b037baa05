"""Canonical JSON, digests, times and identifiers: inverse pairs that accept one spelling only."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from math import inf, nextafter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from modelnotary.errors import IdFormatError, TimeFormatError
from modelnotary.ids import id_time, new_id
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical, parse_json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, DigestError
from modelnotary.times import format_time, parse_time

safe = 2**53 - 1
scalars = st.none() | st.booleans() | st.integers(-safe, safe) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)

# Around the numbers where ECMAScript or Python begin or cease to write an exponent or a fraction.
EDGES = [
    near
    for edge in (1e-7, 1e-6, 1e-5, 1e-4, 1.0, 2.0**53, 1e15, 1e16, 1e21, 1e22)
    for near in (nextafter(edge, 0), edge, nextafter(edge, inf))
]


@given(values)
def test_our_fast_writer_agrees_with_the_rfc_8785_library(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(st.floats(1e-7, 1e23) | st.integers(0, 2**60).map(lambda n: n / 1024) | st.sampled_from(EDGES))
def test_fractions_are_written_as_the_rfc_8785_library_writes_them(number: float) -> None:
    for value in (number, -number):
        written = canonical_bytes([value])
        assert written == rfc8785.dumps([value])
        assert parse_canonical(written) == [value]


@given(values)
def test_canonical_bytes_read_back_as_the_same_value(value: object) -> None:
    assert parse_canonical(canonical_bytes(value)) == value


@given(values)
def test_every_other_spelling_of_a_value_is_refused(value: Any) -> None:
    canonical = canonical_bytes(value)
    for spelling in (json.dumps(value), json.dumps(value, ensure_ascii=False), f" {json.dumps(value)}"):
        if spelling.encode() == canonical:
            continue
        with pytest.raises(CanonicalError):
            parse_canonical(spelling.encode())


def test_the_example_of_rfc_8785_is_reproduced() -> None:
    given_text = (
        b'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        b'"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        b'"literals": [null, true, false]}'
    )
    assert (
        canonical_bytes(parse_json(given_text))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_sort_by_utf_16_units() -> None:
    assert canonical_bytes({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


NOT_CANONICAL = {
    "a space": b'{"a": 1}',
    "a trailing newline": b"{}\n",
    "unsorted keys": b'{"b":1,"a":2}',
    "an escaped letter": b'{"a":"\\u0041"}',
    "an escaped slash": b'"\\/"',
    "a number with a plus exponent": b"1e5",
    "a fraction of zero": b"1.0",
    "minus zero": b"-0",
    "a leading zero": b"01",
    "an integer beyond 2^53 with low bits": b"9007199254740993",
}
NOT_JSON = {
    "a repeated key": b'{"a":1,"a":1}',
    "a repeated key deep down": b'[{"b":{"a":1,"a":2}}]',
    "not a number": b"NaN",
    "infinity": b"[-Infinity]",
    "an integer too large for a double": b"1" + b"0" * 400,
    "a fraction too large for a double": b"1.5e400",
    "a lone surrogate": b'"\\ud800"',
    "bytes that are not UTF-8": b'"\xff"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "nothing": b"",
    "two values": b"{}{}",
    "a hundred thousand brackets": b"[" * 100_000 + b"]" * 100_000,
    "more than the limit": b'"' + b"a" * 200_000 + b'"',
}


@pytest.mark.parametrize("case", NOT_CANONICAL | NOT_JSON)
def test_every_other_spelling_is_refused(case: str) -> None:
    with pytest.raises(CanonicalError):
        parse_canonical((NOT_CANONICAL | NOT_JSON)[case], limit=200_000)


@pytest.mark.parametrize("case", NOT_JSON)
def test_the_reader_of_any_layout_refuses_what_is_ambiguous(case: str) -> None:
    with pytest.raises(CanonicalError):
        parse_json(NOT_JSON[case], limit=200_000)


def canonical_fails(value: object) -> bool:
    try:
        canonical_bytes(value)
    except CanonicalError:
        return True
    return False


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, {"a": b"x"}, {"a": {1, 2}}, "\ud800"]
)
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    assert canonical_fails(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert canonical_fails(loop)


@given(st.binary())
def test_digest_text_reads_back(data: bytes) -> None:
    digest = Digest.of(data)
    assert digest.text == str(digest) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert Digest.from_text(digest.text) == digest


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 100_000)
    assert Digest.of_file(path) == Digest.of(b"weights" * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
        "sha512:" + "a" * 64,
    ],
)
def test_other_digest_texts_are_refused(text: str) -> None:
    with pytest.raises(DigestError):
        Digest.from_text(text)


def test_a_digest_of_another_length_is_refused() -> None:
    with pytest.raises(DigestError):
        Digest(bytes(31))


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_read_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_times_are_written_in_utc_with_six_digits() -> None:
    moment = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-11-21T10:00:00.000000Z"
    assert parse_time("2026-11-21T10:00:00Z") == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T10:00:00",
        "2026-11-21T10:00:00+00:00",
        "2026-11-21 10:00:00Z",
        "2026-11-21t10:00:00z",
        "2026-13-21T10:00:00Z",
        "2026-11-21T10:00:60Z",
        "2026-11-21T10:00:00.1234567Z",
        "2026-11-21T10:00:00Z\n",
        "٢026-11-21T10:00:00Z",
    ],
)
def test_other_time_texts_are_refused(text: str) -> None:
    with pytest.raises(TimeFormatError):
        parse_time(text)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TimeFormatError):
        format_time(datetime(2026, 11, 21))  # noqa: DTZ001 -- the naive time is the point


def test_an_identifier_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    moment = datetime(2026, 11, 21, 10, 0, 0, 123_000, tzinfo=UTC)
    identifier = new_id("mv", at=moment)
    assert identifier.startswith("mv_")
    uuid = UUID(hex=identifier.removeprefix("mv_"))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == round(moment.timestamp() * 1000)
    assert id_time(identifier) == moment


@pytest.mark.parametrize(
    "text", ["", "evt_", "mv_" + "0" * 32, "mv_" + "f" * 32, f"evt_{'f' * 12}7{'f' * 3}8{'f' * 15}"]
)
def test_what_is_no_identifier_of_ours_tells_no_time(text: str) -> None:
    assert id_time(text) is None


def test_identifiers_of_later_microseconds_sort_later() -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    made = [new_id("evt", at=start + timedelta(microseconds=step)) for step in range(2_000)]
    assert made == sorted(made)
    assert len({new_id("evt", at=start) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("prefix", ["", "M", "model-version", "a", "evt_", "toolongprefix"])
def test_a_prefix_that_is_no_short_word_is_refused(prefix: str) -> None:
    with pytest.raises(IdFormatError):
        new_id(prefix)


@pytest.mark.parametrize("at", [datetime(1969, 12, 31, tzinfo=UTC), datetime(2026, 1, 1)])  # noqa: DTZ001
def test_an_identifier_needs_an_aware_time_since_1970(at: datetime) -> None:
    with pytest.raises(IdFormatError):
        new_id("mv", at=at)


def test_canonical_json_is_plain_json() -> None:
    assert json.loads(canonical_bytes({"é": [1, 2.5, None]})) == {"é": [1, 2.5, None]}
