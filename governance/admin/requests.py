"""Asking, on the page of a denial, that a rule need not hold for a time, or that the denial be overridden."""

from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong
from governance.admin.decision_sections import rules_section
from governance.admin.sections import Action
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import DecisionState
from governance.models import Decision, User
from governance.models.exceptions import EXCEPTION_LIMIT, OVERRIDE_LIMIT, OVERRIDE_REASON_MINIMUM
from governance.policy.evaluation import Outcome
from governance.services import exceptions, overrides
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM, step_hindrance

_EXCEPTION, _OVERRIDE = "ask-exception", "ask-override"
_STEP = ("GET", "HEAD", "POST")
_DENIALS = {DecisionState.FAILED, DecisionState.ERROR}
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def _words(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        min_length=REASON_MINIMUM, label=label, help_text=help_text, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )


def _person(label: str) -> forms.CharField:
    return forms.CharField(label=label, help_text="User name of a person.", widget=UnfoldAdminTextInputWidget)


def _number(label: str, most: int) -> forms.IntegerField:
    return forms.IntegerField(min_value=1, max_value=most, label=label, widget=UnfoldAdminTextInputWidget)


class _PersonForm(forms.Form):
    """A form that names another person by user name."""

    def clean_person(self) -> User:
        """Find the person."""
        person = User.objects.filter(username=self.cleaned_data["person"]).first()
        if person is None:
            raise forms.ValidationError("There is no account of that name.")
        return person


class ExceptionForm(_PersonForm):
    """Which rule need not hold, and what is done instead."""

    rule = forms.ChoiceField(label="Rule", widget=UnfoldAdminSelectWidget)
    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    risk = _words("Risk that is accepted", "What can happen, to whom.")
    compensating_control = _words("What is done instead", "The control that makes up for the rule meanwhile.")
    person = _person("Owner of the risk")
    days = _number("Ends in so many days", EXCEPTION_LIMIT // _DAY)
    password = password_field("step")

    def __init__(self, data: Any, rules: list[str]) -> None:  # noqa: ANN401 - Django's type
        super().__init__(data)
        cast("forms.ChoiceField", self.fields["rule"]).choices = [(rule, rule) for rule in rules]


class OverrideForm(_PersonForm):
    """Why a denial is overridden, where it is tracked, and who looks at it afterwards."""

    reason = reason_field("It is signed and shown everywhere while it lasts.", at_least=OVERRIDE_REASON_MINIMUM)
    ticket_url = forms.CharField(label="Ticket", help_text="An https address.", widget=UnfoldAdminTextInputWidget)
    hours = _number("Ends in so many hours", OVERRIDE_LIMIT // _HOUR)
    person = _person("Reviewed afterwards by")
    review_days = _number("Review due so many days after it ends", 30)
    password = password_field("step")


def request_actions(request: HttpRequest, decision: Decision) -> tuple[Action, ...]:
    """Offer both on a denial, to who may ask."""
    if decision.state not in _DENIALS or _hindrance(request, decision):
        return ()
    override = Action(words="Ask to override", address=record_address(decision, _OVERRIDE), symbol="emergency_home")
    if not _failed(decision):
        return (override,)
    excuse = Action(words="Ask for an exception", address=record_address(decision, _EXCEPTION), symbol="rule_settings")
    return (excuse, override)


def request_addresses(shown: GovernedAdmin[Decision]) -> tuple[Address, ...]:
    """Give the two pages on which is asked."""

    def excuse(request: HttpRequest, decision: Decision) -> HttpResponseBase:
        page = _page(
            request,
            decision,
            kind="Ask for an exception",
            lead="Somebody else has to accept the risk. The rule is then waived until the exception ends, not passed.",
            states="I ask that this rule need not hold for this model version here until then.",
        )

        def act(form: ExceptionForm) -> HttpResponseRedirect:
            return _excuse(request, decision, form.cleaned_data)

        return signed_page(shown, request, page, ExceptionForm(request.POST or None, _failed(decision)), act)

    def override(request: HttpRequest, decision: Decision) -> HttpResponseBase:
        page = _page(
            request,
            decision,
            kind="Ask to override a denial",
            lead="Somebody else has to approve. Every answer, page and report says so while it lasts.",
            states="I ask to use this model version here although the gate denies it.",
        )

        def act(form: OverrideForm) -> HttpResponseRedirect:
            return _override(request, decision, form.cleaned_data)

        return signed_page(shown, request, page, OverrideForm(request.POST or None), act)

    return (Address(_EXCEPTION, excuse, _STEP), Address(_OVERRIDE, override, _STEP))


def _excuse(request: HttpRequest, decision: Decision, sent: dict[str, Any]) -> HttpResponseRedirect:
    now = timezone.now()
    asked = exceptions.exception_request(
        officer=Officer(cast("User", request.user), sent["password"]),
        terms=exceptions.ExceptionTerms(
            rule=sent["rule"],
            subject=decision.model_version,
            environment=decision.environment,
            owner=sent["person"],
            reason=sent["reason"],
            risk=sent["risk"],
            compensating_control=sent["compensating_control"],
            expires_at=now + sent["days"] * _DAY,
        ),
        at=now,
    )
    messages.success(request, "Asked for. A model risk officer has to accept the risk now.")
    return HttpResponseRedirect(record_address(asked))


def _override(request: HttpRequest, decision: Decision, sent: dict[str, Any]) -> HttpResponseRedirect:
    now: datetime = timezone.now()
    ends = now + sent["hours"] * _HOUR
    asked = overrides.override_request(
        officer=Officer(cast("User", request.user), sent["password"]),
        decision_id=decision.id,
        terms=overrides.OverrideTerms(
            reason=sent["reason"],
            ticket_url=sent["ticket_url"],
            expires_at=ends,
            review_owner=sent["person"],
            review_due_at=ends + sent["review_days"] * _DAY,
        ),
        at=now,
    )
    messages.success(request, "Asked for. Another officer has to approve it now.")
    return HttpResponseRedirect(record_address(asked))


def _page(request: HttpRequest, decision: Decision, *, kind: str, lead: str, states: str) -> SignedPage:
    user = cast("User", request.user)
    hindrance = None if decision.state in _DENIALS else "it is no denial"
    return SignedPage(
        record=decision,
        kind=kind,
        heading=f"{decision.model_version} to {decision.environment}",
        lead=lead,
        sections=(rules_section(decision),),
        title="Your request",
        states=(("Printed name", user.printed_name), ("You state", strong(states))),
        submit="Ask",
        tone="danger",
        undone="Not asked.",
        decline="Do not ask",
        back=record_address(decision),
        back_words="Back to the decision",
        hindrance=hindrance or _hindrance(request, decision),
    )


def _hindrance(request: HttpRequest, decision: Decision) -> str | None:
    return step_hindrance(user=cast("User", request.user), roles=exceptions.REQUESTERS, about=decision)


def _failed(decision: Decision) -> list[str]:
    return [rule["id"] for rule in decision.rules if rule["outcome"] == Outcome.FAIL]
