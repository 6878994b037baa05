"""Types of evidence that an installation makes itself: closed, bounded, by two people, and the same for ever."""

import json
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone

from audit.models import Entry
from governance.enums import DecisionState, Role
from governance.errors import ConflictError, GovernanceError, SeparationOfDutiesError, UnknownRecordError
from governance.evidence.errors import EvidenceRefusedError
from governance.evidence.own_types import DIGEST_PATTERN, Definition
from governance.evidence.registry import About
from governance.models import Decision, EvidenceTypeDraft, EvidenceTypeVersion, ModelVersion, User
from governance.policy.errors import PolicyError
from governance.services.decisions import decision_evaluate
from governance.services.evidence_types import evidence_type_draft, evidence_type_publish, evidence_type_retire
from governance.services.officers import Officer
from governance.services.replay import decision_replay
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")
SCORE = {"type": "number", "minimum": 0, "maximum": 1}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score"],
    "properties": {
        "score": SCORE,
        "panel": {"type": "integer", "minimum": 1, "maximum": 99},
        "unanimous": {"type": ["boolean", "null"]},
        "verdict": {"type": "string", "enum": ["pass", "fail"]},
        "held_on": {"type": "string", "format": "date"},
        "minutes": {"type": "string", "pattern": DIGEST_PATTERN},
        "remarks": {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 200}},
    },
}


@pytest.fixture(scope="module")
def drafter(database: Database) -> Officer:
    return Officer(factories.person(Role.MODEL_RISK), factories.PASSWORD)


@pytest.fixture(scope="module")
def publisher(database: Database) -> Officer:
    return Officer(factories.person(Role.COMPLIANCE), factories.PASSWORD)


@pytest.fixture(scope="module")
def producer(database: Database) -> User:
    return factories.person(Role.ENGINEER)


def definition(**changes: Any) -> Definition:
    stated: dict[str, Any] = {
        "name": factories.unique("x_panel").replace("-", "_"),
        "title": "Review by a panel",
        "description": "What the ethics panel said.",
        "about": About.MODEL_VERSION,
        "fresh_days": 90,
        "schema": SCHEMA,
    }
    return Definition(**(stated | changes))


def published(drafter: Officer, publisher: Officer, **stated: Any) -> EvidenceTypeVersion:
    draft = evidence_type_draft(officer=drafter, definition=definition(**stated), at=timezone.now())
    return evidence_type_publish(officer=publisher, draft=draft, at=timezone.now())


def ruled(name: str, clause: str, observed: str) -> str:
    environment = factories.unique("owned")
    rule = {"id": "R-1", "title": "Panel", "expected": "e", "remediation": "Do.", "evidence": name}
    rules = [rule | {"clause": clause, "observed": observed}]
    factories.policy(factories.person(Role.COMPLIANCE), environment, rules=rules)
    return environment


def decide(version: ModelVersion, environment: str) -> Decision:
    made = decision_evaluate(
        actor=factories.person(), digest=Digest.from_text(version.digest), environment=environment, at=timezone.now()
    )
    return Decision.objects.get(pk=made.pk)


def test_a_policy_names_a_type_as_soon_as_it_is_published_and_decides_by_it(
    drafter: Officer, publisher: Officer, producer: User
) -> None:
    made = definition()
    clause = f"{made.name}.score >= 0.8 && !{made.name}.measured"
    with pytest.raises(PolicyError, match="unknown evidence type"):
        ruled(made.name, clause, f"{made.name}.score")
    draft = evidence_type_draft(officer=drafter, definition=made, at=timezone.now())
    with pytest.raises(EvidenceRefusedError, match="unknown type"):
        factories.deposited(producer, factories.model_version(producer), made.name, {"score": 0.9})
    evidence_type_publish(officer=publisher, draft=draft, at=timezone.now())
    with pytest.raises(PolicyError, match="did you mean"):
        ruled(made.name, f"{made.name}.scor >= 0.8", f"{made.name}.score")
    environment = ruled(made.name, clause, f"{made.name}.score")
    good, bad = (factories.model_version(producer) for _ in range(2))
    with pytest.raises(EvidenceRefusedError, match="/payload/scor: unknown field; did you mean"):
        factories.deposited(producer, good, made.name, {"score": 0.9, "scor": 0.9})
    evidence = factories.deposited(producer, good, made.name, {"score": 0.9, "unanimous": None})
    factories.deposited(producer, bad, made.name, {"score": 0.5})
    passing, failing = decide(good, environment), decide(bad, environment)
    assert (passing.state, failing.state) == (DecisionState.PENDING, DecisionState.FAILED)
    assert (evidence.valid_until - evidence.collected_at).days == 90
    assert passing.context["types"] == {made.name: draft.digest}
    assert decision_replay(passing).is_same
    assert decision_replay(failing).is_same


