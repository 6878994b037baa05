"""The control catalogue, one control, and what became of each for a system. Each row shows its source's mark."""

from collections.abc import Callable
from datetime import date

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from audit.enums import AccessEvent
from governance.admin.base import may_look, page_viewed
from governance.admin.cells import Cell, anchor, badge, moment, nested, stack, whole
from governance.admin.sections import Facts, Field, Filters, Notice, Page, Section, Table
from governance.controls.catalogue import Catalogue, Control, Standing, catalogue_at
from governance.controls.conditions import Condition
from governance.controls.errors import CoverageError
from governance.controls.evaluation import ControlResult, Evaluation, day_end
from governance.controls.facts import PHI_FACT, SYSTEM_FACTS
from governance.controls.reading import installed_catalogue
from governance.controls.vocabulary import Outcome, Status, Trust
from governance.models import AiSystem
from governance.selectors import control_evaluation, declaration_at
from modelnotary.ledger.event import Subject

_READING = ("GET", "HEAD")
_EVERYWHERE = "everywhere"


def catalogue_view(request: HttpRequest) -> HttpResponseBase:
    """Show the catalogue as of a day."""
    return _serve(request, "controls", catalogue_page)


def control_view(request: HttpRequest, control_id: str) -> HttpResponseBase:
    """Show one control."""
    return _serve(request, f"controls/{control_id}", lambda query: control_page(query, control_id))


def _serve(request: HttpRequest, page: str, make: Callable[[HttpRequest], Page]) -> HttpResponseBase:
    """Let people with a role look, and write the look down before the page leaves."""
    if not may_look(request):
        raise PermissionDenied
    if request.method not in _READING:
        return HttpResponseNotAllowed(_READING)
    context = admin.site.each_context(request) | {"page": make(request), "title": "Control catalogue"}
    catalogue = installed_catalogue()
    subject = Subject("control_catalogue", catalogue.version, catalogue.digest)
    page_viewed(request, event=AccessEvent.RECORD_VIEWED, subject=subject, page=page)
    return TemplateResponse(request, "governance/admin/record.html", context)


def catalogue_page(request: HttpRequest) -> Page:
    """List the controls as they stand on a day."""
    catalogue = installed_catalogue()
    as_of, notices = _day_asked(request, catalogue)
    chosen = {name: request.GET.get(name, "") for name in ("framework", "status", "trust")}
    fields = (
        Field(name="as_of", label="As of", value=as_of.isoformat()),
        Field.choice("framework", "Framework", chosen["framework"], tuple(catalogue.frameworks.items())),
        Field.choice("status", "Status", chosen["status"], tuple((item.value, _plain(item)) for item in Status)),
        Field.choice("trust", "Source", chosen["trust"], tuple((item.value, item.words) for item in Trust)),
    )
    shown = [
        standing
        for standing in catalogue_at(catalogue, as_of)
        if chosen["framework"] in ("", standing.control.framework)
        and chosen["status"] in ("", standing.status)
        and chosen["trust"] in ("", standing.control.trust)
    ]
    return Page(
        kind="Control catalogue",
        heading=f"Version {catalogue.version}",
        lead=f"{catalogue.title}, as of {as_of}. Our reading of the sources named, and no legal advice.",
        marks=(whole(catalogue.digest.text),),
        notices=notices,
        sections=(
            Filters(title="Show", fields=fields),
            Table(
                title=f"{len(shown)} of {len(catalogue.controls)} controls",
                columns=("Control", "Framework", "Requirement", "Status", "Source"),
                rows=tuple(_row(catalogue, standing, as_of) for standing in shown),
                empty="No control is like that on this day.",
            ),
        ),
    )


def control_page(request: HttpRequest, control_id: str) -> Page:
    """Show everything about one control."""
    catalogue = installed_catalogue()
    as_of, notices = _day_asked(request, catalogue)
    standing = next((item for item in catalogue_at(catalogue, as_of) if item.control.id == control_id), None)
    if standing is None:
        raise Http404(control_id)
    control = standing.control
    sections: list[Section] = [_control_facts(catalogue, standing, as_of)]
    if checklist := catalogue.checklists.get(control.checklist):
        items = tuple(checklist.items)
        sections.append(Table(title=checklist.title, columns=("Item", "Text"), rows=items))
    return Page(
        kind=catalogue.frameworks[control.framework],
        heading=control.id,
        lead=control.requirement,
        badge=trust_badge(control.trust),
        notices=notices,
        sections=tuple(sections),
    )


def _control_facts(catalogue: Catalogue, standing: Standing, as_of: date) -> Section:
    control = standing.control
    return Facts(
        title="Control",
        rows=(
            ("Citation", control.citation),
            (f"Status on {as_of}", f"{standing.words}: {standing.why}"),
            ("Superseded by", stack(_control_link(name, as_of) for name in control.superseded_by) or None),
            ("Jurisdiction", control.jurisdiction or _EVERYWHERE),
            ("Applies to systems with", stack(map(_condition_words, control.applies)) or "every system"),
            ("Evidence asked for", stack(_need_words(catalogue, control)) or "none"),
            ("What the evidence holds", control.evidence_detail),
            ("How it is checked", control.check),
            ("Sources", stack(f"{mark}: {_source_words(catalogue, mark)}" for mark in control.sources)),
            ("Note", control.note or None),
        ),
    )


