"""Outcomes by group, each with n and an interval, and what was demanded of them."""

from reportlab.platypus import Flowable, KeepTogether, Paragraph

from reports.charts import selection_rate_chart
from reports.content import BiasAssessment, Criterion
from reports.numbers import count, decimal, interval, limit, rate, rate_interval
from reports.sections.model import chart_block
from reports.sections.section import Section
from reports.tables import Column, badge, data_table, source_line
from reports.theme import GREY, style, text, tinted


def fairness(bias: BiasAssessment) -> Section:
    """The assessment of one sensitive column."""
    intro = (
        f"Favourable outcome: {bias.favourable}. Measured on {bias.data}. Reference group: {bias.reference}. "
        f"Intervals: {bias.interval}."
    )
    return Section(
        f"Fairness by {bias.column}",
        [
            Paragraph(text(intro), style("body")),
            *chart_block(selection_rate_chart(bias)),
            _groups(bias),
            *_criteria(bias),
            source_line("Evidence", bias.source),
        ],
    )


def _groups(bias: BiasAssessment) -> Flowable:
    columns = (
        Column("Group", 34),
        Column("n", 14, number=True),
        Column("Selection rate", 20, number=True),
        Column("Interval, %", 26, number=True),
        Column("True positive rate", 23, number=True),
        Column("False positive rate", 23, number=True),
    )
    rows = [
        (
            f"{group.name}, reference" if group.name == bias.reference else group.name,
            count(group.n),
            rate(group.selection_rate),
            rate_interval(group.low, group.high),
            rate(group.tpr),
            rate(group.fpr),
        )
        for group in bias.groups
    ]
    return data_table(columns, rows)


def _criteria(bias: BiasAssessment) -> list[Flowable]:
    columns = (
        Column("Criterion, and who set its limit", 58),
        Column("Verdict", 27),
        Column("Observed", 25, number=True),
        Column("Limit", 15, number=True),
        Column("Outcome", 34),
    )
    rows = [
        (
            Paragraph(_demand(criterion), style("cell")),
            badge(criterion.verdict, size=6.8),
            Paragraph(_observed(criterion), style("number")),
            limit(criterion.comparison, criterion.threshold),
            criterion.message,
        )
        for criterion in bias.criteria
    ]
    return [KeepTogether([Paragraph("Criteria", style("h2")), data_table(columns, rows)])] if rows else []


def _demand(criterion: Criterion) -> str:
    return f"<b>{text(criterion.name)}</b><br/>{tinted(text(criterion.threshold_source), GREY)}"


def _observed(criterion: Criterion) -> str:
    if criterion.low is None or criterion.high is None:
        return text(decimal(criterion.observed))
    return f"{text(decimal(criterion.observed))}<br/>{text(interval(criterion.low, criterion.high))}"
