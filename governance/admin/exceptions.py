"""Exceptions to rules and overrides of denials: what is asked for, who answered, until when, and the steps."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, anchor, badge, code, link, moment, record_address, strong
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.enums import ExceptionStep, OverrideStep
from governance.models import Override, OverrideStepRecord, PolicyException, PolicyExceptionStep, User
from governance.services.exceptions import exception_answer, exception_hindrance
from governance.services.officers import Officer
from governance.services.overrides import override_hindrance, override_step
from governance.services.steps import REASON_MINIMUM

_STEP = ("GET", "HEAD", "POST")
_SYMBOLS = {
    "accepted": "check_circle",
    "approved": "check_circle",
    "refused": "cancel",
    "withdrawn": "undo",
    "ended": "stop_circle",
    "reviewed": "rate_review",
}


class StepForm(forms.Form):
    """Why a step is taken, and proof of who takes it."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


def steps_section(steps: list[Any]) -> Section:
    """Show who did what to a request."""
    return Table(
        title="What became of it",
        columns=("Step", "By", "Reason", "Time"),
        rows=tuple(
            (
                badge(item.kind, item.get_kind_display()),
                link(item.by, item.by.printed_name),
                item.reason,
                moment(item.at),
            )
            for item in steps
        ),
        empty="Nobody has answered yet.",
    )


@admin.register(PolicyException)
class PolicyExceptionAdmin(GovernedAdmin[PolicyException]):
    """Exceptions to rules."""

    kinds = ("policy_exception",)
    list_display = (
        "rule",
        "about",
        "environment",
        "standing",
        person_column("owner"),
        moment_column("requested_at"),
        moment_column("expires_at"),
    )
    list_select_related = ("model_version__model", "system", "owner")
    search_fields = ("id__exact", "rule__exact", "environment__exact", "model_version__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's type
        """Fetch the steps of a page's rows in one query."""
        return super().get_queryset(request).prefetch_related("steps__by")

    @admin.display(description="about")
    def about(self, record: PolicyException) -> Cell:
        """Name the model version or the system."""
        return link(record.model_version or record.system)

    @admin.display(description="state")
    def standing(self, record: PolicyException) -> Cell:
        """Say what it is worth now."""
        return _standing(record, "accepted", "Waits for an answer")

    def addresses(self) -> tuple[Address, ...]:
        """Offer to accept, to refuse, to withdraw."""
        return tuple(Address(step.value, _exception_view(self, step), _STEP) for step in ExceptionStep)

    def page(self, request: HttpRequest, record: PolicyException) -> Page:
        """Show what is asked for and what became of it."""
        user = cast("User", request.user)
        return Page(
            heading=str(record),
            badge=self.standing(record),  # type: ignore[arg-type]  # a badge
            lead="The rule is then waived, which is not a pass, and the attestation says so.",
            actions=_actions(record, ExceptionStep, lambda _step: exception_hindrance(user=user, exception=record)),
            sections=(_exception_facts(record), steps_section(_steps(record)), ledger_section(record.id)),
        )


def _exception_facts(record: PolicyException) -> Facts:
    return Facts(
        title="Exception",
        rows=(
            ("Id", code(record.id)),
            ("Rule", record.rule),
            ("About", link(record.model_version or record.system)),
            ("Environment", record.environment),
            ("Owner of the risk", link(record.owner, record.owner.printed_name)),
            ("Reason", record.reason),
            ("Risk that is accepted", record.risk),
            ("What is done instead", record.compensating_control),
            ("Requested by", link(record.requested_by, record.requested_by.printed_name)),
            ("Requested", moment(record.requested_at)),
            ("Ends", moment(record.expires_at)),
        ),
    )


def _exception_view(shown: GovernedAdmin[PolicyException], step: ExceptionStep) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, record: PolicyException) -> HttpResponseBase:
        user = cast("User", request.user)
        page = _step_page(
            request,
            record,
            kind=_WORDS[step.value],
            states=_STATEMENTS[step.value],
            sections=(_exception_facts(record), steps_section(_steps(record))),
            hindrance=exception_hindrance(user=user, exception=record),
        )

        def act(form: StepForm) -> HttpResponseRedirect:
            exception_answer(
                officer=Officer(user, form.cleaned_data["password"]),
                exception_id=record.id,
                step=step,
                reason=form.cleaned_data["reason"],
                at=timezone.now(),
            )
            messages.success(request, f"{step.label}.")
            return HttpResponseRedirect(record_address(record))

        return signed_page(shown, request, page, StepForm(request.POST or None), act)

    return view


