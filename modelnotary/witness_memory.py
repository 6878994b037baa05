"""What a witness must not forget: the last tree of each log that it cosigned, and its key, in one folder.

``witness.key`` is its Ed25519 key, ``memory.json`` its name and the trees, ``evidence/`` the requests by which a log
contradicted itself. The memory is made once, with the key. A folder without it is refused rather than begun anew: a
witness that forgot could be led into a second history.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.canonical import Json, parse_json
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.errors import CanonicalError, TreeError
from modelnotary.ledger.keys import key_generate, key_load
from modelnotary.ledger.note import NoteVerifier
from modelnotary.ledger.signature_types import ED25519_COSIGNATURE
from modelnotary.ledger.witness import TreeHead

_FORMAT = "modelnotary-witness/v1"


class WitnessMemoryError(ModelNotaryError):
    """A witness's folder is missing, damaged, in use or cannot be written."""

    code: ClassVar[str] = "witness-memory-unusable"


class WitnessFolder:
    """The folder of one witness.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory = path / "memory.json"
        self._key = path / "witness.key"

    def create(self, name: str) -> Cosigner:
        """Make the folder, a new key, and a memory that has seen nothing.

        Raises:
            WitnessMemoryError: the folder holds a witness already, or cannot be written.
            NoteError: the name cannot name a key.
            KeyFileError: the key cannot be written.
        """
        NoteVerifier(name, ED25519_COSIGNATURE, bytes(32))  # refuses the name before anything is written
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WitnessMemoryError(f"cannot make {self._path}: {error.strerror}") from error
        if self._memory.exists() or self._key.exists():
            raise WitnessMemoryError(f"{self._path} holds a witness already; it is never overwritten")
        cosigner = Cosigner(name, key_generate(self._key))
        self._store(name, {})
        return cosigner

    def cosigner(self) -> Cosigner:
        """Give the witness's name and private key.

        Raises:
            WitnessMemoryError: the memory cannot be read.
            KeyFileError: the key cannot be read, or others could read it.
        """
        return Cosigner(self._load()[0], key_load(self._key))

    def last(self, origin: str) -> TreeHead:
        """Give the last tree of a log that was cosigned, the empty one at first.

        Raises:
            WitnessMemoryError: the memory cannot be read.
        """
        return self._load()[1].get(origin, TreeHead())

    def remember(self, origin: str, head: TreeHead) -> None:
        """Keep a log's tree, on disk before this returns.

        Raises:
            WitnessMemoryError: the memory cannot be read or written.
        """
        name, heads = self._load()
        self._store(name, heads | {origin: head})

    def evidence_keep(self, request: bytes) -> None:
        """Keep a request by which a log contradicted what it signed before.

        Raises:
            WitnessMemoryError: it cannot be written.
        """
        folder = self._path / "evidence"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _replace(folder / f"{hashlib.sha256(request).hexdigest()}.request", request)
        except OSError as error:
            raise WitnessMemoryError(f"cannot write to {folder}: {error.strerror}") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process off this memory.

        Raises:
            WitnessMemoryError: another one has it, or there is none.
        """
        self._load()
        with (self._path / "in-use").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WitnessMemoryError(f"another process is the witness in {self._path}") from error
            yield

    def _load(self) -> tuple[str, dict[str, TreeHead]]:
        try:
            match parse_json(self._memory.read_bytes()):
                case {"format": "modelnotary-witness/v1", "name": str(name), "heads": dict(heads)}:
                    return name, {origin: _head(value) for origin, value in heads.items()}
                case _:
                    raise WitnessMemoryError(f"{self._memory} is not a witness's memory")
        except FileNotFoundError as error:
            raise WitnessMemoryError(
                f"{self._memory} is not there: make a new witness, or restore the memory of this one"
            ) from error
        except (OSError, ValueError, CanonicalError, TreeError) as error:
            raise WitnessMemoryError(f"{self._memory} is damaged, restore it: {error}") from error

    def _store(self, name: str, heads: dict[str, TreeHead]) -> None:
        rows = {origin: {"size": head.size, "root": head.root.hex()} for origin, head in heads.items()}
        try:
            _replace(self._memory, json.dumps({"format": _FORMAT, "name": name, "heads": rows}).encode())
        except OSError as error:
            raise WitnessMemoryError(f"cannot write {self._memory}: {error.strerror}") from error


def _head(value: Json) -> TreeHead:
    match value:
        case {"size": int(size), "root": str(root)}:
            return TreeHead(size, bytes.fromhex(root))
        case _:
            raise TreeError("a tree has a size and a root")


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole: it, and its name in the folder, are on disk before this returns."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
