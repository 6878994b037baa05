"""Facts and a policy -> one result for each rule. Pure: the same context always gives the same results."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from governance.policy.document import PolicyDocument, Rule
from governance.policy.engine import Clause, Facts, Truth
from governance.policy.errors import RecordedContextError
from governance.policy.facts import MEASURED, SIGNED, FactType, FactValue, Vocabulary, fact_matches
from governance.policy.freshness import stale_from
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.times import format_time, parse_time

APPROVALS_RULE = "APPROVALS"
"""The id under which a decision's results tell of its signatures; no rule of a policy may have it."""
_MAX_SAFE_INTEGER = 2**53 - 1


class Outcome(StrEnum):
    """What a rule gave."""

    PASS = "pass"  # noqa: S105 - an outcome
    FAIL = "fail"
    PENDING = "pending"
    ERROR = "error"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


NOT_BLOCKING = frozenset({Outcome.PASS, Outcome.WAIVED, Outcome.NOT_APPLICABLE})
"""Outcomes with which a decision can still pass."""


class ReasonCode(StrEnum):
    """Why, from a closed list that programs may branch on."""

    MET = "met"
    THRESHOLD_NOT_MET = "threshold-not-met"
    EVIDENCE_MISSING = "evidence-missing"
    EVIDENCE_STALE = "evidence-stale"
    EVIDENCE_DISTRUSTED = "evidence-distrusted"
    VALUE_MISSING = "value-missing"
    VALUE_UNUSABLE = "value-unusable"
    EVALUATION_ERROR = "evaluation-error"
    APPROVALS_MISSING = "approvals-missing"
    APPROVAL_REFUSED = "approval-refused"
    NO_POLICY = "no-policy"
    EXCEPTION_ACCEPTED = "exception-accepted"
    CONDITION_NOT_MET = "condition-not-met"


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """The facts of one piece of evidence: its id, digest, type, and fields by name.

    Attributes:
        collected_at: RFC 3339; empty in what was stored before evidence had a time, and then so is the next.
        valid_until: RFC 3339; from then on it satisfies no rule.
        superseded_by: Id of the evidence that took its place, once a reviewer accepted that; it is shown, not counted.
        distrusted: Why it satisfies no rule: the key that signed it was not trusted any more when it was received.
    """

    id: str
    digest: str
    type: str
    fields: dict[str, Any]
    collected_at: str = ""
    valid_until: str = ""
    superseded_by: str = ""
    distrusted: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give the facts as a JSON value, without what is empty: so it was stored before there was any of it."""
        later = ("collected_at", "valid_until", "superseded_by", "distrusted")
        return {name: value for name, value in asdict(self).items() if value or name not in later}


@dataclass(frozen=True, slots=True)
class ExceptionFacts:
    """An accepted exception: its id, the rule that need not hold, and when it ends (RFC 3339, UTC)."""

    id: str
    rule: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Context:
    """Everything the rules see.

    Attributes:
        model: Facts of the model version, by dotted name.
        evidence: Every piece of evidence about it, in order of id.
        exceptions: The exceptions in force for it there, in order of id.
        at: The moment at which the rules look, RFC 3339; empty in what was stored before evidence could grow stale.
        types: Of the installation's own types of evidence that were looked at, the digest of the definition, by name.
    """

    model: dict[str, FactValue]
    evidence: tuple[EvidenceFacts, ...]
    exceptions: tuple[ExceptionFacts, ...] = ()
    at: str = ""
    types: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the facts as a JSON value, without what is empty: so it was stored before there was any of it."""
        facts = {"model": self.model, "evidence": [item.to_json() for item in self.evidence]}
        later = {"exceptions": [asdict(item) for item in self.exceptions], "at": self.at, "types": self.types}
        return facts | {name: value for name, value in later.items() if value}

    def to_bytes(self) -> bytes:
        """Give the stored form, canonical JSON; `from_bytes` is the inverse.

        Raises:
            CanonicalError: A fact has no canonical form, for instance a NaN.
        """
        return canonical_bytes(_writable(self.to_json()))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Context":
        """Read the stored form, to evaluate a decision, also an old one.

        Raises:
            CanonicalError: The bytes are not canonical JSON.
            RecordedContextError: They do not hold a context.
        """
        facts: Any = parse_canonical(stored)
        try:
            return cls(
                model=dict(facts["model"]),
                evidence=tuple(EvidenceFacts(**item) for item in facts["evidence"]),
                exceptions=tuple(ExceptionFacts(**item) for item in facts.get("exceptions", ())),
                at=str(facts.get("at", "")),
                types=dict(facts.get("types", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RecordedContextError(f"what is stored is no context: {error}") from error


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule gave, in a form that a person and a program can read."""

    id: str
    title: str
    outcome: Outcome
    reason_code: ReasonCode
    observed: FactValue | None
    expected: str
    message: str
    evidence: tuple[str, ...]
    remediation: str


def no_policy_result(environment: str) -> RuleResult:
    """Give the one result of an environment that has no policy: nothing is allowed there."""
    return RuleResult(
        id="POLICY",
        title="The environment has a policy",
        outcome=Outcome.FAIL,
        reason_code=ReasonCode.NO_POLICY,
        observed=None,
        expected="a published policy",
        evidence=(),
        remediation="Publish a policy for this environment.",
        message=f'environment "{environment}" has no policy, so nothing is allowed there',
    )


def results_bytes(results: Sequence[RuleResult]) -> bytes:
    """Write results as canonical JSON, so that two evaluations can be compared byte for byte."""
    return canonical_bytes(_writable([asdict(result) for result in results]))


def evaluate(policy: PolicyDocument, context: Context) -> tuple[RuleResult, ...]:
    """Evaluate every rule.

    A rule about evidence must hold for each piece of that type, so none can be cherry-picked. A failure that somebody
    accepted for a time is waived, which is not a pass; what could not be evaluated is not known, and is never waived.
    """
    looked: dict[str, _Seen] = {}
    judged = (_rule_result(rule, context, looked, policy.vocabulary) for rule in policy.rules)
    return tuple(_excused(result, context.exceptions) for result in judged)


def gravest(outcomes: Iterable[str]) -> Outcome:
    """Give what rules amount to together, before anybody signs: an error, else a failure, else a pass."""
    found = set(outcomes)
    return next((outcome for outcome in (Outcome.ERROR, Outcome.FAIL) if outcome in found), Outcome.PASS)


def last_exception(rule: str, exceptions: Sequence[ExceptionFacts]) -> ExceptionFacts | None:
    """Give the exception that excuses a rule for longest, or None."""
    accepted = [item for item in exceptions if item.rule == rule]
    return max(accepted, key=lambda item: (item.expires_at, item.id), default=None)


def _excused(result: RuleResult, exceptions: tuple[ExceptionFacts, ...]) -> RuleResult:
    last = last_exception(result.id, exceptions)
    if result.outcome is not Outcome.FAIL or last is None:
        return result
    return replace(
        result,
        outcome=Outcome.WAIVED,
        reason_code=ReasonCode.EXCEPTION_ACCEPTED,
        message=f"{result.message}; accepted until {last.expires_at} by exception {last.id}",
    )


def evidence_fields(names: Iterable[str], payload: dict[str, Any], *, measured: bool, signed: bool) -> dict[str, Any]:
    """Take from an evidence payload the fields that rules may read; a value that could not be measured is left out.

    Args:
        names: Of the facts of its type.
        payload: The evidence.
        measured: Whether the product computed it itself; whatever the payload says of that counts for nothing.
        signed: Whether its producer signed it; as before.
    """
    fields = {name: payload[name] for name in names if payload.get(name) is not None}
    return fields | {MEASURED: measured, SIGNED: signed}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What rules see of one piece of evidence and the model, checked once for all of them.

    Attributes:
        facts: By dotted name, as they were deposited.
        unusable: Why a value is not of the declared type, or nothing; then no rule looks at any.
        typed: The facts as the engine takes them.
    """

    facts: dict[str, Any]
    unusable: str
    typed: Facts | None

    @classmethod
    def of(cls, facts: dict[str, Any], vocabulary: Vocabulary) -> "_Seen":
        types = vocabulary.facts
        for name, value in facts.items():
            if not fact_matches(value, types[name]):
                return cls(facts, f"{name} is {value!r}, which is not a usable {types[name]}", None)
        typed = {name: float(value) if types[name] is FactType.NUMBER else value for name, value in facts.items()}
        return cls(facts, "", Facts.of(typed, vocabulary))


def fresh_until(policy: PolicyDocument, context: Context) -> datetime | None:
    """Give the first moment at which a rule that applies has no fresh evidence left; None where nothing grows stale."""
    ends = []
    model = _Seen.of(context.model, policy.vocabulary)
    for rule in policy.rules:
        if rule.when and _set_aside(rule, rule.when, model):
            continue
        pieces = [_stale_from(item, rule) for item in _counted(rule, context) if not item.distrusted]
        known = [end for end in pieces if end is not None]
        if known and len(known) == len(pieces):
            ends.append(max(known))
    return min(ends, default=None)


def _counted(rule: Rule, context: Context) -> list[EvidenceFacts]:
    return [item for item in context.evidence if item.type == rule.evidence and not item.superseded_by]


def _stale_from(item: EvidenceFacts, rule: Rule) -> datetime | None:
    return stale_from(item.collected_at, item.valid_until, rule.max_age_days)


def _rule_result(rule: Rule, context: Context, looked: dict[str, _Seen], vocabulary: Vocabulary) -> RuleResult:
    """Judge every piece: what fails goes on failing, what passes must also be trusted and fresh."""
    model = looked.get("") or looked.setdefault("", _Seen.of(context.model, vocabulary))
    if rule.when and (aside := _set_aside(rule, rule.when, model)):
        return aside
    if rule.evidence is None:
        return _judge(rule, model, ())
    relevant = _counted(rule, context)
    if not relevant:
        words = f"{rule.title}: no {rule.evidence} evidence has been deposited"
        return _result(rule, Outcome.FAIL, ReasonCode.EVIDENCE_MISSING, None, words, ())
    results = [_judge(rule, _piece(item, context, looked, vocabulary), (item.id,)) for item in relevant]
    worst = (Outcome.ERROR, Outcome.FAIL, Outcome.PASS)
    gravest = min(results, key=lambda result: worst.index(result.outcome))
    if gravest.outcome is not Outcome.PASS:
        return gravest
    trusted = [(item, result) for item, result in zip(relevant, results, strict=True) if not item.distrusted]
    if not trusted:
        return _distrusted(rule, relevant)
    now = parse_time(context.at) if context.at else None
    ends = [_stale_from(item, rule) for item, _ in trusted]
    fresh = [result for (_, result), end in zip(trusted, ends, strict=True) if not (now and end and end <= now)]
    return fresh[0] if fresh else _stale(rule, [item for item, _ in trusted], max(end for end in ends if end))


def _distrusted(rule: Rule, relevant: list[EvidenceFacts]) -> RuleResult:
    words = f"{rule.title}: the {rule.evidence} evidence is {relevant[0].distrusted}; deposit evidence by another key"
    ids = tuple(item.id for item in relevant)
    return _result(rule, Outcome.FAIL, ReasonCode.EVIDENCE_DISTRUSTED, None, words, ids)


def _set_aside(rule: Rule, when: Clause, model: _Seen) -> RuleResult | None:
    """Give the result of a rule that does not apply to the model, or of which that is not known; None when it does."""
    truth, words = (Truth.ERROR, model.unusable) if model.typed is None else when.evaluate(model.typed)
    if truth is Truth.TRUE:
        return None
    if truth is Truth.FALSE:
        words = f"{rule.title}: does not apply here, because {when.source} is not so"
        return _result(rule, Outcome.NOT_APPLICABLE, ReasonCode.CONDITION_NOT_MET, None, words, ())
    words = f"{rule.title}: whether it applies could not be evaluated: {words}"
    return _result(rule, Outcome.ERROR, ReasonCode.EVALUATION_ERROR, None, words, ())


def _stale(rule: Rule, relevant: list[EvidenceFacts], end: datetime) -> RuleResult:
    words = f"{rule.title}: the {rule.evidence} evidence counted until {format_time(end)}; deposit newer evidence"
    ids = tuple(item.id for item in relevant)
    return _result(rule, Outcome.FAIL, ReasonCode.EVIDENCE_STALE, None, words, ids)


def _piece(item: EvidenceFacts, context: Context, looked: dict[str, _Seen], vocabulary: Vocabulary) -> _Seen:
    if item.id not in looked:
        own = {f"{item.type}.{name}": value for name, value in item.fields.items()}
        looked[item.id] = _Seen.of(context.model | own, vocabulary)
    return looked[item.id]


def _judge(rule: Rule, seen: _Seen, evidence: tuple[str, ...]) -> RuleResult:
    if seen.typed is None:
        words = f"{rule.title}: {seen.unusable}"
        return _result(rule, Outcome.ERROR, ReasonCode.VALUE_UNUSABLE, None, words, evidence)
    if rule.observed not in seen.facts:
        words = (
            f"{rule.title}: the evidence gives no value for {rule.observed}, for instance because groups are too small"
        )
        return _result(rule, Outcome.ERROR, ReasonCode.VALUE_MISSING, None, words, evidence)
    truth, words = rule.clause.evaluate(seen.typed)
    observed = seen.facts[rule.observed]
    if truth is Truth.ERROR:
        words = f"{rule.title}: could not be evaluated: {words}"
        return _result(rule, Outcome.ERROR, ReasonCode.EVALUATION_ERROR, observed, words, evidence)
    shown = _shown(observed)
    if truth is Truth.TRUE:
        return _result(rule, Outcome.PASS, ReasonCode.MET, observed, f"{rule.title}: {shown}", evidence)
    words = f"{rule.title}: observed {shown}, expected {rule.expected}"
    return _result(rule, Outcome.FAIL, ReasonCode.THRESHOLD_NOT_MET, observed, words, evidence)


def _shown(value: FactValue | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _result(  # noqa: PLR0917 - the parts of one line of a verdict
    rule: Rule, outcome: Outcome, reason: ReasonCode, observed: FactValue | None, words: str, evidence: tuple[str, ...]
) -> RuleResult:
    return RuleResult(
        id=rule.id,
        title=rule.title,
        outcome=outcome,
        reason_code=reason,
        observed=observed,
        expected=rule.expected,
        message=words,
        evidence=evidence,
        remediation="" if outcome in NOT_BLOCKING else rule.remediation,
    )


def _writable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Give a JSON value with whole numbers beyond ±(2^53-1) as the floating-point numbers that JSON takes them for."""
    if isinstance(value, dict):
        return {name: _writable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(item) for item in value]
    is_large = isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_SAFE_INTEGER
    return float(value) if is_large else value
