"""Creating and changing a governed record as the product's services do: row, captured change and event in one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governed.models import Governed
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Actor, Subject
from modelnotary.times import format_time

_ACTOR = Actor("person", "usr_0192f0c1a2b3c4d5e6f708192a3b4c5d", "Olivia Grant")
_FIELDS = (
    "slug",
    "name",
    "purpose",
    "jurisdiction",
    "contains_phi",
    "risk_tier",
    "threshold",
    "registered_at",
)


def governed_create(values: dict[str, Any]) -> Governed:
    """Create a record and tell of it with all its values."""
    with transaction.atomic():
        record = Governed.objects.create(**values)
        _record(record, {name: _json(values[name]) for name in _FIELDS})
    return record


def governed_change(record: Governed, changes: dict[str, Any]) -> None:
    """Change a record and tell what was before and what is now."""
    told: dict[str, Json] = {}
    for name, value in changes.items():
        told[name] = [_json(getattr(record, name)), _json(value)]
        setattr(record, name, value)
    with transaction.atomic():
        record.save()
        _record(record, told)


def governed_create_many(records: Sequence[Governed]) -> None:
    """Create many records; the triggers capture each, and one event tells of all."""
    with transaction.atomic():
        Governed.objects.bulk_create(records)
        _record(records[0], {"records": len(records)})


def _record(record: Governed, data: dict[str, Json]) -> None:
    event_record(
        event=LineageEvent.SYSTEM_REGISTERED,
        actor=_ACTOR,
        subject=Subject("record", str(record.pk)),
        data=data,
        at=datetime.now(UTC),
    )


def _json(value: Any) -> Json:  # noqa: ANN401 - any value of a field
    return format_time(value) if isinstance(value, datetime) else value
