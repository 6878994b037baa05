"""What a policy would have said of decisions that were made under other texts, from the facts on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from governance.evidence.registry import About
from governance.policy.document import PolicyDocument
from governance.policy.evaluation import Context, Outcome, RuleResult, evaluate, gravest


class Effect(StrEnum):
    """What becomes of a decision under another text."""

    SAME = "same"
    NEWLY_BLOCKED = "newly_blocked"
    NO_LONGER_BLOCKED = "no_longer_blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record of a decision.

    Attributes:
        outcomes: Outcome by rule id, before anybody signed.
        context: What the rules saw.
        read: The types of evidence that its policy read. Of evidence that is about more than the model version, only
            these were looked at.
    """

    outcomes: Mapping[str, str]
    context: Context
    read: frozenset[str]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that gives another outcome.

    Attributes:
        id: Of the rule.
        before: Its outcome; empty when there was no such rule.
        after: Its outcome now; empty when there is no such rule any more, or when it cannot be told.
        message: What it says now, in words.
    """

    id: str
    before: str
    after: str
    message: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """What would become of one decision; `before` and `after` are what its rules amount to."""

    effect: Effect
    before: Outcome
    after: Outcome
    changes: tuple[RuleChange, ...]


def simulate(policy: PolicyDocument, past: Past) -> Simulated:
    """Evaluate a policy over the facts of a past decision.

    A rule about evidence that nobody looked at then gives no outcome: what there was is not known. It does not help a
    decision that other rules block, and a decision that nothing else blocks is unknown.
    """
    results = evaluate(policy, past.context)
    untold = {rule.id for rule in policy.rules if rule.evidence and _unseen(rule.evidence, policy, past)}
    untold -= {result.id for result in results if result.outcome is Outcome.NOT_APPLICABLE}
    before = gravest(past.outcomes.values())
    after = gravest(result.outcome for result in results if result.id not in untold)
    return Simulated(_effect(before, after, untold), before, after, _changes(results, past, untold))


def _unseen(kind: str, policy: PolicyDocument, past: Past) -> bool:
    return policy.vocabulary.about[kind] is not About.MODEL_VERSION and kind not in past.read


def _effect(before: Outcome, after: Outcome, untold: set[str]) -> Effect:
    if after is Outcome.PASS and untold:
        return Effect.UNKNOWN
    if (before is Outcome.PASS) == (after is Outcome.PASS):
        return Effect.SAME
    return Effect.NEWLY_BLOCKED if before is Outcome.PASS else Effect.NO_LONGER_BLOCKED


def _changes(results: tuple[RuleResult, ...], past: Past, untold: set[str]) -> tuple[RuleChange, ...]:
    unknown = "the decision did not look at evidence of this type, so that its outcome is not known"
    now = {item.id: ("", unknown) if item.id in untold else (item.outcome.value, item.message) for item in results}
    gone = {rule: ("", "the text has no such rule") for rule in past.outcomes if rule not in now}
    return tuple(
        RuleChange(rule, before, after, message)
        for rule, (after, message) in (now | gone).items()
        if (before := past.outcomes.get(rule, "")) != after or rule in untold
    )
