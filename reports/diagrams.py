"""The lineage picture: data, training run, model version and deployment, left to right."""

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect, String
from reportlab.lib.utils import simpleSplit

from reports.content import LineageStep
from reports.numbers import count
from reports.theme import BODY, GREY, HAIRLINE, INK, MONO, NAVY, PANEL, RULE, STRONG, TEAL, WIDTH, plain

STAGES = {
    "dataset": "Data",
    "training_run": "Training run",
    "model_version": "Model version",
    "deployment": "Deployment",
}
"""The stages of a lineage, in order, and how they are printed."""

_GAP = 20.0
_WIDTH = (WIDTH - _GAP * (len(STAGES) - 1)) / len(STAGES)
_HEIGHT = 66.0
_ROW = _HEIGHT + 8
_HEAD = 16.0
_NAME_LINES = 3
_MOST_BOXES = 5
# The first sixteen digits after ``sha256:``; the table below the picture has them all.
_DIGITS = slice(7, 23)


@dataclass(frozen=True, slots=True)
class _Box:
    name: str
    digest: str = ""
    place: str = ""
    is_step: bool = False


def lineage_diagram(steps: Sequence[LineageStep]) -> Drawing:
    """One column a stage, one box a step, arrows between the columns; an empty stage says so in its box."""
    columns = [_boxes([step for step in steps if step.stage == stage]) for stage in STAGES]
    rows = max(map(len, columns))
    drawing = Drawing(WIDTH, _HEAD + rows * _ROW)
    for index, (title, boxes) in enumerate(zip(STAGES.values(), columns, strict=True)):
        x = index * (_WIDTH + _GAP)
        drawing.add(String(x, drawing.height - 9, title, fontName=STRONG, fontSize=7.8, fillColor=GREY))
        tops = _tops(len(boxes), rows)
        for box, top in zip(boxes, tops, strict=True):
            _draw(drawing, box, x, top)
        if index:
            _join(drawing, x, _tops(len(columns[index - 1]), rows), tops)
    return drawing


def _boxes(steps: Sequence[LineageStep]) -> list[_Box]:
    """A box a step; where they are too many, the last box counts the others."""
    boxes = [
        _Box(step.name, (step.source.digest or "")[_DIGITS], f"entry {count(step.source.index)}", is_step=True)
        for step in steps
    ]
    if len(boxes) > _MOST_BOXES:
        boxes = [*boxes[: _MOST_BOXES - 1], _Box(f"and {len(boxes) - _MOST_BOXES + 1} more, listed below")]
    return boxes or [_Box("none recorded")]


def _tops(boxes: int, rows: int) -> list[float]:
    """Upper edges of a column's boxes, the column centred on the tallest one."""
    first = rows * _ROW - (rows - boxes) * _ROW / 2
    return [first - index * _ROW for index in range(boxes)]


def _draw(drawing: Drawing, box: _Box, x: float, top: float) -> None:
    frame = Rect(x, top - _HEIGHT, _WIDTH, _HEIGHT, rx=3, ry=3, fillColor=PANEL, strokeWidth=0.7)
    frame.strokeColor = RULE if box.is_step else HAIRLINE
    frame.strokeDashArray = None if box.is_step else [3, 2]
    drawing.add(frame)
    lines = simpleSplit(plain(box.name), STRONG, 8.2, _WIDTH - 14)
    if len(lines) > _NAME_LINES:
        lines = [*lines[: _NAME_LINES - 1], f"{lines[_NAME_LINES - 1]} …"]
    for number, line in enumerate(lines):
        y = top - 13 - 10 * number
        drawing.add(String(x + 7, y, line, fontName=STRONG, fontSize=8.2, fillColor=INK if box.is_step else GREY))
    drawing.add(String(x + 7, top - 46, plain(box.digest), fontName=MONO, fontSize=7, fillColor=NAVY))
    drawing.add(String(x + 7, top - 58, box.place, fontName=BODY, fontSize=7.4, fillColor=GREY))


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
