"""Archives made to lead a reader astray: each is refused as a whole, nothing is written, little is read.

Every attack is a small change to the parts of one genuine bundle; put together unchanged, the parts verify.
"""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sample_bundle import KEYS, NOW, Sample

from modelnotary.verify.bundle import verify_bundle
from modelnotary.verify.result import ExitCode, Outcome

FILES = Sample().files()
REGULAR, LINK = 0o100644 << 16, 0o120777 << 16
UNKNOWN = 0xFFFF_FFFF


@dataclass(frozen=True)
class Member:
    """One file of an archive, with all that its two headers say; what is None follows from the rest."""

    name: bytes
    data: bytes
    flags: int = 0
    method: int = 0
    version: int = 20
    date: int = 0x0021
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    extra: bytes = b""
    after: bytes = b""
    directory_name: bytes | None = None
    directory_size: int | None = None
    directory_extra: bytes = b""
    attributes: int = REGULAR
    offset: int | None = None
    comment: bytes = b""

    def fields(self, size: int | None = None) -> tuple[int, ...]:
        size = len(self.data) if self.size is None else self.size
        packed = len(self.data) if self.packed is None else self.packed
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        return self.version, self.flags, self.method, 0, self.date, crc, packed, size

    def local(self) -> bytes:
        lengths = (len(self.name), len(self.extra))
        header = struct.pack("<4s5H3I2H", b"PK\x03\x04", *self.fields(), *lengths)
        return header + self.name + self.extra + self.data + self.after

    def entry(self, offset: int) -> bytes:
        name = self.name if self.directory_name is None else self.directory_name
        *fields, size = self.fields()
        size = size if self.directory_size is None else self.directory_size
        lengths = (len(name), len(self.directory_extra), len(self.comment))
        place = offset if self.offset is None else self.offset
        rest = (*lengths, 0, 0, self.attributes, place)
        header = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 3 << 8 | 20, *fields, size, *rest)
        return header + name + self.directory_extra + self.comment


@dataclass(frozen=True)
class Archive:
    """All the members, and what stands before, between and after them."""

    members: tuple[Member, ...]
    before: bytes = b""
    between: bytes = b""
    count: int | None = None
    directory_at: int | None = None
    comment: bytes = b""
    after: bytes = b""

    def to_bytes(self) -> bytes:
        body, entries = self.before, b""
        for member in self.members:
            entries += member.entry(len(body))
            body += member.local()
        body += self.between
        count = len(self.members) if self.count is None else self.count
        place = len(body) if self.directory_at is None else self.directory_at
        end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entries), place, len(self.comment))
        return body + entries + end + self.comment + self.after


GENUINE = Archive(tuple(Member(name.encode(), FILES[name]) for name in sorted(FILES)))


def first(**changes: object) -> Archive:
    """The genuine archive with other particulars of its first file."""
    return replace(GENUINE, members=(replace(GENUINE.members[0], **changes), *GENUINE.members[1:]))  # type: ignore[arg-type]


def with_member(member: Member) -> Archive:
    """The genuine archive with one file more, at its place in the order of names."""
    return replace(GENUINE, members=tuple(sorted((*GENUINE.members, member), key=lambda item: item.name)))


def named(name: bytes) -> Archive:
    return with_member(Member(name, b"anything"))


def deflated(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(size)) + packer.flush()


def bomb() -> Archive:
    size = 100_000_000
    return first(data=deflated(size), method=8, size=size, crc=zlib.crc32(bytes(size)))


def overlapping() -> Archive:
    """Many names for one content, as in the bombs that need no nesting: each directory entry points at one place."""
    members = tuple(replace(GENUINE.members[0], name=b"evidence/%06d.json" % n, offset=0) for n in range(500))
    return replace(GENUINE, members=(*GENUINE.members, *members))


def zip64_extra(size: int) -> bytes:
    return struct.pack("<2H2Q", 1, 16, size, size)


def zip64_end(archive: bytes) -> bytes:
    """The same archive with the end record of ZIP64 and its locator before the plain one."""
    start = len(archive) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 0, 0)
    return archive[:start] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, start, 1) + archive[start:]


