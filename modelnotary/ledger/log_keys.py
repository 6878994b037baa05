"""The keys of one log, one after the other: which of them may sign a checkpoint of which size.

A checkpoint states a size and no time, so a key's time of service is counted in entries. A log hands over to a new key
by an entry `key.rotated`, which holds a signed note. Its text is five lines, each ended by a newline::

    modelnotary/key-rotation/v1
    <origin of the log>
    <public key that hands over, as a vkey>
    <public key that takes over, as a vkey>
    <overlap, in decimal>

signed by both keys. With the entry at index i, the old key signs checkpoints of at most i + 1 + overlap entries and the
new one those of at least i + 1 entries. The log always has a checkpoint of exactly i + 1 entries, signed by both: by it
somebody who knows the old key alone sees the entry in a tree which that key signed.

The first line is no log's origin, so a rotation is never mistaken for a checkpoint signed by the same keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from modelnotary.ledger.errors import KeyRotationError, NoteError, NoteSignatureError, TextError
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import MAX_TREE_SIZE
from modelnotary.ledger.note import NoteSigner, NoteVerifier, note_open, note_sign, note_split
from modelnotary.ledger.signature_types import ED25519, ML_DSA_44_COSIGNATURE
from modelnotary.ledger.text import decimal

ROTATION_EVENT = "key.rotated"
ROTATION_NOTE = "rotation"
"""The member of the event's data that holds the signed note."""
_HEADER = "modelnotary/key-rotation/v1"
_LINES = 5
_ALGORITHMS = {ED25519: "Ed25519", ML_DSA_44_COSIGNATURE: "ML-DSA-44"}


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """The statement that a log's key hands over to another.

    ``overlap`` is for how many entries after its own entry the old key still signs.

    Raises:
        KeyRotationError: the keys are not two Ed25519 keys of one log, or the overlap is no number of entries.
    """

    old: NoteVerifier
    new: NoteVerifier
    overlap: int

    def __post_init__(self) -> None:
        if self.old.name != self.new.name or (self.old.algorithm, self.new.algorithm) != (ED25519, ED25519):
            raise KeyRotationError("a key rotation names two Ed25519 keys of the same log")
        if self.old == self.new:
            raise KeyRotationError(f"the key of {self.old.name} cannot hand over to itself")
        if not 0 <= self.overlap <= MAX_TREE_SIZE:
            raise KeyRotationError(f"the overlap of a key rotation cannot be {self.overlap} entries")

    @property
    def text(self) -> str:
        """The text that both keys sign."""
        return f"{_HEADER}\n{self.old.name}\n{self.old.text}\n{self.new.text}\n{self.overlap}\n"

    def sign(self, old: NoteSigner, new: NoteSigner) -> bytes:
        """Sign with both keys and write the note.

        Raises:
            KeyRotationError: these are not the keys that it names.
        """
        if (old.verifier, new.verifier) != (self.old, self.new):
            raise KeyRotationError("a key rotation is signed by the two keys that it names")
        return note_sign(self.text, [old, new])

    @classmethod
    def from_note(cls, note: bytes) -> Self:
        """Read a rotation and check that both keys that it names signed it.

        Whether the old one may hand over is for `LogKeys.rotated` to say.

        Raises:
            KeyRotationError: it is malformed, or one of the two did not sign it.
        """
        try:
            lines = note_split(note)[0].split("\n")
            if len(lines) != _LINES + 1 or lines[0] != _HEADER:
                raise KeyRotationError(f"a key rotation is a note of {_LINES} lines and begins with {_HEADER}")
            rotation = cls(NoteVerifier.from_text(lines[2]), NoteVerifier.from_text(lines[3]), decimal(lines[4]))
            if lines[1] != rotation.old.name:
                raise KeyRotationError(f"the keys in the rotation of {lines[1][:80]!r} are named otherwise")
            for key in (rotation.old, rotation.new):
                note_open(note, [key])
        except (NoteError, TextError) as error:
            raise KeyRotationError(f"the key rotation does not hold: {error}") from error
        return rotation


