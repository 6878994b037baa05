"""What must hold between the rows of a catalogue: names that lead somewhere, and days that do not contradict."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

from governance.controls.catalogue import Catalogue, Control
from governance.controls.errors import Fault
from governance.controls.vocabulary import Force

_ASKS_FOR_NOTHING = (Force.PROPOSAL, Force.CONTEXT)
_MEMORY = "M"


def catalogue_faults(catalogue: Catalogue) -> list[Fault]:
    """List what does not fit together."""
    controls = {control.id: control for control in catalogue.controls}
    times = Counter(control.id for control in catalogue.controls)
    faults = [Fault(_place(controls[name]), "this id is given twice") for name, count in times.items() if count > 1]
    if catalogue.checked_on < catalogue.covers_from:
        faults.append(Fault("catalogue.toml: checked_on", f"before covers_from, {catalogue.covers_from}"))
    for control in catalogue.controls:
        faults += [Fault(f"{_place(control)}: {field}", message) for field, message in _names(control, catalogue)]
        faults += [Fault(f"{_place(control)}: {field}", message) for field, message in _days(control)]
        faults += [Fault(f"{_place(control)}: superseded_by", words) for words in _succession(control, controls)]
    faults += [Fault("superseded_by", f"a circle: {' -> '.join(circle)}") for circle in _circles(controls)]
    return faults


def _place(control: Control) -> str:
    return f"{control.framework}.toml: {control.id}"


def _names(control: Control, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for need in control.needs:
        if need.type not in catalogue.evidence_kinds:
            yield "evidence", f'"{need.type}" is not in evidence_types.toml'
    if len({need.type for need in control.needs}) != len(control.needs):
        yield "evidence", "a type is given twice"
    for source in control.sources:
        if source != _MEMORY and source not in catalogue.sources:
            yield "sources", f"{source} is neither in sources.toml nor M"
    if control.checklist and control.checklist not in catalogue.checklists:
        yield "checklist", f'"{control.checklist}" is not in checklists.toml'
    if control.force in _ASKS_FOR_NOTHING and control.needs:
        yield "evidence", f"a row with the force {control.force} asks for no evidence"
    if control.force not in _ASKS_FOR_NOTHING and not control.needs:
        yield "evidence", "evidence is needed, or the force context: nothing else tells whether this control is met"


def _days(control: Control) -> Iterator[tuple[str, str]]:
    end = control.effective_to
    for start in control.starts:
        if start.decided_on > start.effective_from:
            yield "effective_from", f"{start.effective_from} is before it was published or decided, {start.decided_on}"
        if end and end <= start.effective_from:
            yield "effective_to", f"{end} is not after {start.effective_from}, when it begins"
    if end and control.published_on and end <= control.published_on:
        yield "effective_to", f"{end} is not after {control.published_on}, when it was published"
    decided = Counter((start.applies, start.decided_on) for start in control.starts)
    if any(count > 1 for count in decided.values()):
        yield "timetable", "two beginnings for the same systems were decided on the same day"
    if control.force is Force.PROPOSAL and control.starts:
        yield "effective_from", "a proposal is never in force; it has published_on alone"


def _succession(control: Control, controls: dict[str, Control]) -> Iterator[str]:
    ends = control.effective_to
    if control.superseded_by and not ends:
        yield "effective_to is needed: on which day was it superseded?"
    for name in control.superseded_by if ends else ():
        if name not in controls:
            yield f"{name} is not in the catalogue"
            continue
        begins = min((start.effective_from for start in controls[name].starts), default=date.min)
        if ends and begins != ends:
            how = "overlaps with" if begins < ends else "leaves a gap before"
            since = "before the first day covered" if begins == date.min else f"on {begins}"
            yield f"{how} {name}, which begins {since} and not on {ends}"


def _circles(controls: dict[str, Control]) -> Iterator[list[str]]:
    """Give each circle of successions once, beginning with its smallest name."""
    for first in sorted(controls):
        paths = [[first]]
        while paths:
            path = paths.pop()
            for name in controls[path[-1]].superseded_by if path[-1] in controls else ():
                if name == first:
                    yield [*path, first]
                elif name > first and name not in path:
                    paths.append([*path, name])
