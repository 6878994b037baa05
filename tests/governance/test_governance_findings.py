"""Findings: opened once, worked off by two people, escalated once a level, read by policies."""

import json
from datetime import datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation

from audit.models import Entry
from governance.enums import FindingKind, FindingState, OverrideStep, Role, Severity, SubjectKind
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError, UnknownRecordError
from governance.models import Finding, FindingEvent
from governance.selectors.findings import findings_stated
from governance.selectors.gate import gate_assert
from governance.services.decisions import decision_evaluate
from governance.services.deployments import deployment_record
from governance.services.endings import decisions_expire, revocation_confirm, revocation_propose
from governance.services.findings import FindingReport, finding_act, finding_notice, finding_open, findings_escalate
from governance.services.officers import Officer
from governance.services.overrides import OverrideTerms, override_request, override_step
from governance.services.watch import findings_watch
from modelnotary.ids import new_id

pytestmark = pytest.mark.usefixtures("database", "keys")
NOTE = "Retrained on the corrected labels and assessed again."
DAY = timedelta(days=1)


def officer(role: Role = Role.MODEL_RISK) -> Officer:
    return Officer(factories.person(role), factories.PASSWORD)


def report(subject: str, kind: SubjectKind = SubjectKind.MODEL_VERSION, **changes: Any) -> FindingReport:
    standard: dict[str, Any] = {
        "kind": FindingKind.VALIDATION_ISSUE,
        "severity": Severity.HIGH,
        "title": "Labels leak into a feature",
        "description": "The date of closing is known only after the decision.",
        "remediation": "Leave the feature out.",
        "subject_kind": kind,
        "subject_id": subject,
        "owner": factories.person(Role.ENGINEER),
        "escalates_to": factories.person(Role.MODEL_RISK),
        "due_at": timezone.now() + 10 * DAY,
    }
    return FindingReport(**(standard | changes))


def opened(case: factories.Case, **changes: Any) -> Finding:
    return finding_open(officer=officer(), report=report(case.version.id, **changes), at=timezone.now())


def act(finding: Finding, state: FindingState, by: Officer | None = None) -> FindingEvent:
    return finding_act(officer=by or officer(), finding_id=finding.id, state=state, note=NOTE, at=timezone.now())


def told(event: str, subject: str) -> list[dict[str, Any]]:
    entries = Entry.objects.filter(event_type=event, subject_id=subject).order_by("body_id")
    return [json.loads(bytes(entry.bytes))["data"] for entry in entries]


def state_of(finding: Finding) -> str:
    return str(findings_stated().values_list("state", flat=True).get(pk=finding.pk))


def test_a_finding_goes_from_open_to_closed_by_another_person_step_by_step() -> None:
    finding, by = opened(factories.waiting_case()), officer()
    assert state_of(finding) == "open"
    for state in (FindingState.CLOSED, FindingState.REMEDIATED, FindingState.OPEN):
        with pytest.raises(ConflictError):
            act(finding, state)
    act(finding, FindingState.IN_PROGRESS, by)
    act(finding, FindingState.REMEDIATED, by)
    with pytest.raises(SeparationOfDutiesError, match="another person"):
        act(finding, FindingState.CLOSED, by)
    act(finding, FindingState.IN_PROGRESS)
    act(finding, FindingState.REMEDIATED, by)
    act(finding, FindingState.CLOSED)
    assert state_of(finding) == "closed"
    assert [said["state"] for said in told("finding.changed", finding.id)] == [
        "in_progress", "remediated", "in_progress", "remediated", "closed",
    ]  # fmt: skip
    with pytest.raises(ConflictError):
        act(finding, FindingState.RISK_ACCEPTED)


def test_a_risk_is_accepted_by_a_model_risk_officer_who_does_not_own_the_finding() -> None:
    owner = factories.person(Role.MODEL_RISK)
    finding = opened(factories.waiting_case(), owner=owner)
    for by in (Officer(owner, factories.PASSWORD), officer(Role.COMPLIANCE)):
        with pytest.raises(SeparationOfDutiesError):
            act(finding, FindingState.RISK_ACCEPTED, by)
    act(finding, FindingState.RISK_ACCEPTED)
    assert state_of(finding) == "risk_accepted"


