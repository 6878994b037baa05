"""The DSSE envelope (secure-systems-lab/dsse v1.0.2): a payload, its type and Ed25519 signatures over both.

Stricter than the protocol where that costs nothing: an envelope has one spelling (canonical JSON, canonical
base64), and *every* signature in it must be by a trusted key, so nothing unverified can ride along.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelnotary.attest.errors import EnvelopeError, EnvelopeSignatureError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.errors import CanonicalError, TextError
from modelnotary.ledger.text import base64_bytes, base64_text

MAX_ENVELOPE_BYTES = 8 * 1024 * 1024
MAX_SIGNATURES = 16


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public_key: Ed25519PublicKey) -> str:
    """The name of a key: the SHA-256 of its 32 raw bytes, in 64 hexadecimal digits."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature and the name of the key that is said to have made it."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its type (a media type) and signatures. Reading one does not verify it."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an envelope, the inverse of `to_bytes`.

        Raises:
            EnvelopeError: the bytes are not the one spelling of an envelope.
        """
        try:
            match parse_canonical(data, limit=MAX_ENVELOPE_BYTES):
                case {"payload": str(payload), "payloadType": str(kind), "signatures": [*lines], **rest} if not rest:
                    signatures = tuple(map(_signature, lines))
                    envelope = cls(kind, base64_bytes(payload), signatures)
                case _:
                    raise EnvelopeError("an envelope has the members payload, payloadType and signatures")
        except (CanonicalError, TextError) as error:
            raise EnvelopeError(f"the envelope is malformed: {error}") from error
        if not 0 < len(signatures) <= MAX_SIGNATURES:
            raise EnvelopeError(f"an envelope has 1 to {MAX_SIGNATURES} signatures, not {len(signatures)}")
        return envelope

    def to_bytes(self) -> bytes:
        """Write the envelope as canonical JSON."""
        return canonical_bytes(
            {
                "payload": base64_text(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"keyid": item.key_id, "sig": base64_text(item.signature)} for item in self.signatures],
            }
        )


def envelope_sign(payload_type: str, payload: bytes, private_key: Ed25519PrivateKey) -> Envelope:
    """Sign a payload."""
    signature = private_key.sign(pae(payload_type, payload))
    return Envelope(payload_type, payload, (EnvelopeSignature(key_id(private_key.public_key()), signature),))


def envelope_verify(envelope: Envelope, payload_type: str, keys: Iterable[Ed25519PublicKey]) -> tuple[str, ...]:
    """Check an envelope's type and that every signature in it is by one of the keys given.

    The key id in the envelope only selects among these keys; their own ids are computed here.

    Returns:
        The ids of the keys that signed, at least one.

    Raises:
        EnvelopeSignatureError: another type, an unknown key, or a signature that does not hold.
    """
    if envelope.payload_type != payload_type:
        raise EnvelopeSignatureError(f"the payload is a {envelope.payload_type!r}, not a {payload_type}")
    if not envelope.signatures:
        raise EnvelopeSignatureError("the envelope is not signed")
    trusted = {key_id(key): key for key in keys}
    message = pae(envelope.payload_type, envelope.payload)
    for item in envelope.signatures:
        key = trusted.get(item.key_id)
        if key is None:
            raise EnvelopeSignatureError(f"the key {item.key_id[:64]!r} is not trusted for this")
        try:
            key.verify(item.signature, message)
        except InvalidSignature as error:
            raise EnvelopeSignatureError(
                f"the signature by the key {item.key_id} does not match the content"
            ) from error
    return tuple(item.key_id for item in envelope.signatures)


def _signature(value: Json) -> EnvelopeSignature:
    match value:
        case {"keyid": str(name), "sig": str(signature), **rest} if not rest:
            return EnvelopeSignature(name, base64_bytes(signature))
    raise EnvelopeError("a signature has the members keyid and sig")
