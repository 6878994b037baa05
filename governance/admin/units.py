"""Business units, the page on which one is made, and that on which a system is put into one."""

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, seen_by
from governance.admin.cells import code, link, moment, record_address, strong
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, ListHead, Page, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import AiSystem, BusinessUnit, User
from governance.models.people import place_of
from governance.services.officers import Officer, administrator_hindrance
from governance.services.steps import REASON_MINIMUM
from governance.services.units import assigning_hindrance, system_assign, unit_open

_STEP = ("GET", "HEAD", "POST")
_OPEN = "open"


def unit_field(what_it_means: str) -> "forms.ModelChoiceField[BusinessUnit]":
    """Make the field for a business unit, or none: the whole organisation."""
    return forms.ModelChoiceField(
        queryset=BusinessUnit.objects.all(),
        required=False,
        empty_label="Whole organisation",
        label="Business unit",
        help_text=what_it_means,
        widget=UnfoldAdminSelectWidget,
    )


class UnitForm(forms.Form):
    """What a business unit is called."""

    slug = forms.CharField(max_length=80, label="Short name", widget=UnfoldAdminTextInputWidget)
    name = forms.CharField(max_length=200, label="Name", widget=UnfoldAdminTextInputWidget)
    password = password_field("step")


class AssignForm(forms.Form):
    """Where a system belongs."""

    unit = unit_field("Whose system it shall be.")
    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def assign_actions(request: HttpRequest, system: AiSystem) -> tuple[Action, ...]:
    """Offer to put a system into a business unit to who can."""
    if assigning_hindrance(user=cast("User", request.user)):
        return ()
    return (Action(words="Business unit", address=record_address(system, "unit"), symbol="domain"),)


def assign_addresses(shown: GovernedAdmin[AiSystem]) -> tuple[Address, ...]:
    """Give the page on which a system is put into a business unit."""

    def view(request: HttpRequest, system: AiSystem) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=system,
            kind="Put a system into a business unit",
            heading=system.name,
            lead=f"It belongs to: {place_of(system.business_unit)}. Who sees it and decides about it changes at once.",
            title="Your step",
            states=(("Printed name", user.printed_name), ("You state", strong("This is whose system it is."))),
            submit="Put it there",
            undone="Not done.",
            decline="Leave it as it is",
            back=record_address(system),
            back_words="Back to the system",
            hindrance=assigning_hindrance(user=user),
        )

        def act(form: AssignForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            system_assign(officer=officer, system=system, unit=sent["unit"], reason=sent["reason"], at=timezone.now())
            messages.success(request, "Done.")
            return HttpResponseRedirect(record_address(system))

        return signed_page(shown, request, page, AssignForm(request.POST or None), act)

    return (Address("unit", view, _STEP),)


@admin.register(BusinessUnit)
class BusinessUnitAdmin(GovernedAdmin[BusinessUnit]):
    """The parts of the organisation, with their systems and who holds roles for them."""

    kinds = ("business_unit",)
    list_display = ("name", "slug", moment_column("created_at"))
    search_fields = ("id__exact", "slug__exact", "name__icontains")

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to make one."""
        may = not administrator_hindrance(user=cast("User", request.user))
        address = reverse(f"admin:governance_businessunit_{_OPEN}")
        return ListHead(
            lead="Whoever holds roles for one unit sees its systems, and those of the whole organisation.",
            actions=(Action(words="Make a business unit", address=address, symbol="add", tone="main"),) if may else (),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the form to make one."""
        return (Address(_OPEN, self._open, _STEP),)

    def page(self, request: HttpRequest, record: BusinessUnit) -> Page:
        """Show its systems, as far as the reader sees them, and its roles."""
        systems = seen_by(request).of(AiSystem.objects.filter(business_unit=record)).select_related("owner")
        grants = record.role_grants.select_related("person", "business_unit")
        return Page(
            heading=record.name,
            marks=(code(record.slug),),
            sections=(
                Facts(title="Business unit", rows=(("Id", code(record.id)), ("Made", moment(record.created_at)))),
                Table(
                    title="Systems",
                    columns=("System", "Owner"),
                    rows=tuple((link(item, item.name), item.owner.printed_name) for item in systems),
                    empty="No system that you see belongs to it.",
                ),
                Table(
                    title="Roles",
                    columns=("Role", "Person", "From", "To"),
                    rows=tuple(
                        (
                            link(item, item.get_role_display()),
                            item.person.printed_name,
                            moment(item.valid_from),
                            moment(item.valid_to),
                        )
                        for item in grants
                    ),
                    empty="Nobody holds or held a role for it alone.",
                ),
                ledger_section(record.id),
            ),
        )

    def _open(self, request: HttpRequest, _none: None) -> HttpResponseBase:
        user, back = cast("User", request.user), reverse("admin:governance_businessunit_changelist")
        page = SignedPage(
            kind="Make a business unit",
            heading="A part of the organisation",
            lead="It stays for good. Systems and roles are put into it afterwards.",
            title="The business unit",
            states=(("Printed name", user.printed_name),),
            submit="Make it",
            undone="Not made.",
            decline="Do not make it",
            back=back,
            back_words="Back to the business units",
            hindrance=administrator_hindrance(user=user),
        )

        def act(form: UnitForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            unit = unit_open(officer=officer, slug=sent["slug"], name=sent["name"], at=timezone.now())
            messages.success(request, "Made.")
            return HttpResponseRedirect(record_address(unit))

        return signed_page(self, request, page, UnitForm(request.POST or None), act)