REPORTS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "due already": ({"due_at": timezone.now() - DAY}, RejectedInputError),
    "without words": ({"description": "bad"}, RejectedInputError),
    "without a title": ({"title": " "}, RejectedInputError),
    "about nothing": ({"subject_id": "mv_none"}, UnknownRecordError),
    "about another kind": ({"subject_kind": SubjectKind.DECISION}, UnknownRecordError),
}


@pytest.mark.parametrize("what", REPORTS)
def test_a_report_that_says_nothing_is_refused(what: str) -> None:
    changes, error = REPORTS[what]
    before, case = Finding.objects.count(), factories.waiting_case()
    with pytest.raises(error):
        opened(case, **changes)
    robot = factories.service_account(factories.person())
    for wrong in ({"owner": robot}, {"escalates_to": robot}):
        with pytest.raises(RejectedInputError):
            opened(case, **wrong)
    assert Finding.objects.count() == before


def test_two_who_act_at_once_take_one_step() -> None:
    finding, by = opened(factories.waiting_case()), officer()
    results = at_once(*[lambda: act(finding, FindingState.IN_PROGRESS, by)] * 4)
    assert sum(isinstance(result, FindingEvent) for result in results) == 1
    assert finding.events.count() == 1


def test_what_the_product_notices_is_opened_once_also_at_once() -> None:
    case, cause, now = factories.waiting_case(), factories.unique("cause"), timezone.now()
    noticed = report(case.decision.id, SubjectKind.DECISION)
    results = at_once(*[lambda: finding_notice(cause=cause, report=noticed, at=now)] * 4)
    assert sum(isinstance(result, Finding) for result in results) == 1
    assert all(result is None or isinstance(result, Finding) for result in results)
    assert Finding.objects.filter(cause=cause).count() == 1


# --- What the product notices ---------------------------------------------------------------------------------------
def deployed() -> factories.Case:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    return case


def noticed_about(case: factories.Case, at: datetime) -> list[Finding]:
    findings_watch(at=at)
    return list(Finding.objects.filter(model_version=case.version, opened_by=None))


def test_what_is_deployed_on_a_revoked_decision_is_an_incident_once() -> None:
    case, now = deployed(), timezone.now()
    assert noticed_about(case, now) == []
    proposal = revocation_propose(officer=officer(), decision_id=case.decision.id, reason=NOTE, at=now)
    revocation_confirm(officer=officer(), proposal_id=proposal.id, at=now)
    (finding,) = noticed_about(case, timezone.now())
    assert (finding.kind, finding.severity, finding.subject_kind) == ("incident", "critical", "deployment")
    assert NOTE in finding.description
    assert len(noticed_about(case, timezone.now())) == 1
    assert len(told("finding.opened", finding.id)) == 1


def test_what_is_deployed_on_a_decision_that_ran_out_is_an_incident() -> None:
    case, later = deployed(), timezone.now() + 31 * DAY
    decisions_expire(at=later)
    assert [finding.severity for finding in noticed_about(case, later)] == ["high"]


def test_an_overdue_review_of_an_override_is_a_finding_of_its_owner() -> None:
    case, now, reviewer = factories.waiting_case(), timezone.now(), factories.person(Role.PRIVACY)
    denied = decision_evaluate(
        actor=case.requester, digest=case.digest, environment=factories.unique("unruled"), at=now
    )
    terms = OverrideTerms(
        reason="Fraud wave tonight; the old model is blind to it.",
        ticket_url="https://tickets.example.org/1",
        expires_at=now + timedelta(hours=1),
        review_owner=reviewer,
        review_due_at=now + DAY,
    )
    override = override_request(officer=officer(), decision_id=denied.id, terms=terms, at=now)
    approved = {"override_id": override.id, "step": OverrideStep.APPROVED, "reason": NOTE, "at": now}
    override_step(officer=officer(), **approved)  # type: ignore[arg-type]
    assert noticed_about(case, now + timedelta(hours=23)) == []
    (finding,) = noticed_about(case, now + 2 * DAY)
    assert (finding.owner, override.id in finding.title) == (reviewer, True)


