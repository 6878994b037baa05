"""A report is judged by what it states too: by its decisions, its ledger proofs and the keys an auditor pins."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from report_samples import AS_OF, SampleBank, failing, judge, sample_digest, sample_report

from modelnotary.verify.result import ExitCode
from modelnotary.verify.trust import DecisionKey, Trust
from reports.content import ReportContent
from reports.document import report_build
from reports.pki import ReportSigner, report_pki_create, report_signer_load
from reports.signing import report_sign

# A report signed with the genuine key that states what the ledger or the signed decision does not.


def fact(content: ReportContent, **changes: object) -> ReportContent:
    """The content with another source for its explanation."""
    assert content.explanation is not None
    source = replace(content.explanation.source, **changes)  # type: ignore[arg-type]  # the cases name real members
    return replace(content, explanation=replace(content.explanation, source=source))


def decision(content: ReportContent, **changes: object) -> ReportContent:
    changed = replace(content.decisions[0], **changes)  # type: ignore[arg-type]  # the cases name real members
    return replace(content, decisions=(changed,))


def rule(content: ReportContent, outcome: str) -> ReportContent:
    first, *others = content.decisions[0].rules
    return decision(content, rules=(replace(first, outcome=outcome), *others))


def proof(content: ReportContent, **changes: object) -> ReportContent:
    first, *others = content.ledger.proofs
    changed = replace(first, **changes)  # type: ignore[arg-type]  # the cases name real members
    return replace(content, ledger=replace(content.ledger, proofs=(changed, *others)))


def checkpoint(content: ReportContent, **changes: object) -> ReportContent:
    first, *others = content.ledger.checkpoints
    changed = replace(first, **changes)  # type: ignore[arg-type]  # the cases name real members
    return replace(content, ledger=replace(content.ledger, checkpoints=(changed, *others)))


def without_proof(content: ReportContent) -> ReportContent:
    return replace(content, ledger=replace(content.ledger, proofs=content.ledger.proofs[1:]))


def another_bank(content: ReportContent) -> ReportContent:
    """The report of an instance with the same name and other keys."""
    other = SampleBank().report()
    return replace(content, ledger=other.ledger)


def counted(content: ReportContent, size: int) -> ReportContent:
    assert content.access is not None
    return replace(content, access=replace(content.access, size=size))


CONTRADICTIONS: dict[str, tuple[Callable[[ReportContent], ReportContent], str]] = {
    "another model on the cover": (
        lambda c: replace(c, cover=replace(c.cover, digest=sample_digest("another"))),
        "decisions",
    ),
    "another model throughout": (
        lambda c: replace(c, cover=replace(c.cover, digest=sample_digest("another")), decisions=()),
        "citations",
    ),
    "another result": (lambda c: decision(c, result="FAILED"), "decisions"),
    "another state": (lambda c: decision(c, state="failed"), "decisions"),
    "another environment": (lambda c: decision(c, environment="staging"), "decisions"),
    "another end": (lambda c: decision(c, expires_at=None), "decisions"),
    "another time of decision": (lambda c: decision(c, decided_at="2026-11-20T00:00:00.000000Z"), "decisions"),
    "no policy": (lambda c: decision(c, policy=None), "decisions"),
    "a failed rule printed as met": (lambda c: rule(c, "waived"), "decisions"),
    "a rule left out": (lambda c: decision(c, rules=c.decisions[0].rules[1:]), "decisions"),
    "a signature left out": (lambda c: replace(c, approvals=c.approvals[1:]), "decisions"),
    "a decision signed by nobody known": (
        lambda c: decision(c, envelope=SampleBank().report().decisions[0].envelope),
        "decisions",
    ),
    "an envelope that is none": (lambda c: decision(c, envelope="{}"), "decisions"),
    "evidence of another digest": (lambda c: fact(c, digest=sample_digest("another")), "citations"),
    "evidence of another id": (lambda c: fact(c, id="evd_" + "0" * 32), "citations"),
    "evidence of another kind": (lambda c: fact(c, kind="model_version"), "citations"),
    "evidence from another entry": (lambda c: fact(c, index=3), "citations"),
    "evidence from another log": (lambda c: fact(c, origin="modelnotary.test/3f9a/access"), "citations"),
    "a cited entry without a proof": (without_proof, "citations"),
    "a proof for another position": (lambda c: proof(c, index=5), "ledger proofs"),
    "a proof for another tree": (lambda c: proof(c, size=40), "ledger proofs"),
    "a proof with another entry": (lambda c: proof(c, leaf=c.ledger.proofs[1].leaf), "ledger proofs"),
    "an entry of another type": (lambda c: proof(c, type="report.issued"), "ledger proofs"),
    "an entry of another time": (lambda c: proof(c, at="2026-11-01T00:00:00.000000Z"), "ledger proofs"),
    "a proof that is none": (lambda c: proof(c, proof="none"), "ledger proofs"),
    "a leaf that is none": (lambda c: proof(c, leaf="?"), "ledger proofs"),
    "the same proof twice": (
        lambda c: replace(c, ledger=replace(c.ledger, proofs=(*c.ledger.proofs, c.ledger.proofs[0]))),
        "ledger proofs",
    ),
    "a larger log than was signed": (lambda c: checkpoint(c, size=10_000), "checkpoints"),
    "another root than was signed": (lambda c: checkpoint(c, root="A" * 43 + "="), "checkpoints"),
    "an unknown log": (lambda c: checkpoint(c, origin="modelnotary.test/3f9a/other"), "checkpoints"),
    "a checkpoint that is none": (lambda c: checkpoint(c, note="none"), "checkpoints"),
    "no checkpoint": (lambda c: replace(c, ledger=replace(c.ledger, checkpoints=())), "checkpoints"),
    "the ledger of another instance": (another_bank, "checkpoints"),
    "more counted than the log holds": (lambda c: counted(c, 132), "checkpoints"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_signed_report_that_contradicts_its_proofs_fails(case: str) -> None:
    state_otherwise, check = CONTRADICTIONS[case]
    sample = sample_report()
    report = judge(sample.issue(state_otherwise(sample.content)))
    assert failing(report) == check, report.checks[-1]


def test_a_decision_that_has_ended_since_is_still_the_one_that_was_signed() -> None:
    sample = sample_report()
    report = judge(sample.issue(decision(sample.content, state="superseded")))
    assert report.exit_code is ExitCode.VERIFIED, report.checks[-1]


def test_a_report_without_decisions_and_access_verifies() -> None:
    sample = sample_report()
    bare = replace(sample.content, decisions=(), approvals=(), access=None, bias=(), performance=None)
    assert judge(sample.issue(bare)).exit_code is ExitCode.VERIFIED


# Genuine bytes, other keys.


NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another authority")])
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
CLIENT_AUTHENTICATION = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")


def certificate(
    key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, purpose: x509.ObjectIdentifier
) -> x509.Certificate:
    """A certificate for one purpose: of an authority when it is its own issuer, else of a signer."""
    is_root = key is issuer_key
    return (
        x509.CertificateBuilder()
        .subject_name(NAME if is_root else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")]))
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AS_OF - timedelta(days=1))
        .not_valid_after(AS_OF + timedelta(days=4000))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_root,
                content_commitment=not is_root,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=is_root,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def another_root() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(key, key, DOCUMENT_SIGNING).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(("purpose", "check"), [(DOCUMENT_SIGNING, None), (CLIENT_AUTHENTICATION, "signer")])
def test_a_certificate_of_the_root_counts_only_if_it_is_for_signing_documents(
    purpose: x509.ObjectIdentifier, check: str | None
) -> None:
    sample = sample_report()
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate(root_key, root_key, DOCUMENT_SIGNING)
    signer = ReportSigner(certificate(key, root_key, purpose), key)
    signed = report_sign(sample.unsigned, signer, report_id=sample.content.report_id, at=AS_OF)
    trust = replace(sample.trust, report_roots=(root.public_bytes(Encoding.PEM).decode(),))
    assert failing(judge(signed, trust)) == check


def test_a_report_signed_by_another_authority_of_the_same_name_fails(tmp_path: Path) -> None:
    sample = sample_report()
    forger = report_signer_load(report_pki_create(tmp_path, name="Harbor Trust Savings Bank", at=AS_OF))
    forged = report_sign(sample.unsigned, forger, report_id=sample.content.report_id, at=AS_OF)
    assert failing(judge(forged)) == "signer"


def without_logs(trust: Trust) -> Trust:
    return replace(trust, logs=())


def other_logs(trust: Trust) -> Trust:
    return replace(trust, logs=SampleBank().trust.logs)


def retired_decision_key(trust: Trust) -> Trust:
    key = replace(trust.decision_keys[0], not_after=AS_OF - timedelta(days=30))
    return replace(trust, decision_keys=(key,))


def other_decision_key(trust: Trust) -> Trust:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return replace(trust, decision_keys=(DecisionKey(public, AS_OF - timedelta(days=365)),))


OTHER_TRUST: dict[str, tuple[Callable[[Trust], Trust], str]] = {
    "another report root": (lambda t: replace(t, report_roots=(another_root(),)), "signer"),
    "no report root": (lambda t: replace(t, report_roots=()), "signer"),
    "no decision key": (lambda t: replace(t, decision_keys=()), "decisions"),
    "another decision key": (other_decision_key, "decisions"),
    "a decision key retired before the decision": (retired_decision_key, "decisions"),
    "no log": (without_logs, "checkpoints"),
    "other keys for the same logs": (other_logs, "checkpoints"),
}


@pytest.mark.parametrize("case", OTHER_TRUST)
def test_a_report_is_worth_nothing_under_other_keys(case: str) -> None:
    change, check = OTHER_TRUST[case]
    sample = sample_report()
    assert failing(judge(sample.signed, change(sample.trust))) == check


def test_one_of_several_report_roots_is_enough() -> None:
    sample = sample_report()
    trust = replace(sample.trust, report_roots=(another_root(), *sample.trust.report_roots))
    assert judge(sample.signed, trust).exit_code is ExitCode.VERIFIED


@pytest.mark.parametrize("now", [AS_OF - timedelta(days=2), AS_OF + timedelta(days=3651)])
def test_the_signer_must_be_valid_today(now: datetime) -> None:
    sample = sample_report()
    assert failing(judge(sample.signed, now=now)) == "signer"


# The attached file is taken out only where a reader would find it.


def empty_file(pdf: pikepdf.Pdf, name: str) -> pikepdf.AttachedFileSpec:
    return pikepdf.AttachedFileSpec(
        pdf, b"{}", filename=name, description="", mime_type="application/json", creation_date="", mod_date=""
    )


def attach_another(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["other.json"] = empty_file(pdf, "other.json")


def rename_attachment(pdf: pikepdf.Pdf) -> None:
    pdf.Root.AF[0].F = pikepdf.String("facts.json")


def detach(pdf: pikepdf.Pdf) -> None:
    del pdf.Root.AF


def associate_another(pdf: pikepdf.Pdf) -> None:
    pdf.Root.AF = pikepdf.Array([empty_file(pdf, "report.json").obj])


def indent_attachment(pdf: pikepdf.Pdf) -> None:
    stream = pdf.Root.AF[0].EF.F
    stream.write(stream.read_bytes().replace(b",", b", "))


def other_format(pdf: pikepdf.Pdf) -> None:
    stream = pdf.Root.AF[0].EF.F
    stream.write(stream.read_bytes().replace(b"modelnotary-report/v1", b"modelnotary-report/v9"))


def expanding_attachment(pdf: pikepdf.Pdf) -> None:
    stream = pdf.Root.AF[0].EF.F
    stream.write(b'"' + b" " * 9_000_000 + b'"')


@pytest.mark.parametrize(
    "change",
    [
        attach_another,
        rename_attachment,
        detach,
        associate_another,
        indent_attachment,
        other_format,
        expanding_attachment,
    ],
)
def test_attached_data_in_any_other_form_are_refused(change: Callable[[pikepdf.Pdf], None]) -> None:
    sample = sample_report()
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(report_build(sample.content))) as pdf:
        change(pdf)
        pdf.save(buffer)
    signed = report_sign(buffer.getvalue(), sample.signer, report_id=sample.content.report_id, at=AS_OF)
    assert failing(judge(signed)) == "attached data"
