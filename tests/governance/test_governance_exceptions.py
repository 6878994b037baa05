"""Exceptions waive and never pass; overrides allow in the open; both take two people and end by themselves."""

import json
from datetime import datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation

from audit.models import Entry
from governance.enums import ExceptionStep, OverrideStep, Role
from governance.errors import (
    ConflictError,
    GateDeniedError,
    GovernanceError,
    RejectedInputError,
    SeparationOfDutiesError,
)
from governance.models import Decision, Override, OverrideStepRecord, PolicyException, PolicyExceptionStep
from governance.selectors.gate import Assertion, gate_assert
from governance.services.deployments import deployment_record
from governance.services.exceptions import ExceptionTerms, exception_answer, exception_request
from governance.services.officers import Officer
from governance.services.overrides import OverrideTerms, override_request, override_step
from governance.services.replay import decision_replay
from modelnotary.attest.decision import decision_open
from modelnotary.attest.override import override_open
from modelnotary.ids import new_id
from modelnotary.verify.trust import Trust

pytestmark = pytest.mark.usefixtures("database", "keys")
WHY = "The vendor delivers the corrected scores in the next release."
TICKET = "https://tickets.example.org/INC-1"
DAY = timedelta(days=1)


def officer(role: Role = Role.MODEL_RISK) -> Officer:
    return Officer(factories.person(role), factories.PASSWORD)


def denied_case() -> factories.Case:
    """A version that ranks too badly."""
    rules = factories.policy_document("e")["rules"]
    return factories.waiting_case(rules=[rules[0] | {"clause": "performance.auc >= 0.9"}])


def terms(case: factories.Case, **changes: Any) -> ExceptionTerms:
    standard: dict[str, Any] = {
        "rule": "PERF-001",
        "subject": case.version,
        "environment": case.environment,
        "owner": factories.person(),
        "reason": WHY,
        "risk": "Some applications are ordered wrongly for review.",
        "compensating_control": "A second reviewer looks at every denial.",
        "expires_at": timezone.now() + 10 * DAY,
    }
    return ExceptionTerms(**(standard | changes))


def asked(case: factories.Case, by: Officer | None = None, **changes: Any) -> PolicyException:
    return exception_request(officer=by or officer(), terms=terms(case, **changes), at=timezone.now())


def answer(
    exception: PolicyException,
    by: Officer | None = None,
    step: ExceptionStep = ExceptionStep.ACCEPTED,
    at: datetime | None = None,
) -> PolicyExceptionStep:
    when = at or timezone.now()
    return exception_answer(officer=by or officer(), exception_id=exception.id, step=step, reason=WHY, at=when)


def gate(case: factories.Case, **later: float) -> Assertion:
    at = timezone.now() + timedelta(**later)
    return gate_assert(digest=case.digest, environment=case.environment, at=at)


def decision_keys() -> list[Any]:
    return [key.key for key in Trust.from_file(settings.NOTARY_HOME / "trust.json").decision_keys]


# --- Exceptions -----------------------------------------------------------------------------------------------------
def test_an_accepted_exception_waives_a_failed_rule_until_it_ends_and_the_attestation_says_so() -> None:
    case = denied_case()
    assert case.decision.state == "failed"
    exception = asked(case)
    assert case.evaluate().id == case.decision.id
    answer(exception)
    anew = case.evaluate()
    assert (anew.state, anew.rules[0]["outcome"], anew.rules[0]["reason_code"]) == (
        "pending",
        "waived",
        "exception-accepted",
    )
    assert exception.id in anew.rules[0]["message"]
    again = factories.Case(**{**_fields(case), "decision": anew})
    again.sign(case.officers[0])
    passed = Decision.objects.get(pk=anew.pk)
    assert (passed.state, passed.expires_at) == ("passed", exception.expires_at)
    signed, _ = decision_open(bytes(passed.attestation or b""), decision_keys())
    assert [(item.id, item.rule, item.expires_at) for item in signed.waivers] == [
        (exception.id, "PERF-001", exception.expires_at)
    ]
    assert [rule.outcome for rule in signed.rules] == ["waived", "pass"]
    assert decision_replay(passed).is_same
    assert gate(case).allowed
    assert case.evaluate().id == passed.id
    assert gate(case, days=10).reason_code == "decision-expired"


