"""Every parser of `modelnotary`, with the only error it may raise, genuine input, and its inverse where it has one.

A parser is named by its place in the package. Whoever adds one is told to add it here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import sample_bundle as sample
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from genuine_input import (
    CHECKPOINT,
    COSIGNED,
    ENTRIES,
    FILES,
    HASHES,
    LASTING,
    LOG_KEY,
    LOG_SIGNER,
    NEW_KEY,
    NOTE,
    POLICY,
    PROOF,
    ROTATED,
    ROTATION,
    SALT,
    SKEY,
    SMALL_ARCHIVE,
    SUCCESSOR,
    WITNESS,
    archive_bytes,
    archive_manifest,
    archive_read,
    incarnation,
    key_pem,
    lasting_key_pem,
    parquet_bytes,
    rich_trust,
    scratch,
    signed_reports,
    timestamp_token,
    twin_bytes,
    witness_memory,
)
from report_samples import sample_report
from sample_bundle import FORGER, KEYS, LINEAGE, NOW, Sample
from software_authenticator import EXTENDED, PRESENT, SoftwareAuthenticator
from software_producer import SoftwareProducer, statement

from modelnotary.attest.decision import decision_open
from modelnotary.attest.dsse import Envelope
from modelnotary.attest.errors import AttestError, EnvelopeError, PasskeyError, ProducerKeyError, StatementError
from modelnotary.attest.evidence import EvidenceStatement
from modelnotary.attest.override import SignedOverride, override_open, override_sign
from modelnotary.attest.passkey import Assertion, AuthenticatorData, RelyingParty, public_key_parse
from modelnotary.attest.producer import ProducerKey, producer_envelope_read
from modelnotary.attest.statement import GateDecision, Statement
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.add_checkpoint import AddCheckpoint, signatures_parse, signatures_write, size_parse, size_write
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical, parse_json
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, ChainHead
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.disclosure import DisclosedEntry, Disclosure, Opening
from modelnotary.ledger.errors import (
    CanonicalError,
    CheckpointError,
    DigestError,
    DisclosureError,
    EventError,
    KeyFileError,
    KeyRotationError,
    LedgerError,
    NoteError,
    ProofError,
    TextError,
    TileError,
    WitnessMessageError,
    WitnessPolicyError,
)
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.incarnation import LOG_INCARNATION, Incarnation
from modelnotary.ledger.keys import key_load, lasting_key_load
from modelnotary.ledger.log_keys import KeyRotation
from modelnotary.ledger.note import NoteSignature, NoteSigner, NoteVerifier, note_open, note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.text import base64_bytes, base64_text, base64url_bytes, base64url_text, decimal
from modelnotary.ledger.tiles import Tile, bundle_decode, bundle_encode, bundle_prefix
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.manifest.errors import ManifestFormatError
from modelnotary.manifest.format import manifest_parse, manifest_write
from modelnotary.tables.comma_separated import csv_facts
from modelnotary.tables.errors import TableError
from modelnotary.tables.parquet import footer_facts, parquet_facts
from modelnotary.times import parse_time
from modelnotary.verify.bundle_format import BundleManifest, reports_file, reports_parse
from modelnotary.verify.errors import BundleError, InputError, TrustError
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_archive_format import ArchiveManifest
from modelnotary.verify.pruning import PrunedPrefix
from modelnotary.verify.receipts import Receipt, receipts_parse, receipts_write
from modelnotary.verify.report_signature import (
    Container,
    ReportProblem,
    container_find,
    container_open,
    document_open,
    document_read,
)
from modelnotary.verify.report_twin import twin_parse
from modelnotary.verify.rotations import rotations_parse, rotations_write
from modelnotary.verify.timestamp import TimestampError, timestamp_verify
from modelnotary.verify.trust import Trust
from modelnotary.verify.witnesses import policy_read
from modelnotary.witness_memory import WitnessFolder, WitnessMemoryError


@dataclass(frozen=True)
class Parser:
    """A parser of bytes, the only error it may raise, genuine input, and its inverse where there is one."""

    read: Callable[[bytes], Any]
    error: type[Exception]
    seeds: Callable[[], list[bytes]]
    write: Callable[[Any], bytes] | None = None


def of_text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """A parser of text, given any bytes: lone surrogates for what is not UTF-8, which it has to bear."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def of_file(read: Callable[[Path], Any], name: str = "file") -> Callable[[bytes], Any]:
    """A parser that is given a path; the file is this user's alone."""

    def read_file(data: bytes) -> Any:
        path = scratch() / name
        path.write_bytes(data)
        path.chmod(0o600)
        return read(path)

    return read_file