def test_a_later_version_takes_nothing_away_and_old_decisions_come_out_as_they_were(
    drafter: Officer, publisher: Officer, producer: User
) -> None:
    first = published(drafter, publisher)
    version = factories.model_version(producer)
    environment = ruled(first.name, f"{first.name}.score >= 0.8", f"{first.name}.score")
    factories.deposited(producer, version, first.name, {"score": 0.9})
    decision = decide(version, environment)
    wider = SCHEMA | {"properties": SCHEMA["properties"] | {"quorum": SCORE}}
    less = {name: field for name, field in SCHEMA["properties"].items() if name != "panel"}
    for change, pointer in (
        ({"schema": SCHEMA | {"properties": less}}, "/schema/properties/panel"),
        ({"schema": SCHEMA | {"properties": less | {"panel": SCORE}}}, "/schema/properties/panel/type"),
        ({"about": About.SYSTEM}, "/about"),
    ):
        with pytest.raises(EvidenceRefusedError) as refusal:
            evidence_type_draft(officer=drafter, definition=definition(name=first.name, **change), at=timezone.now())
        assert [fault.pointer for fault in refusal.value.faults] == [pointer]
    second = published(drafter, publisher, name=first.name, schema=wider)
    assert (second.number, decision.context["types"]) == (2, {first.name: first.digest})
    assert decision_replay(decision).is_same
    ruled(first.name, f"{first.name}.quorum >= 0.5", f"{first.name}.quorum")
    other = factories.model_version(producer)
    evidence = factories.deposited(producer, other, first.name, {"score": 0.9, "quorum": 0.4})
    assert (evidence.schema_version, decide(other, environment).context["types"]) == (2, {first.name: second.digest})
    decision.context_document = bytes(decision.context_document).replace(first.digest.encode(), b"sha256:" + b"0" * 64)
    decision.context_digest = Digest.of(decision.context_document).text
    assert "not defined as it was then" in decision_replay(decision).difference


def test_a_retired_type_is_taken_no_more_and_what_is_there_goes_on_counting(
    drafter: Officer, publisher: Officer, producer: User
) -> None:
    made = published(drafter, publisher)
    version = factories.model_version(producer)
    environment = ruled(made.name, f"{made.name}.score >= 0.8", f"{made.name}.score")
    factories.deposited(producer, version, made.name, {"score": 0.9})
    evidence_type_retire(officer=drafter, name=made.name, reason=factories.REASON, at=timezone.now())
    assert decide(version, environment).state == DecisionState.PENDING
    with pytest.raises(EvidenceRefusedError, match="retired"):
        factories.deposited(producer, factories.model_version(producer), made.name, {"score": 0.9})
    with pytest.raises(ConflictError, match="was retired"):
        evidence_type_draft(officer=drafter, definition=definition(name=made.name), at=timezone.now())
    with pytest.raises(ConflictError, match="was retired"):
        evidence_type_retire(officer=drafter, name=made.name, reason=factories.REASON, at=timezone.now())
    with pytest.raises(UnknownRecordError):
        evidence_type_retire(officer=drafter, name="bias", reason=factories.REASON, at=timezone.now())


def field(schema: Any, name: str = "score") -> dict[str, Any]:
    return {"schema": SCHEMA | {"required": [], "properties": {name: schema}}}


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "boolean"}
    for _ in range(depth):
        inner = {"type": "object", "additionalProperties": False, "properties": {"inner": inner}}
    return inner


