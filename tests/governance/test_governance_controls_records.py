"""Controls of a real system: what it is, is declared in versions that nobody can change; its records are evidence."""

from datetime import date, timedelta

import factories
import psycopg
import pytest
from api_driver import changes, snapshot
from conftest import Database
from django.utils import timezone

from audit.models import Entry
from governance.controls.errors import DeclarationError
from governance.controls.evaluation import ControlResult
from governance.controls.vocabulary import Outcome
from governance.enums import EvidenceType, LineageKind, LineageRole, Role
from governance.enums import Trust as EdgeTrust
from governance.models import AiSystem, ModelVersion, User
from governance.selectors import control_evaluation
from governance.services import inventory
from governance.services.deployments import deployment_record
from governance.services.lineage import lineage_record

TODAY = timezone.now().date()


@pytest.fixture(scope="module")
def owner(database: Database) -> User:
    return factories.person(Role.MODEL_RISK)


@pytest.fixture
def version(owner: User) -> ModelVersion:
    return factories.model_version(owner)


@pytest.fixture
def system(version: ModelVersion) -> AiSystem:
    return version.model.system


def result(system: AiSystem, name: str, on: date = TODAY) -> ControlResult:
    found = control_evaluation(system=system, as_of=on).results
    return next(item for item in found if item.control.id == name)


# --- Declarations -----------------------------------------------------------------------------------------------------
def test_a_declaration_is_a_version_with_its_event_and_the_same_again_is_the_one_that_stands(
    database: Database, system: AiSystem, owner: User
) -> None:
    first = factories.declaration(system, owner)
    before = snapshot(database)
    assert factories.declaration(system, owner, decision_domains=["credit", "credit"]) == first
    assert not changes(before, snapshot(database))
    second = factories.declaration(system, owner, in_scope=False)
    assert (first.number, second.number) == (1, 2)
    assert factories.declaration(system, owner).number == 3
    events = Entry.objects.filter(subject_id=system.id, event_type="system.declared").order_by("body_id")
    assert [entry.actor_id for entry in events] == [owner.id] * 3
    assert b'"in_scope":false' in bytes(events[1].bytes)
    assert b"within the bank's model risk policy" in bytes(events[1].bytes)


def test_a_declaration_that_cannot_be_read_changes_nothing(database: Database, system: AiSystem, owner: User) -> None:
    before = snapshot(database)
    with pytest.raises(DeclarationError, match="/facts/jurisdictions: unknown: USA"):
        factories.declaration(system, owner, jurisdictions=["USA"])
    assert not changes(before, snapshot(database))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_systemdeclaration SET facts = '{}'",
        "DELETE FROM governance_systemdeclaration",
        "TRUNCATE governance_systemdeclaration",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_declared(
    database: Database, system: AiSystem, owner: User, statement: str
) -> None:
    factories.declaration(system, owner)
    for address, error in (
        (database.environment["DATABASE_URL"], psycopg.errors.InsufficientPrivilege),
        (database.superuser_url, psycopg.errors.RestrictViolation),
    ):
        with psycopg.connect(address) as connection, pytest.raises(error):
            connection.execute(statement)


# --- From records to results ------------------------------------------------------------------------------------------
def test_without_a_declaration_nothing_in_force_is_said_not_to_apply_but_for_health_information(
    system: AiSystem,
) -> None:
    assert result(system, "REGB-9-b2").outcome is Outcome.INSUFFICIENT_DATA
    assert result(system, "HIPAA-312-b").outcome is Outcome.NOT_APPLICABLE
    assert result(system, "MRM-scope").outcome is Outcome.INSUFFICIENT_DATA


def test_records_of_the_inventory_are_evidence(system: AiSystem, owner: User) -> None:
    factories.declaration(system, owner, in_scope=None)
    assert result(system, "MRM-scope").reason == "system_declaration of the system is missing"
    declaration = factories.declaration(system, owner)
    scope = result(system, "MRM-scope")
    assert scope.outcome is Outcome.PASS
    assert {item.evidence.id for item in scope.considered} == {system.id, declaration.id}
    assert result(system, "MRM-inventory").outcome is Outcome.PASS


