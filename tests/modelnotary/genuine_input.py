"""Genuine input for every parser of `modelnotary`: what its own writers write."""

import json
import tempfile
from base64 import b64encode
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sample_bundle as sample
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from report_samples import sample_report
from sample_bundle import KEYS, LINEAGE, Sample
from timestamp_authority import OpensslAuthority

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.event import Actor
from modelnotary.ledger.incarnation import Incarnation, successor_name
from modelnotary.ledger.keys import lasting_key_generate
from modelnotary.ledger.log_keys import KeyRotation, LogKeys
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner, note_extend, note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tree import tree_root
from modelnotary.manifest.entry import FileEntry
from modelnotary.verify.archive import archive_write, files_open
from modelnotary.verify.log_archive_format import ArchiveManifest
from modelnotary.verify.report_signature import (
    document_read,
)
from modelnotary.verify.report_twin import twin_extract
from modelnotary.verify.trust import Trust

FILES = Sample().files()
ENTRIES = Sample().entries()
NOTE = FILES["logs/lineage/checkpoint"]
CHECKPOINT = Checkpoint.from_text(note_split(NOTE)[0])
WITNESS = Cosigner("witness.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
LASTING = Cosigner("witness.example/2", MLDSA44PrivateKey.from_seed_bytes(bytes(32)))
COSIGNED = note_extend(NOTE, [WITNESS.sign(CHECKPOINT, at=7), LASTING.sign(CHECKPOINT, at=8)])
LOG_SIGNER = KEYS.signer(LINEAGE)
LOG_KEY = LOG_SIGNER.verifier
NEW_KEY = NoteSigner(LINEAGE, Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
ROTATION = KeyRotation(LOG_KEY, NEW_KEY.verifier, 7)
ROTATED = LogKeys.of(LOG_KEY).rotated(3, ROTATION)
SEED = b64encode(b"\x01" + bytes([1]) * 32).decode()
SKEY = f"PRIVATE+KEY+{LINEAGE}+{LOG_KEY.key_id.hex()}+{SEED}".encode()
HASHES = (bytes(32), bytes(range(32)))
SALT = bytes(range(32, 64))
PROOF = InclusionProof(3, HASHES, NOTE, ENTRIES[3])
POLICY = (
    f"# who\nlog {LOG_KEY.text} https://log.example\nwitness a {WITNESS.verifier.text}\n"
    "group g any a\ngroup h 2 a g\nquorum h\n"
).encode()
SUCCESSOR = successor_name(LINEAGE)
SMALL_ARCHIVE = {name: FILES[name] for name in ("trust.json", "reports.json", "logs/lineage/chain")}


_FOLDER = tempfile.TemporaryDirectory()


def scratch() -> Path:
    """A folder of this process's own, gone with it."""
    return Path(_FOLDER.name)


def archive_read(path: Path) -> dict[str, bytes]:
    with files_open(path) as files:
        return {name: files.read(name) for name in files.sizes}


def archive_bytes(files: dict[str, bytes]) -> bytes:
    archive_write(scratch() / "written.zip", files)
    return (scratch() / "written.zip").read_bytes()


def incarnation() -> Incarnation:
    chain = Chain(LINEAGE)
    chain.extend(map(leaf_hash, ENTRIES[:6]))
    return Incarnation(
        note=NOTE.decode(),
        restored=Checkpoint(LINEAGE, 6, tree_root(map(leaf_hash, ENTRIES[:6]))),
        chain=chain.head,
        covered=Checkpoint(LINEAGE, 4, tree_root(map(leaf_hash, ENTRIES[:4]))),
        lost=(5, len(ENTRIES)),
        reason="disk array lost",
        approvers=(Actor("person", "usr_7", "Ada Example"), Actor("person", "usr_8", "Bo Example")),
    )


def archive_manifest() -> ArchiveManifest:
    files = tuple(FileEntry(name, 7, sample.MODEL) for name in ("checkpoint", "tile/0/001", "trust.json"))
    return ArchiveManifest(LINEAGE, "lineage", 256, 512, HASHES[:1], HASHES, HASHES[0], HASHES[1], files)


def rich_trust() -> Trust:
    """A trust file with all that one can hold."""
    report = sample_report().trust
    [root] = report.report_roots
    return replace(report, timestamp_roots=(root,), logs=report.logs)


@cache
def timestamp_token() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return OpensslAuthority(Path(folder)).token(NOTE)


@cache
def parquet_bytes() -> bytes:
    stream = BytesIO()
    pq.write_table(pa.table({"a": [1, None], "b": [["x"], []]}), stream, row_group_size=1)
    return stream.getvalue()


@cache
def twin_bytes() -> bytes:
    return twin_extract(document_read(sample_report().signed))


@cache
def lasting_key_pem() -> bytes:
    path = scratch() / "lasting.key"
    lasting_key_generate(path)
    return path.read_bytes()


def key_pem() -> bytes:
    return sample.key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def witness_memory() -> bytes:
    heads = {LINEAGE: {"size": 10, "root": CHECKPOINT.root.hex()}}
    return json.dumps({"format": "modelnotary-witness/v1", "name": WITNESS.name, "heads": heads}).encode()


def signed_reports() -> list[bytes]:
    return [sample_report().signed]
