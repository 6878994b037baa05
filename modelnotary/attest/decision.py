"""Signed gate decisions: sign one, and open one."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelnotary.attest.dsse import Envelope, envelope_sign, envelope_verify
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE, GateDecision


def decision_sign(decision: GateDecision, private_key: Ed25519PrivateKey) -> bytes:
    """Sign a decision; denials are signed like approvals.

    Returns:
        The DSSE envelope, as stored and as named by digest in the ledger.
    """
    return envelope_sign(STATEMENT_PAYLOAD_TYPE, decision.to_bytes(), private_key).to_bytes()


def decision_open(data: bytes, keys: Iterable[Ed25519PublicKey]) -> tuple[GateDecision, tuple[str, ...]]:
    """Read a signed decision and check that trusted keys signed it.

    Returns:
        The decision, and the ids of the keys that signed. Whether they were in force at ``decided_at`` is the
        caller's to check.

    Raises:
        EnvelopeError: the bytes are not an envelope.
        EnvelopeSignatureError: a signature is by an unknown key, or does not hold.
        StatementError: what is signed is not a gate decision.
    """
    envelope = Envelope.from_bytes(data)
    signers = envelope_verify(envelope, STATEMENT_PAYLOAD_TYPE, keys)
    return GateDecision.from_bytes(envelope.payload), signers
