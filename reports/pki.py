"""The local authority that certifies report signatures: one root and one signer, as PEM files.

The root's private key is needed only to issue signers and is best moved away from the machine afterwards.
Certificates follow RFC 5280; the signer's extended key usage is id-kp-documentSigning (RFC 9336) and
emailProtection, which viewers that do not know the former ask for.
"""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from reports.errors import PkiError

_DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_ROOT_LIFE = timedelta(days=20 * 365)
_SIGNER_LIFE = timedelta(days=10 * 365)
# A verifier whose clock is behind must not find the certificate not yet valid.
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReportPki:
    """Where the certificates and keys of report signatures are kept: four PEM files in one directory."""

    directory: Path

    @property
    def root_certificate(self) -> Path:
        """The certificate auditors pin."""
        return self.directory / "report-root.pem"

    @property
    def root_key(self) -> Path:
        """The root's private key, needed only to issue a signer's certificate."""
        return self.directory / "report-root.key"

    @property
    def signer_certificate(self) -> Path:
        """The certificate embedded in every signature."""
        return self.directory / "report-signer.pem"

    @property
    def signer_key(self) -> Path:
        """The private key that signs reports."""
        return self.directory / "report-signer.key"


@dataclass(frozen=True, slots=True)
class ReportSigner:
    """What signs a report: the signer's certificate and its P-256 private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def report_pki_create(directory: Path, *, name: str = "Model Notary", at: datetime | None = None) -> ReportPki:
    """Make what is missing of root and signer in `directory`; what exists is never replaced.

    Keys are P-256, written with mode 0600. The root is valid for 20 years, the signer for 10.

    Args:
        directory: where ``report-root.pem``, ``report-root.key``, ``report-signer.pem`` and
            ``report-signer.key`` are kept.
        name: who issues reports, printed in the certificates.
        at: the moment from which new certificates are valid, aware; the present when absent.

    Raises:
        PkiError: a file cannot be read or written, or only half of a pair exists.
    """
    pki = ReportPki(directory)
    at = (at or datetime.now(UTC)).replace(microsecond=0)
    if not pki.root_certificate.exists():
        _make_root(pki, name, at)
    if not pki.signer_certificate.exists():
        _make_signer(pki, name, at)
    return pki


def report_signer_load(pki: ReportPki) -> ReportSigner:
    """Read what signing needs; the root's key is not touched.

    Raises:
        PkiError: a file is missing or malformed, the key is readable by others, or they do not match.
    """
    root, certificate = _read_certificate(pki.root_certificate), _read_certificate(pki.signer_certificate)
    key = _read_key(pki.signer_key)
    if certificate.public_key() != key.public_key():
        raise PkiError(f"{pki.signer_key} is not the key of {pki.signer_certificate.name} beside it")
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PkiError(f"{pki.signer_certificate} was not issued by {pki.root_certificate.name} beside it") from error
    return ReportSigner(certificate, key)


def _make_root(pki: ReportPki, name: str, at: datetime) -> None:
    key = _new_key(pki.root_key)
    subject = _name(name, "report root")
    builder = (
        _builder(subject, subject, key, at, _ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write(pki.root_certificate, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), 0o644)


def _make_signer(pki: ReportPki, name: str, at: datetime) -> None:
    root = _read_certificate(pki.root_certificate)
    root_key = _read_key(pki.root_key)
    key = _new_key(pki.signer_key)
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(name, "report signer"), root.subject, key, at, _SIGNER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    _write(pki.signer_certificate, builder.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM), 0o644)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    at: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + life)
    )


def _name(name: str, office: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {office}"),
        ]
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return key


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise PkiError(f"{path} exists without its other half; move it away to make a new pair") from error
    except OSError as error:
        raise PkiError(f"cannot write {path}: {error.strerror}") from error


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise PkiError(f"cannot read the certificate {path}: {error.strerror}") from error
    except ValueError as error:
        raise PkiError(f"{path} holds no certificate in PEM form: {error}") from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise PkiError(f"the key {path} can be read by others; set its mode to 0600")
            key = load_pem_private_key(file.read(), password=None)
    except OSError as error:
        raise PkiError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError(f"{path} holds no unencrypted private key in PEM form: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} holds a key of another kind than elliptic curve")
    return key
