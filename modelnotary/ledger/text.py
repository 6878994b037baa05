"""Bytes and numbers as text with exactly one accepted spelling each."""

import base64
import binascii
import re

from modelnotary.ledger.errors import TextError
from modelnotary.ledger.merkle import MAX_TREE_SIZE

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def base64_text(data: bytes) -> str:
    """Write bytes as RFC 4648 §4 base64, padded."""
    return base64.b64encode(data).decode("ascii")


def base64_bytes(text: str) -> bytes:
    """Read the one padded base64 spelling that `base64_text` writes.

    Raises:
        TextError: anything else, among it unused trailing bits that are not zero.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TextError(f"{text[:80]!r} is not base64: {error}") from error
    if base64_text(data) != text:
        raise TextError(f"{text[:80]!r} is not the canonical base64 spelling of its bytes")
    return data


def base64url_text(data: bytes) -> str:
    """Write bytes as RFC 4648 §5 base64url without padding, as WebAuthn and JOSE do."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def base64url_bytes(text: str) -> bytes:
    """Read the one unpadded base64url spelling that `base64url_text` writes.

    Raises:
        TextError: anything else, among it padding and unused trailing bits that are not zero.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TextError(f"{text[:80]!r} is not base64url: {error}") from error
    if base64url_text(data) != text:
        raise TextError(f"{text[:80]!r} is not the canonical base64url spelling of its bytes")
    return data


def decimal(text: str) -> int:
    """Read an ASCII decimal from 0 to 2^63-1: no sign, no leading zero, no separator.

    Raises:
        TextError: anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_TREE_SIZE:
        raise TextError(f"{text[:40]!r} is not a decimal number without sign or leading zeros below 2^63")
    return int(text)
