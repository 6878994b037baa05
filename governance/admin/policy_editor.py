"""The page on which a policy is written: checked and tried as often as one likes, then kept as a draft."""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from governance.admin.base import GovernedAdmin, seen_by
from governance.admin.cells import record_address, sentence, strong
from governance.admin.policy_sections import difference_section, faults_section, rules_in_words, trial_section
from governance.admin.sections import Section
from governance.admin.signed_page import SignedPage
from governance.models import PolicyDraft, PolicyVersion, User
from governance.policy.document import DOCUMENT_LIMIT
from governance.policy.errors import PolicyError
from governance.services.policies import policy_compile, policy_draft
from governance.services.simulation import policy_simulate
from modelnotary.errors import ModelNotaryError

EDITOR = "new"
KEEP = "keep"


class DocumentForm(forms.Form):
    """The text of a policy."""

    document = forms.CharField(
        strip=False,
        max_length=DOCUMENT_LIMIT,
        label="Policy",
        help_text="As YAML. Every fault is shown with its line and column.",
        widget=UnfoldAdminTextareaWidget({"rows": 32, "spellcheck": "false", "class": "mn-text"}),
    )

    def clean_document(self) -> str:
        """Give the text with the line ends of a file: browsers send those of another age."""
        return str(self.cleaned_data["document"]).replace("\r\n", "\n")


def editor_address(version: PolicyVersion | None = None) -> str:
    """Give the address of the page, which begins with the text of a version if there is one."""
    address = reverse(f"admin:governance_policydraft_{EDITOR}")
    return f"{address}?version={version.pk}" if version else address


def editor(shown: GovernedAdmin[PolicyDraft]) -> Callable[[HttpRequest, None], HttpResponseBase]:
    """Give the page."""

    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        begun = PolicyVersion.objects.filter(pk=request.GET.get("version", "")).first()
        form = DocumentForm(request.POST or None, initial={"document": begun.document if begun else ""})
        sections: tuple[Section, ...] = ()
        refusal = ""
        if form.is_valid():
            text = form.cleaned_data["document"]
            try:
                if KEEP in request.POST:
                    return _kept(request, user, text)
                sections = _tried(request, text)
            except PolicyError as error:
                sections = (faults_section(error.diagnostics),)
                refusal = "The text has faults."
            except ModelNotaryError as error:
                refusal = str(error)
        page = _page(user, sections)
        template = "governance/admin/policy_editor.html"
        return shown.render(request, None, template, page=page, form=form, refusal=sentence(refusal))

    return view


def _page(user: User, sections: tuple[Section, ...]) -> SignedPage:
    return SignedPage(
        kind="Write a policy",
        heading="A new text",
        lead="Check it as often as you like: nothing is kept until you keep it as a draft.",
        sections=sections,
        title="Your text",
        states=(
            ("Printed name", user.printed_name),
            ("You state", strong("I wrote this text. Somebody else decides whether it is published.")),
        ),
        submit="Check and try",
        undone="Not kept.",
        decline="Leave",
        back=reverse("admin:governance_policydraft_changelist"),
        back_words="Back to the drafts",
    )


def _kept(request: HttpRequest, user: User, text: str) -> HttpResponseRedirect:
    draft = policy_draft(actor=user, document=text, at=timezone.now())
    messages.success(request, "Kept as a draft.")
    return HttpResponseRedirect(record_address(draft))


def _tried(request: HttpRequest, text: str) -> tuple[Section, ...]:
    policy = policy_compile(document=text)
    newest = PolicyVersion.objects.filter(policy__slug=policy.policy).order_by("-number").first()
    trial = policy_simulate(document=text, seen_by=seen_by(request))
    return (rules_in_words(policy), *difference_section(text, newest), trial_section(trial))
