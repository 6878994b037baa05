"""Decisions: what was decided, by which rules, on which evidence, who signed, and how to check it all offline."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import (
    Cell,
    anchor,
    badge,
    code,
    command,
    link,
    moment,
    record_address,
    sentence,
    stack,
    whole,
)
from governance.admin.decision_sections import evidence_section, rules_section, signatures_section
from governance.admin.endings import (
    ending_notices,
    ending_section,
    revoke_actions,
    revoke_addresses,
    standing_badge,
)
from governance.admin.ledger import attachment, ledger_section
from governance.admin.overrides import overrides_section
from governance.admin.passkey_signing import passkey_addresses
from governance.admin.requests import request_actions, request_addresses
from governance.admin.sections import Action, Facts, Page, Section, Text
from governance.admin.signing import sign_addresses, signing_actions, signing_notices
from governance.enums import DecisionState
from governance.models import ApprovalRequest, Decision, Deployment, Signature
from governance.selectors.gate import decision_words, gate_assert
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(Decision)
class DecisionAdmin(GovernedAdmin[Decision]):
    """Decisions of the gate."""

    kinds = ("decision",)
    deferred = ("context", "context_document", "rules", "attestation")
    list_display = (
        "model_version",
        "environment",
        "standing",
        "policy_version",
        moment_column("evaluated_at"),
        moment_column("expires_at"),
    )
    list_select_related = ("model_version__model", "policy_version__policy", "ending")
    list_filter = ("state", "ending__kind")
    search_fields = ("id__exact", "model_version__id__exact", "environment__exact")
    search_help_text = "Decision id, model version id, or environment"

    @admin.display(description="state")
    def standing(self, decision: Decision) -> Cell:
        """Show the verdict, or how a passed decision ended."""
        return standing_badge(decision)

    def subject(self, record: Decision) -> Subject:
        """Name it with the digest of the model it is about."""
        return Subject("decision", record.id, Digest.from_text(record.model_version.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer the signed attestation, signing, and revoking."""
        return (
            Address("attestation", _attestation_download),
            *sign_addresses(self),
            *passkey_addresses(self),
            *revoke_addresses(self),
            *request_addresses(self),
        )

    def page(self, request: HttpRequest, record: Decision) -> Page:
        """Show the decision with everything it rests on."""
        approval = ApprovalRequest.objects.filter(decision=record).first()
        return Page(
            heading=f"{record.model_version} to {record.environment}",
            marks=(link(record.model_version), code(record.model_version.digest), link(record.policy_version)),
            lead=_lead(record),
            badge=standing_badge(record),
            notices=(*signing_notices(request, approval), *ending_notices(record)),
            actions=(
                *signing_actions(request, approval),
                *revoke_actions(request, record),
                *request_actions(request, record),
                *_attestation_action(record),
            ),
            sections=(
                *ending_section(record),
                *overrides_section(record),
                rules_section(record),
                *signatures_section(approval),
                _verdict(record),
                evidence_section(record),
                *_attestation(record),
                *_policy(record),
                ledger_section(record.id),
            ),
        )


def _lead(decision: Decision) -> str:
    if decision.state == DecisionState.PENDING:
        return "Every rule passes. Whether it may be used is now for people to decide."
    return sentence(decision_words(decision))


def _verdict(decision: Decision) -> Section:
    version = decision.model_version
    answer = gate_assert(digest=Digest.from_text(version.digest), environment=decision.environment, at=timezone.now())
    today = badge("allowed" if answer.allowed else "denied", "allowed" if answer.allowed else "not allowed")
    return Facts(
        title="Decision",
        rows=(
            ("Decision", code(decision.id)),
            ("Model version", link(version)),
            ("Digest", whole(version.digest)),
            ("Environment", decision.environment),
            ("Policy", link(decision.policy_version)),
            ("Evidence on the table", whole(decision.evidence_set_digest)),
            ("Facts that the rules saw", whole(decision.context_digest)),
            ("Evaluated with", decision.engine),
            ("Takes the place of", link(decision.supersedes, decision.supersedes_id)),
            ("Requested by", link(decision.requested_by, decision.requested_by.printed_name)),
            ("Evaluated", moment(decision.evaluated_at)),
            ("Decided", moment(decision.decided_at)),
            ("Holds until", moment(decision.expires_at)),
            ("The gate's answer now", stack((today, answer.message))),
        ),
    )


def _attestation_action(decision: Decision) -> tuple[Action, ...]:
    if decision.state == DecisionState.PENDING:
        return ()
    return (Action(words="Attestation", address=record_address(decision, "attestation"), symbol="download"),)


def _attestation(decision: Decision) -> tuple[Section, ...]:
    if decision.state == DecisionState.PENDING:
        return ()
    return (
        Facts(
            title="Attestation",
            note="The decision as a signed statement (DSSE, in-toto). Anybody can check it offline.",
            rows=(
                ("File", anchor(record_address(decision, "attestation"), _attestation_name(decision))),
                ("Digest", whole(decision.attestation_digest)),
                ("Check it yourself", command(f"modelnotary verify {_attestation_name(decision)} --trust trust.json")),
                ("Keys to trust", anchor("/.well-known/modelnotary-trust.json", "trust.json of this instance")),
            ),
        ),
    )


def _attestation_name(decision: Decision) -> str:
    return f"{decision.id}.dsse.json"


