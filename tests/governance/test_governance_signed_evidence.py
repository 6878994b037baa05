"""Evidence that its producer signed: keys by two people, envelopes byte for byte, and what a lost key costs."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import factories
import psycopg
import pytest
from admin_records import ledger_sign, signed_in
from api_driver import Api, at_once, changes, require, require_problem, snapshot
from conftest import Database
from django.conf import settings
from django.utils import timezone
from software_producer import SoftwareProducer, standard, statement

from audit.models import Entry
from audit.selectors import checkpoint_latest
from governance.enums import DecisionState, Role
from governance.errors import ConflictError, GovernanceError, SeparationOfDutiesError
from governance.evidence.errors import EvidenceRefusedError
from governance.models import (
    Decision,
    Evidence,
    ModelVersion,
    ProducerKey,
    ProducerKeyRevocation,
    SignedStatement,
    User,
)
from governance.selectors import control_evaluation
from governance.selectors.gate import gate_assert
from governance.services.decisions import decision_evaluate
from governance.services.officers import Officer
from governance.services.producers import (
    PROPOSAL_STANDS,
    KeyTerms,
    producer_key_confirm,
    producer_key_propose,
    producer_key_revoke,
)
from governance.services.replay import decision_replay
from governance.services.signed_evidence import attestation_deposit
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from modelnotary.verify.bundle import verify_bundle
from modelnotary.verify.result import Outcome
from modelnotary.verify.trust import TRUST_FILE, Trust
from reports.services import bundle_write

pytestmark = pytest.mark.usefixtures("database", "keys")
REPORT = {"auc": 0.84, "rows": 477}
LAB, SECOND = SoftwareProducer(), SoftwareProducer()
FAR = timezone.now() + timedelta(days=9)


@pytest.fixture(scope="module")
def pipeline(database: Database) -> User:
    return factories.service_account(factories.person(Role.COMPLIANCE))


@pytest.fixture(scope="module")
def lab(pipeline: User) -> ProducerKey:
    return factories.producer_key(pipeline, LAB.pem)


@pytest.fixture
def version(pipeline: User) -> ModelVersion:
    return factories.model_version(factories.service_account(factories.person()))


def officer(*roles: Role) -> Officer:
    return Officer(factories.person(*(roles or (Role.MODEL_RISK,))), factories.PASSWORD)


def payload(version: ModelVersion, report: dict[str, Any] | None = None, **said: Any) -> bytes:
    stated = {"collected_at": timezone.now()} | said
    return statement(Digest.from_text(version.digest), report or REPORT, **stated).to_bytes()


def deposit(envelope: bytes, *, at: datetime | None = None, **said: Any) -> Evidence:
    stated: dict[str, Any] = {"supersedes": None, "reason": ""} | said
    deliverer = factories.service_account(factories.person())
    return attestation_deposit(deliverer=deliverer, envelope=envelope, at=at or timezone.now(), **stated)


def revoke(key: ProducerKey, distrusted_from: datetime | None = None) -> ProducerKeyRevocation:
    now = timezone.now()
    return producer_key_revoke(
        officer=officer(), key=key, reason=factories.REASON, distrusted_from=distrusted_from or now, at=now
    )


# --- Taking it --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_an_envelope_is_kept_byte_for_byte_and_once(version: ModelVersion, pipeline: User, kind: str) -> None:
    producer = SoftwareProducer() if kind == "ed25519" else SoftwareProducer.of_curve()
    key = factories.producer_key(pipeline, producer.pem)
    stranger = SoftwareProducer().signature(payload(version), keyid="another tool")
    envelope = producer.envelope(payload(version), stranger)
    api = Api(factories.token(factories.service_account(factories.person())))
    taken = require(api.post("evidence:attestation", {"envelope": envelope.decode()}), 201)
    assert (taken["signed_by"], taken["producer"]) == (key.fingerprint, pipeline.printed_name)
    assert (taken["unknown_signatures"], taken["measured"]) == (["another tool"], False)
    assert require(api.post("evidence:attestation", {"envelope": envelope.decode()}), 201)["id"] == taken["id"]
    kept = api.get(f"evidence/{taken['id']}/envelope")
    assert (kept.status_code, kept.content) == (200, envelope)
    evidence = Evidence.objects.get(pk=taken["id"])
    assert (evidence.payload, json.loads(bytes(evidence.document))["envelope"]) == (REPORT, Digest.of(envelope).text)
    entry = json.loads(bytes(Entry.objects.get(event_type="evidence.deposited", subject_id=evidence.id).bytes))
    assert (entry["data"]["envelope"], entry["data"]["producer_key"]) == (Digest.of(envelope).text, key.id)
    assert entry["actor"]["id"] != pipeline.id
    unsigned = factories.deposited(pipeline, version, "explanation", {"rows": 9})
    require_problem(api.get(f"evidence/{unsigned.id}/envelope"), 404, "unknown-record")


def test_the_same_statement_in_another_envelope_is_the_same_evidence(version: ModelVersion, lab: ProducerKey) -> None:
    signed = payload(version)
    first = deposit(LAB.envelope(signed))
    again = (
        json.dumps(json.loads(LAB.envelope(signed))).encode(),
        LAB.envelope(signed, SoftwareProducer().signature(signed)),
        LAB.envelope(signed, signatures=[LAB.signature(signed, keyid="")]),
    )
    assert {deposit(envelope).id for envelope in again} == {first.id}
    assert SignedStatement.objects.filter(evidence=first).count() == 1
    with pytest.raises(ConflictError, match="Name it in supersedes"):
        deposit(LAB.envelope(payload(version)))
    second = deposit(LAB.envelope(payload(version)), supersedes=first.id, reason=factories.REASON)
    assert second.supersedes.superseded_id == first.id


def test_ten_deliveries_at_once_are_one_piece(version: ModelVersion, lab: ProducerKey) -> None:
    envelope = LAB.envelope(payload(version))
    made = at_once(*[lambda: deposit(envelope)] * 4)
    assert {item.id for item in made if isinstance(item, Evidence)} == {Evidence.objects.get(model_version=version).id}
    assert not [item for item in made if isinstance(item, Exception)]


REFUSED: dict[str, tuple[Callable[[ModelVersion], bytes], str]] = {
    "no envelope": (lambda _: b"{}", "no other"),
    "a key that nobody registered": (lambda version: SoftwareProducer().envelope(payload(version)), "none of the sig"),
    "another report": (
        lambda version: LAB.envelope(payload(version), payload=standard(payload(version, {"auc": 0.99, "rows": 1}))),
        "does not match",
    ),
    "another payload type": (
        lambda version: LAB.envelope(
            payload(version),
            payloadType="application/json",
            signatures=[LAB.signature(payload(version), "application/json")],
        ),
        "not a application/vnd.in-toto",
    ),
    "an unknown type": (lambda version: LAB.envelope(payload(version, type="perfomance")), "unknown type"),
    "a type from records": (lambda version: LAB.envelope(payload(version, type="approval")), "cannot be deposited"),
    "another version of the schema": (lambda version: LAB.envelope(payload(version, schema_version=2)), "not 2"),
    "a type about a system": (lambda version: LAB.envelope(payload(version, type="dpia")), "has no bytes"),
    "a report of another shape": (lambda version: LAB.envelope(payload(version, {"auc": "high"})), "/payload/auc"),
    "a claim to be measured": (lambda version: LAB.envelope(payload(version, REPORT | {"measured": True})), "measured"),
    "a claim to be signed": (lambda version: LAB.envelope(payload(version, REPORT | {"signed": True})), "signed"),
    "a zero character": (lambda version: LAB.envelope(payload(version, REPORT | {"dataset_digest": "\0"})), "U+0000"),
    "bytes that nobody registered": (
        lambda _: LAB.envelope(statement(Digest.of(b"?"), REPORT, collected_at=timezone.now()).to_bytes()),
        "no model version",
    ),
    "from the future": (
        lambda version: LAB.envelope(payload(version, collected_at=timezone.now() + timedelta(hours=1))),
        "/collected_at",
    ),
    "two holders": (
        lambda version: LAB.envelope(
            payload(version, valid_until=FAR), SECOND.signature(payload(version, valid_until=FAR))
        ),
        "several holders",
    ),
}


def test_what_is_not_as_it_should_be_is_refused_and_nothing_changes(
    database: Database, version: ModelVersion, lab: ProducerKey
) -> None:
    factories.producer_key(factories.person(), SECOND.pem)
    fixed = timezone.now()
    before = snapshot(database)
    for what, (made, words) in REFUSED.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timezone, "now", lambda: fixed)
            envelope = made(version)
        with pytest.raises(GovernanceError) as refusal:
            attestation_deposit(deliverer=lab.holder, envelope=envelope, supersedes=None, reason="", at=timezone.now())
        assert words in str(refusal.value), what
    assert not changes(before, snapshot(database))
    assert deposit(LAB.envelope(payload(version))).statement.key == lab


# --- Keys -------------------------------------------------------------------------------------------------------------
def test_a_key_takes_two_officers_over_the_api(pipeline: User) -> None:
    first, second = factories.person(Role.PRIVACY), factories.person(Role.COMPLIANCE)
    producer, now = SoftwareProducer.of_curve(), timezone.now()
    body = {
        "holder": pipeline.username,
        "public_key": producer.pem,
        "valid_from": now.isoformat(),
        "valid_until": (now + timedelta(days=30)).isoformat(),
        "reason": factories.REASON,
        "password": factories.PASSWORD,
    }
    one, other = Api(factories.token(first)), Api(factories.token(second))
    require_problem(one.post("producer-keys", body | {"public_key": "x"}), 422, "validation-failed")
    require_problem(one.post("producer-keys", body | {"password": "wrong"}), 403, "reauthentication-required")
    proposed = require(one.post("producer-keys", body), 201)
    assert (proposed["standing"], proposed["algorithm"]) == ("proposed", "ecdsa-p256-sha256")
    path, password = f"producer-keys/{proposed['id']}", {"password": factories.PASSWORD}
    require_problem(one.post(f"{path}/confirmation", password), 403, "separation-of-duties")
    confirmed = require(other.post(f"{path}/confirmation", password), 201)
    assert (confirmed["standing"], confirmed["confirmed_by"]) == ("in_force", second.printed_name)
    require_problem(other.post(f"{path}/confirmation", password), 409, "state-conflict")
    require_problem(one.post("producer-keys", body), 409, "state-conflict")
    assert proposed["id"] in {key["id"] for key in require(one.get("producer-keys"), 200)["keys"]}
    late = {"distrusted_from": (now + timedelta(days=1)).isoformat()}
    require_problem(
        one.post(f"{path}/revocation", password | {"reason": factories.REASON} | late), 422, "validation-failed"
    )
    ended = require(one.post(f"{path}/revocation", password | {"reason": factories.REASON}), 201)
    assert (ended["standing"], ended["distrusted_from"]) == ("revoked", ended["revoked_at"])
    events = Entry.objects.filter(subject_id=proposed["id"]).order_by("body_id").values_list("event_type", flat=True)
    steps = ["producer_key.proposed", "producer_key.registered", "producer_key.revoked"]
    assert [event for event in events if event in steps] == steps


def test_a_key_takes_two_officers_on_the_pages(pipeline: User) -> None:
    first, second = (signed_in(factories.person(role)) for role in (Role.PRIVACY, Role.COMPLIANCE))
    producer, pages = SoftwareProducer(), "/admin/governance/producerkey"
    sent = {
        "holder": pipeline.id,
        "assessor": "",
        "public_key": producer.pem,
        "last_day": (timezone.now() + timedelta(days=30)).date().isoformat(),
        "reason": factories.REASON,
        "password": factories.PASSWORD,
    }
    assert "no public key in PEM" in first.post(f"{pages}/propose/", sent | {"public_key": "x"}).content.decode()
    assert first.post(f"{pages}/propose/", sent).status_code == 302
    key = ProducerKey.objects.get(fingerprint=producer.public.digest.text)
    for browser, words in ((first, "You cannot confirm it"), (second, "confirm/")):
        assert words in browser.get(f"{pages}/{key.id}/change/").content.decode()
    proof = {"password": factories.PASSWORD}
    assert first.post(f"{pages}/{key.id}/confirm/", proof).status_code == 200
    assert second.post(f"{pages}/{key.id}/confirm/", proof).status_code == 302
    ended = {"reason": factories.REASON, "distrusted_from": "2026-01-01 09:00"} | proof
    assert first.post(f"{pages}/{key.id}/revoke/", ended).status_code == 302
    key = ProducerKey.objects.get(pk=key.pk)
    assert (key.standing(timezone.now()), key.revocation.distrusted_from.hour) == ("revoked", 9)


TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "a service account's with an assessor": ({"assessor": "Laboratory"}, "/assessor"),
    "a long name": ({"holder": "person", "assessor": "a" * 201}, "/assessor"),
    "a person's own": ({"holder": "person", "assessor": " "}, "/assessor"),
    "an administrator's": ({"holder": "administrator", "assessor": "Laboratory"}, "/holder"),
    "no window": ({"valid_until": timedelta(0)}, "/valid_until"),
    "too long": ({"valid_until": timedelta(days=1828)}, "/valid_until"),
    "over": ({"valid_from": timedelta(days=-9), "valid_until": timedelta(days=-1)}, "over already"),
    "no reason": ({"reason": "because"}, "/reason"),
    "no key": ({"pem": "x"}, "/public_key"),
}


def test_terms_that_mean_nothing_are_refused(pipeline: User) -> None:
    now = timezone.now()
    holders: dict[Any, User] = {"person": factories.person(), "administrator": factories.administrator()}
    good: dict[str, Any] = {
        "holder": pipeline,
        "assessor": "",
        "pem": SoftwareProducer().pem,
        "valid_from": timedelta(0),
        "valid_until": timedelta(days=1),
        "reason": factories.REASON,
    }
    by = officer()
    for what, (change, words) in TERMS.items():
        terms: dict[str, Any] = {
            name: now + value if isinstance(value, timedelta) else value for name, value in (good | change).items()
        }
        terms["holder"] = holders.get(terms["holder"], terms["holder"])
        with pytest.raises(GovernanceError) as refusal:
            producer_key_propose(officer=by, terms=KeyTerms(**terms), at=now)
        assert words in str(refusal.value), what


def test_who_answers_for_a_key_neither_proposes_nor_confirms_it(pipeline: User) -> None:
    owner = Officer(pipeline.owner, factories.PASSWORD)  # type: ignore[arg-type]
    proposed = factories.producer_key(pipeline, SoftwareProducer().pem, confirmed=False)
    with pytest.raises(SeparationOfDutiesError):
        producer_key_confirm(officer=owner, key=proposed, at=timezone.now())
    with pytest.raises(SeparationOfDutiesError):
        producer_key_propose(
            officer=owner,
            terms=KeyTerms(pipeline, "", SoftwareProducer().pem, timezone.now(), FAR, factories.REASON),
            at=timezone.now(),
        )
    late = proposed.proposed_at + PROPOSAL_STANDS + timedelta(seconds=1)
    with pytest.raises(ConflictError, match="more than 7 days ago"):
        producer_key_confirm(officer=officer(), key=proposed, at=late)
    revoke(proposed)
    with pytest.raises(ConflictError, match="was revoked"):
        producer_key_confirm(officer=officer(), key=proposed, at=timezone.now())
    with pytest.raises(ConflictError, match="revoked already"):
        revoke(proposed)


def test_a_key_signs_only_in_its_time(version: ModelVersion, pipeline: User) -> None:
    producer, now = SoftwareProducer(), timezone.now()
    waiting = factories.producer_key(
        pipeline,
        producer.pem,
        confirmed=False,
        valid_from=now + timedelta(hours=1),
        valid_until=now + timedelta(hours=2),
    )
    envelope = producer.envelope(payload(version))
    inside = now + timedelta(minutes=90)
    with pytest.raises(EvidenceRefusedError, match="none of the signatures"):
        deposit(envelope, at=inside)
    producer_key_confirm(officer=officer(), key=waiting, at=now)
    for moment in (now, now + timedelta(hours=2)):
        with pytest.raises(EvidenceRefusedError, match="none of the signatures"):
            deposit(envelope, at=moment)
    taken = deposit(envelope, at=inside)
    assert deposit(envelope, at=now + timedelta(days=9)) == taken


# --- What it is worth -------------------------------------------------------------------------------------------------
SIGNED_RULE = {
    "id": "SIG-001",
    "title": "The laboratory signed and the model ranks well",
    "evidence": "performance",
    "clause": "performance.signed && performance.auc >= 0.75",
    "observed": "performance.signed",
    "expected": "signed",
    "remediation": "Ask the laboratory.",
}


def signed_case(key_of: SoftwareProducer, holder: User) -> tuple[ModelVersion, str, ProducerKey]:
    environment = factories.unique("signed")
    factories.policy(factories.person(Role.COMPLIANCE), environment, rules=[SIGNED_RULE])
    key = factories.producer_key(holder, key_of.pem)
    return factories.model_version(factories.service_account(factories.person())), environment, key


def decide(version: ModelVersion, environment: str) -> Decision:
    made = decision_evaluate(
        actor=factories.person(), digest=Digest.from_text(version.digest), environment=environment, at=timezone.now()
    )
    return Decision.objects.get(pk=made.pk)


def test_a_policy_can_ask_for_a_signature(pipeline: User, version: ModelVersion) -> None:
    producer = SoftwareProducer()
    signed, environment, _ = signed_case(producer, pipeline)
    factories.evidence(factories.person(), version)
    assert decide(version, environment).state == DecisionState.FAILED
    deposit(producer.envelope(payload(signed)))
    decision = decide(signed, environment)
    assert (decision.state, decision.rules[0]["observed"]) == (DecisionState.PENDING, True)
    assert decision_replay(decision).is_same


def test_what_a_compromised_key_signed_satisfies_nothing_and_earlier_stays(pipeline: User) -> None:
    producer = SoftwareProducer()
    early, environment, key = signed_case(producer, pipeline)
    late = factories.model_version(factories.service_account(factories.person()))
    deposit(producer.envelope(payload(early)))
    compromised = timezone.now()
    deposit(producer.envelope(payload(late)))
    before = decide(late, environment)
    assert (decide(early, environment).state, before.state) == (DecisionState.PENDING, DecisionState.PENDING)
    revoke(key, compromised)
    after = decide(late, environment)
    assert (after.state, after.rules[0]["reason_code"]) == (DecisionState.FAILED, "evidence-distrusted")
    assert "is not trusted from" in after.rules[0]["message"]
    assert factories.REASON in after.rules[0]["message"]
    assert decide(early, environment).state == DecisionState.PENDING
    assert decision_replay(before).is_same
    assert decision_replay(after).is_same
    with pytest.raises(EvidenceRefusedError):
        deposit(producer.envelope(payload(late, {"auc": 0.9, "rows": 1})))


def test_a_key_that_is_revoked_closes_the_gate_and_a_control(pipeline: User) -> None:
    producer = SoftwareProducer()
    case = factories.waiting_case()
    key = factories.producer_key(factories.service_account(factories.person()), producer.pem)
    review = {"title": "R", "issuer": "O", "issued_on": "2026-02-28", "conclusion": "Sound.", "verdict": "pass"}
    said = payload(case.version, review, type="independent_validation")
    evidence = deposit(producer.envelope(said))
    decided = case.evaluate()
    factories.declaration(case.version.model.system, case.author)

    def stale() -> set[bool]:
        results = control_evaluation(system=case.version.model.system, as_of=timezone.now().date()).results
        return {
            item.evidence.expires_at != evidence.valid_until
            for result in results
            for item in result.considered
            if item.evidence.id == evidence.id
        }

    assert stale() == {False}
    revoke(key, evidence.deposited_at)
    assert stale() == {True}
    assert case.evaluate().id != decided.id
    assert gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed is False


def test_a_bad_result_stays_bad_whoever_signed_it(pipeline: User) -> None:
    producer = SoftwareProducer()
    version, environment, key = signed_case(producer, pipeline)
    received = timezone.now()
    deposit(producer.envelope(payload(version, {"auc": 0.5, "rows": 9})))
    revoke(key, received)
    assert decide(version, environment).rules[0]["reason_code"] == "threshold-not-met"


def test_who_answers_for_the_key_does_not_sign_the_decision() -> None:
    case = factories.waiting_case()
    producer, assessor = SoftwareProducer(), case.officers[1]
    factories.producer_key(assessor, producer.pem)
    evidence = deposit(producer.envelope(payload(case.version, {"rows": 9}, type="explanation")))
    assert evidence.producer == assessor
    decision = case.evaluate()
    waiting = replace(case, decision=decision)
    with pytest.raises(SeparationOfDutiesError, match="produced evidence"):
        waiting.sign(assessor)


def test_a_bundle_carries_the_envelope_and_is_verified_offline(
    database: Database, version: ModelVersion, lab: ProducerKey, tmp_path: Path
) -> None:
    evidence = deposit(LAB.envelope(payload(version)))
    ledger_sign(database, tmp_path)
    path, now = tmp_path / "bundle.zip", timezone.now()
    bundle_write(path=path, version=version, checkpoint=checkpoint_latest(log="lineage"), at=now)
    with ZipFile(path) as bundle:
        assert bundle.read(f"evidence/{evidence.id}.dsse.json") == bytes(evidence.statement.envelope)
    checks = verify_bundle(path, Trust.from_file(settings.NOTARY_HOME / TRUST_FILE), kept=None, now=now).checks
    assert {check.outcome for check in checks} == {Outcome.PASS}, checks
    assert "envelopes" in {check.name for check in checks}


# --- The database -----------------------------------------------------------------------------------------------------
def test_the_database_itself_wants_two_people_and_a_key_in_force(
    database: Database, version: ModelVersion, pipeline: User
) -> None:
    producer = SoftwareProducer()
    key = factories.producer_key(pipeline, producer.pem, confirmed=False)
    other = factories.producer_key(pipeline, SoftwareProducer().pem)
    evidence = factories.deposited(pipeline, version, "performance", REPORT)
    names = {
        "key": key.id,
        "print": key.fingerprint,
        "proposer": key.proposed_by_id,
        "officer": factories.person(Role.COMPLIANCE).id,
        "owner": pipeline.owner_id,
        "holder": pipeline.id,
        "other": other.id,
        "evidence": evidence.id,
        "new": new_id("xxx"),
    }
    confirm = (
        "INSERT INTO governance_producerkeyconfirmation (id, key_id, fingerprint, confirmed_by_id, confirmed_at) "
        "VALUES (%(new)s, %(key)s, {print}, {by}, now())"
    )
    propose = (
        "INSERT INTO governance_producerkey (id, holder_id, assessor, fingerprint, public_key, valid_from, "
        "valid_until, reason, proposed_by_id, proposed_at) SELECT %(new)s, {holder}, {assessor}, fingerprint, {bytes}, "
        "valid_from, valid_until, reason, {by}, proposed_at FROM governance_producerkey WHERE id = %(key)s"
    )
    claim = (
        "INSERT INTO governance_signedstatement (id, evidence_id, key_id, envelope, envelope_digest, payload_digest, "
        "unknown_keys, received_at) SELECT %(new)s, id, {key}, 'x', 'sha256:' || encode(sha256('x'), 'hex'), '', "
        "'{{}}', deposited_at FROM governance_evidence WHERE id = %(evidence)s"
    )
    usual = {"holder": "%(holder)s", "assessor": "''", "bytes": "public_key", "by": "%(officer)s"}
    statements = {
        "confirmed by who proposed it": confirm.format(print="%(print)s", by="%(proposer)s"),
        "confirmed by who answers for it": confirm.format(print="%(print)s", by="%(owner)s"),
        "confirmed by a machine": confirm.format(print="%(print)s", by="%(holder)s"),
        "confirmed as another": confirm.format(print="'sha256:other'", by="%(officer)s"),
        "proposed by a machine": propose.format(**usual | {"by": "%(holder)s"}),
        "proposed by who answers for it": propose.format(**usual | {"by": "%(owner)s"}),
        "for nobody in particular": propose.format(**usual | {"assessor": "'Laboratory'"}),
        "for a person without an assessor": propose.format(**usual | {"holder": "%(officer)s", "by": "%(proposer)s"}),
        "with other bytes": propose.format(**usual | {"bytes": "'x'"}),
        "signed by a key that nobody confirmed": claim.format(key="%(key)s"),
        "an envelope that the evidence does not name": claim.format(key="%(other)s"),
    }
    for what, sql in statements.items():
        with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(sql.encode(), names)
            assert what
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(confirm.format(print="%(print)s", by="%(officer)s").encode(), names)
