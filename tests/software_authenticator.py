"""A passkey in software: real keys, real signatures, and each part of an answer to be changed by an attack."""

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from modelnotary.attest.passkey import Assertion
from modelnotary.ledger.text import base64url_text

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
AAGUID = bytes(16)


def cbor_head(major: int, number: int) -> bytes:
    """The head of a CBOR item (RFC 8949 §3), in its shortest form."""
    if number < 24:
        return bytes([major << 5 | number])
    if number < 256:
        return bytes([major << 5 | 24, number])
    return bytes([major << 5 | 25]) + struct.pack(">H", number)


def cbor(value: int | bytes | dict[int, Any]) -> bytes:
    """As much CBOR as a COSE key needs."""
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, dict):
        return cbor_head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)


@dataclass
class SoftwareAuthenticator:
    """One passkey of one relying party; `count` is None for one that does not count."""

    party: str
    origin: str
    key: EllipticCurvePrivateKey | Ed25519PrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int | None = None

    @property
    def cose(self) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return cbor({1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()})
        numbers = self.key.public_key().public_numbers()
        return cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})

    def client_data(self, kind: str, challenge: str, /, **changes: Any) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False} | changes
        return json.dumps({name: value for name, value in said.items() if value is not None}).encode()

    def authenticator_data(
        self, flags: int = PRESENT | VERIFIED, *, party: str | None = None, more: bytes = b"", count: int | None = None
    ) -> bytes:
        if self.count is not None:
            self.count += 1
        party_hash = hashlib.sha256((party or self.party).encode()).digest()
        return party_hash + struct.pack(">BI", flags, (self.count or 0) if count is None else count) + more

    def create(self, challenge: str, /, *, flags: int = PRESENT | VERIFIED, **changes: Any) -> dict[str, str]:
        """The answer to a request for a new passkey, in the words of the standard."""
        attested = AAGUID + struct.pack(">H", len(self.credential_id)) + self.credential_id + self.cose
        return {
            "authenticatorData": base64url_text(self.authenticator_data(flags | ATTESTED, more=attested)),
            "clientDataJSON": base64url_text(self.client_data("webauthn.create", challenge, **changes)),
        }

    def get(self, challenge: str, /, *, data: dict[str, Any] | None = None, **changes: Any) -> Assertion:
        """Sign a challenge; `data` changes the authenticator data, anything else the client data."""
        client_data = self.client_data("webauthn.get", challenge, **changes)
        authenticator_data = self.authenticator_data(**(data or {}))
        signed = authenticator_data + hashlib.sha256(client_data).digest()
        if isinstance(self.key, Ed25519PrivateKey):
            signature = self.key.sign(signed)
        else:
            signature = self.key.sign(signed, ECDSA(SHA256()))
        return Assertion(authenticator_data, client_data, signature)
