"""What a log's signer remembers between two signatures: the tree, the log's keys, and the time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.enums import Refusal
from audit.errors import SignerNotReadyError, SigningRefusedError
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.log_keys import LogKey, LogKeys
from modelnotary.ledger.note import NoteVerifier
from modelnotary.ledger.tree import Frontier
from modelnotary.times import format_time, parse_time


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was signed last.

    Attributes:
        frontier: The tree.
        keys: The log's keys as far as that tree tells of them; None before the first signature.
        time: When; None if never.
    """

    frontier: Frontier = field(default_factory=Frontier)
    keys: LogKeys | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignerMemory:
    """The last tree signed for one origin, kept in a file that is replaced as a whole and flushed to disk.

    Args:
        path: The file; its folder exists.
        origin: The log's origin.
    """

    path: Path
    origin: str

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other signer away from this memory; the system lets go of it however the holder ends.

        Raises:
            SignerNotReadyError: Another signer holds it.
        """
        with self.path.with_suffix(".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SignerNotReadyError(f"another signer is using the memory {self.path} at this moment") from error
            yield

    def load(self) -> Remembered:
        """Give what was signed last; an empty tree before the first signature.

        Raises:
            SigningRefusedError: The file is damaged or belongs to another log. Restore it from its backup.
        """
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            frontier = Frontier(kept["size"], [bytes.fromhex(value) for value in kept["frontier"]])
            belongs = kept["origin"] == self.origin and kept["root"] == frontier.root().hex()
            # The first memories had neither.
            keys, time = kept.get("keys"), kept.get("time")
            remembered = Remembered(
                frontier, None if keys is None else _keys_read(keys), None if time is None else parse_time(time)
            )
        except FileNotFoundError:
            return Remembered()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelNotaryError) as error:
            raise SigningRefusedError(
                f"the signer's memory {self.path} cannot be read: {error}", kind=Refusal.MEMORY
            ) from error
        if not belongs or (remembered.keys is not None and remembered.keys.name != self.origin):
            raise SigningRefusedError(
                f"the signer's memory {self.path} is not that of {self.origin}, or is damaged", kind=Refusal.MEMORY
            )
        return remembered

    def store(self, remembered: Remembered) -> None:
        """Remember, on disk before this returns."""
        frontier, keys, time = remembered.frontier, remembered.keys, remembered.time
        kept = {
            "origin": self.origin,
            "size": frontier.size,
            "root": frontier.root().hex(),
            "frontier": [value.hex() for value in frontier.hashes],
            "keys": None if keys is None else [_key_json(key) for key in keys.keys],
            "time": None if time is None else format_time(time),
        }
        fresh = self.path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def time_forget(self) -> None:
        """Forget when the last signature was made: an operator's word that the clock is right now.

        Raises:
            SignerNotReadyError: Another signer holds the memory.
            SigningRefusedError: It cannot be read.
        """
        with self.held():
            remembered = self.load()
            if remembered.time is not None:
                self.store(Remembered(remembered.frontier, remembered.keys))


def _key_json(key: LogKey) -> dict[str, Any]:
    return {"vkey": key.verifier.text, "from_size": key.from_size, "until_size": key.until_size}


def _keys_read(values: list[dict[str, Any]]) -> LogKeys:
    return LogKeys(
        tuple(
            LogKey(NoteVerifier.from_text(value["vkey"]), value["from_size"], value["until_size"]) for value in values
        )
    )
