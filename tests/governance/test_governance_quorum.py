"""Quorum of distinct people and roles: copied when the request is opened, counted by service and database."""

from typing import Any

import factories
import psycopg
import pytest
from api_driver import at_once
from conftest import Database
from psycopg.errors import RestrictViolation

from governance.enums import DecisionState, Role, Vote
from governance.errors import ConflictError
from governance.models import Decision, User
from governance.policy.document import parse_policy
from governance.policy.errors import PolicyError

pytestmark = pytest.mark.usefixtures("database", "keys")

BOTH = {"compliance": 1, "model_risk": 1}


def case_of(roles: dict[str, int], quorum: int = 2) -> factories.Case:
    approvals = {"quorum": quorum, "roles": roles, "meaning": "I approve."}
    return factories.waiting_case(approvals=approvals)


def officer(role: Role) -> User:
    return factories.person(role)


def now_of(case: factories.Case) -> Decision:
    return Decision.objects.get(pk=case.decision.pk)


def test_two_of_one_role_are_not_one_of_each() -> None:
    case = case_of(BOTH)
    for signer in case.officers:
        case.sign(signer)
    waiting = now_of(case)
    assert waiting.state == DecisionState.PENDING
    assert waiting.rules[-1]["message"] == "2 of 2 signatures, missing 1 model risk officer"
    case.sign(officer(Role.MODEL_RISK), role=Role.MODEL_RISK)
    assert now_of(case).state == DecisionState.PASSED


def test_one_of_each_role_suffices_and_who_holds_both_signs_in_one() -> None:
    case = case_of(BOTH)
    both = factories.person(Role.COMPLIANCE, Role.MODEL_RISK)
    case.sign(both, role=Role.MODEL_RISK)
    assert now_of(case).rules[-1]["message"] == "1 of 2 signatures, missing 1 compliance officer"
    with pytest.raises(ConflictError, match="has signed this request already"):
        case.sign(both, role=Role.COMPLIANCE)
    case.sign(case.officers[0])
    assert now_of(case).state == DecisionState.PASSED


def test_a_rejection_in_any_role_ends_it() -> None:
    case = case_of(BOTH)
    case.sign(officer(Role.MODEL_RISK), role=Role.MODEL_RISK, vote=Vote.REJECT)
    assert now_of(case).state == DecisionState.FAILED


def test_two_roles_at_once_give_one_outcome() -> None:
    case = case_of(BOTH)
    risk = officer(Role.MODEL_RISK)
    factories.authenticator(risk)
    results = at_once(lambda: case.sign(case.officers[0]), lambda: case.sign(risk, role=Role.MODEL_RISK))
    assert not [result for result in results if isinstance(result, Exception)]
    assert now_of(case).state == DecisionState.PASSED


def test_a_later_policy_does_not_change_what_an_open_request_asks_for() -> None:
    case = case_of(BOTH)
    easier = {"quorum": 1, "roles": ["compliance"], "meaning": "I approve."}
    factories.policy(case.publisher, case.environment, approvals=easier)
    case.sign(case.officers[0])
    assert now_of(case).state == DecisionState.PENDING
    assert (case.request.quorum, case.request.at_least) == (2, BOTH)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "more in roles than people": ({"quorum": 1, "roles": BOTH}, "/approvals/quorum"),
    "none of a role": ({"roles": {"compliance": 0}}, "/approvals/roles/compliance"),
    "true of a role": ({"roles": {"compliance": True}}, "/approvals/roles/compliance"),
    "half of a role": ({"roles": {"compliance": 1.5}}, "/approvals/roles/compliance"),
    "words of a role": ({"roles": {"compliance": "one"}}, "/approvals/roles/compliance"),
    "a role that is none": ({"roles": {"boss": 1}}, "/approvals/roles"),
    "no role": ({"roles": {}}, "/approvals/roles"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_quorum_that_cannot_be_meant_is_refused_with_its_place(what: str) -> None:
    change, place = FAULTS[what]
    approvals = {"quorum": 2, "roles": BOTH, "meaning": "I approve."}
    roles = frozenset(Role.values)
    parse_policy(factories.policy_text("production", approvals=approvals), roles=roles)
    with pytest.raises(PolicyError) as refusal:
        parse_policy(factories.policy_text("production", approvals=approvals | change), roles=roles)
    assert {fault.pointer for fault in refusal.value.diagnostics} == {place}


@pytest.mark.parametrize("signed", ["nobody", "one of two", "two of one role", "one refuses"])
def test_no_decision_passes_in_the_database_without_its_signatures(database: Database, signed: str) -> None:
    case = case_of(BOTH) if signed == "two of one role" else factories.waiting_case(quorum=2)
    if signed in {"one of two", "two of one role"}:
        for signer in case.officers[: 1 if signed == "one of two" else 2]:
            case.sign(signer)
    if signed == "one refuses":
        case = factories.waiting_case()
        case.sign(case.officers[0], vote=Vote.REJECT)
        statement = (
            "INSERT INTO governance_decision "
            "SELECT (jsonb_populate_record(d, %s)).* FROM governance_decision d WHERE id = %s"
        )
        parameters: tuple[Any, ...] = ('{"id": "dec_forged", "state": "passed"}', case.decision.id)
    else:
        statement = (
            "UPDATE governance_decision SET state = 'passed', attestation = 'x', decided_at = now() WHERE id = %s"
        )
        parameters = (case.decision.id,)
    for role in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        with psycopg.connect(database.environment[role]) as connection, pytest.raises(RestrictViolation) as refusal:
            connection.execute(statement.encode(), parameters)
        assert "lacks the signatures" in str(refusal.value)
