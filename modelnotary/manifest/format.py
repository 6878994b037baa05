"""The manifest of a folder as bytes: ``modelnotary-manifest/v1``.

A first line that names the format, then one line for each file as `sha256sum` of GNU coreutils writes it: 64 lowercase
hexadecimal digits, two spaces, the path. Paths are UTF-8, relative to the folder, with ``/`` between folders; the lines
stand in the order of the paths' bytes; every line ends with LF. `sha256sum --check` takes the first line for a comment.
"""

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from modelnotary.ledger.digest import Digest
from modelnotary.manifest.errors import ManifestFormatError
from modelnotary.manifest.names import name_fault

HEADER = b"# modelnotary-manifest/v1\n"
PATH_LIMIT = 4095
"""The longest path in bytes: what Linux opens in one piece (PATH_MAX without its end)."""

type Line = tuple[str, Digest]
"""A file's path and the digest of its bytes."""

_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]+)\n")
_LINE_LIMIT = 64 + 2 + PATH_LIMIT + 1
_NO_NAME = ("", ".", "..")


def line_write(path: str, digest: Digest) -> bytes:
    """Write the line of one file."""
    return f"{digest.hex}  {path}\n".encode()


def manifest_write(lines: Iterable[Line]) -> bytes:
    """Write a manifest of lines that are in order."""
    return HEADER + b"".join(line_write(path, digest) for path, digest in lines)


def manifest_parse(data: bytes) -> list[Line]:
    """Read a manifest, the inverse of `manifest_write`.

    Raises:
        ManifestFormatError: the bytes are anything else.
    """
    return list(lines_read(BytesIO(data)))


def lines_read(stream: BinaryIO) -> Iterator[Line]:
    """Read a manifest line by line, in memory for one line.

    Raises:
        ManifestFormatError: the bytes are not a manifest; lines before the fault were given already.
    """
    if stream.readline(len(HEADER)) != HEADER:
        raise ManifestFormatError(f"line 1 is not {HEADER.decode().strip()!r}, so this is no manifest of a folder")
    before, number = b"", 1
    while line := stream.readline(_LINE_LIMIT + 1):
        number += 1
        match = _LINE.fullmatch(line)
        if match is None or len(line) > _LINE_LIMIT:
            raise ManifestFormatError(f"line {number} is not a digest, two spaces, a path and a line end")
        path = match[2]
        if fault := name_fault(path):
            raise ManifestFormatError(f"line {number}: {fault}")
        if any(part in _NO_NAME for part in path.decode().split("/")):
            raise ManifestFormatError(f"line {number}: the path has an empty part, or one that is . or ..")
        if path <= before:
            raise ManifestFormatError(f"line {number} is not after the line before in the order of their paths' bytes")
        before = path
        yield path.decode(), Digest(bytes.fromhex(match[1].decode()))
    if number == 1:
        raise ManifestFormatError("it names no file")
