"""Signatures by passkeys: a WebAuthn assertion whose challenge is the digest of the statement that a person signs.

Whoever has the statement, the assertion and the public key that was registered can check the signature, offline and
for good. Method: W3C Web Authentication Level 3, §6.1 (authenticator data), §7.1 (registration) and §7.2
(verification), for the two algorithms ES256 and EdDSA over Ed25519 (RFC 9053) and without extensions.

COSE keys are read without a reader of CBOR: an authenticator writes them in the canonical form of CTAP2, which leaves
for each of the two algorithms one spelling around the numbers of the key.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Self
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from modelnotary.attest.errors import PasskeyError
from modelnotary.ledger.canonical import Json, parse_json
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import CanonicalError, TextError
from modelnotary.ledger.text import base64url_bytes, base64url_text

ALGORITHMS = (-7, -8)
"""ES256 and EdDSA, as numbers of the COSE registry."""
CREDENTIAL_ID_MAXIMUM = 1023
CLIENT_DATA_MAXIMUM = 4096
AUTHENTICATOR_DATA_MAXIMUM = 4096
_SIGNATURE_MAXIMUM = 256

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED, _EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
_HEAD = struct.Struct(">32sBI")
_ATTESTED_HEAD = struct.Struct(">16sH")
# {1: 2, 3: -7, -1: 1, -2: x, -3: y}: EC2, ES256, P-256.
_ES256 = (bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820"))
_ES256_LENGTH = sum(map(len, _ES256)) + 2 * HASH_BYTES
# {1: 1, 3: -8, -1: 6, -2: x}: OKP, EdDSA, Ed25519.
_ED25519 = bytes.fromhex("a4010103272006215820")
_ED25519_LENGTH = len(_ED25519) + HASH_BYTES
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom a passkey signs: its domain, and the origins of the pages that may ask for it.

    Raises:
        PasskeyError: an origin is not one of the domain's, or is not served over TLS.
    """

    id: str
    origins: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.id or not self.origins:
            raise PasskeyError("relying-party", "a relying party has a domain and at least one origin")
        for origin in self.origins:
            _require_origin(origin, self.id)

    def to_json(self) -> dict[str, Json]:
        """Write it as the JSON object that stands in statements."""
        return {"id": self.id, "origins": list(self.origins)}

    @classmethod
    def from_json(cls, value: Json | None) -> Self:
        """Read what `to_json` writes.

        Raises:
            PasskeyError: it is no relying party.
        """
        if isinstance(value, dict) and value.keys() == {"id", "origins"}:
            party, origins = value["id"], value["origins"]
            if isinstance(party, str) and isinstance(origins, list):
                return cls(party, tuple(origin for origin in map(_text, origins)))
        raise PasskeyError("relying-party", "a relying party has an id and a list of origins, and nothing else")


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a passkey answered, as it came: nothing of it is trusted before `assertion_verify`.

    Attributes:
        authenticator_data: What the authenticator says of itself and of the person's presence.
        client_data: JSON that the browser made; it names challenge and origin.
        signature: Over both, by the passkey.
    """

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    def to_json(self) -> dict[str, Json]:
        """Write it as base64url, in the words of the standard."""
        return {
            "authenticatorData": base64url_text(self.authenticator_data),
            "clientDataJSON": base64url_text(self.client_data),
            "signature": base64url_text(self.signature),
        }

    @classmethod
    def from_json(cls, value: Json | None) -> Self:
        """Read what `to_json` writes.

        Raises:
            PasskeyError: a member is missing, too many, or not base64url.
        """
        names = ("authenticatorData", "clientDataJSON", "signature")
        if not isinstance(value, dict) or value.keys() != set(names):
            raise PasskeyError("assertion", f"an assertion has the members {', '.join(names)}, and no other")
        try:
            return cls(*(base64url_bytes(_text(value[name])) for name in names))
        except TextError as error:
            raise PasskeyError("assertion", f"an assertion's members are base64url: {error}") from error


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """What an authenticator says (§6.1): for whom, whether a person was there and verified, and its counter.

    Attributes:
        party_hash: SHA-256 of the relying party's id.
        flags: The octet of flags.
        sign_count: How often it signed; 0 from authenticators that do not count.
        credential_id: Of a passkey that is made now; else None.
        public_key: Its COSE key, exactly as written; else None.
    """

    party_hash: bytes
    flags: int
    sign_count: int
    credential_id: bytes | None = None
    public_key: bytes | None = None

    @property
    def backup_eligible(self) -> bool:
        """Whether the passkey may be copied to other devices of its owner."""
        return bool(self.flags & _ELIGIBLE)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read authenticator data of at most 4,096 bytes.

        Raises:
            PasskeyError: they are cut off, have something beside what the flags tell, or contradict themselves.
        """
        if not _HEAD.size <= len(data) <= AUTHENTICATOR_DATA_MAXIMUM:
            raise PasskeyError("authenticator-data", f"authenticator data cannot be {len(data)} bytes long")
        party_hash, flags, count = _HEAD.unpack_from(data)
        if flags & _BACKED_UP and not flags & _ELIGIBLE:
            raise PasskeyError("authenticator-data", "a passkey that must not be backed up says that it is")
        credential, key, rest = None, None, data[_HEAD.size :]
        if flags & _ATTESTED:
            credential, key, rest = _credential(rest)
        if bool(rest) != bool(flags & _EXTENDED):
            raise PasskeyError("authenticator-data", "the flags do not tell what stands in the authenticator data")
        return cls(party_hash, flags, count, credential, key)

    def require(self, party: RelyingParty) -> None:
        """Demand that a person was there, was verified, and meant this relying party.

        Raises:
            PasskeyError: one of that is not so.
        """
        if not compare_digest(self.party_hash, hashlib.sha256(party.id.encode()).digest()):
            raise PasskeyError("relying-party", f"the passkey answered for another party than {party.id}")
        if not self.flags & _PRESENT:
            raise PasskeyError("presence", "nobody touched the authenticator")
        if not self.flags & _VERIFIED:
            raise PasskeyError("verification", "the authenticator did not verify the person, by PIN or biometry")


