"""Outcomes by group, each with n and an interval, and what was demanded of them."""

from reportlab.platypus import Flowable, KeepTogether, Paragraph

from reports.charts import selection_rate_chart
from reports.content import BiasAssessment, Criterion
from reports.numbers import count, decimal, interval, limit, rate, rate_interval
from reports.sections.model import chart_block
from reports.sections.section import Section
from reports.tables import Column, badge, data_table, source_line
from reports.theme import style, text


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
        Column("Criterion", 29),
        Column("Verdict", 25),
        Column("Observed", 22, number=True),
        Column("Limit", 14, number=True),
        Column("Set by", 27),
        Column("Outcome", 38),
    )
    rows = [
        (
            Paragraph(text(criterion.name), style("cell-strong")),
            badge(criterion.verdict, size=6.8),
            Paragraph(_observed(criterion), style("number")),
            limit(criterion.comparison, criterion.threshold),
            criterion.threshold_source,
            criterion.message,
        )
        for criterion in bias.criteria
    ]
    table = data_table(columns, rows)
    return [KeepTogether([Paragraph("Criteria", style("h2")), table])] if rows else []


def _observed(criterion: Criterion) -> str:
    if criterion.low is None or criterion.high is None:
        return text(decimal(criterion.observed))
    return f"{text(decimal(criterion.observed))}<br/>{text(interval(criterion.low, criterion.high))}"
