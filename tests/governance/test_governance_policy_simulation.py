"""Rules that apply to some models only, and what another text would have said of decisions on record."""

import html
from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import pytest
import yaml
from admin_records import signed_in
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.urls import reverse
from django.utils import timezone

from governance.enums import Role, Scope
from governance.models import Decision, PolicyDraft
from governance.policy.document import PolicyDocument, parse_policy
from governance.policy.evaluation import Context, EvidenceFacts, evaluate, fresh_until
from governance.policy.simulation import Past, simulate
from governance.services.decisions import decision_evaluate
from modelnotary.ledger.digest import Digest
from modelnotary.times import format_time

RULE = factories.policy_document("e")["rules"][0]
PHI = RULE | {"id": "PHI-1", "when": "system.contains_phi", "clause": "performance.auc >= 0.9"}
SYSTEM = RULE | {
    "id": "DPIA-1",
    "evidence": "impact_assessment",
    "clause": "impact_assessment.measured || true",
    "observed": "impact_assessment.measured",
}
MODEL: dict[str, Any] = {"model.format": "x", "model.has_training_data": True, "system.contains_phi": False}
AUC = {"auc": 0.8, "rows": 10, "measured": False}


def compiled(*rules: dict[str, Any]) -> PolicyDocument:
    return parse_policy(factories.policy_text("e", rules=list(rules)), roles=frozenset(Role.values))


def seen(auc: float | None, *, phi: bool = False) -> Context:
    pieces = () if auc is None else (EvidenceFacts("evd_1", "d", "performance", AUC | {"auc": auc}),)
    return Context(model=MODEL | {"system.contains_phi": phi}, evidence=pieces)


CONDITIONED = {
    "does not apply": (seen(0.8), ("not_applicable", "condition-not-met")),
    "does not apply, whatever the evidence": (seen(None), ("not_applicable", "condition-not-met")),
    "applies and fails": (seen(0.8, phi=True), ("fail", "threshold-not-met")),
    "applies and finds no evidence": (seen(None, phi=True), ("fail", "evidence-missing")),
    "applies and passes": (seen(0.95, phi=True), ("pass", "met")),
    "cannot be told": (Context(model={"model.format": "x"}, evidence=()), ("error", "evaluation-error")),
    "cannot be told from a value of another type": (
        Context(model=MODEL | {"system.contains_phi": "no"}, evidence=()),
        ("error", "evaluation-error"),
    ),
}


@pytest.mark.parametrize("what", CONDITIONED)
def test_a_rule_applies_only_where_its_condition_holds(what: str) -> None:
    context, expected = CONDITIONED[what]
    result = evaluate(compiled(RULE, PHI), context)[1]
    assert (result.outcome, result.reason_code) == expected
    assert bool(result.remediation) == (result.outcome in {"fail", "error"})


def test_evidence_of_a_rule_that_does_not_apply_ends_no_decision() -> None:
    policy = compiled(RULE | {"max_age_days": 20}, PHI | {"max_age_days": 3})
    collected = datetime(2026, 3, 1, tzinfo=UTC)
    far = format_time(collected + timedelta(days=1000))
    piece = EvidenceFacts("evd_1", "d", "performance", AUC, format_time(collected), far)
    ends = [
        fresh_until(policy, Context(model=MODEL | {"system.contains_phi": phi}, evidence=(piece,)))
        for phi in (True, False)
    ]
    assert ends == [collected + timedelta(days=3), collected + timedelta(days=20)]


def past(context: Context, read: tuple[str, ...] = ("performance",), **outcomes: str) -> Past:
    return Past(
        outcomes={name.replace("_", "-"): outcome for name, outcome in outcomes.items()},
        context=context,
        read=frozenset(read),
    )


STRICTER = RULE | {"clause": "performance.auc >= 0.9"}
TRIED: dict[str, tuple[Past, list[dict[str, Any]], str, list[tuple[str, str, str]]]] = {
    "nothing changes": (past(seen(0.8), PERF_001="pass"), [RULE], "same", []),
    "a stricter limit": (
        past(seen(0.8), PERF_001="pass"),
        [STRICTER],
        "newly_blocked",
        [("PERF-001", "pass", "fail")],
    ),
    "a laxer limit": (past(seen(0.8), PERF_001="fail"), [RULE], "no_longer_blocked", [("PERF-001", "fail", "pass")]),
    "denied then and now, by another rule": (
        past(seen(0.8), OLD_1="fail"),
        [STRICTER],
        "same",
        [("PERF-001", "", "fail"), ("OLD-1", "fail", "")],
    ),
    "a rule that does not apply": (
        past(seen(0.8), PERF_001="pass"),
        [RULE, PHI],
        "same",
        [("PHI-1", "", "not_applicable")],
    ),
    "evidence that nobody looked at": (
        past(seen(0.8), PERF_001="pass"),
        [RULE, SYSTEM],
        "unknown",
        [("DPIA-1", "", "")],
    ),
    "evidence that nobody looked at, beside a failure": (
        past(seen(0.8), PERF_001="pass"),
        [STRICTER, SYSTEM],
        "newly_blocked",
        [("PERF-001", "pass", "fail"), ("DPIA-1", "", "")],
    ),
    "evidence that was looked at and was not there": (
        past(seen(0.8), ("performance", "impact_assessment"), PERF_001="pass"),
        [RULE, SYSTEM],
        "newly_blocked",
        [("DPIA-1", "", "fail")],
    ),
}


