"""Verifying a signed decision on its own.

1. Read the envelope; every signature in it is by a decision key of the trust file.
2. The statement in it is a gate decision in its one spelling.
3. The keys were in force at the time of the decision.

Whether it has expired is reported, not judged: an expired decision is still a genuine one. That it also
stands in the ledger is shown by a bundle or a proof.
"""

from datetime import datetime
from pathlib import Path

from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.attest.statement import GateDecision
from modelnotary.times import format_time
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.result import VerificationReport, failed, passed
from modelnotary.verify.trust import Trust

MAX_DECISION_BYTES = 8 * 1024 * 1024


def verify_decision(path: Path, trust: Trust, *, now: datetime) -> VerificationReport:
    """Verify a signed decision, approval or denial alike; ``now`` tells whether it has expired.

    Raises:
        InputError: the file cannot be read.
    """
    data = evidence_read(path, MAX_DECISION_BYTES)
    try:
        decision, signers = decision_open(data, [item.key for item in trust.decision_keys])  # 1, 2
    except AttestError as error:
        return VerificationReport("decision", str(path), (failed("signature", str(error)),))
    if not trust.in_force(signers, decision.decided_at):  # 3
        check = failed("signature", "signed with a key that was not in force at the time of the decision")
        return VerificationReport("decision", str(path), (check,))
    checks = (
        passed("signature", f"signed by the decision key {signers[0][:16]}…"),
        passed("statement", _words(decision)),
        passed("validity", _validity(decision, now)),
    )
    return VerificationReport("decision", str(path), checks)


def _words(decision: GateDecision) -> str:
    verdict = "allowed" if decision.passed else "not allowed"
    return (
        f"{decision.id}: {decision.name} ({decision.digest}) {verdict} in {decision.environment}, "
        f"decided {format_time(decision.decided_at)}"
    )


def _validity(decision: GateDecision, now: datetime) -> str:
    if decision.expires_at is None:
        return "does not expire"
    verb = "expired" if decision.expires_at <= now else "valid until"
    return f"{verb} {format_time(decision.expires_at)}"
