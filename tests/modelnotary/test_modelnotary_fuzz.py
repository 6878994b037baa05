"""Every parser is total: any bytes give a value or the parser's own error, in bounded memory and time.

What is accepted was written in its one spelling, so writing it again gives the same bytes.
"""

import importlib
import inspect
import pkgutil
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from genuine_input import CHECKPOINT, FILES, LOG_KEY, NOTE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import NO_PARSERS, PARSERS
from sample_bundle import KEYS, LINEAGE, NOW

import modelnotary
from modelnotary.ledger.errors import NoteError
from modelnotary.ledger.note import NoteVerifier, note_split
from modelnotary.ledger.signature_types import ML_DSA_44_COSIGNATURE
from modelnotary.ledger.witness import TreeHead, Witness
from modelnotary.verify.archive import archive_write
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.procedure import verify_paths

_NAMED_AS_PARSER = re.compile(
    r"from_\w+|parse_\w+|(?:\w+_)?(?:parse|open|read|split|decode|prefix|load|extract|find|facts)"
)


def parsers_found() -> Iterator[str]:
    """Every public function and class method of the package that is named as a parser, by its place."""
    for module in pkgutil.walk_packages(modelnotary.__path__, "modelnotary."):
        if module.name.startswith("modelnotary.cli.") or module.ispkg:
            continue
        place = module.name.removeprefix("modelnotary.")
        for name, thing in vars(importlib.import_module(module.name)).items():
            if getattr(thing, "__module__", None) != module.name or name.startswith("_"):
                continue
            if inspect.isclass(thing):
                methods = (key for key, value in vars(thing).items() if isinstance(value, classmethod))
                yield from (f"{place}.{name}.{key}" for key in methods if _NAMED_AS_PARSER.fullmatch(key))
            elif inspect.isfunction(inspect.unwrap(thing)) and _NAMED_AS_PARSER.fullmatch(name):
                yield f"{place}.{name}"


def is_defined(place: str) -> bool:
    """Whether a key of the table names something of the package."""
    path = place.split(" ", maxsplit=1)[0].split(".")
    depth = next(at for at in range(len(path), 0, -1) if _is_module(".".join(path[:at])))
    thing: Any = importlib.import_module("modelnotary." + ".".join(path[:depth]))
    for part in path[depth:]:
        thing = getattr(thing, part, None)
    return thing is not None


def _is_module(name: str) -> bool:
    try:
        importlib.import_module(f"modelnotary.{name}")
    except ModuleNotFoundError:
        return False
    return True


TOKENS = [
    *(b"\n", b"\n\n", b"\r", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x84\xaa", b" ", b"\t"),
    *(b"+", b"-", b"=", b"_", b"/", b"..", b"x000", b"A", b"0", b"9" * 30, b"1.0", b"1e400", b"-0", b"NaN"),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"\\u0000", b"\\ud800", b"sha256:"),
    *("\N{EM DASH} ".encode(), b"all", b"none", b"group g any a\n", b"quorum none\n"),
]


# What comes in the place of some bytes, made of the input itself.
OF_ITSELF: tuple[Callable[[bytes, int, int], bytes], ...] = (
    lambda _data, _start, _end: b"",
    lambda data, start, end: data[start:end] * 2,
    lambda data, start, end: data[end:start:-1],
    lambda data, start, _end: data[:start],
)
PIECES = st.sampled_from(TOKENS) | st.binary(max_size=8) | st.sampled_from(OF_ITSELF)
EDITS = st.lists(
    st.tuples(st.integers(0, 2**20), st.sampled_from([0, 1, 2, 7, 64, 2**20]), PIECES), min_size=1, max_size=4
)
# Which genuine input, and what is done to it; or any bytes.
INPUTS = st.tuples(st.integers(0, 7), EDITS) | st.binary(max_size=200)


def made(seeds: Sequence[bytes], drawn: Any) -> bytes:
    """Genuine input after a few changes: cut, doubled, moved, overwritten, with a piece of something else."""
    if isinstance(drawn, bytes):
        return drawn
    number, edits = drawn
    data: bytes = seeds[number % len(seeds)]
    for place, length, piece in edits:
        start = place % (len(data) + 1)
        end = min(len(data), start + length)
        inserted = piece if isinstance(piece, bytes) else piece(data, start, end)
        data = data[:start] + inserted + data[end:]
    return data


@cache
def seeds_of(name: str) -> list[bytes]:
    return PARSERS[name].seeds()


def test_the_table_has_every_parser_of_the_package() -> None:
    found = set(parsers_found())
    assert len(found) > 40
    assert found - PARSERS.keys() - NO_PARSERS.keys() == set()
    assert [name for name in (*PARSERS, *NO_PARSERS) if not is_defined(name)] == []


