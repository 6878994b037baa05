"""Tiers of systems: what was assessed, the working as tables, and whether it still stands."""

import json
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin, RecordList, moment_column, person_column
from governance.admin.cells import NOTHING, Cell, badge, code, link, moment, nested, record_address, stack, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table
from governance.admin.tier_steps import assessment_addresses
from governance.enums import DraftState
from governance.models import AiSystem, TierAssessment, User
from governance.selectors.tiers import TierStanding, stale_reasons, tier_standing
from governance.services.tiers import judging_hindrance, tier_publishing_hindrance
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


class _StaleList(RecordList):
    """A list that asks once for all of its rows whether they still stand."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows, and what is no longer as it was."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        stale = stale_reasons(assessments=rows, at=timezone.now())
        for row in rows:
            row.stale = stale[row.pk]
        self.result_list = rows


@admin.register(TierAssessment)
class TierAssessmentAdmin(GovernedAdmin[TierAssessment]):
    """Assessments of the risk tiers of systems."""

    kinds = ("tier_assessment",)
    deferred = ("working",)
    list_display = (
        "system",
        "tier",
        "state_badge",
        "standing",
        "template_version",
        person_column("drafted_by"),
        moment_column("drafted_at"),
    )
    list_select_related = ("system", "template_version__template", "drafted_by", "publication", "withdrawal")
    search_fields = ("id__exact", "system__slug__exact", "final__exact")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RecordList]:  # noqa: ANN401, ARG002
        """Ask once for all rows whether they still stand."""
        return _StaleList

    @admin.display(description="tier")
    def tier(self, assessment: TierAssessment) -> Cell:
        """Show the tier."""
        return assessment.final or "incomplete"

    @admin.display(description="state")
    def state_badge(self, assessment: TierAssessment) -> Cell:
        """Show what became of it."""
        return badge(assessment.state, assessment.state)

    @admin.display(description="stands")
    def standing(self, assessment: TierAssessment) -> Cell:
        """Show whether what it rests on is still so."""
        return stale_badge(assessment.stale)  # type: ignore[attr-defined]  # given by the list

    def head(self, request: HttpRequest) -> ListHead:  # noqa: ARG002
        """Say where an assessment begins."""
        return ListHead(
            lead="The newest published assessment of a system gives its tier. A system is assessed on its page."
        )

    def subject(self, record: TierAssessment) -> Subject:
        """Name it with the digest of its working."""
        return Subject("tier_assessment", record.id, Digest.from_text(record.working_digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer the bytes, and the steps."""
        return (
            Address("working.json", _working_download),
            Address("fields.json", _fields_download),
            *assessment_addresses(self, working_sections),
        )

    def page(self, request: HttpRequest, record: TierAssessment) -> Page:
        """Show the tier, how it came about, and what can be done with it."""
        user, now = cast("User", request.user), timezone.now()
        stale = stale_reasons(assessments=[record], at=now)[record.id]
        notices = [Notice(words=f"Stale: {words}.", tone="bad") for words in stale]
        actions: list[Action] = []
        if record.state is DraftState.OPEN:
            hindrance = tier_publishing_hindrance(user=user, assessment=record, at=now)
            if hindrance:
                notices.append(Notice(words=f"You cannot publish it: {hindrance}."))
            actions = _actions(record, user, can_publish=not hindrance)
        return Page(
            heading=str(record),
            lead=f"Assessed under {record.template_version}.",
            badge=badge(record.state, record.state),
            notices=tuple(notices),
            actions=(
                *actions,
                Action(words="Working", address=record_address(record, "working.json"), symbol="download"),
                Action(words="Fields", address=record_address(record, "fields.json"), symbol="download"),
            ),
            sections=(
                Facts(title="Assessment", rows=_rows(record)),
                *working_sections(record),
                ledger_section(record.id),
            ),
        )


def _actions(assessment: TierAssessment, user: User, *, can_publish: bool) -> list[Action]:
    publish = Action(words="Publish", address=record_address(assessment, "publish"), symbol="publish", tone="main")
    confirm = Action(words="Confirm the lower tier", address=record_address(assessment, "confirm"), symbol="check")
    withdraw = Action(words="Withdraw", address=record_address(assessment, "withdraw"), symbol="undo")
    unconfirmed = assessment.is_lowered and not hasattr(assessment, "confirmation")
    can_confirm = unconfirmed and not judging_hindrance(user=user, assessment=assessment)
    return [*((publish,) if can_publish else ()), *((confirm,) if can_confirm else ()), withdraw]


def stale_badge(stale: tuple[str, ...]) -> Cell:
    """Mark what has to be assessed anew."""
    return badge("expired", "stale") if stale else badge("pass", "as assessed")


