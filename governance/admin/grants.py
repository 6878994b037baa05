"""Who holds which role since when, and the steps by which that changes."""

from datetime import UTC, datetime, time, timedelta
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import NOTHING, Cell, badge, code, link, moment, record_address, strong
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.admin.units import unit_field
from governance.enums import DUTY_LINES, Role
from governance.models import RoleGrant, RoleProposal, User
from governance.models.people import place_of
from governance.services.grants import (
    confirming_hindrance,
    ending_hindrance,
    proposing_hindrance,
    role_confirm,
    role_end,
    role_propose,
)
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM

_STEP = ("GET", "HEAD", "POST")


class ProposeForm(forms.Form):
    """Which role a person shall hold."""

    role = forms.ChoiceField(choices=Role.choices, label="Role", widget=UnfoldAdminSelectWidget)
    unit = unit_field("Where the role shall count.")
    ends_on = forms.DateField(
        required=False,
        label="Last day",
        help_text="The role ends by itself when this day has ended (UTC). Empty if it has no such day.",
        widget=UnfoldAdminDateWidget,
    )
    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("proposal")


class ConfirmForm(forms.Form):
    """Proof of who confirms."""

    password = password_field("confirmation")


class EndForm(forms.Form):
    """Why a role is taken away, and proof of who does it."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def propose_actions(request: HttpRequest, person: User) -> tuple[Action, ...]:
    """Offer to propose a role to who can."""
    if proposing_hindrance(user=cast("User", request.user), person=person):
        return ()
    return (Action(words="Propose a role", address=record_address(person, "role"), symbol="badge"),)


def propose_addresses(shown: GovernedAdmin[User]) -> tuple[Address, ...]:
    """Give the page on which a role is proposed."""

    def view(request: HttpRequest, person: User) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=person,
            kind="Propose a role",
            heading=person.printed_name,
            lead="An officer has to confirm it within seven days. Until then nothing changes.",
            sections=(grants_section(person),),
            title="Your proposal",
            states=(("Printed name", user.printed_name),),
            submit="Propose",
            undone="Not proposed.",
            decline="Do not propose",
            back=record_address(person),
            back_words="Back to the account",
            hindrance=proposing_hindrance(user=user, person=person),
        )

        def act(form: ProposeForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            last = sent["ends_on"]
            proposal = role_propose(
                officer=Officer(user, sent["password"]),
                person=person,
                role=Role(sent["role"]),
                unit=sent["unit"],
                ends_at=datetime.combine(last + timedelta(days=1), time.min, UTC) if last else None,
                reason=sent["reason"],
                at=timezone.now(),
            )
            messages.success(request, "Proposed. An officer has to confirm it now.")
            return HttpResponseRedirect(record_address(proposal))

        return signed_page(shown, request, page, ProposeForm(request.POST or None), act)

    return (Address("role", view, _STEP),)


def grants_section(person: User) -> Section:
    """Show which roles a person holds and held."""
    now = timezone.now()
    return Table(
        title="Roles",
        columns=("Role", "For", "From", "To", "How", "State"),
        rows=tuple(
            (
                link(grant, grant.get_role_display()),
                place_of(grant.business_unit),
                moment(grant.valid_from),
                moment(grant.valid_to) if grant.valid_to else NOTHING,
                grant.get_origin_display(),
                grant_badge(grant, now),
            )
            for grant in person.role_grants.select_related("business_unit")
        ),
        empty="This account never held a role. An administrator proposes one, and an officer confirms it.",
    )


def grant_badge(grant: RoleGrant, at: datetime) -> SafeString:
    """Say whether a role is held."""
    if grant.in_force(at):
        return badge("passed", "held")
    return badge("withdrawn", "taken away" if grant.ended_by_id else "ended")


@admin.register(RoleGrant)
class RoleGrantAdmin(GovernedAdmin[RoleGrant]):
    """Which role each person holds and held, since when, and who granted it."""

    kinds = ("role_grant",)
    list_display = (
        person_column("person"),
        "role",
        "place",
        "origin",
        moment_column("valid_from"),
        moment_column("valid_to"),
        "state",
    )
    list_select_related = ("person", "business_unit")
    list_filter = ("role", "origin")
    search_fields = ("id__exact", "person__username__icontains", "person__last_name__icontains")

    @admin.display(description="for")
    def place(self, grant: RoleGrant) -> Cell:
        """Say where it counts."""
        return place_of(grant.business_unit)

    @admin.display(description="state")
    def state(self, grant: RoleGrant) -> Cell:
        """Say whether it is held."""
        return grant_badge(grant, timezone.now())

    def addresses(self) -> tuple[Address, ...]:
        """Offer to take it away."""
        return (Address("end", self._end, _STEP),)

    def page(self, request: HttpRequest, record: RoleGrant) -> Page:
        """Show who granted it and for how long."""
        hindrance = ending_hindrance(user=cast("User", request.user), grant=record, at=timezone.now())
        end = Action(words="Take it away", address=record_address(record, "end"), symbol="cancel", tone="danger")
        return Page(
            heading=str(record),
            lead=f"{DUTY_LINES[Role(record.role)].label}. A person holds roles of one line of duty at a time.",
            badge=grant_badge(record, timezone.now()),
            actions=() if hindrance else (end,),
            sections=(_grant_section(record), ledger_section(record.id)),
        )

    def _end(self, request: HttpRequest, grant: RoleGrant) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=grant,
            kind="Take a role away",
            heading=str(grant),
            lead="It takes effect at once. What was signed in this role stays signed.",
            sections=(_grant_section(grant),),
            title="Your step",
            states=(("Printed name", user.printed_name), ("You state", strong("This role is to end now."))),
            submit="Take it away",
            tone="danger",
            undone="Not taken away.",
            decline="Leave it as it is",
            back=record_address(grant),
            back_words="Back to the role",
            hindrance=ending_hindrance(user=user, grant=grant, at=timezone.now()),
        )

        def act(form: EndForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            role_end(officer=officer, grant=grant, reason=sent["reason"], at=timezone.now())
            messages.success(request, "Taken away.")
            return HttpResponseRedirect(record_address(grant))

        return signed_page(self, request, page, EndForm(request.POST or None), act)


@admin.register(RoleProposal)
class RoleProposalAdmin(GovernedAdmin[RoleProposal]):
    """Which roles were proposed for whom, and whether an officer confirmed them."""

    kinds = ("role_proposal",)
    list_display = (
        person_column("person"),
        "role",
        "place",
        "state",
        person_column("proposed_by"),
        moment_column("proposed_at"),
    )
    list_select_related = ("person", "business_unit", "proposed_by", "grant")
    list_filter = ("role",)
    search_fields = ("id__exact", "person__username__icontains", "person__last_name__icontains")

    @admin.display(description="for")
    def place(self, proposal: RoleProposal) -> Cell:
        """Say where it shall count."""
        return place_of(proposal.business_unit)

    @admin.display(description="state")
    def state(self, proposal: RoleProposal) -> Cell:
        """Show whether it was confirmed."""
        return _state(proposal)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to confirm it."""
        return (Address("confirm", self._confirm, _STEP),)

    def page(self, request: HttpRequest, record: RoleProposal) -> Page:
        """Show what was proposed."""
        confirmed = hasattr(record, "grant")
        user = cast("User", request.user)
        hindrance = None if confirmed else confirming_hindrance(user=user, proposal=record, at=timezone.now())
        confirm = Action(words="Confirm", address=record_address(record, "confirm"), symbol="check_circle", tone="main")
        return Page(
            heading=str(record),
            badge=_state(record),
            notices=(Notice(words=f"You cannot confirm it: {hindrance}."),) if hindrance else (),
            actions=() if confirmed or hindrance else (confirm,),
            sections=(_proposal_section(record), grants_section(record.person), ledger_section(record.id)),
        )

    def _confirm(self, request: HttpRequest, proposal: RoleProposal) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=proposal,
            kind="Confirm a role",
            heading=str(proposal),
            lead="It takes effect at once.",
            sections=(_proposal_section(proposal), grants_section(proposal.person)),
            title="Your confirmation",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("This person needs this role. I did not propose it, and it is not for me.")),
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
            grant = role_confirm(officer=officer, proposal=proposal, at=timezone.now())
            messages.success(request, "Confirmed.")
            return HttpResponseRedirect(record_address(grant))

        return signed_page(self, request, page, ConfirmForm(request.POST or None), act)


