"""Envelopes, signed decisions and trust files."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sample_bundle as sample
from sample_bundle import FORGER, KEYS, NOW

from modelnotary.attest.decision import decision_open, decision_sign
from modelnotary.attest.dsse import (
    Envelope,
    EnvelopeSignature,
    envelope_sign,
    envelope_verify,
    key_id,
    pae,
)
from modelnotary.attest.errors import AttestError, EnvelopeError, EnvelopeSignatureError, StatementError
from modelnotary.attest.statement import DECISION_EXTENSION, STATEMENT_PAYLOAD_TYPE, GateDecision
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.verify.errors import TrustError
from modelnotary.verify.trust import Trust, trust_discover

PUBLIC = [KEYS.decision.public_key()]
ENVELOPE = envelope_sign("text/plain", b"hello", KEYS.decision)


def test_what_is_signed_is_the_encoding_of_the_specification() -> None:
    # The example of the DSSE protocol, version 1.0.2.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_reads_back_and_verifies() -> None:
    envelope = Envelope.from_bytes(ENVELOPE.to_bytes())
    assert envelope == ENVELOPE
    assert envelope_verify(envelope, "text/plain", PUBLIC) == (key_id(PUBLIC[0]),)


def test_no_single_changed_byte_of_an_envelope_goes_unnoticed() -> None:
    data = ENVELOPE.to_bytes()
    for position, bit in product(range(len(data)), (0x01, 0x20)):
        changed = data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]
        with pytest.raises(AttestError):
            envelope_verify(Envelope.from_bytes(changed), "text/plain", PUBLIC)


BAD_ENVELOPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda e: [e],
    "no signatures": lambda e: e | {"signatures": []},
    "seventeen signatures": lambda e: e | {"signatures": e["signatures"] * 17},
    "a member too many": lambda e: e | {"extra": 1},
    "no payload": lambda e: {name: value for name, value in e.items() if name != "payload"},
    "a payload that is no base64": lambda e: e | {"payload": "hello"},
    "a payload with stray bits": lambda e: e | {"payload": "aGVsbG9="},
    "a payload in the URL alphabet": lambda e: e | {"payload": "_-8="},
    "a type that is no text": lambda e: e | {"payloadType": 1},
    "a signature that is no object": lambda e: e | {"signatures": ["x"]},
    "a signature with a member too many": lambda e: e | {"signatures": [e["signatures"][0] | {"cert": ""}]},
}


@pytest.mark.parametrize("case", BAD_ENVELOPES)
def test_a_malformed_envelope_is_refused(case: str) -> None:
    value: Any = parse_canonical(ENVELOPE.to_bytes())
    with pytest.raises(EnvelopeError):
        Envelope.from_bytes(canonical_bytes(BAD_ENVELOPES[case](value)))


@pytest.mark.parametrize("data", [b"", b"{}", ENVELOPE.to_bytes() + b"\n", ENVELOPE.to_bytes().replace(b",", b", ")])
def test_another_spelling_of_an_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(EnvelopeError):
        Envelope.from_bytes(data)


SIGNATURE = ENVELOPE.signatures[0]
UNTRUSTED = {
    "another payload type": replace(ENVELOPE, payload_type="text/html"),
    "another payload": replace(ENVELOPE, payload=b"other"),
    "another signer": envelope_sign("text/plain", b"hello", FORGER.decision),
    "a forger who claims the trusted key id": replace(
        ENVELOPE,
        signatures=(
            replace(envelope_sign("text/plain", b"hello", FORGER.decision).signatures[0], key_id=SIGNATURE.key_id),
        ),
    ),
    "the trusted signature under another key id": replace(
        ENVELOPE, signatures=(replace(SIGNATURE, key_id=key_id(FORGER.decision.public_key())),)
    ),
    "the trusted signature without a key id": replace(ENVELOPE, signatures=(replace(SIGNATURE, key_id=""),)),
    "an unknown signature beside the trusted one": replace(
        ENVELOPE, signatures=(SIGNATURE, EnvelopeSignature("0" * 64, bytes(64)))
    ),
    "no signature": replace(ENVELOPE, signatures=()),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_an_envelope_that_trusted_keys_did_not_sign_is_refused(case: str) -> None:
    with pytest.raises(EnvelopeSignatureError):
        envelope_verify(UNTRUSTED[case], "text/plain", PUBLIC)


PASSED = sample.decision(sample.DECISION_ID, "passed", expires_at=NOW + timedelta(days=90))


@pytest.mark.parametrize(
    "decision",
    [
        PASSED,
        sample.decision(sample.DENIAL_ID, "failed"),
        sample.decision(sample.DENIAL_ID, "error"),
        replace(PASSED, policy=None, evidence=(), rules=(), approvals=(), expires_at=None),
    ],
)
def test_a_decision_reads_back_whatever_it_decided(decision: GateDecision) -> None:
    assert GateDecision.from_bytes(decision.to_bytes()) == decision
    opened, signers = decision_open(decision_sign(decision, KEYS.decision), PUBLIC)
    assert opened == decision
    assert signers == (key_id(PUBLIC[0]),)


def test_a_decision_is_a_verification_summary_that_other_tools_understand() -> None:
    statement: Any = parse_canonical(PASSED.to_bytes())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "credit-risk:7", "digest": {"sha256": sample.MODEL.hex}}]
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert statement["predicate"]["verificationResult"] == "PASSED"
    assert statement["predicate"]["verifiedLevels"] == ["MODELNOTARY_ALLOWED_PRODUCTION"]
    denial: Any = parse_canonical(sample.decision(sample.DENIAL_ID, "failed").to_bytes())
    assert denial["predicate"]["verificationResult"] == "FAILED"
    assert denial["predicate"]["verifiedLevels"] == ["FAILED"]


def test_a_decision_that_is_still_pending_cannot_be_signed() -> None:
    with pytest.raises(StatementError):
        replace(PASSED, state="pending")


def change(*path: str | int, to: Any) -> Callable[[Any], Any]:
    """Set one member deep inside a statement."""

    def apply(value: Any) -> Any:
        inner = value
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return value

    return apply


BAD_STATEMENTS: dict[str, Callable[[Any], Any]] = {
    "another statement version": change("_type", to="https://in-toto.io/Statement/v0.1"),
    "two subjects": lambda s: s | {"subject": s["subject"] * 2},
    "a subject with another hash": change("subject", 0, "digest", to={"sha512": "0" * 128}),
    "a subject with a second hash": change("subject", 0, "digest", "sha1", to="0" * 40),
    "a subject with a short hash": change("subject", 0, "digest", "sha256", to="00"),
    "another predicate": change("predicateType", to="https://slsa.dev/provenance/v1"),
    "a denial that says it passed": change("predicate", DECISION_EXTENSION, "state", to="failed"),
    "an approval that says it failed": change("predicate", "verificationResult", to="FAILED"),
    "another level": change("predicate", "verifiedLevels", to=["SLSA_BUILD_LEVEL_3"]),
    "an unknown state": change("predicate", DECISION_EXTENSION, "state", to="maybe"),
    "no extension": lambda s: s | {"predicate": {k: v for k, v in s["predicate"].items() if "modelnotary" not in k}},
    "a member too many": change("predicate", "extra", to=1),
    "a local time": change("predicate", "timeVerified", to="2026-11-21T10:00:00+01:00"),
    "a time in another spelling": change("predicate", "timeVerified", to="2026-11-21T08:00:00Z"),
    "a number for the environment": change("predicate", DECISION_EXTENSION, "environment", to=1),
    "a version that is no text": change("predicate", "verifier", "version", "modelnotary", to=1),
    "a rule without outcome": change("predicate", DECISION_EXTENSION, "rules", 0, to={"id": "FAIR-001"}),
    "an approval without digest": change("predicate", DECISION_EXTENSION, "approvals", 0, "statementDigest", to=None),
    "evidence without digest": change("predicate", "inputAttestations", 0, to={"uri": "x"}),
}


@pytest.mark.parametrize("case", BAD_STATEMENTS)
def test_a_statement_that_contradicts_itself_is_refused_even_when_signed(case: str) -> None:
    payload = canonical_bytes(BAD_STATEMENTS[case](parse_canonical(PASSED.to_bytes())))
    data = envelope_sign(STATEMENT_PAYLOAD_TYPE, payload, KEYS.decision).to_bytes()
    with pytest.raises(StatementError):
        decision_open(data, PUBLIC)


TRUST = KEYS.trust()


def test_a_trust_file_reads_back_in_any_layout() -> None:
    assert Trust.from_bytes(TRUST.to_bytes()) == TRUST
    compact = canonical_bytes(json.loads(TRUST.to_bytes()))
    assert Trust.from_bytes(compact) == TRUST
    assert Trust.from_bytes(compact).fingerprint == TRUST.fingerprint


def test_the_fingerprint_changes_with_any_key() -> None:
    assert len({TRUST.fingerprint, FORGER.trust().fingerprint, replace(TRUST, decision_keys=()).fingerprint}) == 3


BAD_TRUST: dict[str, Callable[[Any], Any]] = {
    "another format": change("format", to="modelnotary-trust/v2"),
    "a member too many": change("extra", to=1),
    "no instance": change("instance", to=None),
    "a log of another instance": change("instance", to="other.example/1"),
    "a log key under another origin": change("logs", 0, "origin", to=sample.ACCESS),
    "a malformed log key": change("logs", 0, "vkey", to="x"),
    "a log twice": lambda t: t | {"logs": t["logs"] * 2},
    "a log that is no object": change("logs", 0, to="x"),
    "a key id of another key": change("decision_keys", 0, "keyid", to="0" * 64),
    "a decision key that is no base64": change("decision_keys", 0, "public_key", to="?"),
    "a short decision key": change("decision_keys", 0, "public_key", to="AAAA"),
    "a decision key without beginning": change("decision_keys", 0, "not_before", to=None),
    "a time in another spelling": change("decision_keys", 0, "not_before", to="2026-01-01T00:00:00Z"),
    "a decision key twice": lambda t: t | {"decision_keys": t["decision_keys"] * 2},
    "a root that is no certificate": change("report_roots", to=["hello"]),
    "a root that is no text": change("report_roots", to=[1]),
}


@pytest.mark.parametrize("case", BAD_TRUST)
def test_a_malformed_trust_file_is_refused(case: str) -> None:
    with pytest.raises(TrustError):
        Trust.from_bytes(canonical_bytes(BAD_TRUST[case](json.loads(TRUST.to_bytes()))))


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format":1,"format":1}', b" " * 300_000])
def test_what_is_no_trust_file_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError):
        Trust.from_bytes(data)


def test_a_trust_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="cannot read"):
        Trust.from_file(tmp_path / "trust.json")


def test_a_decision_key_is_in_force_from_its_first_to_its_last_moment() -> None:
    key = TRUST.decision_keys[0]
    assert key.not_after is not None
    names = (key.key_id,)
    assert TRUST.in_force(names, key.not_before)
    assert TRUST.in_force(names, key.not_after)
    assert not TRUST.in_force(names, key.not_before - timedelta(microseconds=1))
    assert not TRUST.in_force(names, key.not_after + timedelta(microseconds=1))
    assert not TRUST.in_force(("0" * 64,), NOW)
    assert replace(TRUST, decision_keys=(replace(key, not_after=None),)).in_force(names, NOW + timedelta(days=9999))


def test_a_trust_file_is_found_beside_the_evidence_or_one_folder_up(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert trust_discover(deep / "bundle.zip") is None
    (tmp_path / "trust.json").touch()
    assert trust_discover(deep / "bundle.zip") is None
    (tmp_path / "a" / "trust.json").touch()
    assert trust_discover(deep / "bundle.zip") == tmp_path / "a" / "trust.json"
    (deep / "trust.json").touch()
    assert trust_discover(deep / "bundle.zip") == deep / "trust.json"
