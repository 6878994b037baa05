"""Gate decisions as in-toto statements (Statement v1) with the SLSA verification summary predicate (v1).

What the gate decides beyond that predicate (environment, expiry, rules, signatures) is in one extension
member named by a URI, as the predicate's rules ask. Denials have the same form as approvals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast

from modelnotary.attest.errors import StatementError
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, DigestError
from modelnotary.times import format_time, parse_time

STATEMENT_PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
DECISION_PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
DECISION_EXTENSION = "https://modelnotary.dev/ns/v1/decision"
NO_POLICY_URI = "https://modelnotary.dev/ns/v1/no-policy"
PASSED = "passed"
STATES = (PASSED, "failed", "error")


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim (the predicate) about one thing known by its name and digest."""

    name: str
    digest: Digest
    predicate_type: str
    predicate: Mapping[str, Json]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a statement, the inverse of `to_bytes`.

        Raises:
            StatementError: the bytes are not the one spelling of a statement about one subject.
        """
        try:
            match parse_canonical(data):
                case {
                    "_type": "https://in-toto.io/Statement/v1",
                    "subject": [{"name": str(name), "digest": digest, **more}],
                    "predicateType": str(kind),
                    "predicate": dict(predicate),
                    **rest,
                } if not more and not rest:
                    return cls(name, _digest(digest), kind, predicate)
        except CanonicalError as error:
            raise StatementError(f"the statement is malformed: {error}") from error
        raise StatementError("a statement is an in-toto Statement v1 about one subject")

    def to_bytes(self) -> bytes:
        """Write the statement as canonical JSON, ready to be signed."""
        return canonical_bytes(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": self.name, "digest": _digest_set(self.digest)}],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a decision rests on: where it is, and its digest."""

    uri: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What came of one rule: ``pass | fail | pending | error | waived | not_applicable``, and why."""

    id: str
    outcome: str
    reason_code: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One electronic signature: the role and id of the signer, ``approve`` or ``reject``, what was signed."""

    role: str
    signer: str
    vote: str
    statement: Digest


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted exception: its id, the rule that need not hold, and when it ends, aware."""

    id: str
    rule: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The gate's answer to: may these bytes go to this environment?

    Attributes:
        id: id of the decision, ``dec_…``.
        name: name of the model version; a label only.
        digest: digest of the model version the decision is about.
        resource_uri: where the model version is registered.
        environment: the environment it was judged for.
        state: ``passed``, ``failed``, or ``error`` when a rule could not be evaluated.
        decided_at: time of the decision, aware.
        expires_at: when it stops counting, aware; None for never.
        verifier: URI of the deciding service; `versions` the versions of its parts by name.
        policy: the policy text applied; None when the environment has none.
        evidence: every piece of evidence the rules could see; `evidence_set` the digest over them.
        rules: the outcome of every rule, in policy order; `approvals` the signatures given.
        waivers: the exceptions that waived rules rest on.
        context: digest of the facts that the rules saw; `results` that of their results in canonical JSON.
    """

    id: str
    name: str
    digest: Digest
    resource_uri: str
    environment: str
    state: str
    decided_at: datetime
    expires_at: datetime | None
    verifier: str
    versions: Mapping[str, str]
    policy: Resource | None
    evidence: tuple[Resource, ...]
    evidence_set: Digest
    rules: tuple[RuleOutcome, ...]
    approvals: tuple[Approval, ...]
    context: Digest | None = None
    results: Digest | None = None
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise StatementError(f"a decision that is signed is {', '.join(STATES)}, not {self.state!r}")

    @property
    def passed(self) -> bool:
        """Whether the model version was allowed."""
        return self.state == PASSED

    def to_bytes(self) -> bytes:
        """Write the decision as the in-toto statement that is signed."""
        predicate: dict[str, Json] = {
            "verifier": {"id": self.verifier, "version": dict(self.versions)},
            "timeVerified": format_time(self.decided_at),
            "resourceUri": self.resource_uri,
            "policy": {"uri": NO_POLICY_URI} if self.policy is None else _resource_json(self.policy),
            "inputAttestations": [_resource_json(item) for item in self.evidence],
            "verificationResult": "PASSED" if self.passed else "FAILED",
            "verifiedLevels": [self._level()],
            DECISION_EXTENSION: {
                "id": self.id,
                "environment": self.environment,
                "state": self.state,
                "expiresAt": None if self.expires_at is None else format_time(self.expires_at),
                "evidenceSetDigest": _digest_set(self.evidence_set),
                "rules": [
                    {"id": rule.id, "outcome": rule.outcome, "reasonCode": rule.reason_code} for rule in self.rules
                ],
                "approvals": [_approval_json(approval) for approval in self.approvals],
                **self._later_members(),
            },
        }
        return Statement(self.name, self.digest, DECISION_PREDICATE_TYPE, predicate).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a decision, the inverse of `to_bytes`.

        Raises:
            StatementError: the bytes are not the one spelling of a decision.
        """
        statement = Statement.from_bytes(data)
        try:
            decision = cls._from_statement(statement)
        except TimeFormatError as error:
            raise StatementError(f"the decision is malformed: {error}") from error
        # One comparison settles every derived member: result, levels, the spelling of times.
        if decision.to_bytes() != data:
            raise StatementError("the members of the decision contradict each other")
        return decision

    @classmethod
    def _from_statement(cls, statement: Statement) -> Self:
        match statement.predicate:
            case {
                "verifier": {"id": str(verifier), "version": dict(versions)},
                "timeVerified": str(decided_at),
                "resourceUri": str(resource_uri),
                "policy": policy,
                "inputAttestations": [*evidence],
                "https://modelnotary.dev/ns/v1/decision": {
                    "id": str(name),
                    "environment": str(environment),
                    "state": str(state),
                    "expiresAt": (str() | None) as expires_at,
                    "evidenceSetDigest": evidence_set,
                    "rules": [*rules],
                    "approvals": [*approvals],
                    **later,
                },
            }:
                return cls(
                    id=name,
                    name=statement.name,
                    digest=statement.digest,
                    resource_uri=resource_uri,
                    environment=environment,
                    state=state,
                    decided_at=parse_time(decided_at),
                    expires_at=None if expires_at is None else parse_time(expires_at),
                    verifier=verifier,
                    versions={part: str(version) for part, version in versions.items()},
                    policy=None if policy == {"uri": NO_POLICY_URI} else _resource(policy),
                    evidence=tuple(map(_resource, evidence)),
                    evidence_set=_digest(evidence_set),
                    rules=tuple(map(_rule, rules)),
                    approvals=tuple(map(_approval, approvals)),
                    context=_optional_digest(later.get("contextDigest")),
                    results=_optional_digest(later.get("resultsDigest")),
                    waivers=_waivers(later.get("exceptions")),
                )
            case _:
                raise StatementError("the statement does not hold a gate decision")

    def _later_members(self) -> dict[str, Json]:
        """Give the members that decisions of an early version do not have."""
        digests = {"contextDigest": self.context, "resultsDigest": self.results}
        members: dict[str, Json] = {name: _digest_set(digest) for name, digest in digests.items() if digest is not None}
        return members | ({"exceptions": [_waiver_json(item) for item in self.waivers]} if self.waivers else {})

    def _level(self) -> str:
        environment = self.environment.upper().replace("-", "_")
        return f"MODELNOTARY_ALLOWED_{environment}" if self.passed else "FAILED"


def _resource_json(resource: Resource) -> dict[str, Json]:
    return {"uri": resource.uri, "digest": _digest_set(resource.digest)}


def _resource(value: Json) -> Resource:
    match value:
        case {"uri": str(uri), "digest": digest}:
            return Resource(uri, _digest(digest))
        case _:
            raise StatementError("a resource in a statement has the members uri and digest")


def _rule(value: Json) -> RuleOutcome:
    match value:
        case {"id": str(name), "outcome": str(outcome), "reasonCode": str(reason)}:
            return RuleOutcome(name, outcome, reason)
        case _:
            raise StatementError("a rule in a decision has the members id, outcome and reasonCode")


def _approval_json(approval: Approval) -> dict[str, Json]:
    return {
        "role": approval.role,
        "signer": approval.signer,
        "vote": approval.vote,
        "statementDigest": _digest_set(approval.statement),
    }


def _approval(value: Json) -> Approval:
    match value:
        case {"role": str(role), "signer": str(signer), "vote": str(vote), "statementDigest": digest}:
            return Approval(role, signer, vote, _digest(digest))
        case _:
            raise StatementError("an approval in a decision has the members role, signer, vote and statementDigest")


def _digest_set(digest: Digest) -> dict[str, Json]:
    return {"sha256": digest.hex}


def _waiver_json(waiver: Waiver) -> dict[str, Json]:
    return {"id": waiver.id, "rule": waiver.rule, "expiresAt": format_time(waiver.expires_at)}


def _waivers(value: object) -> tuple[Waiver, ...]:
    match value:
        case None:
            return ()
        case [*items]:
            return tuple(map(_waiver, items))
        case _:
            raise StatementError("the exceptions of a decision are a list")


def _waiver(value: object) -> Waiver:
    match value:
        case {"id": str(name), "rule": str(rule), "expiresAt": str(expires_at)}:
            return Waiver(name, rule, parse_time(expires_at))
        case _:
            raise StatementError("an exception in a decision has the members id, rule and expiresAt")


def _optional_digest(value: object) -> Digest | None:
    return None if value is None else _digest(cast("Json", value))


def _digest(value: Json) -> Digest:
    match value:
        case {"sha256": str(digits), **rest} if not rest:
            try:
                return Digest.from_text(f"sha256:{digits}")
            except DigestError as error:
                raise StatementError(f"the statement holds a malformed digest: {error}") from error
    raise StatementError("a digest in a statement is an object with the member sha256")