def _state(proposal: RoleProposal) -> SafeString:
    return badge("published", "confirmed") if hasattr(proposal, "grant") else badge("open", "not confirmed")


def _grant_section(grant: RoleGrant) -> Section:
    return Facts(
        title="Role",
        rows=(
            ("Id", code(grant.id)),
            ("Person", link(grant.person, grant.person.printed_name)),
            ("Role", grant.get_role_display()),
            ("For", place_of(grant.business_unit)),
            ("How it came", grant.get_origin_display()),
            ("From", moment(grant.valid_from)),
            ("To", moment(grant.valid_to) if grant.valid_to else NOTHING),
            ("Proposed", link(grant.proposal) if grant.proposal else NOTHING),
            ("Confirmed by", link(grant.confirmed_by, grant.confirmed_by.printed_name) if grant.confirmed_by else None),
            ("Taken away by", link(grant.ended_by, grant.ended_by.printed_name) if grant.ended_by else None),
            ("Why", grant.end_reason or None),
        ),
    )


def _proposal_section(proposal: RoleProposal) -> Section:
    return Facts(
        title="Proposal",
        rows=(
            ("Id", code(proposal.id)),
            ("Person", link(proposal.person, proposal.person.printed_name)),
            ("Role", proposal.get_role_display()),
            ("For", place_of(proposal.business_unit)),
            ("Ends by itself", moment(proposal.ends_at) if proposal.ends_at else NOTHING),
            ("Reason", proposal.reason),
            ("Proposed by", link(proposal.proposed_by, proposal.proposed_by.printed_name)),
            ("Proposed", moment(proposal.proposed_at)),
        ),
    )