@dataclass(frozen=True, slots=True)
class Registration:
    """A passkey that was just made: the id of the credential, its COSE key, its counter, whether it may be copied."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool


def registration_verify(
    authenticator_data: bytes, client_data: bytes, *, challenge: bytes, party: RelyingParty
) -> Registration:
    """Check the answer to a request for a new passkey (§7.1) without attestation, which this product does not ask for.

    Raises:
        PasskeyError: something of it is not as it has to be.
    """
    _client_data_require(client_data, "webauthn.create", challenge, party)
    data = AuthenticatorData.from_bytes(authenticator_data)
    data.require(party)
    if data.credential_id is None or data.public_key is None:
        raise PasskeyError("authenticator-data", "there is no new credential in the authenticator data")
    public_key_parse(data.public_key)
    return Registration(data.credential_id, data.public_key, data.sign_count, data.backup_eligible)


def assertion_verify(
    assertion: Assertion, *, statement: bytes, party: RelyingParty, public_key: bytes
) -> AuthenticatorData:
    """Check that a passkey signed a statement (§7.2).

    1. The client data are of an assertion, for the statement's SHA-256 as challenge, from an origin of the party, not
       from within a page of somebody else.
    2. The authenticator answered for this party, touched by a person whom it verified.
    3. The signature over the authenticator data and the SHA-256 of the client data is by the key.

    The counter is the caller's to compare, because only who keeps the last one can.

    Args:
        assertion: as it came.
        statement: the bytes that are signed.
        party: for whom the passkey was registered.
        public_key: the COSE key that was registered.

    Returns:
        What the authenticator said, with its counter.

    Raises:
        PasskeyError: something of it is not as it has to be; `fault` names it.
    """
    _client_data_require(assertion.client_data, "webauthn.get", hashlib.sha256(statement).digest(), party)  # 1
    data = AuthenticatorData.from_bytes(assertion.authenticator_data)
    if data.credential_id is not None:
        raise PasskeyError("authenticator-data", "an assertion does not hold a new credential")
    data.require(party)  # 2
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    _signature_require(public_key_parse(public_key), assertion.signature, signed)  # 3
    return data


def public_key_parse(cose: bytes) -> EllipticCurvePublicKey | Ed25519PublicKey:
    """Read a COSE key (RFC 9052 §7) of ES256 or Ed25519 in the one spelling of CTAP2's canonical CBOR.

    Raises:
        PasskeyError: it is another key, another spelling, or no point of the curve.
    """
    try:
        if len(cose) == _ED25519_LENGTH and cose.startswith(_ED25519):
            return Ed25519PublicKey.from_public_bytes(cose[len(_ED25519) :])
        if len(cose) == _ES256_LENGTH and cose.startswith(_ES256[0]):
            x, between, y = cose[10:42], cose[42:45], cose[45:]
            if between == _ES256[1]:
                return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b"\x04" + x + y)
    except ValueError as error:
        raise PasskeyError("key", f"the passkey's public key is no point of its curve: {error}") from error
    raise PasskeyError("key", "the passkey's public key is not one of ES256 or Ed25519 in canonical CBOR")


def _credential(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split attested credential data (§6.5.1) into id and key, and what follows."""
    if len(data) < _ATTESTED_HEAD.size:
        raise PasskeyError("authenticator-data", "the new credential is cut off")
    _model, length = _ATTESTED_HEAD.unpack_from(data)
    credential, rest = data[_ATTESTED_HEAD.size :][:length], data[_ATTESTED_HEAD.size + length :]
    if not 1 <= length <= CREDENTIAL_ID_MAXIMUM or len(credential) != length:
        raise PasskeyError("authenticator-data", f"a credential's id cannot be {length} bytes long here")
    size = _ED25519_LENGTH if rest.startswith(_ED25519) else _ES256_LENGTH
    return credential, rest[:size], rest[size:]


