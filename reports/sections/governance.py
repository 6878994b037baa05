"""Who decided what: the gate's decisions rule by rule, and the people who signed."""

from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Paragraph, Table

from reports.content import Approval, Decision, Particular, Policy
from reports.sections.section import Section
from reports.tables import Column, badge, data_table, entry_words, panel, particulars
from reports.theme import BODY, WIDTH, moment, mono, style, text

_LEAST_DECISION = 110.0


def decisions(taken: tuple[Decision, ...]) -> Section:
    """The decisions on this model version, oldest first; the last one stands."""
    intro = (
        "The gate evaluates every rule of the policy and signs the outcome, refusals too. The signed "
        "statements are in the data attached to this file; each digest is that of the statement as issued."
    )
    flowables: list[Flowable] = [Paragraph(intro, style("body"))]
    for decision in taken:
        flowables += _decision(decision)
    return Section("Gate decisions" if len(taken) > 1 else "Gate decision", flowables)


def approvals(signed: tuple[Approval, ...]) -> Section:
    """The electronic signatures of people: printed name, time and meaning (21 CFR 11.50)."""
    intro = (
        "Each person signed after signing in afresh. The statement's digest is that of what was on the "
        "screen at that moment."
    )
    return Section("Approvals", [Paragraph(intro, style("body")), *map(_approval, signed)])


def _decision(decision: Decision) -> list[Flowable]:
    facts = [
        Particular("Decision", decision.id),
        Particular("Environment", decision.environment),
        Particular("Counts until", _end(decision)),
        Particular("Recorded", entry_words(decision.source)),
        Particular("Signed statement", decision.source.digest or "none"),
        *_policy(decision.policy),
    ]
    title = Table(
        [[Paragraph(text(f"Decision of {moment(decision.decided_at)}"), style("h2")), badge(decision.state)]],
        colWidths=[WIDTH - 110, 110],
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("ALIGN", (1, 0), (1, 0), "RIGHT"),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ],
    )
    return [CondPageBreak(_LEAST_DECISION), title, *particulars(facts), _rules(decision)]


def _end(decision: Decision) -> str:
    if decision.result != "PASSED":
        return "nothing is allowed by it"
    return moment(decision.expires_at) if decision.expires_at else "no end date"


def _policy(policy: Policy | None) -> list[Particular]:
    if policy is None:
        return [Particular("Policy", "none is attached to this environment")]
    words = f"{policy.name}, version {policy.version} ({policy.id}), {entry_words(policy.source)}"
    return [Particular("Policy", words), Particular("Digest of the policy", policy.source.digest or "none")]


def _rules(decision: Decision) -> Table:
    columns = (
        Column("Rule", 38),
        Column("Outcome", 25),
        Column("Observed", 24),
        Column("Expected", 24),
        Column("Message", 46),
    )
    rows = [
        (
            Paragraph(f"{text(rule.title)}<br/>{mono(rule.id, per_line=28)}", style("cell")),
            badge(rule.outcome, size=6.8),
            rule.observed,
            rule.expected,
            rule.message,
        )
        for rule in decision.rules
    ]
    return data_table(columns, rows)


def _approval(approval: Approval) -> Flowable:
    heading = Table(
        [
            [
                Paragraph(f"{_strong(approval.name)}<br/>{text(approval.role)}", style("signer")),
                badge(approval.vote),
            ]
        ],
        colWidths=[WIDTH - 22 - 100, 100],
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("ALIGN", (1, 0), (1, 0), "RIGHT"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ],
    )
    place = f"Signed {moment(approval.at)}, {entry_words(approval.source)}"
    return KeepTogether(
        [
            panel(
                [
                    heading,
                    Paragraph(f"{_strong('Meaning')} {text(approval.meaning)}", style("cell")),
                    Paragraph(f"{_strong('Reason')} {text(approval.reason)}", style("cell")),
                    Paragraph(text(place), style("cell-note")),
                    Paragraph(f"Statement {mono(approval.statement_digest)}", style("cell-note")),
                ]
            )
        ]
    )


def _strong(words: str) -> str:
    return f"<b>{text(words)}</b>"
