"""Signed notes and their keys (C2SP signed-note v1.0.0)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.ledger.errors import NoteError, NoteSignatureError, TextError
from modelnotary.ledger.keys import SigningKey
from modelnotary.ledger.signature_types import ED25519, PUBLIC_KEY_BYTES, require_supported, signature_verify
from modelnotary.ledger.text import base64_bytes, base64_text

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 100
_SEED_BYTES = 32
_KEY_ID_BYTES = 4
_PRIVATE = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public key for notes, written as a "vkey": ``name+key id+base64(type || key)``.

    ``algorithm`` is one of `signature_types`: `ED25519` for a log's own signature, another for a witness's.

    Raises:
        NoteError: the name, the type or the length of the key is not allowed, or this installation lacks the type.
    """

    name: str
    algorithm: int
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise NoteError(f"{self.name[:80]!r} cannot name a key: it must have no spaces and no '+'")
        if len(self.public_key) != PUBLIC_KEY_BYTES.get(self.algorithm):
            raise NoteError(f"the key of {self.name} is of an unknown type or does not have the length of its type")
        require_supported(self.algorithm)

    @classmethod
    def from_text(cls, vkey: str) -> Self:
        """Read a vkey.

        Raises:
            NoteError: it is malformed, of an unknown type, or its key id belongs to another key.
        """
        name, key_id, algorithm, key = _split_key(vkey)
        verifier = cls(name, algorithm, key)
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the key id {key_id} in the key of {name} belongs to another key")
        return verifier

    @property
    def text(self) -> str:
        """The vkey, the inverse of `from_text`."""
        key = bytes([self.algorithm]) + self.public_key
        return f"{self.name}+{self.key_id.hex()}+{base64_text(key)}"

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell the keys of one name apart."""
        key = bytes([self.algorithm]) + self.public_key
        return hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:_KEY_ID_BYTES]

    def verify(self, text: str, signature: bytes) -> None:
        """Check a signature over a note's text.

        Raises:
            NoteSignatureError: the signature is not this key's over this text.
        """
        signature_verify(self.algorithm, name=self.name, public_key=self.public_key, text=text, signature=signature)


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private Ed25519 key that signs notes under a name."""

    name: str
    private_key: SigningKey

    @classmethod
    def from_text(cls, skey: str) -> Self:
        """Read a private key as Go's note package writes it: ``PRIVATE+KEY+name+key id+base64``.

        Raises:
            NoteError: it is malformed, of an unknown type, or its key id belongs to another key.
        """
        if not skey.startswith(_PRIVATE):
            raise NoteError(f"a note's private key begins with {_PRIVATE}")
        name, key_id, algorithm, seed = _split_key(skey.removeprefix(_PRIVATE))
        if algorithm != ED25519 or len(seed) != _SEED_BYTES:
            raise NoteError(f"the private key of {name} is not an Ed25519 seed of 32 bytes")
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.verifier.key_id.hex() != key_id:
            raise NoteError(f"the key id {key_id} in the private key of {name} belongs to another key")
        return signer

    @property
    def verifier(self) -> NoteVerifier:
        """The public half."""
        return NoteVerifier(self.name, ED25519, self.private_key.public_key().public_bytes_raw())

    def sign(self, text: str) -> "NoteSignature":
        """Sign a note's text."""
        return NoteSignature(self.name, self.verifier.key_id, self.private_key.sign(text.encode()))


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line of a note: who says it signed, with which key, and the signature bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in the note, without its newline."""
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.signature)}"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read one signature line, the inverse of `line`.

        Raises:
            NoteError: it is malformed.
        """
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space or not _is_key_name(name):
            raise NoteError(f"{line[:80]!r} is not a signature line of a note")
        try:
            data = base64_bytes(encoded)
        except TextError as error:
            raise NoteError(f"the signature by {name} is malformed: {error}") from error
        if len(data) <= _KEY_ID_BYTES:
            raise NoteError(f"the signature by {name} is empty")
        return cls(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text, and the verifiers whose signatures were found and hold."""

    text: str
    verified_by: tuple[NoteVerifier, ...]


def note_sign(text: str, signers: Sequence[NoteSigner]) -> bytes:
    """Sign a text and write the note.

    Raises:
        NoteError: the text does not end in a newline or holds characters a note cannot hold, or nobody signs.
    """
    _require_note_text(text)
    if not text.endswith("\n") or not signers:
        raise NoteError("a note is a text that ends in a newline, and at least one signature")
    lines = [signer.sign(text).line + "\n" for signer in signers]
    return f"{text}\n{''.join(lines)}".encode()


def note_open(data: bytes, verifiers: Sequence[NoteVerifier]) -> Note:
    """Read a note and check every signature by a known key.

    Signatures by unknown keys are ignored, as the format asks. A signature by a known key that does not
    hold makes the whole note worthless.

    Raises:
        NoteError: the bytes are not a note, or two verifiers cannot be told apart.
        NoteSignatureError: a known key's signature does not hold, or no known key signed.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    if len(known) != len(verifiers):
        raise NoteError("two of the keys given have the same name and key id")
    text, signatures = note_split(data)
    verified = []
    for signature in signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is not None:
            verifier.verify(text, signature.signature)
            verified.append(verifier)
    if not verified:
        names = ", ".join(verifier.name for verifier in verifiers) or "none"
        raise NoteSignatureError(f"the note is not signed by any key that is trusted here ({names})")
    return Note(text, tuple(dict.fromkeys(verified)))


def note_extend(data: bytes, signatures: Iterable[NoteSignature]) -> bytes:
    """Add signature lines to a note, such as those of witnesses; lines it has already are not repeated.

    Raises:
        NoteError: the bytes are not a note, or it would have too many signatures or bytes.
    """
    _, present = note_split(data)
    added = [signature.line for signature in dict.fromkeys(signatures) if signature not in present]
    extended = data + "".join(f"{line}\n" for line in added).encode()
    note_split(extended)
    return extended


def note_split(data: bytes) -> tuple[str, list[NoteSignature]]:
    """Take a note apart without trusting it: its text, and its signature lines unchecked.

    Raises:
        NoteError: the bytes are not a note.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError(f"the note is {len(data)} bytes long, more than the {MAX_NOTE_BYTES} allowed")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("the note is not UTF-8 text") from error
    _require_note_text(content)
    body, separator, tail = content.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteError("the note has no signatures after an empty line")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note has {len(lines)} signature lines, more than the {MAX_SIGNATURES} allowed")
    return body + "\n", [NoteSignature.from_line(line) for line in lines]


def _split_key(text: str) -> tuple[str, str, int, bytes]:
    name, _, rest = text.partition("+")
    key_id, separator, encoded = rest.partition("+")
    if not separator:
        raise NoteError("a note key has the form name+key id+base64")
    try:
        data = base64_bytes(encoded)
    except TextError as error:
        raise NoteError(f"the key of {name[:80]!r} is malformed: {error}") from error
    if not data:
        raise NoteError(f"the key of {name[:80]!r} is empty")
    return name, key_id, data[0], data[1:]


def _is_key_name(name: str) -> bool:
    return bool(name) and not any(c == "+" or c.isspace() or "\ud800" <= c <= "\udfff" for c in name)


def _require_note_text(text: str) -> None:
    if any(character < " " and character != "\n" for character in text) or text.startswith(_BYTE_ORDER_MARK):
        raise NoteError("a note holds no control characters but newlines and no byte order mark")
