"""Verification results as text for people and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence

from modelnotary.verify.result import (
    ExitCode,
    Outcome,
    TrustAnchor,
    VerificationReport,
    exit_code_of,
)
from modelnotary.verify.steps import steps_of

_MARKS = {Outcome.PASS: "✓ holds  ", Outcome.FAIL: "✗ FAILS  ", Outcome.MISSING: "? MISSING"}
_KINDS = {
    "bundle": "evidence bundle",
    "log": "exported log",
    "archive": "archive of a log's entries",
    "report": "report",
    "decision": "signed decision",
    "proof": "proof of a ledger entry",
    "disclosure": "disclosure of personal values",
}
_VERDICTS = {
    ExitCode.VERIFIED: "VERIFIED: everything checked holds",
    ExitCode.TAMPERED: "TAMPERED: at least one check fails; do not rely on this evidence",
    ExitCode.INCOMPLETE: "INCOMPLETE: something needed is missing; nothing is proved until it is there",
}


def reports_text(reports: Sequence[VerificationReport]) -> str:
    """Lay results out for reading: the trust file, a line for each check, and the verdict."""
    lines = [line for report in reports for line in _report_lines(report)]
    if len(reports) > 1:
        lines += [f"All {len(reports)} together: {_VERDICTS[exit_code_of(reports)]}"]
    # Names come from the evidence, which may have been made to confuse a terminal.
    return "\n".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)


def reports_json(reports: Sequence[VerificationReport]) -> str:
    """Lay results out for programs: one JSON object."""
    code = exit_code_of(reports)
    content = {
        "verdict": code.name.lower(),
        "exit_code": int(code),
        "reports": [report.to_json() for report in reports],
    }
    return json.dumps(content, indent=2)


def _report_lines(report: VerificationReport) -> Iterator[str]:
    yield f"{report.path}: {_KINDS[report.kind]}, by the numbered steps of its procedure"
    if report.anchor is not None:
        yield from _anchor_lines(report.anchor)
    for check in report.checks:
        steps = ", ".join(map(str, steps_of(report.kind, check.name)))
        yield f"  {_MARKS[check.outcome]}  {steps:<4}  {check.name}: {check.detail}"
        if check.span is not None and check.index is None:
            yield f"                   the first bad entry is one of {check.span[0]} to {check.span[1] - 1}"
    yield _VERDICTS[report.exit_code]


def _anchor_lines(anchor: TrustAnchor) -> Iterator[str]:
    if anchor.pinned:
        yield f"  trust: {anchor.source}, which you gave; fingerprint {anchor.fingerprint}"
        return
    yield f"  trust: {anchor.source}, which came with the evidence and is NOT pinned by you; compare its"
    yield f"         fingerprint with the one the operator publishes: {anchor.fingerprint}"