def _client_data_require(data: bytes, kind: str, challenge: bytes, party: RelyingParty) -> None:
    said = _client_data_parse(data)
    if said.get("type") != kind:
        raise PasskeyError("type", f"the client data are not of {kind}")
    if said.get("challenge") != base64url_text(challenge):
        raise PasskeyError("challenge", "the passkey signed another challenge than the digest of this statement")
    if said.get("origin") not in party.origins:
        raise PasskeyError("origin", f"the passkey was asked by {said.get('origin')!r:.100}, not by {party.origins[0]}")
    # Absent from browsers of Level 1; the standard reads that as false.
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise PasskeyError("cross-origin", "the passkey was asked from within another site's page")


def _client_data_parse(data: bytes) -> Mapping[str, Json]:
    try:
        said = parse_json(data, limit=CLIENT_DATA_MAXIMUM)
    except CanonicalError as error:
        raise PasskeyError("client-data", f"the client data cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise PasskeyError("client-data", "the client data are no JSON object")
    return said


def _signature_require(key: EllipticCurvePublicKey | Ed25519PublicKey, signature: bytes, signed: bytes) -> None:
    if len(signature) > _SIGNATURE_MAXIMUM:
        raise PasskeyError("signature", f"a signature cannot be {len(signature)} bytes long")
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise PasskeyError("signature", "the signature is not by the passkey that was registered") from error


def _require_origin(origin: str, party: str) -> None:
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError as error:
        raise PasskeyError("relying-party", f"{origin[:100]!r} is no origin") from error
    if origin != f"{parts.scheme}://{parts.netloc}" or "@" in origin:
        raise PasskeyError("relying-party", f"{origin[:100]!r} is no origin: scheme, host and port alone")
    if host != party and not host.endswith(f".{party}"):
        raise PasskeyError("relying-party", f"the origin {origin[:100]} does not belong to {party[:100]}")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise PasskeyError("relying-party", f"the origin {origin[:100]} is not served over TLS")


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise PasskeyError("assertion", "a member is not text")
    return value
