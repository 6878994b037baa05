"""Salted commitments: a leaf can hold a personal value without showing it.

``commitment = SHA-256(0x03 || salt32 || u16 length of name || name || value)``. Whoever is given the salt and the value
can check the commitment; whoever is not cannot find the value by trying all the likely ones.
"""

import hashlib

from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import LedgerError

SALT_BYTES = 32
_MAX_NAME_BYTES = 0xFFFF


def commit(*, salt: bytes, name: str, value: str) -> Digest:
    """Commit to a named value under a salt of 32 secret bytes.

    Raises:
        LedgerError: The salt does not have 32 bytes, or the name is longer than 65,535 bytes.
    """
    encoded = name.encode()
    if len(salt) != SALT_BYTES:
        raise LedgerError(f"a commitment's salt has {SALT_BYTES} bytes, not {len(salt)}")
    if len(encoded) > _MAX_NAME_BYTES:
        raise LedgerError(f"a committed field's name has at most {_MAX_NAME_BYTES} bytes, not {len(encoded)}")
    preimage = b"\x03" + salt + len(encoded).to_bytes(2) + encoded + value.encode()
    return Digest(hashlib.sha256(preimage).digest())
