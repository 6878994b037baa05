"""Contexts for a policy, made from its clauses: at each limit and beside it, missing, extreme, of the wrong type."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factories
import yaml

from config.embedded import CHECKOUT
from governance.enums import Role
from governance.policy.clauses import tokens
from governance.policy.document import PolicyDocument, parse_policy
from governance.policy.evaluation import Context, EvidenceFacts
from governance.policy.facts import FactType, fact_types

ROLES = frozenset(Role.values)
COMBINATIONS = 80
EXTREME: dict[FactType, tuple[Any, ...]] = {
    FactType.NUMBER: (0.0, -0.0, 1, -1.5, 5e-324, 1.7e308, -1.7e308, math.nan, math.inf, -math.inf, True, "0.9", None),
    FactType.INTEGER: (0, -1, 2**63 - 1, -(2**63), 2**63, 2**70, 10.0, False, "10", math.nan),
    FactType.TEXT: ("", "pass", "PASS", "pass ", "é", "e\u0301", "\U0001f512", "\u202epass", "a\nb", 5, True),
    FactType.TRUTH: (True, False, 1, 0, "true", None),
}
CLAUSES = (
    "bias.demographic_parity_ratio >= 0.8 || bias.demographic_parity_difference <= 0.02",
    "system.contains_phi ? bias.rows >= 1000 : bias.rows >= 200",
    "bias.verdict in ['pass', 'not_applicable'] && !system.contains_phi",
    "['pass', 'fail'].exists(v, v == bias.verdict) && bias.auc > 0.5",
    "[0.5, 0.6, 0.7].all(limit, bias.auc >= limit)",
    "bias.auc - bias.accuracy <= 0.1 && bias.accuracy * 2.0 >= 1.0",
    "bias.rows / 10 >= bias.min_group_n",
    "bias.rows % 7 == 3 || bias.rows + bias.min_group_n > 100",
    "double(bias.min_group_n) / double(bias.rows) >= 0.1",
    "bias.verdict.startsWith('pass') && size(bias.verdict) == 4",
    "bias.verdict.matches('^[a-z_]+$') || bias.verdict.contains('é')",
    "model.format == 'xgboost-json' && bias.verdict != 'é' && bias.measured",
    "bias.selection_rate > 0.0 && 1.0 / bias.selection_rate < 20.0",
    "-bias.equalized_odds_difference >= -0.1",
)
CONDITIONS = (
    "system.contains_phi && model.has_training_data",
    "model.format.startsWith('xgboost') || model.open_findings > 10",
    "1 / model.open_findings > 0",
)


def policies() -> dict[str, PolicyDocument]:
    """Every policy of the project: of the demonstration, the documentation, the tests, and one of unlike clauses."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in _examples()}
    page = (CHECKOUT / "docs" / "policies.md").read_text(encoding="utf-8")
    fences = [part.split("```")[0] for part in page.split("\n```yaml\n")[1:]]
    texts |= {f"policies.md {number}": text for number, text in enumerate(fences) if "owner: risk" not in text}
    texts["factories"] = factories.policy_text("production")
    rule = factories.policy_document("production")["rules"][0]
    rules = [
        rule | {"id": f"R-{number}", "evidence": "bias", "clause": clause, "observed": "bias.auc"}
        for number, clause in enumerate(CLAUSES)
    ]
    rules += [rules[0] | {"id": f"W-{number}", "when": when} for number, when in enumerate(CONDITIONS)]
    texts["unlike clauses"] = factories.policy_text("production", rules=rules)
    return {name: parse_policy(text, roles=ROLES) for name, text in texts.items()}


def corpus(policy: PolicyDocument) -> Iterator[Context]:
    """Contexts in which each fact takes each of its values while the others stay, and random ones of all of them."""
    kinds = sorted({rule.evidence for rule in policy.rules if rule.evidence})
    seen = {*kinds, "model", "system"}
    values = {name: _values(policy, name) for name in fact_types() if name.partition(".")[0] in seen}
    usual = {name: of[0] for name, of in values.items()}
    yield _context(usual, kinds)
    yield _context(usual, [])
    for name, of in values.items():
        yield _context({other: value for other, value in usual.items() if other != name}, kinds)
        yield from (_context(usual | {name: value}, kinds) for value in of)
    chance = random.Random(4)
    for _ in range(COMBINATIONS):
        chosen = {name: chance.choice(of) for name, of in values.items() if chance.random() > 0.02}
        yield _context(chosen, kinds, times=chance.randint(1, 2))


def _values(policy: PolicyDocument, name: str) -> list[Any]:
    """The values that matter to a fact: each literal of the clauses, what lies beside it, and the extremes."""
    kind = fact_types()[name]
    asked = [clause.source for rule in policy.rules for clause in (rule.clause, rule.when) if clause]
    literals = [token.text for source in asked for token in tokens(source)]
    numbers = sorted({float(text) for text in literals if text[0].isdigit()})
    found: list[Any] = []
    if kind is FactType.NUMBER:
        found = [beside for n in numbers for beside in (n, math.nextafter(n, math.inf), math.nextafter(n, -math.inf))]
    elif kind is FactType.INTEGER:
        found = [beside for n in numbers if n == int(n) for beside in (int(n), int(n) + 1, int(n) - 1)]
    elif kind is FactType.TEXT:
        found = [text[1:-1] for text in literals if text[0] in "'\""]
    return [*found, *EXTREME[kind]]


def _context(values: dict[str, Any], kinds: list[str], times: int = 1) -> Context:
    model = {name: value for name, value in values.items() if name.partition(".")[0] in {"model", "system"}}
    pieces = tuple(
        EvidenceFacts(
            id=f"evd_{kind}_{number}",
            digest="sha256:" + "0" * 64,
            type=kind,
            fields={name.partition(".")[2]: value for name, value in values.items() if name.partition(".")[0] == kind},
        )
        for kind in kinds
        for number in range(times)
    )
    return Context(model=model, evidence=pieces)


def _examples() -> list[Path]:
    found = sorted((CHECKOUT / "examples" / "policies").glob("*.yaml"))
    assert all(yaml.safe_load(path.read_text(encoding="utf-8"))["rules"] for path in found)
    return found
