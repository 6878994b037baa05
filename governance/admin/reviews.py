"""Reviews of access: opened, decided line by line, closed; and everything that everybody holds, as a table."""

import csv
import io
from datetime import UTC, datetime, time, timedelta
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import NOTHING, Cell, anchor, badge, code, link, moment, record_address, strong
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, signed_page
from governance.enums import AccessDecisionKind
from governance.models import AccessDecision, AccessReview, AccessReviewLine, User
from governance.selectors.access import COLUMNS, access_held, late_review
from governance.services.officers import Officer
from governance.services.reviews import (
    closing_hindrance,
    deciding_hindrance,
    line_decide,
    opening_review_hindrance,
    review_close,
    review_open,
)

_STEP = ("GET", "HEAD", "POST")
_OPEN = "open"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class OpenForm(forms.Form):
    """Until when a review has to be done."""

    due_on = forms.DateField(
        label="Due", help_text="The last day on which it is in time (UTC).", widget=UnfoldAdminDateWidget
    )
    password = password_field("step")


class DecideForm(forms.Form):
    """What becomes of a line."""

    kind = forms.ChoiceField(choices=AccessDecisionKind.choices, label="You decide", widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(
        required=False,
        label="Your reason",
        help_text="At least 20 characters where it is taken away. It stands in the ledger for good.",
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
    )
    password = password_field("step")


class CloseForm(forms.Form):
    """Proof of who closes."""

    password = password_field("step")


def overdue_notices() -> tuple[Notice, ...]:
    """Say that the open review is late, if it is."""
    late = late_review(at=timezone.now())
    return (Notice(words=f"{late} was due on {late.due_at:%Y-%m-%d} and is not closed.", tone="bad"),) if late else ()


@admin.register(AccessReview)
class AccessReviewAdmin(GovernedAdmin[AccessReview]):
    """Reviews of who may do what."""

    kinds = ("access_review",)
    list_display = ("__str__", person_column("opened_by"), moment_column("due_at"), "state")
    list_select_related = ("opened_by", "closing")
    search_fields = ("id__exact",)

    @admin.display(description="state")
    def state(self, review: AccessReview) -> Cell:
        """Say whether it is closed."""
        return _state(review)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to open one, and the list of everything that is held."""
        open_it = Action(
            words="Open a review", address=reverse(f"admin:governance_accessreview_{_OPEN}"), symbol="add", tone="main"
        )
        table = Action(
            words="Who can do what (CSV)", address=reverse("admin:governance_accessreview_held.csv"), symbol="download"
        )
        may = not opening_review_hindrance(user=cast("User", request.user))
        return ListHead(
            lead="Every role and token in force is confirmed, or taken away, by somebody whose it is not.",
            notices=overdue_notices(),
            actions=(open_it, table) if may else (table,),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the form to open one, and the table."""
        return (Address(_OPEN, self._open, _STEP), Address("held.csv", _held_table))

    def addresses(self) -> tuple[Address, ...]:
        """Offer to close it, and its table."""
        return (Address("close", self._close, _STEP), Address("review.csv", _review_table))

    def page(self, request: HttpRequest, record: AccessReview) -> Page:
        """Show every line, those that wait first."""
        closed = hasattr(record, "closing")
        hindrance = closing_hindrance(user=cast("User", request.user), review=record)
        close = Action(words="Close it", address=record_address(record, "close"), symbol="check_circle", tone="main")
        table = Action(words="As CSV", address=record_address(record, "review.csv"), symbol="download")
        return Page(
            heading=str(record),
            badge=_state(record),
            notices=() if closed or record.due_at > timezone.now() else overdue_notices(),
            actions=(table,) if closed or hindrance else (close, table),
            sections=(
                Facts(
                    title="Review",
                    rows=(
                        ("Id", code(record.id)),
                        ("Opened by", link(record.opened_by, record.opened_by.printed_name)),
                        ("Opened", moment(record.opened_at)),
                        ("Due", moment(record.due_at)),
                        ("Closed by", record.closing.by.printed_name if closed else NOTHING),
                    ),
                ),
                _lines_section(record),
                ledger_section(record.id),
            ),
        )

    def _open(self, request: HttpRequest, _none: None) -> HttpResponseBase:
        user, back = cast("User", request.user), reverse("admin:governance_accessreview_changelist")
        page = SignedPage(
            kind="Open a review",
            heading="Review of access",
            lead="What everybody holds now is written down, with when it was last used. Each line then waits for you.",
            title="The review",
            states=(("Printed name", user.printed_name),),
            submit="Open the review",
            undone="Not opened.",
            decline="Do not open it",
            back=back,
            back_words="Back to the reviews",
            hindrance=opening_review_hindrance(user=user),
        )

        def act(form: OpenForm) -> HttpResponseRedirect:
            due = datetime.combine(form.cleaned_data["due_on"] + timedelta(days=1), time.min, UTC)
            officer = Officer(user, form.cleaned_data["password"])
            review = review_open(officer=officer, due_at=due, at=timezone.now())
            messages.success(request, "Opened.")
            return HttpResponseRedirect(record_address(review))

        return signed_page(self, request, page, OpenForm(request.POST or None), act)

    def _close(self, request: HttpRequest, review: AccessReview) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=review,
            kind="Close a review",
            heading=str(review),
            lead="Every line was decided. Nothing of it changes any more.",
            title="Your step",
            states=(("Printed name", user.printed_name), ("You state", strong("Everybody's access was reviewed."))),
            submit="Close it",
            undone="Not closed.",
            decline="Leave it open",
            back=record_address(review),
            back_words="Back to the review",
            hindrance=closing_hindrance(user=user, review=review),
        )

        def act(form: CloseForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            review_close(officer=officer, review=review, at=timezone.now())
            messages.success(request, "Closed.")
            return HttpResponseRedirect(record_address(review))

        return signed_page(self, request, page, CloseForm(request.POST or None), act)


@admin.register(AccessReviewLine)
class AccessReviewLineAdmin(GovernedAdmin[AccessReviewLine]):
    """The lines of reviews, each of which somebody decides."""

    kinds = ("access_review_line",)
    list_display = (person_column("account"), "rights", "decided", moment_column("last_sign_in"), "review")
    list_select_related = ("account", "review", "decision")
    search_fields = ("id__exact", "account__username__icontains")

    @admin.display(description="decision")
    def decided(self, line: AccessReviewLine) -> Cell:
        """Show what was decided."""
        return _decision_badge(line)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to decide it."""
        return (Address("decide", self._decide, _STEP),)

    def page(self, request: HttpRequest, record: AccessReviewLine) -> Page:
        """Show what is held, and what was decided."""
        hindrance = deciding_hindrance(user=cast("User", request.user), line=record)
        decide = Action(words="Decide", address=record_address(record, "decide"), symbol="rule", tone="main")
        return Page(
            heading=record.account.printed_name,
            lead=record.rights,
            badge=_decision_badge(record),
            actions=() if hindrance else (decide,),
            sections=(_line_section(record), ledger_section(record.review_id)),
        )

    def _decide(self, request: HttpRequest, line: AccessReviewLine) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=line,
            kind="Review access",
            heading=line.account.printed_name,
            lead="What you take away ends at once.",
            sections=(_line_section(line),),
            title="Your decision",
            states=(("Printed name", user.printed_name), ("You state", strong("I looked whether this is needed."))),
            submit="Decide",
            undone="Not decided.",
            decline="Do not decide",
            back=record_address(line.review),
            back_words="Back to the review",
            hindrance=deciding_hindrance(user=user, line=line),
        )

        def act(form: DecideForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            line_decide(
                officer=Officer(user, sent["password"]),
                line=line,
                kind=AccessDecisionKind(sent["kind"]),
                reason=sent["reason"],
                at=timezone.now(),
            )
            messages.success(request, "Decided.")
            return HttpResponseRedirect(record_address(line.review))

        return signed_page(self, request, page, DecideForm(request.POST or None), act)


def _state(review: AccessReview) -> SafeString:
    if hasattr(review, "closing"):
        return badge("passed", "closed")
    return badge("error", "overdue") if review.due_at <= timezone.now() else badge("open", "open")


def _decision_badge(line: AccessReviewLine) -> SafeString:
    decision: AccessDecision | None = getattr(line, "decision", None)
    if decision is None:
        return badge("open", "waits")
    return badge("passed" if decision.kind == AccessDecisionKind.KEPT else "failed", decision.get_kind_display())


def _lines_section(review: AccessReview) -> Section:
    lines = review.lines.select_related("account", "decision__by").order_by("decision", "account__username", "id")
    return Table(
        title="What is held",
        note="As it was when the review was opened.",
        columns=("Account", "May", "Last sign-in", "Last signature", "Token last used", "Decision"),
        rows=tuple(
            (
                link(line.account, line.account.printed_name),
                anchor(record_address(line), line.rights),
                moment(line.last_sign_in),
                moment(line.last_signature),
                moment(line.token_last_used),
                _decision_badge(line),
            )
            for line in lines
        ),
        empty="Nobody held anything.",
    )


def _line_section(line: AccessReviewLine) -> Section:
    decision: AccessDecision | None = getattr(line, "decision", None)
    return Facts(
        title="What is held",
        rows=(
            ("Review", link(line.review)),
            ("Account", link(line.account, line.account.printed_name)),
            ("May", line.rights),
            ("Since", moment(line.since)),
            ("Until", moment(line.until)),
            ("Last sign-in", moment(line.last_sign_in)),
            ("Last signature", moment(line.last_signature)),
            ("Token last used", moment(line.token_last_used)),
            ("Decided by", link(decision.by, decision.by.printed_name) if decision else NOTHING),
            ("Reason", (decision.reason or None) if decision else NOTHING),
        ),
    )


def _held_table(request: HttpRequest, _none: None) -> HttpResponse:  # noqa: ARG001 - Django passes it
    rows = [held.row() for held in access_held(at=timezone.now())]
    return attachment(_csv(COLUMNS, rows), "access.csv", "text/csv; charset=utf-8")


def _review_table(request: HttpRequest, review: AccessReview) -> HttpResponse:  # noqa: ARG001
    columns = ("account", "rights", "since", "until", "last_sign_in", "last_signature", "token_last_used")
    lines = review.lines.select_related("account", "decision__by")
    rows = []
    for line in lines:
        decision: AccessDecision | None = getattr(line, "decision", None)
        moments = (line.since, line.until, line.last_sign_in, line.last_signature, line.token_last_used)
        decided = (decision.kind, decision.by.username, decision.reason) if decision else ("", "", "")
        told = (item.isoformat() if item else "" for item in moments)
        rows.append((line.account.username, line.rights, *told, *decided))
    content = _csv((*columns, "decision", "by", "reason"), rows)
    return attachment(content, f"{review.id}.csv", "text/csv; charset=utf-8")


def _csv(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    """Write rows for a spreadsheet; what one would take for a formula stands behind an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row] for row in rows)
    return text.getvalue().encode()
