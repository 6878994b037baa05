"""What a model artifact is, told by its bytes and never by its name.

A pickle is a program: opening one runs whatever its author put there (Python library reference, `pickle`,
the warning at the top), and several model formats are pickles or carry code in other clothes. The accepted
formats are plain data. All reads are bounded: a hostile file costs no more than an honest one.

References: `pickletools` (opcodes); the ZIP application note 4.3 (central directory and its end record); the
HDF5 file format specification III.A (the superblock's signature and its places); UBJSON draft 12 (the length
markers XGBoost writes).
"""

import bz2
import io
import lzma
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import IO, ClassVar

from modelnotary.errors import ModelNotaryError

HEAD_SIZE = 64 * 1024
"""Bytes read from the start, from the end, and out of each compressed stream or archive member."""

ARCHIVE_MEMBERS = 4096
ARCHIVE_DIRECTORY_SIZE = 4 * 1024 * 1024

_ZIP_DIRECTORY = b"PK\x01\x02"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_SIZE = 22
_ZIP_BROKEN = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_PLACES = (0, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_NUMPY = b"\x93NUMPY"
# joblib's lz4 and its own old container, and Zstandard: the standard library cannot look inside them.
_CLOSED_CONTAINERS = (b"\x04\x22\x4d\x18", b"ZF", b"\x28\xb5\x2f\xfd")

_PICKLE_PROTOCOL = 0x80
_DOTTED_NAMES = re.compile(r"[\w.]+ [\w.]+")

_SPACE = rb"[ \t\r\n]*"
_JSON_LEARNER = _SPACE.join((b"", rb'"learner"', b":", rb"\{"))
_JSON_VERSION = _SPACE.join((b"", rb'"version"', b":", rb"\[[0-9, \t\r\n]*\]", b","))
_XGBOOST_JSON = re.compile(_SPACE + rb"\{(?:" + _JSON_VERSION + rb")?" + _JSON_LEARNER)
# A UBJSON key is its length (a marker and a big-endian number) and its bytes; the value here is an object.
_XGBOOST_UBJ = re.compile(rb"\{(?:L\0{7}|l\0{3}|I\0|[iU])\x07learner\{", re.DOTALL)


class ArtifactFormat(StrEnum):
    """The format of a model artifact. The values are stored and never renamed."""

    XGBOOST_JSON = "xgboost-json"
    XGBOOST_UBJ = "xgboost-ubj"
    PICKLE = "pickle"
    COMPRESSED_PICKLE = "compressed-pickle"
    PICKLE_ARCHIVE = "pickle-archive"
    HDF5 = "hdf5"
    KERAS_ARCHIVE = "keras-archive"
    OPAQUE = "opaque-container"
    UNKNOWN = "unknown"

    @property
    def is_accepted(self) -> bool:
        """Whether models of this format can be opened for explanations and assessments."""
        return self in ACCEPTED_FORMATS

    @property
    def is_unsafe(self) -> bool:
        """Whether opening it can run code, or hides whether it would."""
        return self in _UNSAFE


ACCEPTED_FORMATS = frozenset({ArtifactFormat.XGBOOST_JSON, ArtifactFormat.XGBOOST_UBJ})

_RUNS_CODE = "Opening a pickle runs any program its author put into it"
_CARRIES_CODE = "A layer stored in it can carry Python code"
_UNSAFE: dict[ArtifactFormat, tuple[str, str]] = {
    ArtifactFormat.PICKLE: ("a Python pickle (joblib, cloudpickle and older PyTorch write it)", _RUNS_CODE),
    ArtifactFormat.COMPRESSED_PICKLE: ("a compressed Python pickle, as joblib writes it", _RUNS_CODE),
    ArtifactFormat.PICKLE_ARCHIVE: ("an archive holding a pickle, as PyTorch writes it", _RUNS_CODE),
    ArtifactFormat.HDF5: ("an HDF5 file, as older Keras writes it", _CARRIES_CODE),
    ArtifactFormat.KERAS_ARCHIVE: ("a Keras archive", _CARRIES_CODE),
    ArtifactFormat.OPAQUE: ("a packed container", "What is inside cannot be checked without unpacking it"),
}
_WAY_OUT = "Export the model as plain data: for XGBoost, booster.save_model('model.json') or 'model.ubj'."


class UnsafeFormatError(ModelNotaryError):
    """The artifact is in a format that can run code when it is opened.

    Attributes:
        format: What the bytes are.
    """

    code: ClassVar[str] = "unsafe-model-format"

    def __init__(self, found: ArtifactFormat) -> None:
        what, why = _UNSAFE[found]
        super().__init__(f"The artifact is {what}. {why}, so it is refused. {_WAY_OUT}")
        self.format = found


class UnreadableArtifactError(ModelNotaryError):
    """The artifact's bytes cannot be read.

    Attributes:
        path: Where it was looked for.
    """

    code: ClassVar[str] = "unreadable-artifact"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The artifact {path.name!r} cannot be read: {reason}. Name one readable file.")
        self.path = path


def sniff(source: Path | bytes) -> ArtifactFormat:
    """Tell the format of an artifact from its bytes.

    Args:
        source: A file, or the whole content of one.

    Returns:
        The format; `UNKNOWN` for anything that is neither accepted nor known to be unsafe.

    Raises:
        UnreadableArtifactError: The file is missing, is a folder, or may not be read.
    """
    if isinstance(source, bytes):
        return _sniff_stream(io.BytesIO(source))
    try:
        with source.open("rb") as stream:
            return _sniff_stream(stream)
    except OSError as error:
        raise UnreadableArtifactError(source, error.strerror or type(error).__name__) from error


def refuse_unsafe(source: Path | bytes) -> ArtifactFormat:
    """Refuse an artifact that could run code when it is opened.

    Args:
        source: A file, or the whole content of one.

    Returns:
        Its format, which may be `UNKNOWN`: harmless to store, not openable here.

    Raises:
        UnsafeFormatError: It is a pickle in any clothes, HDF5, a Keras archive, or a container that cannot be
            looked into.
        UnreadableArtifactError: The file cannot be read.
    """
    found = sniff(source)
    if found.is_unsafe:
        raise UnsafeFormatError(found)
    return found


def _sniff_stream(stream: IO[bytes]) -> ArtifactFormat:
    head = stream.read(HEAD_SIZE)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - HEAD_SIZE))
    tail = stream.read(HEAD_SIZE)
    # ZIP readers look at the end, so a ZIP can wear any head: this comes before the accepted formats.
    end = tail.rfind(_ZIP_END)
    if _ZIP_DIRECTORY in tail[: max(0, end)]:
        return _sniff_archive(stream, tail[end:])
    if tail.rstrip().endswith(b"}"):
        if _XGBOOST_JSON.match(head):
            return ArtifactFormat.XGBOOST_JSON
        if _XGBOOST_UBJ.match(head):
            return ArtifactFormat.XGBOOST_UBJ
    if any(head.startswith(_HDF5, place) for place in _HDF5_PLACES):
        return ArtifactFormat.HDF5
    return _sniff_pickle(head)


