"""Where policies are in force, and the two steps by which two officers change that."""

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import NOTHING, Cell, badge, code, link, moment, record_address, strong
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import AttachmentKind
from governance.models import AttachmentProposal, Policy, PolicyAttachment, User
from governance.models.policies import place_words
from governance.services.attachments import (
    attachment_confirm,
    attachment_propose,
    confirming_hindrance,
    proposal_is_confirmed,
)
from governance.services.officers import Officer
from governance.services.publications import PUBLISHERS
from governance.services.steps import REASON_MINIMUM, step_hindrance

_STEP = ("GET", "HEAD", "POST")


class ProposeForm(forms.Form):
    """Where a policy shall be in force, or no longer."""

    kind = forms.ChoiceField(choices=AttachmentKind.choices, label="You propose to", widget=UnfoldAdminSelectWidget)
    environment = forms.CharField(max_length=80, label="Environment", widget=UnfoldAdminTextInputWidget)
    tier = forms.CharField(
        max_length=40,
        required=False,
        label="Risk tier",
        help_text="Empty for all tiers. A policy for one tier goes before one for all.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("proposal")


class ConfirmForm(forms.Form):
    """Proof of who confirms."""

    password = password_field("confirmation")


def attach_actions(request: HttpRequest, policy: Policy) -> tuple[Action, ...]:
    """Offer to propose an attachment to who can."""
    if step_hindrance(user=cast("User", request.user), roles=PUBLISHERS):
        return ()
    return (Action(words="Attach or detach", address=record_address(policy, "attach"), symbol="assignment_turned_in"),)


def attach_addresses(shown: GovernedAdmin[Policy]) -> tuple[Address, ...]:
    """Give the page on which an attachment is proposed."""

    def view(request: HttpRequest, policy: Policy) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=policy,
            kind="Propose where a policy is in force",
            heading=policy.slug,
            lead="Another officer has to confirm it within seven days. Until then nothing changes.",
            sections=(attachments_section(policy),),
            title="Your proposal",
            states=(("Printed name", user.printed_name),),
            submit="Propose",
            undone="Not proposed.",
            decline="Do not propose",
            back=record_address(policy),
            back_words="Back to the policy",
            hindrance=step_hindrance(user=user, roles=PUBLISHERS),
        )

        def act(form: ProposeForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            proposal = attachment_propose(
                officer=Officer(user, sent["password"]),
                policy=policy,
                kind=AttachmentKind(sent["kind"]),
                environment=sent["environment"],
                tier=sent["tier"],
                reason=sent["reason"],
                at=timezone.now(),
            )
            messages.success(request, "Proposed. Another officer has to confirm it now.")
            return HttpResponseRedirect(record_address(proposal))

        return signed_page(shown, request, page, ProposeForm(request.POST or None), act)

    return (Address("attach", view, _STEP),)


def attachments_section(policy: Policy) -> Section:
    """Show where a policy is and was in force."""
    attachments = policy.attachments.select_related("attached_by").order_by("-valid_from")
    return Table(
        title="In force",
        columns=("Place", "From", "To", "Attached by"),
        rows=tuple(
            (
                link(item, place_words(item.environment, item.tier)),
                moment(item.valid_from),
                moment(item.valid_to) if item.valid_to else "in force",
                item.attached_by.printed_name if item.attached_by else NOTHING,
            )
            for item in attachments
        ),
        empty="It is attached nowhere, so it decides nothing. Two officers attach it.",
    )


@admin.register(PolicyAttachment)
class PolicyAttachmentAdmin(GovernedAdmin[PolicyAttachment]):
    """Which policy is and was in force where."""

    kinds = ("policy_attachment",)
    list_display = ("environment", "tier", "policy", moment_column("valid_from"), moment_column("valid_to"))
    list_select_related = ("policy",)
    search_fields = ("id__exact", "environment__exact", "policy__slug__exact")

    def page(self, request: HttpRequest, record: PolicyAttachment) -> Page:  # noqa: ARG002
        """Show from when to when, and by whom."""
        began, ended = record.attached_under, record.detached_under
        return Page(
            heading=str(record),
            lead="A policy attached to one tier goes before one attached to all tiers of the environment.",
            badge=badge("published", "in force") if record.valid_to is None else badge("withdrawn", "ended"),
            sections=(
                Facts(
                    title="Attachment",
                    rows=(
                        ("Id", code(record.id)),
                        ("Policy", link(record.policy)),
                        ("Environment", record.environment),
                        ("Risk tier", record.tier or "all tiers"),
                        ("From", moment(record.valid_from)),
                        ("To", moment(record.valid_to) if record.valid_to else NOTHING),
                        ("Began with", link(began) if began else NOTHING),
                        ("Ended with", link(ended) if ended else NOTHING),
                    ),
                ),
                ledger_section(began.id if began else record.id),
            ),
        )


@admin.register(AttachmentProposal)
class AttachmentProposalAdmin(GovernedAdmin[AttachmentProposal]):
    """What was proposed to be in force where, and whether it was confirmed."""

    kinds = ("policy_attachment_proposal",)
    list_display = ("__str__", "state", person_column("proposed_by"), moment_column("proposed_at"))
    list_select_related = ("policy", "proposed_by", "attachment", "detachment")
    search_fields = ("id__exact", "environment__exact", "policy__slug__exact")

    @admin.display(description="state")
    def state(self, proposal: AttachmentProposal) -> Cell:
        """Show whether it was confirmed."""
        return _state(confirmed=hasattr(proposal, "attachment") or hasattr(proposal, "detachment"))

    def addresses(self) -> tuple[Address, ...]:
        """Offer to confirm it."""
        return (Address("confirm", self._confirm, _STEP),)

    def page(self, request: HttpRequest, record: AttachmentProposal) -> Page:
        """Show what was proposed."""
        confirmed = proposal_is_confirmed(record)
        hindrance = None
        if not confirmed:
            user = cast("User", request.user)
            hindrance = confirming_hindrance(user=user, proposal=record, at=timezone.now())
        confirm = Action(words="Confirm", address=record_address(record, "confirm"), symbol="check_circle", tone="main")
        return Page(
            heading=str(record),
            badge=_state(confirmed=confirmed),
            notices=(Notice(words=f"You cannot confirm it: {hindrance}."),) if hindrance else (),
            actions=() if confirmed or hindrance else (confirm,),
            sections=(_proposal_section(record), ledger_section(record.id)),
        )

    def _confirm(self, request: HttpRequest, proposal: AttachmentProposal) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=proposal,
            kind="Confirm where a policy is in force",
            heading=str(proposal),
            lead="It takes effect at once. What passed under another policy there has to be decided anew.",
            sections=(_proposal_section(proposal),),
            title="Your confirmation",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I have examined this proposal, did not make it, and confirm it.")),
            ),
            submit="Confirm",
            undone="Not confirmed.",
            decline="Do not confirm",
            back=record_address(proposal),
            back_words="Back to the proposal",
            hindrance=confirming_hindrance(user=user, proposal=proposal, at=timezone.now()),
        )

        def act(form: ConfirmForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            attachment = attachment_confirm(officer=officer, proposal=proposal, at=timezone.now())
            messages.success(request, "Confirmed.")
            return HttpResponseRedirect(record_address(attachment))

        return signed_page(self, request, page, ConfirmForm(request.POST or None), act)


def _state(*, confirmed: bool) -> SafeString:
    return badge("published", "confirmed") if confirmed else badge("open", "not confirmed")


def _proposal_section(proposal: AttachmentProposal) -> Section:
    replaces = proposal.replaces
    return Facts(
        title="Proposal",
        rows=(
            ("Id", code(proposal.id)),
            ("To", proposal.get_kind_display().lower()),
            ("Policy", link(proposal.policy)),
            ("Environment", proposal.environment),
            ("Risk tier", proposal.tier or "all tiers"),
            ("In force there then", link(replaces) if replaces else "no policy"),
            ("Reason", proposal.reason),
            ("Proposed by", link(proposal.proposed_by, proposal.proposed_by.printed_name)),
            ("Proposed", moment(proposal.proposed_at)),
        ),
    )