@pytest.mark.parametrize("name", PARSERS)
def test_genuine_input_is_read_and_written_alike(name: str) -> None:
    parser = PARSERS[name]
    for seed in parser.seeds():
        value = parser.read(seed)
        assert parser.write is None or parser.write(value) == seed


@pytest.mark.parametrize("name", PARSERS)
@given(drawn=INPUTS)
@settings(max_examples=200, deadline=None)
def test_any_input_gives_a_value_in_its_one_spelling_or_the_parsers_own_error(name: str, drawn: Any) -> None:
    parser = PARSERS[name]
    given_bytes = made(seeds_of(name), drawn)
    try:
        value = parser.read(given_bytes)
    except parser.error:
        return
    assert parser.write is None or parser.write(value) == given_bytes


# Just below the limits of parsers: of a signature, a note, a trust file; and beyond most of them.
BOMB_SIZES = (32_000, 65_000, 260_000, 600_000)
BOMBS: dict[str, Callable[[int], bytes]] = {
    "nested lists": lambda size: b"[" * size,
    "nested objects": lambda size: b'{"a":' * (size // 5),
    "a list of lists": lambda size: b"[" + b"[]," * (size // 3 - 1) + b"[]]",
    "a list of numbers": lambda size: b"[" + b"0," * (size // 2 - 1) + b"0]",
    "digits": lambda size: b"9" * size,
    "fractions": lambda size: b"1." + b"3" * (size - 2),
    "newlines": lambda size: b"\n" * size,
    "empty lines in text": lambda size: b"a\n\n" * (size // 3),
    "spaces": lambda size: b" " * size,
    "one string": lambda size: b'"' + b"a" * (size - 2) + b'"',
    "escapes": lambda size: b'"' + b"\\u0061" * (size // 6) + b'"',
    "backslashes": lambda size: b"\\" * size,
    "base64": lambda size: b"QUJD" * (size // 4),
    "zeros": bytes,
    "bytes that are not UTF-8": lambda size: b"\xff" * size,
    "signature lines": lambda size: b"a\n\n" + (note_split(NOTE)[1][0].line.encode() + b"\n") * (size // 170),
    "path segments": lambda size: b"tile/0/" + b"x000/" * (size // 5),
    "zip headers": lambda size: b"PK\x03\x04" * (size // 4),
    "comments": lambda size: b"# a\n" * (size // 4),
    "one value within another": lambda size: b"\x30\x80" * (size // 2),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_input_made_to_exhaust_a_parser_is_dealt_with_in_bounded_memory_and_time(bomb: str) -> None:
    for size in BOMB_SIZES:
        data = BOMBS[bomb](size)
        for name, parser in PARSERS.items():
            tracemalloc.start()
            began = time.process_time()
            with suppress(parser.error):
                parser.read(data)
            spent, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 64 * len(data) + 300_000, (name, size)
            assert spent < 10, (name, size)


@given(drawn=INPUTS)
@settings(max_examples=100, deadline=None)
def test_a_witness_rules_on_any_request_without_an_error(drawn: Any) -> None:
    body = made(seeds_of("ledger.add_checkpoint.AddCheckpoint.from_bytes"), drawn)
    ruling = Witness({LINEAGE: [LOG_KEY]}).decide(body, lambda _: TreeHead())
    assert (ruling.head is None) == (ruling.verdict.status != 200)


@given(name=st.sampled_from(sorted(FILES)), drawn=INPUTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bundle_with_any_changed_files_gives_a_report(name: str, drawn: Any, tmp_path: Path) -> None:
    changed = made([FILES[name]], drawn)
    path = tmp_path / "bundle.zip"
    archive_write(path, FILES | {name: changed})
    report = bundle_examine(path, KEYS.trust(), kept=None, now=NOW).report
    assert (report.exit_code == 0) == (changed == FILES[name])


@pytest.mark.parametrize("suffix", [".zip", ".pdf", ".json", ".tlog-proof"])
@given(data=st.binary(max_size=300))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_given_to_the_verifier_is_refused_in_order(suffix: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"evidence{suffix}"
    path.write_bytes(data)
    (tmp_path / "trust.json").write_bytes(KEYS.trust().to_bytes())
    [report] = verify_paths([path], trust_file=tmp_path / "trust.json")
    assert report.exit_code != 0


def test_a_long_name_in_an_ml_dsa_key_is_refused_when_it_signs() -> None:
    key = NoteVerifier("a" * 300, ML_DSA_44_COSIGNATURE, bytes(1312))
    with pytest.raises(NoteError):
        key.verify(CHECKPOINT.text, bytes(8) + bytes(2420))
