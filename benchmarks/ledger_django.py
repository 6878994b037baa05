"""Creating and changing records through Django: ours, plain, and with the two usual audit libraries, in turns."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from statistics import fmean
from typing import Any

from installation import Database, database
from suite import ROUNDS, Row, compared, say

from config.embedded import EmbeddedServices

TURNS = 20
MANY_TURNS = 3
RECORDS = 25
MANY = 2_000
_LIBRARIES = {"logged": "django-auditlog", "historied": "django-simple-history"}
_SETTINGS = "governed.settings"

type Work = Callable[[], float]
"""Does a turn; gives the milliseconds that one operation took."""


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure one record at a time and many at once."""
    with database(services, "django", _SETTINGS) as made:
        _capture(made)
        os.environ.update(made.environment, DJANGO_SETTINGS_MODULE=_SETTINGS)
        import django
        from django.db import connections

        django.setup()
        for name, works in (("create", _creations()), ("update", _changes())):
            taken = _rounds(made, f"Django {name}", works, TURNS)
            yield _row(f"Django {name}: row, capture, event / plain row", taken, "plain", 1.30)
            for library, title in _LIBRARIES.items():
                yield _row(f"Django {name}: ours / {title}", taken, library, 1.00)
        taken = _rounds(made, "Django bulk_create", _many(), MANY_TURNS)
        yield _row(f"Django bulk_create of {MANY:,}, each captured / plain", taken, "plain", 1.40)
        connections.close_all()


def _row(name: str, taken: dict[str, list[float]], other: str, goal: float) -> Row:
    return compared(name, "ms", taken["governed"], taken[other], goal=goal, better="lower")


def _capture(made: Database) -> None:
    """Give the governed table the triggers that every governed table has."""
    made.sql(import_module("governance.migrations.0003_change_capture").capture("governed_governed", "id"))


def _rounds(made: Database, name: str, works: dict[str, Work], turns_each: int) -> dict[str, list[float]]:
    """A round to warm up, then `ROUNDS`; in each they take turns, each time beginning with another one."""
    say(name)
    taken: dict[str, list[float]] = {kind: [] for kind in works}
    kinds = list(works)
    for number in range(ROUNDS + 1):
        made.settle()
        turns: dict[str, list[float]] = {kind: [] for kind in works}
        for turn in range(turns_each):
            shift = turn % len(kinds)
            for kind in kinds[shift:] + kinds[:shift]:
                turns[kind].append(works[kind]())
        if number:
            for kind in kinds:
                taken[kind].append(fmean(turns[kind]))
    return taken


def _each[Item](operation: Callable[[Item], object], items: Sequence[Item]) -> float:
    """The milliseconds that an operation takes, in the mean over the items."""
    began = time.perf_counter()
    for item in items:
        operation(item)
    return (time.perf_counter() - began) * 1000 / len(items)


def _creations() -> dict[str, Work]:
    from django.db import transaction
    from governed.models import Historied, Logged, Plain
    from governed.services import governed_create

    def watched(model: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401 - a model class
        def create(values: dict[str, Any]) -> None:
            with transaction.atomic():
                model.objects.create(**values)

        return create

    def one_by_one(create: Callable[[dict[str, Any]], Any]) -> Work:
        def work() -> float:
            return _each(create, [_values() for _ in range(RECORDS)])

        return work

    return {
        "plain": one_by_one(watched(Plain)),
        "governed": one_by_one(governed_create),
        "logged": one_by_one(watched(Logged)),
        "historied": one_by_one(watched(Historied)),
    }


def _changes() -> dict[str, Work]:
    from django.db import transaction
    from governed.models import Governed, Historied, Logged, Plain
    from governed.services import governed_change

    def watched(record: Any, changes: dict[str, Any]) -> None:  # noqa: ANN401 - a record of any of the models
        for name, value in changes.items():
            setattr(record, name, value)
        with transaction.atomic():
            record.save()

    def one_by_one(model: Any, change: Callable[[Any, dict[str, Any]], None]) -> Work:  # noqa: ANN401 - a model class
        def work() -> float:
            records = list(model.objects.order_by("-pk")[:RECORDS])
            changes = [{"name": f"name {next(_numbers)}", "risk_tier": next(_numbers)} for _ in records]
            return _each(lambda pair: change(*pair), list(zip(records, changes, strict=True)))

        return work

    return {
        "plain": one_by_one(Plain, watched),
        "governed": one_by_one(Governed, governed_change),
        "logged": one_by_one(Logged, watched),
        "historied": one_by_one(Historied, watched),
    }


def _many() -> dict[str, Work]:
    from django.db import transaction
    from governed.models import Governed, Plain
    from governed.services import governed_create_many

    def plain_create_many(records: list[Plain]) -> None:
        with transaction.atomic():
            Plain.objects.bulk_create(records)

    return {
        "plain": lambda: _each(plain_create_many, [[Plain(**_values()) for _ in range(MANY)]]),
        "governed": lambda: _each(governed_create_many, [[Governed(**_values()) for _ in range(MANY)]]),
    }


_numbers = count()


def _values() -> dict[str, Any]:
    number = next(_numbers)
    return {
        "slug": f"readmission-{number}",
        "name": f"Readmission risk {number}",
        "purpose": "Tells which patients are likely to come back within thirty days, so that a nurse calls them first.",
        "jurisdiction": "Massachusetts",
        "contains_phi": True,
        "risk_tier": 3,
        "threshold": 0.25,
        "registered_at": datetime.now(UTC),
    }