@admin.register(Override)
class OverrideAdmin(GovernedAdmin[Override]):
    """Overrides of denials."""

    kinds = ("override",)
    list_display = (
        "matter",
        "standing",
        person_column("requested_by"),
        moment_column("requested_at"),
        moment_column("expires_at"),
        person_column("review_owner"),
        moment_column("review_due_at"),
    )
    list_select_related = ("decision__model_version__model", "requested_by", "review_owner")
    search_fields = ("id__exact", "decision__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's type
        """Fetch the steps of a page's rows in one query."""
        return super().get_queryset(request).prefetch_related("steps__by")

    @admin.display(description="denial")
    def matter(self, record: Override) -> Cell:
        """Name what was denied."""
        return f"{record.decision.model_version} to {record.decision.environment}"

    @admin.display(description="state")
    def standing(self, record: Override) -> Cell:
        """Say what it is worth now."""
        return _standing(record, "approved", "Waits for an answer")

    def addresses(self) -> tuple[Address, ...]:
        """Offer the signed statement and the steps."""
        steps = (Address(step.value, _override_view(self, step), _STEP) for step in OverrideStep)
        return (Address("statement", _statement_download), *steps)

    def page(self, request: HttpRequest, record: Override) -> Page:
        """Show what is asked for and what became of it."""
        user = cast("User", request.user)
        return Page(
            heading=f"Override for {record.decision.model_version} to {record.decision.environment}",
            badge=self.standing(record),  # type: ignore[arg-type]  # a badge
            lead="While it is in force the gate allows what its decision denies, and says so with every answer.",
            actions=_actions(
                record,
                OverrideStep,
                lambda step: override_hindrance(user=user, override=record, step=OverrideStep(step)),
            ),
            sections=(_override_facts(record), steps_section(_steps(record)), ledger_section(record.id)),
        )


def _override_facts(record: Override) -> Facts:
    approval = next((item for item in _steps(record) if item.kind == OverrideStep.APPROVED), None)
    statement = anchor(record_address(record, "statement"), f"{record.id}.dsse.json") if approval else None
    return Facts(
        title="Override",
        rows=(
            ("Id", code(record.id)),
            ("Denial", link(record.decision)),
            ("Reason", record.reason),
            ("Ticket", record.ticket_url),
            ("Requested by", link(record.requested_by, record.requested_by.printed_name)),
            ("Requested", moment(record.requested_at)),
            ("Ends", moment(record.expires_at)),
            ("Reviewed by", link(record.review_owner, record.review_owner.printed_name)),
            ("Review due", moment(record.review_due_at)),
            ("Signed statement", statement),
        ),
    )


def _override_view(shown: GovernedAdmin[Override], step: OverrideStep) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, record: Override) -> HttpResponseBase:
        user = cast("User", request.user)
        page = _step_page(
            request,
            record,
            kind=_WORDS[step.value],
            states=_STATEMENTS[step.value],
            sections=(_override_facts(record), steps_section(_steps(record))),
            hindrance=override_hindrance(user=user, override=record, step=step),
        )

        def act(form: StepForm) -> HttpResponseRedirect:
            override_step(
                officer=Officer(user, form.cleaned_data["password"]),
                override_id=record.id,
                step=step,
                reason=form.cleaned_data["reason"],
                at=timezone.now(),
            )
            messages.success(request, f"{step.label}.")
            return HttpResponseRedirect(record_address(record))

        return signed_page(shown, request, page, StepForm(request.POST or None), act)

    return view


def _statement_download(request: HttpRequest, record: Override) -> HttpResponse:  # noqa: ARG001
    approval = record.steps.filter(kind=OverrideStep.APPROVED).first()
    if approval is None or approval.statement is None:
        return HttpResponse("Nobody approved it.\n", status=409, content_type="text/plain; charset=utf-8")
    return attachment(bytes(approval.statement), f"{record.id}.dsse.json", "application/vnd.dsse.envelope.v1+json")


_WORDS = {
    "accepted": "Accept the risk",
    "approved": "Approve the override",
    "refused": "Refuse",
    "withdrawn": "Withdraw",
    "ended": "End it now",
    "reviewed": "Record the review",
}
_STATEMENTS = {
    "accepted": "I accept this risk, with what is done instead, until it ends.",
    "approved": "I approve that the denial is overridden until it ends.",
    "refused": "I refuse what is asked for.",
    "withdrawn": "The risk is no longer accepted.",
    "ended": "The emergency is over; the denial holds again.",
    "reviewed": "I reviewed what was done under this override. What follows is my conclusion.",
}


def _actions(record: Any, steps: Any, hindrance: Callable[[str], str | None]) -> tuple[Action, ...]:  # noqa: ANN401
    """Offer the steps that follow on what was done, to who can take them."""
    taken = {item.kind for item in _steps(record)}
    is_over = record.expires_at <= timezone.now() or "ended" in taken
    following: tuple[str, ...] = ()
    if not taken:
        following = () if is_over else ("accepted", "approved", "refused")
    elif taken <= {"accepted", "approved", "ended"}:
        following = ("reviewed",) if is_over else ("withdrawn", "ended")
    return tuple(
        Action(
            words=_WORDS[step],
            address=record_address(record, step),
            symbol=_SYMBOLS[step],
            tone="danger" if step in {"approved", "accepted"} else "plain",
        )
        for step in following
        if step in steps.values and not hindrance(step)
    )


def _standing(record: Any, begins: str, waits: str) -> Cell:  # noqa: ANN401 - either kind
    taken = {item.kind: item.get_kind_display() for item in _steps(record)}
    for last in ("reviewed", "withdrawn", "ended", "refused"):
        if last in taken:
            return badge(last, taken[last])
    if record.expires_at <= timezone.now():
        return badge("expired", "Ran out")
    return badge("allowed", "In force") if begins in taken else badge("requested", waits)


def _steps(record: PolicyException | Override) -> list[PolicyExceptionStep | OverrideStepRecord]:
    return list(record.steps.all())


def _step_page(
    request: HttpRequest,
    record: PolicyException | Override,
    *,
    kind: str,
    states: str,
    sections: tuple[Section, ...],
    hindrance: str | None,
) -> SignedPage:
    user = cast("User", request.user)
    return SignedPage(
        record=record,
        kind=kind,
        heading=str(record),
        lead=states,
        sections=sections,
        title="Your step",
        states=(("Printed name", user.printed_name), ("You state", strong(states))),
        submit=kind,
        tone="danger",
        undone="Not done.",
        decline="Leave it as it is",
        back=record_address(record),
        back_words="Back",
        hindrance=hindrance,
    )
