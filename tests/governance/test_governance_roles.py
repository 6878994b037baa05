"""Who holds which role when, and the two people it takes to grant one."""

import importlib
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import factories
import psycopg
import pytest
from api_driver import REFUSAL_RECORDED, at_once, changes, snapshot
from conftest import Database
from django.utils import timezone
from psycopg import sql
from psycopg.errors import CheckViolation, ExclusionViolation, InsufficientPrivilege, RestrictViolation

from audit.models import Entry
from governance.actors import system_actor
from governance.enums import DUTY_LINES, GrantOrigin, Role
from governance.errors import ConflictError, GovernanceError, SeparationOfDutiesError
from governance.models import RoleGrant, RoleProposal, User
from governance.selectors.people import holders_at, roles_at
from governance.services.grants import PROPOSAL_STANDS, role_confirm, role_end, role_propose
from governance.services.officers import Officer
from governance.services.people import person_create
from modelnotary.ids import new_id

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture(scope="module", autouse=True)
def ready(database: Database, keys: object) -> None:
    """Every test here needs the database."""


def officer(*roles: Role) -> Officer:
    return Officer(factories.person(*(roles or (Role.PRIVACY,))), factories.PASSWORD)


def administrator() -> Officer:
    return Officer(factories.administrator(), factories.PASSWORD)


def confirm(proposal: RoleProposal, by: Officer | None = None, **changed: Any) -> RoleGrant:
    asked: dict[str, Any] = {"officer": by or officer(), "proposal": proposal, "at": timezone.now()}
    return role_confirm(**(asked | changed))


def held(user: User) -> frozenset[Role]:
    return roles_at(user=user, at=timezone.now())


def test_two_people_grant_a_role_and_one_takes_it_away_at_once() -> None:
    case = factories.waiting_case(quorum=2)
    person = factories.person()
    factories.authenticator(person)
    proposal = factories.role_proposal(person, Role.MODEL_RISK)
    assert held(person) == frozenset()
    with pytest.raises(SeparationOfDutiesError, match="does not hold the role"):
        case.sign(person, role=Role.MODEL_RISK)
    grant = confirm(proposal)
    case.sign(person, role=Role.MODEL_RISK)
    assert person in holders_at(role=Role.MODEL_RISK, at=timezone.now())
    ended = role_end(officer=officer(), grant=grant, reason=factories.REASON, at=timezone.now()).valid_to
    assert ended is not None
    moments = (grant.valid_from - MOMENT, grant.valid_from, ended - MOMENT, ended)
    assert [roles_at(user=person, at=at) for at in moments] == [set(), {Role.MODEL_RISK}, {Role.MODEL_RISK}, set()]
    assert person not in holders_at(role=Role.MODEL_RISK, at=timezone.now())
    assert case.request.signatures.get().role == Role.MODEL_RISK
    told = Entry.objects.filter(subject_id__in=(proposal.id, grant.id)).order_by("body_id")
    assert [entry.event_type for entry in told] == ["role.proposed", "role.granted", "role.ended"]


def test_a_role_ends_by_the_clock_at_its_last_moment() -> None:
    person, until = factories.person(), timezone.now() + DAY
    factories.role_granted(person, Role.VALIDATOR, until)
    assert [roles_at(user=person, at=at) for at in (until - MOMENT, until)] == [{Role.VALIDATOR}, set()]


def test_an_account_comes_with_roles_of_one_line_or_is_not_made() -> None:
    made: dict[str, Any] = {"actor": system_actor("setup"), "email": "", "password": factories.PASSWORD}
    made |= {"full_name": "Pat Two", "at": timezone.now(), "roles": [Role.ENGINEER, Role.MODEL_RISK]}
    with pytest.raises(SeparationOfDutiesError, match="one line of duty"):
        person_create(username="two-lines", **made)
    assert not User.objects.filter(username="two-lines").exists()
    both = factories.person(Role.COMPLIANCE, Role.MODEL_RISK)
    assert {grant.origin for grant in both.role_grants.all()} == {GrantOrigin.ACCOUNT}
    assert both.roles == [Role.COMPLIANCE, Role.MODEL_RISK]


# --- Who may ----------------------------------------------------------------------------------------------------------
PROPOSERS: dict[str, tuple[Callable[[], Officer], str]] = {
    "an engineer": (lambda: officer(Role.ENGINEER), "separation-of-duties"),
    "a service account": (lambda: Officer(factories.service_account(factories.person()), ""), "separation-of-duties"),
    "an officer": (officer, "separation-of-duties"),
    "an administrator with another password": (
        lambda: Officer(factories.administrator(), "another"),
        "reauthentication-required",
    ),
}