def tier_section(system: AiSystem) -> Section:
    """Show the tier of a system on its page."""
    standing = tier_standing(system=system, at=timezone.now())
    if standing.publication is None:
        nobody = "Nobody has assessed the risk tier, so only policies for all tiers apply."
        return Table(title="Risk tier", columns=(), rows=(), empty=nobody)
    return Facts(title="Risk tier", rows=_standing_rows(standing))


def _standing_rows(standing: TierStanding) -> tuple[tuple[str, Cell], ...]:
    publication = standing.publication
    assert publication is not None
    return (
        ("Tier", standing.tier),
        ("Stands", stale_badge(standing.stale)),
        ("Why it is stale", stack(standing.stale) if standing.stale else None),
        ("Assessment", link(publication.assessment)),
        ("Template", link(publication.assessment.template_version)),
        ("Published by", link(publication.published_by, publication.published_by.printed_name)),
        ("Published", moment(publication.published_at)),
    )


def _rows(record: TierAssessment) -> tuple[tuple[str, Cell], ...]:
    confirmation, publication = getattr(record, "confirmation", None), getattr(record, "publication", None)
    withdrawal = getattr(record, "withdrawal", None)
    steps = (
        ("Confirmed by", confirmation, "confirmed_by", "confirmed_at"),
        ("Published by", publication, "published_by", "published_at"),
        ("Withdrawn by", withdrawal, "withdrawn_by", "withdrawn_at"),
    )
    return (
        ("Id", code(record.id)),
        ("System", link(record.system)),
        ("Tier", record.final or "incomplete"),
        ("Suggested", record.suggested or NOTHING),
        ("Reason", record.reason or None),
        ("Template", link(record.template_version)),
        ("Digest of the fields", whole(record.snapshot_digest)),
        ("Digest of the working", whole(record.working_digest)),
        ("Drafted by", link(record.drafted_by, record.drafted_by.printed_name)),
        ("Drafted", moment(record.drafted_at)),
        *(
            (words, stack((link(who := getattr(step, by), who.printed_name), moment(getattr(step, at)))))
            for words, step, by, at in steps
            if step
        ),
        ("Reason for the lower tier", confirmation.reason if confirmation else None),
        ("Reason for withdrawing", withdrawal.reason if withdrawal else None),
    )


def working_sections(record: TierAssessment) -> tuple[Section, ...]:
    """Show how the suggested tier came about, from the bytes that were stored."""
    working = json.loads(bytes(record.working))
    threshold = working["threshold"]
    ends = f"from {threshold['from']}" if threshold else NOTHING
    if threshold and threshold["below"] is not None:
        ends = f"{ends}, below {threshold['below']}"
    return (
        Table(
            title="Working",
            note="Fields as they were when it was drafted. The first rule that is met gives the points.",
            columns=("Factor", "Field", "Value", "Rule", "Points", "Factor's points", "Weight", "Share"),
            rows=tuple(
                (
                    f"{factor['id']}: {factor['title']}",
                    item["field"],
                    "missing" if item["value"] is None else nested(item["value"]),
                    item["condition"] or item["problem"],
                    item["points"],
                    stack((factor["points"], factor["aggregation"])) if factor["points"] is not None else None,
                    factor["weight"],
                    factor["weighted"],
                )
                for factor in working["factors"]
                for item in factor["components"]
            ),
        ),
        Facts(
            title="Total",
            rows=(
                ("Sum of the shares", working["total"]),
                ("Threshold", ends),
                ("Tier of the threshold", threshold["tier"] if threshold else None),
                ("Suggested", working["suggested"]),
                ("Incomplete because", stack(working["problems"]) if working["problems"] else None),
            ),
        ),
        Table(
            title="Overrides",
            columns=("Override", "Field", "Value", "Condition", "Applies", "At least"),
            rows=tuple(
                (
                    f"{item['id']}: {item['title']}",
                    item["field"],
                    "missing" if item["value"] is None else nested(item["value"]),
                    item["condition"],
                    "not known" if item["applies"] is None else nested(item["applies"]),
                    item["at_least"],
                )
                for item in working["overrides"]
            ),
            empty="The template has none.",
        ),
    )


def _working_download(request: HttpRequest, record: TierAssessment) -> HttpResponse:  # noqa: ARG001
    return attachment(bytes(record.working), f"{record.id}-working.json", "application/json")


def _fields_download(request: HttpRequest, record: TierAssessment) -> HttpResponse:  # noqa: ARG001
    return attachment(bytes(record.snapshot), f"{record.id}-fields.json", "application/json")