def _sniff_pickle(head: bytes) -> ArtifactFormat:
    if _is_pickle(head):
        return ArtifactFormat.PICKLE
    inner = _decompressed_head(head)
    if head.startswith(_CLOSED_CONTAINERS) or inner.startswith(_CLOSED_CONTAINERS) or _decompressed_head(inner):
        return ArtifactFormat.OPAQUE
    return ArtifactFormat.COMPRESSED_PICKLE if _is_pickle(inner) else ArtifactFormat.UNKNOWN


def _is_pickle(head: bytes) -> bool:
    """Whether an unpickler would run these bytes. A NumPy array of objects is a header and a pickle."""
    if head.startswith(_NUMPY):
        return b"O'" in head[:1024]
    if len(head) > 1 and head[0] == _PICKLE_PROTOCOL:
        return head[1] <= ord("\t")
    return _walks_as_pickle(head)


def _walks_as_pickle(head: bytes) -> bool:
    """Whether a stream without the protocol mark is opcodes up to an import, to STOP, or to the window's end.

    An import counts without a STOP: an unpickler has run it before it meets the broken rest.
    """
    stream = io.BytesIO(head)
    steps = 0
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            steps += 1
            if opcode.name == "STOP":
                return steps > 1
            if opcode.name == "STACK_GLOBAL" or _names_import(opcode.name, argument):
                return True
    except ValueError:
        is_cut = len(head) == stream.tell() == HEAD_SIZE
        return is_cut and (steps > 0 or not _is_prose(head))
    return False


def _names_import(opcode: str, argument: object) -> bool:
    return opcode in {"GLOBAL", "INST"} and _DOTTED_NAMES.fullmatch(str(argument)) is not None


def _is_prose(head: bytes) -> bool:
    """Whether a first opcode and its four length bytes are rather a word: read as a length, over 500 MB."""
    return head[:1] in {b"T", b"X", b"B"} and head[1:5].decode("latin-1").isprintable()


def _decompressed_head(head: bytes) -> bytes:
    """The first bytes inside a zlib, gzip, bzip2, xz or lzma stream; empty when it is none of them."""
    decompress = _decompressor(head)
    if decompress is None:
        return b""
    try:
        return decompress(head, HEAD_SIZE)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _decompressor(head: bytes) -> Callable[[bytes, int], bytes] | None:
    if head.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress
    if head.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return lzma.LZMADecompressor(memlimit=64 * 1024 * 1024).decompress
    is_zlib = len(head) > 1 and head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
    return zlib.decompressobj().decompress if is_zlib else None


def _sniff_archive(stream: IO[bytes], end: bytes) -> ArtifactFormat:
    if len(end) < _ZIP_END_SIZE or struct.unpack_from("<I", end, 12)[0] > ARCHIVE_DIRECTORY_SIZE:
        return ArtifactFormat.OPAQUE
    try:
        with zipfile.ZipFile(stream) as archive:
            return _sniff_members(archive)
    except _ZIP_BROKEN:
        # Another reader may be more forgiving than this one, so a broken archive is not a harmless one.
        return ArtifactFormat.OPAQUE


def _sniff_members(archive: zipfile.ZipFile) -> ArtifactFormat:
    members = archive.infolist()
    for member in members[:ARCHIVE_MEMBERS]:
        with archive.open(member) as content:
            head = content.read(HEAD_SIZE)
        if head.startswith(_HDF5):
            return ArtifactFormat.KERAS_ARCHIVE
        if _sniff_pickle(head).is_unsafe:
            return ArtifactFormat.PICKLE_ARCHIVE
    return ArtifactFormat.OPAQUE if len(members) > ARCHIVE_MEMBERS else ArtifactFormat.UNKNOWN