def by_another_tool(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in sorted(FILES):
            archive.writestr(zipfile.ZipInfo(name), FILES[name], compress_type=method)
    return buffer.getvalue()


SIZE = len(GENUINE.members[0].data)
ATTACKS: dict[str, Callable[[], bytes]] = {
    # What is not there or not this.
    "nothing": lambda: b"",
    "no archive": lambda: b"hello",
    "packed by another tool": lambda: by_another_tool(zipfile.ZIP_STORED),
    "compressed by another tool": lambda: by_another_tool(zipfile.ZIP_DEFLATED),
    # Paths.
    "a path out of the bundle": named(b"../etc/passwd").to_bytes,
    "a path out of the bundle, further in": named(b"evidence/../../etc/passwd").to_bytes,
    "an absolute path": named(b"/etc/passwd").to_bytes,
    "a path of another system": named(b"evidence\\..\\..\\passwd").to_bytes,
    "a drive": named(b"C:/passwd").to_bytes,
    "a dot segment": named(b"logs/./x").to_bytes,
    "an empty segment": named(b"logs//x").to_bytes,
    "a folder": named(b"evidence/").to_bytes,
    "an empty name": named(b"").to_bytes,
    "a NUL in a name": named(b"reports.json\x00.txt").to_bytes,
    "a newline in a name": named(b"reports.json\n").to_bytes,
    "a name that is not ASCII": named("evidence/\N{CYRILLIC SMALL LETTER A}.json".encode()).to_bytes,
    "a name of 65,535 bytes": named(b"a" * 65_535).to_bytes,
    "a path of a thousand folders": named(b"a/" * 1000 + b"a").to_bytes,
    "a file twice": with_member(GENUINE.members[0]).to_bytes,
    "a file twice, with other content": with_member(replace(GENUINE.members[0], data=b"other")).to_bytes,
    "files in another order": replace(GENUINE, members=GENUINE.members[::-1]).to_bytes,
    # What the headers say of a file.
    "a symbolic link": first(attributes=LINK, data=b"/etc/passwd").to_bytes,
    "a program to run": first(attributes=0o104755 << 16).to_bytes,
    "an encrypted file": first(flags=0x1).to_bytes,
    "a strongly encrypted file": first(flags=0x41).to_bytes,
    "a size that follows the content": first(
        flags=0x8, crc=0, size=0, packed=0, after=struct.pack("<4s3I", b"PK\x07\x08", 0, SIZE, SIZE)
    ).to_bytes,
    "a file that needs a later version": first(version=63).to_bytes,
    "another date": first(date=0x5B36).to_bytes,
    "an extra field": first(extra=b"UT\x05\x00\x01abcd").to_bytes,
    "an extra field in the directory": first(directory_extra=b"UT\x05\x00\x01abcd").to_bytes,
    "a comment on a file": first(comment=b"look here").to_bytes,
    "a wrong checksum": first(crc=1).to_bytes,
    "other content with a right checksum elsewhere": first(
        data=bytes(SIZE), crc=zlib.crc32(GENUINE.members[0].data)
    ).to_bytes,
    # Sizes.
    "a size of four gigabytes": first(size=UNKNOWN, packed=UNKNOWN).to_bytes,
    "a size larger than what is there": first(size=10**7, packed=10**7).to_bytes,
    "a size smaller than what is there": first(size=SIZE - 1, packed=SIZE - 1).to_bytes,
    "a size above the limit of a file": first(size=33 << 20, packed=33 << 20).to_bytes,
    "packed and plain sizes that differ": first(packed=SIZE - 1).to_bytes,
    "sizes that ZIP64 is to tell": first(size=UNKNOWN, packed=UNKNOWN, extra=zip64_extra(SIZE)).to_bytes,
    "a ZIP64 size beside the plain one": first(extra=zip64_extra(2**40)).to_bytes,
    "a ZIP64 size in the directory": first(directory_extra=zip64_extra(2**40)).to_bytes,
    "an end record of ZIP64": lambda: zip64_end(GENUINE.to_bytes()),
    "a compression bomb": lambda: bomb().to_bytes(),
    "a million headers": lambda: Member(b"reports.json", b"").local() * 100_000,
    # The directory against the files.
    "another name in the directory": first(directory_name=b"decisions/other.json").to_bytes,
    "another size in the directory": first(directory_size=0).to_bytes,
    "files that overlap": lambda: overlapping().to_bytes(),
    "an entry that points elsewhere": first(offset=10).to_bytes,
    "a file that the directory does not name": lambda: replace(
        GENUINE, between=Member(b"z", b"hidden").local()
    ).to_bytes(),
    "a second archive after the first": lambda: GENUINE.to_bytes() * 2,
    "a second archive within the comment": lambda: replace(GENUINE, comment=GENUINE.to_bytes()[:60_000]).to_bytes(),
    "fewer files counted than there are": replace(GENUINE, count=1).to_bytes,
    "more files counted than there are": replace(GENUINE, count=0xFFFF).to_bytes,
    "a directory somewhere else": replace(GENUINE, directory_at=0).to_bytes,
    "a program before the archive": replace(GENUINE, before=b"#!/bin/sh\n").to_bytes,
    "bytes between files and directory": replace(GENUINE, between=b"\x00").to_bytes,
    "a comment on the archive": replace(GENUINE, comment=b"trust me").to_bytes,
    "bytes after the end": replace(GENUINE, after=b"\x00").to_bytes,
}


def test_the_parts_that_all_attacks_were_made_from_are_a_genuine_bundle(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(GENUINE.to_bytes())
    assert verify_bundle(path, KEYS.trust(), kept=None, now=NOW).exit_code is ExitCode.VERIFIED


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_archive_made_to_deceive_is_refused_whole_and_costs_nothing(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(ATTACKS[attack]())
    tracemalloc.start()
    report = verify_bundle(path, KEYS.trust(), kept=None, now=NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [check.name for check in report.checks] == ["archive"], report
    assert report.exit_code is ExitCode.TAMPERED
    assert peak < 8_000_000
    assert list(tmp_path.iterdir()) == [path]


# Well-formed, so the archive is opened; the signed manifest has no place for them.
STOWAWAYS: dict[str, Callable[[], Archive]] = {
    "an archive in the archive": lambda: with_member(Member(b"evidence/more.zip", bomb().to_bytes())),
    "a name that differs in case only": lambda: named(GENUINE.members[0].name.upper()),
    "a hidden file": lambda: named(b".profile"),
    "a trust file further in": lambda: named(b"logs/trust.json"),
}


@pytest.mark.parametrize("what", STOWAWAYS)
def test_a_file_that_the_manifest_does_not_list_is_named_and_never_opened(what: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(STOWAWAYS[what]().to_bytes())
    report = verify_bundle(path, KEYS.trust(), kept=None, now=NOW)
    assert [check.name for check in report.checks if check.outcome is not Outcome.PASS] == ["files"]
    assert report.exit_code is ExitCode.TAMPERED