def _attestation_download(request: HttpRequest, decision: Decision) -> HttpResponse:  # noqa: ARG001
    if decision.attestation is None:
        words = f"{decision.id} is not decided yet; it waits for signatures.\n"
        return HttpResponse(words, status=409, content_type="text/plain; charset=utf-8")
    return attachment(bytes(decision.attestation), _attestation_name(decision), "application/vnd.dsse.envelope.v1+json")


def _policy(decision: Decision) -> tuple[Section, ...]:
    version = decision.policy_version
    if version is None:
        return ()
    return (Text(title=f"Policy {version}", note="The text that was applied.", text=version.document, folded=True),)


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(GovernedAdmin[ApprovalRequest]):
    """What waits for signatures, and what did."""

    kinds = ("approval_request",)
    list_display = ("matter", "where", "count", moment_column("opened_at"), moment_column("closed_at"))
    list_display_links = None
    list_select_related = ("decision__model_version__model",)
    list_filter = ("state",)
    search_fields = ("id__exact", "decision__id__exact")

    @admin.display(description="decision")
    def matter(self, approval: ApprovalRequest) -> Cell:
        """Lead to the decision, where it is signed."""
        return link(approval.decision, f"{approval.decision.model_version} to {approval.decision.environment}")

    @admin.display(description="state")
    def where(self, approval: ApprovalRequest) -> Cell:
        """Show the state."""
        return badge(approval.state, approval.get_state_display())

    @admin.display(description="needed")
    def count(self, approval: ApprovalRequest) -> Cell:
        """Say how many must sign."""
        return f"{approval.quorum} signatures"

    def page(self, request: HttpRequest, record: ApprovalRequest) -> Page:
        """Show the request; it is signed on the page of its decision."""
        return Page(
            heading=f"Approval of {record.decision.model_version} to {record.decision.environment}",
            badge=badge(record.state, record.get_state_display()),
            notices=signing_notices(request, record),
            actions=signing_actions(request, record),
            sections=(
                Facts(
                    title="Request",
                    rows=(
                        ("Id", code(record.id)),
                        ("Decision", link(record.decision)),
                        ("Opened", moment(record.opened_at)),
                        ("Closed", moment(record.closed_at)),
                    ),
                ),
                *signatures_section(record),
                ledger_section(record.id),
            ),
        )


@admin.register(Signature)
class SignatureAdmin(GovernedAdmin[Signature]):
    """Electronic signatures."""

    kinds = ("signature",)
    deferred = ("statement",)
    list_display = ("printed_name", "role", "voted", "matter", moment_column("signed_at"))
    list_select_related = ("request__decision__model_version__model",)
    list_filter = ("vote", "role")
    search_fields = ("id__exact", "signer__id__exact", "printed_name__icontains")
    ordering = ("-signed_at",)

    @admin.display(description="vote")
    def voted(self, signature: Signature) -> Cell:
        """Show the vote."""
        return badge(signature.vote, signature.get_vote_display())

    @admin.display(description="decision")
    def matter(self, signature: Signature) -> Cell:
        """Lead to the decision."""
        return link(signature.request.decision)

    def subject(self, record: Signature) -> Subject:
        """Name it with the digest of what was signed."""
        return Subject("signature", record.id, Digest.from_text(record.statement_digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer what was signed."""
        return (Address("statement", _statement_download),)

    def page(self, request: HttpRequest, record: Signature) -> Page:  # noqa: ARG002
        """Show the signature as 21 CFR 11.50 asks: printed name, time, meaning."""
        return Page(
            heading=f"{record.printed_name}: {record.get_vote_display()}",
            badge=badge(record.vote, record.get_vote_display()),
            actions=(Action(words="Signed statement", address=record_address(record, "statement"), symbol="download"),),
            sections=(
                Facts(
                    title="Signature",
                    rows=(
                        ("Id", code(record.id)),
                        ("Printed name", record.printed_name),
                        ("Account", link(record.signer)),
                        ("Role", record.get_role_display()),
                        ("Meaning", record.meaning),
                        ("Reason", record.reason),
                        ("Time", moment(record.signed_at)),
                        ("Proved who they are by", record.method),
                        ("Decision", link(record.request.decision)),
                        ("Digest of the statement", whole(record.statement_digest)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )


def _statement_download(request: HttpRequest, signature: Signature) -> HttpResponse:  # noqa: ARG001
    return attachment(bytes(signature.statement), f"{signature.id}.json", "application/json")


@admin.register(Deployment)
class DeploymentAdmin(GovernedAdmin[Deployment]):
    """What was put to use."""

    kinds = ("deployment",)
    list_display = ("model_version", "environment", person_column("deployed_by"), moment_column("deployed_at"))
    list_select_related = ("model_version__model", "deployed_by")
    search_fields = ("id__exact", "model_version__id__exact", "environment__exact")

    def subject(self, record: Deployment) -> Subject:
        """Name it with the digest of what was put to use."""
        return Subject("deployment", record.id, Digest.from_text(record.model_version.digest))

    def page(self, request: HttpRequest, record: Deployment) -> Page:  # noqa: ARG002
        """Show what was put to use and what allowed it."""
        return Page(
            heading=str(record),
            sections=(
                Facts(
                    title="Deployment",
                    rows=(
                        ("Id", code(record.id)),
                        ("Model version", link(record.model_version)),
                        ("Digest", whole(record.model_version.digest)),
                        ("Environment", record.environment),
                        ("Allowed by", link(record.decision)),
                        ("Recorded by", link(record.deployed_by, record.deployed_by.printed_name)),
                        ("Time", moment(record.deployed_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )
