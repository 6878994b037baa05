"""A producer of evidence in software: real keys, and each part of an envelope to be changed by an attack."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from modelnotary.attest.dsse import pae
from modelnotary.attest.evidence import EvidenceStatement
from modelnotary.attest.producer import ProducerKey
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE
from modelnotary.ledger.digest import Digest

COLLECTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def statement(digest: Digest, report: dict[str, Any], **changes: Any) -> EvidenceStatement:
    """A performance report about these bytes."""
    stated: dict[str, Any] = {"type": "performance", "schema_version": 1, "collected_at": COLLECTED} | changes
    return EvidenceStatement(digest=digest, report=report, **stated)


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


@dataclass(frozen=True)
class SoftwareProducer:
    """Somebody who signs evidence."""

    key: Ed25519PrivateKey | EllipticCurvePrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @classmethod
    def of_curve(cls) -> "SoftwareProducer":
        return cls(generate_private_key(SECP256R1()))

    @property
    def pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def public(self) -> ProducerKey:
        return ProducerKey.from_pem(self.pem)

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, ECDSA(SHA256()))

    def signature(self, payload: bytes, kind: str = STATEMENT_PAYLOAD_TYPE, **changes: Any) -> dict[str, Any]:
        """One signature over a payload, as a producer's tool writes it."""
        return {"keyid": self.public.id, "sig": standard(self.sign(pae(kind, payload)))} | changes

    def envelope(self, signed: bytes, /, *more: dict[str, Any], **changes: Any) -> bytes:
        """An envelope over a payload, in a layout that is not ours, with further signatures and members changed."""
        members = {
            "payloadType": STATEMENT_PAYLOAD_TYPE,
            "payload": standard(signed),
            "signatures": [self.signature(signed), *more],
        } | changes
        return json.dumps({name: value for name, value in members.items() if value is not None}, indent=2).encode()
