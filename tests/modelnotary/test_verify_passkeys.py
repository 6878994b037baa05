"""A bundle's signatures by passkey are checked offline, against the key that its own ledger registered."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sample_bundle import KEYS, NOW, Sample, event
from software_authenticator import PRESENT, SoftwareAuthenticator

from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Event, Subject
from modelnotary.ledger.text import base64url_text
from modelnotary.times import format_time
from modelnotary.verify.bundle import bundle_write, verify_bundle
from modelnotary.verify.passkey_signatures import is_about_passkeys, passkeys_check
from modelnotary.verify.result import Check, Outcome

ORIGIN = "https://notary.example"
DEVICE, OTHER = SoftwareAuthenticator("notary.example", ORIGIN), SoftwareAuthenticator("notary.example", ORIGIN)
SIGNER = f"usr_{1:032x}"
PASSKEY = f"psk_{1:032x}"
AT = NOW - timedelta(hours=5)


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "format": "modelnotary-signature/v1",
        "decision": "dec_1",
        "vote": "approve",
        "meaning": "I approve this use.",
        "reason": "The limits are met.",
        "printed_name": "Ada Example",
        "signer": SIGNER,
        "role": "compliance",
        "method": "passkey",
        "prepared_at": format_time(AT - timedelta(seconds=30)),
        "relying_party": {"id": "notary.example", "origins": [ORIGIN]},
    } | changes


def registered(number: int, **changes: Any) -> bytes:
    data = {"user": SIGNER, "name": "key", "rp_id": "notary.example", "public_key": base64url_text(DEVICE.cose)}
    return event(number, "passkey.registered", Subject("passkey", PASSKEY), data | changes)


def revoked(number: int) -> bytes:
    return event(number, "passkey.revoked", Subject("passkey", PASSKEY), {"user": SIGNER, "name": "key"})


def signed(
    number: int,
    *,
    device: SoftwareAuthenticator = DEVICE,
    stated: dict[str, Any] | None = None,
    said: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    digest: Digest | None = None,
) -> bytes:
    """An entry whose statement a passkey signed, with `said` in the place of what follows from it."""
    made = statement(**(stated or {}))
    written = canonical_bytes(made)
    assertion = device.get(base64url_text(hashlib.sha256(written).digest()), **(answer or {}))
    data = {name: made[name] for name in ("decision", "vote", "role", "meaning", "reason")} | {
        "request": "apr_1",
        "statement": made,
        "passkey": PASSKEY,
        "public_key": base64url_text(DEVICE.cose),
        "assertion": assertion.to_json(),
    }
    subject = Subject("signature", f"sig_{number:032x}", digest or Digest.of(written))
    kept = {name: value for name, value in (data | (said or {})).items() if value is not None}
    return event(number, "approval.signed", subject, kept, at=AT)


def checks(*made: Callable[[int], bytes], pruned: bool = False) -> list[Check]:
    """What is said of the passkeys of a log with these entries."""
    entries = ((index, Event.from_bytes(make(index))) for index, make in enumerate(made))
    return passkeys_check([each for each in entries if is_about_passkeys(each[1])], pruned=pruned)


def bundle_checks(tmp_path: Path, *made: Callable[[int], bytes]) -> list[Check]:
    """What is said of the passkeys of a bundle whose ledger ends with these entries."""

    def edit(entries: list[bytes]) -> list[bytes]:
        return entries + [make(len(entries) + offset) for offset, make in enumerate(made)]

    path = tmp_path / "bundle.zip"
    bundle_write(path, Sample(edit_entries=edit).files())
    report = verify_bundle(path, KEYS.trust(), kept=None, now=NOW)
    assert [check for check in report.checks if check.outcome is not Outcome.PASS and check.name != "passkeys"] == []
    return [check for check in report.checks if check.name == "passkeys"]


def test_signatures_by_passkey_hold_and_a_bundle_without_any_says_nothing_of_them(tmp_path: Path) -> None:
    (check,) = bundle_checks(tmp_path, registered, signed, signed, revoked)
    assert (check.outcome, check.detail) == (Outcome.PASS, "all 2 signatures by passkey hold")
    assert bundle_checks(tmp_path, registered, revoked) == []
    (check,) = bundle_checks(tmp_path, signed)
    assert (check.outcome, check.index) == (Outcome.FAIL, len(Sample().entries()))


def test_a_key_whose_entry_is_gone_is_taken_from_the_signatures_own_and_said_so() -> None:
    (check,) = checks(signed, pruned=True)
    assert (check.outcome, "1 with keys from entries that are gone" in check.detail) == (Outcome.PASS, True)
    (check,) = checks(partial(signed, device=OTHER), pruned=True)
    assert check.outcome is Outcome.FAIL


FORGED: dict[str, tuple[tuple[Callable[[int], bytes], ...], str]] = {
    "nobody registered the passkey": ((signed,), "no entry before registers"),
    "registered afterwards": ((signed, registered), "no entry before registers"),
    "revoked before": ((registered, revoked, signed), "was revoked before"),
    "another key registered": (
        (partial(registered, public_key=base64url_text(OTHER.cose)), signed),
        "no entry before registers",
    ),
    "registered for somebody else": ((partial(registered, user="usr_x"), signed), "registered by somebody else"),
    "registered twice": (
        (registered, partial(registered, public_key=base64url_text(OTHER.cose)), signed),
        "registered a second time",
    ),
    "registered without a key": ((partial(registered, public_key=None), signed), "public_key is missing"),
    "another domain": ((partial(registered, rp_id="example"), signed), "no entry before registers"),
    "another device": ((registered, partial(signed, device=OTHER)), "not by the passkey"),
    "another reason": ((registered, partial(signed, said={"reason": "Another."})), "does not say what"),
    "another vote": ((registered, partial(signed, said={"vote": "reject"})), "does not say what"),
    "another digest": ((registered, partial(signed, digest=Digest.of(b"x"))), "does not say what"),
    "another statement, in entry and digest": (
        (
            registered,
            partial(
                signed,
                said={"statement": statement(vote="reject"), "vote": "reject"},
                digest=Digest.of(canonical_bytes(statement(vote="reject"))),
            ),
        ),
        "another challenge",
    ),
    "another signer": ((registered, partial(signed, stated={"signer": "usr_x"})), "not one that this person signs"),
    "another method": ((registered, partial(signed, stated={"method": "password+totp"})), "not one that this person"),
    "prepared too long before": (
        (registered, partial(signed, stated={"prepared_at": format_time(AT - timedelta(seconds=120))})),
        "two minutes",
    ),
    "prepared afterwards": (
        (registered, partial(signed, stated={"prepared_at": format_time(AT + timedelta(seconds=1))})),
        "two minutes",
    ),
    "no time": ((registered, partial(signed, stated={"prepared_at": "noon"})), "noon"),
    "origins of somebody else": (
        (registered, partial(signed, stated={"relying_party": {"id": "notary.example", "origins": ["https://x.y"]}})),
        "does not belong",
    ),
    "no relying party": ((registered, partial(signed, stated={"relying_party": None})), "relying party"),
    "another origin": ((registered, partial(signed, answer={"origin": "https://x.y"})), "asked by"),
    "nobody verified": ((registered, partial(signed, answer={"data": {"flags": PRESENT}})), "did not verify"),
    "no assertion": ((registered, partial(signed, said={"assertion": None})), "an assertion has the members"),
    "no base64url": (
        (
            registered,
            partial(signed, said={"assertion": {"authenticatorData": "%", "clientDataJSON": "", "signature": ""}}),
        ),
        "base64url",
    ),
    "no statement": ((registered, partial(signed, said={"statement": None})), "statement that was signed is missing"),
    "no passkey": ((registered, partial(signed, said={"passkey": None})), "passkey is missing"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_signature_that_was_written_into_the_ledger_and_not_made_by_the_passkey_is_found(what: str) -> None:
    entries, words = FORGED[what]
    found = checks(*entries)
    assert {check.outcome for check in found} == {Outcome.FAIL}
    assert any(words in check.detail for check in found), found
    assert all(check.index is not None for check in found)