def event_of(kind: str, subject: str, data: bytes) -> Event:
    """An event with this data: the rest of it is the business of events."""
    value = parse_canonical(data)
    if not isinstance(value, dict):
        raise EventError("an event's data is an object")
    return Event("lineage", kind, f"evt_{9:032x}", NOW, Actor("system", "x", "x"), Subject("log", subject), value)


def parse_any(data: bytes) -> Any:
    """A JSON value of canonical bytes, whatever it is; what they are not is the business of another parser."""
    try:
        return parse_canonical(data)
    except CanonicalError:
        return None


def report_open(data: bytes) -> Any:
    report = sample_report()
    return document_open(data, container_find(data), report.trust.report_roots, NOW + timedelta(days=30))


PASSKEY = SoftwareAuthenticator("notary.example", "https://notary.example")
PASSKEY_2 = replace(PASSKEY, key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
OVERRIDE = SignedOverride(
    id="ovr_1",
    decision="dec_1",
    name="credit v2",
    digest=Digest.of(b"credit v2"),
    environment="production",
    attestation=Digest.of(b"the denial").text,
    reason="The scoring service fails for one branch in three.",
    ticket="https://tickets.example.org/7",
    requested_by="usr_1",
    approved_by="usr_2",
    approved_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    review_due_at=NOW + timedelta(days=3),
)

LAB = SoftwareProducer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
REPORTED = statement(sample.MODEL, {"auc": 0.84, "rows": 477})

PARSERS: dict[str, Parser] = {
    "attest.decision.decision_open": Parser(
        lambda data: decision_open(data, [KEYS.decision.public_key()]),
        AttestError,
        lambda: [*Sample().decisions().values()],
    ),
    "attest.dsse.Envelope.from_bytes": Parser(
        Envelope.from_bytes, EnvelopeError, lambda: [FILES["manifest.dsse.json"]], Envelope.to_bytes
    ),
    "attest.evidence.EvidenceStatement.from_bytes": Parser(
        EvidenceStatement.from_bytes, StatementError, lambda: [REPORTED.to_bytes()]
    ),
    "attest.producer.ProducerKey.from_pem": Parser(
        of_text(ProducerKey.from_pem), ProducerKeyError, lambda: [LAB.pem.encode()]
    ),
    "attest.producer.ProducerKey.from_spki": Parser(
        ProducerKey.from_spki, ProducerKeyError, lambda: [LAB.public.spki], lambda key: key.spki
    ),
    "attest.producer.producer_envelope_read": Parser(
        producer_envelope_read, EnvelopeError, lambda: [LAB.envelope(REPORTED.to_bytes())]
    ),
    "attest.override.SignedOverride.from_bytes": Parser(
        SignedOverride.from_bytes, AttestError, lambda: [OVERRIDE.to_bytes()], SignedOverride.to_bytes
    ),
    "attest.override.override_open": Parser(
        lambda data: override_open(data, [KEYS.decision.public_key()]),
        AttestError,
        lambda: [override_sign(OVERRIDE, KEYS.decision)],
    ),
    "attest.statement.Statement.from_bytes": Parser(
        Statement.from_bytes,
        AttestError,
        lambda: [Envelope.from_bytes(data).payload for data in Sample().decisions().values()],
        Statement.to_bytes,
    ),
    "attest.statement.GateDecision.from_bytes": Parser(
        GateDecision.from_bytes,
        AttestError,
        lambda: [Envelope.from_bytes(data).payload for data in Sample().decisions().values()],
        GateDecision.to_bytes,
    ),
    "attest.passkey.Assertion.from_json": Parser(
        lambda data: Assertion.from_json(parse_any(data)),
        PasskeyError,
        lambda: [canonical_bytes(PASSKEY.get("challenge").to_json())],
        lambda assertion: canonical_bytes(assertion.to_json()),
    ),
    "attest.passkey.AuthenticatorData.from_bytes": Parser(
        AuthenticatorData.from_bytes,
        PasskeyError,
        lambda: [
            PASSKEY.authenticator_data(),
            base64url_bytes(PASSKEY.create("challenge")["authenticatorData"]),
            PASSKEY.authenticator_data(PRESENT | EXTENDED, more=b"\xa0"),
        ],
    ),
    "attest.passkey.RelyingParty.from_json": Parser(
        lambda data: RelyingParty.from_json(parse_any(data)),
        PasskeyError,
        lambda: [canonical_bytes(RelyingParty("notary.example", ("https://notary.example",)).to_json())],
        lambda party: canonical_bytes(party.to_json()),
    ),
    "attest.passkey.public_key_parse": Parser(public_key_parse, PasskeyError, lambda: [PASSKEY.cose, PASSKEY_2.cose]),
    "ledger.add_checkpoint.AddCheckpoint.from_bytes": Parser(
        AddCheckpoint.from_bytes,
        WitnessMessageError,
        lambda: [AddCheckpoint(3, HASHES[:1], NOTE).to_bytes(), AddCheckpoint(0, (), COSIGNED).to_bytes()],
        AddCheckpoint.to_bytes,
    ),
    "ledger.add_checkpoint.signatures_parse": Parser(
        signatures_parse,
        WitnessMessageError,
        lambda: [signatures_write(note_split(COSIGNED)[1])],
        signatures_write,
    ),
    "ledger.add_checkpoint.size_parse": Parser(
        size_parse, WitnessMessageError, lambda: [size_write(20_852_014)], size_write
    ),
    "ledger.canonical.parse_canonical": Parser(
        parse_canonical,
        CanonicalError,
        lambda: [*ENTRIES, b'{"a":[1.5,-2e-7,true,null,"\xc3\xa9"]}'],
        canonical_bytes,
    ),
    "ledger.canonical.parse_json": Parser(
        parse_json, CanonicalError, lambda: [FILES["trust.json"], b' {"a": [1e5, "\\ud83d\\ude00"]} ']
    ),
    "ledger.chain_head.ChainHead.from_event": Parser(
        lambda data: ChainHead.from_event(event_of(CHAIN_HEAD_EVENT, LINEAGE, data)),
        LedgerError,
        lambda: [canonical_bytes(ChainHead(LINEAGE, 20_000, SALT).to_data())],
        lambda head: canonical_bytes(head.to_data()),
    ),
    "ledger.checkpoint.Checkpoint.from_text": Parser(
        of_text(Checkpoint.from_text),
        CheckpointError,
        lambda: [CHECKPOINT.text.encode(), f"{CHECKPOINT.text}more\n".encode()],
        lambda checkpoint: checkpoint.text.encode("utf-8", "surrogateescape"),
    ),
    "ledger.checkpoint.checkpoint_open": Parser(
        lambda data: checkpoint_open(data, LOG_KEY), LedgerError, lambda: [NOTE, COSIGNED]
    ),
    "ledger.digest.Digest.from_text": Parser(
        of_text(Digest.from_text),
        DigestError,
        lambda: [sample.MODEL.text.encode()],
        lambda digest: digest.text.encode(),
    ),
    "ledger.disclosure.Disclosure.from_bytes": Parser(
        Disclosure.from_bytes,
        DisclosureError,
        lambda: [
            Disclosure((DisclosedEntry(PROOF.to_bytes(), (Opening("patient", SALT, "Ada"),)),)).to_bytes(),
        ],
        Disclosure.to_bytes,
    ),
    "ledger.event.Event.from_bytes": Parser(Event.from_bytes, EventError, lambda: ENTRIES, Event.to_bytes),
    "ledger.incarnation.Incarnation.from_event": Parser(
        lambda data: Incarnation.from_event(event_of(LOG_INCARNATION, SUCCESSOR, data), origin=SUCCESSOR),
        LedgerError,
        lambda: [canonical_bytes(incarnation().to_data())],
        lambda read: canonical_bytes(read.to_data()),
    ),
    "ledger.keys.key_load": Parser(of_file(key_load), KeyFileError, lambda: [key_pem()]),
    "ledger.keys.lasting_key_load": Parser(of_file(lasting_key_load), KeyFileError, lambda: [lasting_key_pem()]),
    "ledger.log_keys.KeyRotation.from_note": Parser(
        KeyRotation.from_note, KeyRotationError, lambda: [ROTATION.sign(LOG_SIGNER, NEW_KEY)]
    ),
    "ledger.note.NoteVerifier.from_text": Parser(
        of_text(NoteVerifier.from_text),
        NoteError,
        lambda: [key.text.encode() for key in (LOG_KEY, WITNESS.verifier, LASTING.verifier)],
        lambda key: key.text.encode(),
    ),
    "ledger.note.NoteSigner.from_text": Parser(of_text(NoteSigner.from_text), NoteError, lambda: [SKEY]),
    "ledger.note.NoteSignature.from_line": Parser(
        of_text(NoteSignature.from_line),
        NoteError,
        lambda: [signature.line.encode() for signature in note_split(COSIGNED)[1]],
        lambda signature: signature.line.encode(),
    ),
    "ledger.note.note_open": Parser(
        lambda data: note_open(data, [LOG_KEY, WITNESS.verifier]), NoteError, lambda: [NOTE, COSIGNED]
    ),
    "ledger.note.note_split": Parser(
        note_split,
        NoteError,
        lambda: [NOTE, COSIGNED],
        lambda read: f"{read[0]}\n".encode() + signatures_write(read[1]),
    ),
    "ledger.proof.InclusionProof.from_bytes": Parser(
        InclusionProof.from_bytes,
        ProofError,
        lambda: [PROOF.to_bytes(), InclusionProof(0, (), NOTE).to_bytes()],
        InclusionProof.to_bytes,
    ),
    "ledger.text.base64_bytes": Parser(
        of_text(base64_bytes), TextError, lambda: [b"QUJDREVG", b"QQ=="], lambda data: base64_text(data).encode()
    ),
    "ledger.text.base64url_bytes": Parser(
        of_text(base64url_bytes), TextError, lambda: [b"QUJDREVG", b"-_8"], lambda data: base64url_text(data).encode()
    ),
    "ledger.text.decimal": Parser(
        of_text(decimal), TextError, lambda: [b"0", b"9223372036854775807"], lambda n: str(n).encode()
    ),
    "ledger.tiles.Tile.from_path": Parser(
        of_text(Tile.from_path),
        TileError,
        lambda: [b"tile/0/x001/x234/067.p/12", b"tile/entries/000"],
        lambda tile: tile.path.encode(),
    ),
    "ledger.tiles.bundle_decode": Parser(
        lambda data: bundle_decode(data, 3), TileError, lambda: [bundle_encode([b"one", b"", b"three"])], bundle_encode
    ),
    "ledger.tiles.bundle_prefix": Parser(
        lambda data: bundle_prefix(data, 3), TileError, lambda: [bundle_encode([b"one", b"", b"three"])]
    ),
    "ledger.witness_policy.WitnessPolicy.from_bytes": Parser(
        WitnessPolicy.from_bytes, WitnessPolicyError, lambda: [POLICY, b"quorum none\n"]
    ),
    "manifest.format.manifest_parse": Parser(
        manifest_parse,
        ManifestFormatError,
        lambda: [manifest_write([("a-b", sample.MODEL), ("a/b", sample.MODEL), ("ä", sample.MODEL)])],
        manifest_write,
    ),
    "tables.comma_separated.csv_facts": Parser(
        lambda data: csv_facts([data]), TableError, lambda: [b'a,b\n1,"2,\n"""\n', b"\xef\xbb\xbfa,b\r\n1,2\r\n"]
    ),
    "tables.parquet.footer_facts": Parser(
        footer_facts,
        TableError,
        lambda: [parquet_bytes()[-8 - int.from_bytes(parquet_bytes()[-8:-4], "little") : -8]],
    ),
    "tables.parquet.parquet_facts": Parser(
        lambda data: parquet_facts(BytesIO(data)), TableError, lambda: [parquet_bytes()]
    ),
    "times.parse_time": Parser(of_text(parse_time), TimeFormatError, lambda: [b"2026-11-21T10:00:00.000000Z"]),
    "verify.archive.files_open": Parser(
        of_file(archive_read, "bundle.zip"), BundleError, lambda: [archive_bytes(SMALL_ARCHIVE)], archive_bytes
    ),
    "verify.bundle_format.BundleManifest.from_bytes": Parser(
        BundleManifest.from_bytes,
        BundleError,
        lambda: [Envelope.from_bytes(FILES["manifest.dsse.json"]).payload],
        BundleManifest.to_bytes,
    ),
    "verify.bundle_format.reports_parse": Parser(
        reports_parse, BundleError, lambda: [FILES["reports.json"]], reports_file
    ),
    "verify.evidence_file.evidence_read": Parser(
        of_file(lambda path: evidence_read(path, 4096)), InputError, lambda: [NOTE], bytes
    ),
    "verify.kept.KeptCheckpoint.from_file": Parser(
        of_file(KeptCheckpoint.from_file), InputError, lambda: [NOTE, COSIGNED], lambda kept: kept.note
    ),
    "verify.log_archive_format.ArchiveManifest.from_bytes": Parser(
        ArchiveManifest.from_bytes, BundleError, lambda: [archive_manifest().to_bytes()], ArchiveManifest.to_bytes
    ),
    "verify.pruning.PrunedPrefix.from_bytes": Parser(
        PrunedPrefix.from_bytes,
        BundleError,
        lambda: [PrunedPrefix(LINEAGE, 256, bytes(range(32)), PROOF.to_bytes()).to_bytes()],
        PrunedPrefix.to_bytes,
    ),
    "verify.receipts.receipts_parse": Parser(
        receipts_parse,
        BundleError,
        lambda: [
            receipts_write([]),
            receipts_write([Receipt("timestamp", "https://tsa.example", NOTE, b"token", HASHES)]),
        ],
        receipts_write,
    ),
    "verify.rotations.rotations_parse": Parser(
        rotations_parse,
        BundleError,
        lambda: [rotations_write([]), rotations_write([PROOF.to_bytes()])],
        rotations_write,
    ),
    "verify.report_signature.container_find": Parser(container_find, ReportProblem, signed_reports),
    "verify.report_signature.container_open": Parser(
        lambda data: container_open(Container(0, 0, data)),
        ReportProblem,
        lambda: [container_find(sample_report().signed).der],
        lambda signed: cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump(),
    ),
    "verify.report_signature.document_open": Parser(report_open, ReportProblem, signed_reports),
    "verify.report_signature.document_read": Parser(document_read, ReportProblem, signed_reports),
    "verify.report_twin.twin_parse": Parser(twin_parse, ReportProblem, lambda: [twin_bytes()]),
    "verify.timestamp.timestamp_verify": Parser(
        lambda data: timestamp_verify(data, NOTE, ()), TimestampError, lambda: [timestamp_token()]
    ),
    "verify.trust.Trust.from_bytes": Parser(
        Trust.from_bytes,
        TrustError,
        lambda: [
            KEYS.trust().to_bytes(),
            FORGER.trust().to_bytes(),
            KEYS.trust().with_log(ROTATED).to_bytes(),
            rich_trust().to_bytes(),
        ],
    ),
    "verify.trust.Trust.from_file": Parser(of_file(Trust.from_file), TrustError, lambda: [KEYS.trust().to_bytes()]),
    "verify.witnesses.policy_read": Parser(of_file(policy_read), InputError, lambda: [POLICY]),
    "witness_memory.WitnessFolder.last": Parser(
        of_file(lambda path: WitnessFolder(path.parent).last(LINEAGE), "memory.json"),
        WitnessMemoryError,
        lambda: [witness_memory()],
    ),
    # What a witness signs is no function of its own: the bytes of a signature are read by the key that checks them.
    "ledger.note.NoteVerifier.verify (Ed25519 cosignature)": Parser(
        lambda data: WITNESS.verifier.verify(CHECKPOINT.text, data),
        NoteError,
        lambda: [WITNESS.sign(CHECKPOINT, at=7).signature],
    ),
    "ledger.note.NoteVerifier.verify (ML-DSA-44 cosignature)": Parser(
        lambda data: LASTING.verifier.verify(CHECKPOINT.text, data),
        NoteError,
        lambda: [LASTING.sign(CHECKPOINT, at=7).signature],
    ),
}

NO_PARSERS = {
    "manifest.format.lines_read": "is manifest_parse, line by line",
    "manifest.reading.file_read": "hashes a file; what is in a table is read by a parser of the table",
    "manifest.walk.file_open": "opens a file and reads nothing",
    "manifest.walk.files_open": "opens the files of a folder and reads nothing",
    "tables.measuring.table_facts": "reads a file by one of the parsers of tables",
    "verify.log_stretch.stretch_read": "reads a stretch of a log, tile by tile, each by a parser of the table",
    "verify.pruning.prefix_read": "reads pruned.json out of a folder by its parser and judges it",
    "verify.receipts.Receipt.from_json": "reads a value that receipts_parse has read",
    "verify.report_twin.twin_extract": "is given a PDF that document_read has read",
}
"""Functions with a parser's name that are given nothing from outside, or only through one of the table."""
