"""A timestamp authority (RFC 3161): somebody else's signature that the checkpoint existed at that time."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, ClassVar

from asn1crypto import cms, tsp

from audit.adapters.web import post
from audit.enums import AnchorKind
from audit.errors import AnchorError

_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_OK = 200
_GRANTED = frozenset({"granted", "granted_with_mods"})


class _Response(tsp.TimeStampResp):  # type: ignore[misc]  # the library publishes no types
    # A refusal carries no token (RFC 3161 §2.4.2), which the library does not know.
    _fields: ClassVar[list[Any]] = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """Has the SHA-256 of the whole signed note timestamped.

    Checked are the imprint, the nonce and the signature by the certificate in the answer. Whether that certificate is
    the authority's is for the reader of the token to check against the root he trusts.
    """

    kind: ClassVar[AnchorKind] = AnchorKind.TIMESTAMP
    url: str

    @property
    def location(self) -> str:
        """The authority's address."""
        return f"tsa+{self.url}"

    def publish(self, note: bytes) -> bytes:
        """Ask for a timestamp; see `Anchor.publish`.

        Returns:
            The time-stamp token: DER of a CMS ContentInfo.
        """
        imprint, nonce = hashlib.sha256(note).digest(), secrets.randbits(63)
        answer = post(self.url, _request(imprint, nonce), _QUERY)
        if (answer.status, answer.kind) != (_OK, _REPLY):
            raise AnchorError(f"{self.url} answered with status {answer.status} and {answer.kind or 'no content type'}")
        try:
            token = _token(answer.body)
            info = token["content"]["encap_content_info"]["content"].parsed
            stamped, repeated = info["message_imprint"], info["nonce"].native
            algorithm, digest = stamped["hash_algorithm"]["algorithm"].native, stamped["hashed_message"].native
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise AnchorError(f"{self.url} answered with something that is no timestamp: {error}") from error
        if (algorithm, digest, repeated) != ("sha256", imprint, nonce):
            raise AnchorError(f"{self.url} timestamped something else than it was asked to")
        _require_signed(token["content"], self.url)
        return bytes(token.dump())


def _request(imprint: bytes, nonce: int) -> bytes:
    stamped = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": imprint}
    request = {"version": "v1", "message_imprint": stamped, "nonce": nonce, "cert_req": True}
    return bytes(tsp.TimeStampReq(request).dump())


def _token(reply: bytes) -> cms.ContentInfo:
    response = _Response.load(reply, strict=True)
    status = response["status"]["status"].native
    if status not in _GRANTED:
        raise AnchorError(f"the timestamp was refused: {status} {response['status']['status_string'].native or ''}")
    token = response["time_stamp_token"]
    if token["content_type"].native != "signed_data":
        raise AnchorError("the timestamp is not signed")
    if token["content"]["encap_content_info"]["content_type"].native != "tst_info":
        raise AnchorError("what is signed is no timestamp")
    return token


def _require_signed(signed: cms.SignedData, url: str) -> None:
    # PDF libraries take most of a second to load.
    from pyhanko.sign.general import CMSExtractionError, extract_signer_info
    from pyhanko.sign.validation.errors import SignatureValidationError
    from pyhanko.sign.validation.generic_cms import extract_certs_for_validation, validate_sig_integrity

    try:
        signer = extract_signer_info(signed)
        certificate = extract_certs_for_validation(signed).signer_cert
        content = bytes(signed["encap_content_info"]["content"])
        digest = hashlib.new(signer["digest_algorithm"]["algorithm"].native, content).digest()
        intact, valid = validate_sig_integrity(
            signer, certificate, expected_content_type="tst_info", actual_digest=digest
        )
    except (CMSExtractionError, SignatureValidationError, ValueError, KeyError) as error:
        raise AnchorError(f"the timestamp of {url} cannot be checked: {error}") from error
    if not (intact and valid):
        raise AnchorError(f"the signature of the timestamp of {url} does not hold")
