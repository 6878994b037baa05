"""Genuine exports of any size, written in bounded memory at some hundred thousand entries per second."""

from collections.abc import Iterator
from pathlib import Path

import sample_bundle as sample
from sample_bundle import KEYS, LINEAGE, NOW

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Subject
from modelnotary.verify.bundle_folder import LogWriter, folder_seal

_SHAPE = sample.event(
    int("f" * 32, 16),
    "job.requested",
    Subject("job", "job_" + "e" * 32, sample.MODEL),
    {"environment": "production", "kind": "explanation", "n": 10_000_019, "dataset": sample.REPORT.text},
    at=NOW,
)
_PATTERN = (
    _SHAPE.replace(b"f" * 32, b"%(number)032x").replace(b"e" * 32, b"%(number)032x").replace(b"10000019", b"%(number)d")
)


def large_entries(count: int) -> Iterator[bytes]:
    """Different events of one kind, about 480 bytes each."""
    for number in range(count):
        yield _PATTERN % {b"number": number}


def large_export(folder: Path, count: int) -> Checkpoint:
    """Write a bundle folder whose log has ``count`` entries; return what its checkpoint says."""
    return _export(folder, large_entries(count))


def _export(folder: Path, entries: Iterator[bytes]) -> Checkpoint:
    writer = LogWriter(folder, LINEAGE)
    writer.extend(entries)
    checkpoint = Checkpoint(LINEAGE, *writer.head)
    writer.finish(checkpoint_sign(checkpoint, KEYS.signer(LINEAGE)))
    (folder / "trust.json").write_bytes(KEYS.trust().to_bytes())
    folder_seal(folder, subject=sample.SUBJECT, logs=[checkpoint], created_at=NOW, private_key=KEYS.decision)
    return checkpoint


def wide_export(folder: Path, mebibytes: int) -> Checkpoint:
    """Write a bundle folder of about this size whose entries are as long as entries can be; return its checkpoint."""
    filling = {"filling": "x" * 65_000}
    shape = sample.event(int("f" * 32, 16), "job.requested", Subject("job", "job_" + "f" * 32), filling, at=NOW)
    pattern = shape.replace(b"f" * 32, b"%(number)032x")
    count = mebibytes * 1024 * 1024 // len(shape)
    return _export(folder, (pattern % {b"number": number} for number in range(count)))
