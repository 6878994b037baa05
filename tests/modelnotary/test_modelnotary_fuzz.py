"""Every parser is total: any bytes give a value or the parser's own error, in bounded memory and time.

What is accepted was written in its one spelling, so writing it again gives the same bytes.
"""

import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sample_bundle as sample
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_bundle import FORGER, KEYS, LINEAGE, NOW, Sample

from modelnotary.attest.decision import decision_open
from modelnotary.attest.dsse import Envelope
from modelnotary.attest.errors import AttestError, EnvelopeError
from modelnotary.attest.statement import Statement
from modelnotary.errors import ModelNotaryError, TimeFormatError
from modelnotary.ledger.add_checkpoint import AddCheckpoint, signatures_parse, signatures_write, size_parse, size_write
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical, parse_json
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import (
    CanonicalError,
    CheckpointError,
    DigestError,
    EventError,
    KeyRotationError,
    NoteError,
    ProofError,
    TextError,
    TileError,
    WitnessMessageError,
    WitnessPolicyError,
)
from modelnotary.ledger.event import Event
from modelnotary.ledger.log_keys import KeyRotation, LogKeys
from modelnotary.ledger.note import NoteSignature, NoteSigner, NoteVerifier, note_extend, note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.signature_types import ML_DSA_44_COSIGNATURE
from modelnotary.ledger.text import base64_bytes, base64_text, decimal
from modelnotary.ledger.tiles import Tile, bundle_decode, bundle_encode, bundle_prefix
from modelnotary.ledger.witness import TreeHead, Witness
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.manifest.errors import ManifestFormatError
from modelnotary.manifest.format import manifest_parse, manifest_write
from modelnotary.tables.comma_separated import csv_facts
from modelnotary.tables.errors import TableError
from modelnotary.tables.parquet import footer_facts, parquet_facts
from modelnotary.times import parse_time
from modelnotary.verify.archive import archive_write, files_open
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.bundle_format import BundleManifest, reports_file, reports_parse
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.trust import Trust


def parquet_bytes() -> bytes:
    stream = BytesIO()
    pq.write_table(pa.table({"a": [1, None], "b": [["x"], []]}), stream, row_group_size=1)
    return stream.getvalue()


