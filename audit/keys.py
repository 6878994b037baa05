"""Where a log's private keys are: addresses in the configuration, opened when they are needed.

An address is `file:///PATH` (Ed25519, PEM, private to its owner) or a PKCS #11 URI. Without configuration a log's keys
are the files `keys/LOG.key`, and after each rotation `keys/LOG.2.key`, `keys/LOG.3.key` and so on.
"""

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from audit.adapters.token_key import SCHEME, TokenAddress, TokenKey
from audit.errors import KeyUnavailableError
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.errors import KeyFileError
from modelnotary.ledger.keys import SigningKey, key_generate, key_load, lasting_key_generate, lasting_key_load
from modelnotary.ledger.log_keys import LogKey, LogKeys
from modelnotary.ledger.note import NoteSigner

logger = logging.getLogger(__name__)

type KeyOpener = Callable[[str], SigningKey]


def key_addresses(name: str) -> list[str]:
    """Give the addresses of a log's keys, the oldest first.

    Args:
        name: The log's name.
    """
    configured: dict[str, list[str]] = settings.LOG_KEYS
    return list(configured.get(name, ())) or [path.as_uri() for _, path in _files(name)]


def key_file_next(name: str) -> Path:
    """Give the file of the key that is made next for a log: at first, or by a rotation. It does not exist yet."""
    number = max((number for number, _ in _files(name)), default=0) + 1
    return Path(settings.KEYS_DIR) / (f"{name}.key" if number == 1 else f"{name}.{number}.key")


def key_files_hand(name: str) -> list[Path]:
    """Give the signer, where it has a folder of its own, the key files of a log that it lacks, each whole.

    Returns:
        What it was given.

    Raises:
        OSError: A file cannot be read, or the folder not be written.
    """
    if not settings.KEYS_SIGNER or settings.LOG_KEYS.get(name):
        return []
    lacking = [(path, to) for _, path in _files(name) if not (to := Path(settings.KEYS_SIGNER) / path.name).exists()]
    for path, to in lacking:
        fresh = to.with_name(f".{to.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(to)
    return [to for _, to in lacking]


def key_open(address: str) -> SigningKey:
    """Open a private key.

    Raises:
        KeyUnavailableError: The address is none, or the key cannot be used.
    """
    if address.startswith(SCHEME):
        if not settings.PKCS11_PIN:
            raise KeyUnavailableError(f"{address}: set PKCS11_PIN or PKCS11_PIN_FILE; a token's PIN has no default")
        return TokenKey(TokenAddress.from_text(address), settings.PKCS11_PIN)
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise KeyUnavailableError(f"{address!r} is no address of a key: file:///PATH or pkcs11:…")
    try:
        return key_load(Path(unquote(parts.path)))
    except KeyFileError as error:
        raise KeyUnavailableError(str(error)) from error


def second_key_file(name: str) -> Path:
    """Give the file of the key that signs a second line of a log's checkpoints (ML-DSA-44); it need not exist."""
    return Path(settings.KEYS_DIR) / f"{name}.ml-dsa.key"


def log_keys_make(name: str, *, lasting: bool) -> LogKeys:
    """Open the first keys of a log, and make those that are missing.

    Args:
        name: The log's name.
        lasting: Whether it has a second key (ML-DSA-44) from its beginning.

    Raises:
        KeyUnavailableError: A key cannot be used.
        KeyFileError: A key's file cannot be read or written.
    """
    origin = f"{settings.NOTARY_INSTANCE}/{name}"
    if not key_addresses(name):
        key_generate(key_file_next(name))
    first = LogKey(NoteSigner(origin, key_open(key_addresses(name)[0])).verifier)
    second = second_key_file(name)
    if lasting and not second.exists():
        lasting_key_generate(second)
    if not second.exists():
        return LogKeys((first,))
    return LogKeys((first, LogKey(Cosigner(origin, lasting_key_load(second)).verifier)))


def file_replace(path: Path, data: bytes) -> None:
    """Write a file that others rely on: it has the old content or the new one, also after a power cut.

    Raises:
        OSError: It cannot be written; the old one is there.
    """
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def second_key(name: str) -> Cosigner | None:
    """Give the key that signs a second line of a log's checkpoints, if there is one and it can be used.

    An installation that has the key and lacks the algorithm signs without that line and says so; whoever trusts the key
    then refuses the checkpoints.
    """
    path = second_key_file(name)
    if not path.exists():
        return None
    try:
        return Cosigner(f"{settings.NOTARY_INSTANCE}/{name}", lasting_key_load(path))
    except KeyFileError as error:
        logger.error("the checkpoints of %s have no second signature: %s", name, error)  # noqa: TRY400
        return None


class KeyRing:
    """The private keys that a log's signer can reach.

    Args:
        addresses: Gives the addresses, oldest first; asked again when a key is missing, so that one that was added is
            found without a restart.
        opener: Opens one.
    """

    def __init__(self, addresses: Callable[[], Sequence[str]], opener: KeyOpener = key_open) -> None:
        self._addresses, self._open = addresses, opener
        self._opened: dict[str, SigningKey] = {}

    @classmethod
    def of(cls, *keys: SigningKey) -> Self:
        """A ring of keys that are open already."""
        opened = {f"key {number}": key for number, key in enumerate(keys)}
        return cls(lambda: list(opened), opened.__getitem__)

    def first(self) -> Ed25519PublicKey:
        """Give the public half of the oldest key.

        Raises:
            KeyUnavailableError: There is none, or it cannot be used.
        """
        addresses = self._addresses()
        if not addresses:
            raise KeyUnavailableError("there is no key; make one with: manage.py keys_create")
        return self._key(addresses[0]).public_key()

    def find(self, public_key: bytes) -> SigningKey:
        """Give the key with this public half.

        Args:
            public_key: 32 bytes.

        Raises:
            KeyUnavailableError: It is at none of the addresses; what is wrong with each that cannot be opened is said.
        """
        for key in self._opened.values():
            if key.public_key().public_bytes_raw() == public_key:
                return key
        faults = []
        for address in self._addresses():
            try:
                key = self._key(address)
            except KeyUnavailableError as error:
                faults.append(str(error))
                continue
            if key.public_key().public_bytes_raw() == public_key:
                return key
        raise KeyUnavailableError("; ".join(faults) or "the private key is at none of the configured addresses")

    def _key(self, address: str) -> SigningKey:
        if address not in self._opened:
            self._opened[address] = self._open(address)
        return self._opened[address]


def _files(name: str) -> list[tuple[int, Path]]:
    """A log's key files with their numbers, in their order; that of a key which has handed over may be gone."""
    form = re.compile(rf"{re.escape(name)}(?:\.([1-9][0-9]*))?\.key", re.ASCII)
    folder = Path(settings.KEYS_DIR)
    found = [(form.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ())]
    return sorted((int(match[1] or 1), path) for match, path in found if match)
