"""What the inventory says beyond bytes: of models in versions, of versions for ever, and never against itself."""

from typing import Any

import factories
import psycopg
import pytest
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.db import IntegrityError, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from audit.models import Entry
from governance.models import Dataset, LineageEdge, Model, ModelDescription, User
from governance.services import inventory
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")


@pytest.fixture(scope="module")
def people() -> dict[str, User]:
    return {name: factories.person() for name in ("owner", "developer", "validator")}


@pytest.fixture
def model(people: dict[str, User]) -> Model:
    return factories.model_version(people["owner"]).model


@pytest.fixture
def api(people: dict[str, User]) -> Api:
    return Api(factories.token(people["owner"]))


def said(people: dict[str, User], **changed: Any) -> dict[str, Any]:
    """A description as a pipeline sends it; what is changed to None is left out."""
    body = {
        "methodology": "ml",
        "provenance": "internal",
        "restrictions_on_use": "Not for pricing.",
        **{name: person.username for name, person in people.items()},
    } | changed
    return {name: value for name, value in body.items() if value is not None}


def test_a_model_is_described_in_versions_that_stay(api: Api, model: Model, people: dict[str, User]) -> None:
    path = f"models/{model.slug}/descriptions"
    first = require(api.post(path, said(people)), 201)
    assert require(api.post(path, said(people)), 201) == first
    bought = said(people, provenance="vendor", vendor="Scores Ltd.", developer=None)
    second = require(api.post(path, bought), 201)
    assert [first["number"], second["number"]] == [1, 2]
    assert (second["vendor"], second["developer"]) == ("Scores Ltd.", None)
    assert require(api.get(path), 200) == [second, first]
    assert Entry.objects.filter(event_type="model.described", subject_id=model.id).count() == 2


