"""Evaluating a decision again, years later, from what was stored with it, and comparing byte for byte."""

from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from governance.enums import DecisionState, Role
from governance.errors import GovernanceError
from governance.models import Decision
from governance.policy.document import parse_policy
from governance.policy.engine import ENGINE
from governance.policy.errors import PolicyError, RecordedContextError
from governance.policy.evaluation import APPROVALS_RULE, Context, RuleResult, evaluate, no_policy_result, results_bytes
from governance.policy.facts import Vocabulary
from governance.selectors.evidence_types import vocabulary_then
from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError
from modelnotary.verify.trust import TRUST_FILE, Trust


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of evaluating a decision again.

    Attributes:
        decision: Its id.
        engine: What evaluated it then.
        engine_now: What evaluated it again.
        difference: The first thing that is not as it was, in words; empty when everything is.
    """

    decision: str
    engine: str
    engine_now: str
    difference: str

    @property
    def is_same(self) -> bool:
        """Whether everything came out as it was."""
        return not self.difference


def decision_replay(decision: Decision) -> Replay:
    """Evaluate a decision again from its stored facts and the stored text of its policy.

    1. The facts still have the digest that was taken when the rules looked, and so has the policy's text.
    2. Every rule gives the same result, byte for byte in canonical JSON, with the types of evidence as defined then.
    3. The results on record are those.
    4. Facts, results and state are what the decision key signed.
    """
    return Replay(decision.id, decision.engine, ENGINE, _difference(decision))


def _difference(decision: Decision) -> str:
    document, policy = bytes(decision.context_document), decision.policy_version
    if Digest.of(document).text != decision.context_digest:  # 1
        return "the stored facts are not those that the rules saw: their digest differs"
    if policy is not None and Digest.of(policy.document.encode()).text != policy.digest:
        return f"the stored text of policy {policy} is not what was published: its digest differs"
    try:
        context = Context.from_bytes(document)
        vocabulary = vocabulary_then(context.types)
        if vocabulary is None:
            return "a type of evidence that the rules read is not defined as it was then"
        results = _results(decision, context, vocabulary)
    except (CanonicalError, RecordedContextError, PolicyError, GovernanceError) as error:
        return f"it cannot be evaluated again: {error}"
    return (
        _result_difference(decision, results)  # 2, 3
        or _parsed_difference(decision, context)
        or _signed_difference(decision)  # 4
    )


def _results(decision: Decision, context: Context, vocabulary: Vocabulary) -> tuple[RuleResult, ...]:
    policy = decision.policy_version
    if policy is None:
        return (no_policy_result(decision.environment),)
    return evaluate(parse_policy(policy.document, roles=frozenset(Role.values), vocabulary=vocabulary), context)


def _result_difference(decision: Decision, results: tuple[RuleResult, ...]) -> str:
    recorded = [rule for rule in decision.rules if rule["id"] != APPROVALS_RULE]
    for now, then in zip(results, recorded, strict=False):
        for name, value in _told(now).items():
            if then.get(name) != value:
                return f"rule {now.id}: {name} was {then.get(name)!r}, and is {value!r} when evaluated again"
    if len(results) != len(recorded):
        return f"{len(recorded)} results are on record, and {len(results)} when evaluated again"
    if Digest.of(results_bytes(results)).text != decision.results_digest:
        return "the results are not, byte for byte, those that were taken then"
    return ""


def _told(result: RuleResult) -> dict[str, Any]:
    return asdict(result) | {"evidence": list(result.evidence)}


def _parsed_difference(decision: Decision, context: Context) -> str:
    """Hold the copy for searching against the bytes: pages show it, and the gate compares with it."""
    return "" if decision.context == context.to_json() else "the facts shown are not those that the rules saw"


def _signed_difference(decision: Decision) -> str:
    if decision.state == DecisionState.PENDING:
        return ""
    trust = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE)
    try:
        signed, _ = decision_open(bytes(decision.attestation or b""), [key.key for key in trust.decision_keys])
    except AttestError as error:
        return f"the attestation is not what a decision key signed: {error}"
    recorded = [(rule["id"], rule["outcome"], rule["reason_code"]) for rule in decision.rules]
    said = {
        "the decision": (signed.id, decision.id),
        "the state": (signed.state, decision.state),
        "the digest of the facts": (signed.context, Digest.from_text(decision.context_digest)),
        "the digest of the results": (signed.results, Digest.from_text(decision.results_digest)),
        "the outcomes": ([(rule.id, rule.outcome, rule.reason_code) for rule in signed.rules], recorded),
    }
    for name, (one, two) in said.items():
        # The attestations of an early version say nothing of the two digests.
        if one is not None and one != two:
            return f"{name} is not what was signed"
    return ""
