"""Signed audit reports (PDF), verified offline against nothing but a trust file.

The procedure of `verify_report`, numbered as in the code:

1.  Read the file, of bounded size: it begins and ends as a PDF does.
2.  Find the one signature by its one permitted spelling. It must cover the whole file but its own string, and
    its container must be, byte for byte, the one that follows from the signer's certificate, the signed
    attributes and the signature value.
3.  Check the signature over the file, and that its signer was certified, for signing documents, by a report
    root of the trust file. From here on the bytes are the signer's.
4.  Parse the PDF strictly: that signature is the only one, covers the file as a reader sees it, and permits no
    change.
5.  Take out the attached data: canonical JSON of the report format.
6.  Open every decision in them: signed by a decision key in force at its time, and telling of the model, the
    environment, the policy, the rules and the approvals what the report tells.
7.  Follow the logs' keys from those in the trust file to the newest, by the proofs of rotations that are there. Open
    the checkpoints: signed by the logs' own keys. Check every ledger proof against them.
8.  Compare every citation with the entry it names: kind, id and digest of its subject.

The first step that fails ends the procedure. Not checked: whether a certificate was revoked, which needs the
network, and that the pages print what the attached data hold; both are under the same signature.
"""

from datetime import UTC, datetime
from pathlib import Path

from modelnotary.ledger.digest import Digest
from modelnotary.verify.errors import InputError
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.report_claims import (
    CHECKPOINTS,
    CITATIONS,
    DECISIONS,
    KEYS,
    PROOFS,
    checkpoints_check,
    citations_check,
    decisions_check,
    keys_follow,
    proofs_check,
)
from modelnotary.verify.report_signature import (
    ReportProblem,
    container_find,
    container_open,
    document_open,
    document_read,
    signature_check,
)
from modelnotary.verify.report_twin import CHECK as ATTACHED_DATA
from modelnotary.verify.report_twin import Twin, twin_extract, twin_parse
from modelnotary.verify.result import Check, VerificationReport, failed, passed
from modelnotary.verify.trust import Trust

MAX_REPORT_BYTES = 64 * 1024 * 1024


def verify_report(path: Path, trust: Trust, *, now: datetime | None = None) -> VerificationReport:
    """Verify a signed report by the procedure at the top of this module.

    Args:
        path: the PDF.
        trust: the keys to rely on.
        now: the moment at which the signer's certificate has to be valid, aware; the present when absent.

    Returns:
        The findings. What is wrong with the report is in them and never raised.

    Raises:
        InputError: the file cannot be read or is too large.
    """
    data = evidence_read(path, MAX_REPORT_BYTES)
    examination = _Examination(now or datetime.now(UTC))
    try:
        examination.run(data, trust)
    except ReportProblem as problem:
        examination.checks.append(failed(problem.check, str(problem)))
    return VerificationReport("report", str(path), tuple(examination.checks))


def report_identity(path: Path) -> tuple[str, str]:
    """Tell which report a file says it is, and the digest of the file, to look both up in a ledger.

    Nothing is verified here: what the file says is worth something only after `verify_report`.

    Returns:
        The report's id and the digest of the whole file, ``sha256:`` and 64 hexadecimal digits.

    Raises:
        InputError: the file cannot be read or is no report.
    """
    data = evidence_read(path, MAX_REPORT_BYTES)
    try:
        _require_pdf(data)
        twin = twin_parse(twin_extract(document_read(data)))
    except ReportProblem as problem:
        raise InputError(f"{path} is not a report: {problem}") from problem
    return twin.report_id, Digest.of(data).text


class _Examination:
    def __init__(self, now: datetime) -> None:
        self.checks: list[Check] = []
        self._now = now

    def run(self, data: bytes, trust: Trust) -> None:
        _require_pdf(data)  # 1
        self._passed("file", f"a PDF of {len(data)} bytes")
        container = container_find(data)  # 2
        signed = container_open(container)
        self._passed("signature container", "one signature, over the whole file, in its one permitted form")
        signer, last_day = signature_check(container.digest(data), signed, trust.report_roots, self._now)  # 3
        self._passed("signature", "the file is byte for byte what was signed")
        self._passed("signer", f"{signer}, valid until {last_day}; whether it was revoked cannot be checked offline")
        reader = document_open(data, container, trust.report_roots, self._now)  # 4
        self._passed("document", "the only signature; it covers everything and permits no change")
        twin = twin_parse(twin_extract(reader))  # 5
        self._passed(ATTACHED_DATA, f"the facts of {twin.report_id} as canonical JSON")
        self._claims(twin, trust)

    def _claims(self, twin: Twin, trust: Trust) -> None:
        self._passed(DECISIONS, decisions_check(twin, trust))  # 6
        trust, followed = keys_follow(twin, trust)  # 7
        if followed:
            self._passed(KEYS, followed)
        self._passed(CHECKPOINTS, checkpoints_check(twin, trust))
        proven = proofs_check(twin, trust)
        self._passed(PROOFS, f"{len(proven)} entries are in the signed trees")
        self._passed(CITATIONS, citations_check(twin, proven))  # 8

    def _passed(self, name: str, detail: str) -> None:
        self.checks.append(passed(name, detail))


def _require_pdf(data: bytes) -> None:
    if not data.startswith(b"%PDF-") or not data.endswith(b"%%EOF\n"):
        raise ReportProblem("file", "the file does not begin and end as a PDF; bytes were cut off or added")