REFUSED: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "no vendor of a bought model": ({"provenance": "vendor"}, 422, "validation-failed", "/vendor: a bought model"),
    "a vendor of our own model": (
        {"vendor": "Scores Ltd."},
        422,
        "validation-failed",
        "/vendor: a model made in",
    ),
    "a validator who owns it": ({"validator": "OWNER"}, 403, "separation-of-duties", "validation is independent"),
    "a validator who made it": ({"validator": "DEVELOPER"}, 403, "separation-of-duties", "validation is independent"),
    "a service account as owner": ({"owner": "PIPELINE"}, 422, "validation-failed", "/owner: "),
    "somebody unknown": ({"developer": "nobody"}, 404, "unknown-record", "no account nobody"),
    "another methodology": ({"methodology": "magic"}, 400, "validation-failed", ""),
    "no restrictions said": ({"restrictions_on_use": None}, 400, "validation-failed", ""),
    "a misspelt field": ({"vender": "x"}, 400, "validation-failed", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_description_that_cannot_be_is_refused(
    database: Database, api: Api, model: Model, people: dict[str, User], case: str
) -> None:
    changed, status, code, words = REFUSED[case]
    names = {name.upper(): person.username for name, person in people.items()}
    names["PIPELINE"] = factories.service_account(people["owner"]).username
    body = said(people, **{name: names.get(value, value) for name, value in changed.items()})
    before = snapshot(database)
    problem = require_problem(api.post(f"models/{model.slug}/descriptions", body), status, code)
    assert words in problem["detail"]
    assert not changes(before, snapshot(database))


@pytest.mark.parametrize(
    ("column", "constraint"),
    [
        ("validator", "model_validator_is_independent"),
        ("vendor", "model_description_names_the_vendor"),
    ],
)
def test_the_database_refuses_it_too(model: Model, people: dict[str, User], column: str, constraint: str) -> None:
    wrong = {"validator": people["developer"], "vendor": "Scores Ltd."}[column]
    columns = {"methodology": "ml", "provenance": "internal", "restrictions_on_use": "x", **people, column: wrong}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ModelDescription.objects.create(
            model=model, number=1, described_by=people["owner"], described_at=timezone.now(), **columns
        )


LOCK, IMAGE = Digest.of(b"requirements.lock").text, Digest.of(b"image").text


def test_a_version_says_where_it_comes_from_and_its_run_is_lineage(
    api: Api, model: Model, people: dict[str, User]
) -> None:
    now = timezone.now()
    run = inventory.run_record(
        actor=people["owner"], at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    stated = {
        "framework": "xgboost 3.1.2",
        "source_uri": "s3://models/denial/7",
        "environment_lock_digest": LOCK,
        "container_digest": IMAGE,
        "run": run.id,
    }
    digest = factories.stored(factories.model_bytes(), people["owner"]).text
    path = f"models/{model.slug}/versions"
    version = require(api.post(path, {"digest": digest} | stated), 201)
    assert {name: version[name] for name in stated} == stated
    assert require(api.post(path, {"digest": digest}), 201) == version
    edge = LineageEdge.objects.get(target_id=version["id"])
    assert (edge.source_id, edge.role, edge.trust) == (run.id, "produced", "self_reported")
    other = require_problem(api.post(path, {"digest": digest, "container_digest": LOCK}), 409, "state-conflict")
    assert "another container_digest" in other["detail"]
    require_problem(api.post(path, {"digest": digest, "container_digest": "latest"}), 400, "validation-failed")
    fresh = factories.stored(factories.model_bytes(), people["owner"]).text
    require_problem(api.post(path, {"digest": fresh, "run": "run_none"}), 404, "unknown-record")


def dataset(people: dict[str, User], *, contains_phi: bool) -> Dataset:
    return inventory.dataset_register(
        actor=people["owner"],
        slug=factories.unique("data"),
        at=timezone.now(),
        name="Claims",
        description="d",
        classification="confidential",
        contains_phi=contains_phi,
    )


HANDLING = {
    "classification": "restricted",
    "phi_types": ["date", "geography"],
    "deidentification": "expert_determination",
    "legal_basis": "45 CFR 164.512(i), waiver of the review board",
    "collection_method": "Claims of 2024, every tenth.",
    "known_biases": "People without a claim are missing.",
}


def test_a_version_of_data_says_how_it_may_be_handled(api: Api, people: dict[str, User]) -> None:
    path = f"datasets/{dataset(people, contains_phi=True).slug}/versions"
    digest = factories.stored(factories.unique("a\n1").encode(), people["owner"]).text
    version = require(api.post(path, {"digest": digest} | HANDLING), 201)
    assert {name: version[name] for name in HANDLING} == HANDLING
    assert require(api.post(path, {"digest": digest}), 201) == version
    require_problem(api.post(path, {"digest": digest, "deidentification": "none"}), 409, "state-conflict")
    nothing_said = factories.stored(factories.unique("a\n1").encode(), people["owner"]).text
    version = require(api.post(path, {"digest": nothing_said}), 201)
    assert (version["phi_types"], version["deidentification"]) == (None, "")


CONTRADICTIONS: dict[str, tuple[bool, dict[str, Any], int, str]] = {
    "safe harbor with identifiers left": (
        True,
        {"phi_types": ["name"], "deidentification": "safe_harbor"},
        422,
        "still there: name",
    ),
    "identifiers in a data set without health information": (
        False,
        {"phi_types": ["name"]},
        422,
        "registered as holding no",
    ),
    "an unknown identifier": (True, {"phi_types": ["shoe_size"]}, 400, ""),
    "an unknown method": (True, {"deidentification": "hashing"}, 400, ""),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_is_said_of_identifiers_cannot_contradict_itself(
    database: Database, api: Api, people: dict[str, User], case: str
) -> None:
    contains_phi, stated, status, words = CONTRADICTIONS[case]
    path = f"datasets/{dataset(people, contains_phi=contains_phi).slug}/versions"
    digest = factories.stored(factories.unique("a\n1").encode(), people["owner"]).text
    before = snapshot(database)
    problem = require_problem(api.post(path, {"digest": digest} | stated), status, "validation-failed")
    assert words in problem["detail"]
    assert not changes(before, snapshot(database))


def test_the_database_keeps_safe_harbor_free_of_identifiers(database: Database, people: dict[str, User]) -> None:
    data = dataset(people, contains_phi=True)
    digest = factories.stored(factories.unique("a\n1").encode(), people["owner"])
    version = inventory.dataset_version_register(actor=people["owner"], dataset=data, digest=digest, at=timezone.now())
    with (
        psycopg.connect(database.environment["DATABASE_URL"]) as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="safe_harbor_leaves_no_identifier"),
    ):
        connection.execute(
            "INSERT INTO governance_datasetversion SELECT (jsonb_populate_record(v, %s)).* "
            "FROM governance_datasetversion v WHERE id = %s",
            (Jsonb({"id": "dv_other", "deidentification": "safe_harbor", "phi_types": ["name"]}), version.id),
        )
