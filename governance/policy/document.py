"""The policy document: YAML text -> checked, compiled policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.evidence.schemas import name_hint
from governance.policy.clauses import tokens
from governance.policy.engine import Clause, ClauseError, compile_clause, fact_hint
from governance.policy.errors import PolicyError
from governance.policy.facts import INSTALLED, Vocabulary
from governance.policy.reading import DocumentReader
from governance.policy.source import Source

DOCUMENT_LIMIT = 64 * 1024
_VALID_DAYS_LIMIT = 3650
_QUORUM_LIMIT = 100
_RULE_TEXTS = ("id", "title", "clause", "observed", "expected", "remediation")
_POLICY_KEYS = {"policy", "title", "environment", "valid_days", "rules", "approvals"}
_RULE_KEYS = {"evidence", "max_age_days", "when", *_RULE_TEXTS}
_AGE_DAYS_LIMIT = 3650
_APPROVAL_KEYS = {"quorum", "roles", "meaning"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition.

    Attributes:
        id: Stable name, for instance FAIR-001.
        title: The condition in words.
        evidence: Type of evidence that it reads, or None when it reads facts of the model alone.
        clause: The compiled condition.
        observed: Dotted name of the fact to show beside the outcome.
        expected: What it should be, in words.
        remediation: What to do when it fails.
        max_age_days: How old the evidence may be, where the rule asks for newer than its type does.
        when: The compiled condition on the model under which the rule applies, or None when it always does.
    """

    id: str
    title: str
    evidence: str | None
    clause: Clause
    observed: str
    expected: str
    remediation: str
    max_age_days: int | None = None
    when: Clause | None = None


