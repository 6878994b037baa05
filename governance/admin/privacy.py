"""Erasures and legal holds, for those who answer for them: officers of privacy and compliance, and auditors."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timesince import timesince

from audit.enums import ErasureState, HoldScope
from audit.models import Erasure, LegalHold
from audit.rotation import erasure_is_proven
from governance.admin.base import Address, GovernedAdmin, RecordList, may_look, moment_column
from governance.admin.cells import NOTHING, Cell, anchor, link, record_address
from governance.admin.ledger import ledger_section
from governance.admin.privacy_sections import (
    carrying_out_section,
    erasure_badge,
    erasure_section,
    hold_badge,
    hold_scope,
    hold_section,
    officer_link,
)
from governance.admin.privacy_steps import (
    erasure_addresses,
    erasure_list_addresses,
    hold_addresses,
    hold_list_addresses,
)
from governance.admin.sections import Action, ListHead, Notice, Page, Section, Table
from governance.enums import Role
from governance.models import User
from governance.services.privacy import erasure_hindrance, officer_hindrance

_SHOWN_WAITING = 10
_READERS = frozenset({Role.PRIVACY, Role.COMPLIANCE, Role.AUDITOR})


def may_look_at_orders(request: HttpRequest) -> bool:
    """Say whether the caller may read erasures and legal holds."""
    user = cast("User", request.user)
    return may_look(request) and (user.is_superuser or not _READERS.isdisjoint(user.roles))


def erasures_waiting(request: HttpRequest) -> str | None:
    """Give the number beside the menu's erasures: those that wait for a second officer."""
    if not may_look_at_orders(request):
        return None
    waiting = Erasure.objects.filter(state=ErasureState.REQUESTED).count()
    return str(waiting) if waiting else None


def erasures_waiting_section(request: HttpRequest) -> tuple[Section, ...]:
    """Show what waits for a second officer, and what the reader can do about it; nothing where nothing waits."""
    if not may_look_at_orders(request):
        return ()
    waiting = Erasure.objects.filter(state=ErasureState.REQUESTED).defer("person").order_by("requested_at")
    total = waiting.count()
    table = Table(
        title="Erasures waiting for a second officer",
        note="" if total <= _SHOWN_WAITING else f"The {_SHOWN_WAITING} oldest of {total}.",
        columns=("Erasure", "Legal basis", "Asked by", "Waits for", "You"),
        rows=tuple(_waiting_row(request, erasure) for erasure in waiting[:_SHOWN_WAITING]),
    )
    return (table,) if total else ()


def _waiting_row(request: HttpRequest, erasure: Erasure) -> tuple[Cell, ...]:
    hindrance = erasure_hindrance(user=cast("User", request.user), erasure=erasure)
    review = anchor(record_address(erasure, "approve"), "Review and approve")
    return (
        link(erasure, erasure.id),
        erasure.get_basis_display().partition(":")[0],
        officer_link(erasure.requested_by),
        timesince(erasure.requested_at),
        f"cannot approve: {hindrance}" if hindrance else review,
    )


class _OrderList(RecordList):
    """A list that names the people who acted, whom the records hold by id; they are looked up together."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows and the people in them."""
        super().get_results(request)
        fields = cast("_OrderAdmin[Any]", self.model_admin).people
        ids = {getattr(order, field) for order in self.result_list for field in fields}
        people = User.objects.in_bulk(ids - {None})
        for order in self.result_list:
            order.people = people


