"""Signed overrides of a denial, as in-toto statements with a predicate of their own.

Whoever is allowed something by an override can be asked for it; unlike a decision it names who took the risk and why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelnotary.attest.dsse import Envelope, envelope_sign, envelope_verify
from modelnotary.attest.errors import StatementError
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE, Statement
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.digest import Digest
from modelnotary.times import format_time, parse_time

OVERRIDE_PREDICATE_TYPE = "https://modelnotary.dev/ns/v1/override"


@dataclass(frozen=True, slots=True)
class SignedOverride:
    """A denial that two people overrode for a time.

    Attributes:
        id: id of the override, ``ovr_…``; `decision` that of the denial.
        name: name of the model version; a label only.
        digest: digest of the model version.
        environment: where it may be used all the same.
        attestation: SHA-256 text of the denial's attestation.
        reason: why; `ticket` where the emergency is tracked.
        requested_by: id of who asked; `approved_by` that of who approved.
        approved_at: when it begins, aware; `expires_at` when it ends; `review_due_at` when it has to be reviewed.
    """

    id: str
    decision: str
    name: str
    digest: Digest
    environment: str
    attestation: str
    reason: str
    ticket: str
    requested_by: str
    approved_by: str
    approved_at: datetime
    expires_at: datetime
    review_due_at: datetime

    def to_bytes(self) -> bytes:
        """Write it as the in-toto statement that is signed."""
        return Statement(
            self.name,
            self.digest,
            OVERRIDE_PREDICATE_TYPE,
            {
                "id": self.id,
                "decision": self.decision,
                "environment": self.environment,
                "attestationDigest": self.attestation,
                "reason": self.reason,
                "ticket": self.ticket,
                "requestedBy": self.requested_by,
                "approvedBy": self.approved_by,
                "approvedAt": format_time(self.approved_at),
                "expiresAt": format_time(self.expires_at),
                "reviewDueAt": format_time(self.review_due_at),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an override, the inverse of `to_bytes`.

        Raises:
            StatementError: the bytes are not the one spelling of an override.
        """
        statement = Statement.from_bytes(data)
        said = {name: value for name, value in statement.predicate.items() if isinstance(value, str)}
        try:
            override = cls(
                id=said["id"],
                decision=said["decision"],
                name=statement.name,
                digest=statement.digest,
                environment=said["environment"],
                attestation=said["attestationDigest"],
                reason=said["reason"],
                ticket=said["ticket"],
                requested_by=said["requestedBy"],
                approved_by=said["approvedBy"],
                approved_at=parse_time(said["approvedAt"]),
                expires_at=parse_time(said["expiresAt"]),
                review_due_at=parse_time(said["reviewDueAt"]),
            )
        except (KeyError, TimeFormatError) as error:
            raise StatementError(f"the statement does not hold an override: {error}") from error
        if override.to_bytes() != data:
            raise StatementError("the members of the override contradict each other")
        return override


def override_sign(override: SignedOverride, private_key: Ed25519PrivateKey) -> bytes:
    """Sign an override; return the DSSE envelope."""
    return envelope_sign(STATEMENT_PAYLOAD_TYPE, override.to_bytes(), private_key).to_bytes()


def override_open(data: bytes, keys: Iterable[Ed25519PublicKey]) -> tuple[SignedOverride, tuple[str, ...]]:
    """Read a signed override and check that trusted keys signed it; return it and the ids of the keys.

    Raises:
        AttestError: the bytes are not an envelope, a signature does not hold, or it is no override.
    """
    envelope = Envelope.from_bytes(data)
    signers = envelope_verify(envelope, STATEMENT_PAYLOAD_TYPE, keys)
    return SignedOverride.from_bytes(envelope.payload), signers
