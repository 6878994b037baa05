"""How a report looks: fonts, colours, paragraph styles, and the one way text reaches a page."""

from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import font_source_sans_pro
import fontpkg_ibm_plex_mono
from reportlab.graphics import shapes
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from modelnotary.errors import TimeFormatError
from modelnotary.times import parse_time
from reports.errors import ContentError

PAGE_WIDTH, PAGE_HEIGHT = A4
MARGIN = 57.0
WIDTH: float = PAGE_WIDTH - 2 * MARGIN
"""Width of the text column in points."""

BODY = "Source Sans Pro"
STRONG = "Source Sans Pro Semibold"
LIGHT = "Source Sans Pro Light"
MONO = "IBM Plex Mono"
MONO_SIZE = 7.4
_SANS = Path(font_source_sans_pro.font_directory)
_FONT_FILES = {
    BODY: _SANS / "SourceSansPro-Regular.ttf",
    STRONG: _SANS / "SourceSansPro-Semibold.ttf",
    LIGHT: _SANS / "SourceSansPro-Light.ttf",
    MONO: fontpkg_ibm_plex_mono.ROOT / "files" / "IBMPlexMono-Regular.ttf",
}

WHITE = HexColor("#FFFFFF")
NAVY = HexColor("#12263F")
INK = HexColor("#1F2933")
GREY = HexColor("#5A6673")
RULE = HexColor("#9AA5B1")
HAIRLINE = HexColor("#D5DBE1")
PANEL = HexColor("#F3F6F8")
TEAL = HexColor("#0F766E")
GREEN = HexColor("#1B6E4B")
RED = HexColor("#A32020")
AMBER = HexColor("#8A5A00")
SLATE = HexColor("#4A5568")

_GOOD = ("✓", GREEN)
_BAD = ("\N{MULTIPLICATION SIGN}", RED)
_OPEN = ("▲", AMBER)
_NEUTRAL = ("\N{EN DASH}", SLATE)
_TONES = {
    "pass": _GOOD,
    "passed": _GOOD,
    "approve": _GOOD,
    "fail": _BAD,
    "failed": _BAD,
    "error": _BAD,
    "revoked": _BAD,
    "reject": _BAD,
    "pending": _OPEN,
    "waived": _OPEN,
    "expired": _OPEN,
    "superseded": _OPEN,
    "insufficient_data": _OPEN,
}


def fonts_register() -> None:
    """Make the report's fonts known to ReportLab, one of them as its default: none goes unembedded."""
    for name, path in _FONT_FILES.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(path)))
            pdfmetrics.registerFontFamily(name, normal=name, bold=STRONG, italic=name, boldItalic=STRONG)
    shapes.STATE_DEFAULTS["fontName"] = BODY


def plain(value: str, *, font: str = BODY) -> str:
    """`value` with what the font can draw; any other character stands as ``[U+202E]``: nothing vanishes."""
    return "".join(_drawable(character, font) for character in value)


def text(value: str, *, font: str = BODY) -> str:
    """`value` as paragraph markup that prints it literally. Every value of a report passes through here."""
    return escape(plain(value, font=font))


def mono(value: str, *, per_line: int = 0) -> str:
    """`value` as paragraph markup in monospace, broken after every `per_line` characters (0: not at all)."""
    step = per_line or len(value) or 1
    lines = [text(value[start : start + step], font=MONO) for start in range(0, len(value), step)]
    return f'<font name="{MONO}" size="{MONO_SIZE}">{"<br/>".join(lines)}</font>'


def tinted(markup: str, color: Color) -> str:
    """Paragraph markup in a colour."""
    return f'<font color="#{color.hexval()[2:]}">{markup}</font>'


def tone(state: str) -> tuple[str, Color]:
    """Mark and colour of a verdict, outcome or state; the word itself always stands beside them."""
    return _TONES.get(state.lower(), _NEUTRAL)


def state_words(state: str) -> str:
    """A closed-vocabulary value as printed: ``insufficient_data`` is ``INSUFFICIENT DATA``."""
    return state.replace("_", " ").upper()


def moment(value: str) -> str:
    """An RFC 3339 time as printed, ``2026-11-21 10:00:00 UTC``.

    Raises:
        ContentError: the time is malformed.
    """
    try:
        return parse_time(value).strftime("%Y-%m-%d %H:%M:%S UTC")
    except TimeFormatError as error:
        raise ContentError(f"A time in the report content is malformed: {error}") from error


@cache
def style(name: str) -> ParagraphStyle:
    """The paragraph style of that name; see `_STYLES`."""
    fonts_register()
    settings = {"fontName": BODY, "fontSize": 9.6, "leading": 13.6, "textColor": INK} | _STYLES[name]
    return ParagraphStyle(name, **settings)


def _drawable(character: str, font: str) -> str:
    if character in "\t\n\r":
        return " "
    return character if ord(character) in _glyphs(font) else f"[U+{ord(character):04X}]"


@cache
def _glyphs(font: str) -> frozenset[int]:
    fonts_register()
    # Characters without a width or a shape of their own could hide or reorder what is printed.
    face = pdfmetrics.getFont(font).face
    return frozenset(code for code in face.charToGlyph if chr(code).isprintable() or code == ord("\xa0"))


_SMALL = {"fontSize": 8.4, "leading": 11.2}
_STYLES: dict[str, dict[str, object]] = {
    "body": {"spaceAfter": 6},
    "lead": {"fontSize": 12.2, "leading": 17.4, "textColor": NAVY, "spaceAfter": 10},
    "h1": {
        "fontName": STRONG,
        "fontSize": 16,
        "leading": 20,
        "textColor": NAVY,
        "spaceBefore": 22,
        "spaceAfter": 7,
        "keepWithNext": 1,
    },
    "h2": {
        "fontName": STRONG,
        "fontSize": 11,
        "leading": 14,
        "textColor": NAVY,
        "spaceBefore": 9,
        "spaceAfter": 4,
        "keepWithNext": 1,
    },
    "note": {**_SMALL, "textColor": GREY, "spaceAfter": 6},
    "cell": {**_SMALL},
    "cell-strong": {**_SMALL, "fontName": STRONG},
    "cell-note": {**_SMALL, "textColor": GREY},
    "number": {**_SMALL, "alignment": TA_RIGHT},
    "head": {"fontName": STRONG, "fontSize": 7.8, "leading": 10, "textColor": GREY},
    "head-number": {
        "fontName": STRONG,
        "fontSize": 7.8,
        "leading": 10,
        "textColor": GREY,
        "alignment": TA_RIGHT,
    },
    "item": {"spaceAfter": 4, "leftIndent": 14, "firstLineIndent": -14},
    "note-item": {**_SMALL, "textColor": GREY, "leftIndent": 9, "firstLineIndent": -9},
    "signer": {**_SMALL, "fontSize": 9.6, "leading": 12.6},
    "label": {**_SMALL, "textColor": GREY},
    "mono": {"fontName": MONO, "fontSize": 7.4, "leading": 10.4},
    "code": {"fontName": MONO, "fontSize": 7.4, "leading": 10.6, "textColor": NAVY},
    "cover-firm": {"fontName": STRONG, "fontSize": 11.5, "leading": 15, "textColor": WHITE},
    "cover-title": {"fontName": LIGHT, "fontSize": 33, "leading": 38, "textColor": WHITE},
    "cover-model": {"fontSize": 14.5, "leading": 19, "textColor": WHITE},
    "figure": {"fontName": STRONG, "fontSize": 16, "leading": 19, "textColor": NAVY},
    "figure-label": {"fontSize": 7.8, "leading": 10, "textColor": GREY},
}
