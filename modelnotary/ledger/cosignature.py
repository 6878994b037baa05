"""Cosignatures: a witness's signed statement that it saw a checkpoint, and when (C2SP tlog-cosignature v1.0.1).

A witness states that, at that time, this was the largest tree of the log it had seen, and that every smaller one it had
ever seen was the beginning of this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import NoteError
from modelnotary.ledger.note import NoteSignature, NoteVerifier
from modelnotary.ledger.signature_types import (
    COSIGNATURES,
    ED25519_COSIGNATURE,
    MAX_TIME,
    ML_DSA_44_COSIGNATURE,
    cosignature_join,
    cosignature_time,
    signed_message,
)

if TYPE_CHECKING:
    # Only some builds of the library have it.
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's private key and name.

    An Ed25519 key must not serve two names: its signatures do not tell them apart. An ML-DSA-44 key signs a second line
    that stays secure against quantum computers.
    """

    name: str
    private_key: "Ed25519PrivateKey | MLDSA44PrivateKey"

    @property
    def verifier(self) -> NoteVerifier:
        """The public half.

        Raises:
            NoteError: the name cannot name a key.
        """
        is_ed25519 = isinstance(self.private_key, Ed25519PrivateKey)
        algorithm = ED25519_COSIGNATURE if is_ed25519 else ML_DSA_44_COSIGNATURE
        return NoteVerifier(self.name, algorithm, self.private_key.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint, *, at: int) -> NoteSignature:
        """Sign a checkpoint; whether it may be signed is decided elsewhere (`witness`).

        Args:
            checkpoint: what the log signed.
            at: the present, in seconds since 1970.

        Raises:
            NoteError: the time is before 1970 or beyond 2^63-1.
        """
        if not 0 <= at <= MAX_TIME:
            raise NoteError(f"a cosignature cannot carry the time {at}")
        verifier = self.verifier
        message = signed_message(verifier.algorithm, name=self.name, text=checkpoint.text, time=at)
        return NoteSignature(self.name, verifier.key_id, cosignature_join(at, self.private_key.sign(message)))


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that was found to hold: by which witness, and when (seconds since 1970)."""

    witness: NoteVerifier
    time: int
    signature: NoteSignature


def cosignatures_verify(
    text: str, signatures: Sequence[NoteSignature], witnesses: Sequence[NoteVerifier]
) -> list[Cosignature]:
    """Check the signatures that known witnesses made over a checkpoint's text; those by others are ignored.

    Args:
        text: the text of the checkpoint.
        signatures: lines of its note, or of a witness's answer.
        witnesses: their public keys; keys that are not witnesses' are ignored too.

    Returns:
        In the order of the signatures; a witness that signed twice is there twice.

    Raises:
        NoteSignatureError: a known witness's signature does not hold.
    """
    known = {(key.name, key.key_id): key for key in witnesses if key.algorithm in COSIGNATURES}
    found = []
    for signature in signatures:
        witness = known.get((signature.name, signature.key_id))
        if witness is not None:
            witness.verify(text, signature.signature)
            found.append(Cosignature(witness, cosignature_time(signature.signature), signature))
    return found
