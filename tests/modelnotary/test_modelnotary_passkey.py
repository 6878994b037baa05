"""A passkey's signature over a statement: what the standard asks for is asked for, and each thing changed is named."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from software_authenticator import (
    ATTESTED,
    BACKED_UP,
    ELIGIBLE,
    EXTENDED,
    PRESENT,
    VERIFIED,
    SoftwareAuthenticator,
)

from modelnotary.attest.errors import PasskeyError
from modelnotary.attest.passkey import Assertion, RelyingParty, assertion_verify, public_key_parse, registration_verify
from modelnotary.ledger.text import base64url_bytes, base64url_text

ORIGIN = "https://notary.example.org"
PARTY = RelyingParty("example.org", (ORIGIN,))
STATEMENT = b'{"decision":"dec_1","vote":"approve"}'
CHALLENGE = base64url_text(hashlib.sha256(STATEMENT).digest())
ES256, ED25519, STRANGER = (
    SoftwareAuthenticator("example.org", ORIGIN),
    SoftwareAuthenticator("example.org", ORIGIN, key=Ed25519PrivateKey.generate()),
    SoftwareAuthenticator("example.org", ORIGIN),
)


def fault_of(act: Callable[[], Any]) -> str:
    with pytest.raises(PasskeyError) as refusal:
        act()
    assert len(str(refusal.value)) > 10
    return refusal.value.fault


def verify(assertion: Assertion, key: SoftwareAuthenticator = ES256, **changes: Any) -> Any:
    given: dict[str, Any] = {"statement": STATEMENT, "party": PARTY, "public_key": key.cose} | changes
    return assertion_verify(assertion, **given)


@pytest.mark.parametrize("device", [ES256, ED25519])
@pytest.mark.parametrize(
    "changes", [{}, {"crossOrigin": None}, {"a_member_that_comes_later": "x"}, {"data": {"flags": 0x1D, "count": 9}}]
)
def test_the_signature_over_a_statement_holds(device: SoftwareAuthenticator, changes: dict[str, Any]) -> None:
    assertion = device.get(CHALLENGE, **changes)
    said = verify(assertion, device)
    assert said.sign_count == changes.get("data", {}).get("count", 0)
    assert said.backup_eligible == bool(changes.get("data"))
    assert Assertion.from_json(assertion.to_json()) == assertion


# What is changed, in the client data or the authenticator data, and the fault that is named.
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "another statement's challenge": ({"challenge": base64url_text(hashlib.sha256(b"x").digest())}, "challenge"),
    "a challenge with padding": ({"challenge": CHALLENGE + "="}, "challenge"),
    "no challenge": ({"challenge": None}, "challenge"),
    "a registration": ({"type": "webauthn.create"}, "type"),
    "another origin": ({"origin": "https://notary.example.com"}, "origin"),
    "another port": ({"origin": f"{ORIGIN}:8443"}, "origin"),
    "no TLS": ({"origin": "http://notary.example.org"}, "origin"),
    "no origin": ({"origin": None}, "origin"),
    "a frame of another site": ({"crossOrigin": True}, "cross-origin"),
    "crossOrigin that is no truth value": ({"crossOrigin": 0}, "cross-origin"),
    "a page around it": ({"topOrigin": ORIGIN}, "cross-origin"),
    "client data beyond all measure": ({"more": "x" * 5000}, "client-data"),
    "nobody there": ({"data": {"flags": VERIFIED}}, "presence"),
    "nobody verified": ({"data": {"flags": PRESENT}}, "verification"),
    "another party": ({"data": {"party": "example.com"}}, "relying-party"),
    "a copy of what must not be copied": ({"data": {"flags": PRESENT | VERIFIED | BACKED_UP}}, "authenticator-data"),
    "bytes that no flag tells of": ({"data": {"more": b"\xa0"}}, "authenticator-data"),
    "extensions that are not there": ({"data": {"flags": PRESENT | VERIFIED | EXTENDED}}, "authenticator-data"),
    "a credential that is not there": ({"data": {"flags": PRESENT | VERIFIED | ATTESTED}}, "authenticator-data"),
    "data without end": ({"data": {"flags": 0x85, "more": b"\xa0" * 5000}}, "authenticator-data"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_rightly_signed_and_not_what_was_asked_is_refused(what: str) -> None:
    changes, fault = ANSWERS[what]
    assert fault_of(lambda: verify(ES256.get(CHALLENGE, **changes))) == fault


def test_what_was_changed_after_signing_is_refused() -> None:
    genuine = ES256.get(CHALLENGE)
    data, client = genuine.authenticator_data, genuine.client_data
    changed = {
        "counter": replace(genuine, authenticator_data=data[:-1] + bytes([data[-1] ^ 1])),
        "flags": replace(genuine, authenticator_data=data[:32] + bytes([data[32] | ELIGIBLE]) + data[33:]),
        "client data": replace(genuine, client_data=client.replace(b"}", b" }")),
        "signature": replace(genuine, signature=genuine.signature[:-1] + bytes([genuine.signature[-1] ^ 1])),
        "no signature": replace(genuine, signature=b""),
        "a long signature": replace(genuine, signature=genuine.signature + bytes(300)),
        "somebody else's": STRANGER.get(CHALLENGE),
        "another algorithm's": ED25519.get(CHALLENGE),
    }
    verify(genuine)
    for what, assertion in changed.items():
        assert fault_of(partial(verify, assertion)) == "signature", what
    assert fault_of(lambda: verify(genuine, statement=STATEMENT + b" ")) == "challenge"
    assert fault_of(lambda: verify(genuine, STRANGER)) == "signature"


@pytest.mark.parametrize(
    "client_data",
    [b"", b"null", b"[]", b'{"type":"webauthn.get","type":"webauthn.get"}', b"\xef\xbb\xbf{}", b"{", b'{"a":NaN}'],
)
def test_client_data_that_are_no_object_are_refused(client_data: bytes) -> None:
    assert fault_of(lambda: verify(replace(ES256.get(CHALLENGE), client_data=client_data))) in {"client-data", "type"}


def registered(answer: dict[str, str]) -> Any:
    data, client = (base64url_bytes(answer[name]) for name in ("authenticatorData", "clientDataJSON"))
    return registration_verify(data, client, challenge=bytes(32), party=PARTY)


@pytest.mark.parametrize("device", [ES256, ED25519])
def test_a_new_passkey_is_read(device: SoftwareAuthenticator) -> None:
    made = registered(device.create(base64url_text(bytes(32)), flags=PRESENT | VERIFIED | ELIGIBLE))
    assert (made.credential_id, made.public_key) == (device.credential_id, device.cose)
    assert (made.sign_count, made.backup_eligible) == (0, True)


def test_a_registration_that_is_not_what_was_asked_is_refused() -> None:
    right = base64url_text(bytes(32))
    long_id = SoftwareAuthenticator("example.org", ORIGIN, credential_id=bytes(1024))
    no_id = SoftwareAuthenticator("example.org", ORIGIN, credential_id=b"")
    for answer, fault in (
        (ES256.create(CHALLENGE), "challenge"),
        (ES256.create(right, type="webauthn.get"), "type"),
        (ES256.create(right, origin="https://example.com"), "origin"),
        (ES256.create(right, flags=PRESENT), "verification"),
        (ES256.create(right, flags=VERIFIED), "presence"),
        (SoftwareAuthenticator("example.com", ORIGIN).create(right), "relying-party"),
        (long_id.create(right), "authenticator-data"),
        (no_id.create(right), "authenticator-data"),
        (
            ES256.create(right) | {"authenticatorData": base64url_text(ES256.authenticator_data())},
            "authenticator-data",
        ),
    ):
        assert fault_of(partial(registered, answer)) == fault


COSE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _key: b"",
    "a key cut off": lambda key: key[:-1],
    "a key and more": lambda key: key + b"\x00",
    "another algorithm": lambda key: key.replace(b"\x03\x26", b"\x03\x27", 1),
    "another curve": lambda key: key.replace(b"\x20\x01", b"\x20\x02", 1),
    "members in another order": lambda key: key[:1] + key[3:5] + key[1:3] + key[5:],
    "a longer spelling of a number": lambda key: key.replace(b"\x01\x02", b"\x18\x01\x02", 1),
    "no point of the curve": lambda key: key[:-1] + bytes([key[-1] ^ 1]),
    "no numbers": lambda key: key[:10] + bytes(32) + key[42:45] + bytes(32),
}


@pytest.mark.parametrize("what", COSE)
def test_a_key_that_is_not_of_the_two_kinds_in_their_one_spelling_is_refused(what: str) -> None:
    public_key_parse(ES256.cose)
    assert fault_of(lambda: public_key_parse(COSE[what](ES256.cose))) == "key"


@pytest.mark.parametrize(
    ("party", "origins"),
    [
        ("", (ORIGIN,)),
        ("example.org", ()),
        ("example.org", ("https://example.com",)),
        ("example.org", ("https://badexample.org",)),
        ("example.org", ("http://example.org",)),
        ("example.org", ("https://example.org/",)),
        ("example.org", ("https://example.org/path",)),
        ("example.org", ("https://user@example.org",)),
        ("example.org", ("https://[::1",)),
        ("example.org", ("javascript:alert(1)",)),
    ],
)
def test_a_relying_party_has_origins_of_its_own_over_tls(party: str, origins: tuple[str, ...]) -> None:
    assert fault_of(lambda: RelyingParty(party, origins)) == "relying-party"


def test_a_machine_of_ones_own_needs_no_tls() -> None:
    assert RelyingParty.from_json(RelyingParty("localhost", ("http://localhost:8000",)).to_json()).id == "localhost"
