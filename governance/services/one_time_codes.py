"""One-time codes from a shared secret and the time (RFC 6238: HMAC-SHA-1, six digits, steps of 30 seconds)."""

import hmac
import re
import secrets
from base64 import b32decode, b32encode
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_SECONDS = 30
DIGITS = 6
_SECRET_BYTES = 20
# RFC 6238, 5.2: a clock may be off, and a code takes time to type.
_STEPS_OFF = 1
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)


def secret_generate() -> str:
    """Make a secret of 160 bits, in base 32 as apps take it."""
    return b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_at(at: datetime) -> int:
    """Give the number of the time step that a moment lies in."""
    return int(at.timestamp()) // STEP_SECONDS


def code_of(secret: str, step: int) -> str:
    """Give the code of a time step."""
    return _totp(secret).generate(step * STEP_SECONDS).decode()


def step_of(secret: str, code: str, *, at: datetime, after: int | None) -> int | None:
    """Give the time step whose code this is, at most one away from now and later than any that was used; or None.

    Spaces, which apps show within a code, are left out.
    """
    typed = "".join(code.split())
    if not _CODE.fullmatch(typed):
        return None
    now = step_at(at)
    near = range(now - _STEPS_OFF, now + _STEPS_OFF + 1)
    fitting = [step for step in near if hmac.compare_digest(code_of(secret, step), typed)]
    return next((step for step in fitting if after is None or step > after), None)


def enrolment_uri(secret: str, *, account: str, issuer: str) -> str:
    """Give what an app reads from the QR code."""
    return _totp(secret).get_provisioning_uri(account, issuer)


def _totp(secret: str) -> TOTP:
    return TOTP(b32decode(secret), DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - the algorithm that apps agree on
