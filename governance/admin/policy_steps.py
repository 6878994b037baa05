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
from governance.admin.signed_page import SignedPage, password_field, signed_page
from governance.admin.withdrawals import withdraw_address
from governance.models import PolicyDraft, User
from governance.services.officers import Officer
from governance.services.policies import policy_publish, policy_withdraw, publishing_hindrance

_STEP = ("GET", "HEAD", "POST")


class PublishForm(forms.Form):
    """Proof of who publishes."""

    password = password_field("publication")


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

    def withdraw(user: User, draft: PolicyDraft, reason: str) -> None:
        policy_withdraw(actor=user, draft=draft, reason=reason, at=timezone.now())

    lead = "A withdrawn draft is kept, and can never be published. The same text can be drafted anew."
    return (
        Address("publish", publish, _STEP),
        withdraw_address(shown, withdraw, lambda draft: draft.digest, lead),
    )
