"""The catalogue: dated controls, and how each stands on a day."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from governance.controls.conditions import ALWAYS, Condition
from governance.controls.errors import CoverageError, Fault
from governance.controls.vocabulary import About, Force, Status, Trust
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest

FORMAT = "modelnotary-controls/v1"
_LAST_DAY = date(2199, 12, 31)


@dataclass(frozen=True, slots=True)
class EvidenceKind:
    """A kind of evidence: its name in words, what it is bound to, and whether it must say pass or fail."""

    label: str
    about: About
    verdict: bool

    def to_json(self) -> dict[str, Json]:
        """As in the catalogue's files."""
        return {"label": self.label, "about": self.about.value, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Need:
    """Evidence that a control asks for; older than `max_age_days` it does not count."""

    type: str
    max_age_days: int | None = None

    def to_json(self) -> dict[str, Json]:
        """As in the catalogue's files."""
        return {"type": self.type, "max_age_days": self.max_age_days}


@dataclass(frozen=True, slots=True)
class Start:
    """From which day a control holds for the systems that `applies` describes, and since when that was law."""

    decided_on: date
    effective_from: date
    applies: Condition = ALWAYS

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON takes it."""
        return {
            "decided_on": self.decided_on.isoformat(),
            "effective_from": self.effective_from.isoformat(),
            "applies": _conditions((self.applies,)),
        }


@dataclass(frozen=True, slots=True)
class Checklist:
    """A list that a rule itself gives, for instance the 24 reasons of Form C-1: (number, text)."""

    title: str
    sources: tuple[str, ...]
    items: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Json]:
        """As in the catalogue's files."""
        return {
            "title": self.title,
            "sources": list(self.sources),
            "items": [{"item": item, "text": text} for item, text in self.items],
        }


@dataclass(frozen=True, slots=True)
class Control:
    """One dated requirement.

    Attributes:
        id: Stable name.
        framework: Slug of the framework that it belongs to.
        citation: Where it stands.
        jurisdiction: ISO 3166 code, `EU`, or nothing where it holds everywhere.
        force: What stands behind it.
        published_on: The first day on which it was known; None: before the catalogue's first day.
        starts: From when it holds, and for whom; empty: since before the catalogue's first day.
        effective_to: The first day on which it no longer holds.
        superseded_by: The controls that took its place on that day.
        contested: Who disputes it, where somebody does.
        requirement: What it asks for, in our words.
        check: How that is checked, in words.
        needs: The evidence that it asks for.
        evidence_detail: What that evidence holds.
        applies: All must hold for a system; the first is the jurisdiction's, the second the framework's.
        checklist: Name of the list that belongs to it, or nothing.
        sources: Where the row comes from; `M` is memory.
        note: What a reader must know.
    """

    id: str
    framework: str
    citation: str
    jurisdiction: str
    force: Force
    published_on: date | None
    starts: tuple[Start, ...]
    effective_to: date | None
    superseded_by: tuple[str, ...]
    contested: str
    requirement: str
    check: str
    needs: tuple[Need, ...]
    evidence_detail: str
    applies: tuple[Condition, ...]
    checklist: str
    sources: tuple[str, ...]
    note: str

    @property
    def trust(self) -> Trust:
        """The weakest of the row's sources."""
        marks = [Trust(source[0]) for source in self.sources]
        return next(trust for trust in (Trust.MEMORY, Trust.SECONDARY, Trust.PRIMARY) if trust in marks)

    def starts_known(self, as_of: date) -> tuple[Start, ...]:
        """Give the beginnings as they stood on a day: for each class of systems the one decided last until then."""
        known: dict[Condition, Start] = {}
        for start in sorted(self.starts, key=lambda item: item.decided_on):
            if start.decided_on <= as_of:
                known[start.applies] = start
        return tuple(known.values())

    def to_json(self) -> dict[str, Json]:
        """All of the row, as canonical JSON takes it."""
        return {
            "id": self.id,
            "framework": self.framework,
            "citation": self.citation,
            "jurisdiction": self.jurisdiction,
            "force": self.force.value,
            "published_on": _day(self.published_on),
            "starts": [start.to_json() for start in self.starts],
            "effective_to": _day(self.effective_to),
            "superseded_by": list(self.superseded_by),
            "contested": self.contested,
            "requirement": self.requirement,
            "check": self.check,
            "needs": [need.to_json() for need in self.needs],
            "evidence_detail": self.evidence_detail,
            "applies": _conditions(self.applies),
            "checklist": self.checklist,
            "sources": list(self.sources),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How a control stands on a day, and why."""

    control: Control
    status: Status
    why: str

    @property
    def words(self) -> str:
        """The status in words, with what stands behind it where that is not law: `in force (guidance, contested)`."""
        behind = [] if self.control.force in (Force.LAW, Force.PROPOSAL, Force.CONTEXT) else [self.control.force.value]
        if self.status is Status.IN_FORCE and self.control.contested:
            behind.append("contested")
        said = self.status.value.replace("_", " ")
        return f"{said} ({', '.join(behind)})" if behind else said


@dataclass(frozen=True)
class Catalogue:
    """All controls of one version.

    Attributes:
        title: What it is.
        version: Its name; a version that was released is never changed.
        checked_on: The last day on which the rows were held against their sources.
        covers_from: The first day for which it answers.
        frameworks: Slug -> name, in order.
        controls: In order.
        evidence_kinds: Name -> kind.
        checklists: Name -> list.
        sources: Mark -> where a row comes from.
    """

    title: str
    version: str
    checked_on: date
    covers_from: date
    frameworks: dict[str, str]
    controls: tuple[Control, ...]
    evidence_kinds: dict[str, EvidenceKind]
    checklists: dict[str, Checklist]
    sources: dict[str, str]

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the whole content as canonical JSON; the layout of the files does not matter."""
        return Digest.of(canonical_bytes(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """All of the catalogue, as canonical JSON takes it."""
        return {
            "format": FORMAT,
            "title": self.title,
            "version": self.version,
            "checked_on": self.checked_on.isoformat(),
            "covers_from": self.covers_from.isoformat(),
            "frameworks": [{"id": slug, "name": name} for slug, name in self.frameworks.items()],
            "controls": [control.to_json() for control in self.controls],
            "evidence_kinds": {name: kind.to_json() for name, kind in self.evidence_kinds.items()},
            "checklists": {name: checklist.to_json() for name, checklist in self.checklists.items()},
            "sources": dict(self.sources),
        }


def catalogue_at(catalogue: Catalogue, as_of: date) -> tuple[Standing, ...]:
    """Give every control as it stands on a day, in the catalogue's order.

    Raises:
        CoverageError: The day is before the first that the catalogue covers, or after 2199.
    """
    if not catalogue.covers_from <= as_of <= _LAST_DAY:
        message = f"the catalogue covers {catalogue.covers_from} to {_LAST_DAY}; it cannot tell what holds on {as_of}"
        raise CoverageError([Fault("/as_of", message)])
    return tuple(_standing(control, as_of, catalogue.covers_from) for control in catalogue.controls)


def _standing(control: Control, as_of: date, covers_from: date) -> Standing:
    if control.published_on and as_of < control.published_on:
        return Standing(control, Status.UNPUBLISHED, f"not published before {control.published_on}")
    if control.effective_to and as_of >= control.effective_to:
        if control.superseded_by:
            taken = f"superseded on {control.effective_to} by {', '.join(control.superseded_by)}"
            return Standing(control, Status.SUPERSEDED, taken)
        return Standing(control, Status.WITHDRAWN, f"withdrawn on {control.effective_to}")
    if control.force is Force.PROPOSAL:
        return Standing(control, Status.PROPOSED, "a proposal, not law")
    if control.force is Force.CONTEXT:
        return Standing(control, Status.CONTEXT, "context; it asks for nothing itself")
    return _dated(control, as_of, covers_from)


def _dated(control: Control, as_of: date, covers_from: date) -> Standing:
    starts = control.starts_known(as_of)
    begun = [start for start in starts if start.effective_from <= as_of]
    if starts and not begun:
        return Standing(control, Status.FUTURE, f"decided; applies from {starts_words(starts)}")
    since = f"since {starts_words(tuple(begun))}" if begun else f"since before {covers_from}, the first day covered"
    until = f", until {control.effective_to}" if control.effective_to else ""
    disputed = f"; contested: {control.contested}" if control.contested else ""
    return Standing(control, Status.IN_FORCE, f"in force {since}{until}{disputed}")


def starts_words(starts: tuple[Start, ...]) -> str:
    """Give the days of beginnings, with the class of systems that each is for."""
    return " and ".join(
        f"{start.effective_from}{f' ({_classes(start.applies)})' if start.applies.alternatives else ''}"
        for start in starts
    )


def _classes(condition: Condition) -> str:
    values = [required for item in condition.alternatives for _, required in item]
    return ", ".join(text for value in values if isinstance(value, tuple) for text in value)


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _conditions(conditions: tuple[Condition, ...]) -> list[Json]:
    return [condition.to_json() for condition in conditions]
