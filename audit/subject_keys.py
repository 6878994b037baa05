"""Keys of persons, and the generations of the key that wraps them, which live in a file outside the database.

Each person has a key of 32 random bytes. The database holds it wrapped under a key-encryption key (KEK) of a numbered
generation; the KEKs are in one private file and nowhere else. A generation is destroyed by writing the file anew
without it: whatever a dump or the WAL still holds under it is then unreadable for good, and so is every value of a
person whose key was not wrapped again under the next generation.

Without a person's key their commitments, tags and ciphertexts are random: no two of them have anything in common.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import ErasedError, SubjectKeysError
from modelnotary.ledger.commitment import SALT_BYTES

_FORMAT = "modelnotary-subject-keys/v1"
TAG_BYTES = 16
PSEUDONYM_BYTES = 16
_KEY_BYTES, _NONCE_BYTES = 32, 12
_MAX_FILE_BYTES = 64 * 1024
# The length of a ciphertext tells the length of the value only to this many bytes.
_BLOCK_BYTES = 64
_GENERATION = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A person's own key: what is sealed under it can be recognised, opened and forgotten only together."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Make a new one."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def tag(self, context: bytes) -> bytes:
        """Give the 16 bytes by which only the holder of this key recognises a row as this person's."""
        return hmac.digest(_derive(self.secret, b"tag"), context, "sha256")[:TAG_BYTES]

    def pseudonym(self, context: bytes) -> bytes:
        """Give the 16 bytes under which the holder of this key, and nobody else, finds what was filed for a context."""
        return hmac.digest(_derive(self.secret, b"pseudonym"), context, "sha256")[:PSEUDONYM_BYTES]

    def salt(self, context: bytes) -> bytes:
        """Give the 32 bytes of salt of the commitment of a context."""
        salt = hmac.digest(_derive(self.secret, b"salt"), context, "sha256")
        assert len(salt) == SALT_BYTES
        return salt

    def encrypt(self, value: str, context: bytes) -> bytes:
        """Encrypt a value for its place."""
        return _encrypt(_derive(self.secret, b"value"), _pad(value), context)

    def decrypt(self, ciphertext: bytes, context: bytes) -> str:
        """Read what `encrypt` wrote.

        Raises:
            ErasedError: It was written under another key, for another place, or changed since.
        """
        return _unpad(_decrypt(_derive(self.secret, b"value"), ciphertext, context))

    def recogniser(self) -> bytes:
        """Give the key of `tag`, for going over many rows."""
        return _derive(self.secret, b"tag")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The generations of the key-encryption key that still exist, by number. The newest wraps what is new."""

    generations: dict[int, bytes] = field(repr=False)

    @property
    def current(self) -> int:
        """The generation that new keys are wrapped under."""
        return max(self.generations)

    def lookup(self, generation: int, person: str) -> bytes:
        """Give what finds a person's key among those of a generation: 32 bytes, random without the KEK."""
        return hmac.digest(_derive(self.generations[generation], b"lookup"), person.encode(), "sha256")

    def locks(self, person: str) -> list[int]:
        """Give the numbers of the advisory locks under which a person's first key is made: 63 bits each."""
        digests = (
            hmac.digest(_derive(kek, b"lock"), person.encode(), "sha256") for _, kek in sorted(self.generations.items())
        )
        return [int.from_bytes(digest[:8]) >> 1 for digest in digests]

    def wrap(self, generation: int, key: SubjectKey, person: str) -> tuple[bytes, bytes]:
        """Give the lookup and the wrapped key, which also holds whose it is, so that it can be wrapped anew."""
        lookup = self.lookup(generation, person)
        return lookup, _encrypt(_derive(self.generations[generation], b"wrap"), key.secret + _pad(person), lookup)

    def unwrap(self, generation: int, wrapped: bytes, lookup: bytes) -> tuple[SubjectKey, str]:
        """Give the key and whose it is, the inverse of `wrap`.

        Raises:
            ErasedError: The generation was destroyed, or this is none of its wrappings.
        """
        if generation not in self.generations:
            raise ErasedError(f"generation {generation} of the subject keys was destroyed")
        plain = _decrypt(_derive(self.generations[generation], b"wrap"), wrapped, lookup)
        return SubjectKey(plain[:_KEY_BYTES]), _unpad(plain[_KEY_BYTES:])

    def person_seal(self, person: str) -> bytes:
        """Write down whom a request is about, so that nothing links two requests about one person."""
        kek = _derive(self.generations[self.current], b"person")
        return _GENERATION.pack(self.current) + _encrypt(kek, _pad(person), b"person")

    def person_open(self, token: bytes) -> str:
        """Read what `person_seal` wrote.

        Raises:
            ErasedError: Its generation was destroyed.
        """
        (generation,) = _GENERATION.unpack_from(token)
        if generation not in self.generations:
            raise ErasedError(f"generation {generation} of the subject keys was destroyed")
        return _unpad(_decrypt(_derive(self.generations[generation], b"person"), token[_GENERATION.size :], b"person"))

    def to_bytes(self) -> bytes:
        """Write the file's content."""
        generations = {str(number): key.hex() for number, key in sorted(self.generations.items())}
        return json.dumps({"format": _FORMAT, "generations": generations}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the file's content, the inverse of `to_bytes`.

        Raises:
            SubjectKeysError: It is something else.
        """
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise SubjectKeysError(f"a subject key file has the format {_FORMAT}")
            generations = {int(number): bytes.fromhex(key) for number, key in content["generations"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SubjectKeysError(f"this is not a subject key file: {error!r}") from error
        if not generations or any(len(key) != _KEY_BYTES for key in generations.values()):
            raise SubjectKeysError(f"a subject key file holds at least one generation, each of {_KEY_BYTES} bytes")
        return cls(generations)


def key_ring_read(path: Path) -> KeyRing:
    """Read the key file as it is now; read it for each use, so that a new generation is taken up without a restart.

    Raises:
        SubjectKeysError: It is missing, open to other users, another user's, or malformed.
    """
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            return KeyRing.from_bytes(file.read(_MAX_FILE_BYTES))
    except OSError as error:
        raise SubjectKeysError(
            f"cannot read the subject key file {path}: {error.strerror}; a new installation makes it with "
            "manage.py keys_create, any other restores it from its backup"
        ) from error


def key_ring_create(path: Path) -> KeyRing:
    """Make the key file with its first generation, unless it is there; give what it holds.

    Raises:
        SubjectKeysError: It cannot be read or written.
    """
    with key_ring_lock(path):
        if not path.exists():
            _write(path, KeyRing({1: secrets.token_bytes(_KEY_BYTES)}))
        return key_ring_read(path)


def generation_add(path: Path) -> KeyRing:
    """Make the next generation; to be called under `key_ring_lock`."""
    ring = key_ring_read(path)
    added = KeyRing({**ring.generations, ring.current + 1: secrets.token_bytes(_KEY_BYTES)})
    _write(path, added)
    return added


def generation_destroy(path: Path, generation: int) -> KeyRing:
    """Write the file without a generation, then overwrite the bytes of the old file; under `key_ring_lock`.

    Overwriting is all that a program can do: what a file system, a disk or a backup copied is not reached by it.
    """
    ring = key_ring_read(path)
    left = KeyRing({number: key for number, key in ring.generations.items() if number != generation})
    with path.open("r+b") as old:
        length = os.fstat(old.fileno()).st_size
        _write(path, left)
        old.write(bytes(length))
        old.flush()
        os.fsync(old.fileno())
    return left


@contextmanager
def key_ring_lock(path: Path) -> Iterator[None]:
    """Be the only one who changes the key file.

    Raises:
        SubjectKeysError: Somebody else is changing it, or its folder cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SubjectKeysError(f"cannot write in {path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise SubjectKeysError(f"{path} is being changed by another process; wait for it to end") from error
    finally:
        os.close(descriptor)


def _write(path: Path, ring: KeyRing) -> None:
    """Replace the file whole or not at all, and see it on the disk."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(ring.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SubjectKeysError(f"cannot write the subject key file {path}: {error.strerror}") from error


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SubjectKeysError(f"{path} is not a regular file")
    if status.st_uid not in (os.geteuid(), 0):
        raise SubjectKeysError(f"the key file {path} belongs to user {status.st_uid}, not to the user running this")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise SubjectKeysError(f"the key file {path} is open to other users (mode {mode:04o}); run: chmod 600 {path}")


def _encrypt(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _decrypt(key: bytes, ciphertext: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise ErasedError("this was not sealed under that key, or was changed since") from error


def _pad(text: str) -> bytes:
    """Fill up to whole blocks (ISO/IEC 7816-4), so that lengths do not tell values apart."""
    data = text.encode() + b"\x80"
    return data + bytes(-len(data) % _BLOCK_BYTES)


def _unpad(data: bytes) -> str:
    return data.rstrip(b"\0")[:-1].decode()


def _derive(key: bytes, purpose: bytes) -> bytes:
    """Give a key its own use, so that no key serves two."""
    return hmac.digest(key, b"modelnotary/v1/" + purpose, hashlib.sha256)