def system_controls_page(request: HttpRequest, system: AiSystem) -> Page:
    """Show what became of each control for a system, as of a day."""
    catalogue = installed_catalogue()
    as_of, notices = _day_asked(request, catalogue)
    outcome = request.GET.get("outcome", "")
    evaluation = control_evaluation(system=system, as_of=as_of)
    wanted = {outcome} if outcome else set(Outcome) - {Outcome.NOT_APPLICABLE}
    shown = [result for result in evaluation.results if result.outcome in wanted]
    options = tuple((item.value, f"{_plain(item)} ({count})") for item, count in evaluation.counts.items())
    return Page(
        heading=f"Controls of {system.name}",
        lead=f"What became of each control by the end of {as_of} (UTC), by catalogue version {catalogue.version}.",
        notices=notices,
        sections=(
            Filters(
                title="Show",
                fields=(
                    Field(name="as_of", label="As of", value=as_of.isoformat()),
                    Field.choice("outcome", "Outcome", outcome, options, nothing="all that may apply"),
                ),
            ),
            Table(
                title=f"{len(shown)} controls",
                columns=("Outcome", "Control", "Requirement", "Why", "Status", "Source"),
                rows=tuple(_result_row(result, as_of) for result in shown),
                empty="No control has this outcome.",
            ),
            declaration_section(system, as_of),
            _replay(evaluation),
        ),
    )


def declaration_section(system: AiSystem, as_of: date) -> Section:
    """Show what was declared of a system until the end of a day."""
    declaration = declaration_at(system=system, end=day_end(as_of))
    if declaration is None:
        nobody = "Nobody has declared what this system is, so it is not known which controls apply."
        return Table(title="Declaration", columns=(), rows=(), empty=nobody)
    unknown = [fact.label for name, fact in SYSTEM_FACTS.items() if name not in {PHI_FACT, *declaration.facts}]
    return Facts(
        title="Declaration",
        note=declaration.reason,
        rows=(
            *((_capital(SYSTEM_FACTS[name].label), nested(value)) for name, value in declaration.facts.items()),
            ("Not declared", stack(unknown) or None),
            ("Version", declaration.number),
            ("Declared by", declaration.declared_by.printed_name),
            ("Declared", moment(declaration.declared_at)),
        ),
    )


def _replay(evaluation: Evaluation) -> Section:
    return Facts(
        title="To evaluate again",
        note="The same catalogue, day and inputs give the same result.",
        folded=True,
        rows=(
            ("Catalogue", whole(evaluation.catalogue_digest.text)),
            ("Inputs", whole(evaluation.inputs_digest.text)),
            ("Result", whole(evaluation.digest.text)),
        ),
    )


def _result_row(result: ControlResult, as_of: date) -> tuple[Cell, ...]:
    control = result.control
    return (
        badge(result.outcome.value, _plain(result.outcome)),
        stack((_control_link(control.id, as_of), control.citation)),
        control.requirement,
        stack((result.reason, *(f"{item.why}; not counted" for item in result.considered if not item.counted))),
        result.standing.words,
        trust_badge(control.trust),
    )


def _row(catalogue: Catalogue, standing: Standing, as_of: date) -> tuple[Cell, ...]:
    control = standing.control
    return (
        stack((_control_link(control.id, as_of), control.citation)),
        catalogue.frameworks[control.framework],
        control.requirement,
        stack((standing.words, standing.why)),
        trust_badge(control.trust),
    )


def trust_badge(trust: Trust) -> str:
    """Show how far a row's source can be trusted."""
    return badge(f"trust_{trust.value}", f"{trust.value}: {trust.words}")


def _control_link(control_id: str, as_of: date) -> Cell:
    return anchor(f"{reverse('control', args=[control_id])}?as_of={as_of}", control_id)


def _day_asked(request: HttpRequest, catalogue: Catalogue) -> tuple[date, tuple[Notice, ...]]:
    """Give the day that is asked for, or today with the reason why not that one."""
    today = timezone.now().date()
    asked = request.GET.get("as_of") or today.isoformat()
    try:
        as_of = date.fromisoformat(asked)
        catalogue_at(catalogue, as_of)
    except ValueError:
        return today, (Notice(words=f"{asked} is not a day such as 2026-04-17. Shown is today.", tone="bad"),)
    except CoverageError as error:
        return today, (Notice(words=f"{error.faults[0].message}. Shown is today.", tone="bad"),)
    if as_of <= catalogue.checked_on:
        return as_of, ()
    late = f"The catalogue was last held against its sources on {catalogue.checked_on}; later changes are not in it."
    return as_of, (Notice(words=late),)


def _condition_words(condition: Condition) -> str:
    return " or ".join(
        " and ".join(
            f"{SYSTEM_FACTS[name].label}: {', '.join(value) if isinstance(value, tuple) else 'yes' if value else 'no'}"
            for name, value in item
        )
        for item in condition.alternatives
    )


def _need_words(catalogue: Catalogue, control: Control) -> list[str]:
    return [
        catalogue.evidence_kinds[need.type].label
        + (f", at most {need.max_age_days} days old" if need.max_age_days else "")
        for need in control.needs
    ]


def _source_words(catalogue: Catalogue, mark: str) -> str:
    return catalogue.sources.get(mark, Trust.MEMORY.words)


def _plain(word: Status | Outcome) -> str:
    return word.value.replace("_", " ")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
