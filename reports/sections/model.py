"""What the model is made of and how it behaves: lineage, performance, explanation."""

from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer

from reports.charts import SHOWN_FEATURES, Chart, importance_chart
from reports.content import Explanation, LineageStep, Performance
from reports.diagrams import STAGES, lineage_diagram
from reports.numbers import count, decimal, interval
from reports.sections.section import Section
from reports.tables import Column, data_table, digest_cell, particulars, source_line
from reports.theme import moment, style, text


def lineage(steps: tuple[LineageStep, ...]) -> Section:
    """From the data to the place of use, each step by the digest of its content and its ledger entry."""
    columns = (
        Column("Step", 21),
        Column("What", 38),
        Column("Digest", 48),
        Column("Recorded", 19),
        Column("Entry", 10, number=True),
    )
    rows = [
        (
            Paragraph(text(STAGES.get(step.stage, step.stage)), style("cell-strong")),
            _step_words(step),
            digest_cell(step.source.digest),
            moment(step.at),
            count(step.source.index),
        )
        for step in steps
    ]
    return Section(
        "Lineage",
        [
            Paragraph(
                "Every step is identified by the SHA-256 digest of its content; names are labels. "
                "The entry is its position in the lineage log.",
                style("body"),
            ),
            lineage_diagram(steps),
            Spacer(0, 4),
            data_table(columns, rows),
        ],
    )


def performance(facts: Performance) -> Section:
    """How well the model does what it is for, each figure with n and its interval."""
    columns = (
        Column("Measure", 40),
        Column("Measured on", 40),
        Column("n", 14, number=True),
        Column("Value", 16, number=True),
        Column("Interval", 26, number=True),
    )
    rows = [(m.name, m.data, count(m.n), decimal(m.value), interval(m.low, m.high)) for m in facts.metrics]
    return Section(
        "Performance",
        [
            data_table(columns, rows),
            Paragraph(text(f"Intervals: {facts.interval}."), style("note")),
            source_line("Evidence", facts.source),
        ],
    )


def explanation(facts: Explanation) -> Section:
    """Which features drive the model: the chart, the whole list, and the receipt to recompute it."""
    intro = (
        f"{facts.method} over {count(facts.n)} rows. A feature's importance is the mean of its absolute "
        f"attribution, in {facts.unit}. Intervals: {facts.interval}."
    )
    return Section(
        "Explanation",
        [
            Paragraph(text(intro), style("body")),
            *chart_block(importance_chart(facts)),
            *_further_features(facts),
            *_receipt(facts),
            source_line("Evidence", facts.source),
        ],
    )


def chart_block(chart: Chart) -> list[Flowable]:
    """A chart with its words below it, kept on one page."""
    return [KeepTogether([chart.drawing, Spacer(0, 2), Paragraph(text(chart.words), style("note"))])]


def _receipt(facts: Explanation) -> list[Flowable]:
    if not facts.receipt:
        return []
    return [Paragraph("Receipt", style("h2")), *particulars(facts.receipt)]


def _further_features(facts: Explanation) -> list[Flowable]:
    """The features the chart has no room for."""
    rest = facts.features[SHOWN_FEATURES:]
    if not rest:
        return []
    columns = (
        Column("Further features", 60),
        Column("Mean absolute attribution", 30, number=True),
        Column("Interval", 30, number=True),
    )
    return [data_table(columns, [(row.feature, decimal(row.value), interval(row.low, row.high)) for row in rest])]


def _step_words(step: LineageStep) -> Paragraph:
    lines = [text(line) for line in (step.name, step.role, step.detail) if line]
    return Paragraph("<br/>".join(lines), style("cell"))
