"""A policy document with a fault is refused when it is published, with the place of every fault."""

import time
from typing import Any

import factories
import pytest
import yaml
from api_driver import Api, changes, require, require_problem, snapshot
from conftest import Database

from governance.enums import Role
from governance.models import PolicyVersion
from governance.policy.document import DOCUMENT_LIMIT, parse_policy
from governance.policy.engine import SOURCE_LIMIT
from governance.policy.errors import PolicyError

ROLES = frozenset(Role.values)
RIGHT = factories.policy_document("production")
RULE = RIGHT["rules"][0]
TEXTS = ("id", "title", "clause", "observed", "expected", "remediation")


def with_rule(**changed: Any) -> dict[str, Any]:
    return RIGHT | {"rules": [RULE | changed]}


def with_approvals(**changed: Any) -> dict[str, Any]:
    return RIGHT | {"approvals": RIGHT["approvals"] | changed}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


FAULTY: dict[str, tuple[dict[str, Any], set[str]]] = {
    **{f"no {key}": (without(RIGHT, key), {f"/{key}"}) for key in RIGHT},
    **{f"a rule without {key}": (RIGHT | {"rules": [without(RULE, key)]}, {f"/rules/0/{key}"}) for key in TEXTS},
    **{f"an empty {key}": (with_rule(**{key: "  "}), {f"/rules/0/{key}"}) for key in TEXTS},
    **{f"a {key} that is no text": (with_rule(**{key: 5}), {f"/rules/0/{key}"}) for key in TEXTS},
    **{
        f"approvals without {key}": (RIGHT | {"approvals": without(RIGHT["approvals"], key)}, {f"/approvals/{key}"})
        for key in RIGHT["approvals"]
    },
    "a key too many": (RIGHT | {"owner": "me"}, {"/owner"}),
    "a misspelt key": (without(RIGHT, "valid_days") | {"valid_day": 3}, {"/valid_days", "/valid_day"}),
    "a key too many in a rule": (with_rule(unless="bias"), {"/rules/0/unless"}),
    "a key too many in the approvals": (with_approvals(veto=1), {"/approvals/veto"}),
    "no rules": (RIGHT | {"rules": []}, {"/rules"}),
    "rules that are no list": (RIGHT | {"rules": RULE}, {"/rules"}),
    "a rule that is no mapping": (RIGHT | {"rules": ["performance.auc > 1"]}, {"/rules/0"}),
    "an empty rule": (RIGHT | {"rules": [None]}, {"/rules/0"}),
    "the same rule twice": (RIGHT | {"rules": [RULE, dict(RULE)]}, {"/rules"}),
    "a misspelt fact in a clause": (with_rule(clause="performance.acu > 0.75"), {"/rules/0/clause"}),
    "a fact that nobody knows": (with_rule(clause="salary > 3"), {"/rules/0/clause"}),
    "a misspelt fact to show": (with_rule(observed="performance.acu"), {"/rules/0/observed"}),
    "a clause that is a number": (with_rule(clause="performance.auc"), {"/rules/0/clause"}),
    "a clause that is a text": (with_rule(clause="'true'"), {"/rules/0/clause"}),
    "a clause that compares unlike things": (with_rule(clause="performance.auc > 'a lot'"), {"/rules/0/clause"}),
    "a clause that does not parse": (with_rule(clause="performance.auc >"), {"/rules/0/clause"}),
    "a clause too long": (with_rule(clause="true || " * SOURCE_LIMIT + "true"), {"/rules/0/clause"}),
    "an unknown kind of evidence": (with_rule(evidence="opinion"), {"/rules/0/evidence"}),
    "evidence that is a list": (with_rule(evidence=["performance"]), {"/rules/0/evidence"}),
    "evidence that is a mapping": (with_rule(evidence={"a": 1}), {"/rules/0/evidence"}),
    "an unknown role": (with_approvals(roles=["boss"]), {"/approvals/roles"}),
    "no roles": (with_approvals(roles=[]), {"/approvals/roles"}),
    "approvals that are a list": (RIGHT | {"approvals": [1]}, {"/approvals"}),
    **{
        f"a quorum of {quorum!r}": (with_approvals(quorum=quorum), {"/approvals/quorum"})
        for quorum in (0, -1, True, 1.5, "2", None, 101, 10**30)
    },
    **{
        f"validity of {days!r} days": (RIGHT | {"valid_days": days}, {"/valid_days"})
        for days in (0, -1, True, 1.5, "30", 3651, 10**9)
    },
    **{
        f"an environment named {name!r}": (RIGHT | {"environment": name}, {"/environment"})
        for name in ("Production", "the cloud", "", "a/b", "e" * 81, 5)
    },
    "a name that no address could hold": (RIGHT | {"policy": "Lending policy"}, {"/policy"}),
    "a name too long": (RIGHT | {"policy": "p" * 81}, {"/policy"}),
    "a meaning too long to be signed": (with_approvals(meaning="m" * 4001), {"/approvals/meaning"}),
    "several faults, each in its place": (
        RIGHT | {"valid_days": 0, "rules": [RULE | {"clause": "1"}, without(RULE, "title") | {"id": "B"}]},
        {"/valid_days", "/rules/0/clause", "/rules/1/title"},
    ),
}