FIELD = "/schema/properties/score"
FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "a name without x_": ({"name": "panel"}, "/name"),
    "the name of another type": ({"name": "bias"}, "/name"),
    "capitals": ({"name": "x_Panel"}, "/name"),
    "a hyphen": ({"name": "x_a-b"}, "/name"),
    "a line after the name": ({"name": "x_panel\n"}, "/name"),
    "a long name": ({"name": "x_" + "a" * 39}, "/name"),
    "no title": ({"title": " "}, "/title"),
    "no description": ({"description": ""}, "/description"),
    "never fresh": ({"fresh_days": 0}, "/fresh_days"),
    "fresh for ever": ({"fresh_days": 3651}, "/fresh_days"),
    "no object": ({"schema": {"type": "array"}}, "/schema"),
    "open": (
        {"schema": {k: v for k, v in SCHEMA.items() if k != "additionalProperties"}},
        "/schema/additionalProperties",
    ),
    "open inside": (field({"type": "object", "properties": {"a": SCORE}}), f"{FIELD}/additionalProperties"),
    "free names": (field({"type": "object", "additionalProperties": SCORE}), f"{FIELD}/additionalProperties"),
    "no fields": ({"schema": SCHEMA | {"properties": {}}}, "/schema/properties"),
    "too many fields": (
        {"schema": SCHEMA | {"required": [], "properties": {f"f{n}": SCORE for n in range(65)}}},
        "/schema/properties",
    ),
    "a reference": (field({"$ref": "https://example.org/schema.json"}), f"{FIELD}/type"),
    "a reference beside a type": (field(SCORE | {"$ref": "#"}), f"{FIELD}/$ref"),
    "definitions": ({"schema": SCHEMA | {"$defs": {}}}, "/schema/$defs"),
    "another dialect": ({"schema": SCHEMA | {"$schema": "http://json-schema.org/draft-07/schema#"}}, "/schema/$schema"),
    "an alternative": (field({"anyOf": [SCORE]}), f"{FIELD}/type"),
    "a condition": (field(SCORE | {"if": {}}), f"{FIELD}/if"),
    "a pattern that explodes": (field({"type": "string", "pattern": "^(a+)+$"}), f"{FIELD}/pattern"),
    "names by pattern": ({"schema": SCHEMA | {"patternProperties": {"^(a+)+$": SCORE}}}, "/schema/patternProperties"),
    "a text without an end": (field({"type": "string"}), f"{FIELD}/maxLength"),
    "a text that is too long": (field({"type": "string", "maxLength": 4001}), f"{FIELD}/maxLength"),
    "a list without an end": (field({"type": "array", "items": SCORE}), f"{FIELD}/maxItems"),
    "a list of anything": (field({"type": "array", "maxItems": 3}), f"{FIELD}/items"),
    "a number without bounds": (field({"type": "number"}), FIELD),
    "bounds that are none": (field({"type": "number", "minimum": True, "maximum": 2}), FIELD),
    "bounds the wrong way": (field({"type": "integer", "minimum": 2, "maximum": 1}), f"{FIELD}/minimum"),
    "NaN for a bound": (field({"type": "number", "minimum": float("nan"), "maximum": 1}), "/schema"),
    "two types": (field({"type": ["string", "number"]}), f"{FIELD}/type"),
    "an unknown type": (field({"type": "text"}), f"{FIELD}/type"),
    "another format": (field({"type": "string", "format": "email"}), f"{FIELD}/format"),
    "no choice": (field({"type": "string", "enum": []}), f"{FIELD}/enum"),
    "numbers to choose from": (field({"type": "string", "enum": [1]}), f"{FIELD}/enum"),
    "a misspelt word": (field(SCORE | {"minimun": 1}), f"{FIELD}/minimun"),
    "a field that claims to be measured": (field(SCORE, "measured"), "/schema/properties/measured"),
    "a field that claims to be signed": (field(SCORE, "signed"), "/schema/properties/signed"),
    "a word of the language": (field(SCORE, "in"), "/schema/properties/in"),
    "a field with a dot": (field(SCORE, "a.b"), "/schema/properties/a.b"),
    "a required field that is not there": ({"schema": SCHEMA | {"required": ["scor"]}}, "/schema/required"),
    "required twice": ({"schema": SCHEMA | {"required": ["score", "score"]}}, "/schema/required"),
    "too deep": (field(nested(4)), "/schema/properties/score/properties/inner/properties/inner/properties/inner"),
    "far too deep": (field(nested(5000)), "/schema"),
    "too large": (field({"type": "string", "enum": ["x" * 400] * 90}), "/schema"),
}


def test_a_definition_that_is_not_closed_and_bounded_is_refused_with_its_place(
    database: Database, drafter: Officer
) -> None:
    before = snapshot(database)
    for what, (change, pointer) in FAULTY.items():
        with pytest.raises(EvidenceRefusedError) as refusal:
            evidence_type_draft(officer=drafter, definition=definition(**change), at=timezone.now())
        assert pointer in [fault.pointer for fault in refusal.value.faults], (what, refusal.value.faults)
    assert changes(before, snapshot(database)) <= {"ledger.body", "ledger.queue"}


