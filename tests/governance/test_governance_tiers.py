"""The tier of a system: frozen, published by somebody independent, stale when what it rests on changes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import factories
import pytest
from api_driver import REFUSAL_RECORDED, at_once, changes, snapshot
from conftest import Database
from django.utils import timezone

from audit.models import Entry
from governance.enums import AttachmentKind, DecisionState, Methodology, Provenance, Role
from governance.errors import ConflictError, GovernanceError, RejectedInputError, SeparationOfDutiesError
from governance.models import AiSystem, Decision, Finding, TierAssessment, TierPublication, TierTemplateVersion
from governance.policy.evaluation import Context
from governance.selectors import control_evaluation
from governance.selectors.gate import gate_assert
from governance.selectors.tier_fields import TIER_FIELDS, tier_fields
from governance.selectors.tiers import publications_current, stale_reasons, template_parsed, tier_of, tier_standing
from governance.services import inventory
from governance.services.decisions import decision_evaluate
from governance.services.descriptions import Particulars, model_describe
from governance.services.officers import Officer
from governance.services.replay import decision_replay
from governance.services.tier_templates import tier_template_draft, tier_template_publish, tier_template_withdraw
from governance.services.tiers import tier_assess, tier_confirm, tier_publish, tier_withdraw
from governance.services.watch import findings_watch
from governance.tiering.errors import TierTemplateError
from governance.tiering.evaluation import tier_evaluate
from governance.tiering.fields import Snapshot
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture(scope="module", autouse=True)
def template(database: Database) -> TierTemplateVersion:
    """The template of most tests here."""
    return factories.tier_template()


def officer(*roles: Role) -> Officer:
    return Officer(factories.person(*(roles or (Role.MODEL_RISK,))), factories.PASSWORD)


def system(exposure: int | None = 10) -> AiSystem:
    """A system with one model, of which an exposure was declared."""
    owner = factories.person(Role.COMPLIANCE)
    made = factories.model_version(factories.service_account(owner)).model.system
    factories.declaration(made, owner, exposure=exposure)
    return made


def publish(assessment: TierAssessment, by: Officer | None = None) -> TierPublication:
    return tier_publish(officer=by or officer(), assessment=assessment, at=timezone.now())


def stale(assessment: TierAssessment) -> tuple[str, ...]:
    return stale_reasons(assessments=[assessment], at=timezone.now())[assessment.id]


def told(event: str, subject: str) -> list[dict[str, Any]]:
    entries = Entry.objects.filter(event_type=event, subject_id=subject).order_by("body_id")
    return [json.loads(bytes(entry.bytes))["data"] for entry in entries]


# --- Templates --------------------------------------------------------------------------------------------------------
def test_a_template_is_drafted_by_one_and_published_by_another_as_numbered_versions() -> None:
    slug, author = factories.unique("template"), factories.person(Role.COMPLIANCE)
    text = factories.tier_template_text(slug)
    first = tier_template_draft(actor=author, document=text, at=timezone.now())
    assert tier_template_draft(actor=author, document=text, at=timezone.now()) == first
    for refused in (Officer(author, factories.PASSWORD), officer(Role.ENGINEER), Officer(first.drafted_by, "wrong")):
        with pytest.raises(GovernanceError):
            tier_template_publish(officer=refused, draft=first, at=timezone.now())
    by = officer()
    version = tier_template_publish(officer=by, draft=first, at=timezone.now())
    assert tier_template_publish(officer=by, draft=first, at=timezone.now()) == version
    assert (version.number, version.tiers, version.digest) == (1, ["low", "medium", "high"], first.digest)
    assert told("tier_template.published", version.id)[0]["drafted_by"] == author.id
    second = factories.tier_template(slug, title="Another title")
    assert second.number == 2
    withdrawn = tier_template_draft(actor=author, document=text.replace("Size", "Sizes"), at=timezone.now())
    tier_template_withdraw(actor=author, draft=withdrawn, reason=factories.REASON, at=timezone.now())
    with pytest.raises(ConflictError, match="withdrawn"):
        tier_template_publish(officer=officer(), draft=withdrawn, at=timezone.now())
    for nobody in (factories.administrator(), factories.person(Role.AUDITOR)):
        with pytest.raises(SeparationOfDutiesError):
            tier_template_draft(actor=nobody, document=text, at=timezone.now())
    with pytest.raises(TierTemplateError):
        tier_template_draft(actor=author, document=text.replace("below: 4", "below: 3"), at=timezone.now())


# --- Assessing --------------------------------------------------------------------------------------------------------
def test_a_published_assessment_gives_the_tier_and_its_working_comes_out_again_byte_for_byte(
    template: TierTemplateVersion,
) -> None:
    of = system()
    assert tier_standing(system=of, at=timezone.now()).facts == {
        "system.tier": "", "system.tier_assessed": False, "system.tier_stale": False,
    }  # fmt: skip
    assessment = factories.tier_assessment(of, template)
    assert tier_of(system_id=of.id, at=timezone.now()) == ""
    by = officer()
    published = publish(assessment, by)
    assert publish(assessment, by) == published
    assert tier_standing(system=of, at=timezone.now()).facts == {
        "system.tier": "low", "system.tier_assessed": True, "system.tier_stale": False,
    }  # fmt: skip
    assert tier_of(system_id=of.id, at=published.published_at - timedelta(seconds=1)) == ""
    frozen = bytes(TierAssessment.objects.get(pk=assessment.pk).snapshot)
    again = tier_evaluate(
        template_parsed(template.document), Snapshot.from_bytes(frozen, TIER_FIELDS), Digest.of(frozen).text
    )
    assert again.to_bytes() == bytes(TierAssessment.objects.get(pk=assessment.pk).working)
    (event,) = told("tier_assessment.published", assessment.id)
    assert (event["final"], event["snapshot_digest"]) == ("low", assessment.snapshot_digest)
    assert event["drafted_by"] == assessment.drafted_by_id


def test_the_same_assessment_by_the_same_person_is_one_draft(template: TierTemplateVersion) -> None:
    of, author = system(), factories.person(Role.ENGINEER)
    first = factories.tier_assessment(of, template, actor=author)
    assert factories.tier_assessment(of, template, actor=author) == first
    assert factories.tier_assessment(of, template) != first


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "a tier that there is not": ({"final": "hihg"}, 'did you mean "high"'),
    "another tier without a reason": ({"final": "high"}, "/reason must have 20"),
    "another tier with a word": ({"final": "high", "reason": "  because  of   it    "}, "/reason must have 20"),
    "a template that nobody published": ({"template": "none"}, 'no tier template "none" is published'),
    "an auditor": ({"actor": Role.AUDITOR}, "is not a"),
}


def test_what_cannot_be_assessed_is_refused_in_words(database: Database, template: TierTemplateVersion) -> None:
    of = system()
    usual: dict[str, Any] = {"actor": Role.ENGINEER, "template": template.template.slug, "final": "", "reason": ""}
    for what, (changed, words) in ASKED.items():
        asked = usual | changed
        asked["actor"] = factories.person(asked["actor"])
        before = snapshot(database)
        with pytest.raises(GovernanceError) as refusal:
            tier_assess(system=of, at=timezone.now(), **asked)
        assert words in str(refusal.value), what
        assert not changes(before, snapshot(database)), what


def test_an_incomplete_assessment_names_what_is_missing_and_is_never_published() -> None:
    rules = [{"is": True, "points": 1}, {"is": False, "points": 0}]
    factor = {
        "id": "F", "title": "f", "aggregation": "sum", "weight": 7,
        "components": [{"field": "declared.solely_automated", "rules": rules}],
    }  # fmt: skip
    demanding = factories.tier_template(factors=[factor])
    of = system()
    incomplete = factories.tier_assessment(of, demanding)
    assert (incomplete.suggested, incomplete.final) == ("", "")
    assert json.loads(bytes(incomplete.working))["problems"] == [
        "declared.solely_automated is missing; no rule scores that"
    ]
    with pytest.raises(ConflictError, match="incomplete"):
        publish(incomplete)
    with pytest.raises(RejectedInputError, match=r"says no tier: declared\.solely_automated is missing"):
        factories.tier_assessment(of, demanding, final="low")
    factories.declaration(of, of.owner, exposure=10, solely_automated=False)
    assert publish(factories.tier_assessment(of, demanding)).assessment.final == "low"


def test_a_lower_tier_takes_a_reason_and_a_second_officer_besides_the_publisher(
    template: TierTemplateVersion,
) -> None:
    of, first, second = system(exposure=5_000_000), officer(), officer()
    lowered = factories.tier_assessment(of, template, final="medium", reason=factories.REASON)
    assert (lowered.suggested, lowered.final, lowered.is_lowered) == ("high", "medium", True)
    confirming: dict[str, Any] = {"assessment": lowered, "reason": factories.REASON}
    with pytest.raises(ConflictError, match="another officer has to confirm"):
        publish(lowered, first)
    for by, words in (
        (Officer(lowered.drafted_by, factories.PASSWORD), "is not a"),
        (officer(Role.ENGINEER), "is not"),
    ):
        with pytest.raises(SeparationOfDutiesError, match=words):
            tier_confirm(officer=by, at=timezone.now(), **confirming)
    with pytest.raises(RejectedInputError):
        tier_confirm(officer=first, at=timezone.now(), **(confirming | {"reason": "fine"}))
    tier_confirm(officer=first, at=timezone.now(), **confirming)
    with pytest.raises(ConflictError, match="confirmed already"):
        tier_confirm(officer=second, at=timezone.now(), **confirming)
    with pytest.raises(SeparationOfDutiesError, match="took part"):
        publish(lowered, first)
    publish(lowered, second)
    assert tier_of(system_id=of.id, at=timezone.now()) == "medium"
    raised = factories.tier_assessment(system(), template, final="high", reason=factories.REASON)
    with pytest.raises(ConflictError, match="nothing has to be confirmed"):
        tier_confirm(officer=first, assessment=raised, reason=factories.REASON, at=timezone.now())
    assert publish(raised, first).assessment.final == "high"


# --- Who may not publish ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Involved:
    """A system with everybody who has a part in it, each an officer, and an assessment drafted by one of them."""

    of: AiSystem
    assessment: TierAssessment


def by_developer(case: Involved) -> Officer:
    developer = factories.person(Role.COMPLIANCE)
    model_describe(
        actor=case.of.owner,
        model=case.of.models.get(),
        particulars=Particulars(
            Methodology.MACHINE_LEARNING, Provenance.INTERNAL, "", "None.", case.of.owner, developer, None
        ),
        at=timezone.now(),
    )
    return Officer(developer, factories.PASSWORD)


def by_author(case: Involved) -> Officer:
    author = factories.person(Role.COMPLIANCE)
    inventory.model_version_register(
        actor=author, model=case.of.models.get(), digest=factories.stored(factories.model_bytes(), author),
        code_commit="", parameters={}, metrics={}, at=timezone.now(),
    )  # fmt: skip
    return Officer(author, factories.PASSWORD)


REFUSED: dict[str, tuple[Callable[[Involved], Officer], str]] = {
    "who drafted it": (lambda case: Officer(case.assessment.drafted_by, factories.PASSWORD), "separation-of-duties"),
    "the system's owner": (lambda case: Officer(case.of.owner, factories.PASSWORD), "separation-of-duties"),
    "the author of a version": (by_author, "separation-of-duties"),
    "the developer of a model": (by_developer, "separation-of-duties"),
    "a superuser": (lambda _: Officer(factories.administrator(), factories.PASSWORD), "separation-of-duties"),
    "an engineer": (lambda _: officer(Role.ENGINEER), "separation-of-duties"),
    "an auditor": (lambda _: officer(Role.AUDITOR), "separation-of-duties"),
    "a service account": (lambda _: Officer(factories.service_account(factories.person()), ""), "human-required"),
    "a wrong password": (lambda _: Officer(factories.person(Role.PRIVACY), "wrong"), "reauthentication-required"),
}


def test_nobody_involved_publishes_or_confirms_and_each_attempt_is_recorded(
    database: Database, template: TierTemplateVersion
) -> None:
    of = system(exposure=5_000_000)
    drafted_by = factories.person(Role.COMPLIANCE)
    lowered = factories.tier_assessment(of, template, actor=drafted_by, final="low", reason=factories.REASON)
    for who, (make, code) in REFUSED.items():
        by = make(Involved(of, lowered))
        before = snapshot(database)
        with pytest.raises(GovernanceError) as refusal:
            publish(lowered, by)
        with pytest.raises(GovernanceError):
            tier_confirm(officer=by, assessment=lowered, reason=factories.REASON, at=timezone.now())
        assert refusal.value.code == code, who
        assert changes(before, snapshot(database)) == REFUSAL_RECORDED, who
    piped = factories.tier_assessment(of, template, actor=factories.service_account(drafted_by))
    with pytest.raises(SeparationOfDutiesError, match="took part"):
        publish(piped, Officer(drafted_by, factories.PASSWORD))
    tier_withdraw(actor=drafted_by, assessment=lowered, reason=factories.REASON, at=timezone.now())
    with pytest.raises(ConflictError, match="withdrawn"):
        publish(lowered)
    publish(piped)
    with pytest.raises(ConflictError, match="published already"):
        tier_withdraw(actor=officer().user, assessment=piped, reason=factories.REASON, at=timezone.now())


def test_two_assessments_published_at_once_are_two_publications_of_which_one_stands(
    template: TierTemplateVersion,
) -> None:
    of = system()
    drafts = [factories.tier_assessment(of, template) for _ in range(2)]
    by = [officer() for _ in drafts]
    ends = at_once(lambda: publish(drafts[0], by[0]).number, lambda: publish(drafts[1], by[1]).number)
    assert sorted(map(str, ends)) == ["1", "2"]
    assert len(publications_current(at=timezone.now(), system=of)) == 1


# --- Staleness: also of what is in force ------------------------------------------------------------------------------
def test_a_published_tier_grows_stale_when_a_field_changes_and_is_fresh_when_it_is_as_it_was(
    template: TierTemplateVersion,
) -> None:
    of = system()
    published = factories.tiered(of, template)
    factories.declaration(of, of.owner, exposure=11, generative_ai=True)
    assert stale(published.assessment) == ("declared.exposure was 10 and is 11",)
    factories.declaration(of, of.owner, exposure=None)
    assert stale(published.assessment) == ("declared.exposure was 10 and is missing",)
    inventory.model_register(actor=of.owner, system=of, slug=factories.unique("m"), name="m", at=timezone.now())
    factories.declaration(of, of.owner, exposure=10)
    assert stale(published.assessment) == ("models.count was 1 and is 2",)
    assert tier_of(system_id=of.id, at=timezone.now()) == "low"
    again = factories.tiered(of, template)
    assert (again.number, stale(again.assessment)) == (2, ())
    assert tier_standing(system=of, at=timezone.now()).publication == again
    assert tier_standing(system=of, at=again.published_at - timedelta(microseconds=1)).publication == published


def test_a_new_version_of_the_template_makes_drafts_and_published_tiers_stale() -> None:
    slug = factories.unique("template")
    version, of = factories.tier_template(slug), system()
    published, draft = factories.tiered(of, version), factories.tier_assessment(of, version)
    factories.tier_template(slug, title="Stricter")
    words = f"{slug} has a newer version, 2; this was assessed under version 1"
    assert stale(published.assessment) == stale(draft) == (words,)
    with pytest.raises(ConflictError, match="is stale"):
        publish(draft)
    assert publish(factories.tier_assessment(of, version)).assessment.template_version.number == 2


def test_a_draft_is_not_published_once_a_field_changed(template: TierTemplateVersion) -> None:
    of = system()
    draft = factories.tier_assessment(of, template)
    factories.declaration(of, of.owner, exposure=99)
    with pytest.raises(ConflictError, match=r"declared\.exposure was 10 and is 99"):
        publish(draft)


def test_a_stale_tier_of_a_system_that_is_allowed_somewhere_becomes_a_finding_once_for_each_change(
    template: TierTemplateVersion,
) -> None:
    case = factories.waiting_case()
    of = case.version.model.system
    factories.declaration(of, of.owner, exposure=10)
    factories.tiered(of, template)
    unused = system()
    factories.tiered(unused, template)
    for each in (of, unused):
        factories.declaration(each, each.owner, exposure=20)
    found = Finding.objects.filter(cause__startswith="tier:")
    findings_watch(at=timezone.now())
    assert not found.exists()
    case.sign(case.officers[0])
    for _ in range(2):
        findings_watch(at=timezone.now())
    (finding,) = found
    assert (finding.system, finding.owner, finding.severity) == (of, of.owner, "medium")
    assert finding.description == "declared.exposure was 10 and is 20"
    assert finding.due_at > timezone.now()
    factories.declaration(of, of.owner, exposure=30)
    findings_watch(at=timezone.now())
    assert found.all().count() == 2


def test_fields_are_read_for_many_systems_in_as_many_queries_as_for_one(
    template: TierTemplateVersion, django_assert_num_queries: Any
) -> None:
    systems = [system() for _ in range(3)]
    model_describe(
        actor=systems[0].owner,
        model=systems[0].models.get(),
        particulars=Particulars(Methodology.RULES, Provenance.INTERNAL, "", "None.", systems[0].owner, None, None),
        at=timezone.now(),
    )
    with django_assert_num_queries(9):
        values = tier_fields(systems=systems, names=TIER_FIELDS, at=timezone.now())
    described, bare, _ = (values[item.id] for item in systems)
    assert (described["models.methodology"], bare["models.methodology"]) == (("rules",), None)
    assert (described["models.format"], described["training_data.rows"]) == (("xgboost-json",), None)
    assert (described["system.contains_phi"], described["declared.exposure"]) == (False, 10)
    assert set(described) == set(TIER_FIELDS)


def test_a_fresh_tier_is_evidence_that_rigor_is_scaled_by_materiality(template: TierTemplateVersion) -> None:
    of, today = system(), timezone.now().date()

    def materiality() -> tuple[str, str]:
        results = control_evaluation(system=of, as_of=today).results
        (found,) = (item for item in results if item.control.id == "MRM-materiality")
        return found.outcome.value, found.reason

    missing = ("evidence_missing", "risk_tier of the system is missing")
    assert materiality() == missing
    factories.tiered(of, template)
    assert materiality()[0] == "pass"
    factories.declaration(of, of.owner, exposure=11)
    assert materiality() == missing


# --- The gate ---------------------------------------------------------------------------------------------------------
def test_a_policy_for_the_tier_is_in_force_and_a_change_of_tier_closes_the_gate(
    template: TierTemplateVersion,
) -> None:
    case = factories.waiting_case()
    of = case.version.model.system
    case.sign(case.officers[0])
    asked: dict[str, Any] = {"digest": case.digest, "environment": case.environment}
    assert gate_assert(**asked, at=timezone.now()).allowed
    strict = factories.published(case.publisher, case.environment, policy=factories.unique("strict"))
    factories.attach(strict.policy, case.environment, tier="high")
    factories.declaration(of, of.owner, exposure=10)
    factories.tiered(of, template)
    assert gate_assert(**asked, at=timezone.now()).allowed  # low: the policy for all tiers stays the one in force
    factories.declaration(of, of.owner, exposure=2_000_000)
    factories.tiered(of, template)
    closed = gate_assert(**asked, at=timezone.now())
    assert (closed.allowed, closed.reason_code) == (False, "policy-changed")
    assert case.evaluate().policy_version == strict


TIER_RULES = [
    {
        "id": "TIER-001", "title": "The tier is known and fresh", "expected": "true", "remediation": "Assess it.",
        "clause": "system.tier_assessed && !system.tier_stale && system.tier in ['low', 'medium']",
        "observed": "system.tier",
    },
]  # fmt: skip


def test_policies_read_the_tier_and_a_decision_on_it_replays(template: TierTemplateVersion) -> None:
    case = factories.waiting_case(rules=TIER_RULES)
    of = case.version.model.system
    assert (case.decision.state, case.decision.rules[0]["observed"]) == (DecisionState.FAILED, "")
    factories.declaration(of, of.owner, exposure=10)
    factories.tiered(of, template)
    passed = case.evaluate()
    assert passed.context["model"]["system.tier"] == "low"
    assert passed.state == DecisionState.PENDING
    factories.declaration(of, of.owner, exposure=11)
    denied = case.evaluate()
    assert (denied.state, denied.context["model"]["system.tier_stale"]) == (DecisionState.FAILED, True)
    for decision in Decision.objects.filter(pk__in=[case.decision.pk, passed.pk, denied.pk]):
        assert decision_replay(decision).difference == ""


def test_a_decision_from_before_there_were_tiers_still_stands_and_replays(
    monkeypatch: pytest.MonkeyPatch, template: TierTemplateVersion
) -> None:
    from governance.selectors import evidence

    class Untold:
        facts: dict[str, Any] = {}  # noqa: RUF012 - what was there before: nothing

    with monkeypatch.context() as before:
        before.setattr(evidence, "tier_standing", lambda **_: Untold)
        case = factories.waiting_case()
    stored = Context.from_bytes(bytes(case.decision.context_document))
    assert "system.tier" not in stored.model
    case.sign(case.officers[0])
    assert gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed
    assert case.evaluate() == case.decision
    case.decision.refresh_from_db()
    assert decision_replay(case.decision).difference == ""


def test_a_policy_is_not_attached_to_a_tier_that_no_template_knows(
    template: TierTemplateVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = factories.unique("tiers")
    policy = factories.published(factories.person(Role.COMPLIANCE), environment).policy
    with pytest.raises(RejectedInputError, match=r'no published tier template knows "hihg"; did you mean "high"\?'):
        factories.proposal(policy, environment, tier="hihg")
    with monkeypatch.context() as before:
        before.setattr("governance.services.attachments.tiers_known", lambda **_: ())
        with pytest.raises(RejectedInputError, match="no tier template is published"):
            factories.proposal(policy, environment, tier="high")
    proposal = factories.proposal(policy, environment, tier="high")
    assert proposal.kind == AttachmentKind.ATTACH


def test_a_decision_is_made_for_an_unassessed_system_as_before() -> None:
    case = factories.waiting_case()
    again = decision_evaluate(actor=case.requester, digest=case.digest, environment=case.environment, at=timezone.now())
    assert again == case.decision
