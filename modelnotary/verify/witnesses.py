"""Holding a checkpoint against the auditor's own policy on witnesses: who else must have seen this tree."""

from datetime import UTC, datetime
from pathlib import Path

from modelnotary.ledger.cosignature import Cosignature
from modelnotary.ledger.errors import LedgerError, QuorumError, WitnessPolicyError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.witness_policy import MAX_POLICY_BYTES, WitnessPolicy
from modelnotary.verify.errors import InputError
from modelnotary.verify.evidence_file import evidence_read
from modelnotary.verify.result import Check, failed, missing, passed


def policy_read(path: Path) -> WitnessPolicy:
    """Read a policy file.

    Raises:
        InputError: it cannot be read or is malformed.
    """
    try:
        return WitnessPolicy.from_bytes(evidence_read(path, MAX_POLICY_BYTES))
    except WitnessPolicyError as error:
        raise InputError(f"{path} is not a witness policy: {error}") from error


def witnesses_check(name: str, note: bytes, log: LogKeys, policy: WitnessPolicy) -> Check:
    """Check that enough witnesses signed a checkpoint.

    Args:
        name: what to call the check.
        note: the checkpoint as it stands.
        log: the log's keys, as trusted; the policy's own logs win if it names any.
        policy: what the auditor asks for.

    Returns:
        Passed, with who signed when; missing if too few signed; failed if a signature does not hold.
    """
    try:
        witnessed = policy.open(note, log=log)
    except QuorumError as error:
        return missing(name, str(error))
    except LedgerError as error:
        return failed(name, str(error))
    signed = ", ".join(map(cosignature_words, witnessed.cosignatures)) or "nobody, and the policy asks for nobody"
    return passed(name, f"the quorum {policy.quorum} is reached; signed by {signed}")


def cosignature_words(cosignature: Cosignature) -> str:
    """Say who signed when, in whatever time he claims."""
    try:
        moment = datetime.fromtimestamp(cosignature.time, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        moment = f"second {cosignature.time}"
    return f"{cosignature.witness.name} at {moment}"
