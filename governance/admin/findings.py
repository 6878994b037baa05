"""Findings: what is open and late, what was done about each, and the forms to open one and to take it further."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column, seen_by, subject_link
from governance.admin.cells import Cell, badge, code, link, moment, record_address, strong
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import FindingKind, FindingState, Severity, SubjectKind
from governance.models import Finding, FindingEvent, User
from governance.selectors.findings import SETTLED, findings_late, findings_stated
from governance.services.findings import OPENERS, FindingReport, finding_act, finding_hindrance, finding_open
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM, opening_hindrance

_STEP = ("GET", "HEAD", "POST")
_OPEN = "open"
_DAYS_LIMIT = 730
_WORDS = {
    FindingState.IN_PROGRESS: ("Take it up", "I take up this finding."),
    FindingState.REMEDIATED: ("Remediated", "What had to be done is done."),
    FindingState.CLOSED: ("Close it", "I checked what was done, and close this finding."),
    FindingState.RISK_ACCEPTED: ("Accept the risk", "I accept what remains of this risk."),
}


class NoteForm(forms.Form):
    """What was done, and proof of who says so."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def _line(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(label=label, help_text=help_text, widget=UnfoldAdminTextInputWidget)


class OpenForm(forms.Form):
    """What is found, and who has to see to it."""

    kind = forms.ChoiceField(choices=FindingKind.choices, label="Kind", widget=UnfoldAdminSelectWidget)
    severity = forms.ChoiceField(choices=Severity.choices, label="Severity", widget=UnfoldAdminSelectWidget)
    title = _line("Title")
    reason = reason_field("What was found, and where.", at_least=REASON_MINIMUM)
    remediation = _line("What has to be done")
    subject_kind = forms.ChoiceField(choices=SubjectKind.choices, label="About a", widget=UnfoldAdminSelectWidget)
    subject_id = _line("Its id", "As its page shows it.")
    owner = _line("Owner", "User name of who has to see to it.")
    escalates_to = _line("Told when it is late", "User name of another person.")
    days = forms.IntegerField(
        min_value=1, max_value=_DAYS_LIMIT, label="Due in so many days", widget=UnfoldAdminTextInputWidget
    )
    password = password_field("step")

    def clean_owner(self) -> User:
        """Find the person."""
        return _person(self.cleaned_data["owner"])

    def clean_escalates_to(self) -> User:
        """Find the person."""
        return _person(self.cleaned_data["escalates_to"])


def _person(username: str) -> User:
    person = User.objects.filter(username=username).first()
    if person is None:
        raise forms.ValidationError("There is no account of that name.")
    return person


class StateFilter(admin.SimpleListFilter):
    """The state that the last event gives."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002
        """Offer every state."""
        return [(state.value, state.label) for state in FindingState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Keep those in that state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(Finding)
class FindingAdmin(GovernedAdmin[Finding]):
    """Findings."""

    kinds = ("finding",)
    list_display = (
        "title",
        "grave",
        "standing",
        "kind",
        "system",
        person_column("owner"),
        moment_column("due_at"),
        moment_column("opened_at"),
    )
    list_select_related = ("system", "owner")
    list_filter = (StateFilter, "severity", "kind")
    search_fields = ("id__exact", "subject_id__exact", "system__slug__exact")

    def get_queryset(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's type
        """Give those that the caller sees, each with its state."""
        return seen_by(request).of(findings_stated()).order_by("-opened_at")

    @admin.display(description="severity", ordering="severity")
    def grave(self, finding: Finding) -> Cell:
        """Show how grave it is."""
        return badge(f"severity_{finding.severity}", finding.get_severity_display())

    @admin.display(description="state")
    def standing(self, finding: Finding) -> Cell:
        """Show its state."""
        return _state_badge(finding)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to open one, and say how many are late."""
        late = seen_by(request).of(findings_late(at=timezone.now())).count()
        words = "1 open finding is late." if late == 1 else f"{late} open findings are late."
        notices = (Notice(words=words, tone="bad"),) if late else ()
        may = not opening_hindrance(user=cast("User", request.user), roles=OPENERS)
        address = reverse(f"admin:governance_finding_{_OPEN}")
        return ListHead(
            lead="What is wrong or limited, and who sees to it.",
            notices=notices,
            actions=(Action(words="Open a finding", address=address, symbol="add", tone="main"),) if may else (),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the form to open one."""
        return (Address(_OPEN, _open_view(self), _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the form of each step."""
        return tuple(Address(state.value, _act_view(self, state), _STEP) for state in _WORDS)

    def page(self, request: HttpRequest, record: Finding) -> Page:
        """Show the finding and what was done about it."""
        user = cast("User", request.user)
        late = record.due_at <= timezone.now() and _state(record) not in SETTLED
        return Page(
            heading=record.title,
            badge=_state_badge(record),
            lead=record.description,
            notices=(Notice(words="It is late.", tone="bad"),) if late else (),
            actions=tuple(
                Action(words=words, address=record_address(record, state.value), symbol="arrow_forward")
                for state, (words, _) in _WORDS.items()
                if not finding_hindrance(user=user, finding=record, state=state)
            ),
            sections=(_facts(record), _events(record), ledger_section(record.id)),
        )


def _facts(finding: Finding) -> Section:
    opened_by = finding.opened_by
    return Facts(
        title="Finding",
        rows=(
            ("Id", code(finding.id)),
            ("Kind", finding.get_kind_display()),
            ("Severity", finding.get_severity_display()),
            ("About", subject_link(finding.subject_kind, finding.subject_id)),
            ("System", link(finding.system)),
            ("What has to be done", finding.remediation),
            ("Owner", link(finding.owner, finding.owner.printed_name)),
            ("Due", moment(finding.due_at)),
            ("Told when it is late", link(finding.escalates_to, finding.escalates_to.printed_name)),
            ("Opened by", link(opened_by, opened_by.printed_name) if opened_by else "the product itself"),
            ("Opened", moment(finding.opened_at)),
        ),
    )


def _events(finding: Finding) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (badge(event.state, event.get_state_display()), event.by.printed_name, event.note, moment(event.at))
        for event in finding.events.select_related("by")
    ]
    rows += [
        (f"Escalated, level {item.level}", f"to {item.to.printed_name}", "", moment(item.at))
        for item in finding.escalations.select_related("to")
    ]
    return Table(
        title="What was done",
        columns=("Step", "By", "Note", "Time"),
        rows=tuple(rows),
        empty="Nobody has taken it up yet.",
    )


