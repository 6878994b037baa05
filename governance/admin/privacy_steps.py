"""The steps of privacy officers: ask for an erasure, approve or cancel it, set a legal hold, release it.

Whoever takes a step types the person's identifier. It goes to the service, which seals or compares it; no page shows it
to anybody else, and no address, message or entry holds it.
"""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from audit.enums import ErasureBasis, HoldScope, Log
from audit.models import Erasure, LegalHold
from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.privacy_sections import erasure_section, hold_section
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import User
from governance.services.officers import Officer
from governance.services.privacy import (
    REASON_MINIMUM,
    erasure_hindrance,
    legal_hold_release,
    legal_hold_set,
    officer_hindrance,
    order_digest,
    person_erasure_approve,
    person_erasure_cancel,
    person_erasure_request,
)

_STEP = ("GET", "HEAD", "POST")
_UNDONE = "Not done."
_AS_WRITTEN = "Exactly as the source system writes it. It is kept sealed, and no page shows it again."
_SILENT = "It stands in the ledger for good, so do not name the person."
_ONE_PERSON = HoldScope.PERSON.value


def _person_field(help_text: str, *, required: bool = True) -> forms.CharField:
    typed = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    return forms.CharField(
        strip=False,
        required=required,
        label="The person's identifier",
        help_text=help_text,
        widget=UnfoldAdminTextInputWidget(typed),
    )


class _StepForm(forms.Form):
    """What every step on an existing order sends back: what of the order was on the screen."""

    shown = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Any, order: Erasure | LegalHold) -> None:  # noqa: ANN401
        super().__init__(data, initial={"shown": order_digest(order)})


class ErasureRequestForm(forms.Form):
    """Whom to forget, and on which ground."""

    person = _person_field(_AS_WRITTEN)
    # None is chosen beforehand: the ground stands in the ledger for good.
    basis = forms.ChoiceField(
        choices=[("", "Choose the ground"), *ErasureBasis.choices], label="Legal basis", widget=UnfoldAdminSelectWidget
    )
    reason = reason_field(_SILENT, at_least=REASON_MINIMUM)
    password = password_field("step")


class ErasureApproveForm(_StepForm):
    """Whom the second officer means."""

    person = _person_field("Typed again, so that both of you mean the same person; compare with the source yourself.")
    password = password_field("step")


class ErasureCancelForm(_StepForm):
    """Why an erasure is taken back."""

    reason = reason_field(_SILENT, at_least=REASON_MINIMUM)
    password = password_field("step")


class HoldSetForm(forms.Form):
    """What is held, and for which matter."""

    on = forms.ChoiceField(
        choices=[(_ONE_PERSON, "One person"), *((log.value, f"The whole {log.value} log") for log in Log)],
        label="The hold is on",
        widget=UnfoldAdminSelectWidget,
    )
    person = _person_field(f"Only for a hold on one person. {_AS_WRITTEN}", required=False)
    matter = forms.CharField(
        label="Matter", help_text="The number of the matter or case.", widget=UnfoldAdminTextInputWidget
    )
    reason = reason_field(_SILENT, at_least=REASON_MINIMUM)
    password = password_field("step")

    def clean(self) -> dict[str, Any]:
        """Demand the identifier for a person, and refuse one for a log: it would go nowhere."""
        sent = super().clean() or {}
        if sent.get("on") == _ONE_PERSON and not sent.get("person"):
            self.add_error("person", "A hold on one person needs the identifier.")
        elif sent.get("on") in Log.values and sent.get("person"):
            self.add_error("person", "A hold on a whole log is on nobody in particular; leave this empty.")
        return sent


class HoldReleaseForm(_StepForm):
    """Why a hold ends."""

    reason = reason_field(_SILENT, at_least=REASON_MINIMUM)
    password = password_field("step")