def _fields(case: factories.Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in case.__dataclass_fields__}


def test_a_withdrawn_exception_closes_the_gate() -> None:
    case = denied_case()
    exception = asked(case)
    answer(exception)
    anew = factories.Case(**{**_fields(case), "decision": case.evaluate()})
    anew.sign(case.officers[0])
    assert gate(case).allowed
    answer(exception, step=ExceptionStep.WITHDRAWN)
    assert gate(case).reason_code == "exception-ended"
    assert case.evaluate().state == "failed"


def test_what_could_not_be_evaluated_is_never_waived() -> None:
    rules = factories.policy_document("e")["rules"]
    case = factories.waiting_case(rules=[rules[0] | {"clause": "1 / 0 == 1"}])
    answer(asked(case))
    anew = case.evaluate()
    assert (anew.state, anew.rules[0]["outcome"]) == ("error", "error")


def test_an_exception_holds_for_its_own_rule_environment_and_subject_alone() -> None:
    case = denied_case()
    for changes in ({"rule": "PERF-002"}, {"environment": "elsewhere"}, {"subject": denied_case().version}):
        answer(asked(case, **changes))
    assert case.evaluate().state == "failed"
    answer(asked(case, subject=case.version.model.system))
    assert case.evaluate().rules[0]["outcome"] == "waived"


def test_nobody_who_has_a_part_accepts_the_risk() -> None:
    case = denied_case()
    by, owner = officer(), officer()
    exception = asked(case, by, owner=owner.user)
    author = Officer(case.author, factories.PASSWORD)
    factories.role_granted(case.author, Role.MODEL_RISK)
    for involved in (by, owner, author, officer(Role.COMPLIANCE), Officer(factories.administrator(), "")):
        with pytest.raises(SeparationOfDutiesError):
            answer(exception, involved)
    answer(exception)
    with pytest.raises(ConflictError):
        answer(exception, step=ExceptionStep.REFUSED)


TERMS: dict[str, dict[str, Any]] = {
    "too long": {"expires_at": timezone.now() + 181 * DAY},
    "over already": {"expires_at": timezone.now() - DAY},
    "without a risk": {"risk": "none"},
    "without a control": {"compensating_control": " "},
    "without a reason": {"reason": "because"},
    "for no rule": {"rule": " "},
    "nowhere": {"environment": "Not A Name"},
}


@pytest.mark.parametrize("what", TERMS)
def test_terms_that_say_nothing_or_too_much_are_refused(what: str) -> None:
    case = denied_case()
    before = PolicyException.objects.count()
    with pytest.raises(RejectedInputError):
        asked(case, **TERMS[what])
    assert PolicyException.objects.count() == before


def test_two_who_answer_at_once_give_one_answer() -> None:
    exception = asked(denied_case())
    people = [officer() for _ in range(4)]
    steps = (ExceptionStep.ACCEPTED, ExceptionStep.REFUSED) * 2
    calls = [lambda by=by, step=step: answer(exception, by, step) for by, step in zip(people, steps, strict=True)]
    results = at_once(*calls)
    assert sum(isinstance(result, PolicyExceptionStep) for result in results) == 1
    assert exception.steps.count() == 1


# --- Overrides ------------------------------------------------------------------------------------------------------
def override_terms(**changes: Any) -> OverrideTerms:
    now = timezone.now()
    standard: dict[str, Any] = {
        "reason": "Fraud wave tonight; the old model is blind to it and losses mount by the hour.",
        "ticket_url": TICKET,
        "expires_at": now + timedelta(hours=24),
        "review_owner": factories.person(Role.COMPLIANCE),
        "review_due_at": now + 5 * DAY,
    }
    return OverrideTerms(**(standard | changes))


def broken(case: factories.Case, by: Officer | None = None, **changes: Any) -> Override:
    return override_request(
        officer=by or officer(Role.ENGINEER),
        decision_id=case.decision.id,
        terms=override_terms(**changes),
        at=timezone.now(),
    )


