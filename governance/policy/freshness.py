"""From when on evidence is stale."""

from datetime import datetime, timedelta

from modelnotary.times import parse_time


def stale_from(collected_at: str, valid_until: str, max_age_days: int | None) -> datetime | None:
    """Give the moment from which a piece of evidence satisfies a rule no more; None where nothing limits it.

    Args:
        collected_at: When it was established, RFC 3339; empty in facts stored before evidence had a time.
        valid_until: Its own end, RFC 3339; empty as above.
        max_age_days: The rule's, where it asks for evidence that is newer.
    """
    ends = [parse_time(valid_until)] if valid_until else []
    if max_age_days is not None and collected_at:
        ends.append(parse_time(collected_at) + timedelta(days=max_age_days))
    return min(ends, default=None)