@pytest.mark.parametrize("who", PROPOSERS)
def test_only_an_administrator_proposes_and_the_attempt_is_recorded(database: Database, who: str) -> None:
    by, person = PROPOSERS[who][0](), factories.person()
    before = snapshot(database)
    with pytest.raises(GovernanceError) as refusal:
        role_propose(
            officer=by, person=person, role=Role.VALIDATOR, ends_at=None, reason=factories.REASON, at=timezone.now()
        )
    assert refusal.value.code == PROPOSERS[who][1]
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED


CONFIRMERS: dict[str, tuple[Callable[[RoleProposal], Officer], str]] = {
    "an engineer": (lambda _: officer(Role.ENGINEER), "separation-of-duties"),
    "a service account": (lambda _: Officer(factories.service_account(factories.person()), ""), "human-required"),
    "whoever it is for": (lambda proposal: Officer(proposal.person, factories.PASSWORD), "separation-of-duties"),
    "whoever proposed it": (lambda proposal: Officer(proposal.proposed_by, factories.PASSWORD), "separation-of-duties"),
    "another administrator": (lambda _: administrator(), "separation-of-duties"),
    "a wrong password": (lambda _: Officer(officer().user, "another"), "reauthentication-required"),
}


@pytest.mark.parametrize("who", CONFIRMERS)
def test_only_another_officer_confirms_and_the_attempt_is_recorded(database: Database, who: str) -> None:
    proposal = factories.role_proposal(factories.person(Role.COMPLIANCE), Role.MODEL_RISK)
    by = CONFIRMERS[who][0](proposal)
    before = snapshot(database)
    with pytest.raises(GovernanceError) as refusal:
        confirm(proposal, by)
    assert refusal.value.code == CONFIRMERS[who][1]
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED
    assert held(proposal.person) == {Role.COMPLIANCE}


def test_either_takes_a_role_away_with_a_reason_and_nobody_else_does() -> None:
    grants = [factories.role_granted(factories.person(), Role.VALIDATOR) for _ in range(2)]
    end: dict[str, Any] = {"grant": grants[0], "reason": factories.REASON, "at": timezone.now()}
    for by in (
        officer(Role.ENGINEER),
        officer(Role.VALIDATOR),
        Officer(officer().user, ""),
        Officer(grants[0].person, ""),
    ):
        with pytest.raises(GovernanceError):
            role_end(officer=by, **end)
    with pytest.raises(GovernanceError, match="must have 20"):
        role_end(officer=administrator(), **(end | {"reason": "gone"}))
    assert held(grants[0].person) == {Role.VALIDATOR}
    for by, grant in zip((administrator(), officer()), grants, strict=True):
        role_end(officer=by, **(end | {"grant": grant, "at": timezone.now()}))
        assert held(grant.person) == frozenset()
        with pytest.raises(ConflictError, match="not in force"):
            role_end(officer=by, **(end | {"grant": grant, "at": timezone.now()}))


