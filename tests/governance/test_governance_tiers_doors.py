"""Tiers through the API and in the admin: the same steps, the same refusals, every look logged."""

import html
from dataclasses import dataclass
from typing import Any

import factories
import pytest
from admin_records import looks, signed_in
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.urls import reverse

from governance.enums import Role, Scope
from governance.models import AiSystem, TierAssessment, TierTemplateDraft, User
from governance.selectors.tier_fields import TIER_FIELDS

pytestmark = pytest.mark.usefixtures("keys")
PASSWORD = {"password": factories.PASSWORD}
REASON = {"reason": factories.REASON}


@dataclass(frozen=True)
class People:
    """An engineer who drafts, an officer who publishes, and a system of somebody else."""

    author: User
    officer: User
    drafts: Api
    publishes: Api
    of: AiSystem


@pytest.fixture(scope="module")
def people(database: Database) -> People:
    author, officer = factories.person(Role.ENGINEER), factories.person(Role.COMPLIANCE)
    owner = factories.person(Role.COMPLIANCE)
    of = factories.model_version(factories.service_account(owner)).model.system
    factories.declaration(of, owner, exposure=10)
    return People(author, officer, Api(factories.token(author)), Api(factories.token(officer)), of)


def test_from_template_to_tier_through_the_api(database: Database, people: People) -> None:
    slug = factories.unique("template")
    text = factories.tier_template_text(slug)
    before = snapshot(database)
    checked = require(people.drafts.post("tier-templates:check", {"document": text.replace("hi", "ih")}), 200)
    assert not checked["valid"]
    assert checked["diagnostics"][0]["excerpt"].endswith("^")
    problem = require_problem(
        people.drafts.post("tier-templates", {"document": text.replace("below: 4", "below: 5")}),
        422, "tier-template-invalid",
    )  # fmt: skip
    assert [fault["pointer"] for fault in problem["errors"]] == ["/thresholds/1/from"]
    assert not changes(before, snapshot(database))

    draft = require(people.drafts.post("tier-templates", {"document": text}), 201)
    publication = f"tier-template-drafts/{draft['id']}/publication"
    require_problem(people.drafts.post(publication, PASSWORD), 403, "separation-of-duties")
    version = require(people.publishes.post(publication, PASSWORD), 201)
    assert (version["number"], version["tiers"]) == (1, ["low", "medium", "high"])
    assert require(people.drafts.get(f"tier-template-drafts/{draft['id']}"), 200)["state"] == "published"
    assert version["id"] in {item["id"] for item in require(people.drafts.get("tier-templates"), 200)}

    assess = f"systems/{people.of.slug}/tier-assessments"
    require_problem(people.drafts.post(assess, {"template": "none"}), 409, "state-conflict")
    assessment = require(people.drafts.post(assess, {"template": slug}), 201)
    assert (assessment["suggested"], assessment["state"], assessment["stale"]) == ("low", "open", [])
    assert assessment["working"]["total"] == 3
    steps = f"tier-assessments/{assessment['id']}"
    require_problem(people.publishes.post(f"{steps}/publication", {"password": "x"}), 403, "reauthentication-required")
    published = require(people.publishes.post(f"{steps}/publication", PASSWORD), 201)
    assert (published["state"], published["published_by"]) == ("published", people.officer.printed_name)
    factories.declaration(people.of, people.of.owner, exposure=11)
    tier = require(people.drafts.get(f"systems/{people.of.id}/tier"), 200)
    assert tier == {
        "system": people.of.id, "tier": "low", "assessed": True, "assessment": assessment["id"],
        "stale": ["declared.exposure was 10 and is 11"],
    }  # fmt: skip
    lower = {"template": slug, "final": "medium", "reason": factories.REASON}
    raised = require(people.drafts.post(assess, lower), 201)
    assert raised["needs_confirmation"] is False
    withdrawal = f"tier-assessments/{raised['id']}/withdrawal"
    assert require(people.drafts.post(withdrawal, REASON), 201)["state"] == "withdrawn"
    require_problem(people.drafts.post(f"{steps}/withdrawal", REASON), 409, "state-conflict")