def test_lineage_to_registered_training_data_is_evidence(system: AiSystem, version: ModelVersion, owner: User) -> None:
    factories.declaration(system, owner, adopted_frameworks=["iso_42001"])
    assert result(system, "ISO-A.4.3").reason == f"training_lineage of {version} is missing"
    now = timezone.now()
    data = inventory.dataset_register(
        actor=owner,
        slug=factories.unique("data"),
        at=now,
        name="Data",
        description="Data",
        classification="internal",
        contains_phi=False,
    )
    rows = inventory.dataset_version_register(
        actor=owner,
        dataset=data,
        digest=factories.stored(factories.unique("a\n").encode(), owner),
        row_count=1,
        columns=["a"],
        at=now,
    )
    run = inventory.run_record(
        actor=owner, at=now, name="train", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    steps = (
        ((LineageKind.DATASET_VERSION, rows.id), (LineageKind.RUN, run.id), LineageRole.TRAINED_ON),
        ((LineageKind.RUN, run.id), (LineageKind.MODEL_VERSION, version.id), LineageRole.PRODUCED),
    )
    for source, target, role in steps:
        lineage_record(actor=owner, source=source, target=target, role=role, trust=EdgeTrust.SELF_REPORTED, at=now)
    assert result(system, "ISO-A.4.3").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ({"verdict": "pass"}, Outcome.PASS),
        ({"verdict": "fail"}, Outcome.FAIL),
        ({"verdict": "insufficient_data"}, Outcome.INSUFFICIENT_DATA),
        ({"verdict": "not_applicable"}, Outcome.INSUFFICIENT_DATA),
    ],
)
def test_the_verdict_of_deposited_evidence_is_that_of_the_control(
    system: AiSystem, version: ModelVersion, owner: User, payload: dict[str, str], outcome: Outcome
) -> None:
    factories.declaration(system, owner)
    deposited = factories.deposited(owner, version, EvidenceType.BIAS, payload | {"rows": 900}, measured=True)
    found = result(system, "FAIRLEND-state")
    assert found.outcome is outcome
    assert [item.evidence.id for item in found.considered] == [deposited.id]


def test_a_day_is_judged_by_what_was_there_at_its_end(system: AiSystem, version: ModelVersion, owner: User) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    before = control_evaluation(system=system, as_of=TODAY)
    factories.declaration(system, owner, at=tomorrow)
    payload = {"verdict": "pass", "rows": 900}
    factories.deposited(owner, version, EvidenceType.BIAS, payload, measured=True, at=tomorrow)
    again = control_evaluation(system=system, as_of=TODAY)
    assert (again.inputs_digest, again.digest) == (before.inputs_digest, before.digest)
    assert result(system, "FAIRLEND-state", on=tomorrow.date()).outcome is Outcome.PASS


def test_before_a_system_was_registered_nothing_is_known_of_it(system: AiSystem) -> None:
    yesterday = system.registered_at.date() - timedelta(days=1)
    assert result(system, "HIPAA-312-b", on=yesterday).outcome is Outcome.INSUFFICIENT_DATA


@pytest.mark.usefixtures("keys")
def test_the_version_in_use_counts_and_not_one_that_was_never_deployed() -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    system, model = case.version.model.system, case.version.model
    factories.declaration(system, case.author)
    assert result(system, "SOX-404").reason == "; ".join(
        [f"deployment of {case.version} is missing", "access_grants of the organization is missing"]
    )
    deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    now = timezone.now()
    inventory.model_version_register(
        actor=case.pipeline,
        model=model,
        digest=factories.stored(factories.model_bytes(), case.pipeline),
        code_commit="",
        parameters={},
        metrics={},
        at=now,
    )
    found = result(system, "SOX-404")
    assert {item.evidence.subject for item in found.considered} == {case.version.digest}
    assert found.reason == "access_grants of the organization is missing"
    assert result(system, "REGB-9-b2-c5").reason == f"explanation of {case.version} is missing"


@pytest.mark.usefixtures("keys")
def test_a_decision_counts_as_it_stood_and_not_after_it_expired() -> None:
    case = factories.waiting_case()
    system = case.version.model.system
    factories.declaration(system, case.author)
    waiting = result(system, "SOX-404")
    assert waiting.considered[0].why == f"approval {case.decision.id} says that its data are insufficient"
    case.sign(case.officers[0])
    assert result(system, "SOX-404").considered[0].why == f"approval {case.decision.id} says pass"
    (late,) = (
        item
        for item in result(system, "SOX-404", on=TODAY + timedelta(days=31)).considered
        if item.evidence.type == "approval"
    )
    assert not late.counted
    assert "expired at" in late.why
