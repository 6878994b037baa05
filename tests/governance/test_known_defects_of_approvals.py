"""Defects found in other products' approvals, each tried against this one: refused, or detected.

They were read in the code and the issues of governance products; what each test tries is in its docstring.
"""

import json
from typing import Any

import factories
import psycopg
import pytest
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.db import models
from psycopg.errors import ForeignKeyViolation, InsufficientPrivilege, RestrictViolation

from audit.models import Entry
from audit.reconciliation import changes_reconcile
from governance.enums import ApprovalState, DecisionState, Role, Vote
from governance.errors import ConflictError, SeparationOfDutiesError
from governance.models import ApprovalRequest, Decision, Signature
from governance.models import __all__ as governed
from modelnotary.ledger.event import Event

pytestmark = pytest.mark.usefixtures("database", "keys")


def state_of(case: factories.Case) -> tuple[str, str]:
    request = ApprovalRequest.objects.select_related("decision").get(pk=case.request.pk)
    return request.decision.state, request.state


def vote(case: factories.Case, **changes: Any) -> dict[str, Any]:
    return {
        "vote": "reject",
        "role": "compliance",
        "reason": factories.REASON,
        "evidence_set_digest": case.decision.evidence_set_digest,
        "password": factories.PASSWORD,
        "code": "000000",
    } | changes


def test_1_a_rejection_by_somebody_who_is_no_approver_rejects_nothing() -> None:
    """The update of the caller's own approval matches no row, and the request is marked rejected all the same."""
    case = factories.waiting_case()
    for stranger in (factories.person(), factories.person(Role.ENGINEER), case.author, factories.administrator()):
        answer = Api(factories.token(stranger)).post(f"approval-requests/{case.request.id}/votes", vote(case))
        require_problem(answer, 403, "separation-of-duties")
    assert state_of(case) == (DecisionState.PENDING, ApprovalState.OPEN)
    refused = Entry.objects.filter(event_type="approval.refused", subject_id=case.request.id)
    assert refused.count() == 4


@pytest.mark.parametrize("first", Vote.values)
@pytest.mark.parametrize("then", Vote.values)
def test_2_a_finished_approval_is_neither_flipped_nor_given_again(first: str, then: str) -> None:
    """No check of the state: a finished request is rejected or approved again, and earlier decisions overwritten."""
    case = factories.waiting_case()
    given = case.sign(case.officers[0], vote=Vote(first))
    ended, before = state_of(case), Signature.objects.filter(pk=given.pk).values().get()
    for signer in case.officers:
        with pytest.raises(ConflictError, match="was already"):
            case.sign(signer, vote=Vote(then))
    assert state_of(case) == ended
    assert Signature.objects.filter(request=case.request).values().get() == before


def test_3_the_rules_of_an_open_request_are_those_of_the_day_it_was_opened(database: Database) -> None:
    """Whether all approvers are required is read from the live workflow, so that editing it changes open requests."""
    case = factories.waiting_case(quorum=2)
    factories.policy(
        case.publisher, case.environment, approvals={"quorum": 1, "roles": ["auditor"], "meaning": "Anything goes."}
    )
    with pytest.raises(SeparationOfDutiesError):
        case.sign(factories.person(Role.AUDITOR), role=Role.AUDITOR)
    case.sign(case.officers[0])
    assert state_of(case) == (DecisionState.PENDING, ApprovalState.OPEN)
    for change in ("quorum = 1", "roles = '[\"auditor\"]'", "at_least = '[]'"):
        statement = f"UPDATE governance_approvalrequest SET {change} WHERE id = %s"  # noqa: S608
        with psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as owner, pytest.raises(RestrictViolation):
            owner.execute(statement.encode(), (case.request.id,))


def test_4a_who_asked_cannot_approve_also_not_through_a_pipeline_of_theirs() -> None:
    """There is no rule that the requester is not the approver."""
    case = factories.waiting_case()
    for involved in (case.requester, case.author, case.publisher, case.producer):
        with pytest.raises(SeparationOfDutiesError):
            case.sign(involved)
    assert state_of(case) == (DecisionState.PENDING, ApprovalState.OPEN)


