"""A second CEL engine gives the same verdict for every policy of the project in every context of its corpus."""

from collections import Counter

import pytest
from policy_corpus import corpus, policies
from second_engine import second_opinion

from governance.policy.document import PolicyDocument
from governance.policy.evaluation import Outcome, RuleResult, evaluate

POLICIES = policies()


def dividing(policy: PolicyDocument) -> set[str]:
    """Rules in which 0.0 / 0.0 can arise. What compares with it is false here and an error there; neither passes."""
    return {rule.id for rule in policy.rules if "double(" in rule.clause.source}


def opinion(policy: PolicyDocument, results: tuple[RuleResult, ...]) -> list[tuple[str, ...]]:
    lenient = dividing(policy)
    return [
        (item.id, str(item.outcome is Outcome.PASS))
        if item.id in lenient
        else (item.id, item.outcome, item.reason_code)
        for item in results
    ]


@pytest.mark.parametrize("name", POLICIES)
def test_a_second_engine_gives_the_same_verdict_in_every_context(name: str) -> None:
    policy, second = POLICIES[name], second_opinion(POLICIES[name])
    outcomes: Counter[str] = Counter()
    for context in corpus(policy):
        ours = evaluate(policy, context)
        assert opinion(policy, ours) == opinion(policy, evaluate(second, context)), context
        outcomes.update(item.outcome for item in ours)
    assert min(outcomes[outcome] for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.ERROR)) >= 5
