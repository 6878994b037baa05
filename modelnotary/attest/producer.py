"""Envelopes by producers of evidence, whose tools and keys are their own: DSSE v1.0.2 in any layout of its JSON.

An envelope of the product has one spelling; one from outside cannot be asked for that. What is asked for is that it can
be read in one way only: strict JSON, no member that the protocol does not have, base64 in one of the two alphabets that
the protocol allows and in the one spelling of that alphabet. The bytes are kept as they came.

Keys are Ed25519 (RFC 8032) and ECDSA over P-256 with SHA-256 (FIPS 186-5), as SubjectPublicKeyInfo (RFC 5280).
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from modelnotary.attest.dsse import MAX_SIGNATURES, Envelope, EnvelopeSignature, pae
from modelnotary.attest.errors import EnvelopeError, EnvelopeSignatureError, ProducerKeyError
from modelnotary.ledger.canonical import Json, parse_json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, TextError
from modelnotary.ledger.text import base64_bytes

MAX_PRODUCER_ENVELOPE_BYTES = 1024 * 1024
MAX_KEY_TEXT = 1000
_KEY_NAME = re.compile(r"[ -~]{0,200}")
_STANDARD = str.maketrans("-_", "+/")
ED25519, ECDSA_P256 = "ed25519", "ecdsa-p256-sha256"
# The encodings of points of small order, without the sign bit: under such a key anybody can sign.
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


@dataclass(frozen=True, slots=True)
class ProducerKey:
    """A public key of a producer.

    Attributes:
        spki: its SubjectPublicKeyInfo, DER, in the one spelling that this package writes.
    """

    spki: bytes
    _public: Ed25519PublicKey | EllipticCurvePublicKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(cls, text: str) -> Self:
        """Read one public key in PEM, and nothing around it.

        Raises:
            ProducerKeyError: it is no such key, of another algorithm, or not in its one spelling.
        """
        if len(text) > MAX_KEY_TEXT:
            raise ProducerKeyError(f"a public key in PEM has at most {MAX_KEY_TEXT} characters")
        try:
            key = cls._of(load_pem_public_key(text.encode()))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ProducerKeyError("this is no public key in PEM (BEGIN PUBLIC KEY)") from error
        if "".join(text.split()) != "".join(key.pem.split()):
            raise ProducerKeyError("give one key as SubjectPublicKeyInfo, uncompressed, with no text around it")
        return key

    @classmethod
    def from_spki(cls, spki: bytes) -> Self:
        """Read a SubjectPublicKeyInfo.

        Raises:
            ProducerKeyError: as `from_pem`.
        """
        try:
            key = cls._of(load_der_public_key(spki))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ProducerKeyError("this is no SubjectPublicKeyInfo of a public key") from error
        if key.spki != spki:
            raise ProducerKeyError("this SubjectPublicKeyInfo is not in its one spelling")
        return key

    @classmethod
    def _of(cls, public: object) -> Self:
        if isinstance(public, Ed25519PublicKey):
            raw = public.public_bytes_raw()
            if raw[:-1] + bytes([raw[-1] & 0x7F]) in _SMALL_ORDER:
                raise ProducerKeyError("this Ed25519 key is of small order: anybody can sign under it")
        elif not (isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)):
            raise ProducerKeyError("a producer signs with Ed25519 or with ECDSA over P-256")
        return cls(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), public)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the SubjectPublicKeyInfo."""
        return Digest.of(self.spki)

    @property
    def id(self) -> str:
        """What signatures name it by: the hexadecimal digits of `digest`."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def algorithm(self) -> str:
        """How it signs."""
        return ED25519 if isinstance(self._public, Ed25519PublicKey) else ECDSA_P256

    @property
    def pem(self) -> str:
        """The key in PEM."""
        return self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Tell whether it signed a message; of ECDSA the signature is DER."""
        try:
            if isinstance(self._public, Ed25519PublicKey):
                self._public.verify(signature, message)
            else:
                self._public.verify(signature, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures stand under an envelope.

    Attributes:
        keys: the keys given that signed, at least one, in their order.
        unknown: what the signatures that none of them made name as their key; they say nothing.
    """

    keys: tuple[ProducerKey, ...]
    unknown: tuple[str, ...]


def producer_envelope_read(data: bytes) -> Envelope:
    """Read an envelope of a producer. Reading one does not verify it.

    Raises:
        EnvelopeError: it is too long, no strict JSON, has members of its own, or base64 of more than one reading.
    """
    try:
        match parse_json(data, limit=MAX_PRODUCER_ENVELOPE_BYTES):
            case {"payload": str(payload), "payloadType": str(kind), "signatures": [*lines], **rest} if not rest:
                if not 0 < len(lines) <= MAX_SIGNATURES:
                    raise EnvelopeError(f"an envelope has 1 to {MAX_SIGNATURES} signatures, not {len(lines)}")
                return Envelope(kind, _base64(payload), tuple(map(_signature, lines)))
    except (CanonicalError, TextError) as error:
        raise EnvelopeError(f"the envelope is malformed: {error}") from error
    raise EnvelopeError("an envelope has the members payload, payloadType and signatures, and no other")


def producer_envelope_verify(envelope: Envelope, payload_type: str, keys: Iterable[ProducerKey]) -> Signers:
    """Check an envelope's type, and that at least one of the keys given signed it.

    The name of a key in the envelope is a hint: a signature that names one of the keys must be by it; one that names
    another, or none, is tried with all.

    Raises:
        EnvelopeSignatureError: another type, no signature by one of the keys, or one that names a key and is not by it.
    """
    if envelope.payload_type != payload_type:
        raise EnvelopeSignatureError(f"the payload is a {envelope.payload_type[:80]!r}, not a {payload_type}")
    known = {key.id: key for key in keys}
    message = pae(envelope.payload_type, envelope.payload)
    signers: dict[str, ProducerKey] = {}
    unknown: list[str] = []
    for item in envelope.signatures:
        named = known.get(item.key_id)
        made = [key for key in ([named] if named else known.values()) if key.signed(item.signature, message)]
        if named and not made:
            raise EnvelopeSignatureError(f"the signature that names the key {named.id} does not match the content")
        signers |= {key.id: key for key in made}
        if not made:
            unknown.append(item.key_id)
    if not signers:
        names = ", ".join(name or "no name" for name in unknown)
        raise EnvelopeSignatureError(f"none of the signatures is by a key in force of a producer; they name: {names}")
    return Signers(tuple(signers.values()), tuple(unknown))


def _signature(value: Json) -> EnvelopeSignature:
    match value:
        case {"sig": str(signature), **rest} if rest.keys() <= {"keyid"}:
            name = rest.get("keyid", "")
            if isinstance(name, str) and _KEY_NAME.fullmatch(name):
                return EnvelopeSignature(name, _base64(signature))
    raise EnvelopeError("a signature has the members keyid, of at most 200 printable ASCII characters, and sig")


def _base64(text: str) -> bytes:
    """Read base64 with padding, in the standard alphabet or in the URL-safe one; a mix of both is neither."""
    letters = set(text)
    if letters & set("-_"):
        if letters & set("+/"):
            raise TextError(f"{text[:80]!r} mixes the two alphabets of base64")
        text = text.translate(_STANDARD)
    return base64_bytes(text)
