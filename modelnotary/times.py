"""Times as text: RFC 3339, always UTC, always written with ``Z``."""

import re
from datetime import UTC, datetime

from modelnotary.errors import TimeFormatError

_RFC3339_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)


def format_time(moment: datetime) -> str:
    """Write an aware moment as ``2026-11-21T10:00:00.000000Z``, always with six fraction digits.

    Raises:
        TimeFormatError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise TimeFormatError(f"the time {moment.isoformat()} has no time zone; pass an aware datetime")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Read a time written by `format_time`; fewer fraction digits, or none, are accepted too.

    Raises:
        TimeFormatError: the text is not RFC 3339 in UTC with ``Z``.
    """
    if not _RFC3339_UTC.fullmatch(text):
        raise TimeFormatError(f"{text[:40]!r} is not a UTC time like 2026-11-21T10:00:00.000000Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeFormatError(f"{text!r} names no real moment: {error}") from error
