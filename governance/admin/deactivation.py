"""Closing an account: what waits for it, what can no longer be done without it, and the step."""

from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.text import capfirst

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import link, record_address, strong
from governance.admin.sections import Action, Section, Table, Text
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import User
from governance.selectors.handover import open_steps
from governance.services.deactivation import account_deactivate, deactivation_hindrance, deactivation_warning
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM

_STEP = ("GET", "HEAD", "POST")


class CloseForm(forms.Form):
    """Why an account is closed, and proof of who closes it."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def close_actions(request: HttpRequest, account: User) -> tuple[Action, ...]:
    """Offer to close an account to who can."""
    if deactivation_hindrance(user=cast("User", request.user), other=account):
        return ()
    address = record_address(account, "close")
    return (Action(words="Close the account", address=address, symbol="person_off", tone="danger"),)


def close_addresses(shown: GovernedAdmin[User]) -> tuple[Address, ...]:
    """Give the page on which an account is closed."""

    def view(request: HttpRequest, account: User) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=account,
            kind="Close an account",
            heading=account.printed_name,
            lead="For good: its roles end, its tokens, authenticators and passkeys are revoked. Nothing is deleted.",
            sections=_before(account),
            title="Your step",
            states=(("Printed name", user.printed_name), ("You state", strong("This account is to be closed now."))),
            submit="Close the account",
            tone="danger",
            undone="Not closed.",
            decline="Leave it open",
            back=record_address(account),
            back_words="Back to the account",
            hindrance=deactivation_hindrance(user=user, other=account),
        )

        def act(form: CloseForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            account_deactivate(officer=officer, user=account, reason=sent["reason"], at=timezone.now())
            messages.success(request, "Closed.")
            return HttpResponseRedirect(record_address(account))

        return signed_page(shown, request, page, CloseForm(request.POST or None), act)

    return (Address("close", view, _STEP),)


def handover_section(account: User) -> Section:
    """Show what waits for an account or rests on it."""
    return Table(
        title="To hand over",
        note="What waits for this account or rests on it.",
        columns=("What", "Record"),
        rows=tuple((capfirst(words), link(record)) for words, record in open_steps(user=account, at=timezone.now())),
        empty="Nothing waits for this account.",
    )


def _before(account: User) -> tuple[Section, ...]:
    warning = deactivation_warning(user=account, at=timezone.now())
    warned = (Text(title="Think of this first", text=warning),) if warning else ()
    return (*warned, handover_section(account))