def test_4b_an_approval_and_a_rejection_at_the_same_moment_give_one_outcome() -> None:
    """There is no lock on the row."""
    case = factories.waiting_case()
    results = at_once(
        lambda: case.sign(case.officers[0], vote=Vote.APPROVE), lambda: case.sign(case.officers[1], vote=Vote.REJECT)
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [ConflictError]
    assert Signature.objects.filter(request=case.request).count() == 1
    assert state_of(case) in {
        (DecisionState.PASSED, ApprovalState.APPROVED),
        (DecisionState.FAILED, ApprovalState.REJECTED),
    }
    assert Entry.objects.filter(event_type="decision.issued", subject_id=case.decision.id).count() == 1


def test_5a_deleting_the_person_or_the_model_takes_no_trail_along(database: Database) -> None:
    """History and approvals cascade from the model and from the person."""
    case = factories.waiting_case()
    case.sign(case.officers[0])
    officer, owner = case.officers[0], database.environment["MIGRATION_DATABASE_URL"]
    deletions = {
        "DELETE FROM governance_user WHERE id = %s": (officer.id, RestrictViolation),
        "DELETE FROM governance_model WHERE id = %s": (case.version.model_id, ForeignKeyViolation),
        "DELETE FROM governance_modelversion WHERE id = %s": (case.version.id, RestrictViolation),
        "DELETE FROM governance_approvalrequest WHERE id = %s": (case.request.id, RestrictViolation),
    }
    for statement, (identity, error) in deletions.items():
        with psycopg.connect(owner) as connection:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(error):
                connection.execute(statement.encode(), (identity,))
    assert Signature.objects.filter(signer=officer, request=case.request).exists()


def test_5b_nothing_governed_cascades_or_forgets_whom_it_names(database: Database) -> None:
    """The same, of every reference there is: in the models, and in the database itself."""
    import governance.models

    for name in governed:
        for field in getattr(governance.models, name)._meta.concrete_fields:
            if isinstance(field, models.ForeignKey):
                assert field.remote_field.on_delete is models.PROTECT, f"{name}.{field.name}"
    with psycopg.connect(database.superuser_url) as connection:
        found = connection.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND confdeltype NOT IN ('a', 'r') AND conrelid::regclass::text LIKE 'governance%'"
        ).fetchall()
    assert not found


def test_5c_a_person_who_did_nothing_yet_is_kept_too(database: Database) -> None:
    """People are never deleted, nor are all at once."""
    person = factories.person()
    for role, error in (("DATABASE_URL", InsufficientPrivilege), ("MIGRATION_DATABASE_URL", RestrictViolation)):
        for statement in ("DELETE FROM governance_user WHERE id = %s", "TRUNCATE governance_user CASCADE"):
            with psycopg.connect(database.environment[role]) as connection, pytest.raises(error):
                connection.execute(statement.encode(), (person.id,) if "%s" in statement else None)


def test_the_history_is_no_feature_of_a_page_a_change_past_every_door_is_found(database: Database) -> None:
    """Issue: the history of activity is written by the user interface, so other doors leave none."""
    case = factories.waiting_case()
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute("UPDATE governance_user SET is_staff = false WHERE id = %s", (case.author.id,))
    with psycopg.connect(database.superuser_url) as connection:
        found = [change for each in changes_reconcile(connection).unattributed for change in each.changes]
    assert any("governance_user" in change and case.author.id in change for change in found)


def test_the_trail_is_written_with_the_change_or_neither_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: the log is written on the side, and what fails there is lost."""
    case = factories.waiting_case()

    def broken(**_: Any) -> None:
        raise RuntimeError("the ledger takes nothing")

    monkeypatch.setattr("governance.services.approvals.event_record", broken)
    with pytest.raises(RuntimeError):
        case.sign(case.officers[0])
    assert not Signature.objects.filter(request=case.request).exists()
    assert state_of(case) == (DecisionState.PENDING, ApprovalState.OPEN)


def test_no_answer_holds_a_password_a_code_or_a_secret() -> None:
    """Issue: keys are returned by the API, and somebody else's password is changed by naming their id."""
    case = factories.waiting_case()
    officer = case.officers[0]
    api, code = Api(factories.token(officer)), factories.code(officer)
    signed = api.post(f"approval-requests/{case.request.id}/votes", vote(case, vote="approve", code=code))
    answers = [require(signed, 201), require(api.get(f"approval-requests/{case.request.id}"), 200)]
    entry = Entry.objects.get(event_type="approval.signed", subject_id=answers[0]["id"])
    told = json.dumps([*answers, Event.from_bytes(bytes(entry.bytes)).data])
    for secret in (factories.PASSWORD, factories.device(officer), code, officer.password):
        assert secret not in told


def test_a_decision_that_ended_stays_as_it_was_whatever_its_row_says(database: Database) -> None:
    """A decision is overwritten in place."""
    case = factories.waiting_case()
    case.sign(case.officers[0])
    before = Decision.objects.filter(pk=case.decision.pk).values().get()
    for change in ("state = 'failed'", "decided_at = now()", "attestation = 'x'"):
        statement = f"UPDATE governance_decision SET {change} WHERE id = %s"  # noqa: S608
        with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(RestrictViolation):
            connection.execute(statement.encode(), (case.decision.id,))
    assert Decision.objects.filter(pk=case.decision.pk).values().get() == before