def _state(finding: Finding) -> FindingState:
    last: FindingEvent | None = finding.events.last()
    return FindingState(last.state) if last else FindingState.OPEN


def _state_badge(finding: Finding) -> SafeString:
    state = FindingState(getattr(finding, "state", None) or _state(finding))
    return badge(state.value, state.label)


def _open_view(shown: GovernedAdmin[Finding]) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user, back = cast("User", request.user), reverse("admin:governance_finding_changelist")
        page = SignedPage(
            kind="Open a finding",
            heading="What was found",
            lead="Its owner has until the due date; then the other person is told.",
            title="Your finding",
            states=(("Printed name", user.printed_name), ("You state", strong("I found what is described below."))),
            submit="Open the finding",
            undone="Not opened.",
            decline="Do not open it",
            back=back,
            back_words="Back to the findings",
            hindrance=opening_hindrance(user=user, roles=OPENERS),
        )

        def act(form: OpenForm) -> HttpResponseRedirect:
            sent, now = form.cleaned_data, timezone.now()
            report = FindingReport(
                kind=FindingKind(sent["kind"]),
                severity=Severity(sent["severity"]),
                title=sent["title"],
                description=sent["reason"],
                remediation=sent["remediation"],
                subject_kind=SubjectKind(sent["subject_kind"]),
                subject_id=sent["subject_id"],
                owner=sent["owner"],
                escalates_to=sent["escalates_to"],
                due_at=now + timedelta(days=sent["days"]),
            )
            finding = finding_open(officer=Officer(user, sent["password"]), report=report, at=now)
            messages.success(request, "Opened.")
            return HttpResponseRedirect(record_address(finding))

        return signed_page(shown, request, page, OpenForm(request.POST or None), act)

    return view


def _act_view(shown: GovernedAdmin[Finding], state: FindingState) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, finding: Finding) -> HttpResponseBase:
        user = cast("User", request.user)
        words, states = _WORDS[state]
        page = SignedPage(
            record=finding,
            kind=words,
            heading=finding.title,
            lead=finding.description,
            sections=(_facts(finding), _events(finding)),
            title="Your step",
            states=(("Printed name", user.printed_name), ("You state", strong(states))),
            submit=words,
            undone="Not done.",
            decline="Leave it as it is",
            back=record_address(finding),
            back_words="Back to the finding",
            hindrance=finding_hindrance(user=user, finding=finding, state=state),
        )

        def act(form: NoteForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            finding_act(officer=officer, finding_id=finding.id, state=state, note=sent["reason"], at=timezone.now())
            messages.success(request, f"{state.label}.")
            return HttpResponseRedirect(record_address(finding))

        return signed_page(shown, request, page, NoteForm(request.POST or None), act)

    return view