def test_a_late_finding_is_escalated_once_a_level_and_a_settled_one_is_not() -> None:
    case = factories.waiting_case()
    late, settled = opened(case), opened(case)
    act(settled, FindingState.RISK_ACCEPTED)
    levels = []
    for days in (9, 10, 11, 24, 40, 41):
        at_once(*[lambda days=days: findings_escalate(at=late.opened_at + days * DAY)] * 2)
        levels.append(late.escalations.count())
    assert levels == [0, 1, 1, 2, 3, 3]
    assert [said["level"] for said in told("finding.escalated", late.id)] == [1, 2, 3]
    assert told("finding.escalated", late.id)[0]["to"] == late.escalates_to_id
    assert not settled.escalations.exists()


# --- Policies -------------------------------------------------------------------------------------------------------
def test_a_policy_that_reads_findings_denies_while_a_high_one_is_open() -> None:
    rule = factories.policy_document("e")["rules"][0]
    counted = rule | {
        "id": "FIND-1",
        "clause": "model.open_findings_high == 0",
        "observed": "model.open_findings_high",
        "expected": "0",
    }
    del counted["evidence"]
    case = factories.waiting_case(rules=[rule, counted])
    case.sign(case.officers[0])
    finding = opened(case, severity=Severity.CRITICAL)
    answer = gate_assert(digest=case.digest, environment=case.environment, at=timezone.now())
    assert answer.reason_code == "evidence-changed"
    anew = case.evaluate()
    assert (anew.state, anew.rules[1]["observed"]) == ("failed", 1)
    act(finding, FindingState.RISK_ACCEPTED)
    assert case.evaluate().state == "pending"


def test_a_policy_that_does_not_read_them_is_not_disturbed() -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    opened(case)
    answer = gate_assert(digest=case.digest, environment=case.environment, at=timezone.now())
    assert (answer.allowed, case.evaluate().id) == (True, case.decision.id)


# --- What the database refuses --------------------------------------------------------------------------------------
def insert(database: Database, table: str, row: dict[str, Any]) -> None:
    statement = f"INSERT INTO governance_{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"  # noqa: S608
    with psycopg.connect(database.environment["DATABASE_URL"]) as raw:
        raw.execute(statement.encode(), tuple(row.values()))


