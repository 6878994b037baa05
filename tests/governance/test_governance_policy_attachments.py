"""Which policy is in force where and when, and the two people it takes to change that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
import yaml
from api_driver import REFUSAL_RECORDED, Api, at_once, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone
from psycopg import sql
from psycopg.errors import CheckViolation, ExclusionViolation, RestrictViolation

from governance.enums import AttachmentKind, DecisionState, Role
from governance.errors import ConflictError, GovernanceError
from governance.models import AttachmentProposal, PolicyAttachment, PolicyVersion, User
from governance.selectors.policies import policy_current
from governance.services.attachments import PROPOSAL_STANDS, attachment_confirm
from governance.services.decisions import decision_evaluate
from governance.services.officers import Officer
from governance.services.policies import policy_draft, policy_publish
from modelnotary.ids import new_id

PASSWORD = {"password": factories.PASSWORD}


@pytest.fixture(scope="module")
def publisher(database: Database, keys: object) -> User:
    """Somebody who publishes policies, where systems can be of the tiers low, medium and high."""
    factories.tier_template()
    return factories.person(Role.COMPLIANCE)


def officer(*roles: Role) -> Officer:
    return Officer(factories.person(*(roles or (Role.PRIVACY,))), factories.PASSWORD)


def in_any_environment(publisher: User) -> PolicyVersion:
    """A published policy that is written for no environment in particular."""
    document = factories.policy_document("x") | {"policy": factories.unique("anywhere")}
    text = yaml.safe_dump({key: value for key, value in document.items() if key != "environment"})
    draft = policy_draft(actor=factories.person(Role.ENGINEER), document=text, at=timezone.now())
    return policy_publish(officer=Officer(publisher, factories.PASSWORD), draft=draft, at=timezone.now())


def current(environment: str, tier: str = "", at: datetime | None = None) -> PolicyVersion | None:
    return policy_current(environment=environment, tier=tier, at=at or timezone.now())


def test_a_policy_decides_nothing_until_two_officers_attach_it(publisher: User) -> None:
    environment = factories.unique("unattached")
    version = factories.published(publisher, environment)
    case = factories.waiting_case()
    asked: dict[str, Any] = {"actor": case.requester, "digest": case.digest, "environment": environment}
    denied = decision_evaluate(**asked, at=timezone.now())
    assert (denied.state, denied.rules[0]["reason_code"]) == (DecisionState.FAILED, "no-policy")
    factories.attach(version.policy, environment)
    assert decision_evaluate(**asked, at=timezone.now()).policy_version == version


def test_a_policy_for_one_tier_goes_before_one_for_all_and_a_system_without_tier_has_only_that(publisher: User) -> None:
    environment = factories.unique("tiers")
    general, strict = in_any_environment(publisher), in_any_environment(publisher)
    factories.attach(strict.policy, environment, tier="high")
    assert [current(environment, tier) for tier in ("", "low", "high")] == [None, None, strict]
    factories.attach(general.policy, environment)
    assert [current(environment, tier) for tier in ("", "low", "high")] == [general, general, strict]


def test_one_attachment_takes_the_place_of_another_at_one_moment_and_history_stays(publisher: User) -> None:
    environment = factories.unique("replaced")
    first, second = in_any_environment(publisher), in_any_environment(publisher)
    before = timezone.now()
    began = factories.attach(first.policy, environment).valid_from
    replaced = factories.attach(second.policy, environment).valid_from
    detaching = factories.proposal(second.policy, environment, kind=AttachmentKind.DETACH)
    ended = attachment_confirm(officer=officer(), proposal=detaching, at=timezone.now()).valid_to
    assert ended is not None
    just = timedelta(microseconds=1)
    moments = (before, began, replaced - just, replaced, ended - just, ended)
    assert [current(environment, at=at) for at in moments] == [None, first, first, second, second, None]


def test_the_newest_version_is_in_force_wherever_its_policy_is_attached(publisher: User) -> None:
    environment = factories.unique("versions")
    first = factories.policy(publisher, environment)
    second = factories.policy(publisher, environment, valid_days=31)
    assert first.policy == second.policy
    assert current(environment) == second
    assert current(environment, at=second.published_at - timedelta(microseconds=1)) == first


def test_a_text_written_for_one_environment_is_in_force_in_no_other(publisher: User) -> None:
    environment, other = factories.unique("own"), factories.unique("other")
    version = factories.policy(publisher, environment)
    with pytest.raises(ConflictError, match="written for environment"):
        factories.proposal(version.policy, other)
    moved = yaml.safe_dump(factories.policy_document(environment) | {"environment": other})
    with pytest.raises(ConflictError, match="detach it there first"):
        policy_draft(actor=publisher, document=moved, at=timezone.now())


# --- Two people -------------------------------------------------------------------------------------------------------
def confirm(proposal: AttachmentProposal, by: Officer, at: datetime | None = None) -> PolicyAttachment:
    return attachment_confirm(officer=by, proposal=proposal, at=at or timezone.now())


REFUSED: dict[str, tuple[Callable[[AttachmentProposal], Officer], str]] = {
    "whoever proposed it": (lambda proposal: Officer(proposal.proposed_by, factories.PASSWORD), "separation-of-duties"),
    "an engineer": (lambda _: officer(Role.ENGINEER), "separation-of-duties"),
    "a superuser": (lambda _: Officer(factories.administrator(), factories.PASSWORD), "separation-of-duties"),
    "a service account": (lambda _: Officer(factories.service_account(factories.person()), ""), "human-required"),
    "a wrong password": (lambda _: Officer(factories.person(Role.PRIVACY), "another"), "reauthentication-required"),
}


@pytest.mark.parametrize("who", REFUSED)
def test_nobody_else_confirms_and_the_attempt_is_recorded(database: Database, publisher: User, who: str) -> None:
    environment = factories.unique("confirmed")
    proposal = factories.proposal(factories.published(publisher, environment).policy, environment)
    by = REFUSED[who][0](proposal)
    before = snapshot(database)
    with pytest.raises(GovernanceError) as refusal:
        confirm(proposal, by)
    assert refusal.value.code == REFUSED[who][1]
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED
    assert current(environment) is None


def test_a_proposal_is_confirmed_once_in_time_and_only_while_what_it_replaces_is_in_force(publisher: User) -> None:
    environment = factories.unique("stale")
    first, second = in_any_environment(publisher), in_any_environment(publisher)
    late = factories.proposal(first.policy, environment)
    with pytest.raises(ConflictError, match="more than 7 days ago"):
        confirm(late, officer(), late.proposed_at + PROPOSAL_STANDS + timedelta(seconds=1))
    other = factories.proposal(second.policy, environment)
    confirm(late, officer())
    with pytest.raises(ConflictError, match="confirmed already"):
        confirm(late, officer())
    with pytest.raises(ConflictError, match="changed since this was proposed"):
        confirm(other, officer())
    with pytest.raises(ConflictError, match="is not attached there"):
        factories.proposal(second.policy, environment, kind=AttachmentKind.DETACH)
    with pytest.raises(ConflictError, match="attached there already"):
        factories.proposal(first.policy, environment)


def test_two_proposals_confirmed_at_once_put_one_policy_in_force(publisher: User) -> None:
    environment = factories.unique("race")
    proposals = [factories.proposal(in_any_environment(publisher).policy, environment) for _ in range(2)]
    by = [officer() for _ in proposals]
    ends = at_once(lambda: confirm(proposals[0], by[0]).id, lambda: confirm(proposals[1], by[1]).id)
    assert sorted(isinstance(end, ConflictError) for end in ends) == [False, True]


def test_attaching_through_the_api_takes_two_tokens_and_two_passwords(publisher: User) -> None:
    environment = factories.unique("api")
    version = factories.published(publisher, environment)
    first, second = (Api(factories.token(factories.person(Role.MODEL_RISK))) for _ in range(2))
    asked = {"policy": version.policy.slug, "kind": "attach", "environment": environment, "reason": factories.REASON}
    require_problem(
        first.post("policy-attachment-proposals", asked | {"password": "x"}), 403, "reauthentication-required"
    )
    proposal = require(first.post("policy-attachment-proposals", asked | PASSWORD), 201)
    confirmation = f"policy-attachment-proposals/{proposal['id']}/confirmation"
    require_problem(first.post(confirmation, PASSWORD), 403, "separation-of-duties")
    attachment = require(second.post(confirmation, PASSWORD), 201)
    assert attachment in require(first.get("policy-attachments"), 200)
    require_problem(
        first.post("policy-attachment-proposals", asked | PASSWORD | {"policy": "none"}), 404, "unknown-record"
    )


def test_checking_a_policy_gives_its_faults_and_keeps_nothing(database: Database) -> None:
    api = Api(factories.token(factories.person(Role.ENGINEER)))
    before = snapshot(database)
    text = factories.policy_text("production")
    assert require(api.post("policies:check", {"document": text}), 200) == {"valid": True, "diagnostics": []}
    wrong = require(
        api.post("policies:check", {"document": text.replace("performance.auc >=", "performance.auk >=")}), 200
    )
    (fault,) = wrong["diagnostics"]
    assert (wrong["valid"], fault["pointer"], fault["line"]) == (False, "/rules/0/clause", 9)
    assert fault["excerpt"].splitlines()[1].endswith(".^")
    assert not changes(before, snapshot(database))


# --- The same in SQL, as the application's role -----------------------------------------------------------------------
INSERT = (
    "INSERT INTO governance_policyattachment (id, policy_id, environment, tier, valid_from, attached_under_id, "
    "attached_by_id) VALUES (%(id)s, %(policy)s, %(environment)s, %(tier)s, %(at)s, %(under)s, %(by)s)"
)


@dataclass(frozen=True)
class Rows:
    """What a right row holds, and two attachments in force."""

    values: dict[str, Any]
    standing: PolicyAttachment
    detaching: AttachmentProposal


@pytest.fixture(scope="module")
def rows(publisher: User) -> Rows:
    environment, taken = factories.unique("sql"), factories.unique("sql")
    policy = in_any_environment(publisher).policy
    proposal = factories.proposal(policy, environment, tier="high")
    standing = factories.attach(policy, taken)
    detaching = factories.proposal(policy, taken, kind=AttachmentKind.DETACH)
    values = {
        "policy": policy.id,
        "environment": environment,
        "tier": "high",
        "at": timezone.now(),
        "under": proposal.id,
        "by": factories.person(Role.COMPLIANCE).id,
    }
    return Rows(values, standing, detaching)


def insert(database: Database, rows: Rows, **changed: Any) -> None:
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(INSERT, rows.values | {"id": new_id("pat")} | changed)
        connection.rollback()


def test_the_database_takes_what_two_people_decided(database: Database, rows: Rows) -> None:
    insert(database, rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"under": None},
        {"by": None},
        {"environment": "elsewhere"},
        {"tier": ""},
        {"tier": "low"},
        {"policy": "another"},
        {"by": "proposer"},
        {"by": "service"},
        {"by": "superuser"},
    ],
    ids=str,
)
def test_the_database_refuses_an_attachment_that_two_people_did_not_decide(
    database: Database, rows: Rows, publisher: User, changed: dict[str, Any]
) -> None:
    people = {
        "proposer": lambda: AttachmentProposal.objects.get(pk=rows.values["under"]).proposed_by_id,
        "service": lambda: factories.service_account(publisher).id,
        "superuser": lambda: factories.administrator().id,
        "another": lambda: factories.published(publisher, factories.unique("sql")).policy_id,
    }
    made = {name: people[value]() if value in people else value for name, value in changed.items()}
    with pytest.raises(RestrictViolation):
        insert(database, rows, **made)


def test_the_database_excludes_two_policies_in_one_place_at_a_moment(
    database: Database, rows: Rows, publisher: User
) -> None:
    environment = factories.unique("overlap")
    policies = [in_any_environment(publisher).policy for _ in range(2)]
    proposals = [factories.proposal(policy, environment) for policy in policies]
    begun = timezone.now()
    first, second = (
        rows.values
        | {"policy": policy.id, "under": proposal.id, "environment": environment, "tier": "", "at": begun}
        | {"id": new_id("pat")}
        for policy, proposal in zip(policies, proposals, strict=True)
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(INSERT, first)
        with pytest.raises(ExclusionViolation):
            connection.execute(INSERT, second)


ENDS = {
    "without a proposal": ("valid_to = now()", CheckViolation),
    "without a second person": ("valid_to = now(), detached_under_id = %(detaching)s", RestrictViolation),
    "by whoever proposed it": (
        "valid_to = now(), detached_under_id = %(detaching)s, detached_by_id = %(proposer)s",
        RestrictViolation,
    ),
    "under the proposal of another place": (
        "valid_to = now(), detached_under_id = %(under)s, detached_by_id = %(by)s",
        RestrictViolation,
    ),
    "before it began": (
        "valid_to = valid_from, detached_under_id = %(detaching)s, detached_by_id = %(by)s",
        CheckViolation,
    ),
    "and is moved elsewhere": (
        "environment = 'x', valid_to = now(), detached_under_id = %(detaching)s, detached_by_id = %(by)s",
        RestrictViolation,
    ),
    "not, and begins earlier": ("valid_from = valid_from - interval '1 year'", RestrictViolation),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_database_refuses_that_an_attachment_ends(database: Database, rows: Rows, how: str) -> None:
    change, error = ENDS[how]
    values = rows.values | {
        "id": rows.standing.id,
        "detaching": rows.detaching.id,
        "proposer": rows.detaching.proposed_by_id,
    }
    statement = f"UPDATE governance_policyattachment SET {change} WHERE id = %(id)s"  # noqa: S608 - from the table above
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises((error, RestrictViolation)):
        connection.execute(statement, values)


@pytest.mark.parametrize("table", ["governance_policyattachment", "governance_attachmentproposal"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"], ids=lambda text: text[:8]
)
def test_what_was_in_force_stays_recorded(database: Database, rows: Rows, table: str, statement: str) -> None:
    with (
        psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as connection,
        pytest.raises(RestrictViolation),
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
