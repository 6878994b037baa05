"""Periodic attestations: what has to be signed off, by whom, until when, and the forms to do it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column
from governance.admin.cells import Cell, badge, code, link, moment, nested, record_address, strong, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import AttestationStep
from governance.models import AiSystem, AttestationPeriod, AttestationSignOff, User
from governance.services.officers import Officer
from governance.services.periods import (
    MEANINGS,
    OPENERS,
    PeriodTerms,
    attestation_sign_off,
    content_shown,
    period_open,
    sign_off_hindrance,
)
from governance.services.steps import REASON_MINIMUM, opening_hindrance
from modelnotary.ledger.digest import Digest

_STEP = ("GET", "HEAD", "POST")
_OPEN = "open"
_ADDRESSES = {
    AttestationStep.SUBMITTED: ("submit", "Submit"),
    AttestationStep.REVIEWED: ("review", "Sign the review"),
    AttestationStep.APPROVED: ("approve", "Approve"),
}


class SignOffForm(forms.Form):
    """What a person adds to what is on the screen."""

    content_digest = forms.CharField(widget=forms.HiddenInput)
    reason = reason_field("It stands under your sign-off, for good.", at_least=REASON_MINIMUM)
    password = password_field("sign-off")


def _line(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(label=label, help_text=help_text, widget=UnfoldAdminTextInputWidget)


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, widget=UnfoldAdminDateWidget)


class PeriodForm(forms.Form):
    """What is to be attested, by whom, until when."""

    system = _line("AI system", "Its short name.")
    starts_on = _day("First day")
    ends_on = _day("Last day")
    due_on = _day("Approved by the end of (UTC)")
    submitter = _line("Submits", "User name.")
    reviewer = _line("Reviews", "User name of another person.")
    approver = _line("Approves", "User name of a third person.")
    password = password_field("step")

    def clean_system(self) -> AiSystem:
        """Find the system."""
        system = AiSystem.objects.filter(slug=self.cleaned_data["system"]).first()
        if system is None:
            raise forms.ValidationError("There is no system of that name.")
        return system

    def clean(self) -> dict[str, Any]:
        """Find the three people."""
        sent = super().clean() or {}
        for name in ("submitter", "reviewer", "approver"):
            person = User.objects.filter(username=sent.get(name, "")).first()
            if person is None:
                self.add_error(name, "There is no account of that name.")
            sent[name] = person
        return sent


@admin.register(AttestationPeriod)
class AttestationPeriodAdmin(GovernedAdmin[AttestationPeriod]):
    """Periods for which systems are attested."""

    kinds = ("attestation_period",)
    list_display = ("system", "starts_on", "ends_on", "standing", moment_column("due_at"))
    list_select_related = ("system",)
    search_fields = ("id__exact", "system__slug__exact")

    def get_queryset(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's type
        """Fetch the sign-offs of a page's rows in one query."""
        return super().get_queryset(request).prefetch_related("sign_offs")

    @admin.display(description="state")
    def standing(self, period: AttestationPeriod) -> Cell:
        """Say how far it is."""
        taken = {item.kind for item in period.sign_offs.all()}
        if AttestationStep.APPROVED in taken:
            return badge("approved", "Approved")
        if period.due_at <= timezone.now():
            return badge("error", "Overdue")
        return badge("pending", f"{len(taken)} of {len(_ADDRESSES)} sign-offs")

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to open a period."""
        may = not opening_hindrance(user=cast("User", request.user), roles=OPENERS)
        address = reverse(f"admin:governance_attestationperiod_{_OPEN}")
        return ListHead(
            lead="What each system looked like in a period, signed off by three people.",
            actions=(Action(words="Open a period", address=address, symbol="add", tone="main"),) if may else (),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the form to open a period."""
        return (Address(_OPEN, _open_view(self), _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the content, and the form of each sign-off."""
        steps = (Address(name, _sign_view(self, step), _STEP) for step, (name, _) in _ADDRESSES.items())
        return (Address("content", _content_download), *steps)

    def page(self, request: HttpRequest, record: AttestationPeriod) -> Page:
        """Show what is attested, and who signed."""
        user, now = cast("User", request.user), timezone.now()
        content = content_shown(period=record, at=now)
        approved = record.sign_offs.filter(kind=AttestationStep.APPROVED).exists()
        late = not approved and record.due_at <= now
        return Page(
            heading=str(record),
            badge=self.standing(record),  # type: ignore[arg-type]  # a badge
            notices=(Notice(words="It is overdue.", tone="bad"),) if late else (),
            actions=tuple(
                Action(words=words, address=record_address(record, name), symbol="ink_pen", tone="main")
                for step, (name, words) in _ADDRESSES.items()
                if not sign_off_hindrance(user=user, period=record, step=step)
            ),
            sections=(_facts(record), _sign_offs(record), _content(content), ledger_section(record.id)),
        )


def _facts(period: AttestationPeriod) -> Section:
    people = ((name, getattr(period, name)) for name in ("submitter", "reviewer", "approver"))
    return Facts(
        title="Period",
        rows=(
            ("Id", code(period.id)),
            ("System", link(period.system)),
            ("First day", period.starts_on.isoformat()),
            ("Last day", period.ends_on.isoformat()),
            ("Due", moment(period.due_at)),
            *((name.capitalize(), link(person, person.printed_name)) for name, person in people),
            ("Opened by", link(period.opened_by, period.opened_by.printed_name)),
        ),
    )


def _sign_offs(period: AttestationPeriod) -> Section:
    signed: list[AttestationSignOff] = list(period.sign_offs.all())
    return Table(
        title="Sign-offs",
        note="Permanent.",
        columns=("Step", "Signed by", "Meaning", "Reason", "Content", "Time"),
        rows=tuple(
            (
                badge(item.kind, item.get_kind_display()),
                item.printed_name,
                MEANINGS[AttestationStep(item.kind)],
                item.reason,
                code(item.content_digest),
                moment(item.at),
            )
            for item in signed
        ),
        empty="Nobody has signed yet.",
    )


def _content(content: bytes) -> Section:
    facts = json.loads(content)
    return Facts(
        title="What is attested",
        note="Inventory, open findings and what is deployed, as submitted; before that, as it is now.",
        rows=(
            ("Digest", whole(Digest.of(content).text)),
            *((name.capitalize(), nested(value)) for name, value in facts.items() if name != "format"),
        ),
    )


def _content_download(request: HttpRequest, period: AttestationPeriod) -> HttpResponse:  # noqa: ARG001
    content = content_shown(period=period, at=timezone.now())
    return attachment(content, f"{period.id}.json", "application/json")


def _open_view(shown: GovernedAdmin[AttestationPeriod]) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user, back = cast("User", request.user), reverse("admin:governance_attestationperiod_changelist")
        page = SignedPage(
            kind="Open a period",
            heading="Periodic attestation",
            lead="Three different people sign off what the system looks like.",
            title="The period",
            states=(("Printed name", user.printed_name), ("You state", strong("This has to be attested."))),
            submit="Open the period",
            undone="Not opened.",
            decline="Do not open it",
            back=back,
            back_words="Back to the attestations",
            hindrance=opening_hindrance(user=user, roles=OPENERS),
        )

        def act(form: PeriodForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            terms = PeriodTerms(
                system=sent["system"],
                starts_on=sent["starts_on"],
                ends_on=sent["ends_on"],
                due_at=datetime.combine(sent["due_on"], time.max, UTC),
                submitter=sent["submitter"],
                reviewer=sent["reviewer"],
                approver=sent["approver"],
            )
            period = period_open(officer=Officer(user, sent["password"]), terms=terms, at=timezone.now())
            messages.success(request, "Opened.")
            return HttpResponseRedirect(record_address(period))

        return signed_page(shown, request, page, PeriodForm(request.POST or None), act)

    return view


def _sign_view(shown: GovernedAdmin[AttestationPeriod], step: AttestationStep) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, period: AttestationPeriod) -> HttpResponseBase:
        user, content = cast("User", request.user), content_shown(period=period, at=timezone.now())
        page = SignedPage(
            record=period,
            kind=_ADDRESSES[step][1],
            heading=str(period),
            lead="Read what is attested. Your sign-off is bound to exactly these bytes, and is permanent.",
            sections=(_content(content), _sign_offs(period)),
            title="Your sign-off",
            states=(("Printed name", user.printed_name), ("You state", strong(MEANINGS[step]))),
            submit=_ADDRESSES[step][1],
            undone="Not signed.",
            decline="Do not sign",
            back=record_address(period),
            back_words="Back to the period",
            hindrance=sign_off_hindrance(user=user, period=period, step=step),
        )

        def act(form: SignOffForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            attestation_sign_off(
                officer=Officer(user, sent["password"]),
                period_id=period.id,
                step=step,
                content_digest=sent["content_digest"],
                reason=sent["reason"],
                at=timezone.now(),
            )
            messages.success(request, "Signed.")
            return HttpResponseRedirect(record_address(period))

        form = SignOffForm(request.POST or None, initial={"content_digest": Digest.of(content).text})
        return signed_page(shown, request, page, form, act)

    return view