@pytest.mark.parametrize("who", ["drafter", "engineer", "service", "superuser", "wrong password"])
def test_only_a_second_officer_publishes(database: Database, drafter: Officer, publisher: Officer, who: str) -> None:
    draft = evidence_type_draft(officer=drafter, definition=definition(), at=timezone.now())
    people = {
        "drafter": drafter.user,
        "engineer": factories.person(Role.ENGINEER),
        "service": factories.service_account(publisher.user),
        "superuser": factories.administrator(),
    }
    by = Officer(people.get(who, publisher.user), "wrong" if who == "wrong password" else factories.PASSWORD)
    with pytest.raises(GovernanceError):
        evidence_type_publish(officer=by, draft=draft, at=timezone.now())
    insert = (
        "INSERT INTO governance_evidencetypeversion (id, draft_id, name, number, document, digest, published_by_id, "
        "published_at) SELECT %s, id, name, {number}, document, digest, %s, now() FROM governance_evidencetypedraft "
        "WHERE id = %s"
    )
    refused = pytest.raises(psycopg.errors.RestrictViolation)
    if who in {"drafter", "service", "superuser"}:
        with psycopg.connect(database.environment["DATABASE_URL"]) as connection, refused:
            connection.execute(insert.format(number="number").encode(), (new_id("etv"), by.user.id, draft.id))
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection, refused:
        connection.execute(insert.format(number=7).encode(), (new_id("etv"), publisher.user.id, draft.id))
    version = evidence_type_publish(officer=publisher, draft=draft, at=timezone.now())
    with pytest.raises(ConflictError, match="published already"):
        evidence_type_publish(officer=publisher, draft=draft, at=timezone.now())
    events = Entry.objects.filter(subject_id__in=(draft.id, version.id)).order_by("body_id")
    told = [event for event in events.values_list("event_type", flat=True) if event.startswith("evidence_type")]
    assert told == ["evidence_type.drafted", "evidence_type.published"]


def test_of_two_drafts_of_a_version_one_is_published(drafter: Officer, publisher: Officer) -> None:
    one, two = (
        evidence_type_draft(officer=drafter, definition=stated, at=timezone.now())
        for name in [definition().name]
        for stated in (definition(name=name), definition(name=name, title="Another"))
    )
    evidence_type_publish(officer=publisher, draft=one, at=timezone.now())
    with pytest.raises(ConflictError, match="published since"):
        evidence_type_publish(officer=publisher, draft=two, at=timezone.now())
    with pytest.raises(SeparationOfDutiesError):
        evidence_type_publish(officer=drafter, draft=two, at=timezone.now())


def test_on_the_pages(drafter: Officer, publisher: Officer) -> None:
    one, two = signed_in(drafter.user), signed_in(publisher.user)
    made, drafts = definition(), "/admin/governance/evidencetypedraft"
    sent = {
        "name": made.name,
        "title": made.title,
        "description": made.description,
        "about": "model_version",
        "fresh_days": "30",
        "schema": json.dumps(SCHEMA),
        "password": factories.PASSWORD,
    }
    for broken, words in (
        ('{"type": "object", "type": "array"}', "repeated"),
        ("[]", "JSON object"),
        ("{}", "describes"),
    ):
        assert words in one.post(f"{drafts}/draft/", sent | {"schema": broken}).content.decode()
    assert one.post(f"{drafts}/draft/", sent).status_code == 302
    draft = EvidenceTypeDraft.objects.get(name=made.name)
    assert "You cannot publish it" in one.get(f"{drafts}/{draft.id}/change/").content.decode()
    proof = {"password": factories.PASSWORD}
    assert one.post(f"{drafts}/{draft.id}/publish/", proof).status_code == 200
    assert two.post(f"{drafts}/{draft.id}/publish/", proof).status_code == 302
    page = f"/admin/governance/evidencetypeversion/{draft.version.id}"
    assert f"{made.name}.score" in two.get(f"{page}/change/").content.decode()
    assert two.post(f"{page}/retire/", proof | {"reason": factories.REASON}).status_code == 302
    assert "retired" in two.get(f"{page}/change/").content.decode()


def test_over_the_api(drafter: Officer, publisher: Officer, producer: User) -> None:
    one, two = Api(factories.token(drafter.user)), Api(factories.token(publisher.user))
    made, password = definition(), {"password": factories.PASSWORD}
    body = {
        "name": made.name,
        "title": made.title,
        "description": made.description,
        "about": "model_version",
        "fresh_days": 30,
        "schema": SCHEMA,
    } | password
    problem = require_problem(one.post("evidence-type-drafts", body | {"name": "bias"}), 422, "validation-failed")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/name"]
    draft = require(one.post("evidence-type-drafts", body), 201)
    path = f"evidence-type-drafts/{draft['id']}/publication"
    require_problem(one.post(path, password), 403, "separation-of-duties")
    assert require(two.post(path, password), 201)["number"] == 1
    shown = require(one.get(f"evidence-types/{made.name}"), 200)
    assert (shown["schema"], shown["taken"]) == (SCHEMA, True)
    assert {"name": f"{made.name}.signed", "type": "truth"} in shown["facts"]
    version = factories.model_version(producer)
    deposit = {"type": made.name, "subject": version.digest, "payload": {"score": 0.5}}
    assert require(one.post("evidence", deposit), 201)["schema_version"] == 1
    retired = require(one.post(f"evidence-types/{made.name}/retirement", password | {"reason": factories.REASON}), 201)
    assert retired["name"] == made.name
    assert not require(one.get(f"evidence-types/{made.name}"), 200)["taken"]
    other = factories.model_version(producer)
    require_problem(one.post("evidence", deposit | {"subject": other.digest}), 422, "validation-failed")
