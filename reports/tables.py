"""The tables of a report: hairlines, no grid, numbers to the right, the head repeated on every page."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable, Paragraph, Spacer, Table

from reports.content import Citation, Particular
from reports.numbers import count
from reports.theme import (
    BODY,
    HAIRLINE,
    NAVY,
    PANEL,
    STRONG,
    WHITE,
    WIDTH,
    mono,
    plain,
    state_words,
    style,
    text,
    tone,
)

_PAD = 4
_LABEL_SHARE = 0.24
# A digest, an identifier, or 32 bytes in base64.
_CODE = re.compile(r"sha256:[0-9a-f]{64}|[a-z]{2,8}_[0-9a-f]{32}|[A-Za-z0-9+/]{43}=", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its share of the text width, and whether it holds numbers (set to the right)."""

    title: str
    share: float
    number: bool = False


def data_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Flowable]]) -> Table:
    """A table over the whole text width; strings are printed literally, other cells drawn as they are."""
    total = sum(column.share for column in columns)
    head = [Paragraph(text(column.title), style("head-number" if column.number else "head")) for column in columns]
    body = [[_cell(cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows]
    return Table(
        [head, *body],
        colWidths=[WIDTH * column.share / total for column in columns],
        repeatRows=1,
        splitInRow=1,
        spaceBefore=3,
        spaceAfter=9,
        style=[
            *_BASE,
            ("LINEBELOW", (0, 0), (-1, 0), 1, NAVY),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HAIRLINE),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            *_gutters(columns),
        ],
    )


def particulars(rows: Sequence[Particular]) -> list[Flowable]:
    """Labelled values, one a row between hairlines; no row stands alone on a page."""
    tables = [_particular(row, is_first=index == 0) for index, row in enumerate(rows)]
    # A table a row: ReportLab cannot both split a row that is too tall and keep two rows together.
    for table in (*tables[:1], *tables[-2:-1]):
        table.keepWithNext = 1
    return [*tables, Spacer(0, 9)]


def _particular(row: Particular, *, is_first: bool) -> Table:
    label, printed = Paragraph(text(row.label), style("label")), Paragraph(value(row.value), style("cell"))
    lines = [("LINEBELOW", (0, 0), (-1, 0), 0.4, HAIRLINE)]
    if is_first:
        lines.append(("LINEABOVE", (0, 0), (-1, 0), 0.4, HAIRLINE))
    widths = [WIDTH * _LABEL_SHARE, WIDTH * (1 - _LABEL_SHARE)]
    return Table([[label, printed]], colWidths=widths, splitInRow=1, style=[*_BASE, *lines])


def panel(content: Sequence[Flowable], *, width: float = WIDTH) -> Table:
    """A tinted box around `content`."""
    return Table(
        [[list(content)]],
        colWidths=[width],
        spaceBefore=4,
        spaceAfter=9,
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("BACKGROUND", (0, 0), (-1, -1), PANEL),
            ("LEFTPADDING", (0, 0), (-1, -1), 11),
            ("RIGHTPADDING", (0, 0), (-1, -1), 11),
            ("TOPPADDING", (0, 0), (-1, -1), 8),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
        ],
    )


def value(printed: str) -> str:
    """Markup of a value: digests, identifiers and hashes in monospace, anything else as text."""
    return mono(printed) if _CODE.fullmatch(printed) else text(printed)


def digest_cell(digest: str | None, *, per_line: int = 36) -> Paragraph:
    """A digest in monospace over as many lines as the cell needs."""
    return Paragraph(mono(digest, per_line=per_line) if digest else "", style("mono"))


def source_line(label: str, source: Citation) -> Paragraph:
    """Where the facts above come from: the thing, its digest and its place in the ledger."""
    digest = f", {mono(source.digest)}" if source.digest else ""
    return Paragraph(f"{text(label)}: {mono(source.id)}{digest}, {text(entry_words(source))}.", style("note"))


def entry_words(source: Citation) -> str:
    """Place in the ledger in words: ``entry 42 of the lineage log``."""
    return f"entry {count(source.index)} of the {log_name(source.origin)} log"


def log_name(origin: str) -> str:
    """The short name of a log: the last part of its origin."""
    return origin.rpartition("/")[2]


def badge(state: str, *, size: float = 7.4) -> Drawing:
    """A verdict as a filled label: mark, word and colour say the same."""
    mark, color = tone(state)
    label = plain(f"{mark} {state_words(state)}")
    width = stringWidth(label, STRONG, size) + 1.5 * size
    height = 1.75 * size
    drawing = Drawing(width, height)
    drawing.add(Rect(0, 0, width, height, rx=2, ry=2, fillColor=color, strokeColor=None))
    drawing.add(String(0.75 * size, 0.54 * size, label, fontName=STRONG, fontSize=size, fillColor=WHITE))
    return drawing


def _gutters(columns: Sequence[Column]) -> Iterator[tuple[object, ...]]:
    """More room where numbers, set to the right, would touch the words of the next column."""
    for index, (left, right) in enumerate(pairwise(columns)):
        if left.number and not right.number:
            yield ("RIGHTPADDING", (index, 0), (index, -1), 4 * _PAD)


def _cell(cell: str | Flowable, column: Column) -> Flowable:
    return Paragraph(text(cell), style("number" if column.number else "cell")) if isinstance(cell, str) else cell


_BASE = [
    ("FONTNAME", (0, 0), (-1, -1), BODY),
    ("FONTSIZE", (0, 0), (-1, -1), 8.4),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 2 * _PAD),
    ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), _PAD),
    ("BOTTOMPADDING", (0, 0), (-1, -1), _PAD),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]