# --- Which roles ------------------------------------------------------------------------------------------------------
IMPOSSIBLE: dict[str, tuple[Callable[[], User], dict[str, Any], str]] = {
    "a role held already": (lambda: factories.person(Role.VALIDATOR), {}, "state-conflict"),
    "a role of another line": (lambda: factories.person(Role.ENGINEER), {}, "separation-of-duties"),
    "a role for an administrator": (factories.administrator, {}, "separation-of-duties"),
    "a role for a machine": (lambda: factories.service_account(factories.person()), {}, "human-required"),
    "a role that ended already": (factories.person, {"ends_at": timezone.now() - DAY}, "validation-failed"),
    "no reason": (factories.person, {"reason": "needed"}, "validation-failed"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_nobody_is_proposed(what: str) -> None:
    make, changed, code = IMPOSSIBLE[what]
    asked: dict[str, Any] = {"officer": administrator(), "person": make(), "role": Role.VALIDATOR, "ends_at": None}
    with pytest.raises(GovernanceError) as refusal:
        role_propose(**(asked | {"reason": factories.REASON, "at": timezone.now()} | changed))
    assert refusal.value.code == code


def test_a_proposal_is_confirmed_once_in_time_and_only_while_the_role_is_possible() -> None:
    person = factories.person()
    proposal, other = (factories.role_proposal(person, role) for role in (Role.ENGINEER, Role.VALIDATOR))
    late = proposal.proposed_at + PROPOSAL_STANDS + MOMENT
    with pytest.raises(ConflictError, match="more than 7 days ago"):
        confirm(proposal, at=late)
    results = at_once(lambda: confirm(proposal, officer()), lambda: confirm(other, officer()))
    assert len([result for result in results if isinstance(result, RoleGrant)]) == 1
    assert len(held(person)) == 1
    granted, refused = (
        (proposal, other) if hasattr(RoleProposal.objects.get(pk=proposal.pk), "grant") else (other, proposal)
    )
    with pytest.raises(SeparationOfDutiesError, match="one line of duty"):
        confirm(refused)
    with pytest.raises(ConflictError, match="confirmed already"):
        confirm(granted)


def test_the_database_has_the_same_lines_of_duty(database: Database) -> None:
    assert set(DUTY_LINES) == set(Role)
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for one, two in product(Role, Role):
            found = connection.execute(
                "SELECT governance_duty_line(%s) IS NOT DISTINCT FROM governance_duty_line(%s)", (one, two)
            ).fetchone()
            assert found == (DUTY_LINES[one] is DUTY_LINES[two],), (one, two)


# --- Raw SQL ----------------------------------------------------------------------------------------------------------
INSERT = """
INSERT INTO governance_rolegrant
  (id, person_id, role, origin, valid_from, valid_to, proposal_id, confirmed_by_id, ended_by_id, end_reason)
VALUES (%(id)s, %(person)s, %(role)s, %(origin)s, %(since)s, %(until)s, %(proposal)s, %(by)s, NULL, '')
"""
MARKED = {"proposal": None, "by": None}
ROWS: dict[str, tuple[dict[str, Any], type[psycopg.Error]]] = {
    "nobody proposed": ({"proposal": None}, RestrictViolation),
    "nobody confirmed": ({"by": None}, RestrictViolation),
    "confirmed by whoever it is for": ({"by": "person"}, RestrictViolation),
    "confirmed by whoever proposed it": ({"by": "proposer"}, RestrictViolation),
    "confirmed by an engineer": ({"by": "engineer"}, RestrictViolation),
    "confirmed by an officer of yesterday": ({"by": "former"}, RestrictViolation),
    "confirmed by a service account": ({"by": "service"}, RestrictViolation),
    "another role": ({"role": "compliance"}, RestrictViolation),
    "another person": ({"person": "engineer"}, RestrictViolation),
    "longer than was proposed": ({"until": timezone.now() + 9 * DAY}, RestrictViolation),
    "since last year": ({"since": timezone.now() - 365 * DAY}, RestrictViolation),
    "as carried over": ({"origin": "carried_over"} | MARKED, RestrictViolation),
    "with an old account": ({"origin": "account", "person": "old"} | MARKED, RestrictViolation),
    "with an account, since last year": (
        {"origin": "account", "since": timezone.now() - 365 * DAY} | MARKED,
        RestrictViolation,
    ),
    "with an account, for an administrator": ({"origin": "account", "person": "proposer"} | MARKED, RestrictViolation),
    "with an account, of another line": ({"origin": "account", "person": "engineer"} | MARKED, RestrictViolation),
    "with an account, and confirmed": ({"origin": "account"}, CheckViolation),
}


@pytest.fixture(scope="module")
def right(database: Database) -> dict[str, Any]:
    """A row that two people made, and people who could not."""
    person, former = factories.person(), factories.person(Role.PRIVACY)
    proposal = factories.role_proposal(person, Role.VALIDATOR)
    factories.roles_ended(former)
    old = factories.person()
    User.objects.filter(pk=old.pk).update(date_joined=timezone.now() - DAY)
    engineer, confirmer = factories.person(Role.ENGINEER), factories.person(Role.COMPLIANCE)
    return {
        "row": {
            "person": person.id,
            "role": "validator",
            "origin": "officers",
            "since": timezone.now(),
            "until": None,
            "proposal": proposal.id,
            "by": confirmer.id,
        },
        "person": person.id,
        "proposer": proposal.proposed_by_id,
        "engineer": engineer.id,
        "former": former.id,
        "service": factories.service_account(engineer).id,
        "old": old.id,
    }


def insert(database: Database, right: dict[str, Any], **changed: Any) -> None:
    named = {name: right.get(value, value) if isinstance(value, str) else value for name, value in changed.items()}
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(INSERT, right["row"] | {"id": new_id("rgr")} | named)
        connection.rollback()


@pytest.mark.parametrize("what", ROWS)
def test_the_database_takes_a_role_from_two_people_and_refuses_one(
    database: Database, right: dict[str, Any], what: str
) -> None:
    changed, error = ROWS[what]
    insert(database, right)
    with pytest.raises(error):
        insert(database, right, **changed)


ENDINGS: dict[str, tuple[str, type[psycopg.Error]]] = {
    "by nobody": ("valid_to = now()", RestrictViolation),
    "without a reason": ("valid_to = now(), ended_by_id = %(officer)s", CheckViolation),
    "by an engineer": ("valid_to = now(), ended_by_id = %(engineer)s, end_reason = 'x'", RestrictViolation),
    "yesterday": (
        "valid_to = now() - interval '1 day', ended_by_id = %(officer)s, end_reason = 'x'",
        RestrictViolation,
    ),
    "later than planned": (
        "valid_to = valid_to + interval '1 day', ended_by_id = %(officer)s, end_reason = 'x'",
        RestrictViolation,
    ),
    "for another role": (
        "role = 'engineer', valid_to = now(), ended_by_id = %(officer)s, end_reason = 'x'",
        RestrictViolation,
    ),
    "twice": ("end_reason = end_reason || '.'", RestrictViolation),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_the_database_refuses_that_a_role_is_taken_away(database: Database, how: str) -> None:
    change, error = ENDINGS[how]
    grant = factories.role_granted(factories.person(), Role.VALIDATOR, timezone.now() + DAY)
    if how == "twice":
        role_end(officer=officer(), grant=grant, reason=factories.REASON, at=timezone.now())
    named = {
        "id": grant.id,
        "officer": factories.person(Role.PRIVACY).id,
        "engineer": factories.person(Role.ENGINEER).id,
    }
    statement = f"UPDATE governance_rolegrant SET {change} WHERE id = %(id)s"  # noqa: S608 - from the table above
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(error):
        connection.execute(statement, named)


def test_a_role_is_held_once_at_a_moment_and_what_was_held_stays_recorded(
    database: Database, right: dict[str, Any]
) -> None:
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        account = right["row"] | {"origin": "account"} | MARKED
        connection.execute(INSERT, account | {"id": new_id("rgr")})
        with pytest.raises(ExclusionViolation):
            connection.execute(INSERT, account | {"id": new_id("rgr")})
    factories.role_granted(factories.person(), Role.VALIDATOR)
    for table, statement in product(
        ("governance_rolegrant", "governance_roleproposal"),
        ("UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"),
    ):
        for url, error in (("MIGRATION_DATABASE_URL", RestrictViolation), ("DATABASE_URL", InsufficientPrivilege)):
            with psycopg.connect(database.environment[url]) as connection, pytest.raises((error, RestrictViolation)):
                connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


SIGN = """
INSERT INTO governance_signature (id, request_id, signer_id, printed_name, role, vote, meaning, reason, method,
  statement, statement_digest, signed_at)
SELECT %(id)s, %(request)s, %(signer)s, 'x', %(role)s, 'approve', 'm', 'r', 'password+totp', s.statement,
  s.statement_digest, %(at)s FROM governance_signature s LIMIT 1
"""


def test_sql_signs_in_no_role_that_is_not_held_nor_in_one_of_yesterday(database: Database) -> None:
    case, former = factories.waiting_case(), factories.person(Role.COMPLIANCE)
    row = {"id": new_id("sig"), "request": case.request.id, "at": timezone.now()}
    factories.roles_ended(former)
    signed = factories.waiting_case()
    signed.sign(signed.officers[0])
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for signer, role in ((case.officers[0].id, "model_risk"), (former.id, "compliance")):
            with pytest.raises(RestrictViolation, match="does not hold the role"), connection.transaction():
                connection.execute(SIGN, row | {"signer": signer, "role": role})


# --- What was before --------------------------------------------------------------------------------------------------
def test_roles_of_before_are_carried_over_and_marked(database: Database) -> None:
    statement = importlib.import_module("governance.migrations.0023_role_grants").CARRIED_OVER
    person = factories.person()
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("ALTER TABLE governance_rolegrant DISABLE TRIGGER two_people")
        connection.execute("ALTER TABLE governance_user ADD COLUMN roles varchar(20)[] NOT NULL DEFAULT '{}'")
        connection.execute(
            "UPDATE governance_user SET roles = '{engineer,model_risk,engineer}' WHERE id = %s", (person.id,)
        )
        connection.execute(statement)
        found = connection.execute(
            "SELECT role, origin, valid_from, valid_to FROM governance_rolegrant WHERE person_id = %s ORDER BY role",
            (person.id,),
        ).fetchall()
        connection.rollback()
    assert found == [(role, "carried_over", person.date_joined, None) for role in ("engineer", "model_risk")]