@pytest.mark.parametrize("what", TRIED)
def test_another_text_is_tried_on_what_is_on_record(what: str) -> None:
    before, rules, effect, told = TRIED[what]
    simulated = simulate(compiled(*rules), before)
    assert simulated.effect == effect
    assert [(change.id, change.before, change.after) for change in simulated.changes] == told


@pytest.fixture
def decided(database: Database, keys: object) -> tuple[Decision, Decision]:
    """A model version that waits for signatures and one that was denied, in one environment."""
    case = factories.waiting_case()
    weak = factories.model_version(case.pipeline)
    factories.evidence(case.producer, weak, auc=0.6)
    denied = decision_evaluate(
        actor=case.requester,
        digest=Digest.from_text(weak.digest),
        environment=case.environment,
        at=timezone.now(),
    )
    return case.decision, denied


def text_for(decision: Decision, limit: float) -> str:
    rule = RULE | {"clause": f"performance.auc >= {limit}", "expected": f">= {limit}"}
    return factories.policy_text(decision.environment, rules=[rule])


def test_a_draft_is_tried_through_the_api_and_nothing_is_kept(
    database: Database, decided: tuple[Decision, Decision]
) -> None:
    passed, denied = decided
    api = Api(factories.token(factories.person(Role.ENGINEER), Scope.POLICY_DRAFT))
    before = snapshot(database)
    strict = require(api.post("policies:simulate", {"document": text_for(passed, 0.99)}), 200)
    lax = require(api.post("policies:simulate", {"document": text_for(passed, 0.5)}), 200)
    one = require(api.post("policies:simulate", {"document": text_for(passed, 0.99), "decisions": 1}), 200)
    faulty = require_problem(api.post("policies:simulate", {"document": "policy: p"}), 422, "policy-invalid")
    assert not {table for table in changes(before, snapshot(database)) if table.startswith("public.")}
    assert (strict["decisions"], strict["newly_blocked"], strict["no_longer_blocked"], strict["same"]) == (2, 1, 0, 1)
    assert [(row["decision"], row["effect"]) for row in strict["changed"]] == [(passed.id, "newly_blocked")]
    assert strict["changed"][0]["rules"][0]["id"] == "PERF-001"
    assert [(row["decision"], row["before"], row["after"]) for row in lax["changed"]] == [(denied.id, "fail", "pass")]
    assert (one["decisions"], one["changed"]) == (1, [])
    assert faulty["errors"]


def test_a_policy_is_written_tried_and_kept_in_the_admin(decided: tuple[Decision, Decision]) -> None:
    passed, _ = decided
    version = passed.policy_version
    assert version is not None
    author = factories.person(Role.ENGINEER)
    client = signed_in(author)
    address = reverse("admin:governance_policydraft_new")
    opened = html.unescape(client.get(address, {"version": version.pk}).content.decode())
    assert version.document.strip() in opened

    strict = yaml.safe_load(version.document)
    strict["rules"][0]["clause"] = "performance.auc >= 0.99"
    text = yaml.safe_dump(strict, sort_keys=False)
    tried = html.unescape(client.post(address, {"document": text.replace("\n", "\r\n")}).content.decode())
    assert "1 would be denied" in tried
    assert "-  clause: performance.auc" in tried
    assert "+  clause: performance.auc >= 0.99" in tried
    assert not PolicyDraft.objects.filter(drafted_by=author).exists()

    misspelt = text.replace("performance.auc >=", "performance.auk >=")
    faulty = html.unescape(client.post(address, {"document": misspelt, "keep": "yes"}).content.decode())
    assert 'did you mean "performance.auc"?' in faulty
    assert "^" in faulty
    assert not PolicyDraft.objects.filter(drafted_by=author).exists()

    kept = client.post(address, {"document": text.replace("\n", "\r\n"), "keep": "yes"}, follow=True)
    draft = PolicyDraft.objects.get(drafted_by=author)
    assert draft.document == text
    assert f"Changes since version {version.number}" in html.unescape(kept.content.decode())