def test_raw_sql_meets_every_rule_about_findings(database: Database) -> None:
    case, by, now = factories.waiting_case(), officer(), timezone.now()
    finding = opened(case)
    act(finding, FindingState.IN_PROGRESS, by)
    act(finding, FindingState.REMEDIATED, by)
    row: dict[str, Any] = {
        str(field.column): getattr(finding, field.attname) for field in finding._meta.concrete_fields
    }
    row["id"] = new_id("fnd")
    step = {"id": new_id("fne"), "finding_id": finding.id, "number": 3, "note": "n", "by_id": factories.person().id,
            "at": now}  # fmt: skip
    robot, admin = factories.service_account(factories.person()).id, factories.administrator().id
    other = opened(case)
    refused: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("finding", row | {"opened_by_id": None}, CheckViolation),
        ("finding", row | {"cause": "c"}, CheckViolation),
        ("finding", row | {"due_at": row["opened_at"]}, CheckViolation),
        ("findingevent", step | {"state": "closed", "by_id": by.user.id}, RestrictViolation),
        ("findingevent", step | {"state": "closed", "by_id": robot}, RestrictViolation),
        ("findingevent", step | {"state": "closed", "by_id": admin}, RestrictViolation),
        ("findingevent", step | {"state": "closed", "number": 4}, RestrictViolation),
        ("findingevent", step | {"state": "open"}, RestrictViolation),
        ("findingevent", step | {"state": "closed", "finding_id": other.id, "number": 1}, RestrictViolation),
        (
            "findingevent",
            step | {"state": "risk_accepted", "finding_id": other.id, "number": 1, "by_id": other.owner_id},
            RestrictViolation,
        ),
    ]
    for table, values, error in refused:
        with pytest.raises(psycopg.Error) as refusal:
            insert(database, table, values)
        assert isinstance(refusal.value, error), (table, values, refusal.value)
    told_once = {"id": new_id("fnx"), "finding_id": finding.id, "level": 1, "to_id": step["by_id"], "at": now}
    insert(database, "findingescalation", told_once)
    with pytest.raises(UniqueViolation):
        insert(database, "findingescalation", told_once | {"id": new_id("fnx")})
    for table in ("finding", "findingevent", "findingescalation"):
        for url, error in (("DATABASE_URL", InsufficientPrivilege), ("MIGRATION_DATABASE_URL", RestrictViolation)):
            for statement in ("UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
                expected = RestrictViolation if (table, statement[:6]) == ("finding", "UPDATE") else error
                with psycopg.connect(database.environment[url]) as raw, pytest.raises(expected):
                    raw.execute(statement.format(f"governance_{table}").encode())


# --- Doors ----------------------------------------------------------------------------------------------------------
def test_the_api_opens_lists_and_closes_findings() -> None:
    case = factories.waiting_case()
    one, two = (Api(factories.token(factories.person(Role.MODEL_RISK))) for _ in range(2))
    password = {"password": factories.PASSWORD}
    owner, above = factories.person(), factories.person()
    body = {"kind": "incident", "severity": "high", "title": "Drift", "description": NOTE, "remediation": "Retrain.",
            "subject_kind": "decision", "subject_id": case.decision.id, "owner": owner.username,
            "escalates_to": above.username, "due_at": (timezone.now() + DAY).isoformat()} | password  # fmt: skip
    require_problem(one.post("findings", body | {"subject_id": "dec_none"}), 404, "unknown-record")
    finding = require(one.post("findings", body), 201)
    assert (finding["state"], finding["system"], finding["events"]) == ("open", case.version.model.system.slug, [])
    address = f"findings/{finding['id']}/events"
    for state in ("in_progress", "remediated"):
        require(one.post(address, {"state": state, "note": NOTE} | password), 201)
    closing = {"state": "closed", "note": NOTE} | password
    require_problem(one.post(address, closing), 403, "separation-of-duties")
    assert len(require(two.post(address, closing), 201)["events"]) == 3
    require_problem(two.post(address, closing), 409, "state-conflict")
    listed = require(one.get("findings", subject_id=case.decision.id, state="closed"), 200)["findings"]
    assert [item["id"] for item in listed] == [finding["id"]]
    assert require(one.get("findings", subject_id=case.decision.id, state="open"), 200)["findings"] == []
    assert require(one.get("findings", subject_id=case.decision.id, before=finding["id"]), 200)["findings"] == []


def test_findings_are_opened_and_taken_up_in_the_admin() -> None:
    case, owner, above = factories.waiting_case(), factories.person(), factories.person()
    site = signed_in(factories.person(Role.COMPLIANCE))
    sent = {"kind": "incident", "severity": "high", "title": "Drift in production", "reason": NOTE,
            "remediation": "Retrain.", "subject_kind": "model_version", "subject_id": case.version.id,
            "owner": owner.username, "escalates_to": above.username, "days": "5",
            "password": factories.PASSWORD}  # fmt: skip
    address = reverse("admin:governance_finding_open")
    assert "no account of that name" in site.post(address, sent | {"owner": "nobody"}).content.decode()
    assert site.post(address, sent).status_code == 302
    finding = Finding.objects.get(model_version=case.version)
    step = reverse("admin:governance_finding_in_progress", args=[finding.id])
    page = reverse("admin:governance_finding_change", args=[finding.id])
    assert step in site.get(page).content.decode()
    assert site.post(step, {"reason": NOTE, "password": factories.PASSWORD}).status_code == 302
    shown = site.get(page).content.decode()
    assert ("In progress" in shown, step in shown) == (True, False)
    listed = site.get(reverse("admin:governance_finding_changelist"), {"state": "in_progress"}).content.decode()
    assert "Drift in production" in listed
