"""What is handed to a browser so that its authenticator makes a passkey, or signs with one (WebAuthn Level 3)."""

from typing import Any

from governance.models import Passkey, SigningTicket
from governance.services.approvals import TICKET_FOR
from governance.services.authenticators import ENROL_WITHIN
from governance.services.passkeys import passkeys_of
from modelnotary.attest.passkey import ALGORITHMS
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.text import base64url_text


def creation_options(passkey: Passkey) -> dict[str, Any]:
    """Write PublicKeyCredentialCreationOptionsJSON (§5.1.9): a person who is verified, and no attestation."""
    user = passkey.user
    return {
        "rp": {"id": passkey.rp_id, "name": "Model Notary"},
        "user": {
            "id": base64url_text(user.id.encode()),
            "name": user.get_username(),
            "displayName": user.printed_name,
        },
        "challenge": base64url_text(bytes(passkey.challenge)),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": int(ENROL_WITHIN.total_seconds() * 1000),
        "excludeCredentials": _descriptors(passkeys_of(user)),
        "authenticatorSelection": {"userVerification": "required"},
        "attestation": "none",
    }


def request_options(ticket: SigningTicket) -> dict[str, Any]:
    """Write PublicKeyCredentialRequestOptionsJSON (§5.1.9)."""
    keys = passkeys_of(ticket.signer)
    return {
        "challenge": base64url_text(Digest.of(bytes(ticket.statement)).value),
        "timeout": int(TICKET_FOR.total_seconds() * 1000),
        "rpId": keys[0].rp_id,
        "allowCredentials": _descriptors(keys),
        "userVerification": "required",
    }


def _descriptors(passkeys: list[Passkey]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": base64url_text(bytes(passkey.credential_id or b""))} for passkey in passkeys]