@pytest.mark.parametrize("what", FAULTY)
def test_each_fault_is_named_by_its_place(what: str) -> None:
    document, pointers = FAULTY[what]
    with pytest.raises(PolicyError) as refusal:
        parse_policy(yaml.safe_dump(document), roles=ROLES)
    assert {item.pointer for item in refusal.value.diagnostics} == pointers
    assert all(item.message for item in refusal.value.diagnostics)


TEXT = factories.policy_text("production")
NO_POLICY: dict[str, str] = {
    "nothing": "",
    "a comment": "# nothing",
    "a list": "- 1",
    "a text": "policy",
    "two documents": TEXT + "---\n" + TEXT,
    "a key twice": TEXT + "valid_days: 9\n",
    "a key twice within a rule": TEXT.replace("  id: PERF-001", "  id: PERF-001\n  id: PERF-002").replace(
        "- id: PERF-001", "- id: PERF-001\n  id: PERF-002"
    ),
    "a key twice in two spellings": TEXT + '"valid_days": 9\n',
    "an anchor and an alias": TEXT.replace("title: Mortgage models", "title: &t Mortgage models") + "owner: *t\n",
    "a mapping merged in": "<<: {valid_days: 1}\n" + TEXT,
    "an object of a program": TEXT + "owner: !!python/object/apply:os.system ['false']\n",
    "a type": TEXT.replace("valid_days: 30", "valid_days: !!int '30'"),
    "a type of its own": TEXT.replace("valid_days: 30", "valid_days: !days 30"),
    "a date that is none": TEXT.replace("valid_days: 30", "valid_days: 2026-13-01"),
    "a number too long": TEXT.replace("valid_days: 30", "valid_days: " + "9" * 5000),
    "broken indentation": TEXT.replace("rules:", "rules:\n   x"),
    "a tab": TEXT.replace("  quorum", "\tquorum"),
    "a control character": TEXT + "owner: \x07\n",
    "lists without end": "[" * 20_000,
    "too long a text": TEXT + "#" * DOCUMENT_LIMIT,
}


@pytest.mark.parametrize("what", NO_POLICY)
def test_what_is_not_one_unambiguous_document_is_refused_as_a_whole(what: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        parse_policy(NO_POLICY[what], roles=ROLES)
    assert [item.pointer for item in refusal.value.diagnostics] == [""]


def test_the_document_that_all_faults_were_made_from_is_right() -> None:
    parsed = parse_policy(TEXT, roles=ROLES)
    assert (parsed.environment, parsed.valid_days, parsed.approvals.quorum) == ("production", 30, 1)
    assert [rule.id for rule in parsed.rules] == ["PERF-001"]


def test_a_document_made_to_be_slow_is_read_quickly() -> None:
    many_keys = "{" + ",".join(f"k{number}: 1" for number in range(7000)) + "}"
    started = time.process_time()
    with pytest.raises(PolicyError):
        parse_policy(many_keys, roles=ROLES)
    assert time.process_time() - started < 10


# --- Publishing -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def api(database: Database) -> Api:
    return Api(factories.token(factories.person()))


def test_publishing_lists_every_fault_in_one_answer_and_publishes_nothing(database: Database, api: Api) -> None:
    before = snapshot(database)
    document = yaml.safe_dump(FAULTY["several faults, each in its place"][0])
    problem = require_problem(api.post("policies", {"document": document}), 422, "policy-invalid")
    assert {fault["pointer"] for fault in problem["errors"]} == {"/valid_days", "/rules/0/clause", "/rules/1/title"}
    assert not changes(before, snapshot(database))


def test_the_same_text_is_one_version_and_another_text_the_next(api: Api) -> None:
    environment = factories.unique("published")
    texts = [factories.policy_text(environment), factories.policy_text(environment, valid_days=31)]
    numbers = [require(api.post("policies", {"document": text}), 201)["number"] for text in (*texts, texts[1])]
    assert numbers == [1, 2, 2]
    assert PolicyVersion.objects.get(policy__environment=environment, number=1).document == texts[0]


def test_a_policy_governs_one_environment_and_an_environment_has_one_policy(database: Database, api: Api) -> None:
    environment, other = factories.unique("first"), factories.unique("second")
    require(api.post("policies", {"document": factories.policy_text(environment)}), 201)
    before = snapshot(database)
    for changed in ({"environment": other}, {"policy": other}):
        document = yaml.safe_dump(factories.policy_document(environment) | changed)
        require_problem(api.post("policies", {"document": document}), 409, "state-conflict")
    assert not changes(before, snapshot(database))
    require(api.post("policies", {"document": factories.policy_text(other)}), 201)
