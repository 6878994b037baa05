"""Timestamps (RFC 3161): that a checkpoint existed at a point in time, in the word of somebody else.

Certificates are judged at the time that the token states, so that a timestamp outlives the certificate that made it.
Revocation is not looked at: that takes a network.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import cms

from modelnotary.errors import ModelNotaryError

# One of an authority with its certificates takes 2 to 8 KiB. The reader of ASN.1 takes the square of the length for
# what is made to be slow.
MAX_TOKEN_BYTES = 32 * 1024
_STRONG = frozenset({"sha256", "sha384", "sha512"})


class TimestampError(ModelNotaryError):
    """A token is not a timestamp of these bytes."""

    code = "timestamp-invalid"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A timestamp whose signature holds: when, by the certificate of whom, and whether a known root certified him."""

    at: datetime
    authority: str
    is_trusted: bool


def timestamp_verify(token: bytes, data: bytes, roots: Sequence[str]) -> Timestamp:
    """Check that a token is a timestamp of some bytes.

    Args:
        token: DER of the time-stamp token, a CMS ContentInfo.
        data: what was timestamped, whole.
        roots: certificates of the authorities that are believed, or of those who certified them; PEM text.

    Raises:
        TimestampError: it is malformed, a timestamp of something else, or its signature does not hold.
    """
    # PDF libraries take most of a second to load.
    from pyhanko.keys import load_certs_from_pemder_data
    from pyhanko.sign.validation.errors import SignatureValidationError
    from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
    from pyhanko.sign.validation.status import TimestampSignatureStatus
    from pyhanko_certvalidator import ValidationContext

    try:
        if len(token) > MAX_TOKEN_BYTES:
            raise TimestampError(f"a timestamp has at most {MAX_TOKEN_BYTES} bytes")
        signed = cms.ContentInfo.load(token, strict=True)["content"]
        info = signed["encap_content_info"]["content"].parsed
        at = info["gen_time"].native.astimezone(UTC)
        if info["message_imprint"]["hash_algorithm"]["algorithm"].native not in _STRONG:
            raise TimestampError("the timestamp is over a hash that is no longer believed")
        context = ValidationContext(
            trust_roots=[certificate for root in roots for certificate in load_certs_from_pemder_data(root.encode())],
            allow_fetching=False,
            revocation_mode="soft-fail",
            moment=at,
        )
        status = TimestampSignatureStatus(
            **asyncio.run(
                validate_tst_signed_data(signed, context, lambda algorithm: hashlib.new(algorithm, data).digest())
            )
        )
        subject = status.signing_cert.subject
        authority = str(subject.native.get("common_name", subject.human_friendly))
    except (SignatureValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TimestampError(f"it cannot be read as a timestamp: {error}") from error
    if not status.valid:
        raise TimestampError("its signature does not hold")
    if not status.intact:
        raise TimestampError("it is a timestamp of something else")
    return Timestamp(at, authority, status.trusted)
