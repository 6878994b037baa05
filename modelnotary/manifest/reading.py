"""Reading one file once: its digest, its size and, if it is a table, its rows and schema."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from threading import Lock

from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.manifest.entry import FileEntry
from modelnotary.manifest.errors import ManifestError
from modelnotary.manifest.walk import Opened, is_unchanged, reason
from modelnotary.tables.comma_separated import csv_facts
from modelnotary.tables.errors import TableError
from modelnotary.tables.facts import TableFacts
from modelnotary.tables.measuring import CHUNK
from modelnotary.tables.parquet import MAGICS, parquet_facts

_BUFFER = 256 * 1024
_CSV_SUFFIX = ".csv"


@dataclass(frozen=True, slots=True)
class FileReading:
    """What reading a file gave.

    ``table`` is there for a whole table; ``table_fault`` says why a file that looks like one is none.
    """

    entry: FileEntry
    table: TableFacts | None = None
    table_fault: str = ""

    def to_json(self) -> dict[str, Json]:
        """The reading for programs."""
        content = self.entry.to_json()
        if self.table is not None:
            content["table"] = self.table.to_json()
        if self.table_fault:
            content["table_fault"] = self.table_fault
        return content


class StoppedError(Exception):
    """Nobody waits for the result any more."""


class Tally:
    """How many bytes all readers have read; and the word to them to stop."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stopped = False
        self.size = 0

    def stop(self) -> None:
        """Have every reader give up at its next piece."""
        self._stopped = True

    def add(self, count: int) -> None:
        """Take note of a piece.

        Raises:
            StoppedError: there is nobody to read for.
        """
        if self._stopped:
            raise StoppedError
        with self._lock:
            self.size += count


def file_read(opened: Opened, tally: Tally) -> FileReading:
    """Read a file from its start to its end, in constant memory, and close it.

    Raises:
        ManifestError: it cannot be read, or changed while it was being read.
        StoppedError: the tally says so.
    """
    try:
        reading = _read(opened, tally)
        after = os.fstat(opened.descriptor)
    except OSError as error:
        raise ManifestError(opened.place, reason(error)) from error
    finally:
        opened.close()
    if reading.entry.size != after.st_size or not is_unchanged(opened.before, after):
        raise ManifestError(opened.place, "it changed while it was being read")
    return reading


def _read(opened: Opened, tally: Tally) -> FileReading:
    content = _Content(opened.descriptor, tally)
    table, fault = None, ""
    is_parquet = os.pread(opened.descriptor, 4, 0) in MAGICS
    if opened.place.suffix.lower() == _CSV_SUFFIX and not is_parquet:
        chunks = content.chunks()
        try:
            table = csv_facts(chunks)
        except TableError as error:
            fault = str(error)
        for _ in chunks:
            pass
    else:
        content.consume(min(opened.before.st_size + 1, _BUFFER))
        if is_parquet:
            table, fault = _parquet(opened.descriptor)
    return FileReading(FileEntry(opened.path, content.size, content.digest), table, fault)


def _parquet(descriptor: int) -> tuple[TableFacts | None, str]:
    with FileIO(descriptor, closefd=False) as file:
        try:
            return parquet_facts(file), ""
        except TableError as error:
            return None, str(error)


class _Content:
    """The bytes of a file, hashed as they go by."""

    def __init__(self, descriptor: int, tally: Tally) -> None:
        self._descriptor = descriptor
        self._tally = tally
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> Digest:
        return Digest(self._hash.digest())

    def chunks(self) -> Iterator[bytes]:
        while chunk := os.read(self._descriptor, CHUNK):
            self._note(chunk)
            yield chunk

    def consume(self, size: int) -> None:
        """Read on to the end through a buffer of that size."""
        buffer = memoryview(bytearray(size))
        while count := os.readv(self._descriptor, [buffer]):
            self._note(buffer[:count])

    def _note(self, piece: bytes | memoryview) -> None:
        self._hash.update(piece)
        self.size += len(piece)
        self._tally.add(len(piece))