@dataclass(frozen=True, slots=True)
class LogKey:
    """A public key of a log, and the smallest and largest checkpoint that it may sign (None: no end is known)."""

    verifier: NoteVerifier
    from_size: int = 0
    until_size: int | None = None

    def __post_init__(self) -> None:
        last = MAX_TREE_SIZE if self.until_size is None else self.until_size
        if self.verifier.algorithm not in _ALGORITHMS:
            raise KeyRotationError(f"a key of the log {self.verifier.name} is of type 01 (Ed25519) or 06 (ML-DSA-44)")
        if not 0 <= self.from_size <= last <= MAX_TREE_SIZE:
            raise KeyRotationError(f"a key cannot sign from {self.from_size} to {self.until_size} entries")

    def signs(self, size: int) -> bool:
        """Tell whether this key may sign a checkpoint of this many entries."""
        return self.from_size <= size and (self.until_size is None or size <= self.until_size)


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All that is known of one log's keys, oldest first.

    Raises:
        KeyRotationError: they do not belong to one log, or one appears twice.
    """

    keys: tuple[LogKey, ...]

    def __post_init__(self) -> None:
        names = {key.verifier.name for key in self.keys}
        if len(names) != 1 or len({(key.verifier.name, key.verifier.key_id) for key in self.keys}) != len(self.keys):
            raise KeyRotationError("the keys of a log have its name and differ")
        if not any(key.verifier.algorithm == ED25519 for key in self.keys):
            raise KeyRotationError(f"the log {self.name} has no Ed25519 key")

    @classmethod
    def of(cls, verifier: NoteVerifier) -> Self:
        """The keys of a log that has never had another."""
        return cls((LogKey(verifier),))

    @property
    def name(self) -> str:
        """The log's origin."""
        return self.keys[0].verifier.name

    def signing(self, size: int) -> tuple[NoteVerifier, ...]:
        """The keys that sign a checkpoint of this many entries, oldest first."""
        return tuple(key.verifier for key in self.keys if key.signs(size))

    def verify(self, note: bytes, size: int) -> None:
        """Check that a checkpoint is signed as it has to be at its size.

        One Ed25519 key in force must have signed it, and one ML-DSA-44 key if any is in force: else the second line
        could be left out unnoticed.

        Raises:
            NoteError: the bytes are not a note.
            NoteSignatureError: the signature of a key in force is missing or does not hold.
        """
        in_force = self.signing(size)
        if not any(key.algorithm == ED25519 for key in in_force):
            raise NoteSignatureError(f"no key that is known signs {self.name} at {size} entries")
        for algorithm, words in _ALGORITHMS.items():
            keys = [key for key in in_force if key.algorithm == algorithm]
            if keys:
                self._verify(note, size, keys, words)

    def _verify(self, note: bytes, size: int, keys: Sequence[NoteVerifier], algorithm: str) -> None:
        present = {(signature.name, signature.key_id) for signature in note_split(note)[1]}
        if not present.isdisjoint((key.name, key.key_id) for key in keys):
            note_open(note, keys)
            return
        for key in self.keys:
            if (key.verifier.name, key.verifier.key_id) in present and key.verifier.algorithm == keys[0].algorithm:
                last = "any later size" if key.until_size is None else f"{key.until_size} entries"
                raise NoteSignatureError(
                    f"the note is signed by the key {key.verifier.key_id.hex()} of {self.name}, which signs from "
                    f"{key.from_size} entries to {last} and not {size}"
                )
        raise NoteSignatureError(
            f"the note is not signed by any key that is trusted here ({self.name}, {algorithm}); if the log has "
            "rotated its key since you got the trust file, follow it: modelnotary trust follow"
        )

    def rotated(self, index: int, rotation: KeyRotation) -> "LogKeys":
        """Follow a rotation that stands in the log at this index. One that is known already changes nothing.

        Raises:
            KeyRotationError: it is by another key than the log's newest, or contradicts what is known.
        """
        end = index + 1 + rotation.overlap
        known = next((key for key in self.keys if key.verifier == rotation.new), None)
        if known is not None:
            if known.from_size <= index + 1:
                return self
            raise KeyRotationError(
                f"the entry {index} hands over to the key {rotation.new.key_id.hex()}, which is known to sign only "
                f"from {known.from_size} entries"
            )
        newest = [key for key in self.keys if key.verifier.algorithm == ED25519][-1]
        if newest.verifier != rotation.old or newest.until_size is not None or index < newest.from_size:
            raise KeyRotationError(
                f"the entry {index} hands over from the key {rotation.old.key_id.hex()}, which is not the one that "
                f"{self.name} has there"
            )
        ended = tuple(replace(key, until_size=min(end, MAX_TREE_SIZE)) if key == newest else key for key in self.keys)
        return LogKeys((*ended, LogKey(rotation.new, from_size=index + 1)))


def rotation_of(event: Event, origin: str) -> KeyRotation:
    """Read the rotation that an entry of this log holds, and check both signatures.

    Raises:
        KeyRotationError: the entry is another event, is about another log, or the rotation in it does not hold.
    """
    note = event.data.get(ROTATION_NOTE)
    if event.type != ROTATION_EVENT or not isinstance(note, str):
        raise KeyRotationError(f"an entry {event.type} hands no log over to another key")
    rotation = KeyRotation.from_note(note.encode("utf-8", "replace"))
    if rotation.old.name != origin:
        raise KeyRotationError(f"the rotation of {rotation.old.name} stands in the log {origin}")
    return rotation
