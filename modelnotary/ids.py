"""Identifiers: a type prefix and a UUIDv7, so they sort by the time they were made."""

import re
import secrets
from datetime import UTC, datetime, timedelta

from modelnotary.errors import IdFormatError

ID_PATTERN = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}", re.ASCII)
_PREFIX = re.compile(r"[a-z]{2,8}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id(prefix: str, *, at: datetime | None = None) -> str:
    """Make an identifier such as ``mv_0192f0c1…``: prefix, underscore, 32 hex digits of a UUIDv7.

    Args:
        prefix: two to eight lowercase letters that name the type.
        at: the moment to encode, aware; the present when absent.

    Raises:
        IdFormatError: the prefix is not in that form, or the moment is naive or before 1970.
    """
    if not _PREFIX.fullmatch(prefix):
        raise IdFormatError(f"the identifier prefix {prefix!r} must be two to eight lowercase letters")
    return f"{prefix}_{_uuid7(at or datetime.now(UTC)):032x}"


def id_time(identifier: str) -> datetime | None:
    """Read the moment that `new_id` wrote into an identifier, to the millisecond; None for one that it did not make."""
    digits = identifier.rpartition("_")[2]
    if not ID_PATTERN.fullmatch(identifier) or digits[12] != "7" or digits[16] not in "89ab":
        return None
    try:
        return _EPOCH + timedelta(milliseconds=int(digits[:12], 16))
    except OverflowError:
        return None


def _uuid7(at: datetime) -> int:
    """Lay out RFC 9562 §5.7, with the sub-millisecond part in ``rand_a`` (§6.2, method 3)."""
    if at.tzinfo is None or at < _EPOCH:
        raise IdFormatError(f"cannot make an identifier for {at.isoformat()}: not an aware time since 1970")
    since = at - _EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    milliseconds, fraction = divmod(microseconds, 1_000)
    rand_a = fraction * 4_096 // 1_000
    return milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | secrets.randbits(62)
