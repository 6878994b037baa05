"""What runs where: aliases keep their history, and what an agent sees is held against deployments and decisions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import factories
import psycopg
import pytest
from api_driver import Api, at_once, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone

from audit.models import Entry
from governance.errors import ConflictError
from governance.models import AliasBinding, Deployment, Finding, Model, ModelVersion, User
from governance.selectors.deployments import deployments_in_use
from governance.services import inventory
from governance.services.aliases import alias_bind
from governance.services.deployments import deployment_record, deployment_retire
from governance.services.snapshots import Running, snapshot_deposit
from governance.services.watch import findings_watch
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")
NOTHING_KNOWN = Digest.of(b"never registered")


@pytest.fixture(scope="module")
def engineer() -> User:
    return factories.person()


def further(model: Model, actor: User) -> ModelVersion:
    """One more version of a model."""
    return inventory.model_version_register(
        actor=actor,
        model=model,
        digest=factories.stored(factories.model_bytes(), actor),
        code_commit="",
        parameters={},
        metrics={},
        at=timezone.now(),
    )


# --- Aliases ----------------------------------------------------------------------------------------------------------
def test_an_alias_that_is_moved_keeps_what_it_named(engineer: User) -> None:
    one = factories.model_version(engineer)
    two = further(one.model, engineer)
    api = Api(factories.token(engineer))
    path = f"models/{one.model.slug}/aliases"
    first = require(api.post(path, {"alias": "champion", "digest": one.digest}), 201)
    assert require(api.post(path, {"alias": "champion", "digest": one.digest}), 201) == first
    second = require(api.post(path, {"alias": "champion", "digest": two.digest}), 201)
    assert [item["id"] for item in require(api.get(path), 200)] == [second["id"]]
    before = require(api.get(path, as_of=first["bound_from"]), 200)
    assert [(item["id"], item["bound_to"]) for item in before] == [(first["id"], second["bound_from"])]
    released = require(api.call("DELETE", f"/api/v1/{path}/champion"), 200)
    assert released["bound_to"]
    assert require(api.get(path), 200) == []
    assert len(require(api.get(path, history="true"), 200)) == 2
    require_problem(api.call("DELETE", f"/api/v1/{path}/champion"), 404, "unknown-record")
    require_problem(api.post(path, {"alias": "champion", "digest": NOTHING_KNOWN.text}), 404, "unknown-artifact")
    other = factories.model_version(engineer)
    require_problem(api.post(path, {"alias": "champion", "digest": other.digest}), 404, "unknown-record")
    events = Entry.objects.filter(subject_id__in=(first["id"], second["id"])).order_by("body_id")
    assert [item.event_type for item in events] == ["alias.bound", "alias.bound", "alias.released"]


def test_bindings_at_once_follow_each_other(engineer: User) -> None:
    versions = [factories.model_version(engineer)]
    versions += [further(versions[0].model, engineer) for _ in range(2)]
    calls = [
        lambda version=version: alias_bind(
            actor=engineer, version=version, alias="champion", observed_via="api", at=timezone.now()
        )
        for version in versions
    ]
    made = [item for item in at_once(*calls) if isinstance(item, AliasBinding)]
    standing = AliasBinding.objects.filter(model=versions[0].model, bound_to=None)
    # A binding whose moment passed while it waited is refused, and nothing of it is there.
    assert (standing.count(), AliasBinding.objects.filter(model=versions[0].model).count()) == (1, len(made))


BINDING = (
    "INSERT INTO governance_aliasbinding (id, model_id, alias, model_version_id, bound_from, bound_to, observed_via, "
    "bound_by_id) VALUES (%(id)s, %(model)s, 'champion', %(version)s, %(since)s, %(until)s, 'sql', %(by)s)"
)
REWRITES = {
    "its version": "UPDATE governance_aliasbinding SET model_version_id = %(other)s WHERE id = %(id)s",
    "its beginning": "UPDATE governance_aliasbinding SET bound_from = now() - interval '1 year' WHERE id = %(id)s",
    "its end, when it has one": "UPDATE governance_aliasbinding SET bound_to = now() WHERE id = %(ended)s",
    "that it ended": "UPDATE governance_aliasbinding SET bound_to = NULL WHERE id = %(ended)s",
    "that nobody ended it": "UPDATE governance_aliasbinding SET bound_to = now() WHERE id = %(id)s",
}


@pytest.fixture(scope="module")
def bound(engineer: User, database: Database, keys: object) -> dict[str, str]:
    one = factories.model_version(engineer)
    two = further(one.model, engineer)
    now = timezone.now()
    ended, standing = (
        alias_bind(actor=engineer, version=version, alias="champion", observed_via="api", at=at)
        for version, at in ((one, now - timedelta(hours=1)), (two, now))
    )
    return {"id": standing.id, "ended": ended.id, "other": one.id, "model": one.model_id, "by": engineer.id}


def refused(database: Database, role: str, statement: str, parameters: dict[str, Any]) -> type[psycopg.Error]:
    with psycopg.connect(database.environment[role]) as connection, pytest.raises(psycopg.Error) as refusal:
        connection.execute(statement.encode(), parameters)
    return refusal.type


@pytest.mark.parametrize("what", REWRITES)
def test_no_sql_rewrites_what_an_alias_named(database: Database, bound: dict[str, str], what: str) -> None:
    for role in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        assert refused(database, role, REWRITES[what], bound) is psycopg.errors.RestrictViolation


def test_no_sql_deletes_a_binding_or_binds_an_alias_twice(database: Database, bound: dict[str, str]) -> None:
    delete = "DELETE FROM governance_aliasbinding WHERE id = %(id)s"
    assert refused(database, "DATABASE_URL", delete, bound) is psycopg.errors.InsufficientPrivilege
    assert refused(database, "MIGRATION_DATABASE_URL", delete, bound) is psycopg.errors.RestrictViolation
    now = timezone.now()
    overlap = {**bound, "id": "alb_2", "version": bound["other"], "since": now - timedelta(minutes=30), "until": None}
    assert refused(database, "DATABASE_URL", BINDING, overlap) is psycopg.errors.ExclusionViolation
    stranger = {**overlap, "model": factories.model_version(factories.person()).model_id}
    assert refused(database, "DATABASE_URL", BINDING, stranger) is psycopg.errors.RestrictViolation


# --- What runs --------------------------------------------------------------------------------------------------------
@pytest.fixture
def case() -> factories.Case:
    """A version that was approved."""
    made = factories.waiting_case()
    made.sign(made.officers[0])
    return made


def deploy(case: factories.Case) -> Deployment:
    return deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())


def seen(case: factories.Case, *running: Running, later: timedelta = timedelta()) -> list[tuple[str, str]]:
    """What does not agree when an agent sees this: kind and place."""
    at = timezone.now() + later
    made = snapshot_deposit(
        agent=case.pipeline, environment=case.environment, running=list(running), taken_at=at, at=at
    )
    return sorted((item.kind, item.place) for item in made.discrepancies.all())


def test_what_runs_as_deployed_agrees(case: factories.Case) -> None:
    deploy(case)
    assert seen(case, Running("a", case.digest), Running("b", case.digest)) == []


def test_what_does_not_agree_is_named(case: factories.Case) -> None:
    slug = case.version.model.slug
    assert seen(case) == []
    assert seen(case, Running("a", case.digest)) == [("not_deployed", "a")]
    deploy(case)
    assert seen(case) == [("not_running", "")]
    assert seen(case, Running("a", case.digest), Running("b", NOTHING_KNOWN)) == [("unapproved", "b")]
    drifted = [("not_running", ""), ("other_digest", "a"), ("unapproved", "a")]
    assert seen(case, Running("a", NOTHING_KNOWN, slug)) == drifted
    other = further(case.version.model, case.pipeline)
    assert seen(case, Running("a", Digest.from_text(other.digest))) == drifted
    assert seen(case, Running("a", case.digest), later=timedelta(days=60)) == [("decision_ended", "a")]


def test_what_does_not_agree_becomes_a_finding_once(case: factories.Case) -> None:
    deployment, version = deploy(case), case.version
    unregistered = Running("b", NOTHING_KNOWN, version.model.slug)
    elsewhere = Running("c", Digest.from_text(factories.model_version(case.pipeline).digest))
    for later in (timedelta(), timedelta(minutes=1)):
        seen(case, Running("a", case.digest), unregistered, elsewhere, Running("d", NOTHING_KNOWN), later=later)
        findings_watch(at=timezone.now())
    found = Finding.objects.filter(cause__startswith="snapshot:", title__endswith=f" in {case.environment}")
    other = ModelVersion.objects.get(artifact=elsewhere.digest.text)
    assert sorted((item.title.split(" in ")[0], item.severity, item.subject_id) for item in found) == sorted(
        [
            ("Other bytes than were deployed", "critical", deployment.id),
            ("Runs without approval", "critical", version.model.system_id),
            ("Runs without approval", "critical", other.id),
        ]
    )
    agreeing = factories.waiting_case()
    agreeing.sign(agreeing.officers[0])
    deploy(agreeing)
    seen(agreeing, Running("a", agreeing.digest))
    assert findings_watch(at=timezone.now()) == 0


def test_a_deployment_taken_out_of_use_must_not_run(case: factories.Case) -> None:
    deployment = deploy(case)
    api = Api(factories.token(case.pipeline))
    path = f"deployments/{deployment.id}/retirement"
    require(api.post(path, {"reason": "Replaced."}), 201)
    require_problem(api.post(path, {"reason": "Again."}), 409, "state-conflict")
    assert deployment not in deployments_in_use(at=timezone.now())
    assert seen(case) == []
    assert seen(case, Running("a", case.digest)) == [("not_deployed", "a")]
    with pytest.raises(ConflictError):
        deployment_retire(actor=case.pipeline, deployment=deployment, reason="x", at=timezone.now())


def test_an_agent_reports_over_the_api(database: Database, case: factories.Case) -> None:
    deploy(case)
    api = Api(factories.token(case.pipeline))
    path = f"environments/{case.environment}/snapshots"
    body: dict[str, Any] = {
        "taken_at": timezone.now().isoformat(),
        "running": [{"place": "b", "digest": case.version.digest}, {"place": "a", "digest": NOTHING_KNOWN.text}],
    }
    made = require(api.post(path, body), 201)
    assert [item["kind"] for item in made["discrepancies"]] == ["unapproved"]
    assert [item["place"] for item in made["running"]] == ["a", "b"]
    assert require(api.get(path), 200) == made
    require_problem(api.get("environments/nowhere/snapshots"), 404, "unknown-record")
    before = snapshot(database)
    twice = body | {"running": body["running"] * 2}
    require_problem(api.post(path, twice), 422, "validation-failed")
    require_problem(api.post(path, body | {"taken_at": "2999-01-01T00:00:00Z"}), 422, "validation-failed")
    require_problem(api.post(path, body | {"running": [{"place": "a"}]}), 400, "validation-failed")
    assert not changes(before, snapshot(database))


def test_a_version_that_replaced_another_is_the_one_in_use(case: factories.Case) -> None:
    first = deploy(case)
    second = deploy(replace(case))
    assert list(deployments_in_use(at=timezone.now()).filter(environment=case.environment)) == [second]
    assert list(deployments_in_use(at=first.deployed_at).filter(environment=case.environment)) == [first]
