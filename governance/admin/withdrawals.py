"""The page on which something that waits to be published is withdrawn."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, whole
from governance.admin.signed_page import SignedPage, reason_field, signed_page
from governance.models import User
from governance.services.steps import REASON_MINIMUM


class WithdrawForm(forms.Form):
    """Why a draft is taken back."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)


def withdraw_address(
    shown: GovernedAdmin[Any],
    withdraw: Callable[[User, Any, str], object],
    digest: Callable[[Any], str],
    lead: str,
) -> Address:
    """Give the page on which a draft is withdrawn.

    Args:
        shown: The page's admin.
        withdraw: Withdraws a draft, for a person and a reason.
        digest: Gives the digest of a draft.
        lead: What it means, in a sentence.
    """

    def view(request: HttpRequest, draft: Any) -> HttpResponseBase:  # noqa: ANN401 - a draft of any kind
        user = cast("User", request.user)
        page = SignedPage(
            record=draft,
            kind="Withdraw a draft",
            heading=str(draft),
            lead=lead,
            title="Your withdrawal",
            states=(("Printed name", user.printed_name), ("The draft", whole(digest(draft)))),
            submit="Withdraw the draft",
            tone="danger",
            undone="Not withdrawn.",
            decline="Leave it open",
            back=record_address(draft),
            back_words="Back to the draft",
        )

        def act(form: WithdrawForm) -> HttpResponseRedirect:
            withdraw(user, draft, form.cleaned_data["reason"])
            messages.success(request, "Withdrawn.")
            return HttpResponseRedirect(record_address(draft))

        return signed_page(shown, request, page, WithdrawForm(request.POST or None), act)

    return Address("withdraw", view, ("GET", "HEAD", "POST"))