class _OrderAdmin[Order: Model](GovernedAdmin[Order]):
    """What erasures and holds have in common: who reads them, and that nobody's identifier is read for a list."""

    people: tuple[str, ...]
    deferred = ("person",)

    def has_view_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:  # noqa: ARG002
        """Those who answer for privacy look."""
        return may_look_at_orders(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Those who answer for privacy look."""
        return may_look_at_orders(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RecordList]:  # noqa: ANN401, ARG002
        """Name the people in the rows."""
        return _OrderList


def _named(order: Any, field: str) -> Cell:  # noqa: ANN401 - either order
    identity = getattr(order, field)
    person: User | None = order.people.get(identity)
    return person.printed_name if person else identity or NOTHING


@admin.register(Erasure)
class ErasureAdmin(_OrderAdmin[Erasure]):
    """Orders to forget a person, by two officers."""

    kinds = ("erasure",)
    people = ("requested_by", "approved_by")
    list_display = ("id", "how_far", "ground", "asked_by", "age", "second")
    list_filter = ("state", "basis")
    search_fields = ("id__exact",)
    search_help_text = "Id of an erasure"
    ordering = ("-requested_at",)

    @admin.display(description="state", ordering="state")
    def how_far(self, erasure: Erasure) -> Cell:
        """Say how far it is."""
        return erasure_badge(erasure)

    @admin.display(description="legal basis", ordering="basis")
    def ground(self, erasure: Erasure) -> Cell:
        """Name the law."""
        return erasure.get_basis_display().partition(":")[0]

    @admin.display(description="asked by")
    def asked_by(self, erasure: Erasure) -> Cell:
        """Name who asked."""
        return _named(erasure, "requested_by")

    @admin.display(description="age", ordering="requested_at")
    def age(self, erasure: Erasure) -> Cell:
        """Say how long ago it was asked for."""
        return timesince(erasure.requested_at)

    @admin.display(description="approved by")
    def second(self, erasure: Erasure) -> Cell:
        """Name who approved."""
        return _named(erasure, "approved_by")

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer to ask for one."""
        return erasure_list_addresses(self)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the second officer's steps."""
        return erasure_addresses(self)

    def head(self, request: HttpRequest) -> ListHead:
        """Say what these are, and let officers ask for one."""
        ask = Action(
            words="Ask for an erasure", address=reverse("admin:audit_erasure_request"), symbol="person_off", tone="main"
        )
        return ListHead(
            lead="Orders to forget a person. One privacy officer asks, another approves, and the operator carries them "
            "out. No page shows who the person is.",
            actions=() if officer_hindrance(user=cast("User", request.user)) else (ask,),
            notices=_holds_on_logs(),
        )

    def page(self, request: HttpRequest, record: Erasure) -> Page:
        """Show an order, what it waits for, and what came of it."""
        return Page(
            heading=record.id,
            lead="The order to forget one person.",
            badge=erasure_badge(record),
            notices=_erasure_notices(request, record),
            actions=_erasure_actions(request, record),
            sections=(*carrying_out_section(record), erasure_section(record), ledger_section(record.id)),
        )


def _erasure_actions(request: HttpRequest, erasure: Erasure) -> tuple[Action, ...]:
    user = cast("User", request.user)
    is_open = erasure.state in {ErasureState.REQUESTED, ErasureState.APPROVED} and erasure.rotation is None
    if not is_open or officer_hindrance(user=user):
        return ()
    cancel = Action(words="Cancel it", address=record_address(erasure, "cancel"), symbol="undo")
    if erasure.state == ErasureState.APPROVED or erasure_hindrance(user=user, erasure=erasure):
        return (cancel,)
    approve = Action(words="Approve", address=record_address(erasure, "approve"), symbol="check_circle", tone="main")
    return (approve, cancel)


def _erasure_notices(request: HttpRequest, erasure: Erasure) -> tuple[Notice, ...]:
    if erasure.state == ErasureState.REQUESTED:
        hindrance = erasure_hindrance(user=cast("User", request.user), erasure=erasure)
        words = f"You cannot approve it: {hindrance}." if hindrance else "It waits for you or another privacy officer."
        return (Notice(words=words), *_holds_on_logs())
    if erasure.state != ErasureState.APPROVED:
        return ()
    if not erasure_is_proven(erasure):
        words = "The ledger does not hold the two entries of two officers for it, so it is not carried out."
        return (Notice(words=words, tone="bad"),)
    return (
        Notice(words="Waits for the operator to rotate the keys; until then it can be cancelled."),
        *_holds_on_logs(),
    )


def _holds_on_logs() -> tuple[Notice, ...]:
    """Say which holds forbid every erasure. Those on a person are named to whoever types that person's identifier."""
    holds = LegalHold.objects.filter(released_at=None, scope=HoldScope.LOG)
    return tuple(
        Notice(words=f"A legal hold on the {hold.log} log (matter {hold.matter}) forbids every erasure until it ends.")
        for hold in holds
    )


@admin.register(LegalHold)
class LegalHoldAdmin(_OrderAdmin[LegalHold]):
    """Orders to keep."""

    kinds = ("legal_hold",)
    people = ("set_by", "released_by")
    list_display = ("matter", "force", "on", "ordered_by", moment_column("set_at", "set"), "age", "ended_by")
    list_filter = ("scope",)
    search_fields = ("id__exact", "matter__icontains")
    search_help_text = "Id of a hold, or part of a matter's number"
    ordering = ("-set_at",)

    @admin.display(description="state")
    def force(self, hold: LegalHold) -> Cell:
        """Say whether it is in force."""
        return hold_badge(hold)

    @admin.display(description="on")
    def on(self, hold: LegalHold) -> Cell:
        """Say what it is on."""
        return hold_scope(hold)

    @admin.display(description="set by")
    def ordered_by(self, hold: LegalHold) -> Cell:
        """Name who set it."""
        return _named(hold, "set_by")

    @admin.display(description="age")
    def age(self, hold: LegalHold) -> Cell:
        """Say how long it was or is in force."""
        return timesince(hold.set_at, hold.released_at)

    @admin.display(description="released by")
    def ended_by(self, hold: LegalHold) -> Cell:
        """Name who released it."""
        return _named(hold, "released_by")

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer to set one."""
        return hold_list_addresses(self)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to release it."""
        return hold_addresses(self)

    def head(self, request: HttpRequest) -> ListHead:
        """Say what these are, and let officers set one."""
        order = Action(words="Set a hold", address=reverse("admin:audit_legalhold_set"), symbol="lock", tone="main")
        return ListHead(
            lead="Orders to keep what a matter needs: a person must not be forgotten, or a log must stay whole.",
            actions=() if officer_hindrance(user=cast("User", request.user)) else (order,),
        )

    def page(self, request: HttpRequest, record: LegalHold) -> Page:
        """Show a hold, and let officers release it."""
        is_over = record.released_at is not None
        release = Action(
            words="Release it", address=record_address(record, "release"), symbol="lock_open", tone="danger"
        )
        return Page(
            heading=f"Matter {record.matter}",
            lead=f"{hold_scope(record)} must be kept." if not is_over else f"{hold_scope(record)} had to be kept.",
            badge=hold_badge(record),
            actions=() if is_over or officer_hindrance(user=cast("User", request.user)) else (release,),
            sections=(hold_section(record), ledger_section(record.id)),
        )
