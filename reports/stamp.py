"""What the signature shows on paper: a small page drawn with the report's own fonts."""

import io
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from reportlab.pdfgen.canvas import Canvas

from reports.sections.record import SIGNATURE_HEIGHT
from reports.theme import BODY, GREY, INK, MONO, NAVY, STRONG, TEAL, WIDTH, fonts_register, plain

_LEFT = 18.0
_LABELS = 66.0


def stamp_page(signer: x509.Certificate, *, report_id: str, at: datetime) -> bytes:
    """One page of the size of the signature's box, as PDF: signer, time, report, certificate fingerprint."""
    fonts_register()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(WIDTH, SIGNATURE_HEIGHT), invariant=1, initialFontName=BODY)
    canvas.setFillColor(TEAL)
    canvas.rect(0, 0, 5, SIGNATURE_HEIGHT, stroke=0, fill=1)
    canvas.setFillColor(NAVY)
    canvas.setFont(STRONG, 10.5)
    canvas.drawString(_LEFT, SIGNATURE_HEIGHT - 19, plain(f"Digitally signed by {_common_name(signer)}", font=STRONG))
    rows = [
        ("Time", at.strftime("%Y-%m-%d %H:%M:%S UTC, by the clock of the signing machine"), BODY),
        ("Report", report_id, MONO),
        ("Certificate", f"sha256:{signer.fingerprint(hashes.SHA256()).hex()}", MONO),
    ]
    for number, (label, words, font) in enumerate(rows):
        y = SIGNATURE_HEIGHT - 38 - 14 * number
        canvas.setFont(BODY, 8.2)
        canvas.setFillColor(GREY)
        canvas.drawString(_LEFT, y, label)
        canvas.setFont(font, 8.2 if font == BODY else 7.4)
        canvas.setFillColor(INK)
        canvas.drawString(_LABELS, y, plain(words, font=font))
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _common_name(certificate: x509.Certificate) -> str:
    attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else certificate.subject.rfc4514_string()
