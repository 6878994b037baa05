"""The canonical zip: for a set of files there is exactly one archive, so every byte of it can be checked.

Entries are stored uncompressed, sorted by name, dated 1980-01-01, with fixed attributes and without comments
or extra fields (PKWARE APPNOTE 6.3, without ZIP64). The reader goes front to back, follows no offset and
compares every header with the one the writer would have written. Nothing is decompressed, so nothing expands.
"""

import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from modelnotary.verify.errors import BundleError

MAX_FILES = 0xFFFE
MAX_FOLDER_FILES = 512 * 1024
MAX_FILE_BYTES = 32 * 1024 * 1024
_MAX_ARCHIVE_BYTES = 0xFFFF_FFFE
_CHUNK = 1024 * 1024
_NAME = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,9}", re.ASCII)
_MAX_NAME = 200

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK = b"PK\x03\x04"
_VERSION = 20
_MADE_ON_UNIX = 3 << 8 | _VERSION
_DATE = 0x0021
_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Where the content of a file of a bundle is, so that another process can read it."""

    path: str
    start: int
    size: int

    def read(self) -> bytes:
        """Read the content; less of it if the file was cut off meanwhile.

        Raises:
            OSError: it cannot be read.
        """
        # A file object costs as much as the reading, and an export has a hundred thousand files.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, self.size, self.start)
        finally:
            os.close(descriptor)


class Files(Protocol):
    """A set of files by name, whether they are in an archive or in a folder."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The size of every file in bytes, by name."""

    def read(self, name: str) -> bytes:
        """Read one file whole; it has at most 32 MiB.

        Raises:
            BundleError: there is no such file, or it cannot be read.
        """

    def locate(self, name: str) -> FileSlice:
        """Tell where the content of a file is.

        Raises:
            BundleError: there is no such file.
        """


