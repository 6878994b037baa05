"""A folder beside the manifest that was made of it: which files differ, are missing, are new."""

import hashlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import BinaryIO

from modelnotary.ledger.digest import Digest
from modelnotary.manifest.format import HEADER, Line, line_write, lines_read
from modelnotary.manifest.reading import FileReading


class Difference(StrEnum):
    """How a file is not as the manifest says."""

    DIFFERS = "differs"
    MISSING = "missing"
    NEW = "new"


class Comparison:
    """Compares what a manifest states with what is found, line by line; iterate over it to the end, once.

    It gives each difference and the path of the file, in the order of a manifest; nothing when the content is the same.

    Args:
        stated: the manifest.
        found: the files of the folder, in the order of a manifest.

    Raises:
        ManifestFormatError: the manifest is malformed.
    """

    def __init__(self, stated: BinaryIO, found: Iterable[FileReading]) -> None:
        self._stated = stated
        self._found = found
        self._hash = hashlib.sha256(HEADER)

    @property
    def stated(self) -> Digest:
        """The digest of the manifest, once all of it was read."""
        return Digest(self._hash.digest())

    def __iter__(self) -> Iterator[tuple[Difference, str]]:
        lines = self._lines()
        expected = next(lines, None)
        for reading in self._found:
            path = reading.entry.path
            # Text sorts by code points, which is the order of the UTF-8 bytes too.
            while expected is not None and expected[0] < path:
                yield Difference.MISSING, expected[0]
                expected = next(lines, None)
            if expected is None or expected[0] != path:
                yield Difference.NEW, path
                continue
            if expected[1] != reading.entry.digest:
                yield Difference.DIFFERS, path
            expected = next(lines, None)
        while expected is not None:
            yield Difference.MISSING, expected[0]
            expected = next(lines, None)

    def _lines(self) -> Iterator[Line]:
        for line in lines_read(self._stated):
            self._hash.update(line_write(*line))
            yield line
