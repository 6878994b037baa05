"""What a verification found, as values that print and serialise."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from modelnotary.ledger.canonical import Json
from modelnotary.verify.steps import steps_of


class Outcome(StrEnum):
    """What one check found: it holds, it does not, or what it needs is not there."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a secret
    FAIL = "fail"
    MISSING = "missing"


class ExitCode(IntEnum):
    """How ``modelnotary verify`` ends. Stable."""

    VERIFIED = 0
    TAMPERED = 1
    INCOMPLETE = 2
    USAGE = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    ``name`` is a short stable phrase and ``detail`` a sentence for people. ``span`` is the smallest range of ledger
    entries, from its start up to, without, its end, that is known to hold the first bad one.
    """

    name: str
    outcome: Outcome
    detail: str
    span: tuple[int, int] | None = None

    @property
    def index(self) -> int | None:
        """The position of the first bad entry, when it is known exactly."""
        return self.span[0] if self.span is not None and self.span[1] - self.span[0] == 1 else None

    def to_json(self) -> dict[str, Json]:
        """The check as a JSON object."""
        return {
            "name": self.name,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "index": self.index,
            "range": None if self.span is None else list(self.span),
        }


def passed(name: str, detail: str) -> Check:
    """A check that holds."""
    return Check(name, Outcome.PASS, detail)


def failed(name: str, detail: str, *, span: tuple[int, int] | None = None) -> Check:
    """A check that does not hold; ``span`` is where, if it is about entries of a log."""
    return Check(name, Outcome.FAIL, detail, span)


def missing(name: str, detail: str, *, span: tuple[int, int] | None = None) -> Check:
    """A check that cannot be made because something is not there; ``span`` is where, if it is entries of a log."""
    return Check(name, Outcome.MISSING, detail, span)


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """Which trust file a verification relied on.

    ``pinned`` says that the user named it. ``fingerprint`` is the SHA-256 of its canonical JSON, to compare
    with the one the operator publishes.
    """

    source: str
    pinned: bool
    fingerprint: str

    def to_json(self) -> dict[str, Json]:
        """The anchor as a JSON object."""
        return {"source": self.source, "pinned": self.pinned, "fingerprint": self.fingerprint}


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Everything found out about one piece of evidence, in the order of the procedure.

    ``kind`` is ``bundle``, ``log``, ``archive``, ``report``, ``decision``, ``proof`` or ``disclosure``; ``path`` is as
    the user gave it.
    """

    kind: str
    path: str
    checks: tuple[Check, ...]
    anchor: TrustAnchor | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The verdict: one failure makes it tampered, else one gap makes it incomplete.

        No checks at all are a gap, never a success.
        """
        outcomes = {check.outcome for check in self.checks}
        if Outcome.FAIL in outcomes:
            return ExitCode.TAMPERED
        if Outcome.MISSING in outcomes or not outcomes:
            return ExitCode.INCOMPLETE
        return ExitCode.VERIFIED

    def to_json(self) -> dict[str, Json]:
        """The report as a JSON object."""
        return {
            "kind": self.kind,
            "path": self.path,
            "verdict": self.exit_code.name.lower(),
            "trust": None if self.anchor is None else self.anchor.to_json(),
            "checks": [check.to_json() | {"steps": list(steps_of(self.kind, check.name))} for check in self.checks],
        }


def exit_code_of(reports: Sequence[VerificationReport]) -> ExitCode:
    """The verdict over several pieces of evidence: the gravest one."""
    codes = {report.exit_code for report in reports}
    for code in (ExitCode.TAMPERED, ExitCode.INCOMPLETE):
        if code in codes:
            return code
    return ExitCode.VERIFIED if codes else ExitCode.INCOMPLETE
