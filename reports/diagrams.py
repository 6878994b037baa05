"""The lineage picture: data, training run, model version and deployment, left to right."""

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect, String
from reportlab.lib.utils import simpleSplit

from reports.content import LineageStep
from reports.theme import BODY, GREY, HAIRLINE, INK, MONO, NAVY, PANEL, RULE, STRONG, TEAL, WIDTH, plain

STAGES = {
    "dataset": "Data",
    "training_run": "Training run",
    "model_version": "Model version",
    "deployment": "Deployment",
}
"""The stages of a lineage, in order, and how they are printed."""

_GAP = 20.0
_BOX = (WIDTH - _GAP * (len(STAGES) - 1)) / len(STAGES)
_HEIGHT = 58.0
_ROW = _HEIGHT + 8
_HEAD = 16.0
_NAME_LINES = 2


def lineage_diagram(steps: Sequence[LineageStep]) -> Drawing:
    """One column a stage, one box a step, arrows between the columns; an empty stage says so in its box."""
    columns = [[step for step in steps if step.stage == stage] for stage in STAGES]
    rows = max(1, *(len(column) for column in columns))
    drawing = Drawing(WIDTH, _HEAD + rows * _ROW)
    for index, (title, column) in enumerate(zip(STAGES.values(), columns, strict=True)):
        x = index * (_BOX + _GAP)
        drawing.add(String(x, drawing.height - 9, title, fontName=STRONG, fontSize=7.8, fillColor=GREY))
        tops = _tops(len(column) or 1, rows)
        boxes: Sequence[LineageStep | None] = column or [None]
        for step, top in zip(boxes, tops, strict=True):
            _box(drawing, step, x, top)
        if index:
            _join(drawing, x, _tops(len(columns[index - 1]) or 1, rows), tops)
    return drawing


def _tops(boxes: int, rows: int) -> list[float]:
    """Upper edges of a column's boxes, the column centred on the tallest one."""
    first = rows * _ROW - (rows - boxes) * _ROW / 2
    return [first - index * _ROW for index in range(boxes)]


def _box(drawing: Drawing, step: LineageStep | None, x: float, top: float) -> None:
    dash = None if step else [3, 2]
    drawing.add(
        Rect(
            x,
            top - _HEIGHT,
            _BOX,
            _HEIGHT,
            rx=3,
            ry=3,
            fillColor=PANEL,
            strokeColor=RULE if step else HAIRLINE,
            strokeWidth=0.7,
            strokeDashArray=dash,
        )
    )
    if step is None:
        drawing.add(String(x + 7, top - 15, "none recorded", fontName=BODY, fontSize=8, fillColor=GREY))
        return
    lines = simpleSplit(plain(step.name), STRONG, 8.2, _BOX - 14)
    if len(lines) > _NAME_LINES:
        lines = [*lines[: _NAME_LINES - 1], f"{lines[_NAME_LINES - 1]} …"]
    for number, line in enumerate(lines):
        drawing.add(String(x + 7, top - 13 - 10 * number, line, fontName=STRONG, fontSize=8.2, fillColor=INK))
    digest = (step.source.digest or "").removeprefix("sha256:")[:16]
    drawing.add(String(x + 7, top - 38, digest, fontName=MONO, fontSize=7, fillColor=NAVY))
    place = f"entry {step.source.index}"
    drawing.add(String(x + 7, top - 50, place, fontName=BODY, fontSize=7.4, fillColor=GREY))


def _join(drawing: Drawing, x: float, left: Sequence[float], right: Sequence[float]) -> None:
    """Lines from the boxes of the previous column to those of this one, by way of a shared upright."""
    upright = x - _GAP / 2
    middles = [top - _HEIGHT / 2 for top in (*left, *right)]
    for top in left:
        y = top - _HEIGHT / 2
        drawing.add(Line(x - _GAP, y, upright, y, strokeColor=TEAL, strokeWidth=1))
    drawing.add(Line(upright, min(middles), upright, max(middles), strokeColor=TEAL, strokeWidth=1))
    for top in right:
        y = top - _HEIGHT / 2
        drawing.add(Line(upright, y, x - 4, y, strokeColor=TEAL, strokeWidth=1))
        drawing.add(Polygon([x - 5, y + 3, x, y, x - 5, y - 3], fillColor=TEAL, strokeColor=None))
