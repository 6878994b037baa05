"""Whether evidence counts, what took the place of what, and the page on which a reviewer accepts that."""

from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import Cell, badge, link, moment, record_address, strong
from governance.admin.sections import Action, Facts, Notice, Section
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import Evidence, EvidenceSupersession, User
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM
from governance.services.supersessions import supersession_accept, supersession_hindrance

_ACCEPT = "accept-supersession"


class AcceptForm(forms.Form):
    """Why the new evidence may stand alone."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def standing_badge(evidence: Evidence) -> SafeString:
    """Show whether a piece counts."""
    claim = _claim(evidence)
    if claim and hasattr(claim, "acceptance"):
        return badge("superseded", "superseded")
    if hasattr(evidence, "statement") and evidence.statement.distrust:
        return badge("revoked", "not trusted")
    if evidence.valid_until <= timezone.now():
        return badge("expired", "stale")
    return badge("pending", "counts, contested") if claim else badge("passed", "counts")


def supersession_notices(evidence: Evidence) -> tuple[Notice, ...]:
    """Say first that a piece no longer counts, or that its producer wants it not to."""
    claim = _claim(evidence)
    if claim is None:
        stale = evidence.valid_until <= timezone.now()
        return (Notice(words="It is stale: it satisfies no rule any more.", tone="bad"),) if stale else ()
    if hasattr(claim, "acceptance"):
        return (Notice(words="It is superseded and does not count. It stays here as it was.", tone="bad"),)
    by = claim.claimed_by.printed_name
    return (Notice(words=f"{by} has put newer evidence in its place. It counts until a reviewer accepts that."),)


def supersession_section(evidence: Evidence) -> tuple[Section, ...]:
    """Show what took the place of this piece, and of what this piece took the place."""
    sections = [_section("Superseded by", claim.successor, claim)] if (claim := _claim(evidence)) else []
    if before := _taken(evidence):
        sections.append(_section("Supersedes", before.superseded, before))
    return tuple(sections)


def _section(title: str, other: Evidence, claim: EvidenceSupersession) -> Facts:
    acceptance = getattr(claim, "acceptance", None)
    rows: tuple[tuple[str, Cell], ...] = (
        ("Evidence", link(other, other.id)),
        ("Why", claim.reason),
        ("Claimed by", link(claim.claimed_by, claim.claimed_by.printed_name)),
        ("Claimed", moment(claim.claimed_at)),
        ("Accepted by", link(acceptance.accepted_by, acceptance.accepted_by.printed_name) if acceptance else None),
        ("Accepted", moment(acceptance.accepted_at) if acceptance else None),
        ("Reason of acceptance", acceptance.reason if acceptance else None),
    )
    return Facts(title=title, rows=rows)


def acceptance_actions(request: HttpRequest, evidence: Evidence) -> tuple[Action, ...]:
    """Offer to accept to who can."""
    claim = _claim(evidence)
    if claim is None or hasattr(claim, "acceptance"):
        return ()
    if supersession_hindrance(user=cast("User", request.user), claim=claim):
        return ()
    address = record_address(evidence, _ACCEPT)
    return (Action(words="Accept the newer evidence", address=address, symbol="check", tone="danger"),)


def acceptance_addresses(shown: GovernedAdmin[Evidence]) -> tuple[Address, ...]:
    """Give the page on which a reviewer accepts that newer evidence took the place of this."""

    def accept(request: HttpRequest, evidence: Evidence) -> HttpResponseBase:
        user, claim = cast("User", request.user), _claim(evidence)
        if claim is None or hasattr(claim, "acceptance"):
            messages.error(request, "Nothing waits here to be accepted.")
            return HttpResponseRedirect(record_address(evidence))
        page = SignedPage(
            record=evidence,
            kind="Accept newer evidence",
            heading=str(evidence),
            lead="From then on only the newer evidence counts. Decisions that rest on the old are to be made anew.",
            sections=supersession_section(evidence),
            title="Your step",
            states=(
                ("Printed name", user.printed_name),
                (
                    "You state",
                    strong("I looked at both; the newer takes the place of the older for good reason."),
                ),
            ),
            submit="Accept",
            tone="danger",
            undone="Not done.",
            decline="Leave it as it is",
            back=record_address(evidence),
            back_words="Back to the evidence",
            hindrance=supersession_hindrance(user=user, claim=claim),
        )

        def act(form: AcceptForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            supersession_accept(officer=officer, supersession_id=claim.id, reason=sent["reason"], at=timezone.now())
            messages.success(request, "Accepted. The older evidence no longer counts.")
            return HttpResponseRedirect(record_address(evidence))

        return signed_page(shown, request, page, AcceptForm(request.POST or None), act)

    return (Address(_ACCEPT, accept, ("GET", "HEAD", "POST")),)


def _claim(evidence: Evidence) -> EvidenceSupersession | None:
    claim: EvidenceSupersession | None = getattr(evidence, "superseded_by", None)
    return claim


def _taken(evidence: Evidence) -> EvidenceSupersession | None:
    claim: EvidenceSupersession | None = getattr(evidence, "supersedes", None)
    return claim
