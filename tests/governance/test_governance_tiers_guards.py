"""Tiers in SQL, as the application and as the owner of the tables: what a service refuses, the database refuses too."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import factories
import psycopg
import pytest
from conftest import Database
from django.utils import timezone
from psycopg import sql
from psycopg.errors import (
    CheckViolation,
    InsufficientPrivilege,
    IntegrityError,
    RestrictViolation,
    UniqueViolation,
)

from governance.enums import Role
from governance.models import AiSystem, TierAssessment, TierTemplateDraft, TierTemplateVersion
from governance.services.officers import Officer
from governance.services.tier_templates import tier_template_draft, tier_template_withdraw
from governance.services.tiers import tier_confirm, tier_publish, tier_withdraw
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("keys")
TABLES = tuple(
    f"governance_tier{name}"
    for name in (
        "template", "templatedraft", "templatewithdrawal", "templateversion",
        "assessment", "confirmation", "publication", "withdrawal",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """What attacks work on.

    Attributes:
        of: A system with one published tier.
        template: The template that it was assessed under.
        published: The assessment that stands.
        low, lowered, confirmed: Open assessments: as suggested, lower than that, and lower with a confirmation.
        withdrawn, incomplete: Assessments that are so.
        draft: An open draft of a template.
        people: Who may or may not judge, by what they are.
    """

    of: AiSystem
    template: TierTemplateVersion
    published: TierAssessment
    low: TierAssessment
    lowered: TierAssessment
    confirmed: TierAssessment
    withdrawn: TierAssessment
    incomplete: TierAssessment
    draft: TierTemplateDraft
    people: dict[str, str]


@pytest.fixture(scope="module")
def rows(database: Database) -> Rows:
    now = timezone.now()
    template, owner = factories.tier_template(), factories.person(Role.COMPLIANCE)
    version = factories.model_version(factories.service_account(owner))
    of = version.model.system
    factories.declaration(of, owner, exposure=10)
    drafter = factories.person(Role.COMPLIANCE)
    published = factories.tiered(of, template).assessment
    low = factories.tier_assessment(of, template, actor=drafter)
    withdrawn = factories.tier_assessment(of, template)
    tier_withdraw(actor=withdrawn.drafted_by, assessment=withdrawn, reason=factories.REASON, at=now)
    missing = factories.tier_template(
        factors=[
            {
                "id": "F", "title": "f", "aggregation": "sum", "weight": 7,
                "components": [{"field": "declared.public_body", "rules": [{"is": True, "points": 1}]}],
            }
        ]
    )  # fmt: skip
    incomplete = factories.tier_assessment(of, missing)
    factories.declaration(of, owner, exposure=2_000_000)
    lowered = factories.tier_assessment(of, template, final="low", reason=factories.REASON)
    confirmed = factories.tier_assessment(of, template, final="medium", reason=factories.REASON)
    first = factories.person(Role.MODEL_RISK)
    tier_confirm(officer=Officer(first, factories.PASSWORD), assessment=confirmed, reason=factories.REASON, at=now)
    engineer = factories.person(Role.ENGINEER)
    texts = [factories.tier_template_text(factories.unique("template")) for _ in range(2)]
    dropped, draft = (tier_template_draft(actor=engineer, document=text, at=now) for text in texts)
    tier_template_withdraw(actor=engineer, draft=dropped, reason=factories.REASON, at=now)
    gone = factories.person(Role.COMPLIANCE)
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    return Rows(
        of, template, published, low, lowered, confirmed, withdrawn, incomplete, draft,
        {
            "anyone": factories.person(Role.PRIVACY).id,
            "owner": owner.id,
            "drafter": drafter.id,
            "confirmer": first.id,
            "service": factories.service_account(owner).id,
            "superuser": factories.administrator().id,
            "gone": gone.id,
            "engineer": engineer.id,
        },
    )  # fmt: skip


def attempt(database: Database, statement: str, values: dict[str, Any], before: str = "") -> type[Exception] | None:
    """Try a statement as the application, and take it back; give the error that it ended in."""
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        if before:
            connection.execute(before, values)
        try:
            connection.execute(statement, values)
        except psycopg.Error as error:
            return type(error)
        finally:
            connection.rollback()
    return None


PUBLISH = (
    "INSERT INTO governance_tierpublication (id, assessment_id, system_id, number, published_by_id, published_at) "
    "VALUES (%(id)s, %(assessment)s, %(system)s, %(number)s, %(by)s, %(at)s)"
)
PUBLICATIONS: dict[str, tuple[dict[str, Any], type[psycopg.Error]]] = {
    "by who drafted it": ({"by": "drafter"}, RestrictViolation),
    "by the system's owner and author": ({"by": "owner"}, RestrictViolation),
    "by a service account": ({"by": "service"}, RestrictViolation),
    "by a superuser": ({"by": "superuser"}, RestrictViolation),
    "by somebody who is not active": ({"by": "gone"}, RestrictViolation),
    "by nobody": ({"by": None}, RestrictViolation),
    "of what is published": ({"assessment": "published"}, RestrictViolation),
    "of what was withdrawn": ({"assessment": "withdrawn"}, RestrictViolation),
    "of what is incomplete": ({"assessment": "incomplete"}, RestrictViolation),
    "of a lower tier that nobody confirmed": ({"assessment": "lowered"}, RestrictViolation),
    "of a lower tier by who confirmed it": ({"assessment": "confirmed", "by": "confirmer"}, RestrictViolation),
    "of nothing": ({"assessment": "none"}, RestrictViolation),
    "of another system": ({"system": "sys_other"}, RestrictViolation),
    "with the number of the one before": ({"number": 1}, RestrictViolation),
    "with a number left out": ({"number": 3}, RestrictViolation),
    "before the one before": ({"at": timezone.now() - timedelta(days=9)}, RestrictViolation),
}


def publication(rows: Rows, changed: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {"assessment": "low", "by": "anyone"} | changed
    return {
        "id": new_id("tpb"), "system": rows.of.id, "number": 2, "at": timezone.now(),
        **{name: value for name, value in changed.items() if name not in {"assessment", "by"}},
        "assessment": getattr(rows, named["assessment"]).id if hasattr(rows, named["assessment"]) else "tas_none",
        "by": rows.people.get(named["by"]),
    }  # fmt: skip


def test_the_database_takes_right_publications_and_refuses_all_others(database: Database, rows: Rows) -> None:
    for right in ({}, {"assessment": "confirmed"}, {"by": "confirmer"}):
        assert attempt(database, PUBLISH, publication(rows, right)) is None, right
    for what, (changed, error) in PUBLICATIONS.items():
        assert attempt(database, PUBLISH, publication(rows, changed)) is error, what


def test_the_database_refuses_what_was_assessed_under_an_older_version(database: Database, rows: Rows) -> None:
    slug = factories.unique("template")
    old = factories.tier_assessment(rows.of, factories.tier_template(slug))
    factories.tier_template(slug, title="Newer")
    values = publication(rows, {}) | {"assessment": old.id}
    assert attempt(database, PUBLISH, values) is RestrictViolation


CONFIRM = (
    "INSERT INTO governance_tierconfirmation (id, assessment_id, reason, confirmed_by_id, confirmed_at) "
    "VALUES (%(id)s, %(assessment)s, 'r', %(by)s, now())"
)
CONFIRMATIONS: dict[str, tuple[str, str, type[psycopg.Error]]] = {
    "of a tier as suggested": ("low", "anyone", RestrictViolation),
    "of what was withdrawn": ("withdrawn", "anyone", RestrictViolation),
    "a second time": ("confirmed", "anyone", UniqueViolation),
    "by the owner": ("lowered", "owner", RestrictViolation),
    "by a service account": ("lowered", "service", RestrictViolation),
    "by a superuser": ("lowered", "superuser", RestrictViolation),
}


def test_the_database_refuses_a_confirmation_that_is_none(database: Database, rows: Rows) -> None:
    def values(assessment: str, by: str) -> dict[str, Any]:
        return {"id": new_id("tcf"), "assessment": getattr(rows, assessment).id, "by": rows.people[by]}

    assert attempt(database, CONFIRM, values("lowered", "anyone")) is None
    for what, (assessment, by, error) in CONFIRMATIONS.items():
        assert attempt(database, CONFIRM, values(assessment, by)) is error, what


ASSESS = (
    "INSERT INTO governance_tierassessment (id, system_id, template_version_id, snapshot, snapshot_digest, working, "
    "working_digest, suggested, final, reason, drafted_by_id, drafted_at) VALUES (%(id)s, %(system)s, %(version)s, "
    "%(snapshot)s, %(snapshot_digest)s, %(working)s, %(working_digest)s, %(suggested)s, %(final)s, %(reason)s, "
    "%(by)s, now())"
)


def told_otherwise(values: dict[str, Any], name: str, **changed: Any) -> dict[str, Any]:
    """Forge the frozen bytes, with a digest that fits them."""
    forged = json.dumps(json.loads(values[name]) | changed).encode()
    return {name: forged, f"{name}_digest": Digest.of(forged).text}


ASSESSMENTS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], type[psycopg.Error]]] = {
    "of a tier that there is not": (lambda _: {"final": "top", "reason": "r" * 20}, RestrictViolation),
    "of another tier without a reason": (lambda _: {"final": "high"}, CheckViolation),
    "of another tier for spaces": (lambda _: {"final": "high", "reason": " " * 30}, CheckViolation),
    "of no tier, though complete": (lambda _: {"final": "", "reason": "r" * 20}, IntegrityError),
    "that suggests another tier than its working": (
        lambda _: {"suggested": "high", "final": "high"}, RestrictViolation
    ),
    "whose fields are not those hashed": (lambda v: {"snapshot": v["snapshot"] + b" "}, CheckViolation),
    "whose working is not that hashed": (lambda v: {"working": v["working"] + b" "}, CheckViolation),
    "whose working tells of other fields": (
        lambda v: told_otherwise(v, "working", fields_digest="sha256:" + "0" * 64), RestrictViolation
    ),
    "whose working is of another template": (
        lambda v: told_otherwise(v, "working", template_digest="sha256:" + "0" * 64), RestrictViolation
    ),
    "whose fields are of another system": (
        lambda v: told_otherwise(v, "snapshot", system="sys_other"), RestrictViolation
    ),
    "of a system that there is not": (lambda _: {"system": "sys_other"}, RestrictViolation),
}  # fmt: skip


def test_the_database_refuses_an_assessment_that_is_not_what_its_bytes_say(database: Database, rows: Rows) -> None:
    low = TierAssessment.objects.get(pk=rows.low.pk)
    right = {
        "id": new_id("tas"), "system": low.system_id, "version": low.template_version_id, "reason": "",
        "snapshot": bytes(low.snapshot), "snapshot_digest": low.snapshot_digest, "working": bytes(low.working),
        "working_digest": low.working_digest, "suggested": "low", "final": "low", "by": low.drafted_by_id,
    }  # fmt: skip
    assert attempt(database, ASSESS, right) is None
    for what, (change, error) in ASSESSMENTS.items():
        raised = attempt(database, ASSESS, right | change(right))
        assert raised is not None, what
        assert issubclass(raised, error), (what, raised)


VERSION = (
    "INSERT INTO governance_tiertemplateversion (id, template_id, draft_id, number, document, digest, tiers, "
    "published_by_id, published_at) VALUES (%(id)s, %(template)s, %(draft)s, %(number)s, %(document)s, %(digest)s, "
    "%(tiers)s, %(by)s, now())"
)
VERSIONS: dict[str, tuple[dict[str, Any], type[psycopg.Error]]] = {
    "by its author": ({"by": "engineer"}, RestrictViolation),
    "by a service account": ({"by": "service"}, RestrictViolation),
    "by a superuser": ({"by": "superuser"}, RestrictViolation),
    "of another text": ({"document": "x"}, RestrictViolation),
    "as another template": ({"template": "ttp_other"}, RestrictViolation),
    "of nothing": ({"draft": "ttd_none"}, RestrictViolation),
    "with one tier": ({"tiers": ["low"]}, CheckViolation),
    "with a tier without a name": ({"tiers": ["low", ""]}, CheckViolation),
}


def test_the_database_refuses_a_template_that_nobody_else_drafted(database: Database, rows: Rows) -> None:
    template = "INSERT INTO governance_tiertemplate (id, slug, created_at) VALUES ('ttp_1', %(slug)s, now())"
    right = {
        "id": new_id("ttv"), "template": "ttp_1", "draft": rows.draft.id, "number": 1, "slug": rows.draft.slug,
        "document": rows.draft.document, "digest": rows.draft.digest, "tiers": ["low", "medium", "high"],
    }  # fmt: skip
    for what, (changed, error) in {"right": ({}, None), **VERSIONS}.items():
        values = right | changed | {"by": rows.people[changed.get("by", "anyone")]}
        assert attempt(database, VERSION, values, before=template) is error, what


@pytest.mark.parametrize("table", TABLES)
def test_what_was_recorded_of_tiers_stays(database: Database, rows: Rows, table: str) -> None:
    tier_publish_once(rows)
    for role, refusals in (("MIGRATION_", RestrictViolation), ("", InsufficientPrivilege)):
        for statement in ("UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with psycopg.connect(database.environment[f"{role}DATABASE_URL"]) as connection:
                assert connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))).rowcount == 1
                with pytest.raises(refusals):
                    connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


def tier_publish_once(rows: Rows) -> None:
    """A confirmation and a publication that a service made, so that no table is empty."""
    by = Officer(factories.person(Role.PRIVACY), factories.PASSWORD)
    if not hasattr(TierAssessment.objects.get(pk=rows.confirmed.pk), "publication"):
        tier_publish(officer=by, assessment=rows.confirmed, at=timezone.now())
