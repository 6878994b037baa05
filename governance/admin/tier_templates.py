"""Tier templates, their drafts and their versions, as text and as rules."""

from typing import cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, record_address, stack, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table, Text
from governance.admin.tier_template_steps import DRAFT, draft_addresses, draft_view
from governance.enums import DraftState
from governance.models import TierTemplate, TierTemplateDraft, TierTemplateVersion, User
from governance.selectors.tiers import template_parsed
from governance.services.tier_templates import TEMPLATES
from governance.tiering.template import Component
from governance.tiering.template import TierTemplate as Template
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(TierTemplate)
class TierTemplateAdmin(GovernedAdmin[TierTemplate]):
    """Tier templates."""

    kinds = ("tier_template",)
    list_display = ("slug", moment_column("created_at"))
    search_fields = ("id__exact", "slug__exact")
    ordering = ("slug",)

    def page(self, request: HttpRequest, record: TierTemplate) -> Page:  # noqa: ARG002
        """Show a template's versions."""
        versions = record.versions.select_related("published_by", "draft__drafted_by").order_by("-number")
        return Page(
            heading=record.slug,
            lead="Systems are assessed under the newest version; assessments under an older one are stale.",
            sections=(
                Table(
                    title="Versions",
                    columns=("Version", "Tiers", "Digest", "Drafted by", "Published by", "Published"),
                    rows=tuple(
                        (
                            link(item, f"version {item.number}"),
                            ", ".join(item.tiers),
                            code(item.digest),
                            item.draft.drafted_by.printed_name,
                            item.published_by.printed_name,
                            moment(item.published_at),
                        )
                        for item in versions
                    ),
                ),
                ledger_section(record.id),
            ),
        )


