"""The report as a document: pages, numbered sections, contents, and the finished archival file."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CallerMacro,
    CondPageBreak,
    Flowable,
    Frame,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Table,
)

from reports.archive import SignaturePlace, archive
from reports.content import ReportContent
from reports.sections import fairness, front, governance, model, record
from reports.sections.section import Section
from reports.theme import (
    BODY,
    GREY,
    HAIRLINE,
    MARGIN,
    NAVY,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    WIDTH,
    fonts_register,
    moment,
    plain,
    style,
    text,
)
from reports.twin import content_to_json

_BAND = 318.0
_TOP = 74.0
_BOTTOM = 58.0
_MIN_SECTION = 150.0
_SMALL_PRINT = 7.6


@dataclass(slots=True)
class _Places:
    """Where things came to stand while the pages were drawn; page numbers count from 1."""

    sections: dict[str, int] = field(default_factory=dict)
    pages: int = 0
    signature: SignaturePlace | None = None


def report_build(content: ReportContent) -> bytes:
    """Lay out a model audit report as an unsigned PDF/A-3b file.

    The same content gives the same bytes in any process on any machine with the same library versions. The
    file carries the twin as associated file ``report.json`` and one empty signature field, which
    `reports.signing.report_sign` fills.

    Raises:
        ContentError: the content cannot be printed, e.g. a time or a number in it is malformed.
    """
    fonts_register()
    twin = content_to_json(content)
    # The first pass only finds out on which page each section stands and how many pages there are.
    _, places = _layout(content, twin, _Places())
    pdf, places = _layout(content, twin, places)
    assert places.signature is not None
    return archive(pdf, content, twin, places.signature)


def _layout(content: ReportContent, twin: bytes, known: _Places) -> tuple[bytes, _Places]:
    buffer = io.BytesIO()
    found = _Places()
    document = BaseDocTemplate(
        buffer,
        pagesize=(PAGE_WIDTH, PAGE_HEIGHT),
        invariant=1,
        lang="en",
        initialFontName=BODY,
        pageCompression=1,
    )
    document.addPageTemplates(_page_templates(content, known))
    document.build(_story(content, twin, known, found))
    found.pages = document.page
    return buffer.getvalue(), found


def _story(content: ReportContent, twin: bytes, known: _Places, found: _Places) -> list[Flowable]:
    sections = _sections(content, twin, found)
    titles = ["Summary", *(section.title for section in sections)]
    first = front.summary(content, _contents(titles, known))
    story = [*front.cover(content), NextPageTemplate("body"), PageBreak()]
    for number, section in enumerate([first, *sections], start=1):
        if number > 1:
            story.append(CondPageBreak(_MIN_SECTION))
        story += _heading(number, section.title, found)
        story += section.flowables
        if number == 1:
            story.append(PageBreak())
    return story


def _sections(content: ReportContent, twin: bytes, found: _Places) -> list[Section]:
    """The sections after the summary; what does not apply to this model is left out."""
    twin_digest = f"sha256:{hashlib.sha256(twin).hexdigest()}"
    sections = [model.lineage(content.lineage)] if content.lineage else []
    if content.performance:
        sections.append(model.performance(content.performance))
    if content.explanation:
        sections.append(model.explanation(content.explanation))
    sections += map(fairness.fairness, content.bias)
    if content.decisions:
        sections.append(governance.decisions(content.decisions))
    if content.approvals:
        sections.append(governance.approvals(content.approvals))
    if content.access:
        sections.append(record.access(content.access))
    sections.append(record.ledger(content.ledger))
    if content.limitations:
        sections.append(record.limitations(content.limitations))
    sections.append(record.signature(content, twin_digest, partial(_place_signature, found)))
    return sections


def _heading(number: int, title: str, found: _Places) -> list[Flowable]:
    key = _key(number)

    def bookmark(macro: CallerMacro) -> None:
        found.sections[key] = macro.canv.getPageNumber()
        macro.canv.bookmarkHorizontal(key, 0, 30)
        macro.canv.addOutlineEntry(plain(f"{number} {title}"), key, level=0)

    return [Paragraph(text(f"{number}  {title}"), style("h1")), CallerMacro(drawCallable=bookmark)]


def _contents(titles: list[str], known: _Places) -> list[Flowable]:
    rows = [
        [
            Paragraph(f'<a href="#{_key(number)}">{text(f"{number}  {title}")}</a>', style("cell")),
            Paragraph(str(known.sections.get(_key(number), "")), style("number")),
        ]
        for number, title in enumerate(titles, start=1)
    ]
    table = Table(
        rows,
        colWidths=[WIDTH - 40, 40],
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HAIRLINE),
        ],
    )
    return [Paragraph("Contents", style("h2")), table]


def _place_signature(found: _Places, macro: CallerMacro) -> None:
    record.signature_outline(macro)
    left, bottom = macro.canv.absolutePosition(0, 0)
    rectangle = (left, bottom, left + WIDTH, bottom + record.SIGNATURE_HEIGHT)
    found.signature = SignaturePlace(macro.canv.getPageNumber() - 1, rectangle)


def _page_templates(content: ReportContent, known: _Places) -> list[PageTemplate]:
    no_padding = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
    band_bottom = PAGE_HEIGHT - _BAND
    title = Frame(MARGIN, band_bottom + 34, WIDTH, front.BAND_TEXT_HEIGHT + 6, **no_padding)
    below = Frame(MARGIN, _BOTTOM, WIDTH, band_bottom - _BOTTOM - 26, **no_padding)
    body = Frame(MARGIN, _BOTTOM, WIDTH, PAGE_HEIGHT - _BOTTOM - _TOP, **no_padding)
    return [
        PageTemplate("cover", [title, below], onPage=_painter(_cover_page, content, known)),
        PageTemplate("body", [body], onPage=_painter(_body_page, content, known)),
    ]


type _Painter = Callable[[Canvas, ReportContent, _Places], None]


def _painter(paint: _Painter, content: ReportContent, known: _Places) -> Callable[[Canvas, BaseDocTemplate], None]:
    def on_page(canvas: Canvas, _: BaseDocTemplate) -> None:
        canvas.saveState()
        paint(canvas, content, known)
        _footer(canvas, content, known)
        canvas.restoreState()

    return on_page


def _cover_page(canvas: Canvas, _content: ReportContent, _known: _Places) -> None:
    canvas.setFillColor(NAVY)
    canvas.rect(0, PAGE_HEIGHT - _BAND, PAGE_WIDTH, _BAND, stroke=0, fill=1)


def _body_page(canvas: Canvas, content: ReportContent, _known: _Places) -> None:
    facts = content.cover
    y = PAGE_HEIGHT - 42
    canvas.setFont(BODY, _SMALL_PRINT)
    canvas.setFillColor(GREY)
    canvas.drawString(MARGIN, y, plain(f"{facts.organization}  ·  {facts.title}"))
    canvas.drawRightString(PAGE_WIDTH - MARGIN, y, plain(f"{facts.model}, version {facts.version}"))
    canvas.setStrokeColor(HAIRLINE)
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, y - 7, PAGE_WIDTH - MARGIN, y - 7)


def _footer(canvas: Canvas, content: ReportContent, known: _Places) -> None:
    y = 32
    canvas.setFont(BODY, _SMALL_PRINT)
    canvas.setFillColor(GREY)
    canvas.drawString(MARGIN, y, plain(f"{content.report_id}  ·  facts as of {moment(content.as_of)}"))
    canvas.drawRightString(PAGE_WIDTH - MARGIN, y, f"Page {canvas.getPageNumber()} of {known.pages}")


def _key(number: int) -> str:
    return f"section-{number}"
