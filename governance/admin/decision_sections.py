"""The parts of a decision that its own page and the page on which it is signed both show."""

from typing import Any

from governance.admin.cells import Cell, anchor, badge, code, link, measured, moment, record_address, stack
from governance.admin.sections import Section, Table
from governance.enums import Role
from governance.models import ApprovalRequest, Decision, Evidence, Signature
from governance.policy.evaluation import Outcome
from governance.selectors.evidence_types import type_title


def rules_section(decision: Decision) -> Section:
    """Show what each rule saw and gave."""
    return Table(
        title="Rules",
        columns=("Rule", "Observed", "Expected", "Outcome", "Why", "Evidence"),
        rows=tuple(_rule_row(rule) for rule in decision.rules),
    )


def _rule_row(rule: dict[str, Any]) -> tuple[Cell, ...]:
    met = rule["outcome"] in {Outcome.PASS, Outcome.NOT_APPLICABLE}
    why = (rule["message"],) if met or not rule["remediation"] else (rule["message"], rule["remediation"])
    return (
        stack((rule["id"], rule["title"])),
        measured(rule["observed"]),
        rule["expected"],
        badge(rule["outcome"], rule["outcome"]),
        stack(why),
        stack(_evidence_link(item) for item in rule["evidence"]),
    )


def _evidence_link(identity: str) -> Cell:
    return anchor(record_address(Evidence(pk=identity)), "evidence")


def evidence_section(decision: Decision) -> Section:
    """Show the evidence as it was when the rules looked."""
    items = decision.context["evidence"]
    return Table(
        title="Evidence",
        note="As it was when the rules looked. A signature is bound to exactly this set.",
        columns=("Type", "Evidence", "Digest"),
        rows=tuple(
            (
                type_title(item["type"]),
                anchor(record_address(Evidence(pk=item["id"])), item["id"]),
                code(item["digest"]),
            )
            for item in items
        ),
        empty="There was no evidence.",
    )


def signatures_section(approval: ApprovalRequest | None) -> tuple[Section, ...]:
    """Show who signed what, in which words, and when."""
    if approval is None:
        return ()
    roles = " or ".join(Role(role).label.lower() for role in approval.roles)
    return (
        Table(
            title="Signatures",
            note=f"{approval.quorum} needed, of different people, each a {roles}.",
            columns=("Signed by", "Vote", "Meaning", "Reason", "Time", "Statement"),
            rows=tuple(_signature_row(item) for item in approval.signatures.all()),
            empty="Nobody has signed yet.",
        ),
    )


def _signature_row(signature: Signature) -> tuple[Cell, ...]:
    return (
        stack((signature.printed_name, signature.get_role_display())),
        badge(signature.vote, signature.get_vote_display()),
        signature.meaning,
        signature.reason,
        moment(signature.signed_at),
        link(signature, "as signed"),
    )
