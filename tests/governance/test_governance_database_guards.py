"""Records of fact stay as they were: the application lacks the right to change them, the owner meets a trigger."""

import importlib
from dataclasses import dataclass

import factories
import psycopg
import pytest
from conftest import Database
from django.utils import timezone
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation
from software_producer import SoftwareProducer
from software_producer import statement as producer_statement

from governance.enums import LineageKind, LineageRole, Methodology, Provenance, Role, Trust
from governance.services import inventory
from governance.services.deployments import deployment_record, deployment_retire
from governance.services.descriptions import Particulars, model_describe
from governance.services.evidence_types import evidence_type_retire
from governance.services.lineage import lineage_record
from governance.services.officers import Officer
from governance.services.producers import producer_key_revoke
from governance.services.signed_evidence import attestation_deposit
from governance.services.snapshots import Running, snapshot_deposit
from governance.services.supersessions import supersession_accept
from modelnotary.ledger.digest import Digest
from reports.enums import DocumentKind
from reports.models import Document

INSERT_ONLY = (
    *importlib.import_module("governance.migrations.0002_guards").INSERT_ONLY,
    "governance_modeldescription",
    "governance_evidencesupersession",
    "governance_supersessionacceptance",
    "governance_retirement",
    "governance_environmentsnapshot",
    "governance_discrepancy",
    "governance_producerkey",
    "governance_producerkeyconfirmation",
    "governance_producerkeyrevocation",
    "governance_signedstatement",
    "governance_predictionbatch",
    "governance_predictionrecord",
    "governance_humanoverride",
    "governance_evidencetypedraft",
    "governance_evidencetypeversion",
    "governance_evidencetyperetirement",
    "reports_document",
)
# Locking a row asks for the right to update some column of it.
LOCKABLE = {"governance_modelversion", "governance_policy"}


@pytest.fixture(scope="module")
def cases(database: Database, keys: object) -> dict[str, factories.Case]:
    """One decision of each kind, and a row in each table that is only inserted into."""
    passed, waiting = factories.waiting_case(), factories.waiting_case()
    passed.sign(passed.officers[0])
    now = timezone.now()
    deployment = deployment_record(actor=passed.pipeline, digest=passed.digest, environment=passed.environment, at=now)
    deployment_retire(actor=passed.pipeline, deployment=deployment, reason="Replaced.", at=now)
    snapshot_deposit(
        agent=passed.pipeline,
        environment=passed.environment,
        running=[Running("scoring", Digest.of(b"never registered"))],
        taken_at=now,
        at=now,
    )
    dataset = inventory.dataset_register(
        actor=passed.pipeline,
        slug=factories.unique("data"),
        at=now,
        name="Applications",
        description="d",
        classification="public",
        contains_phi=False,
    )
    inventory.dataset_version_register(
        actor=passed.pipeline,
        dataset=dataset,
        digest=factories.stored(b"a,b\n1,2\n", passed.pipeline),
        row_count=1,
        columns=["a", "b"],
        at=now,
    )
    run = inventory.run_record(
        actor=passed.pipeline, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    )
    lineage_record(
        actor=passed.pipeline,
        source=(LineageKind.RUN, run.id),
        target=(LineageKind.MODEL_VERSION, passed.version.id),
        role=LineageRole.PRODUCED,
        trust=Trust.SELF_REPORTED,
        at=now,
    )
    model_describe(
        actor=passed.pipeline,
        model=passed.version.model,
        particulars=Particulars(
            Methodology.MACHINE_LEARNING, Provenance.INTERNAL, "", "Not for pricing.", passed.author, None, None
        ),
        at=now,
    )
    reviewer = Officer(factories.person(Role.MODEL_RISK), factories.PASSWORD)
    signed_evidence(passed)
    factories.predicted(passed.pipeline, passed.digest, passed.environment)
    evidence_type_retire(officer=reviewer, name=factories.own_type().name, reason=factories.REASON, at=now)
    claim = factories.evidence(passed.producer, passed.version, auc=0.9).supersedes
    supersession_accept(officer=reviewer, supersession_id=claim.id, reason=factories.REASON, at=now)
    digest = Digest.of(b"a report").text
    Document.objects.create(
        kind=DocumentKind.REPORT,
        model_version=passed.version,
        environment=passed.environment,
        content_digest=digest,
        digest=digest,
        size=8,
        path="report",
        ledger_size=1,
        issued_by=passed.author,
        issued_at=now,
    )
    return {"passed": passed, "waiting": waiting}


def signed_evidence(case: factories.Case) -> None:
    """Evidence that a laboratory signed, whose key was revoked afterwards."""
    lab, now = SoftwareProducer(), timezone.now()
    key = factories.producer_key(factories.service_account(case.author), lab.pem)
    said = producer_statement(Digest.from_text(case.version.digest), {"rows": 9}, type="explanation", collected_at=now)
    attestation_deposit(
        deliverer=case.pipeline, envelope=lab.envelope(said.to_bytes()), supersedes=None, reason="", at=timezone.now()
    )
    officer = Officer(factories.person(Role.PRIVACY), factories.PASSWORD)
    producer_key_revoke(officer=officer, key=key, reason=factories.REASON, distrusted_from=now, at=timezone.now())