@admin.register(TierTemplateVersion)
class TierTemplateVersionAdmin(GovernedAdmin[TierTemplateVersion]):
    """Tier templates as published."""

    kinds = ("tier_template_version",)
    deferred = ("document",)
    list_display = ("__str__", "digest_code", person_column("published_by"), moment_column("published_at"))
    list_select_related = ("template", "published_by")
    search_fields = ("id__exact", "digest__startswith", "template__slug__exact")

    @admin.display(description="digest")
    def digest_code(self, version: TierTemplateVersion) -> Cell:
        """Show the digest."""
        return code(version.digest)

    def subject(self, record: TierTemplateVersion) -> Subject:
        """Name it with its digest."""
        return Subject("tier_template_version", record.id, Digest.from_text(record.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer the text."""
        return (Address("document", _text_download),)

    def page(self, request: HttpRequest, record: TierTemplateVersion) -> Page:  # noqa: ARG002
        """Show the rules in words and the text as published."""
        template = template_parsed(record.document)
        return Page(
            heading=str(record),
            lead=template.title,
            actions=(Action(words="Text", address=record_address(record, "document"), symbol="download", tone="main"),),
            sections=(
                *template_sections(template),
                Facts(
                    title="Version",
                    rows=(
                        ("Id", code(record.id)),
                        ("Template", link(record.template)),
                        ("Digest", whole(record.digest)),
                        ("Drafted by", link(record.draft, record.draft.drafted_by.printed_name)),
                        ("Published by", link(record.published_by, record.published_by.printed_name)),
                        ("Published", moment(record.published_at)),
                    ),
                ),
                Text(title="Text", text=record.document),
                ledger_section(record.id),
            ),
        )


@admin.register(TierTemplateDraft)
class TierTemplateDraftAdmin(GovernedAdmin[TierTemplateDraft]):
    """Texts of tier templates that wait for somebody to publish them, and what became of them."""

    kinds = ("tier_template_draft",)
    deferred = ("document",)
    list_display = ("__str__", "state_badge", person_column("drafted_by"), moment_column("drafted_at"))
    list_select_related = ("drafted_by", "version", "withdrawal")
    search_fields = ("id__exact", "digest__startswith", "slug__exact")

    @admin.display(description="state")
    def state_badge(self, draft: TierTemplateDraft) -> Cell:
        """Show what became of it."""
        return badge(draft.state, draft.state)

    def subject(self, record: TierTemplateDraft) -> Subject:
        """Name it with its digest."""
        return TEMPLATES.subject(record)

    def head(self, request: HttpRequest) -> ListHead:  # noqa: ARG002
        """Offer to draft one."""
        address = reverse(f"admin:governance_tiertemplatedraft_{DRAFT}")
        return ListHead(
            lead="Somebody else than the author publishes it.",
            actions=(Action(words="Draft a template", address=address, symbol="add", tone="main"),),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the form to draft one."""
        return (Address(DRAFT, draft_view(self), ("GET", "HEAD", "POST")),)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to publish it and to withdraw it."""
        return draft_addresses(self)

    def page(self, request: HttpRequest, record: TierTemplateDraft) -> Page:
        """Show the rules in words, the text, and what can be done with it."""
        template = template_parsed(record.document)
        opened = record.state is DraftState.OPEN
        hindrance = TEMPLATES.hindrance(user=cast("User", request.user), draft=record) if opened else None
        publish = Action(words="Publish", address=record_address(record, "publish"), symbol="publish", tone="main")
        withdraw = Action(words="Withdraw", address=record_address(record, "withdraw"), symbol="undo")
        return Page(
            heading=str(record),
            lead=template.title,
            badge=badge(record.state, record.state),
            notices=(Notice(words=f"You cannot publish it: {hindrance}."),) if hindrance else (),
            actions=((*(() if hindrance else (publish,)), withdraw) if opened else ()),
            sections=(
                *template_sections(template),
                Facts(title="Draft", rows=_draft_rows(record)),
                Text(title="Text", text=record.document),
                ledger_section(record.id),
            ),
        )


def template_sections(template: Template) -> tuple[Section, ...]:
    """Show a template's factors, thresholds and overrides in words."""
    return (
        Table(
            title="Factors",
            note="The first rule that is met gives the points. Nothing is rounded: all numbers are whole.",
            columns=("Factor", "Joined by", "Weight", "Field", "Rules"),
            rows=tuple(
                (f"{factor.id}: {factor.title}", factor.aggregation.value, factor.weight, item.field, _rules(item))
                for factor in template.factors
                for item in factor.components
            ),
        ),
        Table(
            title="Thresholds",
            note=f"Of the sum of the weighted factors, which is {template.most} at most.",
            columns=("Tier", "From", "Below"),
            rows=tuple((item.tier, item.least, item.below) for item in template.thresholds),
        ),
        Table(
            title="Overrides",
            columns=("Override", "Field", "Condition", "At least"),
            rows=tuple(
                (
                    f"{item.id}: {item.title}",
                    item.field,
                    item.condition.words + (", or missing" if item.or_missing else ""),
                    item.at_least,
                )
                for item in template.overrides
            ),
            empty="Nothing goes before the total.",
        ),
    )


def _rules(component: Component) -> Cell:
    return stack(f"{rule.condition.words}: {rule.points}" for rule in component.rules)


def _draft_rows(draft: TierTemplateDraft) -> tuple[tuple[str, Cell], ...]:
    ended: tuple[tuple[str, Cell], ...] = ()
    if draft.state is DraftState.PUBLISHED:
        ended = (("Published as", link(draft.version)),)
    elif draft.state is DraftState.WITHDRAWN:
        withdrawal = draft.withdrawal
        ended = (
            ("Withdrawn by", link(withdrawal.withdrawn_by, withdrawal.withdrawn_by.printed_name)),
            ("Withdrawn", moment(withdrawal.withdrawn_at)),
            ("Reason", withdrawal.reason),
        )
    return (
        ("Id", code(draft.id)),
        ("Template", draft.slug),
        ("Digest", whole(draft.digest)),
        ("Drafted by", link(draft.drafted_by, draft.drafted_by.printed_name)),
        ("Drafted", moment(draft.drafted_at)),
        *ended,
    )


def _text_download(request: HttpRequest, version: TierTemplateVersion) -> HttpResponse:  # noqa: ARG001
    return attachment(version.document.encode(), f"{version}.yaml".replace(" ", "-"), "application/yaml")
