"""From laid-out pages to an archival file: PDF/A-3b (ISO 19005-3), the twin attached, a signature field."""

import io
from dataclasses import dataclass
from datetime import datetime

import pikepdf
from pikepdf import Array, AttachedFileSpec, Dictionary, Name, Pdf, String
from PIL import ImageCms

from modelnotary.times import parse_time
from modelnotary.verify.report_format import TWIN_NAME
from reports.content import ReportContent
from reports.theme import moment

SIGNATURE_FIELD = "ReportSignature"
_PRODUCT = "Model Notary"
_ICC_DATE = slice(24, 36)
_ICC_ID = slice(84, 100)
# Annotation flags (ISO 32000-1, table 165).
_PRINT = 4
_LOCKED = 128


@dataclass(frozen=True, slots=True)
class SignaturePlace:
    """Where the signature is shown: page, from 0, and left, bottom, right and top in points."""

    page: int
    rectangle: tuple[float, float, float, float]


def archive(pages: bytes, content: ReportContent, twin: bytes, place: SignaturePlace) -> bytes:
    """Finish a laid-out report as PDF/A-3b; the same arguments give the same bytes.

    Args:
        pages: the PDF as ReportLab wrote it.
        content: the facts; title, language and dates of the file come from them.
        twin: the bytes of ``report.json``.
        place: where the signature field goes.
    """
    buffer = io.BytesIO()
    with Pdf.open(io.BytesIO(pages)) as pdf:
        _describe(pdf, content)
        _add_output_intent(pdf)
        _attach_twin(pdf, twin, parse_time(content.as_of))
        _make_links_printable(pdf)
        _add_signature_field(pdf, place)
        pdf.save(
            buffer,
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            min_version="1.7",
        )
    return buffer.getvalue()


def _describe(pdf: Pdf, content: ReportContent) -> None:
    """Write title, author and dates, the same in the XMP packet and in the document information."""
    cover = content.cover
    at = parse_time(content.as_of)
    title = f"{cover.title}: {cover.model}, version {cover.version}"
    subject = f"{content.report_id}, facts as of {moment(content.as_of)}"
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as xmp:
        xmp["dc:title"] = title
        xmp["dc:creator"] = [cover.organization]
        xmp["dc:description"] = subject
        xmp["dc:language"] = {"en"}
        xmp["dc:identifier"] = content.report_id
        xmp["xmp:CreatorTool"] = _PRODUCT
        xmp["xmp:CreateDate"] = xmp["xmp:ModifyDate"] = xmp["xmp:MetadataDate"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        xmp["pdf:Producer"] = _PRODUCT
        xmp["pdfaid:part"] = "3"
        xmp["pdfaid:conformance"] = "B"
    del pdf.docinfo
    stamp = at.strftime("D:%Y%m%d%H%M%SZ")
    for key, value in {
        "/Title": title,
        "/Author": cover.organization,
        "/Subject": subject,
        "/Creator": _PRODUCT,
        "/Producer": _PRODUCT,
        "/CreationDate": stamp,
        "/ModDate": stamp,
    }.items():
        pdf.docinfo[key] = String(value)
    pdf.Root.Lang = String("en")
    pdf.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)


def _add_output_intent(pdf: Pdf) -> None:
    profile = pdf.make_stream(_srgb_profile(), N=3)
    intent = Dictionary(
        Type=Name.OutputIntent,
        S=Name.GTS_PDFA1,
        OutputConditionIdentifier=String("sRGB IEC61966-2.1"),
        Info=String("sRGB IEC61966-2.1"),
        DestOutputProfile=profile,
    )
    pdf.Root.OutputIntents = Array([pdf.make_indirect(intent)])


def _srgb_profile() -> bytes:
    """The sRGB colour profile with its creation date and identifier cleared, so that its bytes repeat."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_ICC_DATE] = bytes(12)
    profile[_ICC_ID] = bytes(16)
    return bytes(profile)


def _attach_twin(pdf: Pdf, twin: bytes, at: datetime) -> None:
    stamp = at.strftime("D:%Y%m%d%H%M%SZ")
    spec = AttachedFileSpec(
        pdf,
        twin,
        filename=TWIN_NAME,
        description="The facts of this report as canonical JSON, with the signed decisions and ledger proofs",
        mime_type="application/json",
        creation_date=stamp,
        mod_date=stamp,
    )
    spec.relationship = Name.Data
    pdf.attachments[TWIN_NAME] = spec
    pdf.Root.AF = Array([spec.obj])


def _make_links_printable(pdf: Pdf) -> None:
    """Flag every link as shown on paper, as ISO 19005-3, 6.3.2 asks of all annotations."""
    for page in pdf.pages:
        for annotation in page.obj.get("/Annots", []):
            annotation.F = _PRINT


def _add_signature_field(pdf: Pdf, place: SignaturePlace) -> None:
    page = pdf.pages[place.page]
    widget = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(SIGNATURE_FIELD),
            TU=String("Signature of the issuer"),
            F=_PRINT | _LOCKED,
            P=page.obj,
            Rect=Array([round(edge, 2) for edge in place.rectangle]),
        )
    )
    page.obj.Annots = Array([*page.obj.get("/Annots", []), widget])
    pdf.Root.AcroForm = Dictionary(Fields=Array([widget]), SigFlags=3)
