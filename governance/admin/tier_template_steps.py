"""Steps on tier templates: draft one, publish what somebody else drafted, or withdraw a draft."""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.policy_steps import PublishForm
from governance.admin.sections import Text
from governance.admin.signed_page import SignedPage, signed_page
from governance.admin.withdrawals import withdraw_address
from governance.models import TierTemplateDraft, User
from governance.services.officers import Officer
from governance.services.publications import DRAFTERS
from governance.services.steps import step_hindrance
from governance.services.tier_templates import (
    TEMPLATES,
    tier_template_draft,
    tier_template_publish,
    tier_template_withdraw,
)
from governance.tiering.document import DOCUMENT_LIMIT

DRAFT = "draft"
_STEP = ("GET", "HEAD", "POST")


class TemplateForm(forms.Form):
    """A template as text."""

    document = forms.CharField(
        max_length=DOCUMENT_LIMIT,
        strip=False,
        label="The template (YAML)",
        help_text="It is checked when you send it; every fault is named with its line and column.",
        widget=UnfoldAdminTextareaWidget({"rows": 30, "spellcheck": "false"}),
    )


def draft_view(shown: GovernedAdmin[TierTemplateDraft]) -> Callable[..., HttpResponseBase]:
    """Give the page on which a template is drafted."""

    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            kind="Draft a tier template",
            heading="Tier template",
            lead="It has no effect until an officer other than you publishes it.",
            title="Your draft",
            states=(("Printed name", user.printed_name),),
            submit="Draft it",
            undone="Not drafted.",
            decline="Do not draft it",
            back=reverse("admin:governance_tiertemplatedraft_changelist"),
            back_words="Back to the drafts",
            hindrance=step_hindrance(user=user, roles=DRAFTERS),
        )

        def act(form: TemplateForm) -> HttpResponseRedirect:
            # A browser sends lines with CR LF; what is kept, and hashed, is the text as it is in a file.
            document = form.cleaned_data["document"].replace("\r\n", "\n")
            draft = tier_template_draft(actor=user, document=document, at=timezone.now())
            messages.success(request, "Drafted. Somebody else has to publish it now.")
            return HttpResponseRedirect(record_address(draft))

        return signed_page(shown, request, page, TemplateForm(request.POST or None), act)

    return view


def draft_addresses(shown: GovernedAdmin[TierTemplateDraft]) -> tuple[Address, ...]:
    """Give the pages on which a draft is published or withdrawn."""

    def publish(request: HttpRequest, draft: TierTemplateDraft) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=draft,
            kind="Publish a tier template",
            heading=draft.slug,
            lead="It takes effect at once and for good. Tiers assessed under the version before are stale from then.",
            sections=(Text(title="Text", text=draft.document),),
            title="Your publication",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I have read this template, did not write it, and put it into force.")),
                ("Bound to the text", whole(draft.digest)),
            ),
            submit="Publish the template",
            undone="Not published.",
            decline="Do not publish",
            back=record_address(draft),
            back_words="Back to the draft",
            hindrance=TEMPLATES.hindrance(user=user, draft=draft),
        )

        def act(form: PublishForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            version = tier_template_publish(officer=officer, draft=draft, at=timezone.now())
            messages.success(request, f"Published as {version}.")
            return HttpResponseRedirect(record_address(version))

        return signed_page(shown, request, page, PublishForm(request.POST or None), act)

    def withdraw(user: User, draft: TierTemplateDraft, reason: str) -> None:
        tier_template_withdraw(actor=user, draft=draft, reason=reason, at=timezone.now())

    lead = "A withdrawn draft is kept, and can never be published. The same text can be drafted anew."
    return (
        Address("publish", publish, _STEP),
        withdraw_address(shown, withdraw, lambda draft: draft.digest, lead),
    )
