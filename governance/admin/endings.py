"""How a decision ended, and the two pages on which two officers revoke one that still counts."""

from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import badge, link, moment, record_address, sentence, strong
from governance.admin.sections import Action, Facts, Notice, Section
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import DecisionStanding
from governance.models import Decision, DecisionEnding, RevocationProposal, User
from governance.selectors.gate import decision_standing, ending_words
from governance.services.endings import (
    PROPOSAL_STANDS,
    proposal_waiting,
    revocation_confirm,
    revocation_hindrance,
    revocation_propose,
)
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM

_REVOKE, _CONFIRM = "revoke", "confirm-revocation"
_STEP = ("GET", "HEAD", "POST")


class ProposeForm(forms.Form):
    """Why a decision is to be revoked."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


class ConfirmForm(forms.Form):
    """Proof of who confirms."""

    password = password_field("step")


def standing_badge(decision: Decision) -> SafeString:
    """Show what a decision is worth now."""
    standing = decision_standing(decision, at=timezone.now())
    return badge(standing.value, standing.label)


def ending_notices(decision: Decision) -> tuple[Notice, ...]:
    """Say first that a passed decision no longer counts, or that somebody proposes to revoke it."""
    if words := ending_words(decision):
        return (Notice(words=sentence(words), tone="bad"),)
    proposal = _waiting(decision)
    if proposal is None:
        return ()
    by = proposal.proposed_by.printed_name
    return (Notice(words=f"{by} proposes to revoke it; another officer has to confirm. Reason: {proposal.reason}"),)


def ending_section(decision: Decision) -> tuple[Section, ...]:
    """Show how a decision ended, and by whom."""
    ending: DecisionEnding | None = getattr(decision, "ending", None)
    if ending is None:
        return ()
    proposed_by = ending.proposal.proposed_by if ending.proposal else None
    rows = (
        ("How", badge(ending.kind, ending.get_kind_display())),
        ("When", moment(ending.ended_at)),
        ("Reason", ending.reason),
        ("Proposed by", link(proposed_by, proposed_by.printed_name if proposed_by else None)),
        ("Confirmed by", link(ending.confirmed_by, ending.confirmed_by.printed_name if ending.confirmed_by else None)),
        ("Its place took", link(ending.successor, ending.successor_id)),
    )
    return (Facts(title="How it ended", note="The verdict below stays what it was.", rows=rows),)


def revoke_actions(request: HttpRequest, decision: Decision) -> tuple[Action, ...]:
    """Offer to revoke to who can."""
    user = cast("User", request.user)
    if decision_standing(decision, at=timezone.now()) != DecisionStanding.PASSED:
        return ()
    proposal = _waiting(decision)
    if revocation_hindrance(user=user, decision=decision, proposal=proposal):
        return ()
    page, words = (_CONFIRM, "Confirm the revocation") if proposal else (_REVOKE, "Revoke")
    return (Action(words=words, address=record_address(decision, page), symbol="undo", tone="danger"),)


def revoke_addresses(shown: GovernedAdmin[Decision]) -> tuple[Address, ...]:
    """Give the page on which revoking is proposed, and that on which it is confirmed."""

    def propose(request: HttpRequest, decision: Decision) -> HttpResponseBase:
        user, proposal = cast("User", request.user), _waiting(decision)
        page = _page(
            request,
            decision,
            kind="Propose to revoke a decision",
            lead=f"Another officer has {PROPOSAL_STANDS.days} days to confirm. Until then the gate goes on to allow.",
            states="I propose that this decision no longer allows the use.",
            submit="Propose to revoke",
            hindrance=f"{proposal.proposed_by.printed_name} proposed it already" if proposal else None,
        )

        def act(form: ProposeForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            revocation_propose(
                officer=Officer(user, sent["password"]),
                decision_id=decision.id,
                reason=sent["reason"],
                at=timezone.now(),
            )
            messages.success(request, "Proposed. Another officer has to confirm it now.")
            return HttpResponseRedirect(record_address(decision))

        return signed_page(shown, request, page, ProposeForm(request.POST or None), act)

    def confirm(request: HttpRequest, decision: Decision) -> HttpResponseBase:
        user, proposal = cast("User", request.user), _waiting(decision)
        if proposal is None:
            messages.error(request, "Nobody proposes to revoke this decision.")
            return HttpResponseRedirect(record_address(decision))
        page = _page(
            request,
            decision,
            kind="Confirm a revocation",
            lead="With your confirmation the gate no longer allows this model version there, at once and for good.",
            states=f"I confirm that this decision no longer allows the use. Reason: {proposal.reason}",
            submit="Revoke",
            hindrance=revocation_hindrance(user=user, decision=decision, proposal=proposal),
        )

        def act(form: ConfirmForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            revocation_confirm(officer=officer, proposal_id=proposal.id, at=timezone.now())
            messages.success(request, "Revoked. The gate no longer allows it.")
            return HttpResponseRedirect(record_address(decision))

        return signed_page(shown, request, page, ConfirmForm(request.POST or None), act)

    return (Address(_REVOKE, propose, _STEP), Address(_CONFIRM, confirm, _STEP))


def _page(
    request: HttpRequest,
    decision: Decision,
    *,
    kind: str,
    lead: str,
    states: str,
    submit: str,
    hindrance: str | None,
) -> SignedPage:
    user = cast("User", request.user)
    return SignedPage(
        record=decision,
        kind=kind,
        heading=f"{decision.model_version} to {decision.environment}",
        lead=lead,
        title="Your step",
        states=(("Printed name", user.printed_name), ("You state", strong(states))),
        submit=submit,
        tone="danger",
        undone="Not done.",
        decline="Leave it as it is",
        back=record_address(decision),
        back_words="Back to the decision",
        hindrance=hindrance or revocation_hindrance(user=user, decision=decision, proposal=None),
    )


def _waiting(decision: Decision) -> RevocationProposal | None:
    return proposal_waiting(decision=decision, at=timezone.now())