def erasure_list_addresses(shown: GovernedAdmin[Erasure]) -> tuple[Address, ...]:
    """Give the page on which an erasure is asked for."""

    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            kind="Ask for an erasure",
            heading="Forget a person",
            lead="Another privacy officer has to approve it. It can be cancelled until the keys are rotated.",
            title="Your request",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I ask that this person be forgotten, and the ground that I name holds.")),
            ),
            submit="Ask for the erasure",
            undone=_UNDONE,
            decline="Do not ask",
            back=_list_address("erasure"),
            back_words="Back to the erasures",
            hindrance=officer_hindrance(user=user),
        )

        def act(form: ErasureRequestForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            erasure = person_erasure_request(
                officer=Officer(user, sent["password"]),
                person=sent["person"],
                basis=ErasureBasis(sent["basis"]),
                reason=sent["reason"],
                at=timezone.now(),
            )
            return _done(request, erasure, "Asked for. Another privacy officer has to approve it now.")

        return signed_page(shown, request, page, ErasureRequestForm(request.POST or None), act)

    return (Address("request", view, _STEP),)


def erasure_addresses(shown: GovernedAdmin[Erasure]) -> tuple[Address, ...]:
    """Give the pages on which an erasure is approved or cancelled."""

    def approve(request: HttpRequest, erasure: Erasure) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=erasure,
            kind="Approve an erasure",
            heading=erasure.id,
            lead="With the next rotation of the keys, everything sealed about this person becomes unreadable for good.",
            sections=(erasure_section(erasure),),
            title="Your approval",
            states=_states(
                user, erasure, "I have examined the ground, and approve that the person whom I name be forgotten."
            ),
            submit="Approve the erasure",
            tone="danger",
            undone=_UNDONE,
            decline="Do not approve",
            back=record_address(erasure),
            back_words="Back to the erasure",
            hindrance=erasure_hindrance(user=user, erasure=erasure),
        )

        def act(form: ErasureApproveForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            person_erasure_approve(
                officer=Officer(user, sent["password"]),
                erasure=erasure,
                shown=sent["shown"],
                person=sent["person"],
                at=timezone.now(),
            )
            return _done(request, erasure, "Approved. It is carried out when the operator rotates the keys.")

        return signed_page(shown, request, page, ErasureApproveForm(request.POST or None, erasure), act)

    def cancel(request: HttpRequest, erasure: Erasure) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=erasure,
            kind="Cancel an erasure",
            heading=erasure.id,
            lead="The person is not forgotten, and whom it was about is forgotten with the order.",
            sections=(erasure_section(erasure),),
            title="Your cancellation",
            states=_states(user, erasure, "I take this erasure back."),
            submit="Cancel the erasure",
            undone=_UNDONE,
            decline="Leave it as it is",
            back=record_address(erasure),
            back_words="Back to the erasure",
            hindrance=officer_hindrance(user=user),
        )

        def act(form: ErasureCancelForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            person_erasure_cancel(
                officer=Officer(user, sent["password"]),
                erasure=erasure,
                shown=sent["shown"],
                reason=sent["reason"],
                at=timezone.now(),
            )
            return _done(request, erasure, "Cancelled. Nothing was erased.")

        return signed_page(shown, request, page, ErasureCancelForm(request.POST or None, erasure), act)

    return (Address("approve", approve, _STEP), Address("cancel", cancel, _STEP))


def hold_list_addresses(shown: GovernedAdmin[LegalHold]) -> tuple[Address, ...]:
    """Give the page on which a legal hold is set."""

    def view(request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            kind="Set a legal hold",
            heading="Keep what a matter needs",
            lead="Until it is released, nobody is forgotten and nothing is pruned that the hold is on.",
            title="Your order",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I order that this be kept until the hold is released.")),
            ),
            submit="Set the hold",
            undone=_UNDONE,
            decline="Do not set it",
            back=_list_address("legalhold"),
            back_words="Back to the legal holds",
            hindrance=officer_hindrance(user=user),
        )

        def act(form: HoldSetForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            on_person = sent["on"] == _ONE_PERSON
            hold = legal_hold_set(
                officer=Officer(user, sent["password"]),
                person=sent["person"] if on_person else None,
                log=None if on_person else Log(sent["on"]),
                matter=sent["matter"],
                reason=sent["reason"],
                at=timezone.now(),
            )
            return _done(request, hold, "The hold is in force.")

        return signed_page(shown, request, page, HoldSetForm(request.POST or None), act)

    return (Address("set", view, _STEP),)


def hold_addresses(shown: GovernedAdmin[LegalHold]) -> tuple[Address, ...]:
    """Give the page on which a legal hold is released."""

    def view(request: HttpRequest, hold: LegalHold) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=hold,
            kind="Release a legal hold",
            heading=f"Matter {hold.matter}",
            lead="What the hold forbade can be done again. Whom it was on is forgotten with it.",
            sections=(hold_section(hold),),
            title="Your release",
            states=_states(user, hold, "I release this hold; the matter needs it no longer."),
            submit="Release the hold",
            tone="danger",
            undone=_UNDONE,
            decline="Leave it in force",
            back=record_address(hold),
            back_words="Back to the hold",
            hindrance=officer_hindrance(user=user),
        )

        def act(form: HoldReleaseForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            legal_hold_release(
                officer=Officer(user, sent["password"]),
                hold=hold,
                shown=sent["shown"],
                reason=sent["reason"],
                at=timezone.now(),
            )
            return _done(request, hold, "Released.")

        return signed_page(shown, request, page, HoldReleaseForm(request.POST or None, hold), act)

    return (Address("release", view, _STEP),)


def _states(user: User, order: Erasure | LegalHold, meaning: str) -> tuple[tuple[str, Any], ...]:
    return (
        ("Printed name", user.printed_name),
        ("You state", strong(meaning)),
        ("Bound to the order as shown", whole(order_digest(order))),
    )


def _done(request: HttpRequest, order: Erasure | LegalHold, words: str) -> HttpResponseRedirect:
    messages.success(request, words)
    return HttpResponseRedirect(record_address(order))


def _list_address(model: str) -> str:
    return reverse(f"admin:audit_{model}_changelist")
