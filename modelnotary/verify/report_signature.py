"""The signature of a report PDF, judged on the bytes themselves before anything else in the file is read.

A PDF reader is a large and forgiving program. So the signature is found by its one permitted spelling, its
container is compared with the only one that can follow from its parts, and the whole file is authenticated;
only then is the file parsed as a PDF, as bytes of a known signer.
"""

import asyncio
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import cms, x509
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils.decode_limits import DecodeLimits, DocumentDecodeBudget, StreamDecodeLimits
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.generic_cms import async_validate_cms_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from modelnotary.ledger.canonical import MAX_JSON_BYTES

MAX_CONTAINER_BYTES = 32 * 1024
READER_ERRORS = (
    PdfError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What the PDF and ASN.1 readers raise on malformed input; they were not written with one error of their own."""

# What a compressed stream may cost to unpack; the largest in a report is the attached data.
_LIMITS = DecodeLimits(
    per_stream=StreamDecodeLimits(max_output_size=MAX_JSON_BYTES),
    document_budget=DocumentDecodeBudget(base_allowance=8 * MAX_JSON_BYTES),
)
_BYTE_RANGE = re.compile(rb"/ByteRange \[0 ([1-9][0-9]{0,9}) ([1-9][0-9]{0,9}) ([1-9][0-9]{0,9})\] *\n")
_HEX = re.compile(rb"<((?:[0-9A-F]{2})+)>")
_DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
_LONG_LENGTH = 0x80


class ReportProblem(Exception):  # noqa: N818 -- a finding that becomes a check, not an error of the program
    """What is wrong with a report, and under which check it is reported."""

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(detail)
        self.check = check


@dataclass(frozen=True, slots=True)
class Container:
    """The place of the signature in the file and the CMS object (RFC 5652) in it, as DER bytes.

    ``start`` and ``end`` bound the only bytes the signature does not cover: its own hexadecimal string.
    """

    start: int
    end: int
    der: bytes

    def digest(self, data: bytes) -> bytes:
        """The SHA-256 of all bytes of the file outside the signature's string."""
        hasher = hashlib.sha256(data[: self.start])
        hasher.update(data[self.end :])
        return hasher.digest()


def container_find(data: bytes) -> Container:
    """Find the one signature of a report.

    Raises:
        ReportProblem: there is none, there are several, it does not cover the whole file, or its string is not
            uppercase hexadecimal filled up with zeros.
    """
    ranges = _BYTE_RANGE.findall(data)
    if data.count(b"/ByteRange") != 1 or len(ranges) != 1:
        found = "no signature" if b"/ByteRange" not in data else "not exactly one signature as reports carry it"
        raise ReportProblem("signature container", f"the file has {found}")
    start, end, length = map(int, ranges[0])
    if not start < end or end + length != len(data):
        raise ReportProblem(
            "signature container", "the signature does not cover the whole file: bytes were added or removed"
        )
    match = _HEX.fullmatch(data, start, end)
    if match is None or end - start > 2 * MAX_CONTAINER_BYTES:
        raise ReportProblem("signature container", "the signature is not written as uppercase hexadecimal")
    filled = bytes.fromhex(match[1].decode("ascii"))
    der = filled[: _der_length(filled)]
    if filled.strip(b"\0") != der.strip(b"\0"):
        raise ReportProblem("signature container", "the space after the signature is not filled with zeros")
    return Container(start, end, der)


def container_open(container: Container) -> cms.SignedData:
    """Read the CMS object and demand that it is the only one its parts can make.

    Everything in it that the signature itself does not protect is rebuilt: versions, algorithms, the signer's
    reference, and the signer's certificate as the only one.

    Raises:
        ReportProblem: it is too long, malformed, or differs from the rebuilt one in any byte.
    """
    if len(container.der) > MAX_CONTAINER_BYTES:
        raise ReportProblem("signature container", f"the signature has more than {MAX_CONTAINER_BYTES} bytes")
    try:
        signed = cms.ContentInfo.load(container.der, strict=True)["content"]
        (certificate,) = (choice.chosen for choice in signed["certificates"])
        (signer,) = signed["signer_infos"]
        rebuilt = _container_build(certificate, signer["signed_attrs"], signer["signature"])
        is_canonical = rebuilt == container.der
    except READER_ERRORS as error:
        raise ReportProblem("signature container", f"the signature cannot be read: {error}") from error
    if not is_canonical:
        raise ReportProblem("signature container", "the signature is not in its one permitted form")
    return signed


def signature_check(digest: bytes, signed: cms.SignedData, roots: Sequence[str], moment: datetime) -> tuple[str, str]:
    """Check that the signature holds for the file and that its signer was certified by a pinned root.

    Args:
        digest: the SHA-256 of what the signature covers.
        signed: the CMS object.
        roots: pinned root certificates, PEM text.
        moment: the time at which the certificates have to be valid, aware.

    Returns:
        The name of the signer and the last day of its certificate, for people.

    Raises:
        ReportProblem: the content was changed, the signature is another key's, or the signer is not certified.
    """
    try:
        status = asyncio.run(
            async_validate_cms_signature(
                signed,
                raw_digest=digest,
                validation_context=_context(roots, moment),
                key_usage_settings=_key_usage(),
            )
        )
    except READER_ERRORS as error:
        raise ReportProblem("signature", f"the signature cannot be verified: {error}") from error
    if not status.intact:
        raise ReportProblem("signature", "the content of the file is not what was signed")
    if not status.valid:
        raise ReportProblem("signature", "the signature was not made with the key of the certificate in it")
    if not status.trusted:
        raise ReportProblem(
            "signer",
            "the signer's certificate does not lead to a report root of the trust file, is not for signing "
            "documents, or is not valid today",
        )
    certificate: x509.Certificate = status.signing_cert
    name = certificate.subject.native.get("common_name", certificate.subject.human_friendly)
    return str(name), certificate.not_valid_after.strftime("%Y-%m-%d")


def document_open(data: bytes, container: Container, roots: Sequence[str], moment: datetime) -> PdfFileReader:
    """Parse a file whose signature holds, and check the rules of PDF signatures in it (ISO 32000-2, 12.8).

    Raises:
        ReportProblem: another signature is in force, it leaves bytes or later revisions uncovered, or it permits
            changes.
    """
    reader = document_read(data)
    try:
        (signature,) = reader.embedded_signatures
        is_same = signature.pkcs7_content.startswith(container.der)
        status = asyncio.run(
            async_validate_pdf_signature(signature, _context(roots, moment), key_usage_settings=_key_usage())
        )
    except READER_ERRORS as error:
        raise ReportProblem("document", f"the file does not hold one readable signature: {error}") from error
    if not is_same or status.coverage != SignatureCoverageLevel.ENTIRE_FILE or not status.bottom_line:
        raise ReportProblem("document", "the signature does not cover the file as a PDF reader sees it")
    if signature.docmdp_level != MDPPerm.NO_CHANGES or status.modification_level != ModificationLevel.NONE:
        raise ReportProblem("document", "the signature permits changes, or changes were made after it")
    return reader


def document_read(data: bytes) -> PdfFileReader:
    """Parse a file as a PDF, strictly, without judging it.

    Raises:
        ReportProblem: it cannot be parsed.
    """
    try:
        return PdfFileReader(io.BytesIO(data), strict=True, decode_limits=_LIMITS)
    except READER_ERRORS as error:
        raise ReportProblem("document", f"the file cannot be read as a PDF: {error}") from error


def _container_build(certificate: x509.Certificate, attributes: object, signature: object) -> bytes:
    sha256 = {"algorithm": "sha256"}
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            "issuer_and_serial_number",
            {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
        ),
        "digest_algorithm": sha256,
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": signature,
    }
    content = {
        "version": "v1",
        "digest_algorithms": [sha256],
        "encap_content_info": {"content_type": "data"},
        "certificates": [cms.CertificateChoices("certificate", certificate)],
        "signer_infos": [signer],
    }
    built: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(content)}).dump()
    return built


def _der_length(data: bytes) -> int:
    """Length in bytes of the first DER value; more than there is where the data are not DER."""
    if len(data) > 1 and data[1] < _LONG_LENGTH:
        return 2 + data[1]
    digits = data[1] - _LONG_LENGTH if len(data) > 1 else 0
    return 2 + digits + int.from_bytes(data[2 : 2 + digits])


def _context(roots: Sequence[str], moment: datetime) -> ValidationContext:
    """What certificates are judged by: the pinned roots alone, without the network."""
    return ValidationContext(
        trust_roots=[certificate for root in roots for certificate in load_certs_from_pemder_data(root.encode())],
        allow_fetching=False,
        revocation_mode="soft-fail",
        moment=moment,
    )


def _key_usage() -> KeyUsageConstraints:
    return KeyUsageConstraints(key_usage={"non_repudiation"}, extd_key_usage={_DOCUMENT_SIGNING})