@dataclass(frozen=True, slots=True)
class Approvals:
    """How many distinct people, of which roles, must sign, and what their signature means.

    Attributes:
        quorum: How many people, at least.
        roles: In which roles they may sign.
        meaning: What an approval says.
        at_least: How many of them in a role, where that matters.
    """

    quorum: int
    roles: tuple[str, ...]
    meaning: str
    at_least: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy that can be evaluated.

    Attributes:
        policy: Its name.
        title: What it is about.
        environment: The one environment that it is written for, or None when it may be in force in any.
        valid_days: How many days a passed decision holds.
        rules: At least one.
        approvals: Who must sign.
        vocabulary: What it was compiled against.
    """

    policy: str
    title: str
    environment: str | None
    valid_days: int
    rules: tuple[Rule, ...]
    approvals: Approvals
    vocabulary: Vocabulary = INSTALLED


def parse_policy(text: str, *, roles: frozenset[str], vocabulary: Vocabulary = INSTALLED) -> PolicyDocument:
    """Read and compile a policy.

    Args:
        text: The YAML document.
        roles: The roles that exist.
        vocabulary: What policies can speak of.

    Raises:
        PolicyError: With every fault found and where it is.
    """
    source = Source(text, limit=DOCUMENT_LIMIT, what="a policy", error=PolicyError)
    if not isinstance(source.value, dict):
        raise PolicyError([source.fault("", "a policy is a mapping with the keys " + ", ".join(sorted(_POLICY_KEYS)))])
    return _Reader(source, roles, vocabulary).policy(source.value)


class _Reader(DocumentReader):
    """Reads a loaded policy."""

    def __init__(self, source: Source, roles: frozenset[str], vocabulary: Vocabulary) -> None:
        super().__init__(source)
        self._roles = roles
        self._vocabulary = vocabulary

    def policy(self, document: dict[str, Any]) -> PolicyDocument:
        self._keys(document, _POLICY_KEYS, "")
        rules = self._list(document, "rules")
        approvals = self._approvals(document.get("approvals"))
        parsed = PolicyDocument(
            policy=self._slug(document, "policy"),
            title=self._text(document, "title", ""),
            environment=self._slug(document, "environment") if "environment" in document else None,
            valid_days=self._count(document, "valid_days", "", _VALID_DAYS_LIMIT),
            rules=tuple(rule for index, item in enumerate(rules) if (rule := self._rule(item, f"/rules/{index}"))),
            approvals=approvals,
            vocabulary=self._vocabulary,
        )
        names = [rule.id for rule in parsed.rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._fault("/rules", f"rule id {name} is given twice")
        if rules and all(isinstance(rule, dict) and "when" in rule for rule in rules):
            # A model to which no rule applies would be let through unlooked at.
            self._fault("/rules", "every rule has a `when`; at least one must apply to every model")
        self._require_no_fault(PolicyError)
        return parsed

    def _rule(self, item: object, pointer: str) -> Rule | None:
        if not isinstance(item, dict):
            self._fault(pointer, "a rule is a mapping with the keys " + ", ".join(sorted(_RULE_KEYS)))
            return None
        self._keys(item, _RULE_KEYS, pointer)
        evidence = item.get("evidence")
        types = self._vocabulary.evidence
        if evidence is not None and not (isinstance(evidence, str) and evidence in types):
            self._fault(f"{pointer}/evidence", f"unknown evidence type; {name_hint(str(evidence), types)}")
        texts = {key: self._text(item, key, pointer) for key in _RULE_TEXTS}
        if (observed := texts["observed"]) and observed not in self._vocabulary.facts:
            self._fault(f"{pointer}/observed", f'unknown fact "{observed}"; {fact_hint(observed, self._vocabulary)}')
        clause = self._clause(item.get("clause"), texts.pop("clause"), f"{pointer}/clause")
        age = self._count(item, "max_age_days", pointer, _AGE_DAYS_LIMIT) if "max_age_days" in item else None
        if age and evidence is None:
            self._fault(f"{pointer}/max_age_days", "only a rule about evidence can ask for its age")
        when = self._when(item, pointer) if "when" in item else None
        return None if clause is None else Rule(evidence=evidence, clause=clause, max_age_days=age, when=when, **texts)

    def _when(self, item: dict[str, Any], pointer: str) -> Clause | None:
        """Read the condition of applying: were it to read evidence, leaving that out would set the rule aside."""
        source = self._text(item, "when", pointer)
        words = "a `when` reads facts of the model and its system alone, not of evidence"
        evidence = [part for part in tokens(source) if part.text in self._vocabulary.evidence]
        for part in evidence:
            self._at(f"{pointer}/when", item["when"], source, part.at, words)
        return None if evidence else self._clause(item["when"], source, f"{pointer}/when")

    def _clause(self, written: object, source: str, pointer: str) -> Clause | None:
        if not source:
            return None
        try:
            return compile_clause(source, self._vocabulary)
        except ClauseError as error:
            for fault in error.faults:
                self._at(pointer, written, source, fault.at, fault.message)
            return None

    def _at(self, pointer: str, written: object, source: str, at: int | None, message: str) -> None:
        """Name a fault at an index of a clause, which was read without the white space around it."""
        within = None if at is None else at + str(written).index(source)
        self._faults.append(self._source.fault(pointer, message, within=within))

    def _approvals(self, item: object) -> Approvals:
        if not isinstance(item, dict):
            self._fault("/approvals", "a mapping with the keys quorum, roles and meaning is needed")
            return Approvals(0, (), "")
        self._keys(item, _APPROVAL_KEYS, "/approvals")
        at_least = self._at_least(item["roles"]) if isinstance(item.get("roles"), dict) else {}
        named = list(at_least) or [str(role) for role in self._list(item, "roles", "/approvals")]
        for role in named:
            if role not in self._roles:
                self._fault("/approvals/roles", f'unknown role "{role}"; known: {", ".join(sorted(self._roles))}')
        quorum = self._count(item, "quorum", "/approvals", _QUORUM_LIMIT)
        if 0 < quorum < sum(at_least.values()):
            self._fault("/approvals/quorum", f"the roles alone want {sum(at_least.values())} people, more than these")
        return Approvals(
            quorum=quorum,
            roles=tuple(named),
            meaning=self._text(item, "meaning", "/approvals"),
            at_least=at_least,
        )

    def _at_least(self, wanted: dict[Any, Any]) -> dict[str, int]:
        return {str(role): self._count(wanted, role, "/approvals/roles", _QUORUM_LIMIT) for role in wanted}
