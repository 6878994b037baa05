"""Business units: nothing of another unit is seen, named or decided about, by any role, through any door."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import admin_records
import factories
import psycopg
import pytest
from api_driver import Api, body_of
from conftest import Database
from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, RestrictViolation

from audit.enums import Log
from governance.admin.base import GovernedAdmin
from governance.enums import EvidenceType, JobType, Role
from governance.errors import (
    ConflictError,
    GovernanceError,
    RejectedInputError,
    SeparationOfDutiesError,
    UnknownArtifactError,
)
from governance.models import BusinessUnit, LineageEdge, RoleGrant, User
from governance.selectors.people import holders_at
from governance.selectors.scope import EVERYTHING, NOTHING, SYSTEM_PATHS, WHOLE_ONLY, Sight, sight_of, unit_of
from governance.services.aliases import alias_bind
from governance.services.decisions import decision_evaluate
from governance.services.deployments import deployment_record
from governance.services.endings import revocation_propose
from governance.services.grants import role_confirm, role_end, role_propose
from governance.services.inventory import system_register
from governance.services.jobs import job_create
from governance.services.officers import Officer
from governance.services.units import system_assign, unit_open
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from reports.enums import DocumentKind

OFFICERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
MOMENT = timedelta(microseconds=1)
FAR = "2099-01-01T00:00:00Z"


@dataclass(frozen=True)
class World:
    """A unit whose system has one record of every kind, and another unit.

    Attributes:
        records: One record of each kind that belongs to the system, by the label of its model.
        names: What stands in the addresses and bodies below.
    """

    unit: BusinessUnit
    other: BusinessUnit
    case: factories.Case
    waiting: factories.Case
    records: dict[str, Any]
    names: dict[str, str]


@pytest.fixture(scope="module")
def world(database: Database, keys: object) -> World:
    unit, other = factories.business_unit(), factories.business_unit()
    case, waiting, now = factories.waiting_case(), factories.waiting_case(), timezone.now()
    signature = case.sign(case.officers[0])
    version, system = case.version, case.version.model.system
    deployment = deployment_record(
        actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now()
    )
    proposer = Officer(factories.person(Role.PRIVACY), factories.PASSWORD)
    proposal = revocation_propose(
        officer=proposer, decision_id=case.decision.id, reason=factories.REASON, at=timezone.now()
    )
    job = job_create(actor=case.pipeline, kind=JobType.BIAS, version=version, parameters={}, at=now)
    alias = alias_bind(actor=case.pipeline, version=version, alias="champion", observed_via="api", at=now)
    records = (
        *(
            system,
            version.model,
            version,
            case.evidence,
            case.decision,
            case.request,
            signature,
            deployment,
            job,
            alias,
        ),
        *(admin_records.exception_make(case), admin_records.override_make(case)),
        *(admin_records.finding_make(case), admin_records.period_make(case)),
        factories.tier_assessment(system, factories.tier_template()),
        admin_records.document_make(case, DocumentKind.REPORT, admin_records.REPORT),
    )
    for each in (system, waiting.version.model.system):
        factories.assigned(each, unit)
    of = {record._meta.label: record for record in records}
    names = {
        "system": system.slug,
        "system_id": system.id,
        "slug": version.model.slug,
        "digest": version.digest,
        "version": version.id,
        "environment": case.environment,
        "decision": case.decision.id,
        "request": waiting.request.id,
        "proposal": proposal.id,
        "evidence_set": waiting.decision.evidence_set_digest,
        **{label.split(".")[1].lower(): record.id for label, record in of.items()},
    }
    return World(unit, other, case, waiting, of, names)


# --- The matrix: role x address x a record of another unit ------------------------------------------------------------
WRONG = {"password": "not the password"}
SAID = {"reason": factories.REASON} | WRONG
PERFORMANCE = {"type": EvidenceType.PERFORMANCE, "payload": {"auc": 0.9, "rows": 9}}
WAIVED = {"rule": "R", "environment": "e", "owner": "nobody", "risk": "r" * 30, "compensating_control": "c" * 30}
ENDS = [("source", "run", "{run}"), ("target", "model_version", "{version}")]
# Method, address, body. What a body lacks or has wrong is refused too, but never as something that is not there.
ADDRESSES: dict[str, tuple[str, str, Any]] = {
    "declarations": ("GET", "systems/{system}/declarations", None),
    "controls": ("GET", "systems/{system_id}/controls", None),
    "declare": ("POST", "systems/{system}/declarations", {"facts": {"in_scope": True}, "reason": factories.REASON}),
    "register a model": ("POST", "models", {"system": "{system}", "slug": "another-model", "name": "n"}),
    "tier": ("GET", "systems/{system}/tier", None),
    "assess the tier": ("POST", "systems/{system_id}/tier-assessments", {"template": "none-such"}),
    "tier assessment": ("GET", "tier-assessments/{tierassessment}", None),
    "withdraw a tier": ("POST", "tier-assessments/{tierassessment}/withdrawal", {"reason": "no"}),
    "descriptions": ("GET", "models/{slug}/descriptions", None),
    "aliases": ("GET", "models/{slug}/aliases", None),
    "bind": ("POST", "models/{slug}/aliases", {"alias": "other", "digest": "{digest}"}),
    "register a version": ("POST", "models/{slug}/versions", {"digest": "{digest}"}),
    "version": ("GET", "model-versions/{digest}", None),
    "lineage of a version": ("GET", "model-versions/{digest}/lineage?direction=up", None),
    "lineage": ("GET", "lineage/{version}?direction=up", None),
    "lineage of a decision": ("GET", "lineage/{decision}?direction=up", None),
    "evidence": ("GET", "evidence/{evidence}", None),
    "deposit": ("POST", "evidence", PERFORMANCE | {"subject": "{digest}"}),
    "decide": ("POST", "decisions", {"digest": "{digest}", "environment": "{environment}"}),
    "decision": ("GET", "decisions/{decision}", None),
    "attestation": ("GET", "decisions/{decision}/attestation", None),
    "assert": ("GET", "asserts?digest={digest}&environment={environment}", None),
    "deploy": ("POST", "deployments", {"digest": "{digest}", "environment": "{environment}"}),
    "retire": ("POST", "deployments/{deployment}/retirement", {"reason": "Replaced."}),
    "request": ("GET", "approval-requests/{request}", None),
    "sign": (
        "POST",
        "approval-requests/{request}/votes",
        {"vote": "approve", "role": "compliance", "evidence_set_digest": "{evidence_set}", "code": "000000"} | SAID,
    ),
    "prepare": ("POST", "approval-requests/{request}/signing-tickets", {}),
    "propose to revoke": ("POST", "decisions/{decision}/revocations", SAID),
    "revoke": ("POST", "revocations/{proposal}/confirmation", WRONG),
    "ask to override": ("POST", "decisions/{decision}/overrides", {}),
    "approve an override": ("POST", "overrides/{override}/steps", {"kind": "approved"} | SAID),
    "ask for an exception": ("POST", "exceptions", WAIVED | SAID | {"digest": "{digest}", "expires_at": FAR}),
    "ask for a system's": ("POST", "exceptions", WAIVED | SAID | {"system": "{system}", "expires_at": FAR}),
    "accept a risk": ("POST", "exceptions/{policyexception}/steps", {"kind": "accepted"} | SAID),
    "close a finding": ("POST", "findings/{finding}/events", {"state": "in_progress", "note": "n" * 30} | WRONG),
    "job": ("GET", "jobs/{job}", None),
    "assess": ("POST", "assessments", {"kind": "bias", "model": "{digest}", "dataset": "{digest}"}),
    "document": ("GET", "documents/{document}", None),
    "download": ("GET", "documents/{document}/content", None),
    "ask for a report": ("POST", "documents", {"kind": "report", "model": "{digest}", "environment": "e"}),
    "cancel": ("DELETE", "jobs/{job}", None),
    "release": ("DELETE", "models/{slug}/aliases/champion", None),
}
# Where the names in a body are answered for one by one, some other name can be unknown too.
BESIDE = {"assess", "ask for an exception", "ask for a system's"}


def filled(template: Any, names: dict[str, str]) -> Any:
    if isinstance(template, dict):
        return {key: filled(value, names) for key, value in template.items()}
    return template.format(**names) if isinstance(template, str) else template


def ask(api: Api, what: str, names: dict[str, str]) -> tuple[int, str]:
    method, address, body = ADDRESSES[what]
    path = f"/api/v1/{filled(address, names)}"
    answer = (
        api.post(path.removeprefix("/api/v1/"), filled(body, names)) if method == "POST" else api.call(method, path)
    )
    problem = "problem" in answer["Content-Type"]
    answer.close()
    return answer.status_code, body_of(answer)["code"] if problem else ""


def test_no_role_and_no_machine_of_another_unit_finds_anything(world: World) -> None:
    callers = {role.value: factories.person(role, unit=world.other) for role in Role}
    callers["no role"] = factories.person()
    callers["service account"] = factories.service_account(factories.person(), world.other)
    found = {}
    for name, caller in callers.items():
        api = Api(factories.token(caller))
        for what in ADDRESSES:
            if (answer := ask(api, what, world.names)) not in {(404, "unknown-record"), (404, "unknown-artifact")}:
                found[name, what] = answer
        listed = api.get("findings", system=world.names["system"])
        assert body_of(listed)["findings"] == [], name
    machines = {(name, what): answer for (name, what), answer in found.items() if answer[0] == 403}
    assert set(found) == set(machines)  # steps for people alone need a scope that machines cannot have
    assert {name for name, _ in machines} <= {"service account"}


def test_everybody_of_the_unit_and_of_the_whole_organisation_finds_it(world: World) -> None:
    callers = (factories.person(Role.COMPLIANCE, unit=world.unit), factories.person(Role.AUDITOR))
    for caller in callers:
        api = Api(factories.token(caller))
        for what in ADDRESSES:
            if what in BESIDE or ADDRESSES[what][0] == "DELETE":
                continue
            status, code = ask(api, what, world.names)
            assert status != 404, (what, code)
        assert body_of(api.get("findings", system=world.names["system"]))["findings"]


def governed() -> Iterator[tuple[str, str]]:
    """Every kind of record with pages in the admin, and the name of its pages."""
    for model, shown in admin.site._registry.items():
        if isinstance(shown, GovernedAdmin):
            yield model._meta.label, f"admin:{model._meta.app_label}_{model._meta.model_name}"


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.AUDITOR])
def test_no_page_and_no_list_of_the_admin_shows_anything_of_another_unit(world: World, role: Role) -> None:
    strangers, own = (admin_records.signed_in(factories.person(role, unit=unit)) for unit in (world.other, world.unit))
    pages = dict(governed())
    assert set(world.records) <= set(pages)
    for label, record in world.records.items():
        address, listed = reverse(f"{pages[label]}_change", args=[record.pk]), reverse(f"{pages[label]}_changelist")
        shown = [browser.get(listed) for browser in (own, strangers)]
        found = [record in page.context["cl"].queryset for page in shown]
        assert found == [True, False], label
        assert str(record.pk) not in shown[1].content.decode(), label
        assert own.get(address).status_code == 200, label
        answer = strangers.get(address, follow=True)  # as of what is not there: back to the list, which says so
        assert answer.redirect_chain == [(listed, 302)], label
        assert "There is no" in answer.content.decode(), label
    first = strangers.get(reverse("admin:index")).content.decode()
    assert world.waiting.decision.id not in first
    assert world.case.decision.id not in first


def test_every_kind_of_record_is_said_to_belong_to_systems_or_to_none() -> None:
    known = {label for label, _ in governed()}
    none = {
        "audit.Checkpoint",
        "audit.Erasure",
        "audit.LegalHold",
        "governance.AccessReview",
        "governance.AccessReviewLine",
        "governance.ApiToken",
        "governance.AttachmentProposal",
        "governance.Authenticator",
        "governance.BusinessUnit",
        "governance.Dataset",
        "governance.DatasetVersion",
        "governance.EnvironmentSnapshot",
        "governance.EvidenceTypeDraft",
        "governance.EvidenceTypeVersion",
        "governance.LineageEdge",
        "governance.Passkey",
        "governance.Policy",
        "governance.PolicyAttachment",
        "governance.PolicyDraft",
        "governance.PolicyVersion",
        "governance.ProducerKey",
        "governance.RoleGrant",
        "governance.RoleProposal",
        "governance.Run",
        "governance.TierTemplate",
        "governance.TierTemplateDraft",
        "governance.TierTemplateVersion",
        "governance.User",
    }
    assert known - set(SYSTEM_PATHS) - WHOLE_ONLY == none
    for label, paths in SYSTEM_PATHS.items():
        for path in paths:
            Sight(frozenset({"bun_x"})).of(apps.get_model(label)._default_manager.all()).exists()
            assert path or label == "governance.AiSystem"


# --- What is seen and what counts -------------------------------------------------------------------------------------
def test_what_somebody_sees_follows_from_the_roles_held_at_that_moment(world: World) -> None:
    person, now = factories.person(), timezone.now()
    assert sight_of(actor=person, at=now) == Sight(frozenset())
    factories.role_granted(person, Role.VALIDATOR, unit=world.unit)
    later = timezone.now()
    assert sight_of(actor=person, at=later) == Sight(frozenset({world.unit.id}))
    assert sight_of(actor=person, at=now) == Sight(frozenset())
    factories.role_granted(person, Role.VALIDATOR, unit=world.other)
    assert sight_of(actor=person, at=timezone.now()) == Sight(frozenset({world.unit.id, world.other.id}))
    factories.role_granted(person, Role.VALIDATOR)
    assert sight_of(actor=person, at=timezone.now()) == EVERYTHING
    factories.roles_ended(person)
    assert sight_of(actor=person, at=timezone.now()) == NOTHING
    assert sight_of(actor=factories.administrator(), at=now) == EVERYTHING


def test_an_auditor_sees_what_the_engagement_names_while_it_runs_and_nothing_else(world: World) -> None:
    auditor, until = factories.person(), timezone.now() + timedelta(days=30)
    factories.role_granted(auditor, Role.AUDITOR, until, unit=world.unit)
    common, now = factories.model_version(factories.person(Role.ENGINEER)), timezone.now()
    for at, sees in ((now, [True, False]), (until - MOMENT, [True, False]), (until, [False, False])):
        sight = sight_of(actor=auditor, at=at)
        assert [sight.sees(version) for version in (world.case.version, common)] == sees
        assert sight.sees(factories.business_unit()) is True  # names of units are no records of one
    assert sight_of(actor=auditor, at=until) == NOTHING
    looked = len(admin_records.looks(auditor))
    page = reverse("admin:governance_modelversion_change", args=[world.case.version.id])
    assert admin_records.signed_in(auditor).get(page).status_code == 200
    assert len(admin_records.looks(auditor)) == looked + 1
    for far in (None, now + timedelta(days=366)):
        with pytest.raises(RejectedInputError, match="engagement"):
            role_propose(
                officer=Officer(factories.administrator(), factories.PASSWORD),
                person=factories.person(),
                role=Role.AUDITOR,
                ends_at=far,
                reason=factories.REASON,
                at=now,
            )


def test_the_database_takes_no_auditor_without_an_end_within_a_year(database: Database) -> None:
    person = factories.person()
    insert = (
        "INSERT INTO governance_rolegrant (id, person_id, role, origin, valid_from, valid_to, end_reason) "
        "VALUES (%s, %s, 'auditor', 'account', now(), now() + %s::interval, '')"
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for lasts in (None, "366 days"):
            with pytest.raises(RestrictViolation, match="within 365 days"), connection.transaction():
                connection.execute(insert, (new_id("rgr"), person.id, lasts))
        connection.execute(insert, (new_id("rgr"), person.id, "365 days"))
        connection.rollback()


def signing_case(unit: BusinessUnit | None) -> factories.Case:
    case = factories.waiting_case()
    if unit:
        factories.assigned(case.version.model.system, unit)
    return case


def signer(unit: BusinessUnit | None) -> User:
    person = factories.person(Role.COMPLIANCE, unit=unit)
    factories.authenticator(person)
    return person


def test_a_decision_is_signed_in_a_role_that_counts_where_its_system_belongs(world: World) -> None:
    for case in (signing_case(world.unit), signing_case(None)):
        with pytest.raises(SeparationOfDutiesError, match="does not hold the role"):
            case.sign(signer(world.other))
    for unit in (world.unit, None):
        signing_case(world.unit).sign(signer(unit))
    signing_case(None).sign(signer(None))


def test_the_database_takes_no_signature_from_another_unit(database: Database, world: World) -> None:
    case, stranger = signing_case(world.unit), factories.person(Role.COMPLIANCE, unit=world.other)
    own = factories.person(Role.COMPLIANCE, unit=world.unit)
    insert = (
        "INSERT INTO governance_signature (id, request_id, signer_id, printed_name, role, vote, meaning, reason, "
        "method, statement, statement_digest, signed_at) "
        "VALUES (%s, %s, %s, 'x', 'compliance', 'approve', 'm', 'r', 'none', 'x', 'x', now())"
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for person in (stranger, factories.person(Role.MODEL_RISK, unit=world.unit)):
            with pytest.raises(RestrictViolation, match="does not hold the role"), connection.transaction():
                connection.execute(insert, (new_id("sig"), case.request.id, person.id))
        connection.execute(insert, (new_id("sig"), case.request.id, own.id))
        connection.rollback()


def test_a_machine_of_a_unit_registers_and_deposits_there_alone(world: World) -> None:
    machine = factories.service_account(factories.person(), world.unit)
    version = factories.model_version(machine)
    assert version.model.system.business_unit == world.unit
    factories.evidence(machine, version)
    other = factories.model_version(factories.service_account(factories.person(), world.other))
    with pytest.raises(GovernanceError, match="another business unit"):
        factories.evidence(machine, other)
    with pytest.raises(UnknownArtifactError):
        decision_evaluate(actor=machine, digest=Digest.from_text(other.digest), environment="e", at=timezone.now())
    slug = other.model.system.slug
    with pytest.raises(ConflictError, match="is taken"):
        system_register(actor=machine, owner=machine.owner or machine, at=timezone.now(), slug=slug, name="x")


def test_steps_of_lineage_into_another_unit_are_left_out(world: World) -> None:
    seen = sight_of(actor=factories.person(Role.AUDITOR, unit=world.other), at=timezone.now())
    deployment = world.records["governance.Deployment"]
    edges = LineageEdge.objects.filter(target_id=deployment.id)
    assert edges.exists()
    assert not seen.of(edges).exists()
    assert seen.hidden({deployment.id, world.names["version"], "run_x"}) == {deployment.id, world.names["version"]}
    assert EVERYTHING.hidden({deployment.id}) == set()


def test_entries_of_the_ledger_are_for_who_sees_every_unit(world: World) -> None:
    api = Api(factories.token(factories.person(Role.AUDITOR, unit=world.unit)))
    for address in ("audit-events/evt_x/proof", f"logs/{Log.LINEAGE}/tile/entries/000"):
        answer = api.get(address)
        assert (answer.status_code, body_of(answer)["code"]) == (403, "outside-scope")
    browser = admin_records.signed_in(factories.person(Role.AUDITOR, unit=world.unit))
    assert "evt_" not in browser.get(reverse("admin:audit_entry_changelist")).content.decode()


# --- Units themselves -------------------------------------------------------------------------------------------------
def test_an_administrator_makes_units_and_officers_of_the_whole_organisation_assign_systems(world: World) -> None:
    system = factories.model_version(factories.person(Role.ENGINEER)).model.system
    step: dict[str, Any] = {"system": system, "unit": world.unit, "reason": factories.REASON}
    for by in (
        factories.person(Role.ENGINEER),
        factories.person(Role.COMPLIANCE, unit=world.unit),
        factories.administrator(),
    ):
        with pytest.raises(GovernanceError):
            system_assign(officer=Officer(by, factories.PASSWORD), at=timezone.now(), **step)
    officer = Officer(factories.person(Role.MODEL_RISK), factories.PASSWORD)
    assert unit_of(system_assign(officer=officer, at=timezone.now(), **step)) == world.unit.id
    with pytest.raises(ConflictError):
        system_assign(officer=officer, at=timezone.now(), **step)
    made: dict[str, Any] = {"slug": factories.unique("cards"), "name": "Cards", "at": timezone.now()}
    with pytest.raises(SeparationOfDutiesError):
        unit_open(officer=officer, **made)
    administrator = Officer(factories.administrator(), factories.PASSWORD)
    unit_open(officer=administrator, **made)
    for changed in ({}, {"slug": "A b"}, {"name": " ", "slug": factories.unique("x")}):
        with pytest.raises(GovernanceError):
            unit_open(officer=administrator, **(made | changed))


def test_an_officer_of_one_unit_confirms_and_takes_away_roles_there_alone(database: Database, world: World) -> None:
    local = Officer(factories.person(Role.PRIVACY, unit=world.unit), factories.PASSWORD)
    for unit in (world.other, None):
        proposal = factories.role_proposal(factories.person(), Role.AUDITOR, unit=unit)
        with pytest.raises(SeparationOfDutiesError):
            role_confirm(officer=local, proposal=proposal, at=timezone.now())
        grant = factories.role_granted(factories.person(), Role.AUDITOR, unit=unit)
        with pytest.raises(SeparationOfDutiesError):
            role_end(officer=local, grant=grant, reason=factories.REASON, at=timezone.now())
        with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(RestrictViolation):
            connection.execute(
                "UPDATE governance_rolegrant SET valid_to = now(), ended_by_id = %s, end_reason = 'x' WHERE id = %s",
                (local.user.id, grant.id),
            )
    proposal = factories.role_proposal(factories.person(), Role.AUDITOR, unit=world.unit)
    grant = role_confirm(officer=local, proposal=proposal, at=timezone.now())
    assert role_end(officer=local, grant=grant, reason=factories.REASON, at=timezone.now()).ended_by == local.user


def test_the_database_keeps_units_and_gives_none_to_people(database: Database, world: World) -> None:
    person = factories.person()
    refused = {
        "UPDATE governance_user SET business_unit_id = %(unit)s WHERE id = %(person)s": CheckViolation,
        "UPDATE governance_businessunit SET name = 'x'": psycopg.Error,
        "DELETE FROM governance_businessunit": psycopg.Error,
        "TRUNCATE governance_businessunit CASCADE": psycopg.Error,
    }
    for url in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        for statement, error in refused.items():
            with psycopg.connect(database.environment[url]) as connection, pytest.raises(error):
                connection.execute(statement.encode(), {"unit": world.unit.id, "person": person.id})
    one, two = (factories.person(Role.AUDITOR, unit=world.unit) for _ in range(2))
    assert RoleGrant.objects.filter(person__in=(one, two), business_unit=world.unit).count() == 2


def test_who_holds_a_role_for_a_unit_counts_there_alone(world: World) -> None:
    local, now = factories.person(Role.MODEL_RISK, unit=world.unit), timezone.now()
    found = [
        local in holders_at(role=Role.MODEL_RISK, at=now, unit=unit) for unit in (world.unit.id, world.other.id, None)
    ]
    assert found == [True, False, False]
