"""The signature of a report: PAdES baseline B-B (ETSI EN 319 142-1); it certifies that nothing may change."""

import asyncio
import io
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.keys import load_certs_from_pemder_data, load_private_key_from_pemder_data
from pyhanko.pdf_utils.content import PdfContent
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import AxisAlignment, BoxConstraints, Margins, SimpleBoxLayoutRule
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.stamp import StaticStampStyle
from pyhanko_certvalidator.registry import SimpleCertificateStore

from reports.archive import SIGNATURE_FIELD
from reports.errors import SigningError
from reports.pki import ReportSigner
from reports.sections.record import SIGNATURE_HEIGHT
from reports.stamp import stamp_page
from reports.theme import WIDTH


def report_sign(pdf: bytes, signer: ReportSigner, *, report_id: str, at: datetime) -> bytes:
    """Sign a report as `reports.document.report_build` made it.

    The result begins with the unsigned bytes; one revision with the signature follows, and the signature
    covers the whole file. Only the signer's own certificate is embedded. This runs its own event loop: call
    it from a worker, never from asynchronous code.

    Args:
        pdf: the unsigned report.
        signer: the certificate and the key to sign with.
        report_id: the report's id, given as the reason of the signature and shown in it.
        at: the time of signing, aware.

    Raises:
        SigningError: the PDF cannot be read, has no empty signature field or is signed already.
    """
    at = at.astimezone(UTC)
    try:
        return asyncio.run(_sign(pdf, _pdf_signer(signer, report_id, at), at))
    except (PdfError, ValueError) as error:
        raise SigningError(f"The report {report_id} cannot be signed: {error}; build it anew") from error


def _pdf_signer(signer: ReportSigner, report_id: str, at: datetime) -> PdfSigner:
    certificate = signer.certificate.public_bytes(Encoding.DER)
    key = signer.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    metadata = PdfSignatureMetadata(
        field_name=SIGNATURE_FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        reason=f"Issue of the report {report_id}",
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    cms_signer = SimpleSigner(
        signing_cert=next(load_certs_from_pemder_data(certificate)),
        signing_key=load_private_key_from_pemder_data(key, None),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]  # pyHanko leaves it untyped
    )
    stamp = StaticStampStyle(
        border_width=0,
        background=_StampContent(stamp_page(signer.certificate, report_id=report_id, at=at)),
        background_layout=SimpleBoxLayoutRule(AxisAlignment.ALIGN_MID, AxisAlignment.ALIGN_MID, Margins()),
    )
    return PdfSigner(metadata, signer=cms_signer, stamp_style=stamp)


async def _sign(pdf: bytes, signer: PdfSigner, at: datetime) -> bytes:
    """The steps of `PdfSigner.async_sign_pdf`, which would read the clock by itself."""
    writer = _SignatureWriter(io.BytesIO(pdf), strict=True)
    session = signer.init_signing_session(writer, existing_fields_only=True)
    session.system_time = at
    reserved = await session.estimate_signature_container_size(None)
    document = session.prepare_tbs_document(None, reserved)
    prepared, output = document.digest_tbs_document()
    await document.perform_signature(prepared.document_digest, PdfCMSSignedAttributes(signing_time=at))
    output.seek(0)
    return bytes(output.read())


class _SignatureWriter(IncrementalPdfFileWriter):
    """Adds the signature and nothing else: the report keeps the dates and the producer it was built with."""

    def _update_meta(self) -> None:
        return


class _StampContent(PdfContent):
    """The first page of a PDF held in memory, as content of the signature's appearance."""

    def __init__(self, pdf: bytes) -> None:
        super().__init__(box=BoxConstraints(width=WIDTH, height=SIGNATURE_HEIGHT))
        self._pdf = pdf

    def render(self) -> bytes:
        page = self._ensure_writer.import_page_as_xobject(PdfFileReader(io.BytesIO(self._pdf)))
        self.resources.xobject[pdf_name("/Stamp")] = page
        return b"/Stamp Do"