FILES = Sample().files()
ENTRIES = Sample().entries()
NOTE = FILES["logs/lineage/checkpoint"]
WITNESS = Cosigner("witness.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = Checkpoint.from_text(note_split(NOTE)[0])
COSIGNED = note_extend(NOTE, [WITNESS.sign(CHECKPOINT, at=7)])
LOG_KEY = KEYS.signer(LINEAGE).verifier
NEW_KEY = NoteSigner(LINEAGE, Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
ROTATION = KeyRotation(LOG_KEY, NEW_KEY.verifier, 7)
ROTATED = LogKeys.of(LOG_KEY).rotated(3, ROTATION)
PARQUET = parquet_bytes()
SEED = b64encode(b"\x01" + bytes([1]) * 32).decode()


@dataclass(frozen=True)
class Parser:
    """A parser of bytes, the only error it may raise, genuine input, and its inverse where there is one."""

    read: Callable[[bytes], Any]
    error: type[ModelNotaryError]
    seeds: list[bytes]
    write: Callable[[Any], bytes] | None = None


def text_of(data: bytes) -> str:
    """Any bytes as text, lone surrogates for what is not UTF-8: a text parser has to bear them."""
    return data.decode("utf-8", "surrogateescape")


PARSERS: dict[str, Parser] = {
    "note": Parser(note_split, NoteError, [NOTE, COSIGNED]),
    "note key": Parser(
        lambda data: NoteVerifier.from_text(text_of(data)),
        NoteError,
        [LOG_KEY.text.encode(), WITNESS.verifier.text.encode()],
        lambda key: key.text.encode(),
    ),
    "private note key": Parser(
        lambda data: NoteSigner.from_text(text_of(data)),
        NoteError,
        [f"PRIVATE+KEY+{LINEAGE}+{LOG_KEY.key_id.hex()}+{SEED}".encode()],
    ),
    "signature line": Parser(
        lambda data: NoteSignature.from_line(text_of(data)),
        NoteError,
        [note_split(NOTE)[1][0].line.encode()],
        lambda signature: signature.line.encode(),
    ),
    "cosignature": Parser(
        lambda data: WITNESS.verifier.verify(CHECKPOINT.text, data),
        NoteError,
        [note_split(COSIGNED)[1][1].signature],
    ),
    "checkpoint": Parser(
        lambda data: Checkpoint.from_text(text_of(data)),
        CheckpointError,
        [CHECKPOINT.text.encode(), f"{CHECKPOINT.text}more\n".encode()],
        lambda checkpoint: checkpoint.text.encode("utf-8", "surrogateescape"),
    ),
    "inclusion proof": Parser(
        InclusionProof.from_bytes,
        ProofError,
        [
            InclusionProof(3, (bytes(32), bytes(range(32))), NOTE, ENTRIES[3]).to_bytes(),
            InclusionProof(0, (), NOTE).to_bytes(),
        ],
        InclusionProof.to_bytes,
    ),
    "tile path": Parser(
        lambda data: Tile.from_path(text_of(data)),
        TileError,
        [b"tile/0/x001/x234/067.p/12", b"tile/entries/000"],
        lambda tile: tile.path.encode(),
    ),
    "entry bundle": Parser(
        lambda data: bundle_decode(data, 3), TileError, [bundle_encode([b"one", b"", b"three"])], bundle_encode
    ),
    "damaged entry bundle": Parser(
        lambda data: bundle_prefix(data, 3), TileError, [bundle_encode([b"one", b"", b"three"])]
    ),
    "witness policy": Parser(
        WitnessPolicy.from_bytes,
        WitnessPolicyError,
        [
            f"# who\nlog {LOG_KEY.text} https://log.example\nwitness a {WITNESS.verifier.text}\n"
            "group g any a\ngroup h 2 a g\nquorum h\n".encode(),
            b"quorum none\n",
        ],
    ),
    "witness request": Parser(
        AddCheckpoint.from_bytes,
        WitnessMessageError,
        [AddCheckpoint(3, (bytes(32),), NOTE).to_bytes(), AddCheckpoint(0, (), COSIGNED).to_bytes()],
        AddCheckpoint.to_bytes,
    ),
    "witness answer": Parser(
        signatures_parse,
        WitnessMessageError,
        [signatures_write(note_split(COSIGNED)[1])],
        signatures_write,
    ),
    "size a witness saw": Parser(size_parse, WitnessMessageError, [size_write(20_852_014)], size_write),
    "canonical JSON": Parser(
        parse_canonical, CanonicalError, [*ENTRIES, b'{"a":[1.5,-2e-7,true,null,"\xc3\xa9"]}'], canonical_bytes
    ),
    "JSON": Parser(parse_json, CanonicalError, [FILES["trust.json"], b' {"a": [1e5, "\\ud83d\\ude00"]} ']),
    "event": Parser(Event.from_bytes, EventError, ENTRIES, Event.to_bytes),
    "envelope": Parser(Envelope.from_bytes, EnvelopeError, [FILES["manifest.dsse.json"]], Envelope.to_bytes),
    "statement": Parser(
        Statement.from_bytes,
        AttestError,
        [Envelope.from_bytes(data).payload for data in Sample().decisions().values()],
        Statement.to_bytes,
    ),
    "decision": Parser(
        lambda data: decision_open(data, [KEYS.decision.public_key()]), AttestError, [*Sample().decisions().values()]
    ),
    "trust file": Parser(
        Trust.from_bytes,
        TrustError,
        [KEYS.trust().to_bytes(), FORGER.trust().to_bytes(), KEYS.trust().with_log(ROTATED).to_bytes()],
    ),
    "key rotation": Parser(KeyRotation.from_note, KeyRotationError, [ROTATION.sign(KEYS.signer(LINEAGE), NEW_KEY)]),
    "manifest": Parser(
        BundleManifest.from_bytes,
        BundleError,
        [Envelope.from_bytes(FILES["manifest.dsse.json"]).payload],
        BundleManifest.to_bytes,
    ),
    "manifest of a folder": Parser(
        manifest_parse,
        ManifestFormatError,
        [manifest_write([("a-b", sample.MODEL), ("a/b", sample.MODEL), ("ä", sample.MODEL)])],
        manifest_write,
    ),
    "table of commas": Parser(
        lambda data: csv_facts([data]), TableError, [b'a,b\n1,"2,\n"""\n', b"\xef\xbb\xbfa,b\r\n1,2\r\n"]
    ),
    "Parquet file": Parser(lambda data: parquet_facts(BytesIO(data)), TableError, [PARQUET]),
    "Parquet footer": Parser(footer_facts, TableError, [PARQUET[-8 - int.from_bytes(PARQUET[-8:-4], "little") : -8]]),
    "list of reports": Parser(reports_parse, BundleError, [FILES["reports.json"]], reports_file),
    "digest": Parser(
        lambda data: Digest.from_text(text_of(data)),
        DigestError,
        [sample.MODEL.text.encode()],
        lambda digest: digest.text.encode(),
    ),
    "time": Parser(lambda data: parse_time(text_of(data)), TimeFormatError, [b"2026-11-21T10:00:00.000000Z"]),
    "base64": Parser(
        lambda data: base64_bytes(text_of(data)),
        TextError,
        [b"QUJDREVG", b"QQ=="],
        lambda data: base64_text(data).encode(),
    ),
    "decimal": Parser(
        lambda data: decimal(text_of(data)), TextError, [b"0", b"9223372036854775807"], lambda n: str(n).encode()
    ),
}

TOKENS = [
    *(b"\n", b"\n\n", b"\r", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x84\xaa", b" ", b"\t"),
    *(b"+", b"-", b"=", b"_", b"/", b"..", b"x000", b"A", b"0", b"9" * 30, b"1.0", b"1e400", b"-0", b"NaN"),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"\\u0000", b"\\ud800", b"sha256:"),
    *("\N{EM DASH} ".encode(), b"all", b"none", b"group g any a\n", b"quorum none\n"),
]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Genuine input after a few changes: cut, doubled, moved, overwritten, with a piece of something else."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 7, 64, len(data)])))
        piece = draw(
            st.sampled_from(TOKENS)
            | st.binary(max_size=8)
            | st.sampled_from([b"", data[start:end] * 2, data[end:start:-1], data[:start]])
        )
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", PARSERS)
def test_genuine_input_is_read_and_written_alike(name: str) -> None:
    parser = PARSERS[name]
    for seed in parser.seeds:
        value = parser.read(seed)
        assert parser.write is None or parser.write(value) == seed


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_input_gives_a_value_in_its_one_spelling_or_the_parsers_own_error(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    given_bytes = data.draw(mutated(parser.seeds) | st.binary(max_size=200))
    try:
        value = parser.read(given_bytes)
    except parser.error:
        return
    assert parser.write is None or parser.write(value) == given_bytes


BOMB_BYTES = 300_000
BOMBS: dict[str, bytes] = {
    "nested lists": b"[" * BOMB_BYTES,
    "nested objects": b'{"a":' * (BOMB_BYTES // 5),
    "a list of lists": b"[" + b"[]," * (BOMB_BYTES // 3) + b"[]]",
    "a list of numbers": b"[" + b"0," * (BOMB_BYTES // 2) + b"0]",
    "digits": b"9" * BOMB_BYTES,
    "fractions": b"1." + b"3" * BOMB_BYTES,
    "newlines": b"\n" * BOMB_BYTES,
    "empty lines in text": b"a\n\n" * (BOMB_BYTES // 3),
    "spaces": b" " * BOMB_BYTES,
    "one string": b'"' + b"a" * BOMB_BYTES + b'"',
    "escapes": b'"' + b"\\u0061" * (BOMB_BYTES // 6) + b'"',
    "backslashes": b"\\" * BOMB_BYTES,
    "base64": b"QUJD" * (BOMB_BYTES // 4),
    "zeros": bytes(BOMB_BYTES),
    "bytes that are not UTF-8": b"\xff" * BOMB_BYTES,
    "signature lines": b"a\n\n" + note_split(NOTE)[1][0].line.encode() * 5_000,
    "path segments": b"tile/0/" + b"x000/" * (BOMB_BYTES // 5),
    "zip headers": b"PK\x03\x04" * (BOMB_BYTES // 4),
    "comments": b"# a\n" * (BOMB_BYTES // 4),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_input_made_to_exhaust_a_parser_is_dealt_with_in_bounded_memory_and_time(bomb: str) -> None:
    data = BOMBS[bomb]
    for name, parser in PARSERS.items():
        tracemalloc.start()
        began = time.process_time()
        with suppress(parser.error):
            parser.read(data)
        spent, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 64 * len(data) + BOMB_BYTES, name
        assert spent < 10, name


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_witness_rules_on_any_request_without_an_error(data: st.DataObject) -> None:
    body = data.draw(mutated(PARSERS["witness request"].seeds) | st.binary(max_size=200))
    ruling = Witness({LINEAGE: [LOG_KEY]}).decide(body, lambda _: TreeHead())
    assert (ruling.head is None) == (ruling.verdict.status != 200)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_archive_gives_its_files_or_a_bundle_error(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    small = {name: FILES[name] for name in ("trust.json", "reports.json", "logs/lineage/chain")}
    archive_write(path, small)
    changed = data.draw(mutated([path.read_bytes()]) | st.binary(max_size=200))
    path.write_bytes(changed)
    try:
        with files_open(path) as files:
            found = {name: files.read(name) for name in files.sizes}
    except BundleError:
        return
    archive_write(tmp_path / "again.zip", found)
    assert (tmp_path / "again.zip").read_bytes() == changed


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bundle_with_any_changed_files_gives_a_report(data: st.DataObject, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    changed = data.draw(mutated([FILES[name]]))
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
