"""Policies, their drafts and their versions, as text and as rules."""

from typing import cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from governance.admin.attachments import attach_actions, attach_addresses, attachments_section
from governance.admin.base import Address, GovernedAdmin, moment_column, person_column, seen_by
from governance.admin.cells import NOTHING, Cell, badge, code, link, moment, record_address, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.policy_editor import EDITOR, editor, editor_address
from governance.admin.policy_sections import difference_section, rules_in_words, trial_section
from governance.admin.policy_steps import draft_addresses
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Table, Text
from governance.enums import Role
from governance.models import Policy, PolicyDraft, PolicyVersion, User
from governance.policy.document import PolicyDocument
from governance.services.policies import policy_compile, policy_document, publishing_hindrance
from governance.services.simulation import policy_simulate
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(Policy)
class PolicyAdmin(GovernedAdmin[Policy]):
    """Policies."""

    kinds = ("policy",)
    list_display = ("slug", moment_column("created_at"))
    search_fields = ("id__exact", "slug__exact")
    ordering = ("slug",)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to propose where it is in force."""
        return attach_addresses(self)

    def page(self, request: HttpRequest, record: Policy) -> Page:
        """Show where a policy is in force, and its versions."""
        versions = record.versions.select_related("published_by", "draft__drafted_by").order_by("-number")
        return Page(
            heading=record.slug,
            lead="The newest version is in force wherever the policy is attached.",
            actions=attach_actions(request, record),
            sections=(
                attachments_section(record),
                Table(
                    title="Versions",
                    columns=("Version", "Digest", "Drafted by", "Published by", "Published"),
                    rows=tuple(
                        (
                            link(item, f"version {item.number}"),
                            code(item.digest),
                            item.draft.drafted_by.printed_name if item.draft else NOTHING,
                            item.published_by.printed_name,
                            moment(item.published_at),
                        )
                        for item in versions
                    ),
                ),
            ),
        )


@admin.register(PolicyVersion)
class PolicyVersionAdmin(GovernedAdmin[PolicyVersion]):
    """Policies as published."""

    kinds = ("policy_version",)
    deferred = ("document",)
    list_display = ("__str__", "digest_code", person_column("published_by"), moment_column("published_at"))
    list_select_related = ("policy", "published_by")
    search_fields = ("id__exact", "digest__startswith", "policy__slug__exact")

    @admin.display(description="digest")
    def digest_code(self, version: PolicyVersion) -> Cell:
        """Show the digest."""
        return code(version.digest)

    def subject(self, record: PolicyVersion) -> Subject:
        """Name it with its digest."""
        return Subject("policy_version", record.id, Digest.from_text(record.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer the text."""
        return (Address("document", _text_download),)

    def page(self, request: HttpRequest, record: PolicyVersion) -> Page:  # noqa: ARG002
        """Show the rules in words and the text as published."""
        policy = policy_document(record)
        return Page(
            heading=str(record),
            lead=policy.title,
            actions=(
                Action(words="Text", address=record_address(record, "document"), symbol="download", tone="main"),
                Action(words="Draft the next version", address=editor_address(record), symbol="edit_note"),
            ),
            sections=(
                rules_in_words(policy),
                *difference_section(record.document, _before(record)),
                Facts(title="Policy", rows=_rows(record, policy)),
                Text(title="Text", text=record.document),
                ledger_section(record.id),
            ),
        )


