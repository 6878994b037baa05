"""A policy is drafted by one person and published by another, through every door, and by SQL too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import factories
import psycopg
import pytest
import yaml
from api_driver import REFUSAL_RECORDED, Api, at_once, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone
from psycopg import sql
from psycopg.errors import CheckViolation, RestrictViolation

from governance.enums import Role, Scope
from governance.errors import ConflictError
from governance.models import PolicyDraft, PolicyVersion, User
from governance.services.officers import Officer
from governance.services.policies import policy_draft, policy_publish, policy_withdraw
from modelnotary.ids import new_id

FAULTS = factories.policy_document("production") | {"valid_days": 0, "rules": [{"id": "B", "clause": "1"}]}
PASSWORD = {"password": factories.PASSWORD}


@dataclass(frozen=True)
class People:
    """An engineer who drafts, an officer who publishes, and what each may call."""

    author: User
    officer: User
    drafts: Api
    publishes: Api

    def draft(self, environment: str, **changed: Any) -> str:
        text = factories.policy_text(environment, **changed)
        identity: str = require(self.drafts.post("policies", {"document": text}), 201)["id"]
        return identity


@pytest.fixture(scope="module")
def people(database: Database) -> People:
    author, officer = factories.person(Role.ENGINEER), factories.person(Role.COMPLIANCE)
    return People(author, officer, Api(factories.token(author)), Api(factories.token(officer)))


def publication(draft: str) -> str:
    return f"policy-drafts/{draft}/publication"


def test_drafting_lists_every_fault_in_one_answer_and_keeps_nothing(database: Database, people: People) -> None:
    before = snapshot(database)
    problem = require_problem(
        people.drafts.post("policies", {"document": yaml.safe_dump(FAULTS)}), 422, "policy-invalid"
    )
    assert {"/valid_days", "/rules/0/clause", "/rules/0/title"} <= {fault["pointer"] for fault in problem["errors"]}
    assert not changes(before, snapshot(database))


def test_checking_a_policy_gives_its_faults_and_keeps_nothing(database: Database, people: People) -> None:
    before = snapshot(database)
    text = factories.policy_text("production")
    assert require(people.drafts.post("policies:check", {"document": text}), 200) == {"valid": True, "diagnostics": []}
    misspelt = {"document": text.replace("performance.auc >=", "performance.auk >=")}
    checked = require(people.drafts.post("policies:check", misspelt), 200)
    (fault,) = checked["diagnostics"]
    assert (checked["valid"], fault["pointer"], fault["line"]) == (False, "/rules/0/clause", 9)
    assert fault["excerpt"].splitlines()[1].endswith(".^")
    assert not changes(before, snapshot(database))


def test_another_person_publishes_what_one_drafted_and_the_ledger_names_both(people: People) -> None:
    environment = factories.unique("published")
    identity = people.draft(environment)
    shown = require(people.publishes.get(f"policy-drafts/{identity}"), 200)
    assert (shown["state"], shown["version"], shown["drafted_by"]) == ("open", None, people.author.printed_name)
    version = require(people.publishes.post(publication(identity), PASSWORD), 201)
    assert (version["number"], version["draft"], version["digest"]) == (1, identity, shown["digest"])
    assert version["published_by"] == people.officer.printed_name
    assert require(people.publishes.get(f"policy-drafts/{identity}"), 200)["state"] == "published"
    stored = PolicyVersion.objects.get(pk=version["id"])
    assert stored.document == factories.policy_text(environment) == shown["document"]


def test_the_same_text_is_one_draft_and_one_version_and_an_older_text_can_come_back(people: People) -> None:
    environment = factories.unique("published")
    numbers = []
    for days in (30, 31, 31, 30):
        identity = people.draft(environment, valid_days=days)
        assert people.draft(environment, valid_days=days) == identity
        numbers += [require(people.publishes.post(publication(identity), PASSWORD), 201)["number"]]
    assert numbers == [1, 2, 2, 3]


# --- Who may not publish ----------------------------------------------------------------------------------------------
def by_author(draft: PolicyDraft) -> Officer:
    return Officer(draft.drafted_by, factories.PASSWORD)


REFUSED: dict[str, tuple[Callable[[PolicyDraft], Officer], str]] = {
    "its author, also as an officer": (by_author, "separation-of-duties"),
    "a superuser": (lambda _: Officer(factories.administrator(), factories.PASSWORD), "separation-of-duties"),
    "an engineer": (lambda _: Officer(factories.person(Role.ENGINEER), factories.PASSWORD), "separation-of-duties"),
    "an auditor": (lambda _: Officer(factories.person(Role.AUDITOR), factories.PASSWORD), "separation-of-duties"),
    "a service account": (
        lambda _: Officer(factories.service_account(factories.person(Role.COMPLIANCE)), ""),
        "human-required",
    ),
    "an officer with a wrong password": (
        lambda _: Officer(factories.person(Role.PRIVACY), "another pass phrase"),
        "reauthentication-required",
    ),
}


@pytest.mark.parametrize("who", REFUSED)
def test_nobody_else_publishes_and_the_attempt_is_recorded(database: Database, people: People, who: str) -> None:
    make, code = REFUSED[who]
    draft = factories.draft(factories.unique("refused"), factories.person(Role.COMPLIANCE))
    officer = make(draft)
    before = snapshot(database)
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - the code says which
        policy_publish(officer=officer, draft=draft, at=timezone.now())
    assert getattr(refusal.value, "code", None) == code
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED


def test_whoever_answers_for_the_account_that_drafted_is_its_author(people: People) -> None:
    owner = factories.person(Role.COMPLIANCE)
    draft = factories.draft(factories.unique("piped"), factories.service_account(owner))
    api = Api(factories.token(owner))
    require_problem(api.post(publication(draft.id), PASSWORD), 403, "separation-of-duties")
    require(people.publishes.post(publication(draft.id), PASSWORD), 201)


def test_each_step_needs_its_scope(people: People) -> None:
    draft = people.draft(factories.unique("scoped"))
    only_drafts = Api(factories.token(people.officer, Scope.POLICY_DRAFT))
    only_publishes = Api(factories.token(people.officer, Scope.POLICY_PUBLISH))
    require_problem(only_drafts.post(publication(draft), PASSWORD), 403, "insufficient-scope")
    require_problem(only_publishes.post("policies", {"document": "x"}), 403, "insufficient-scope")


# --- Withdrawing ------------------------------------------------------------------------------------------------------
def test_a_withdrawn_draft_is_never_published_and_its_text_can_be_drafted_anew(people: People) -> None:
    environment = factories.unique("withdrawn")
    identity = people.draft(environment)
    reason = {"reason": "The limit was agreed to be stricter."}
    withdrawal = f"policy-drafts/{identity}/withdrawal"
    require_problem(people.drafts.post(withdrawal, {"reason": "no"}), 422, "validation-failed")
    stranger = Api(factories.token(factories.person(Role.ENGINEER)))
    require_problem(stranger.post(withdrawal, reason), 403, "separation-of-duties")
    assert require(people.drafts.post(withdrawal, reason), 201)["state"] == "withdrawn"
    require_problem(people.publishes.post(publication(identity), PASSWORD), 409, "state-conflict")
    require_problem(people.publishes.post(withdrawal, reason), 409, "state-conflict")
    assert people.draft(environment) != identity


def test_publishing_and_withdrawing_at_once_gives_one_end(people: People) -> None:
    draft = factories.draft(factories.unique("both"), people.author)
    now = timezone.now()
    officer = Officer(people.officer, factories.PASSWORD)
    ends = at_once(
        lambda: policy_publish(officer=officer, draft=draft, at=now).id,
        lambda: policy_withdraw(actor=people.author, draft=draft, reason=factories.REASON, at=now).id,
    )
    assert sorted(isinstance(end, ConflictError) for end in ends) == [False, True]


def test_two_officers_at_once_publish_one_version(people: People) -> None:
    environment = factories.unique("two")
    draft = factories.draft(environment, people.author)
    officers = [Officer(factories.person(Role.MODEL_RISK), factories.PASSWORD) for _ in range(2)]
    now = timezone.now()
    ends = at_once(
        lambda: policy_publish(officer=officers[0], draft=draft, at=now).id,
        lambda: policy_publish(officer=officers[1], draft=draft, at=now).id,
    )
    assert sorted(isinstance(end, ConflictError) for end in ends) == [False, True]
    assert PolicyVersion.objects.filter(policy__slug=draft.slug).count() == 1


# --- The same in SQL, as the application's role -----------------------------------------------------------------------
VERSION = (
    "INSERT INTO governance_policyversion (id, policy_id, number, draft_id, document, digest, published_by_id, "
    "published_at) VALUES (%(id)s, %(policy)s, 2, %(draft)s, %(document)s, %(digest)s, %(publisher)s, now())"
)
DRAFT = (
    "INSERT INTO governance_policydraft (id, slug, document, digest, drafted_by_id, drafted_at) "
    "VALUES (%(id)s, 'x', %(document)s, %(digest)s, %(author)s, now())"
)
WITHDRAWAL = (
    "INSERT INTO governance_policywithdrawal (id, draft_id, reason, withdrawn_by_id, withdrawn_at) "
    "VALUES (%(id)s, %(draft)s, 'x', %(author)s, now())"
)


@dataclass(frozen=True)
class Rows:
    """A published version, and the next draft of the same policy, which a pipeline of the author's wrote."""

    values: dict[str, Any]
    other: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rows(database: Database, people: People) -> Rows:
    environment = factories.unique("sql")
    published = factories.policy(people.officer, environment)
    author, officer = factories.person(Role.COMPLIANCE), factories.person(Role.COMPLIANCE)
    draft = factories.draft(environment, factories.service_account(author), valid_days=31)
    withdrawn = factories.draft(environment, author, valid_days=32)
    policy_withdraw(actor=author, draft=withdrawn, reason=factories.REASON, at=timezone.now())
    elsewhere = factories.policy(people.officer, factories.unique("sql")).policy_id
    gone = factories.person(Role.COMPLIANCE)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    values = {
        "policy": published.policy_id,
        "draft": draft.id,
        "document": draft.document,
        "digest": draft.digest,
        "publisher": officer.id,
        "author": author.id,
    }
    assert published.draft is not None
    return Rows(
        values,
        {
            "a text that nobody drafted": {"draft": None},
            "another text than was drafted": {"document": "policy: other"},
            "another digest than was drafted": {"digest": published.digest},
            "a draft of another policy": {"policy": elsewhere},
            "a draft published before": {
                "draft": published.draft.id,
                "document": published.document,
                "digest": published.digest,
            },
            "a withdrawn draft": {
                "draft": withdrawn.id,
                "document": withdrawn.document,
                "digest": withdrawn.digest,
            },
            "by who answers for the account that drafted": {"publisher": author.id},
            "by the account that drafted": {"publisher": draft.drafted_by_id},
            "by another service account": {"publisher": factories.service_account(officer).id},
            "by a superuser": {"publisher": factories.administrator().id},
            "by a closed account": {"publisher": gone.id},
        },
    )


