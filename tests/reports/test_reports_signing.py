"""Reports are signed once, as a whole, by a certificate of the local authority."""

import io
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from report_samples import AS_OF, sample_report

from reports.errors import PkiError, SigningError
from reports.pki import ReportPki, report_pki_create, report_signer_load
from reports.signing import report_sign

FILES = ("report-root.key", "report-root.pem", "report-signer.key", "report-signer.pem")


@pytest.fixture
def pki(tmp_path: Path) -> ReportPki:
    return report_pki_create(tmp_path, name="Sample Bank", at=AS_OF)


def test_the_signature_is_added_to_the_report_and_changes_nothing_before_it() -> None:
    sample = sample_report()
    assert sample.signed.startswith(sample.unsigned)
    with pikepdf.open(io.BytesIO(sample.signed)) as pdf:
        (field,) = pdf.Root.AcroForm.Fields
        assert field.V.SubFilter == pikepdf.Name("/ETSI.CAdES.detached")
        assert field.V.Reference[0].TransformParams.P == 1
        assert str(field.V.M) == "D:20261121104207Z"
        assert field.AP.N.BBox[2] - field.AP.N.BBox[0] > 400


def test_poppler_finds_the_signature_valid(tmp_path: Path) -> None:
    pdfsig = shutil.which("pdfsig")
    if pdfsig is None:
        pytest.skip("NO POPPLER: pdfsig is not installed, so no second program judges the signature")
    path = tmp_path / "report.pdf"
    path.write_bytes(sample_report().signed)
    said = subprocess.run([pdfsig, str(path)], capture_output=True, text=True, check=True).stdout
    assert "Signature Validation: Signature is Valid." in said
    assert "- Total document signed" in said


def test_a_report_is_signed_only_once_and_only_where_it_has_a_place_for_it() -> None:
    sample = sample_report()
    for pdf in (sample.signed, b"%PDF-1.7 nothing", b"", _with_another_field(sample.unsigned)):
        with pytest.raises(SigningError, match="cannot be signed"):
            report_sign(pdf, sample.signer, report_id="rep", at=AS_OF)


def _with_another_field(pdf: bytes) -> bytes:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        opened.Root.AcroForm.Fields[0].T = pikepdf.String("Another")
        opened.save(buffer)
    return buffer.getvalue()


def test_the_authority_is_made_once_with_keys_only_the_owner_can_read(pki: ReportPki) -> None:
    before = {name: (pki.directory / name).read_bytes() for name in FILES}
    assert report_pki_create(pki.directory, name="Another name") == pki
    assert {name: (pki.directory / name).read_bytes() for name in FILES} == before
    assert {stat.S_IMODE((pki.directory / name).stat().st_mode) for name in FILES if name.endswith("key")} == {0o600}


def test_the_signer_is_certified_for_signing_documents_and_the_root_for_nothing_else(pki: ReportPki) -> None:
    root, signer = (
        x509.load_pem_x509_certificate(path.read_bytes()) for path in (pki.root_certificate, pki.signer_certificate)
    )
    signer.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert not usage.key_cert_sign
    purposes = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {item.dotted_string for item in purposes} == {"1.3.6.1.5.5.7.3.36", "1.3.6.1.5.5.7.3.4"}
    assert signer.not_valid_before_utc <= AS_OF
    assert signer.not_valid_after_utc - AS_OF > timedelta(days=3600)
    assert root.not_valid_after_utc > signer.not_valid_after_utc
    assert root.serial_number != signer.serial_number


def test_signing_does_not_need_the_key_of_the_root(pki: ReportPki) -> None:
    pki.root_key.unlink()
    assert report_signer_load(report_pki_create(pki.directory)).key is not None


def test_a_new_signer_is_made_when_both_its_files_are_gone(pki: ReportPki) -> None:
    old = pki.signer_certificate.read_bytes()
    pki.signer_certificate.unlink()
    pki.signer_key.unlink()
    report_signer_load(report_pki_create(pki.directory, at=datetime.now(UTC)))
    assert pki.signer_certificate.read_bytes() != old


def _swap_signer_key(pki: ReportPki) -> None:
    pki.signer_key.write_bytes(pki.root_key.read_bytes())


def _another_root(pki: ReportPki) -> None:
    other = pki.directory / "other"
    other.mkdir()
    pki.root_certificate.write_bytes(report_pki_create(other, at=AS_OF).root_certificate.read_bytes())


def _ed25519_key(pki: ReportPki) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pki.signer_key.write_bytes(pem)


UNUSABLE: dict[str, tuple[Callable[[ReportPki], object], str]] = {
    "a key readable by others": (lambda pki: pki.signer_key.chmod(0o640), "0600"),
    "no key": (lambda pki: pki.signer_key.unlink(), "cannot read"),
    "no certificate": (lambda pki: pki.signer_certificate.unlink(), "cannot read"),
    "a key that is none": (lambda pki: pki.signer_key.write_bytes(b"key"), "no unencrypted private key"),
    "a certificate that is none": (lambda pki: pki.signer_certificate.write_bytes(b"pem"), "no certificate"),
    "a key of another kind": (_ed25519_key, "another kind"),
    "the key of another certificate": (_swap_signer_key, "not the key of"),
    "a certificate of another root": (_another_root, "not issued by"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_files_are_named(pki: ReportPki, case: str) -> None:
    spoil, message = UNUSABLE[case]
    spoil(pki)
    with pytest.raises(PkiError, match=message):
        report_signer_load(pki)


def test_half_a_pair_is_never_completed(pki: ReportPki) -> None:
    pki.signer_certificate.unlink()
    key = pki.signer_key.read_bytes()
    with pytest.raises(PkiError, match="without its other half"):
        report_pki_create(pki.directory)
    assert load_pem_private_key(key, None) is not None
    assert pki.signer_key.read_bytes() == key
