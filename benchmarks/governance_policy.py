"""A policy of twelve rules over one piece of evidence, evaluated again and again, beside another engine of CEL."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from suite import Row, alone, side_by_side

from governance.policy.document import PolicyDocument, parse_policy
from governance.policy.evaluation import Context, EvidenceFacts, Outcome, evaluate
from governance.policy.facts import FactValue

sys.path.append(str(Path(__file__).parents[1] / "tests" / "governance"))
from second_engine import second_opinion

EVALUATIONS = 10_000
SECONDS = 1.0
_RULE = """
  - id: R-{number}
    title: A limit of rule {number}
    evidence: bias
    clause: {clause}
    observed: {observed}
    expected: within its limit
    remediation: Train again.
"""
_CLAUSES = (
    ("bias.measured && bias.demographic_parity_ratio >= 0.80", "bias.demographic_parity_ratio"),
    ("bias.auc >= 0.70 && bias.rows >= 200", "bias.auc"),
    ('bias.verdict in ["pass", "not_applicable"]', "bias.verdict"),
    ('"system.contains_phi ? bias.rows >= 1000 : bias.rows >= 200"', "bias.rows"),
)
_FIELDS = {
    "demographic_parity_ratio": 0.91,
    "demographic_parity_difference": 0.04,
    "adverse_impact_ratio": 0.9,
    "equalized_odds_difference": 0.05,
    "selection_rate": 0.5,
    "accuracy": 0.8,
    "auc": 0.83,
    "rows": 1200,
    "min_group_n": 60,
    "verdict": "pass",
    "measured": True,
}
_MODEL: dict[str, FactValue] = {
    "model.format": "xgboost-json",
    "model.has_training_data": True,
    "system.contains_phi": True,
}


def policy_rows(evaluations: int = EVALUATIONS) -> Iterator[Row]:
    """Measure whole evaluations: facts checked, every clause asked, each result with its words."""
    policy = _policy()
    ours, theirs = (partial(_seconds, document, evaluations) for document in (policy, second_opinion(policy)))
    name = f"policy: {evaluations:,} evaluations of {len(policy.rules)} rules"
    yield alone(name, "s of processor", ours=ours, goal=SECONDS, better="lower")
    yield side_by_side(
        f"{name}, to another CEL engine", "s of processor", ours=ours, theirs=theirs, goal=1.0, better="lower"
    )


def _policy() -> PolicyDocument:
    rules = "".join(
        _RULE.format(number=number, clause=clause, observed=observed)
        for number, (clause, observed) in enumerate(_CLAUSES * 3)
    )
    head = f"policy: p\ntitle: t\nenvironment: e\nvalid_days: 30\nrules:{rules}"
    return parse_policy(head + "approvals: {quorum: 1, roles: [a], meaning: m}\n", roles=frozenset({"a"}))


def _seconds(policy: PolicyDocument, evaluations: int) -> float:
    piece = EvidenceFacts(id="evd", digest="sha256:" + "0" * 64, type="bias", fields=_FIELDS)
    context = Context(model=dict(_MODEL), evidence=(piece,))
    assert {result.outcome for result in evaluate(policy, context)} == {Outcome.PASS}
    started = time.process_time()
    for _ in range(evaluations):
        evaluate(policy, context)
    return time.process_time() - started
