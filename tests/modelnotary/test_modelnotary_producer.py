"""Envelopes from outside: read in one way only, and good for nothing without a signature by a key that is known."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from software_producer import COLLECTED, SoftwareProducer, standard, statement, url_safe

from modelnotary.attest.dsse import pae
from modelnotary.attest.errors import AttestError, ProducerKeyError, StatementError
from modelnotary.attest.evidence import EvidenceStatement
from modelnotary.attest.producer import (
    MAX_PRODUCER_ENVELOPE_BYTES,
    ProducerKey,
    Signers,
    producer_envelope_read,
    producer_envelope_verify,
)
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE
from modelnotary.ledger.digest import Digest

ED, EC, OTHER = SoftwareProducer(), SoftwareProducer.of_curve(), SoftwareProducer()
SAID = statement(Digest.of(b"model"), {"auc": 0.84, "rows": 477})
# 0xfb and 0xff bytes give characters in which the two alphabets of base64 differ.
PAYLOAD = SAID.to_bytes() + b" " * 3
STRANGE = json.dumps(
    json.loads(SAID.to_bytes()) | {"predicate": {"report": {"note": "ûÿ~?>ûÿ"}, "collectedAt": "x"}}, ensure_ascii=False
).encode()


def verify(data: bytes, *producers: SoftwareProducer) -> Signers:
    keys = [each.public for each in producers or (ED, EC)]
    return producer_envelope_verify(producer_envelope_read(data), STATEMENT_PAYLOAD_TYPE, keys)


@pytest.mark.parametrize("producer", [ED, EC], ids=["ed25519", "p256"])
def test_an_envelope_of_each_kind_of_key_holds_whatever_it_names_its_key(producer: SoftwareProducer) -> None:
    assert verify(producer.envelope(PAYLOAD)).keys == (producer.public,)
    for hint in ("", "a name that its tool gives", OTHER.public.id):
        unnamed = producer.envelope(PAYLOAD, signatures=[producer.signature(PAYLOAD, keyid=hint)])
        assert verify(unnamed).keys == (producer.public,)
    nameless = producer.signature(PAYLOAD)
    del nameless["keyid"]
    assert verify(producer.envelope(PAYLOAD, signatures=[nameless])).keys == (producer.public,)


def test_signatures_by_nobody_known_are_named_and_say_nothing() -> None:
    both = ED.envelope(PAYLOAD, EC.signature(PAYLOAD), OTHER.signature(PAYLOAD), OTHER.signature(PAYLOAD, keyid="x"))
    signers = verify(both)
    assert {key.id for key in signers.keys} == {ED.public.id, EC.public.id}
    assert signers.unknown == (OTHER.public.id, "x")


def test_both_alphabets_of_base64_are_read() -> None:
    signature = ED.signature(STRANGE)
    assert set(standard(STRANGE)) & set("+/")
    urlsafe = {"sig": signature["sig"].replace("+", "-").replace("/", "_")}
    data = ED.envelope(STRANGE, payload=url_safe(STRANGE), signatures=[signature | urlsafe])
    assert producer_envelope_read(data).payload == STRANGE
    assert verify(data).keys == (ED.public,)


def mixed(text: str) -> str:
    """The same bytes with one character of the other alphabet."""
    at = min(text.index(sign) for sign in "+/" if sign in text)
    rest = text[at + 1 :] if set(text[at + 1 :]) & set("+/") else text[at + 1 :] + "/+//"
    return text[:at] + {"+": "-", "/": "_"}[text[at]] + rest


def raw(text: str) -> Callable[[], bytes]:
    return text.encode


MEMBERS = '"payloadType": "application/vnd.in-toto+json", "payload": "e30="'
SIGNATURES = json.dumps([ED.signature(b"{}")])
ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no JSON": (raw("{"), "malformed"),
    "an array": (raw("[]"), "no other"),
    "a byte order mark": (lambda: b"\xef\xbb\xbf" + ED.envelope(PAYLOAD), "malformed"),
    "not UTF-8": (lambda: ED.envelope(PAYLOAD).replace(b"payloadType", b"payload\xffType"), "malformed"),
    "a key twice": (raw(f'{{{MEMBERS}, "payload": "e30=", "signatures": {SIGNATURES}}}'), "repeated"),
    "a key of a signature twice": (
        raw(f'{{{MEMBERS}, "signatures": [{{"sig": "e30=", "sig": "e30="}}]}}'),
        "repeated",
    ),
    "a member of its own": (lambda: ED.envelope(PAYLOAD, note="unsigned"), "no other"),
    "a certificate in a signature": (
        lambda: ED.envelope(PAYLOAD, signatures=[ED.signature(PAYLOAD, cert="x")]),
        "keyid",
    ),
    "no payload": (lambda: ED.envelope(PAYLOAD, payload=None), "no other"),
    "no type": (lambda: ED.envelope(PAYLOAD, payloadType=None), "no other"),
    "no signature": (lambda: ED.envelope(PAYLOAD, signatures=[]), "1 to 16"),
    "17 signatures": (lambda: ED.envelope(PAYLOAD, *[ED.signature(PAYLOAD)] * 16), "1 to 16"),
    "a name with a line break": (
        lambda: ED.envelope(PAYLOAD, signatures=[ED.signature(PAYLOAD, keyid="a\n")]),
        "keyid",
    ),
    "a name that is none": (lambda: ED.envelope(PAYLOAD, signatures=[ED.signature(PAYLOAD, keyid=None)]), "keyid"),
    "a long name": (lambda: ED.envelope(PAYLOAD, signatures=[ED.signature(PAYLOAD, keyid="a" * 201)]), "keyid"),
    "another type": (
        lambda: ED.envelope(
            PAYLOAD, payloadType="application/json", signatures=[ED.signature(PAYLOAD, "application/json")]
        ),
        "not a application/vnd.in-toto",
    ),
    "the type in capitals": (lambda: ED.envelope(PAYLOAD, payloadType=STATEMENT_PAYLOAD_TYPE.upper()), "not a app"),
    "the type with a parameter": (
        lambda: ED.envelope(PAYLOAD, payloadType=f"{STATEMENT_PAYLOAD_TYPE};v=1"),
        "not a app",
    ),
    "no padding": (lambda: ED.envelope(PAYLOAD, payload=standard(PAYLOAD + b"x").rstrip("=")), "base64"),
    "a line break in base64": (
        lambda: ED.envelope(PAYLOAD, payload=standard(PAYLOAD)[:8] + "\n" + standard(PAYLOAD)[8:]),
        "base64",
    ),
    "trailing bits": (lambda: ED.envelope(b"{}", payload="e3x="), "canonical"),
    "both alphabets": (lambda: ED.envelope(STRANGE, payload=mixed(standard(STRANGE))), "mixes"),
    "another payload": (
        lambda: ED.envelope(PAYLOAD, payload=standard(PAYLOAD.replace(b"0.84", b"0.94"))),
        "does not match",
    ),
    "signed without its type": (
        lambda: ED.envelope(PAYLOAD, signatures=[{"keyid": ED.public.id, "sig": standard(ED.sign(PAYLOAD))}]),
        "does not match",
    ),
    "signed over the text of the payload": (
        lambda: ED.envelope(
            PAYLOAD, signatures=[{"sig": standard(ED.sign(pae(STATEMENT_PAYLOAD_TYPE, base64.b64encode(PAYLOAD))))}]
        ),
        "none of the signatures",
    ),
    "somebody else's signature under our name": (
        lambda: ED.envelope(PAYLOAD, signatures=[OTHER.signature(PAYLOAD, keyid=ED.public.id)]),
        "does not match",
    ),
    "a broken signature beside a good one": (
        lambda: ED.envelope(PAYLOAD, EC.signature(PAYLOAD + b" ")),
        "does not match",
    ),
    "somebody else's alone": (lambda: OTHER.envelope(PAYLOAD), OTHER.public.id),
    "an empty signature": (lambda: ED.envelope(PAYLOAD, signatures=[{"sig": ""}]), "none of the signatures"),
    "too long": (lambda: ED.envelope(PAYLOAD, payload=standard(bytes(MAX_PRODUCER_ENVELOPE_BYTES))), "more than"),
    "too deep": (raw("[" * 100_000), "malformed"),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_an_envelope_that_is_not_as_it_should_be_is_refused(what: str) -> None:
    made, words = ATTACKS[what]
    with pytest.raises(AttestError) as refusal:
        verify(made())
    assert words in str(refusal.value)


def spki(key: Any, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    text: str = key.public_key().public_bytes(Encoding.PEM, form).decode()
    return text


def small_order(encoding: bytes) -> str:
    """The PEM of an Ed25519 key with these 32 bytes (RFC 8410)."""
    body = standard(bytes.fromhex("302a300506032b6570032100") + encoding)
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"


KEYS: dict[str, tuple[str, str]] = {
    "nothing": ("", "no public key"),
    "a private key": ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no public key"),
    "RSA": (spki(rsa_key(65537, 2048)), "signs with"),
    "another curve": (spki(generate_private_key(SECP384R1())), "signs with"),
    "two keys": (ED.pem + OTHER.pem, "one key"),
    "words before it": ("the key of the laboratory\n" + ED.pem, "one key"),
    "too long": (ED.pem + " " * 1000, "at most"),
    "the neutral element": (small_order(bytes([1]) + bytes(31)), "small order"),
    "zero": (small_order(bytes(32)), "small order"),
    "zero with a sign": (small_order(bytes(31) + b"\x80"), "small order"),
    "order eight": (
        small_order(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")),
        "small order",
    ),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_key_that_nothing_could_rest_on_is_refused(what: str) -> None:
    pem, words = KEYS[what]
    with pytest.raises(ProducerKeyError, match=words):
        ProducerKey.from_pem(pem)


def test_a_key_has_one_spelling_and_one_name() -> None:
    for producer in (ED, EC):
        key = producer.public
        assert key == ProducerKey.from_spki(key.spki) == ProducerKey.from_pem(key.pem.replace("\n", "\r\n"))
        assert (key.digest.hex, len(key.id)) == (key.id, 64)
        with pytest.raises(ProducerKeyError):
            ProducerKey.from_spki(key.spki + b"\0")
    compressed = EC.key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    with pytest.raises(ProducerKeyError):
        ProducerKey.from_spki(head + compressed)


# --- What is signed ---------------------------------------------------------------------------------------------------
def test_a_statement_is_read_as_it_was_written_and_in_any_layout() -> None:
    full = statement(Digest.of(b"x"), {"auc": 0.5}, valid_until=COLLECTED.replace(year=2027), name="credit v7")
    for said in (SAID, full):
        assert EvidenceStatement.from_bytes(said.to_bytes()) == said
        laid_out = json.dumps(json.loads(said.to_bytes()), indent=4).encode()
        assert EvidenceStatement.from_bytes(laid_out) == said


def changed(**members: Any) -> bytes:
    value = json.loads(SAID.to_bytes()) | members
    return json.dumps({name: item for name, item in value.items() if item is not None}).encode()


PREDICATE = {"report": {}, "collectedAt": "2026-11-20T09:00:00Z"}
HEX = Digest.of(b"model").hex
STATEMENTS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "malformed"),
    "another version": (changed(_type="https://in-toto.io/Statement/v0.1"), "_type"),
    "a member of its own": (changed(note="x"), "no other"),
    "no subject": (changed(subject=None), "no other"),
    "no one": (changed(subject=[]), "/subject"),
    "two subjects": (changed(subject=[{"digest": {"sha256": HEX}}] * 2), "/subject"),
    "two digests": (changed(subject=[{"digest": {"sha256": HEX, "sha512": "00"}}]), "/subject"),
    "another algorithm": (changed(subject=[{"digest": {"sha512": HEX}}]), "/subject"),
    "a digest in capitals": (changed(subject=[{"digest": {"sha256": HEX.upper()}}]), "/subject/0/digest/sha256"),
    "a place beside the digest": (changed(subject=[{"digest": {"sha256": HEX}, "uri": "x"}]), "/subject"),
    "a name that is none": (changed(subject=[{"digest": {"sha256": HEX}, "name": 7}]), "/subject"),
    "somebody else's predicate": (changed(predicateType="https://slsa.dev/provenance/v1"), "/predicateType"),
    "version nought": (changed(predicateType="https://modelnotary.dev/ns/v1/evidence/bias/v0"), "/predicateType"),
    "a line after the type": (changed(predicateType=f"{SAID.predicate_type}\n"), "/predicateType"),
    "a longer type": (changed(predicateType=f"{SAID.predicate_type}/x"), "/predicateType"),
    "no time": (changed(predicate={"report": {}}), "/predicate"),
    "no report": (changed(predicate={"collectedAt": "2026-11-20T09:00:00Z"}), "/predicate"),
    "a list for a report": (changed(predicate=PREDICATE | {"report": []}), "/predicate"),
    "a member of the predicate": (changed(predicate=PREDICATE | {"measured": True}), "/predicate"),
    "a time of another zone": (
        changed(predicate=PREDICATE | {"collectedAt": "2026-11-20T09:00:00+01:00"}),
        "/predicate",
    ),
    "a day that no calendar has": (changed(predicate=PREDICATE | {"validUntil": "2026-02-30T09:00:00Z"}), "/predicate"),
    "a key twice": (SAID.to_bytes().replace(b'"rows":477', b'"rows":477,"auc":0.99'), "repeated"),
    "NaN": (SAID.to_bytes().replace(b"0.84", b"NaN"), "NaN"),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_statement_that_says_something_else_is_refused_with_its_place(what: str) -> None:
    data, words = STATEMENTS[what]
    with pytest.raises(StatementError) as refusal:
        EvidenceStatement.from_bytes(data)
    assert words in str(refusal.value)
