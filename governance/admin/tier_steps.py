"""Steps on the tier of a system: assess it, confirm that it is lower than suggested, publish it, withdraw it."""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.policy_steps import PublishForm
from governance.admin.sections import Section
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.admin.withdrawals import withdraw_address
from governance.models import AiSystem, TierAssessment, User
from governance.selectors.tiers import templates_current
from governance.services.officers import Officer
from governance.services.publications import DRAFTERS
from governance.services.steps import REASON_MINIMUM, step_hindrance
from governance.services.tiers import (
    judging_hindrance,
    tier_assess,
    tier_confirm,
    tier_publish,
    tier_publishing_hindrance,
    tier_withdraw,
)

ASSESS = "assess"
_STEP = ("GET", "HEAD", "POST")


class AssessForm(forms.Form):
    """Under which template a system is assessed, and whether the tier is another one than suggested."""

    template = forms.ChoiceField(
        label="Template", help_text="Its newest published version counts.", widget=UnfoldAdminSelectWidget
    )
    final = forms.CharField(
        required=False,
        max_length=40,
        label="Tier",
        help_text="Empty for what the template suggests. A lower one needs a second officer besides the publisher.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = forms.CharField(
        required=False,
        label="Your reason",
        help_text=f"Where the tier is another one than suggested; at least {REASON_MINIMUM} characters.",
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
    )


class ConfirmForm(forms.Form):
    """Why a lower tier is right, and proof of who says so."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("confirmation")


def assess_address(shown: GovernedAdmin[AiSystem]) -> Address:
    """Give the page of a system on which its tier is assessed."""

    def view(request: HttpRequest, system: AiSystem) -> HttpResponseBase:
        user = cast("User", request.user)
        slugs = sorted(item.template.slug for item in templates_current(at=timezone.now()))
        page = SignedPage(
            record=system,
            kind="Assess the risk tier",
            heading=system.name,
            lead="What the template reads of the system is frozen now. An independent officer publishes the tier.",
            title="Your assessment",
            states=(("Printed name", user.printed_name),),
            submit="Assess it",
            undone="Not assessed.",
            decline="Do not assess it",
            back=record_address(system),
            back_words="Back to the system",
            hindrance=step_hindrance(user=user, roles=DRAFTERS, about=system) or _nothing_to_assess_by(slugs),
        )

        def act(form: AssessForm) -> HttpResponseRedirect:
            assessment = tier_assess(actor=user, system=system, at=timezone.now(), **form.cleaned_data)
            messages.success(request, "Assessed. An independent officer has to publish it now.")
            return HttpResponseRedirect(record_address(assessment))

        form = AssessForm(request.POST or None)
        form.fields["template"].choices = [(slug, slug) for slug in slugs]  # type: ignore[attr-defined]
        return signed_page(shown, request, page, form, act)

    return Address(ASSESS, view, _STEP)


def _nothing_to_assess_by(slugs: list[str]) -> str | None:
    return None if slugs else "no tier template is published yet"


def assessment_addresses(
    shown: GovernedAdmin[TierAssessment], working: Callable[[TierAssessment], tuple[Section, ...]]
) -> tuple[Address, ...]:
    """Give the pages on which an assessment is published, confirmed or withdrawn."""

    def withdraw(user: User, assessment: TierAssessment, reason: str) -> None:
        tier_withdraw(actor=user, assessment=assessment, reason=reason, at=timezone.now())

    lead = "A withdrawn assessment is kept, and can never be published. The system can be assessed anew."
    return (
        Address("publish", _publish_view(shown, working), _STEP),
        Address("confirm", _confirm_view(shown, working), _STEP),
        withdraw_address(shown, withdraw, lambda assessment: assessment.working_digest, lead),
    )


def _publish_view(
    shown: GovernedAdmin[TierAssessment], working: Callable[[TierAssessment], tuple[Section, ...]]
) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, assessment: TierAssessment) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=assessment,
            kind="Publish a risk tier",
            heading=str(assessment),
            lead="It takes effect at once: policies for this tier apply to the system from then.",
            sections=working(assessment),
            title="Your publication",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I have examined this assessment, had no part in the system, and publish it.")),
                ("Bound to the working", whole(assessment.working_digest)),
            ),
            submit="Publish the tier",
            undone="Not published.",
            decline="Do not publish",
            back=record_address(assessment),
            back_words="Back to the assessment",
            hindrance=tier_publishing_hindrance(user=user, assessment=assessment, at=timezone.now()),
        )

        def act(form: PublishForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            tier_publish(officer=officer, assessment=assessment, at=timezone.now())
            messages.success(request, "Published.")
            return HttpResponseRedirect(record_address(assessment))

        return signed_page(shown, request, page, PublishForm(request.POST or None), act)

    return view


def _confirm_view(
    shown: GovernedAdmin[TierAssessment], working: Callable[[TierAssessment], tuple[Section, ...]]
) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, assessment: TierAssessment) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=assessment,
            kind="Confirm a lower tier",
            heading=str(assessment),
            lead=f"The template suggests {assessment.suggested}. Another officer than you publishes it.",
            sections=working(assessment),
            title="Your confirmation",
            states=(
                ("Printed name", user.printed_name),
                ("Reason of the assessment", assessment.reason),
                ("You state", strong("I have examined the reason, had no part in the system, and hold it for right.")),
                ("Bound to the working", whole(assessment.working_digest)),
            ),
            submit="Confirm the lower tier",
            undone="Not confirmed.",
            decline="Do not confirm",
            back=record_address(assessment),
            back_words="Back to the assessment",
            hindrance=judging_hindrance(user=user, assessment=assessment),
        )

        def act(form: ConfirmForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            tier_confirm(officer=officer, assessment=assessment, reason=sent["reason"], at=timezone.now())
            messages.success(request, "Confirmed. Another officer publishes it.")
            return HttpResponseRedirect(record_address(assessment))

        return signed_page(shown, request, page, ConfirmForm(request.POST or None), act)

    return view
