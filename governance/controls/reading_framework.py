"""One framework's file: TOML document -> controls. What it says of the framework holds for each of its controls."""

from dataclasses import replace
from datetime import date
from typing import Any

from governance.controls.catalogue import Control, Need, Start
from governance.controls.conditions import ALWAYS, Condition
from governance.controls.errors import Fault
from governance.controls.facts import PLACE_FACT, SYSTEM_FACTS, FactKind, value_fault
from governance.controls.places import KNOWN_PLACES, PLACE_WORDS
from governance.controls.reading_fields import Fields
from governance.controls.vocabulary import Force

_FRAMEWORK_KEYS = {"id", "name", "jurisdiction", "force", "applies"}
_START_KEYS = {"decided_on", "effective_from", "applies"}
_CONTROL_TEXTS = ("id", "citation", "requirement", "check", "evidence_detail")
_CONTROL_KEYS = {
    *_CONTROL_TEXTS,
    *("jurisdiction", "force", "published_on", "timetable", "effective_from", "effective_to", "superseded_by"),
    *("contested", "evidence", "applies", "checklist", "sources", "note"),
}


class FrameworkReader(Fields):
    """Reads a framework and its controls."""

    def __init__(self, slug: str, document: dict[str, Any], faults: list[Fault]) -> None:
        super().__init__(faults)
        self._slug, self._file = slug, f"{slug}.toml"
        self.keys(document, {"framework", "timetable", "control"}, self._file)
        head, place = document.get("framework"), f"{self._file}: framework"
        self._head: dict[str, Any] = {}
        if isinstance(head, dict) and self.is_table(head, _FRAMEWORK_KEYS, place):
            self._head = head
        if self._head.get("id") != slug:
            self.fault(f"{place}: id", f"{slug} is needed, as the file is named")
        self.name = self.text(self._head, "name", place)
        self._applies = self._condition(self._head, place)
        tables = document.get("timetable", {})
        self._timetables = {
            name: self._timetable(rows, f"{self._file}: timetable {name}")
            for name, rows in (tables.items() if isinstance(tables, dict) else ())
        }
        self._rows = document.get("control")

    def controls(self) -> list[Control]:
        """Read the controls."""
        place = f"{self._file}: control"
        if not isinstance(self._rows, list) or not self._rows:
            self.fault(place, "at least one [[control]] is needed")
            return []
        rows = [row for row in self._rows if self.is_table(row, _CONTROL_KEYS, f"{place} {_named(row)}".rstrip())]
        return [self._control(row, f"{self._file}: {_named(row)}") for row in rows]

    def _control(self, row: dict[str, Any], place: str) -> Control:
        merged = {key: self._head[key] for key in ("jurisdiction", "force") if key in self._head} | row
        jurisdiction = self._jurisdiction(merged, place)
        conditions = (_within(jurisdiction), self._applies, self._condition(row, place))
        published = self.optional_day(row, "published_on", place)
        starts = self._starts(row, published, place)
        return Control(
            **{key: self.text(row, key, place) for key in _CONTROL_TEXTS},
            framework=self._slug,
            jurisdiction=jurisdiction,
            force=self.choice(merged, "force", Force, place),
            published_on=min((start.decided_on for start in starts), default=published),
            starts=starts,
            effective_to=self.optional_day(row, "effective_to", place),
            superseded_by=self.texts(row, "superseded_by", place) if "superseded_by" in row else (),
            contested=self.optional_text(row, "contested", place),
            needs=self._needs(row, f"{place}: evidence"),
            applies=tuple(condition for condition in conditions if condition is not ALWAYS),
            checklist=self.optional_text(row, "checklist", place),
            sources=self.texts(row, "sources", place),
            note=self.optional_text(row, "note", place),
        )

    def _starts(self, row: dict[str, Any], published: date | None, place: str) -> tuple[Start, ...]:
        """When a control begins: on its own date, by a timetable of the file, or before the first day covered."""
        if "timetable" not in row:
            begins = self.optional_day(row, "effective_from", place)
            return (Start(published or begins, begins),) if begins else ()
        place = f"{place}: timetable"
        if {"published_on", "effective_from"} & row.keys():
            self.fault(place, "a timetable and dates of its own exclude each other")
        name = str(row["timetable"])
        if name not in self._timetables:
            self.fault(place, f'no timetable "{name}" in this file')
        return self._timetables.get(name, ())

    def _timetable(self, rows: object, place: str) -> tuple[Start, ...]:
        if not isinstance(rows, list) or not rows:
            self.fault(place, "at least one line is needed")
            return ()
        starts = []
        for row in rows:
            if self.is_table(row, _START_KEYS, place):
                decided, begins = self.day(row, "decided_on", place), self.day(row, "effective_from", place)
                if decided and begins:
                    starts.append(Start(decided, begins, self._condition(row, place)))
        return tuple(starts)

    def _jurisdiction(self, merged: dict[str, Any], place: str) -> str:
        value = merged.get("jurisdiction")
        if isinstance(value, str) and value in KNOWN_PLACES | {""}:
            return value
        self.fault(f"{place}: jurisdiction", f"one of {PLACE_WORDS}, or an empty text for everywhere, is needed")
        return ""

    def _needs(self, row: dict[str, Any], place: str) -> tuple[Need, ...]:
        value = row.get("evidence")
        if not isinstance(value, list):
            self.fault(place, "a list is needed; an empty one for a row that asks for nothing")
            return ()
        return tuple(Need(item) if isinstance(item, str) else self._aging_need(item, place) for item in value)

    def _aging_need(self, item: Any, place: str) -> Need:  # noqa: ANN401 - a parsed value
        days = item.get("max_age_days") if self.is_table(item, {"type", "max_age_days"}, place) else None
        if isinstance(days, int) and not isinstance(days, bool) and days > 0:
            return Need(self.text(item, "type", place), days)
        self.fault(f"{place}: max_age_days", "a whole number of days is needed")
        return Need("")

    def _condition(self, item: dict[str, Any], place: str) -> Condition:
        value = item.get("applies", [])
        place = f"{place}: applies"
        if not isinstance(value, list) or not all(isinstance(table, dict) and table for table in value):
            self.fault(place, "a list of tables, each with at least one fact, is needed")
            return ALWAYS
        for table in value:
            for name, required in table.items():
                if message := _requirement_fault(name, required):
                    self.fault(f"{place}: {name}", message)
        alternatives = (
            tuple(sorted((name, tuple(each) if isinstance(each, list) else each) for name, each in table.items()))
            for table in value
        )
        return Condition(tuple(alternatives)) if value else ALWAYS


def _named(row: object) -> str:
    name = row.get("id") if isinstance(row, dict) else None
    return name if isinstance(name, str) else "without an id"


def _requirement_fault(name: str, required: object) -> str:
    """Say what is wrong with a value that a condition asks for: a truth, or a list of which one is enough."""
    fact = SYSTEM_FACTS.get(name)
    if fact is None:
        return f"unknown fact; known: {', '.join(sorted(SYSTEM_FACTS))}"
    if fact.kind is FactKind.COUNT:
        return "a count decides about no control"
    kind = FactKind.SET if fact.kind is FactKind.CHOICE else fact.kind
    return value_fault(replace(fact, kind=kind), required) or ("" if required != [] else "at least one value is needed")


def _within(jurisdiction: str) -> Condition:
    return Condition((((PLACE_FACT, (jurisdiction,)),),)) if jurisdiction else ALWAYS
