"""Decisions: the same inputs give the same verdict, whatever is missing closes the gate, and the verdict is signed."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import factories
import psycopg
import pytest
from api_driver import at_once
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone

from audit.models import Entry
from governance.enums import EvidenceType, LineageKind, LineageRole, Role, Trust
from governance.models import Decision, ModelVersion, User
from governance.policy.document import parse_policy
from governance.policy.engine import ENGINE
from governance.policy.evaluation import Context, EvidenceFacts, Outcome, ReasonCode, evaluate
from governance.selectors.gate import gate_assert
from governance.services import inventory
from governance.services.decisions import decision_evaluate
from governance.services.lineage import lineage_record
from governance.services.replay import decision_replay
from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from modelnotary.verify.trust import Trust as TrustFile

pytestmark = pytest.mark.usefixtures("database", "keys")


def decide(version: ModelVersion, environment: str, **options: Any) -> Decision:
    return decision_evaluate(
        actor=options.pop("actor", None) or factories.person(),
        digest=Digest.from_text(version.digest),
        environment=environment,
        at=options.pop("at", None) or timezone.now(),
    )


def rule(**changes: Any) -> dict[str, Any]:
    standard: dict[str, Any] = factories.policy_document("e")["rules"][0]
    return standard | changes


def data_version(actor: User) -> str:
    """The id of a new version of a new data set."""
    now = timezone.now()
    dataset = inventory.dataset_register(
        actor=actor,
        slug=factories.unique("data"),
        at=now,
        name="Applications",
        description="d",
        classification="public",
        contains_phi=False,
    )
    digest = factories.stored(f"a\n{dataset.id}\n".encode(), actor)
    return inventory.dataset_version_register(
        actor=actor, dataset=dataset, digest=digest, row_count=1, columns=["a"], at=now
    ).id


def answer(case: factories.Case, **later: float) -> tuple[bool, str]:
    given = gate_assert(digest=case.digest, environment=case.environment, at=timezone.now() + timedelta(**later))
    return given.allowed, given.reason_code


def decision_keys() -> list[Any]:
    trust = TrustFile.from_file(settings.NOTARY_HOME / "trust.json")
    return [key.key for key in trust.decision_keys]


# --- What closes the gate -------------------------------------------------------------------------------------------
def test_an_environment_without_a_policy_allows_nothing_and_says_so_signed() -> None:
    version, environment = factories.model_version(factories.person()), factories.unique("unruled")
    decision = decide(version, environment)
    assert (decision.state, decision.policy_version, decision.expires_at) == ("failed", None, None)
    assert [(item["id"], item["outcome"], item["reason_code"]) for item in decision.rules] == [
        ("POLICY", "fail", "no-policy")
    ]
    signed, _ = decision_open(bytes(decision.attestation or b""), decision_keys())
    assert (signed.passed, signed.policy) == (False, None)
    assert decide(version, environment).id == decision.id
    given = gate_assert(digest=Digest.from_text(version.digest), environment=environment, at=timezone.now())
    assert (given.allowed, given.reason_code) == (False, "decision-failed")


def test_without_any_decision_the_gate_is_closed() -> None:
    version = factories.model_version(factories.person())
    given = gate_assert(digest=Digest.from_text(version.digest), environment="never-asked", at=timezone.now())
    assert (given.allowed, given.reason_code, given.decision) == (False, "no-decision", None)


MISSING: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no evidence of the kind": (
        rule(evidence="bias", clause="bias.accuracy > 0.5", observed="bias.accuracy"),
        "failed",
        "fail",
        "evidence-missing",
    ),
    "a value that was not measured": (
        rule(clause="performance.rows > 1", observed="performance.rows"),
        "error",
        "error",
        "value-missing",
    ),
    "a clause about other evidence": (rule(clause="bias.accuracy > 0.5"), "error", "error", "evaluation-error"),
    "a clause about evidence without evidence": (
        rule(evidence=None, clause="performance.auc > 0.5", observed="model.format"),
        "error",
        "error",
        "evaluation-error",
    ),
    "a division by zero": (rule(clause="1 / 0 == 1"), "error", "error", "evaluation-error"),
    "a limit that is missed": (rule(clause="performance.auc > 0.9"), "failed", "fail", "threshold-not-met"),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_is_missing_or_wrong_is_never_a_pass(what: str) -> None:
    broken, state, outcome, reason = MISSING[what]
    publisher, producer, environment = factories.person(Role.COMPLIANCE), factories.person(), factories.unique("strict")
    factories.policy(publisher, environment, rules=[rule(id="GOOD-1"), broken | {"id": "BROKEN-1"}])
    version = factories.model_version(factories.person())
    factories.evidence(producer, version, rows=None)
    decision = decide(version, environment)
    assert decision.state == state
    assert [item["outcome"] for item in decision.rules] == ["pass", outcome]
    assert decision.rules[1]["reason_code"] == reason
    assert decision.rules[1]["remediation"]
    given = gate_assert(digest=Digest.from_text(version.digest), environment=environment, at=timezone.now())
    assert (given.allowed, given.reason_code) == (False, f"decision-{state}")
    signed, _ = decision_open(bytes(decision.attestation or b""), decision_keys())
    assert (signed.state, signed.passed) == (state, False)


VALUES: dict[str, tuple[Any, Outcome, ReasonCode]] = {
    "enough": (0.75, Outcome.PASS, ReasonCode.MET),
    "a whole number": (1, Outcome.PASS, ReasonCode.MET),
    "too little": (0.7499, Outcome.FAIL, ReasonCode.THRESHOLD_NOT_MET),
    "not a number": (float("nan"), Outcome.ERROR, ReasonCode.VALUE_UNUSABLE),
    "infinity": (float("inf"), Outcome.ERROR, ReasonCode.VALUE_UNUSABLE),
    "a text": ("0.9", Outcome.ERROR, ReasonCode.VALUE_UNUSABLE),
    "a truth": (True, Outcome.ERROR, ReasonCode.VALUE_UNUSABLE),
    "a list": ([0.9], Outcome.ERROR, ReasonCode.VALUE_UNUSABLE),
}


@pytest.mark.parametrize("what", VALUES)
def test_only_a_number_meets_a_limit(what: str) -> None:
    value, outcome, reason = VALUES[what]
    policy = parse_policy(factories.policy_text("production"), roles=frozenset(Role.values))
    facts = EvidenceFacts(id="evd_1", digest="d", type="performance", fields={"auc": value})
    (result,) = evaluate(policy, Context(model={}, evidence=(facts,)))
    assert (result.outcome, result.reason_code, result.evidence) == (outcome, reason, ("evd_1",))


def test_of_many_pieces_of_evidence_the_worst_one_decides() -> None:
    environment, version = factories.unique("worst"), factories.model_version(factories.person())
    factories.policy(factories.person(Role.COMPLIANCE), environment)
    producer = factories.person()
    pieces = [factories.evidence(producer, version, auc=auc) for auc in (0.9, 0.2, 0.8)]
    decision = decide(version, environment)
    assert (decision.state, list(decision.rules[0]["evidence"])) == ("failed", [pieces[1].id])
    assert decision.rules[0]["observed"] == 0.2


# --- The same inputs ------------------------------------------------------------------------------------------------
def test_the_same_inputs_give_the_same_decision_also_at_once() -> None:
    case = factories.waiting_case()
    results = at_once(*[case.evaluate] * 8)
    assert {result.id if isinstance(result, Decision) else result for result in results} == {case.decision.id}
    assert Decision.objects.filter(model_version=case.version).count() == 1
    assert Entry.objects.filter(event_type="decision.requested", subject_id=case.decision.id).count() == 1
    environment = factories.unique("raced")
    fresh = at_once(*[lambda: decide(case.version, environment, actor=case.requester)] * 8)
    assert len({result.id if isinstance(result, Decision) else result for result in fresh}) == 1
    case.sign(case.officers[0])
    assert case.evaluate().id == case.decision.id


def test_the_same_evidence_deposited_at_once_is_kept_once() -> None:
    version, producer = factories.model_version(factories.person()), factories.person()
    results = at_once(*[lambda: factories.evidence(producer, version).id] * 8)
    assert len(set(results)) == 1
    assert Entry.objects.filter(event_type="evidence.deposited", subject_id=results[0]).count() == 1


def test_things_registered_at_once_are_registered_once() -> None:
    author = factories.person()
    version = factories.model_version(author)
    digest = factories.stored(factories.model_bytes(), author)

    def register() -> str:
        return inventory.model_version_register(
            actor=author,
            model=version.model,
            digest=digest,
            code_commit="",
            parameters={},
            metrics={},
            at=timezone.now(),
        ).id

    environment, publisher = factories.unique("published"), factories.person(Role.COMPLIANCE)
    assert len(set(at_once(*[register] * 6))) == 1
    assert len(set(at_once(*[lambda: factories.published(publisher, environment).id] * 6))) == 1
    assert sorted(version.model.versions.values_list("number", flat=True)) == [1, 2]


# --- What happens after a verdict -----------------------------------------------------------------------------------
@pytest.fixture
def passed() -> factories.Case:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    assert answer(case) == (True, "passed")
    return case


def test_evidence_after_a_verdict_closes_the_gate_until_it_is_decided_anew(passed: factories.Case) -> None:
    factories.evidence(passed.producer, passed.version, auc=0.99)
    assert answer(passed) == (False, "evidence-changed")
    anew = passed.evaluate()
    assert (anew.id == passed.decision.id, anew.state) == (False, "pending")
    assert answer(passed) == (False, "decision-pending")


def test_a_new_policy_closes_the_gate_until_it_is_decided_anew(passed: factories.Case) -> None:
    factories.policy(passed.publisher, passed.environment, valid_days=31)
    assert answer(passed) == (False, "policy-changed")
    assert passed.evaluate().policy_version_id != passed.policy.id
    assert answer(passed) == (False, "decision-pending")


def test_a_verdict_expires(passed: factories.Case) -> None:
    assert answer(passed, days=29) == (True, "passed")
    assert answer(passed, days=30) == (False, "decision-expired")
    anew = passed.evaluate(at=timezone.now() + timedelta(days=30))
    assert (anew.id == passed.decision.id, anew.state) == (False, "pending")


def test_a_verdict_holds_for_its_own_environment_and_bytes_only(passed: factories.Case) -> None:
    other = gate_assert(digest=passed.digest, environment="elsewhere", at=timezone.now())
    assert (other.allowed, other.reason_code) == (False, "no-decision")
    second = inventory.model_version_register(
        actor=passed.pipeline,
        model=passed.version.model,
        digest=factories.stored(factories.model_bytes(), passed.author),
        code_commit="",
        parameters={},
        metrics={},
        at=timezone.now(),
    )
    given = gate_assert(digest=Digest.from_text(second.digest), environment=passed.environment, at=timezone.now())
    assert (given.allowed, given.reason_code) == (False, "no-decision")


# --- Replay and attestation -----------------------------------------------------------------------------------------
def test_every_decision_can_be_evaluated_again_from_what_is_stored_with_it() -> None:
    environment = factories.unique("replayed")
    publisher, producer = factories.person(Role.COMPLIANCE), factories.person()
    rules = [
        rule(id="A", clause="performance.auc >= 0.75 && performance.rows > 100"),
        rule(id="B", evidence=None, clause="model.format == 'xgboost-json' && !system.contains_phi",
             observed="model.format"),
        rule(id="C", evidence="bias", clause="bias.demographic_parity_ratio > 0.8",
             observed="bias.demographic_parity_ratio"),
        rule(id="D", clause="performance.auc > 1e-7", observed="performance.rows"),
    ]  # fmt: skip
    factories.policy(publisher, environment, rules=rules)
    version = factories.model_version(factories.person())
    for auc in (0.1 + 0.2, 1e-7, 1 - 2**-53, 0.75, 1):
        factories.evidence(producer, version, auc=auc)
    payload = {"demographic_parity_ratio": None, "verdict": "insufficient_data", "rows": 9}
    factories.deposited(producer, version, EvidenceType.BIAS, payload)
    for decision in (decide(version, environment), decide(version, factories.unique("unruled"))):
        replayed = decision_replay(Decision.objects.get(pk=decision.pk))
        assert (replayed.difference, replayed.engine) == ("", ENGINE)


def test_a_decision_that_waited_is_replayed_without_its_signatures(passed: factories.Case) -> None:
    assert decision_replay(Decision.objects.get(pk=passed.decision.pk)).is_same


def test_an_attestation_opens_with_the_published_key_and_says_what_was_decided(passed: factories.Case) -> None:
    decision = Decision.objects.get(pk=passed.decision.pk)
    envelope = bytes(decision.attestation or b"")
    signed, signers = decision_open(envelope, decision_keys())
    assert len(signers) == 1
    assert (signed.id, signed.digest.text, signed.environment) == (
        decision.id,
        passed.version.digest,
        passed.environment,
    )
    assert (signed.state, signed.decided_at, signed.expires_at) == ("passed", decision.decided_at, decision.expires_at)
    assert signed.policy is not None
    assert signed.policy.digest.text == passed.policy.digest
    assert [item.digest.text for item in signed.evidence] == [passed.evidence.digest]
    assert [item.id for item in signed.rules] == ["PERF-001", "APPROVALS"]
    assert decision.attestation_digest == Digest.of(envelope).text
    entry = Entry.objects.get(event_type="decision.issued", subject_id=decision.id)
    assert json.loads(bytes(entry.bytes))["data"]["attestation_digest"] == decision.attestation_digest


def test_an_attestation_with_any_byte_of_its_statement_changed_does_not_open(passed: factories.Case) -> None:
    envelope = json.loads(bytes(Decision.objects.get(pk=passed.decision.pk).attestation or b""))
    payload = bytearray(base64.b64decode(envelope["payload"]))
    for place in range(0, len(payload), 7):
        changed = bytes(payload[:place]) + bytes([payload[place] ^ 1]) + bytes(payload[place + 1 :])
        forged = json.dumps(envelope | {"payload": base64.b64encode(changed).decode()}).encode()
        with pytest.raises(AttestError):
            decision_open(forged, decision_keys())
    with pytest.raises(AttestError):
        decision_open(json.dumps(envelope).encode(), [Ed25519PrivateKey.generate().public_key()])


FORGERIES: dict[str, Callable[[Decision, Decision], dict[str, Any]]] = {
    "bytes that are no attestation": lambda _own, _foreign: {"attestation": b"{}"},
    "the attestation of another decision": lambda _own, foreign: {"attestation": foreign.attestation},
    "an attestation of a denial": lambda own, _foreign: {"attestation": own.attestation},
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_passed_decision_that_somebody_wrote_into_the_database_allows_nothing(
    database: Database, passed: factories.Case, what: str
) -> None:
    denied = decide(passed.version, factories.unique("unruled"))
    environment = denied.environment
    allowed = Decision.objects.get(pk=passed.decision.pk)
    forged = {
        "id": new_id("dec"), "model_version_id": passed.version.id, "environment": environment,
        "policy_version_id": passed.policy.id, "evidence_set_digest": allowed.evidence_set_digest, "context": "{}",
        "context_document": b"{}", "context_digest": Digest.of(b"{}").text, "engine": "", "results_digest": "",
        "rules": "[]", "state": "passed", "requested_by_id": passed.requester.id, "evaluated_at": timezone.now(),
        "decided_at": timezone.now(), "expires_at": allowed.expires_at, "attestation_digest": "",
    } | FORGERIES[what](denied, allowed)  # fmt: skip
    columns, places = ", ".join(forged), ", ".join(["%s"] * len(forged))
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")  # past the trigger that counts signatures
        statement = "INSERT INTO governance_decision (COLUMNS) VALUES (PLACES)"
        statement = statement.replace("COLUMNS", columns).replace("PLACES", places)
        connection.execute(statement.encode(), tuple(forged.values()))
    given = gate_assert(digest=passed.digest, environment=environment, at=timezone.now())
    assert (given.allowed, given.reason_code) == (False, "attestation-invalid")
    assert answer(passed) == (True, "passed")


def test_facts_of_the_model_come_from_the_inventory_and_its_lineage() -> None:
    author, environment = factories.person(), factories.unique("lineage")
    version, now = factories.model_version(author), timezone.now()
    needs_data = rule(evidence=None, clause="model.has_training_data", observed="model.has_training_data")
    factories.policy(factories.person(Role.COMPLIANCE), environment, rules=[needs_data])
    assert decide(version, environment).rules[0]["observed"] is False
    run = inventory.run_record(
        actor=author, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    steps = [
        ((LineageKind.DATASET_VERSION, data_version(author)), (LineageKind.RUN, run.id), LineageRole.TRAINED_ON),
        ((LineageKind.RUN, run.id), (LineageKind.MODEL_VERSION, version.id), LineageRole.PRODUCED),
    ]
    for source, target, role in steps:
        lineage_record(actor=author, source=source, target=target, role=role, trust=Trust.SELF_REPORTED, at=now)
    assert decide(version, environment).rules[0]["observed"] is True


def test_lineage_that_changes_a_fact_after_a_verdict_closes_the_gate(passed: factories.Case) -> None:
    now = timezone.now()
    run = inventory.run_record(
        actor=passed.author, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    assert answer(passed) == (True, "passed")
    steps = [
        ((LineageKind.DATASET_VERSION, data_version(passed.author)), (LineageKind.RUN, run.id), LineageRole.TRAINED_ON),
        ((LineageKind.RUN, run.id), (LineageKind.MODEL_VERSION, passed.version.id), LineageRole.PRODUCED),
    ]
    for source, target, role in steps:
        lineage_record(actor=passed.author, source=source, target=target, role=role, trust=Trust.SELF_REPORTED, at=now)
    assert answer(passed) == (False, "evidence-changed")
