"""Private keys: what a key is to whoever signs with it, and Ed25519 keys in files only their owner can read."""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from modelnotary.ledger.errors import KeyFileError

if TYPE_CHECKING:
    # Only some builds of the library have it.
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

_MAX_KEY_FILE_BYTES = 16 * 1024
_NO_ML_DSA = "this installation has no ML-DSA-44; upgrade the Python package 'cryptography'"


class SigningKey(Protocol):
    """An Ed25519 private key, wherever it is kept: read from a file it is one as it is, a hardware module has its own.

    What is wrong with the place where it is kept is raised by `sign`.
    """

    def public_key(self) -> Ed25519PublicKey:
        """Give the public half."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """Sign these bytes (RFC 8032, Ed25519): 64 bytes."""
        ...


def key_generate(path: Path) -> Ed25519PrivateKey:
    """Make a new key and write it as unencrypted PKCS #8 PEM, mode 0600, flushed to disk.

    Raises:
        KeyFileError: the file exists already (a key is never overwritten) or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    _key_write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def key_load(path: Path) -> Ed25519PrivateKey:
    """Read a key written by `key_generate`, refusing a file that someone else could have read or written.

    Raises:
        KeyFileError: the file is missing, is not this user's alone, or holds no Ed25519 key.
    """
    key = _key_read(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind than Ed25519")
    return key


def lasting_key_generate(path: Path) -> "MLDSA44PrivateKey":
    """Make a new ML-DSA-44 key (FIPS 204), secure against quantum computers, and write it as `key_generate` does.

    Raises:
        KeyFileError: the file exists already or cannot be written, or this installation has no ML-DSA-44.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

        key = MLDSA44PrivateKey.generate()
    except (ImportError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"cannot make the key {path}: {_NO_ML_DSA}") from error
    _key_write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def lasting_key_load(path: Path) -> "MLDSA44PrivateKey":
    """Read a key written by `lasting_key_generate`, as carefully as `key_load` does.

    Raises:
        KeyFileError: the file is missing, is not this user's alone, or holds no ML-DSA-44 key; or this installation
            has no ML-DSA-44.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    except ImportError as error:
        raise KeyFileError(f"cannot use the key {path}: {_NO_ML_DSA}") from error
    key = _key_read(path)
    if not isinstance(key, MLDSA44PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind than ML-DSA-44")
    return key


def _key_write(path: Path, pem: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists already; a key is never overwritten") from error
    except OSError as error:
        raise KeyFileError(f"cannot write the key {path}: {error.strerror}") from error


def _key_read(path: Path) -> object:
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            pem = file.read(_MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise KeyFileError(f"cannot read the key {path}: {error.strerror}") from error
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} holds no unencrypted private key in PEM form: {error}") from error


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is not a regular file")
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyFileError(f"the key {path} belongs to user {status.st_uid}, not to the user running this")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(f"the key {path} is open to other users (mode {mode:04o}); run: chmod 600 {path}")
