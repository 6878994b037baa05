"""What is read first: the cover and the summary page."""

from collections.abc import Iterable

from reportlab.platypus import Flowable, FrameBreak, KeepInFrame, Paragraph, Spacer, Table

from reports.content import Criterion, Particular, ReportContent
from reports.numbers import count, decimal, limit
from reports.sections.section import Section
from reports.tables import Column, badge, data_table, log_name, particulars
from reports.theme import BODY, HAIRLINE, NAVY, WIDTH, moment, state_words, style, text, tinted, tone

BAND_TEXT_HEIGHT = 150.0
"""Height in points the cover's title block may take; longer titles are shrunk into it."""

_LEADING_FIGURES = 5


def cover(content: ReportContent) -> list[Flowable]:
    """The cover: the title block for the dark band, then the particulars."""
    facts = content.cover
    title = [
        Paragraph(text(facts.organization), style("cover-firm")),
        Spacer(0, 26),
        Paragraph(text(facts.title), style("cover-title")),
        Spacer(0, 8),
        Paragraph(text(f"{facts.model}, version {facts.version}"), style("cover-model")),
    ]
    return [
        KeepInFrame(WIDTH, BAND_TEXT_HEIGHT, title, mode="shrink"),
        FrameBreak(),
        *particulars(_particulars(content)),
        *_not_covered(facts.not_covered),
    ]


def summary(content: ReportContent, contents: Iterable[Flowable]) -> Section:
    """The page for a reader with one minute: answer, leading figures, a verdict an area, contents."""
    verdicts = [
        (Paragraph(text(line.area), style("cell-strong")), badge(line.verdict), line.words)
        for line in content.summary.verdicts
    ]
    columns = (Column("Area", 30), Column("Verdict", 22), Column("Reason", 60))
    return Section(
        "Summary",
        [
            Paragraph(text(content.summary.answer), style("lead")),
            _figures(content),
            Spacer(0, 6),
            *([data_table(columns, verdicts)] if verdicts else []),
            *contents,
        ],
    )


def _particulars(content: ReportContent) -> list[Particular]:
    facts = content.cover
    rows = [
        Particular("AI system", f"{facts.system} ({facts.system_id})"),
        Particular("Purpose", facts.purpose),
        Particular("Owner", facts.owner),
        Particular("Model version", f"{facts.model} {facts.version} ({facts.version_id})"),
        Particular("Digest of the model", facts.digest),
        Particular("Environment", facts.environment),
        Particular("Facts as of", moment(content.as_of)),
        Particular("Report", content.report_id),
        Particular("Installation", content.instance),
    ]
    for point in content.ledger.checkpoints:
        name = log_name(point.origin).capitalize()
        rows.append(Particular(f"{name} log", f"{count(point.size)} entries, root {point.root}"))
    return rows


def _not_covered(sentences: Iterable[str]) -> list[Flowable]:
    lines = [Paragraph(text(f"\N{EN DASH} {sentence}"), style("note-item")) for sentence in sentences]
    return [Paragraph("Not covered by this report", style("h2")), *lines] if lines else []


def _figures(content: ReportContent) -> Table:
    """The leading figures side by side, each above its label."""
    figures = _leading_figures(content)[:_LEADING_FIGURES]
    return Table(
        [
            [figure for figure, _ in figures],
            [Paragraph(text(label), style("figure-label")) for _, label in figures],
        ],
        colWidths=[WIDTH / len(figures)] * len(figures),
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, 0), 8),
            ("BOTTOMPADDING", (0, 0), (-1, 0), 1),
            ("TOPPADDING", (0, 1), (-1, 1), 0),
            ("BOTTOMPADDING", (0, 1), (-1, 1), 8),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEABOVE", (0, 0), (-1, 0), 1, NAVY),
            ("LINEBELOW", (0, 1), (-1, 1), 0.4, HAIRLINE),
        ],
    )


def _leading_figures(content: ReportContent) -> list[tuple[Paragraph, str]]:
    figures = []
    if content.decisions:
        decision = content.decisions[-1]
        state = tinted(text(state_words(decision.state)), tone(decision.state)[1])
        figures.append((Paragraph(state, style("figure")), f"gate decision for {decision.environment}"))
        met = sum(rule.outcome == "pass" for rule in decision.rules)
        figures.append((_figure(f"{met} of {len(decision.rules)}"), "policy rules met"))
    criterion = _first_measured(content)
    if criterion is not None:
        demanded = limit(criterion.comparison, criterion.threshold)
        figures.append((_figure(decimal(criterion.observed)), f"{criterion.name.lower()}, limit {demanded}"))
    if content.decisions:
        approvals = sum(approval.vote == "approve" for approval in content.approvals)
        figures.append((_figure(count(approvals)), "signed approvals"))
    proven = len(content.ledger.proofs)
    figures.append((_figure(count(proven)), "ledger entries proven in this file"))
    return figures


def _first_measured(content: ReportContent) -> Criterion | None:
    criteria = (criterion for bias in content.bias for criterion in bias.criteria)
    return next((criterion for criterion in criteria if criterion.observed is not None), None)


def _figure(words: str) -> Paragraph:
    return Paragraph(text(words), style("figure"))
