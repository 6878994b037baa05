"""The types of signatures a note can bear: what each signs, and with which keys.

Logs sign the text of a note as it is (C2SP signed-note v1.0.0). Witnesses sign it together with the time at which they
saw it (C2SP tlog-cosignature): with Ed25519 over the whole text, with ML-DSA-44 (FIPS 204) over what a checkpoint says
and the witness's name.
"""

import struct

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import NoteError, NoteSignatureError, TextError
from modelnotary.ledger.text import base64_bytes, decimal

ED25519 = 0x01
ED25519_COSIGNATURE = 0x04
ML_DSA_44_COSIGNATURE = 0x06
COSIGNATURES = frozenset({ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE})
PUBLIC_KEY_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}
MAX_TIME = 2**63 - 1
_TIME = struct.Struct(">Q")
_SUBTREE_LABEL = b"subtree/v1\n\x00"
_MAX_NAME_BYTES = 0xFF
_CHECKPOINT_LINES = 3


def require_supported(algorithm: int) -> None:
    """Refuse a type of key that the installed cryptography library does not have.

    Raises:
        NoteError: a newer library is needed.
    """
    if algorithm != ML_DSA_44_COSIGNATURE:
        return
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        MLDSA44PublicKey.from_public_bytes(bytes(PUBLIC_KEY_BYTES[ML_DSA_44_COSIGNATURE]))
    except (ImportError, UnsupportedAlgorithm) as error:
        raise NoteError("this installation has no ML-DSA-44; upgrade the Python package 'cryptography'") from error


def cosignature_join(time: int, signature: bytes) -> bytes:
    """Put a witness's time (seconds since 1970) and signature together as they stand in a note."""
    return _TIME.pack(time) + signature


def cosignature_time(signature: bytes) -> int:
    """Read the time, in seconds since 1970, at which a witness says it signed.

    Raises:
        NoteSignatureError: the signature is too short to have one, or the time is beyond 2^63-1.
    """
    if len(signature) <= _TIME.size:
        raise NoteSignatureError("a witness's signature begins with the time in eight bytes")
    (time,) = _TIME.unpack_from(signature)
    if time > MAX_TIME:
        raise NoteSignatureError("the time in a witness's signature is beyond 2^63-1 seconds")
    return int(time)


def signed_message(algorithm: int, *, name: str, text: str, time: int) -> bytes:
    """The bytes that a signature of this type signs.

    Args:
        algorithm: a type of `PUBLIC_KEY_BYTES`.
        name: the signer's name.
        text: the text of the note.
        time: seconds since 1970; ignored where the type has no time.

    Raises:
        NoteSignatureError: the type signs checkpoints only, and the text is none.
    """
    if algorithm == ED25519:
        return text.encode()
    if algorithm == ED25519_COSIGNATURE:
        return f"cosignature/v1\ntime {time}\n{text}".encode()
    return _subtree_message(name, text, time)


def signature_verify(algorithm: int, *, name: str, public_key: bytes, text: str, signature: bytes) -> None:
    """Check a signature as it stands in a note, its time included where the type has one.

    Raises:
        NoteSignatureError: it is not this key's over this text.
    """
    time = 0
    if algorithm in COSIGNATURES:
        time = cosignature_time(signature)
        signature = signature[_TIME.size :]
    message = signed_message(algorithm, name=name, text=text, time=time)
    try:
        if algorithm == ML_DSA_44_COSIGNATURE:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
        else:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as error:
        raise NoteSignatureError(f"the signature by {name} does not match the note") from error


def _subtree_message(name: str, text: str, time: int) -> bytes:
    """Lay out ``cosigned_message``. Extension lines of a checkpoint are not part of it."""
    lines = text.split("\n", _CHECKPOINT_LINES)
    try:
        origin, size, root = lines[0].encode(), decimal(lines[1]), base64_bytes(lines[2])
    except (IndexError, TextError) as error:
        raise NoteSignatureError("an ML-DSA-44 cosignature signs a checkpoint, and this is none") from error
    cosigner = name.encode()
    if len(root) != HASH_BYTES or not (0 < len(origin) <= _MAX_NAME_BYTES and len(cosigner) <= _MAX_NAME_BYTES):
        raise NoteSignatureError("an ML-DSA-44 cosignature has names of at most 255 bytes and a root of 32")
    return b"".join(
        (
            _SUBTREE_LABEL,
            bytes([len(cosigner)]) + cosigner,
            _TIME.pack(time),
            bytes([len(origin)]) + origin,
            _TIME.pack(0) + _TIME.pack(size),
            root,
        )
    )
