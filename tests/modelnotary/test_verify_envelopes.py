"""A bundle's signed evidence is checked offline, against the key that its own ledger registered."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sample_bundle import KEYS, MODEL, MODEL_ID, NOW, Sample, event
from software_producer import SoftwareProducer, statement

from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Event, Subject
from modelnotary.ledger.text import base64_text
from modelnotary.times import format_time
from modelnotary.verify.bundle import bundle_write, verify_bundle
from modelnotary.verify.evidence_signatures import EvidenceFiles, envelopes_check, is_about_producers
from modelnotary.verify.result import Check, Outcome

LAB, OTHER = SoftwareProducer(), SoftwareProducer.of_curve()
KEY_ID, EVIDENCE_ID = f"pky_{1:032x}", f"evd_{7:032x}"
HOLDER = f"usr_{9:032x}"
AT = NOW - timedelta(hours=5)
SAID = statement(MODEL, {"auc": 0.84, "rows": 477}, collected_at=AT - timedelta(days=1))
ENVELOPE = LAB.envelope(SAID.to_bytes())
NAME = f"evidence/{EVIDENCE_ID}"


def document(**changes: Any) -> bytes:
    said = {
        "format": "modelnotary-evidence/v2",
        "type": "performance",
        "schema_version": 1,
        "about": "model_version",
        "subject": {"digest": MODEL.text},
        "measured": False,
        "payload": {"auc": 0.84, "rows": 477},
        "collected_at": format_time(SAID.collected_at),
        "envelope": Digest.of(ENVELOPE).text,
    } | changes
    return canonical_bytes({name: value for name, value in said.items() if value is not None})


def registered(number: int, producer: SoftwareProducer = LAB, **changes: Any) -> bytes:
    data = {
        "holder": HOLDER,
        "assessor": "",
        "public_key": base64_text(producer.public.spki),
        "valid_from": format_time(NOW - timedelta(days=9)),
        "valid_until": format_time(NOW + timedelta(days=9)),
        "proposed_by": f"usr_{8:032x}",
    }
    return event(
        number, "producer_key.registered", Subject("producer_key", KEY_ID, producer.public.digest), data | changes
    )


def revoked(number: int, since: timedelta = timedelta(0)) -> bytes:
    data = {"reason": "Lost.", "distrusted_from": format_time(AT + since)}
    return event(number, "producer_key.revoked", Subject("producer_key", KEY_ID), data)


def deposited(number: int, *, written: bytes | None = None, **changes: Any) -> bytes:
    data = {
        "type": "performance",
        "model_version": MODEL_ID,
        "producer": HOLDER,
        "envelope": Digest.of(ENVELOPE).text,
        "producer_key": KEY_ID,
        "public_key": base64_text(LAB.public.spki),
        "unknown_keys": [],
    } | changes
    subject = Subject("evidence", EVIDENCE_ID, Digest.of(written or document()))
    return event(number, "evidence.deposited", subject, data, at=AT)


def checks(*made: Callable[[int], bytes], files: dict[str, bytes] | None = None, pruned: bool = False) -> list[Check]:
    entries = [(index, Event.from_bytes(make(index))) for index, make in enumerate(made)]
    given = {"json": document(), "dsse": ENVELOPE} | (files or {})
    kept = [{EVIDENCE_ID: data} if (data := given[kind]) else {} for kind in ("json", "dsse")]
    return envelopes_check(
        [each for each in entries if is_about_producers(each[1])], EvidenceFiles(*kept), pruned=pruned
    )


def bundle_checks(tmp_path: Path, files: dict[str, bytes], *made: Callable[[int], bytes]) -> list[Check]:
    """What is said of a bundle whose ledger ends with these entries and in which these files are."""

    def edit(entries: list[bytes]) -> list[bytes]:
        return entries + [make(len(entries) + offset) for offset, make in enumerate(made)]

    path = tmp_path / "bundle.zip"
    bundle_write(path, Sample(edit_entries=edit, edit_files=lambda there: there | files).files())
    report = verify_bundle(path, KEYS.trust(), kept=None, now=NOW)
    assert [check for check in report.checks if check.outcome is not Outcome.PASS and check.name != "envelopes"] == []
    return [check for check in report.checks if check.name == "envelopes"]


def test_signed_evidence_in_a_bundle_holds_also_when_its_key_ended_later(tmp_path: Path) -> None:
    files = {f"{NAME}.json": document(), f"{NAME}.dsse.json": ENVELOPE}
    (check,) = bundle_checks(tmp_path, files, registered, deposited, partial(revoked, since=timedelta(seconds=1)))
    assert (check.outcome, check.detail) == (Outcome.PASS, "all 1 pieces of signed evidence are by keys in force")
    assert bundle_checks(tmp_path, {}, registered) == []
    (check,) = bundle_checks(tmp_path, {f"{NAME}.json": document()}, registered, deposited)
    assert (check.outcome, "envelope is not in the bundle" in check.detail) == (Outcome.MISSING, True)


def test_what_was_received_after_the_key_was_compromised_is_counted_aloud() -> None:
    (check,) = checks(registered, deposited, revoked)
    assert check.outcome is Outcome.PASS
    assert "1 received when the key was not trusted any more" in check.detail


def test_a_key_whose_entry_is_gone_is_taken_from_the_deposit_and_said_so() -> None:
    (check,) = checks(deposited, pruned=True)
    assert (check.outcome, "1 with keys from entries that are gone" in check.detail) == (Outcome.PASS, True)
    (check,) = checks(partial(deposited, public_key=base64_text(OTHER.public.spki)), pruned=True)
    assert check.outcome is Outcome.FAIL


CHANGED = document(payload={"auc": 0.99, "rows": 477})
RESIGNED = OTHER.envelope(SAID.to_bytes())
FORGED: dict[str, tuple[tuple[Callable[[int], bytes], ...], dict[str, bytes], str]] = {
    "nobody registered the key": ((deposited,), {}, "no entry before registers"),
    "registered afterwards": ((deposited, registered), {}, "no entry before registers"),
    "revoked before": ((registered, revoked, deposited), {}, "was revoked before"),
    "another key registered": ((partial(registered, producer=OTHER), deposited), {}, "other bytes"),
    "for another producer": ((registered, partial(deposited, producer="usr_x")), {}, "another producer"),
    "by one person": ((partial(registered, proposed_by=f"usr_{1:032x}"), deposited), {}, "second person"),
    "by its holder": ((partial(registered, holder=f"usr_{1:032x}"), deposited), {}, "second person"),
    "registered twice": ((registered, partial(registered, holder="usr_x"), deposited), {}, "a second time"),
    "no key": ((partial(registered, public_key="AAAA"), deposited), {}, "no SubjectPublicKeyInfo"),
    "a digest of something else": (
        (partial(registered, public_key=base64_text(OTHER.public.spki)), deposited),
        {},
        "does not have the digest",
    ),
    "not yet in force": (
        (partial(registered, valid_from=format_time(AT + timedelta(seconds=1))), deposited),
        {},
        "not in force",
    ),
    "over": ((partial(registered, valid_until=format_time(AT)), deposited), {}, "not in force"),
    "no name of a key": ((registered, partial(deposited, producer_key=7)), {}, "producer_key is missing"),
    "another report": (
        (registered, partial(deposited, written=CHANGED)),
        {"json": CHANGED},
        "something else than the evidence: payload",
    ),
    "about other bytes": (
        (registered, deposited),
        {"json": document(subject={"digest": Digest.of(b"x").text})},
        "something else than the evidence: subject",
    ),
    "another time": (
        (registered, deposited),
        {"json": document(collected_at=format_time(AT))},
        "something else than the evidence: collected_at",
    ),
    "another type": ((registered, deposited), {"json": document(type="bias")}, "evidence: type"),
    "another envelope": ((registered, deposited), {"dsse": ENVELOPE + b" "}, "not the envelope that"),
    "an envelope by another key": (
        (registered, partial(deposited, envelope=Digest.of(RESIGNED).text)),
        {"json": document(envelope=Digest.of(RESIGNED).text), "dsse": RESIGNED},
        "none of the signatures",
    ),
    "evidence that names none": ((registered, deposited), {"json": document(envelope=None)}, "not the envelope that"),
    "an entry that names none": (
        (registered, partial(deposited, envelope=Digest.of(b"x").text)),
        {},
        "not the envelope that",
    ),
    "an envelope that no evidence names": ((registered,), {"json": document(envelope=None)}, "belongs to no signed"),
    "evidence without an entry": ((registered,), {}, "not the envelope that"),
}


@pytest.mark.parametrize("what", FORGED)
def test_evidence_that_its_producer_did_not_sign_as_it_stands_is_found(what: str) -> None:
    entries, files, words = FORGED[what]
    found = checks(*entries, files=files)
    assert Outcome.PASS not in {check.outcome for check in found}
    assert any(words in check.detail for check in found if check.outcome is Outcome.FAIL), found