@admin.register(PolicyDraft)
class PolicyDraftAdmin(GovernedAdmin[PolicyDraft]):
    """Texts of policies that wait for somebody to publish them, and what became of them."""

    kinds = ("policy_draft",)
    deferred = ("document",)
    list_display = ("__str__", "state_badge", person_column("drafted_by"), moment_column("drafted_at"))
    list_select_related = ("drafted_by", "version", "withdrawal")
    search_fields = ("id__exact", "digest__startswith", "slug__exact")

    @admin.display(description="state")
    def state_badge(self, draft: PolicyDraft) -> Cell:
        """Show what became of it."""
        return _state(draft)

    def subject(self, record: PolicyDraft) -> Subject:
        """Name it with its digest."""
        return Subject("policy_draft", record.id, Digest.from_text(record.digest))

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to write one, to people; a superuser answers for no rule."""
        may = not cast("User", request.user).is_superuser
        write = Action(words="Write a policy", address=editor_address(), symbol="add", tone="main")
        return ListHead(lead="Texts that somebody else may publish.", actions=(write,) if may else ())

    def list_addresses(self) -> tuple[Address, ...]:
        """Offer the page on which a text is written."""
        return (Address(EDITOR, editor(self), ("GET", "HEAD", "POST")),)

    def addresses(self) -> tuple[Address, ...]:
        """Offer to publish it and to withdraw it."""
        return draft_addresses(self)

    def page(self, request: HttpRequest, record: PolicyDraft) -> Page:
        """Show the rules in words, the text, and what can be done with it."""
        policy = policy_compile(document=record.document)
        opened = record.state == "open"
        hindrance = publishing_hindrance(user=cast("User", request.user), draft=record) if opened else None
        publish = Action(words="Publish", address=record_address(record, "publish"), symbol="publish", tone="main")
        withdraw = Action(words="Withdraw", address=record_address(record, "withdraw"), symbol="undo")
        return Page(
            heading=str(record),
            lead=policy.title,
            badge=_state(record),
            notices=(Notice(words=f"You cannot publish it: {hindrance}."),) if hindrance else (),
            actions=((*(() if hindrance else (publish,)), withdraw) if opened else ()),
            sections=(
                rules_in_words(policy),
                *difference_section(record.document, _newest(record)),
                *(
                    (trial_section(policy_simulate(document=record.document, seen_by=seen_by(request))),)
                    if opened
                    else ()
                ),
                Facts(title="Draft", rows=_draft_rows(record, policy)),
                Text(title="Text", text=record.document),
                ledger_section(record.id),
            ),
        )


def _before(version: PolicyVersion) -> PolicyVersion | None:
    return version.policy.versions.filter(number__lt=version.number).order_by("-number").first()


def _newest(draft: PolicyDraft) -> PolicyVersion | None:
    if draft.state == "published":
        return _before(draft.version)
    return PolicyVersion.objects.filter(policy__slug=draft.slug).order_by("-number").first()


def _state(draft: PolicyDraft) -> SafeString:
    return badge(draft.state, draft.state)


def _draft_rows(draft: PolicyDraft, policy: PolicyDocument) -> tuple[tuple[str, Cell], ...]:
    ended: tuple[tuple[str, Cell], ...] = ()
    if draft.state == "published":
        ended = (("Published as", link(draft.version)),)
    elif draft.state == "withdrawn":
        withdrawal = draft.withdrawal
        ended = (
            ("Withdrawn by", link(withdrawal.withdrawn_by, withdrawal.withdrawn_by.printed_name)),
            ("Withdrawn", moment(withdrawal.withdrawn_at)),
            ("Reason", withdrawal.reason),
        )
    return (
        ("Id", code(draft.id)),
        ("Policy", draft.slug),
        ("Written for", policy.environment or "any environment"),
        ("Digest", whole(draft.digest)),
        ("Drafted by", link(draft.drafted_by, draft.drafted_by.printed_name)),
        ("Drafted", moment(draft.drafted_at)),
        *ended,
    )


def _wanted(role: str, at_least: int) -> str:
    return f"{Role(role).label}, at least {at_least}" if at_least else Role(role).label


def _rows(version: PolicyVersion, policy: PolicyDocument) -> tuple[tuple[str, Cell], ...]:
    approvals = policy.approvals
    return (
        ("Id", code(version.id)),
        ("Policy", link(version.policy)),
        ("Written for", policy.environment or "any environment"),
        ("Digest", whole(version.digest)),
        ("A passed decision holds for", f"{policy.valid_days} days"),
        ("Signatures needed", approvals.quorum),
        ("By", ", ".join(_wanted(role, approvals.at_least.get(role, 0)) for role in approvals.roles)),
        ("A signature means", approvals.meaning),
        ("Drafted by", link(version.draft, version.draft.drafted_by.printed_name) if version.draft else NOTHING),
        ("Published by", link(version.published_by, version.published_by.printed_name)),
        ("Published", moment(version.published_at)),
    )


def _text_download(request: HttpRequest, version: PolicyVersion) -> HttpResponse:  # noqa: ARG001
    return attachment(version.document.encode(), f"{version}.yaml".replace(" ", "-"), "application/yaml")