def archive_write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the canonical zip of these files, replacing ``path`` in one step.

    Raises:
        BundleError: a name or size does not fit a canonical archive.
        OSError: the file cannot be written.
    """
    members = [_Member(name, len(files[name]), zlib.crc32(files[name])) for name in sorted(files)]
    _write(path, members, files.__getitem__)


def archive_pack(path: Path, folder: Path) -> None:
    """Write the canonical zip of the files of a folder, in memory for one file at a time.

    Raises:
        BundleError: a name or size does not fit a canonical archive, or the folder holds a link.
        OSError: a file cannot be read or written.
    """
    files = _Folder(folder)
    members = [_Member(name, files.sizes[name], zlib.crc32(files.read(name))) for name in sorted(files.sizes)]
    _write(path, members, files.read)


def _write(path: Path, members: "list[_Member]", read: Callable[[str], bytes]) -> None:
    _require_fitting(members)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            for member in members:
                file.write(member.header)
                file.write(read(member.name))
            file.write(_directory(members))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def files_open(path: Path) -> Iterator[Files]:
    """Open a canonical zip, checking every byte of it, or a folder with the same files unpacked.

    Raises:
        BundleError: it cannot be read, or is not what `archive_write` writes.
    """
    try:
        if path.is_dir():
            yield _Folder(path)
        else:
            with path.open("rb") as file:
                yield _Archive(file)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    crc: int

    @property
    def header(self) -> bytes:
        name = self.name.encode("ascii")
        fields = (_LOCAL_MARK, _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name), 0)
        return _LOCAL.pack(*fields) + name

    def directory_entry(self, offset: int) -> bytes:
        name = self.name.encode("ascii")
        same = (_VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name))
        return _CENTRAL.pack(b"PK\x01\x02", _MADE_ON_UNIX, *same, 0, 0, 0, 0, _ATTRIBUTES, offset) + name


def _directory(members: list[_Member]) -> bytes:
    """The central directory and its end record, which follow from the members alone."""
    entries, offset = [], 0
    for member in members:
        entries.append(member.directory_entry(offset))
        offset += len(member.header) + member.size
    central = b"".join(entries)
    end = _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(central), offset, 0)
    return central + end


def _require_fitting(members: list[_Member]) -> None:
    total = sum(len(member.header) + member.size for member in members)
    if len(members) > MAX_FILES or total + len(_directory(members)) > _MAX_ARCHIVE_BYTES:
        raise BundleError(f"an archive holds at most {MAX_FILES} files and 4 GiB; leave the access log out")
    for member in members:
        file_require(member.name, member.size)


def file_require(name: str, size: int) -> None:
    """Refuse what cannot be a file of a bundle or an archive: a path that leads elsewhere, a size beyond the limit.

    Raises:
        BundleError: it is one of them.
    """
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise BundleError(f"{name[:_MAX_NAME]!r} cannot name a file of a bundle")
    if not 0 <= size <= MAX_FILE_BYTES:
        raise BundleError(f"{name} has {size} bytes, more than the {MAX_FILE_BYTES} of a bundle's file")


class _Archive:
    """Reads a canonical zip front to back; opening it checks all of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._path = file.name
        self._starts: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        members: list[_Member] = []
        while (head := file.read(_LOCAL.size)).startswith(_LOCAL_MARK):
            member = self._member(head)
            if len(members) >= MAX_FILES or (members and member.name <= members[-1].name):
                raise BundleError(f"the archive's files are not in order at {member.name}")
            members.append(member)
            self._starts[member.name] = file.tell()
            self.sizes[member.name] = member.size
            self._check_content(member)
        rest = _directory(members)
        if head + file.read(len(rest) + 1) != rest:
            raise BundleError("the archive's directory is not the one that belongs to its files")

    def read(self, name: str) -> bytes:
        place = self.locate(name)
        self._file.seek(place.start)
        return self._file.read(place.size)

    def locate(self, name: str) -> FileSlice:
        if name not in self.sizes:
            raise BundleError(f"there is no {name} in the archive")
        return FileSlice(self._path, self._starts[name], self.sizes[name])

    def _member(self, head: bytes) -> _Member:
        if len(head) < _LOCAL.size:
            raise BundleError("the archive is cut off")
        *_, crc, size, _, length, _ = _LOCAL.unpack(head)
        name = self._file.read(min(length, _MAX_NAME)).decode("latin-1")
        file_require(name, size)
        member = _Member(name, size, crc)
        if member.header != head + name.encode("ascii"):
            raise BundleError(f"the archive's header of {name} is not in canonical form")
        return member

    def _check_content(self, member: _Member) -> None:
        crc, left = 0, member.size
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise BundleError(f"the archive is cut off within {member.name}")
            crc, left = zlib.crc32(chunk, crc), left - len(chunk)
        if crc != member.crc:
            raise BundleError(f"the content of {member.name} does not match its checksum in the archive")


class _Folder:
    """Reads the files of an unpacked bundle; links and special files are refused."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self.sizes: dict[str, int] = {}
        folders = [""]
        while folders:
            prefix = folders.pop()
            with os.scandir(f"{self._root}/{prefix}") as found:
                for entry in found:
                    self._add(entry, f"{prefix}{entry.name}", folders)

    def _add(self, entry: os.DirEntry[str], name: str, folders: list[str]) -> None:
        if entry.is_dir(follow_symlinks=False):
            folders.append(f"{name}/")
            return
        if not entry.is_file(follow_symlinks=False):
            raise BundleError(f"{entry.path} is a symbolic link or a special file")
        size = entry.stat(follow_symlinks=False).st_size
        file_require(name, size)
        self.sizes[name] = size
        if len(self.sizes) > MAX_FOLDER_FILES:
            raise BundleError(f"a bundle in a folder has at most {MAX_FOLDER_FILES} files")

    def read(self, name: str) -> bytes:
        return self.locate(name).read()

    def locate(self, name: str) -> FileSlice:
        if name not in self.sizes:
            raise BundleError(f"there is no {name} in the folder")
        return FileSlice(f"{self._root}/{name}", 0, self.sizes[name])
