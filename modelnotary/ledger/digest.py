"""SHA-256 digests as values with one text form."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modelnotary.ledger.errors import DigestError

HASH_BYTES = 32
_TEXT = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest: 32 bytes, written as ``sha256:`` and 64 lowercase hexadecimal digits."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != HASH_BYTES:
            raise DigestError(f"a SHA-256 digest has 32 bytes, not {len(self.value)}")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            DigestError: the text is anything else.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise DigestError(f"{text[:80]!r} is not 'sha256:' followed by 64 lowercase hexadecimal digits")
        return cls(bytes.fromhex(match[1]))

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Hash bytes held in memory."""
        return cls(hashlib.sha256(data).digest())

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Hash a file of any size in constant memory.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").digest())

    @property
    def hex(self) -> str:
        """The 64 lowercase hexadecimal digits alone, as in-toto digest sets want them."""
        return self.value.hex()

    @property
    def text(self) -> str:
        """The text form, the inverse of `from_text`."""
        return f"sha256:{self.value.hex()}"

    def __str__(self) -> str:
        return self.text
