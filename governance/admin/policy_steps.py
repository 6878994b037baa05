"""Steps on a draft of a policy: publish it, which somebody else than its author does, or withdraw it."""

from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.sections import Text
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import PolicyDraft, User
from governance.services.officers import Officer
from governance.services.policies import policy_publish, policy_withdraw, publishing_hindrance
from governance.services.steps import REASON_MINIMUM

_STEP = ("GET", "HEAD", "POST")


class PublishForm(forms.Form):
    """Proof of who publishes."""

    password = password_field("publication")


class WithdrawForm(forms.Form):
    """Why a draft is taken back."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)


def draft_addresses(shown: GovernedAdmin[PolicyDraft]) -> tuple[Address, ...]:
    """Give the pages on which a draft is published or withdrawn."""

    def publish(request: HttpRequest, draft: PolicyDraft) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=draft,
            kind="Publish a policy",
            heading=draft.slug,
            lead="It takes effect at once and for good. What passed under the version before has to be decided anew.",
            sections=(Text(title="Text", text=draft.document),),
            title="Your publication",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I have read this policy, did not write it, and put it into force.")),
                ("Bound to the text", whole(draft.digest)),
            ),
            submit="Publish the policy",
            undone="Not published.",
            decline="Do not publish",
            back=record_address(draft),
            back_words="Back to the draft",
            hindrance=publishing_hindrance(user=user, draft=draft),
        )

        def act(form: PublishForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            version = policy_publish(officer=officer, draft=draft, at=timezone.now())
            messages.success(request, f"Published as {version}.")
            return HttpResponseRedirect(record_address(version))

        return signed_page(shown, request, page, PublishForm(request.POST or None), act)

    def withdraw(request: HttpRequest, draft: PolicyDraft) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=draft,
            kind="Withdraw a draft",
            heading=draft.slug,
            lead="A withdrawn draft is kept, and can never be published. The same text can be drafted anew.",
            title="Your withdrawal",
            states=(("Printed name", user.printed_name), ("The text", whole(draft.digest))),
            submit="Withdraw the draft",
            tone="danger",
            undone="Not withdrawn.",
            decline="Leave it open",
            back=record_address(draft),
            back_words="Back to the draft",
        )

        def act(form: WithdrawForm) -> HttpResponseRedirect:
            policy_withdraw(actor=user, draft=draft, reason=form.cleaned_data["reason"], at=timezone.now())
            messages.success(request, "Withdrawn.")
            return HttpResponseRedirect(record_address(draft))

        return signed_page(shown, request, page, WithdrawForm(request.POST or None), act)

    return (Address("publish", publish, _STEP), Address("withdraw", withdraw, _STEP))
