"""The charts of a report, drawn from its facts; each says in words what it shows.

Own shapes on a ReportLab drawing: labels and values stand at the marks themselves, shape and text carry what
colour carries, and nothing depends on a legend.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect, String
from reportlab.lib.utils import simpleSplit

from reports.content import BiasAssessment, Explanation, Group, Importance
from reports.numbers import count, decimal, interval, rate, rate_interval
from reports.theme import BODY, GREY, HAIRLINE, INK, NAVY, STRONG, TEAL, WIDTH, plain

SHOWN_FEATURES = 12
"""How many features an importance chart shows; a table below it lists the others."""
SHOWN_GROUPS = 24
"""How many groups a selection-rate chart shows; the table below it lists all."""

_ROW = 18.0
_AXIS = 26.0
_HEAD = 15.0
_LABEL = 138.0
_PLOT = WIDTH - _LABEL - 112.0
_SIZE = 8.4
_TINY = 7.0
_LABEL_LINES = 2
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the same in words: printed below it, and its alternative text."""

    drawing: Drawing
    words: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values `start`..`end` to the plot between the label column and the value column."""

    start: float
    end: float

    def x(self, value: float) -> float:
        share = (value - self.start) / (self.end - self.start)
        return _LABEL + _PLOT * min(max(share, 0.0), 1.0)


def importance_chart(explanation: Explanation) -> Chart:
    """Mean absolute attribution by feature: a bar, its interval as a whisker, the numbers beside it."""
    shown = explanation.features[:SHOWN_FEATURES]
    step = _tick_step(max((row.high for row in shown), default=0.0))
    scale = _Scale(0, step * _TICKS)
    drawing = _frame(len(shown), scale, [(step * i, f"{step * i:.4g}") for i in range(_TICKS + 1)])
    _head(drawing, "Feature", f"Mean absolute attribution ({explanation.unit})", "Value and interval")
    for index, row in enumerate(shown):
        _importance_row(drawing, row, _row_y(index, len(shown)), scale)
    leading = "; ".join(f"{row.feature} {decimal(row.value)} ({interval(row.low, row.high)})" for row in shown[:3])
    words = f"The features with the largest mean absolute attribution, in {explanation.unit}: {leading}."
    return Chart(drawing, words)


def selection_rate_chart(bias: BiasAssessment) -> Chart:
    """Selection rate by group: a dot (the reference group a diamond), its interval, and n."""
    shown = _shown_groups(bias)
    scale = _Scale(0, 1)
    drawing = _frame(len(shown), scale, [(i / _TICKS, f"{100 * i // _TICKS} %") for i in range(_TICKS + 1)])
    _head(drawing, f"{bias.column} (n)", "Selection rate", "Rate and interval")
    reference = next((group for group in shown if group.name == bias.reference), None)
    if reference is not None and reference.selection_rate is not None:
        x = scale.x(reference.selection_rate)
        top = drawing.height - _HEAD
        drawing.add(Line(x, _AXIS - 4, x, top, strokeColor=NAVY, strokeWidth=0.7, strokeDashArray=[3, 2]))
    for index, group in enumerate(shown):
        _group_row(drawing, group, _row_y(index, len(shown)), scale, reference=group is reference)
    return Chart(drawing, _selection_words(bias, shown))


def _shown_groups(bias: BiasAssessment) -> Sequence[Group]:
    """All groups, or where they are too many for a page the largest, the reference group first."""
    if len(bias.groups) <= SHOWN_GROUPS:
        return bias.groups
    return sorted(bias.groups, key=lambda group: (group.name != bias.reference, -group.n))[:SHOWN_GROUPS]


def _selection_words(bias: BiasAssessment, shown: Sequence[Group]) -> str:
    rated = [(group.selection_rate, group) for group in bias.groups if group.selection_rate is not None]
    rated.sort(key=lambda pair: pair[0])
    ends = [(words, *rated[end]) for words, end in (("lowest", 0), ("highest", -1)) if rated]
    found = ", ".join(f"{words} {rate(value)} ({group.name}, n = {count(group.n)})" for words, value, group in ends)
    sentences = [
        f"Selection rate by {bias.column}: {found or 'no group is large enough for an estimate'}.",
        f"The dashed line and the diamond mark the reference group, {bias.reference}.",
    ]
    if len(shown) < len(bias.groups):
        sentences.append(f"The {len(shown)} largest of {count(len(bias.groups))} groups are shown.")
    return " ".join(sentences)


def _importance_row(drawing: Drawing, row: Importance, y: float, scale: _Scale) -> None:
    _label(drawing, row.feature, y)
    start, end = scale.x(0), scale.x(row.value)
    drawing.add(Rect(start, y - 4.5, max(end - start, 0.4), 9, fillColor=TEAL, strokeColor=None))
    _whisker(drawing, scale.x(row.low), scale.x(row.high), y)
    _values(drawing, decimal(row.value), interval(row.low, row.high), y)


def _group_row(drawing: Drawing, group: Group, y: float, scale: _Scale, *, reference: bool) -> None:
    _label(drawing, f"{group.name} ({count(group.n)})", y)
    if group.selection_rate is None:
        note = "too few people for an estimate"
        drawing.add(String(scale.x(0) + 4, y - 3, note, fontName=BODY, fontSize=_SIZE, fillColor=GREY))
        return
    if group.low is not None and group.high is not None:
        _whisker(drawing, scale.x(group.low), scale.x(group.high), y)
    x = scale.x(group.selection_rate)
    if reference:
        drawing.add(Polygon([x - 5, y, x, y + 5, x + 5, y, x, y - 5], fillColor=NAVY, strokeColor=None))
    else:
        drawing.add(Circle(x, y, 3.8, fillColor=TEAL, strokeColor=None))
    _values(drawing, rate(group.selection_rate), rate_interval(group.low, group.high), y)


def _frame(rows: int, scale: _Scale, ticks: Sequence[tuple[float, str]]) -> Drawing:
    drawing = Drawing(WIDTH, _HEAD + rows * _ROW + _AXIS)
    for value, label in ticks:
        x = scale.x(value)
        top = drawing.height - _HEAD
        drawing.add(Line(x, _AXIS - 4, x, top, strokeColor=HAIRLINE, strokeWidth=0.5))
        drawing.add(String(x, _AXIS - 14, label, fontName=BODY, fontSize=7.4, fillColor=GREY, textAnchor="middle"))
    return drawing


def _head(drawing: Drawing, left: str, middle: str, right: str) -> None:
    y = drawing.height - 9
    for x, words, anchor in ((0, left, "start"), (_LABEL, middle, "start"), (WIDTH, right, "end")):
        drawing.add(String(x, y, plain(words), fontName=STRONG, fontSize=7.8, fillColor=GREY, textAnchor=anchor))


def _row_y(index: int, rows: int) -> float:
    return _AXIS + (rows - index - 0.5) * _ROW


def _label(drawing: Drawing, words: str, y: float) -> None:
    """The row's name, on two smaller lines where one is too short; more than that ends in an ellipsis."""
    lines, size, baseline = simpleSplit(plain(words), BODY, _SIZE, _LABEL - 8), _SIZE, y - 3
    if len(lines) > 1:
        lines, size, baseline = simpleSplit(plain(words), BODY, _TINY, _LABEL - 8), _TINY, y + 1
    if len(lines) > _LABEL_LINES:
        lines = [lines[0], f"{lines[1]} …"]
    for number, line in enumerate(lines):
        drawing.add(String(0, baseline - _TINY * number, line, fontName=BODY, fontSize=size, fillColor=INK))


def _values(drawing: Drawing, estimate: str, bounds: str, y: float) -> None:
    x = WIDTH - 70
    drawing.add(String(x, y - 3, estimate, fontName=STRONG, fontSize=_SIZE, fillColor=INK, textAnchor="end"))
    drawing.add(String(WIDTH, y - 3, bounds, fontName=BODY, fontSize=7.8, fillColor=GREY, textAnchor="end"))


def _whisker(drawing: Drawing, low: float, high: float, y: float) -> None:
    drawing.add(Line(low, y, high, y, strokeColor=NAVY, strokeWidth=1.1))
    for x in (low, high):
        drawing.add(Line(x, y - 3, x, y + 3, strokeColor=NAVY, strokeWidth=1.1))


def _tick_step(highest: float) -> float:
    """The smallest 1, 2, 2.5 or 5 times a power of ten of which `_TICKS` reach `highest`."""
    if highest <= 0:
        return 1 / _TICKS
    power = 10.0 ** math.floor(math.log10(highest / _TICKS))
    return next((m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power * _TICKS >= highest), 10 * power)
