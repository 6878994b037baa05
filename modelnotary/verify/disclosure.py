"""Verifying openings of personal values against the entries that commit to them.

1. Read the file: canonical JSON of the disclosure format, no entry and no field of an entry twice.
2. Verify the proof of each entry, as a proof is verified.
3. Each opening, hashed with its salt and the field's name, is a commitment that stands in its own entry.
"""

from pathlib import Path

from modelnotary.ledger.disclosure import MAX_DISCLOSURE_BYTES, DisclosedEntry, Disclosure, commitments_of
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Event
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.proof import proof_checks
from modelnotary.verify.result import Check, Outcome, VerificationReport, failed, passed
from modelnotary.verify.trust import Trust


def verify_disclosure(path: Path, trust: Trust, *, policy: WitnessPolicy | None = None) -> VerificationReport:
    """Verify a disclosure file; what it does not open is not judged.

    Args:
        path: the file.
        trust: the log's key.
        policy: which witnesses must have signed the checkpoints in it; None if none must.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        disclosure = Disclosure.from_bytes(evidence_read(path, MAX_DISCLOSURE_BYTES))  # 1
    except LedgerError as error:
        return VerificationReport("disclosure", str(path), (failed("disclosure", str(error)),))
    checks = [check for entry in disclosure.entries for check in _checks(entry, trust, policy)]
    return VerificationReport("disclosure", str(path), tuple(checks))


def _checks(disclosed: DisclosedEntry, trust: Trust, policy: WitnessPolicy | None) -> list[Check]:
    checks = proof_checks(disclosed.proof, trust, policy)  # 2
    if any(check.outcome is not Outcome.PASS for check in checks):
        return checks
    proof = InclusionProof.from_bytes(disclosed.proof)
    event = Event.from_bytes(proof.extra or b"")
    held, span = commitments_of(event), (proof.index, proof.index + 1)
    for opening in disclosed.openings:  # 3
        if opening.commitment.text in held:
            checks.append(passed("opening", f"{event.id} commits to {opening.name} = {opening.value}"))
        else:
            words = f"{event.id} does not commit to this value of {opening.name}: value, salt, name or entry is another"
            checks.append(failed("opening", words, span=span))
    return checks