def take(
    override: Override, step: OverrideStep = OverrideStep.APPROVED, by: Officer | None = None, **later: float
) -> OverrideStepRecord:
    at = timezone.now() + timedelta(**later)
    return override_step(officer=by or officer(), override_id=override.id, step=step, reason=WHY, at=at)


def test_an_override_allows_in_the_open_until_it_ends_and_the_denial_stays() -> None:
    case = denied_case()
    override = broken(case)
    assert gate(case).reason_code == "decision-failed"
    approval = take(override)
    given = gate(case)
    assert (given.allowed, given.reason_code, given.override) == (True, "override", override)
    assert all(words in given.message for words in ("ALLOWED BY OVERRIDE", override.id, override.reason, TICKET))
    signed, _ = override_open(bytes(approval.statement or b""), decision_keys())
    assert (signed.decision, signed.environment, signed.reason) == (case.decision.id, case.environment, override.reason)
    assert signed.approved_by == approval.by_id
    deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    entry = Entry.objects.filter(event_type="deployment.recorded").latest("body_id")
    assert json.loads(bytes(entry.bytes))["data"]["override"] == override.id
    assert Decision.objects.get(pk=case.decision.pk).state == "failed"
    assert gate(case, hours=24).reason_code == "decision-failed"


def test_an_override_ends_when_somebody_ends_it_and_is_then_reviewed_by_another() -> None:
    case, by = denied_case(), officer()
    override = broken(case, by)
    with pytest.raises(SeparationOfDutiesError):
        take(override, by=by)
    approver = officer(Role.COMPLIANCE)
    take(override, by=approver)
    with pytest.raises(ConflictError, match="still in force"):
        take(override, OverrideStep.REVIEWED)
    take(override, OverrideStep.ENDED)
    assert gate(case).reason_code == "decision-failed"
    with pytest.raises(GateDeniedError):
        deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    for involved in (by, approver):
        with pytest.raises(SeparationOfDutiesError):
            take(override, OverrideStep.REVIEWED, involved)
    take(override, OverrideStep.REVIEWED)
    with pytest.raises(ConflictError, match="reviewed already"):
        take(override, OverrideStep.REVIEWED)


OVERRIDES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "reason of 29 characters": ({"reason": "x" * 29}, RejectedInputError),
    "no ticket": ({"ticket_url": "INC-1"}, RejectedInputError),
    "longer than 72 hours": ({"expires_at": timezone.now() + timedelta(hours=73)}, RejectedInputError),
    "a review in the past": ({"review_due_at": timezone.now() - DAY}, RejectedInputError),
}


@pytest.mark.parametrize("what", OVERRIDES)
def test_an_override_without_its_particulars_is_refused(what: str) -> None:
    changes, error = OVERRIDES[what]
    with pytest.raises(error):
        broken(denied_case(), **changes)


def test_only_the_newest_denial_can_be_overridden_and_not_reviewed_by_who_asks() -> None:
    with pytest.raises(ConflictError, match="only a denial"):
        broken(factories.waiting_case())
    case, by = denied_case(), officer()
    with pytest.raises(SeparationOfDutiesError):
        broken(case, by, review_owner=by.user)
    override = broken(case)
    factories.evidence(case.producer, case.version, auc=0.2)
    case.evaluate()
    with pytest.raises(ConflictError, match="not the newest"):
        take(override)


def test_an_approval_that_somebody_wrote_into_the_database_allows_nothing(database: Database) -> None:
    case = denied_case()
    foreign = take(broken(denied_case()))
    override = broken(case)
    for statement in (b"{}", bytes(foreign.statement or b"")):
        row = {
            "id": new_id("ovs"), "override_id": override.id, "kind": "approved", "reason": "r",
            "by_id": factories.person().id, "at": timezone.now(), "statement": statement, "statement_digest": "",
        }  # fmt: skip
        insert(database, "overridesteprecord", row)
        assert gate(case).reason_code == "decision-failed"
        override = broken(case)


# --- What the database refuses --------------------------------------------------------------------------------------
def insert(database: Database, table: str, row: dict[str, Any]) -> None:
    statement = f"INSERT INTO governance_{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"  # noqa: S608
    with psycopg.connect(database.environment["DATABASE_URL"]) as raw:
        raw.execute(statement.encode(), tuple(row.values()))


