"""A page with one form that takes effect only with the password, and on which every refusal is said in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from governance.admin.cells import Cell, sentence
from governance.admin.sections import Facts, Section
from modelnotary.errors import ModelNotaryError

if TYPE_CHECKING:
    from governance.admin.base import GovernedAdmin


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPage:
    """What is on such a page.

    Attributes:
        record: The record that it belongs to, or None where it belongs to the list.
        kind: What is done, above the heading.
        heading: On what it is done.
        lead: What it means, in a sentence.
        sections: What has to be read before.
        title: The heading of the form.
        states: What the person states by sending it, beside the form.
        submit: The words of the button; `tone` is how it looks.
        undone: What is said before a refusal.
        decline: The words of the way out.
        back: Where that leads, and `back_words` what is there.
        hindrance: Why the caller cannot do it; then there is no form.
    """

    record: Any = None
    kind: str
    heading: str
    lead: str
    sections: tuple[Section, ...] = ()
    title: str
    states: tuple[tuple[str, Cell], ...]
    submit: str
    tone: str = "main"
    undone: str
    decline: str
    back: str
    back_words: str
    hindrance: str | None = None

    @property
    def stated(self) -> Facts:
        """What the person states, as a part of the page."""
        return Facts(title=self.title, rows=self.states)


def reason_field(what_becomes_of_it: str, *, at_least: int) -> forms.CharField:
    """Make the field for the reason of a step."""
    return forms.CharField(
        min_length=at_least,
        label="Your reason",
        help_text=f"At least {at_least} characters. {what_becomes_of_it}",
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        error_messages={"min_length": f"Say why in at least {at_least} characters."},
    )


def password_field(what: str) -> forms.CharField:
    """Make the field for the password, which is asked for afresh."""
    return forms.CharField(
        strip=False,
        label="Your password",
        help_text=f"Asked for again with each {what}, so that nobody signs at your unlocked screen.",
        widget=UnfoldAdminPasswordWidget({"autocomplete": "current-password"}),
    )


def code_field(what_becomes_of_it: str) -> forms.CharField:
    """Make the field for the one-time code of an authenticator app."""
    return forms.CharField(
        max_length=20,
        label="Code of your authenticator app",
        help_text=f"The six digits that the app shows now. {what_becomes_of_it}",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


def signed_page[SentForm: forms.Form](
    shown: "GovernedAdmin[Any]",
    request: HttpRequest,
    page: SignedPage,
    form: SentForm,
    act: Callable[[SentForm], HttpResponseBase],
    *,
    template: str = "governance/admin/sign.html",
    **context: Any,  # noqa: ANN401 - whatever the template shows
) -> HttpResponseBase:
    """Show the form, or do what was sent and lead on. What a service refuses is shown with the form as it was sent.

    A form that nobody was offered is refused by the service too, which writes the attempt down.
    """

    @sensitive_post_parameters("password", "code", "person", "subject")
    def answer(request: HttpRequest) -> HttpResponseBase:
        # Nobody can see, or mend, what is wrong with a field that the page or the browser filled in.
        unseen = (str(error) for field in form.hidden_fields() for error in field.errors)
        refusal = page.hindrance or next(unseen, "")
        if form.is_valid():
            try:
                return act(form)
            except ModelNotaryError as error:
                refusal = str(error)
        offered = None if page.hindrance else form
        return shown.render(
            request, page.record, template, page=page, form=offered, refusal=sentence(refusal), **context
        )

    return answer(request)
