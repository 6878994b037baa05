"""Telling what a file given to the verifier is, and reading it within bounds."""

from enum import StrEnum
from pathlib import Path

from modelnotary.verify.bundle_format import MANIFEST_FILE
from modelnotary.verify.errors import InputError
from modelnotary.verify.log_archive_format import ARCHIVE_MANIFEST

_HEAD = 32


class Kind(StrEnum):
    """What can be verified."""

    BUNDLE = "bundle"
    LOG = "log"
    ARCHIVE = "archive"
    REPORT = "report"
    DECISION = "decision"
    PROOF = "proof"
    DISCLOSURE = "disclosure"


_BY_SUFFIX = {
    ".zip": Kind.BUNDLE,
    ".pdf": Kind.REPORT,
    ".json": Kind.DECISION,
    ".tlog-proof": Kind.PROOF,
    ".disclosure": Kind.DISCLOSURE,
}
_BY_CONTENT = {
    b"PK\x03\x04": Kind.BUNDLE,
    b"%PDF-": Kind.REPORT,
    b'{"payload"': Kind.DECISION,
    b"c2sp.org/tlog-proof@": Kind.PROOF,
    b'{"entries":[': Kind.DISCLOSURE,
}


def evidence_kind(path: Path) -> Kind:
    """Tell what a path holds: by its name first, so that a damaged file is judged for what it claims to be.

    Raises:
        InputError: it is missing, or nothing that can be verified.
    """
    if path.is_dir():
        if (path / MANIFEST_FILE).is_file() or (path / "logs").is_dir():
            return Kind.BUNDLE
        if (path / ARCHIVE_MANIFEST).is_file():
            return Kind.ARCHIVE
        if (path / "tile").is_dir():
            return Kind.LOG
        raise InputError(f"{path} is a folder without {MANIFEST_FILE}, so it is no evidence bundle")
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if kind is not None:
        return kind
    head = _read(path, _HEAD)
    for beginning, found in _BY_CONTENT.items():
        if head.startswith(beginning):
            return found
    raise InputError(f"{path} is no evidence bundle, report, decision or proof")


def evidence_read(path: Path, limit: int) -> bytes:
    """Read a file whole.

    Raises:
        InputError: it cannot be read, or is larger than ``limit`` bytes.
    """
    data = _read(path, limit + 1)
    if len(data) > limit:
        raise InputError(f"{path} is larger than the {limit} bytes such a file can have")
    return data


def _read(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
