"""How a passed decision ends: by two people, by a newer one, by the clock; once, and never by an edit."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation

from audit.models import Entry
from governance.enums import DecisionStanding, Role, Scope
from governance.errors import ConflictError, GovernanceError, SeparationOfDutiesError
from governance.models import Decision, DecisionEnding, User
from governance.selectors.gate import decision_standing, gate_assert
from governance.services.endings import decisions_expire, revocation_confirm, revocation_propose
from governance.services.officers import Officer
from modelnotary.ids import new_id

pytestmark = pytest.mark.usefixtures("database", "keys")
WHY = "Drift was observed in production; the approval no longer holds."


def officer(role: Role = Role.MODEL_RISK, password: str = factories.PASSWORD) -> Officer:
    return Officer(factories.person(role), password)


def passed_case() -> factories.Case:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    return case


def propose(case: factories.Case, by: Officer | None = None) -> str:
    return revocation_propose(officer=by or officer(), decision_id=case.decision.id, reason=WHY, at=timezone.now()).id


def confirm(proposal: str, by: Officer | None = None, **later: float) -> DecisionEnding:
    at = timezone.now() + timedelta(**later)
    return revocation_confirm(officer=by or officer(Role.COMPLIANCE), proposal_id=proposal, at=at)


def reason_now(case: factories.Case, **later: float) -> str:
    at = timezone.now() + timedelta(**later)
    return gate_assert(digest=case.digest, environment=case.environment, at=at).reason_code


def told(event: str, decision: str) -> list[dict[str, object]]:
    entries = Entry.objects.filter(event_type=event, subject_id=decision)
    return [json.loads(bytes(entry.bytes))["data"] for entry in entries]


# --- Revoking -------------------------------------------------------------------------------------------------------
def test_two_people_revoke_and_the_gate_closes_at_once_and_for_good() -> None:
    case = passed_case()
    before = Decision.objects.values().get(pk=case.decision.pk)
    first, second = officer(), officer(Role.COMPLIANCE)
    proposal = propose(case, first)
    assert reason_now(case) == "passed"
    confirm(proposal, second)
    answer = gate_assert(digest=case.digest, environment=case.environment, at=timezone.now())
    assert (answer.allowed, answer.reason_code) == (False, "decision-revoked")
    assert all(words in answer.message for words in (first.user.printed_name, second.user.printed_name, WHY))
    assert Decision.objects.values().get(pk=case.decision.pk) == before
    (said,) = told("decision.revoked", case.decision.id)
    assert (said["proposed_by"], said["confirmed_by"], said["reason"]) == (first.user.id, second.user.id, WHY)
    anew = case.evaluate()
    assert (anew.state, anew.supersedes_id) == ("pending", case.decision.id)
    assert reason_now(case) == "decision-pending"


@pytest.mark.parametrize(
    ("hindered", "code"),
    [
        (lambda: officer(Role.ENGINEER), "separation-of-duties"),
        (lambda: officer(password="wrong"), "reauthentication-required"),
        (lambda: Officer(factories.administrator(), factories.PASSWORD), "separation-of-duties"),
        (lambda: Officer(factories.service_account(factories.person()), ""), "human-required"),
    ],
    ids=["without the role", "wrong password", "superuser", "service account"],
)
def test_who_may_not_revoke_is_refused_and_the_attempt_recorded(hindered: Callable[[], Officer], code: str) -> None:
    case = passed_case()
    proposal = propose(case)
    for attempt in (lambda by: propose(case, by), lambda by: confirm(proposal, by)):
        with pytest.raises(GovernanceError) as refusal:
            attempt(hindered())
        assert refusal.value.code == code
    steps = {str(said["step"]) for said in told("officer.refused", case.decision.id)}
    assert steps == {"revocation.propose", "revocation.confirm"}
    assert reason_now(case) == "passed"


def test_nobody_confirms_their_own_proposal_nor_one_that_lay_too_long() -> None:
    case, by = passed_case(), officer()
    proposal = propose(case, by)
    with pytest.raises(SeparationOfDutiesError):
        confirm(proposal, by)
    with pytest.raises(ConflictError, match="days ago"):
        confirm(proposal, days=8)
    with pytest.raises(ConflictError, match="confirm rvp_"):
        propose(case)
    assert reason_now(case) == "passed"


def test_only_a_decision_that_counts_can_be_revoked() -> None:
    case = factories.waiting_case()
    with pytest.raises(ConflictError, match="only a passed decision"):
        propose(case)
    case.sign(case.officers[0])
    proposal = propose(case)
    with pytest.raises(ConflictError, match="ran out"):
        revocation_propose(
            officer=officer(), decision_id=case.decision.id, reason=WHY, at=timezone.now() + timedelta(days=31)
        )
    confirm(proposal)
    with pytest.raises(ConflictError, match="already revoked"):
        confirm(proposal)


def test_two_who_confirm_at_once_revoke_once() -> None:
    case = passed_case()
    proposal, officers = propose(case), [officer() for _ in range(4)]
    results = at_once(*[lambda by=by: confirm(proposal, by) for by in officers])
    assert sum(isinstance(result, DecisionEnding) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 3
    assert len(told("decision.revoked", case.decision.id)) == 1


# --- The clock, and newer decisions ---------------------------------------------------------------------------------
def test_running_out_goes_by_the_clock_and_is_recorded_once_however_many_look() -> None:
    case = passed_case()
    assert reason_now(case, days=30) == "decision-expired"
    decision = Decision.objects.get(pk=case.decision.pk)
    at = timezone.now() + timedelta(days=30)
    assert decision_standing(decision, at=at) == DecisionStanding.EXPIRED
    assert decisions_expire(at=timezone.now()) == 0
    counts = at_once(*[lambda: decisions_expire(at=at)] * 4)
    assert sum(count for count in counts if isinstance(count, int)) >= 1
    assert decisions_expire(at=at) == 0
    assert len(told("decision.expired", decision.id)) == 1
    ending = DecisionEnding.objects.get(decision=decision)
    assert (ending.kind, ending.ended_at) == ("expired", decision.expires_at)


def test_a_newer_decision_takes_the_place_of_the_one_before() -> None:
    case = passed_case()
    factories.evidence(case.producer, case.version, auc=0.99)
    anew = case.evaluate()
    old = Decision.objects.get(pk=case.decision.pk)
    assert (old.state, old.ending.kind, old.ending.successor_id) == ("passed", "superseded", anew.id)
    assert decision_standing(old, at=timezone.now()) == DecisionStanding.SUPERSEDED
    assert [said["successor"] for said in told("decision.superseded", old.id)] == [anew.id]


def test_one_that_ran_out_before_is_recorded_as_run_out_not_as_superseded() -> None:
    case = passed_case()
    anew = case.evaluate(at=timezone.now() + timedelta(days=31))
    old = Decision.objects.get(pk=case.decision.pk)
    assert (anew.supersedes_id, old.ending.kind, old.ending.ended_at) == (old.id, "expired", old.expires_at)


# --- What the database refuses --------------------------------------------------------------------------------------
def ending_row(case: factories.Case, **changes: object) -> dict[str, object]:
    now = timezone.now()
    return {
        "id": new_id("end"), "decision_id": case.decision.id, "kind": "revoked", "reason": "r", "proposal_id": None,
        "confirmed_by_id": None, "successor_id": None, "ended_at": now, "recorded_at": now,
    } | changes  # fmt: skip


def insert(database: Database, table: str, row: dict[str, object]) -> None:
    statement = f"INSERT INTO governance_{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"  # noqa: S608
    with psycopg.connect(database.environment["DATABASE_URL"]) as raw:
        raw.execute(statement.encode(), tuple(row.values()))


def test_raw_sql_cannot_end_a_decision_without_its_cause(database: Database) -> None:
    case, other, waiting = passed_case(), passed_case(), factories.waiting_case()
    by = officer()
    proposal, foreign = propose(case, by), propose(other)
    person, robot = factories.person().id, factories.service_account(factories.person()).id
    refused: dict[str, tuple[dict[str, object], type[Exception]]] = {
        "by one person": ({"proposal_id": proposal, "confirmed_by_id": by.user.id}, RestrictViolation),
        "by a service account": ({"proposal_id": proposal, "confirmed_by_id": robot}, RestrictViolation),
        "by a superuser": (
            {"proposal_id": proposal, "confirmed_by_id": factories.administrator().id},
            RestrictViolation,
        ),
        "on another's proposal": ({"proposal_id": foreign, "confirmed_by_id": person}, RestrictViolation),
        "without a proposal": ({"confirmed_by_id": person}, CheckViolation),
        "without a confirmer": ({"proposal_id": proposal}, CheckViolation),
        "before its time": ({"kind": "expired"}, RestrictViolation),
        "by a stranger": ({"kind": "superseded", "successor_id": other.decision.id}, RestrictViolation),
        "while it waits": ({"kind": "expired", "decision_id": waiting.decision.id}, RestrictViolation),
        "in another way": ({"kind": "forgotten"}, CheckViolation),
    }
    for what, (changes, error) in refused.items():
        with pytest.raises(psycopg.Error) as refusal:
            insert(database, "decisionending", ending_row(case, **changes))
        assert isinstance(refusal.value, error), (what, refusal.value)
    ended = ending_row(case, proposal_id=proposal, confirmed_by_id=person)
    insert(database, "decisionending", ended)
    with pytest.raises(UniqueViolation):
        insert(database, "decisionending", ended | {"id": new_id("end")})
    late = {"id": new_id("rvp"), "decision_id": case.decision.id, "reason": "r", "proposed_by_id": person,
            "proposed_at": timezone.now()}  # fmt: skip
    with pytest.raises(RestrictViolation):
        insert(database, "revocationproposal", late)


@pytest.mark.parametrize("table", ["governance_decisionending", "governance_revocationproposal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_an_ending_is_never_changed(database: Database, table: str, statement: str) -> None:
    confirm(propose(passed_case()))
    tries = (("DATABASE_URL", InsufficientPrivilege), ("MIGRATION_DATABASE_URL", RestrictViolation))
    for url, error in tries:
        with psycopg.connect(database.environment[url]) as raw, pytest.raises(error):
            raw.execute(statement.format(table).encode())


# --- Doors ----------------------------------------------------------------------------------------------------------
def test_the_api_revokes_in_two_calls_of_two_people_and_says_so_of_the_decision() -> None:
    case, first, second = passed_case(), factories.person(Role.COMPLIANCE), factories.person(Role.MODEL_RISK)
    one, two = (Api(factories.token(user)) for user in (first, second))
    body = {"reason": WHY, "password": factories.PASSWORD}
    proposal = require(one.post(f"decisions/{case.decision.id}/revocations", body), 202)
    address, password = f"revocations/{proposal['id']}/confirmation", {"password": factories.PASSWORD}
    require_problem(one.post(address, password), 403, "separation-of-duties")
    require_problem(two.post(address, {"password": "wrong"}), 403, "reauthentication-required")
    ending = require(two.post(address, password), 201)
    assert (ending["kind"], ending["confirmed_by"]) == ("revoked", second.printed_name)
    read = require(one.get(f"decisions/{case.decision.id}"), 200)
    assert (read["state"], read["verdict"], read["ending"]["reason"]) == ("revoked", "passed", WHY)
    require_problem(two.post(address, password), 409, "state-conflict")
    require_problem(two.post("decisions/dec_none/revocations", body), 404, "unknown-record")


def test_no_service_account_has_a_token_that_revokes() -> None:
    with pytest.raises(GovernanceError, match="for people"):
        factories.token(factories.service_account(factories.person()), Scope.GATE_REVOKE)


def page(case: factories.Case, name: str) -> str:
    return reverse(f"admin:governance_decision_{name}", args=[case.decision.id])


def test_officers_revoke_in_the_admin(keys: Path) -> None:
    case = passed_case()
    people: list[User] = [factories.person(Role.COMPLIANCE), factories.person(Role.MODEL_RISK)]
    one, two = map(signed_in, people)
    assert "Propose to revoke" in one.get(page(case, "revoke")).content.decode()
    sent = {"reason": WHY, "password": factories.PASSWORD}
    assert one.post(page(case, "revoke"), sent).status_code == 302
    waiting = one.get(page(case, "change")).content.decode()
    assert "proposes to revoke it" in waiting
    assert page(case, "confirm-revocation") not in waiting
    assert page(case, "confirm-revocation") in two.get(page(case, "change")).content.decode()
    own = one.post(page(case, "confirm-revocation"), sent)
    assert (own.status_code, "cannot be the second person" in own.content.decode()) == (200, True)
    assert two.post(page(case, "confirm-revocation"), sent).status_code == 302
    ended = two.get(page(case, "change")).content.decode()
    assert all(words in ended for words in ("Revoked", "How it ended", WHY, people[0].printed_name))
    assert reason_now(case) == "decision-revoked"


def test_the_list_of_decisions_shows_how_they_ended_without_a_query_for_each() -> None:
    confirm(propose(passed_case()))
    site = signed_in(factories.person(Role.AUDITOR))
    with connection.execute_wrapper(_no_ending_alone):
        listed = site.get(reverse("admin:governance_decision_changelist"), {"ending__kind__exact": "revoked"})
    assert (listed.status_code, "Revoked" in listed.content.decode()) == (200, True)


def _no_ending_alone(execute, sql, params, many, context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    assert not sql.startswith('SELECT "governance_decisionending"'), sql
    return execute(sql, params, many, context)
