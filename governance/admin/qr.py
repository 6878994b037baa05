"""A QR code, drawn here: what it holds leaves this page only by a camera."""

from django.utils.html import format_html
from django.utils.safestring import SafeString
from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

_QUIET = 4


def qr_drawing(text: str, words: str) -> SafeString:
    """Draw a text as a QR code (ISO/IEC 18004, correction level M), black on white whatever the page's colours.

    Args:
        text: What a camera reads.
        words: What is said to who cannot see it.
    """
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    cells = range(code.getModuleCount())
    squares = "".join(f"M{column},{row}h1v1h-1z" for row in cells for column in cells if code.isDark(row, column))
    size = len(cells) + 2 * _QUIET
    return format_html(
        '<svg class="mn-qr" role="img" aria-label="{}" viewBox="{} {} {} {}" shape-rendering="crispEdges">'
        '<rect x="{}" y="{}" width="100%" height="100%" fill="#fff"/><path d="{}" fill="#000"/></svg>',
        words,
        -_QUIET,
        -_QUIET,
        size,
        size,
        -_QUIET,
        -_QUIET,
        squares,
    )