def raw_row(record: Any, **changes: Any) -> dict[str, Any]:
    row = {field.column: getattr(record, field.attname) for field in record._meta.concrete_fields}
    return row | {"id": new_id("raw")} | changes


def test_raw_sql_meets_every_rule_about_exceptions_and_overrides(database: Database) -> None:
    case, robot = denied_case(), factories.service_account(factories.person()).id
    exception, override = asked(case), broken(case)
    admin, person = factories.administrator().id, factories.person().id
    now = timezone.now()
    step = {"id": new_id("exs"), "exception_id": exception.id, "reason": "r", "by_id": person, "at": now}
    taken = {"id": new_id("ovs"), "override_id": override.id, "reason": "r", "by_id": person, "at": now,
             "statement": None, "statement_digest": ""}  # fmt: skip
    refused: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("policyexception", raw_row(exception, expires_at=exception.requested_at + 181 * DAY), CheckViolation),
        ("policyexception", raw_row(exception, expires_at=exception.requested_at), CheckViolation),
        ("policyexception", raw_row(exception, system_id=case.version.model.system_id), CheckViolation),
        ("policyexception", raw_row(exception, model_version_id=None), CheckViolation),
        ("policyexception", raw_row(exception, requested_by_id=robot), RestrictViolation),
        ("policyexceptionstep", step | {"kind": "withdrawn"}, RestrictViolation),
        *(
            ("policyexceptionstep", step | {"kind": "accepted", "by_id": by}, RestrictViolation)
            for by in (exception.requested_by_id, exception.owner_id, case.author.id, admin, robot)
        ),
        ("policyexceptionstep", step | {"kind": "accepted", "at": now + 11 * DAY}, RestrictViolation),
        ("override", raw_row(override, reason="x" * 29), CheckViolation),
        ("override", raw_row(override, ticket_url="INC-1"), CheckViolation),
        ("override", raw_row(override, expires_at=override.requested_at + 4 * DAY), CheckViolation),
        ("override", raw_row(override, review_due_at=override.requested_at), CheckViolation),
        ("override", raw_row(override, review_owner_id=override.requested_by_id), RestrictViolation),
        ("override", raw_row(override, decision_id=factories.waiting_case().decision.id), RestrictViolation),
        ("overridesteprecord", taken | {"kind": "ended"}, RestrictViolation),
        ("overridesteprecord", taken | {"kind": "approved"}, CheckViolation),
        *(
            ("overridesteprecord", taken | {"kind": "approved", "statement": b"x", "by_id": by}, RestrictViolation)
            for by in (override.requested_by_id, admin, robot)
        ),
    ]
    for table, row, error in refused:
        with pytest.raises(psycopg.Error) as refusal:
            insert(database, table, row)
        assert isinstance(refusal.value, error), (table, row, refusal.value)
    answer(exception)
    with pytest.raises((RestrictViolation, UniqueViolation)):
        insert(database, "policyexceptionstep", step | {"kind": "refused"})


@pytest.mark.parametrize("table", ["policyexception", "policyexceptionstep", "override", "overridesteprecord"])
def test_exceptions_and_overrides_are_never_changed(database: Database, table: str) -> None:
    case = denied_case()
    answer(asked(case))
    take(broken(case))
    tries = (("DATABASE_URL", InsufficientPrivilege), ("MIGRATION_DATABASE_URL", RestrictViolation))
    for url, error in tries:
        for statement in (
            "UPDATE {} SET reason = 'x'",
            "DELETE FROM {}",
            "TRUNCATE {} CASCADE",
        ):
            with psycopg.connect(database.environment[url]) as raw, pytest.raises(error):
                raw.execute(statement.format(f"governance_{table}").encode())


