"""Policies and their versions, as text and as rules."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, code, link, moment, record_address, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, Page, Section, Table, Text
from governance.enums import Role
from governance.models import Policy, PolicyVersion
from governance.policy.document import PolicyDocument
from governance.services.policies import policy_document
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(Policy)
class PolicyAdmin(GovernedAdmin[Policy]):
    """Policies."""

    kinds = ("policy",)
    list_display = ("slug", "environment", moment_column("created_at"))
    search_fields = ("id__exact", "slug__exact", "environment__exact")
    ordering = ("slug",)

    def page(self, request: HttpRequest, record: Policy) -> Page:  # noqa: ARG002
        """Show a policy's versions."""
        versions = record.versions.select_related("published_by").order_by("-number")
        return Page(
            heading=record.slug,
            lead=f"Decides what may go to {record.environment}. The newest version is in force.",
            sections=(
                Table(
                    title="Versions",
                    columns=("Version", "Digest", "Published by", "Published"),
                    rows=tuple(
                        (
                            link(item, f"version {item.number}"),
                            code(item.digest),
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
            actions=(Action(words="Text", address=record_address(record, "document"), symbol="download", tone="main"),),
            sections=(
                _rules(policy),
                Facts(title="Policy", rows=_rows(record, policy)),
                Text(title="Text", text=record.document),
                ledger_section(record.id),
            ),
        )


def _rules(policy: PolicyDocument) -> Section:
    return Table(
        title="Rules",
        columns=("Rule", "Condition", "Expected", "Reads", "When it fails"),
        rows=tuple(
            (
                f"{rule.id}: {rule.title}",
                whole(rule.clause.source),
                rule.expected,
                f"{rule.evidence} evidence" if rule.evidence else "the model version",
                rule.remediation,
            )
            for rule in policy.rules
        ),
    )


def _rows(version: PolicyVersion, policy: PolicyDocument) -> tuple[tuple[str, Cell], ...]:
    approvals = policy.approvals
    return (
        ("Id", code(version.id)),
        ("Policy", link(version.policy)),
        ("Environment", policy.environment),
        ("Digest", whole(version.digest)),
        ("A passed decision holds for", f"{policy.valid_days} days"),
        ("Signatures needed", approvals.quorum),
        ("By", ", ".join(Role(role).label for role in approvals.roles)),
        ("A signature means", approvals.meaning),
        ("Published by", link(version.published_by, version.published_by.printed_name)),
        ("Published", moment(version.published_at)),
    )


def _text_download(request: HttpRequest, version: PolicyVersion) -> HttpResponse:  # noqa: ARG001
    return attachment(version.document.encode(), f"{version}.yaml".replace(" ", "-"), "application/yaml")
