"""Evidence: what it is about, until when it counts, and what may take the place of what."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from governance.controls.vocabulary import Outcome
from governance.enums import DecisionState, EvidenceType, JobType, Role
from governance.errors import ConflictError, GovernanceError, SeparationOfDutiesError
from governance.evidence.errors import EvidenceRefusedError
from governance.evidence.identity import organization_identity, system_identity
from governance.models import AiSystem, Decision, Evidence, EvidenceSupersession, ModelVersion, User
from governance.selectors import control_evaluation
from governance.selectors.gate import gate_assert
from governance.services.decisions import decision_evaluate
from governance.services.evidence import CLOCK_SKEW
from governance.services.officers import Officer
from governance.services.replay import decision_replay
from governance.services.supersessions import supersession_accept
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")
REVIEW = {"title": "Review", "issuer": "Office", "issued_on": "2026-02-28", "conclusion": "Sound."}
PASS = REVIEW | {"verdict": "pass"}
FAIL = REVIEW | {"verdict": "fail"}


@pytest.fixture(scope="module")
def producer(database: Database) -> User:
    return factories.person(Role.ENGINEER)


@pytest.fixture
def version(producer: User) -> ModelVersion:
    return factories.model_version(producer)


def officer(*roles: Role) -> Officer:
    return Officer(factories.person(*(roles or (Role.MODEL_RISK,))), factories.PASSWORD)


def accept(claim: EvidenceSupersession, by: Officer | None = None) -> None:
    supersession_accept(officer=by or officer(), supersession_id=claim.id, reason=factories.REASON, at=timezone.now())


def rule(kind: str, clause: str, **more: Any) -> dict[str, Any]:
    observed = clause.split(" ", maxsplit=1)[0]
    stated = {"id": "R-1", "title": "Rule", "expected": "e", "remediation": "Do."}
    return stated | {"evidence": kind, "clause": clause, "observed": observed} | more


def decide(version: ModelVersion, environment: str, at: datetime | None = None) -> Decision:
    return decision_evaluate(
        actor=factories.person(),
        digest=Digest.from_text(version.digest),
        environment=environment,
        at=at or timezone.now(),
    )


def ruled(*rules: dict[str, Any]) -> str:
    environment = factories.unique("evidenced")
    factories.policy(factories.person(Role.COMPLIANCE), environment, rules=list(rules))
    return environment


# --- What it is about -------------------------------------------------------------------------------------------------
def test_evidence_is_bound_to_a_version_a_system_or_the_organization(producer: User, version: ModelVersion) -> None:
    system = version.model.system
    about: dict[str, tuple[ModelVersion | AiSystem | None, str]] = {
        "independent_validation": (version, version.digest),
        "risk_assessment": (system, system_identity(system.id).text),
        "session_settings": (None, organization_identity().text),
    }
    for kind, (subject, digest) in about.items():
        payload = PASS | {"reference": factories.unique("R")}
        before = Evidence.objects.filter(type=kind, subject_digest=digest, superseded_by=None).first()
        evidence = factories.deposited(
            producer, subject, kind, payload, supersedes=before and before.id, reason=factories.REASON
        )
        assert (evidence.subject_digest, evidence.subject) == (digest, subject or "the organization")
        entry = Entry.objects.get(event_type="evidence.deposited", subject_id=evidence.id)
        assert digest.encode() in bytes(entry.bytes)


@pytest.mark.parametrize(("kind", "about"), [("dpia", "system"), ("session_settings", "organization")])
def test_a_type_about_something_else_is_refused(producer: User, version: ModelVersion, kind: str, about: str) -> None:
    with pytest.raises(EvidenceRefusedError, match=f"is about a {about}, not about a model version"):
        factories.deposited(producer, version, kind, PASS)


SUBJECTS = {
    "two subjects": "system_id = (SELECT id FROM governance_aisystem LIMIT 1)",
    "a system that is not there": "model_version_id = NULL, about = 'system'",
    "another kind": "about = 'dataset_version'",
    "one that is not what it says": "about = 'organization'",
    "an end before the beginning": "valid_until = collected_at",
}


@pytest.mark.parametrize("what", SUBJECTS)
def test_the_database_itself_asks_for_one_subject_and_an_order_of_times(
    database: Database, producer: User, version: ModelVersion, what: str
) -> None:
    evidence = factories.evidence(producer, version)
    copy = f"""
        CREATE TEMPORARY TABLE copied ON COMMIT DROP AS SELECT * FROM governance_evidence WHERE id = '{evidence.id}';
        UPDATE copied SET id = 'evd_copy', digest = 'other', {SUBJECTS[what]};
    """  # noqa: S608 - the test's own words
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(copy)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO governance_evidence SELECT * FROM copied")


def test_a_rule_reads_evidence_about_the_system_and_a_control_passes_on_it(
    producer: User, version: ModelVersion
) -> None:
    environment = ruled(rule("vendor_documentation", 'vendor_documentation.title == "Review"'))
    assert decide(version, environment).rules[0]["reason_code"] == "evidence-missing"
    system = version.model.system
    deposited = factories.deposited(producer, system, "vendor_documentation", REVIEW)
    decision = decide(version, environment)
    assert (decision.state, list(decision.rules[0]["evidence"])) == (DecisionState.PENDING, [deposited.id])
    factories.declaration(system, producer, vendor_supplied=True)
    results = control_evaluation(system=system, as_of=timezone.now().date()).results
    resting = [result for result in results if deposited.id in {item.evidence.id for item in result.considered}]
    assert resting
    assert {result.outcome for result in resting} == {Outcome.PASS}


def test_evidence_about_the_organization_that_no_rule_reads_leaves_the_gate_open(producer: User) -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    payload = REVIEW | {"reference": factories.unique("R")}
    factories.deposited(producer, case.version.model.system, "dpia", payload)
    assert gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed


def test_who_produced_evidence_that_the_decision_read_does_not_sign_it_in_sql_either(database: Database) -> None:
    case, reporter = factories.waiting_case(), factories.person(Role.COMPLIANCE)
    signed = case.sign(case.officers[0])
    factories.deposited(reporter, case.version.model.system, "vendor_documentation", REVIEW)
    environment = ruled(rule("vendor_documentation", 'vendor_documentation.title == "Review"'))
    waiting = replace(case, decision=decide(case.version, environment))
    factories.authenticator(reporter)
    with pytest.raises(SeparationOfDutiesError, match="produced evidence"):
        waiting.sign(reporter)
    copied = (
        "INSERT INTO governance_signature (id, request_id, signer_id, printed_name, role, vote, meaning, reason, "
        "method, statement, statement_digest, signed_at) SELECT %s, %s, %s, printed_name, role, vote, meaning, reason, "
        "method, statement, statement_digest, signed_at FROM governance_signature WHERE id = %s"
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(copied, (new_id("sig"), waiting.request.id, case.officers[1].id, signed.id))
        with pytest.raises(psycopg.errors.RestrictViolation, match="produced evidence that the decision rests on"):
            connection.execute(copied, (new_id("sig"), waiting.request.id, reporter.id, signed.id))


# --- Until when it counts ---------------------------------------------------------------------------------------------
def test_times_of_a_deposit_are_kept_within_what_the_type_allows(producer: User, version: ModelVersion) -> None:
    now = timezone.now()
    long_ago, far = now - timedelta(days=100), now + timedelta(days=4000)
    evidence = factories.deposited(
        producer, version, "independent_validation", PASS, at=now, collected_at=long_ago, valid_until=far
    )
    assert (evidence.collected_at, evidence.valid_until) == (long_ago, long_ago + timedelta(days=365))
    soon = now + timedelta(days=1)
    own = factories.deposited(producer, version, "conceptual_soundness", PASS, at=now, valid_until=soon)
    assert (own.collected_at, own.valid_until) == (now, soon)
    edge = factories.deposited(producer, version, "proxy_scan", PASS, at=now, collected_at=now + CLOCK_SKEW)
    assert edge.collected_at == now + CLOCK_SKEW


@pytest.mark.parametrize(
    ("stated", "pointer"),
    [
        ({"collected_at": CLOCK_SKEW + timedelta(seconds=1)}, "/collected_at"),
        ({"collected_at": timedelta(days=-9), "valid_until": timedelta(days=-9)}, "/valid_until"),
        ({"valid_until": timedelta(0)}, "/valid_until"),
    ],
)
def test_a_clock_that_is_wrong_is_refused(
    database: Database, producer: User, version: ModelVersion, stated: dict[str, timedelta], pointer: str
) -> None:
    before, now = snapshot(database), timezone.now()
    times: dict[str, Any] = {name: now + apart for name, apart in stated.items()}
    with pytest.raises(EvidenceRefusedError) as refusal:
        factories.deposited(producer, version, "independent_validation", PASS, at=now, **times)
    assert [fault.pointer for fault in refusal.value.faults] == [pointer]
    assert not changes(before, snapshot(database))


def test_stale_evidence_satisfies_no_rule_and_what_fails_goes_on_failing(producer: User, version: ModelVersion) -> None:
    now = timezone.now()
    clause = 'independent_validation.verdict == "pass"'
    environment = ruled(rule("independent_validation", clause))
    tightened = ruled(rule("independent_validation", clause, max_age_days=30))
    factories.deposited(producer, version, "independent_validation", PASS, at=now, collected_at=now)
    assert decide(version, environment, now + timedelta(days=364)).state == DecisionState.PENDING
    assert decide(version, tightened, now + timedelta(days=29)).state == DecisionState.PENDING
    for late, where in ((365, environment), (30, tightened)):
        (judged,) = decide(version, where, now + timedelta(days=late)).rules
        assert (judged["outcome"], judged["reason_code"]) == ("fail", "evidence-stale")
        assert f"{now + timedelta(days=late):%Y-%m-%d}" in judged["message"]
        assert decision_replay(Decision.objects.get(environment=where, state="failed")).is_same
    other = factories.model_version(producer)
    short = now + timedelta(hours=1)
    factories.deposited(producer, other, "independent_validation", FAIL, at=now, valid_until=short)
    (judged,) = decide(other, environment, now + timedelta(hours=2)).rules
    assert judged["reason_code"] == "threshold-not-met"


def test_a_decision_ends_when_its_evidence_grows_stale() -> None:
    rules = [*factories.policy_document("e")["rules"]]
    case = factories.waiting_case(rules=[rules[0] | {"max_age_days": 3}])
    case.sign(case.officers[0])
    decision = Decision.objects.get(pk=case.decision.pk)
    assert decision.expires_at == case.evidence.collected_at + timedelta(days=3)


# --- What takes the place of what -------------------------------------------------------------------------------------
def test_saying_it_again_needs_a_reason_and_counts_beside_the_first_until_accepted(
    producer: User, version: ModelVersion
) -> None:
    environment = ruled(rule("performance", "performance.auc >= 0.75"))
    first = factories.evidence(producer, version, auc=0.5)
    payload = {"auc": 0.9, "rows": 477}
    with pytest.raises(ConflictError, match=f"{first.id} of .* Name it in supersedes"):
        factories.deposited(producer, version, "performance", payload)
    with pytest.raises(GovernanceError, match="/reason must have 20 to"):
        factories.deposited(producer, version, "performance", payload, supersedes=first.id, reason="better")
    second = factories.evidence(producer, version, auc=0.9)
    claim = second.supersedes
    failing = decide(version, environment)
    assert (failing.state, list(failing.rules[0]["evidence"])) == (DecisionState.FAILED, [first.id])
    accept(claim)
    passing = decide(version, environment)
    assert (passing.state, list(passing.rules[0]["evidence"])) == (DecisionState.PENDING, [second.id])
    seen = {item["id"]: item.get("superseded_by") for item in passing.context["evidence"]}
    assert seen == {first.id: second.id, second.id: None}
    assert decision_replay(Decision.objects.get(pk=passing.pk)).is_same
    events = Entry.objects.filter(subject_id=first.id).order_by("body_id").values_list("event_type", flat=True)
    assert list(events) == ["evidence.deposited", "evidence.superseded", "evidence.supersession_accepted"]
    with pytest.raises(ConflictError, match="accepted already"):
        accept(claim)


def test_an_acceptance_after_a_verdict_closes_the_gate_until_it_is_decided_anew() -> None:
    case = factories.waiting_case()
    newer = factories.evidence(case.producer, case.version, auc=0.8)
    decision = case.evaluate()
    accept(newer.supersedes)
    assert case.evaluate().evidence_set_digest != decision.evidence_set_digest


@pytest.mark.parametrize("who", ["producer", "author", "auditor", "service", "superuser", "wrong password"])
def test_only_an_uninvolved_reviewer_accepts(database: Database, who: str) -> None:
    author, producer = factories.person(Role.MODEL_RISK), factories.person(Role.MODEL_RISK)
    pipeline = factories.service_account(author)
    version = factories.model_version(pipeline)
    factories.evidence(producer, version, auc=0.5)
    claim = factories.evidence(producer, version, auc=0.9).supersedes
    people = {
        "producer": producer,
        "author": author,
        "auditor": factories.person(Role.AUDITOR),
        "service": pipeline,
        "superuser": factories.administrator(),
    }
    password = "wrong" if who == "wrong password" else factories.PASSWORD
    by = Officer(people.get(who, factories.person(Role.MODEL_RISK)), password)
    with pytest.raises(GovernanceError):
        accept(claim, by)
    claim.refresh_from_db()
    assert not hasattr(claim, "acceptance")
    if who in {"producer", "author", "service", "superuser"}:
        insert = (
            "INSERT INTO governance_supersessionacceptance (id, reason, accepted_at, accepted_by_id, supersession_id)"
            " VALUES ('sac_x', %s, now(), %s, %s)"
        )
        values = (factories.REASON, people[who].id, claim.id)
        address = database.environment["DATABASE_URL"]
        with psycopg.connect(address) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(insert, values)
    accept(claim)


def test_what_is_named_must_be_of_the_same_type_and_subject_and_not_superseded(
    producer: User, version: ModelVersion
) -> None:
    first = factories.evidence(producer, version, auc=0.5)
    other = factories.evidence(producer, factories.model_version(producer))
    measured = factories.deposited(producer, version, EvidenceType.PERFORMANCE, {"auc": 0.6, "rows": 5}, measured=True)
    payload = {"auc": 0.9, "rows": 477}
    for named in (other.id, "evd_none", measured.id):
        with pytest.raises(EvidenceRefusedError, match="/supersedes"):
            factories.deposited(producer, version, "performance", payload, supersedes=named, reason=factories.REASON)
    factories.evidence(producer, version, auc=0.7)
    with pytest.raises(ConflictError, match=r"superseded by .* already"):
        factories.deposited(producer, version, "performance", payload, supersedes=first.id, reason=factories.REASON)


def test_what_the_product_measures_again_is_kept_beside_the_first_and_the_worst_counts(
    producer: User, version: ModelVersion
) -> None:
    environment = ruled(rule("bias", "bias.demographic_parity_ratio >= 0.8"))
    good = {"rows": 900, "verdict": "pass", "demographic_parity_ratio": 0.9}
    first = factories.deposited(producer, version, JobType.BIAS, good, measured=True)
    assert factories.deposited(producer, version, JobType.BIAS, good, measured=True).id == first.id
    factories.deposited(producer, version, JobType.BIAS, good | {"demographic_parity_ratio": 0.7}, measured=True)
    assert decide(version, environment).state == DecisionState.FAILED


# --- The doors --------------------------------------------------------------------------------------------------------
def test_a_batch_is_kept_whole_or_not_at_all(database: Database, producer: User, version: ModelVersion) -> None:
    api = Api(factories.token(producer))
    good = {"subject": version.digest, "type": "performance", "payload": {"auc": 0.8, "rows": 9}}
    dpia = {"subject": f"system:{version.model.system.slug}", "type": "dpia", "payload": REVIEW}
    wrong = [
        good,
        good | {"payload": {"acu": 0.8, "rows": 9}},
        dpia | {"subject": version.digest},
        good | {"type": "fairness"},
        good | {"subject": Digest.of(b"unknown").text},
        good | {"payload": {"auc": 0.9, "rows": 9}},
    ]
    before = snapshot(database)
    problem = require_problem(api.post("evidence:batch", {"items": wrong}), 422, "validation-failed")
    assert [fault["pointer"] for fault in problem["errors"]] == [
        "/items/1/payload/acu",
        "/items/2/subject",
        "/items/3/type",
        "/items/4",
        "/items/5",
    ]
    assert not changes(before, snapshot(database))
    require_problem(api.post("evidence:batch", {"items": [good] * 101}), 400, "validation-failed")
    kept = require(api.post("evidence:batch", {"items": [good, dpia]}), 201)["items"]
    assert [(item["type"], item["about"]) for item in kept] == [("performance", "model_version"), ("dpia", "system")]
    again = good | {"payload": {"auc": 0.9, "rows": 9}}
    require_problem(api.post("evidence", again), 409, "state-conflict")
    named = again | {"supersedes": kept[0]["id"], "reason": factories.REASON}
    answer = require(api.post("evidence", named), 201)
    assert answer["supersedes"]["superseded"] == kept[0]["id"]
    assert require(api.get(f"evidence/{kept[0]['id']}"), 200)["superseded_by"]["accepted"] is False


def test_a_reviewer_accepts_on_the_page_of_the_older_piece(producer: User, version: ModelVersion) -> None:
    older = factories.evidence(producer, version, auc=0.5)
    newer = factories.evidence(producer, version, auc=0.9)
    page, accepting = (
        reverse(f"admin:governance_evidence_{name}", args=[older.id]) for name in ("change", "accept-supersession")
    )
    offered = {who: accepting in signed_in(who).get(page).content.decode() for who in (producer, officer().user)}
    assert list(offered.values()) == [False, True]
    site = signed_in(officer().user)
    wrong = site.post(accepting, {"reason": factories.REASON, "password": "wrong"}).content.decode()
    assert "Not done." in wrong
    assert "It counts until a reviewer accepts that." in site.get(page).content.decode()
    step = {"reason": factories.REASON, "password": factories.PASSWORD}
    assert site.post(accepting, step).headers["Location"] == page
    assert "It is superseded and does not count." in site.get(page).content.decode()
    assert newer.id in site.get(page).content.decode()
    assert "Nothing waits here" in site.post(accepting, step, follow=True).content.decode()
