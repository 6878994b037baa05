"""Trying a policy on the decisions on record before anybody publishes it."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from governance.models import Decision
from governance.policy.evaluation import APPROVALS_RULE, Context
from governance.policy.facts import Vocabulary
from governance.policy.simulation import Effect, Past, Simulated, simulate
from governance.selectors.evidence import types_read
from governance.selectors.scope import EVERYTHING, Sight
from governance.services.policies import policy_compile

if TYPE_CHECKING:
    from django.db.models import QuerySet

DECISIONS = 200
"""On how many decisions a policy is tried, unless somebody asks for another number."""
DECISIONS_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy would have said.

    Attributes:
        environment: Of which the decisions are; empty when of all.
        rows: Each decision, the newest first, and what would become of it.
    """

    environment: str
    rows: tuple[tuple[Decision, Simulated], ...]

    @property
    def counts(self) -> dict[Effect, int]:
        """How many decisions each effect has."""
        found = Counter(simulated.effect for _, simulated in self.rows)
        return {effect: found[effect] for effect in Effect}

    @property
    def changed(self) -> list[tuple[Decision, Simulated]]:
        """The decisions for which something is not as it was."""
        return [(decision, result) for decision, result in self.rows if result.effect is not Effect.SAME]


def policy_simulate(
    *, document: str, environment: str = "", decisions: int = DECISIONS, seen_by: Sight = EVERYTHING
) -> Trial:
    """Evaluate a text over the newest decisions on record; nothing is kept.

    Args:
        document: The policy as YAML.
        environment: Whose decisions; when empty those of the environment that the text is written for, else of all.
        decisions: How many, the newest first.
        seen_by: What the reader sees.

    Raises:
        PolicyError: The document has faults; all of them are listed.
    """
    policy = policy_compile(document=document)
    environment = environment or policy.environment or ""
    records: QuerySet[Decision] = seen_by.of(Decision.objects.select_related("model_version__model", "policy_version"))
    if environment:
        records = records.filter(environment=environment)
    newest = records.order_by("-evaluated_at", "-id")[:decisions]
    return Trial(environment, tuple((record, simulate(policy, _past(record, policy.vocabulary))) for record in newest))


def _past(decision: Decision, vocabulary: Vocabulary) -> Past:
    policy = decision.policy_version
    return Past(
        outcomes={rule["id"]: rule["outcome"] for rule in decision.rules if rule["id"] != APPROVALS_RULE},
        context=Context.from_bytes(bytes(decision.context_document)),
        read=types_read(policy.document, vocabulary) if policy else frozenset(),
    )