@dataclass(frozen=True)
class Intruder:
    """A database role that tries what must not be possible."""

    url: str

    def refused(self, table: str, statement: str, *parameters: object) -> type[psycopg.Error]:
        """Give the error that a statement about a table, which is not empty, ends in."""
        names = {"table": sql.Identifier(table), "key": sql.Identifier("digest" if "artifact" in table else "id")}
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(sql.SQL("SELECT FROM {table} LIMIT 1").format(**names)).fetchall()
            assert len(rows) == 1
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(sql.SQL(statement).format(**names), parameters)
        return refusal.type


@pytest.fixture
def application(database: Database, cases: dict[str, factories.Case]) -> Intruder:
    return Intruder(database.environment["DATABASE_URL"])


@pytest.fixture
def owner(database: Database, cases: dict[str, factories.Case]) -> Intruder:
    return Intruder(database.environment["MIGRATION_DATABASE_URL"])


@pytest.mark.parametrize("table", INSERT_ONLY)
def test_the_application_can_only_insert_records_of_fact(application: Intruder, table: str) -> None:
    for statement in ("DELETE FROM {table}", "TRUNCATE {table}", "TRUNCATE {table} CASCADE"):
        assert application.refused(table, statement) is InsufficientPrivilege
    changed = application.refused(table, "UPDATE {table} SET {key} = upper({key})")
    assert changed is (RestrictViolation if table in LOCKABLE else InsufficientPrivilege)


@pytest.mark.parametrize("table", [*INSERT_ONLY, "governance_decision", "governance_approvalrequest"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {table} SET {key} = upper({key})", "DELETE FROM {table}", "TRUNCATE {table} CASCADE"]
)
def test_the_owner_of_the_tables_is_refused_by_triggers(owner: Intruder, table: str, statement: str) -> None:
    assert owner.refused(table, statement) is RestrictViolation


DECISION, REQUEST = "governance_decision", "governance_approvalrequest"
VERDICTS = {
    "a verdict to another": ("passed", DECISION, "state = 'failed'"),
    "a verdict back to waiting": ("passed", DECISION, "state = 'pending', attestation = NULL"),
    "how long a verdict holds": ("passed", DECISION, "expires_at = expires_at + interval '1 year'"),
    "what was signed": ("passed", DECISION, "attestation = 'other'"),
    "what a waiting decision saw": ("waiting", DECISION, "context = '[]'"),
    "its evidence": ("waiting", DECISION, "evidence_set_digest = ''"),
    "its model": ("waiting", DECISION, "model_version_id = 'mv_1'"),
    "its environment": ("waiting", DECISION, "environment = 'other'"),
    "its policy": ("waiting", DECISION, "policy_version_id = NULL"),
    "who asked for it": ("waiting", DECISION, "requested_by_id = 'usr_1'"),
    "a closed request to open": ("passed", REQUEST, "state = 'open'"),
    "how many must sign": ("waiting", REQUEST, "quorum = 0"),
    "who may sign": ("waiting", REQUEST, "roles = '[]'"),
    "how many must sign in a role": ("waiting", REQUEST, "at_least = '[]'"),
    "what is to be signed": ("waiting", REQUEST, "decision_id = 'dec_1'"),
}


@pytest.mark.parametrize("what", VERDICTS)
def test_the_application_cannot_change(application: Intruder, cases: dict[str, factories.Case], what: str) -> None:
    case, table, change = VERDICTS[what]
    identity = cases[case].decision.id if table == DECISION else cases[case].request.id
    refused = application.refused(table, "UPDATE {table} SET CHANGE WHERE id = %s".replace("CHANGE", change), identity)
    assert refused is RestrictViolation


def test_a_decision_cannot_be_final_without_a_signed_attestation(
    application: Intruder, cases: dict[str, factories.Case]
) -> None:
    statement = "UPDATE {table} SET state = 'failed' WHERE id = %s"
    assert application.refused(DECISION, statement, cases["waiting"].decision.id) is CheckViolation


@pytest.mark.parametrize("table", [DECISION, REQUEST])
def test_the_application_cannot_delete_what_was_decided(application: Intruder, table: str) -> None:
    assert application.refused(table, "DELETE FROM {table}") is InsufficientPrivilege


def test_no_record_of_fact_goes_with_the_person_or_the_model_it_names(
    database: Database, cases: dict[str, factories.Case]
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        cascades = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' AND confdeltype <> 'a' "
            "AND connamespace IN ('public'::regnamespace, 'ledger'::regnamespace)"
        ).fetchall()
    assert cascades == []
    with pytest.raises(Exception, match="referenced through protected foreign keys"):
        cases["passed"].author.delete()
