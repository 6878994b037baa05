"""A policy document with a fault is refused when it is published, with the place of every fault."""

import time
from typing import Any

import factories
import pytest
import yaml

from governance.enums import Role
from governance.policy.document import DOCUMENT_LIMIT, parse_policy
from governance.policy.engine import SOURCE_LIMIT, Clause, Facts, Truth, _environment
from governance.policy.errors import PolicyError
from governance.policy.facts import INSTALLED

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
    **{f"no {key}": (without(RIGHT, key), {f"/{key}"}) for key in RIGHT if key != "environment"},
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
    **{
        f"a condition that {what}": (RIGHT | {"rules": [RULE, RULE | {"id": "B", "when": when}]}, {"/rules/1/when"})
        for what, when in {
            "is empty": " ",
            "is a truth and no text": True,
            "reads evidence": "performance.auc > 0.7 || system.contains_phi",
            "looks whether evidence was measured": "system.contains_phi && bias.measured",
            "is no truth": "model.format",
            "names nothing known": "model.colour == 'red'",
            "is a negated comparison": "!(model.open_findings > 3)",
        }.items()
    },
    "no rule that applies always": (
        RIGHT | {"rules": [RULE | {"when": "system.contains_phi"}, RULE | {"id": "B", "when": "true"}]},
        {"/rules"},
    ),
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


# --- Where a fault is -------------------------------------------------------------------------------------------------
HEAD = "policy: p\ntitle: t\nenvironment: e\nvalid_days: 3\nrules:\n  - id: A-1\n    title: t\n    evidence: bias\n"
TAIL = "    observed: bias.auc\n    expected: x\n    remediation: x\n"
APPROVALS = "approvals: {quorum: 1, roles: [compliance], meaning: m}\n"
# What is written for the clause, with § before the character that the caret must be under.
POINTED = {
    "plain": "    clause: bias.auc >= 0.7 && bias§.auk > 0.1\n",
    "in double quotes, with escapes": '    clause: "model.format == \\"a\\u00e9\\" && mode§.format"\n',
    "in single quotes, doubled": "    clause: '  ''a'' == model.format && ''b'' == §x'\n",
    "in several lines kept": "    clause: |\n      bias.measured &&\n        bias§.auk > 0.1\n",
    "in several lines folded": "    clause: >\n      bias.measured &&\n      bias.rows §> 1.5\n",
    "in several lines folded, after a gap": "    clause: >-\n      bias.measured\n\n      && bias§.auk > 0.1\n",
    "plain in several lines": "    clause: bias.measured\n      && bias§.auk > 0.1\n",
    "a negated comparison": "    clause: bias.measured && §!(bias.auc < 0.7)\n",
    "a negation of what would be too low": "    clause: bias.auc < 0.7 §== false\n",
    "a negation by a conditional": "    clause: 'bias.auc < 0.7 §? false : true'\n",
    "a comprehension bomb": "    clause: '[1, 2].all(x, [1, 2].§all(y, x < y))'\n",
    "an unfinished clause": "    clause: '(bias.auc >= 0.7§'\n",
    "a character that CEL does not know": "    clause: bias.auc >= 0.7 § @ 3\n".replace("§ @", "§@"),
}


@pytest.mark.parametrize("what", POINTED)
def test_a_fault_of_a_clause_is_pointed_at_in_the_document(what: str) -> None:
    written = HEAD + POINTED[what] + TAIL + APPROVALS
    before, _, after = written.partition("§")
    with pytest.raises(PolicyError) as refusal:
        parse_policy(before + after, roles=ROLES)
    first = refusal.value.diagnostics[0]
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    assert (first.pointer, first.line, first.column) == ("/rules/0/clause", line, column), str(first)
    shown, caret = first.excerpt.splitlines()
    assert shown == f" | {(before + after).splitlines()[line - 1]}"
    assert caret.index("^") == column + 2


def test_every_fault_of_a_document_is_named_at_once_in_the_order_of_its_lines() -> None:
    clause = "    clause: bias.auk >= 1 && foo && !(bias.auc < 0.7)\n"
    text = HEAD.replace("valid_days: 3", "valid_days: 0") + clause + TAIL + APPROVALS.replace("compliance", "boss")
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, roles=ROLES)
    found = refusal.value.diagnostics
    assert [item.pointer for item in found] == ["/valid_days", *["/rules/0/clause"] * 3, "/approvals/roles"]
    assert [item.line for item in found] == sorted(item.line for item in found)
    assert 'did you mean "bias.auc"?' in found[1].message
    assert "none of the declared facts" in found[2].message


HARMLESS = (
    "!system.contains_phi && bias.measured",
    "!(system.contains_phi || !bias.measured)",
    "bias.verdict != 'fail' && bias.verdict == '!(a < b)'",
    "['pass', 'fail'].exists(v, v == bias.verdict) && [0.5, 0.6].all(limit, bias.auc > limit)",
    "bias.auc > 0.7 ? bias.rows > 10 : bias.rows > 1000",
    "bias.auc >= 0.7 // !(bias.auc < 0.7)",
)


@pytest.mark.parametrize("clause", HARMLESS)
def test_what_only_looks_like_a_misleading_clause_is_taken(clause: str) -> None:
    document = with_rule(evidence="bias", clause=clause, observed="bias.auc")
    assert parse_policy(yaml.safe_dump(document), roles=ROLES).rules[0].clause.source == clause


HOSTILE = {
    "1 MB of text": (TEXT + "#" * 1_000_000, f"at most {DOCUMENT_LIMIT} characters"),
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n" + TEXT, "aliases (*name) are not allowed"),
    "lists in lists": ("[" * 60_000, "nests deeper than 12 levels"),
    "brackets in brackets": (TEXT.replace("performance.auc >= 0.75", "(" * 40 + "true" + ")" * 40), "limit: 32"),
    "a comprehension in a comprehension": (
        yaml.safe_dump(with_rule(clause="[1, 2].all(x, [3].exists(y, x < y))")),
        "exists inside another comprehension",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_document_made_to_exhaust_the_reader_is_refused_with_the_reason(what: str) -> None:
    text, reason = HOSTILE[what]
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, roles=ROLES)
    assert reason in str(refusal.value)


def test_the_engine_ends_an_evaluation_that_iterates_too_long_as_an_error() -> None:
    budget, grown = 10_000, "true"
    numbers = ", ".join(map(str, range(10)))
    for depth in range(5):
        grown = f"[{numbers}].all(v{depth}, {grown})"
    assert budget < 10**5
    truth, words = Clause(grown, _environment(INSTALLED).compile(grown)).evaluate(Facts.of({}, INSTALLED))
    assert (truth, "Iteration budget exceeded" in words) == (Truth.ERROR, True)