def test_a_lower_tier_is_confirmed_through_the_api_and_each_step_needs_its_scope(people: People) -> None:
    template = factories.tier_template().template.slug
    factories.declaration(people.of, people.of.owner, exposure=5_000_000)
    asked = {"template": template, "final": "low", "reason": factories.REASON}
    lowered = require(people.drafts.post(f"systems/{people.of.slug}/tier-assessments", asked), 201)
    assert lowered["needs_confirmation"]
    steps = f"tier-assessments/{lowered['id']}"
    only_drafts = Api(factories.token(people.officer, Scope.POLICY_DRAFT))
    for path in ("confirmation", "publication"):
        require_problem(only_drafts.post(f"{steps}/{path}", REASON | PASSWORD), 403, "insufficient-scope")
    require_problem(only_drafts.get(steps), 403, "insufficient-scope")
    require_problem(people.publishes.post(f"{steps}/publication", PASSWORD), 409, "state-conflict")
    confirmed = require(people.publishes.post(f"{steps}/confirmation", REASON | PASSWORD), 201)
    assert confirmed["confirmed_by"] == people.officer.printed_name
    require_problem(people.publishes.post(f"{steps}/publication", PASSWORD), 403, "separation-of-duties")
    second = Api(factories.token(factories.person(Role.PRIVACY)))
    assert require(second.post(f"{steps}/publication", PASSWORD), 201)["final"] == "low"


def test_every_field_that_a_template_may_name_is_listed_with_its_kind(people: People) -> None:
    fields = require(people.drafts.get("tier-fields"), 200)
    assert {item["name"]: item["kind"] for item in fields} == {name: f.kind for name, f in TIER_FIELDS.items()}


# --- The admin --------------------------------------------------------------------------------------------------------
def words(response: Any) -> str:
    return html.unescape(response.content.decode())


def address(model: str, page: str, *identity: str) -> str:
    return reverse(f"admin:governance_{model}_{page}", args=identity)


def test_from_template_to_tier_in_the_admin(people: People) -> None:
    author, officer = signed_in(people.author), signed_in(people.officer)
    slug = factories.unique("template")
    text = factories.tier_template_text(slug)
    form = address("tiertemplatedraft", "draft")
    refused = words(author.post(form, {"document": text.replace("below: 4", "below: 5")}))
    assert "Not drafted." in refused
    assert "an overlap: totals from 4 have the tier low already" in refused
    author.post(form, {"document": text.replace("\n", "\r\n")})
    draft = TierTemplateDraft.objects.get(slug=slug)
    assert draft.document == text
    assert "You cannot publish it" in words(author.get(address("tiertemplatedraft", "change", draft.id)))
    done = officer.post(address("tiertemplatedraft", "publish", draft.id), PASSWORD, follow=True)
    assert f"Published as {slug} v1." in words(done)

    factories.declaration(people.of, people.of.owner, exposure=10)
    assess = address("aisystem", "assess", people.of.id)
    assert slug in words(author.get(assess))
    author.post(assess, {"template": slug, "final": "", "reason": ""})
    assessment = TierAssessment.objects.get(template_version__draft=draft)
    shown = words(officer.get(address("tierassessment", "change", assessment.id)))
    for said in ("SIZE: Money at risk", "declared.exposure", "below 1000000", "from 0, below 4", "is true"):
        assert said in shown
    publish = address("tierassessment", "publish", assessment.id)
    assert "declared.exposure" in words(officer.get(publish))
    assert "Not published." in words(officer.post(publish, {"password": "wrong"}))
    assert "Published." in words(officer.post(publish, PASSWORD, follow=True))
    assert "as assessed" in words(officer.get(address("aisystem", "change", people.of.id)))

    factories.declaration(people.of, people.of.owner, exposure=12)
    why = "declared.exposure was 10 and is 12"
    for page in (address("aisystem", "change", people.of.id), address("tierassessment", "change", assessment.id)):
        assert why in words(officer.get(page))
    assert ">stale<" in words(officer.get(address("tierassessment", "changelist")))
    assert ("tier_assessment", assessment.id) in {(look.kind, look.identity) for look in looks(people.officer)}


def test_a_lower_tier_is_confirmed_and_an_auditor_assesses_nothing_in_the_admin(people: People) -> None:
    template = factories.tier_template().template.slug
    factories.declaration(people.of, people.of.owner, exposure=5_000_000)
    assess = address("aisystem", "assess", people.of.id)
    auditor = signed_in(factories.person(Role.AUDITOR))
    sent = {"template": template, "final": "low", "reason": factories.REASON}
    assert "Not assessed." in words(auditor.post(assess, sent))
    assert not TierAssessment.objects.filter(template_version__template__slug=template).exists()
    signed_in(people.author).post(assess, sent)
    lowered = TierAssessment.objects.get(template_version__template__slug=template)
    officer = signed_in(people.officer)
    page = address("tierassessment", "change", lowered.id)
    assert "another officer has to confirm that first" in words(officer.get(page))
    confirm = address("tierassessment", "confirm", lowered.id)
    assert "The template suggests high." in words(officer.get(confirm))
    assert "Confirmed." in words(officer.post(confirm, REASON | PASSWORD, follow=True))
    assert "took part in this already" in words(officer.get(page))
    second = signed_in(factories.person(Role.PRIVACY))
    second.post(address("tierassessment", "publish", lowered.id), PASSWORD)
    assert "Withdraw" not in words(second.get(page))
    assert lowered.final in words(second.get(page))
