"""Verifying that one entry stands in a log.

1. Read the proof file; it carries the entry itself.
2. The checkpoint in it is signed by the key the trust file has for that log, and by as many witnesses as the
   auditor's policy asks for.
3. The path leads from the entry, at its index, to the root that was signed.
4. The entry is an event of that log, in its one spelling.
"""

from pathlib import Path

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import log_class
from modelnotary.ledger.note import note_split
from modelnotary.ledger.proof import MAX_PROOF_BYTES, InclusionProof
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.times import format_time
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.result import Check, VerificationReport, failed, missing, passed
from modelnotary.verify.trust import Trust
from modelnotary.verify.witnesses import witnesses_check


def verify_proof(path: Path, trust: Trust, *, policy: WitnessPolicy | None = None) -> VerificationReport:
    """Verify a proof file that carries its entry.

    Args:
        path: the file.
        trust: the log's key.
        policy: which witnesses must have signed the checkpoint in it; None if none must.

    Raises:
        InputError: the file cannot be read.
    """
    checks = proof_checks(evidence_read(path, MAX_PROOF_BYTES), trust, policy)
    return VerificationReport("proof", str(path), tuple(checks))


def proof_checks(data: bytes, trust: Trust, policy: WitnessPolicy | None) -> list[Check]:
    """Check the bytes of a proof file, as `verify_proof` does."""
    try:
        proof = InclusionProof.from_bytes(data)  # 1
        origin = Checkpoint.from_text(note_split(proof.checkpoint)[0]).origin
    except LedgerError as error:
        return [failed("proof", str(error))]
    verifier = trust.log_verifier(origin)
    if verifier is None:
        return [failed("checkpoint", f"the trust file has no key for the log {origin}")]
    if proof.extra is None:
        return [missing("entry", "the proof file does not carry the entry it is about")]
    span = (proof.index, proof.index + 1)
    try:
        checkpoint = proof.verify(proof.extra, verifier)  # 2, 3
        event = Event.from_bytes(proof.extra)  # 4
    except LedgerError as error:
        return [failed("proof", str(error), span=span)]
    if log_class(origin) != event.log:
        return [
            failed(
                "entry",
                f"an entry of the log {event.log} cannot stand in {origin}",
                span=span,
            )
        ]
    words = f"{event.type}, {event.subject.kind} {event.subject.id}, {format_time(event.at)}"
    witnesses = [] if policy is None else [witnesses_check("witnesses", proof.checkpoint, verifier, policy)]
    return [
        passed("checkpoint", f"signed by the log {origin} at {checkpoint.size} entries"),
        *witnesses,
        passed("proof", f"the entry stands at position {proof.index} of that log"),
        passed("entry", words),
    ]
