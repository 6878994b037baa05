"""The identity of a model or a data set: the digest of its full content.

A file is its bytes, and its digest is their SHA-256; the file's name does not count. A folder is the set of
its files, and its digest is the SHA-256 of its manifest: the RFC 8785 canonical JSON list of
``{"path", "size", "sha256"}``, sorted by the UTF-8 bytes of the path, where ``sha256`` is 64 hexadecimal
digits. Paths are relative and written with ``/``. Empty folders, permissions, owners and times do not count.
Symbolic links and special files are refused: what they stand for is not in the folder, so a digest could not
speak for it. A folder of one file is not that file.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest

_KIND_REFUSED = "it is a symbolic link or a special file; give the files themselves"


class ManifestError(ModelNotaryError):
    """A model or a data set cannot be identified by its content.

    Attributes:
        path: What cannot be read or counted.
    """

    code = "content-not-identifiable"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot take the digest of {path}: {reason}")
        self.path = path


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its relative path (empty when the file itself is what is identified), bytes and digest."""

    path: str
    size: int
    digest: Digest

    def to_json(self) -> dict[str, Json]:
        """The entry as it stands in a manifest."""
        return {"path": self.path, "size": self.size, "sha256": self.digest.hex}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The full content of a file or folder. ``files`` is in manifest order."""

    is_folder: bool
    files: tuple[FileEntry, ...]

    @property
    def digest(self) -> Digest:
        """The identity: of a file its own digest, of a folder that of the manifest."""
        if self.is_folder:
            return Digest.of(self.to_bytes())
        return self.files[0].digest

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON."""
        return canonical_bytes([file.to_json() for file in self.files])


def manifest_of(path: Path) -> Manifest:
    """Read a file or folder once, in constant memory, and identify it.

    Raises:
        ManifestError: it is missing, unreadable, without files, changes while being read, or holds a
            symbolic link, a special file or a file name that is not text.
    """
    status = _status(path)
    if stat.S_ISREG(status.st_mode):
        return Manifest(is_folder=False, files=(_entry(path, ""),))
    if not stat.S_ISDIR(status.st_mode):
        raise ManifestError(path, _KIND_REFUSED)
    files = sorted(_entries(path, path), key=lambda file: file.path.encode())
    if not files:
        raise ManifestError(path, "the folder holds no files")
    return Manifest(is_folder=True, files=tuple(files))


def _entries(root: Path, folder: Path) -> Iterator[FileEntry]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ManifestError(folder, _reason(error)) from error
    for child in children:
        mode = _status(child).st_mode
        if stat.S_ISDIR(mode):
            yield from _entries(root, child)
        elif stat.S_ISREG(mode):
            yield _entry(child, child.relative_to(root).as_posix())
        else:
            raise ManifestError(child, _KIND_REFUSED)


def _entry(path: Path, name: str) -> FileEntry:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ManifestError(path, "its name is not valid UTF-8 text") from error
    try:
        # O_NOFOLLOW: the file must not become a link between the look at it and the opening.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123 -- Path cannot
            before = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").digest()
            size = file.tell()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise ManifestError(path, _reason(error)) from error
    if size != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise ManifestError(path, "it changed while it was being read")
    return FileEntry(name, size, Digest(digest))


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise ManifestError(path, _reason(error)) from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