# --- Doors ----------------------------------------------------------------------------------------------------------
def test_the_api_asks_and_answers_and_asserts_disclose_the_override() -> None:
    case, reviewer = denied_case(), factories.person(Role.PRIVACY)
    one, two = (Api(factories.token(factories.person(Role.MODEL_RISK))) for _ in range(2))
    password = {"password": factories.PASSWORD}
    ends = (timezone.now() + DAY).isoformat()
    body = {"reason": "Fraud wave tonight; the old model is blind to it.", "ticket_url": TICKET, "expires_at": ends,
            "review_owner": reviewer.username, "review_due_at": (timezone.now() + 5 * DAY).isoformat()}  # fmt: skip
    override = require(one.post(f"decisions/{case.decision.id}/overrides", body | password), 202)
    step = {"kind": "approved", "reason": WHY} | password
    require_problem(one.post(f"overrides/{override['id']}/steps", step), 403, "separation-of-duties")
    require(two.post(f"overrides/{override['id']}/steps", step), 201)
    told = require(one.get("asserts", digest=case.version.digest, environment=case.environment), 200)
    assert (told["allowed"], told["reason_code"], told["override"]["id"]) == (True, "override", override["id"])

    excuse = {"rule": "PERF-001", "digest": case.version.digest, "environment": case.environment, "reason": WHY,
              "owner": reviewer.username, "risk": WHY, "compensating_control": WHY, "expires_at": ends}  # fmt: skip
    both = excuse | {"system": case.version.model.system.slug} | password
    require_problem(one.post("exceptions", both), 422, "validation-failed")
    exception = require(one.post("exceptions", excuse | password), 202)
    accept = {"kind": "accepted", "reason": WHY} | password
    require_problem(one.post(f"exceptions/{exception['id']}/steps", accept), 403, "separation-of-duties")
    require(two.post(f"exceptions/{exception['id']}/steps", accept), 201)
    require_problem(two.post(f"exceptions/{exception['id']}/steps", accept), 409, "state-conflict")


def test_officers_ask_and_answer_in_the_admin_and_every_page_shows_an_override_in_force() -> None:
    case, reviewer = denied_case(), factories.person(Role.COMPLIANCE)
    asking, answering = (signed_in(factories.person(Role.MODEL_RISK)) for _ in range(2))

    def page(name: str) -> str:
        return reverse(f"admin:governance_decision_{name}", args=[case.decision.id])

    assert page("ask-override") in asking.get(page("change")).content.decode()
    sent = {"reason": "Fraud wave tonight; the old model is blind to it.", "ticket_url": TICKET, "hours": "24",
            "person": reviewer.username, "review_days": "3", "password": factories.PASSWORD}  # fmt: skip
    assert asking.post(page("ask-override"), sent | {"person": "nobody"}).status_code == 200
    assert asking.post(page("ask-override"), sent).status_code == 302
    override = Override.objects.get(decision=case.decision)
    step = {"reason": WHY, "password": factories.PASSWORD}
    address = reverse("admin:governance_override_approved", args=[override.id])
    assert address in answering.get(reverse("admin:governance_override_change", args=[override.id])).content.decode()
    assert answering.post(address, step).status_code == 302
    for shown in (
        reverse("admin:index"),
        page("change"),
        reverse("admin:governance_model_changelist"),
        page("ask-override"),
    ):
        assert f"ALLOWED BY OVERRIDE {override.id}" in asking.get(shown).content.decode(), shown
    ended = reverse("admin:governance_override_ended", args=[override.id])
    assert answering.post(ended, step).status_code == 302
    assert f"ALLOWED BY OVERRIDE {override.id}" not in asking.get(page("change")).content.decode()

    sent = {"rule": "PERF-001", "reason": WHY, "risk": WHY, "compensating_control": WHY, "person": reviewer.username,
            "days": "30", "password": factories.PASSWORD}  # fmt: skip
    assert asking.post(page("ask-exception"), sent).status_code == 302
    exception = PolicyException.objects.get(model_version=case.version)
    address = reverse("admin:governance_policyexception_accepted", args=[exception.id])
    own = asking.post(address, step)
    assert (own.status_code, "took part in this already" in own.content.decode()) == (200, True)
    assert answering.post(address, step).status_code == 302
    assert "In force" in asking.get(reverse("admin:governance_policyexception_changelist")).content.decode()
    with pytest.raises(GovernanceError):
        answer(exception)