SQL_REFUSED = (
    "a text that nobody drafted",
    "another text than was drafted",
    "another digest than was drafted",
    "a draft of another policy",
    "a draft published before",
    "a withdrawn draft",
    "by who answers for the account that drafted",
    "by the account that drafted",
    "by another service account",
    "by a superuser",
    "by a closed account",
)


@pytest.mark.parametrize("what", SQL_REFUSED)
def test_the_database_refuses_to_publish(database: Database, rows: Rows, what: str) -> None:
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(RestrictViolation):
        connection.execute(VERSION, rows.values | {"id": new_id("plv")} | rows.other[what])


def test_the_database_takes_what_all_the_refused_were_made_from(database: Database, rows: Rows) -> None:
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(VERSION, rows.values | {"id": new_id("plv")})
        with pytest.raises(RestrictViolation):
            connection.execute(WITHDRAWAL, rows.values | {"id": new_id("pwd")})


def test_the_database_refuses_a_draft_whose_digest_is_not_its_texts(database: Database, rows: Rows) -> None:
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(CheckViolation):
        connection.execute(DRAFT, rows.values | {"id": new_id("pdr"), "document": "policy: other"})


def test_the_database_refuses_the_signature_of_whoever_drafted_the_policy(database: Database, keys: object) -> None:
    case = factories.waiting_case()
    signed = case.sign(case.officers[0])
    other = factories.waiting_case()
    assert other.policy.draft is not None
    copied = (
        "INSERT INTO governance_signature (id, request_id, signer_id, printed_name, role, vote, meaning, reason, "
        "method, statement, statement_digest, signed_at) SELECT %s, %s, %s, printed_name, role, vote, meaning, reason, "
        "method, statement, statement_digest, signed_at FROM governance_signature WHERE id = %s"
    )
    author = other.policy.draft.drafted_by_id
    with (
        psycopg.connect(database.environment["DATABASE_URL"]) as connection,
        pytest.raises(RestrictViolation, match="drafted the policy"),
    ):
        connection.execute(copied, (new_id("sig"), other.request.id, author, signed.id))


@pytest.mark.parametrize("table", ["governance_policydraft", "governance_policywithdrawal"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"], ids=lambda text: text[:8]
)
def test_a_draft_and_its_withdrawal_are_for_good(database: Database, rows: Rows, table: str, statement: str) -> None:
    with (
        psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as connection,
        pytest.raises(RestrictViolation),
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


def test_a_draft_by_service_is_the_same_as_by_the_api(people: People) -> None:
    text = factories.policy_text(factories.unique("service"))
    draft = policy_draft(actor=people.author, document=text, at=timezone.now())
    assert require(people.drafts.post("policies", {"document": text}), 201)["id"] == draft.id
