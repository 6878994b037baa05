"""What a report states, held against the signed decisions and the ledger proofs inside it."""

from collections.abc import Iterator, Mapping

from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.attest.statement import GateDecision
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.checkpoint import checkpoint_open
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import log_class
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.text import base64_bytes, base64_text
from modelnotary.times import format_time
from modelnotary.verify.errors import TrustError
from modelnotary.verify.report_signature import ReportProblem
from modelnotary.verify.report_twin import StatedCheckpoint, StatedCitation, StatedDecision, StatedProof, Twin
from modelnotary.verify.rotations import rotations_follow
from modelnotary.verify.trust import Trust

DECISIONS = "decisions"
KEYS = "keys"
CHECKPOINTS = "checkpoints"
PROOFS = "ledger proofs"
CITATIONS = "citations"

type Proven = Mapping[tuple[str, int], Event]
"""The proven entries of a report by origin of the log and index."""

# What may become of a decision after it was signed; a report prints the state at its own date.
_LATER_STATES = frozenset({"expired", "revoked", "superseded"})


def decisions_check(twin: Twin, trust: Trust) -> str:
    """Check that every decision is signed and says what the report says of it.

    Raises:
        ReportProblem: one is not signed by a key in force, or the report contradicts it.
    """
    for stated in twin.decisions:
        try:
            decision, signers = decision_open(stated.envelope, [item.key for item in trust.decision_keys])
        except AttestError as error:
            raise ReportProblem(DECISIONS, f"the decision {stated.id}: {error}") from error
        if not trust.in_force(signers, decision.decided_at):
            raise ReportProblem(
                DECISIONS, f"the decision {stated.id} is signed with a key that was not in force at its time"
            )
        for what, is_told in _comparisons(stated, decision, twin):
            if not is_told:
                raise ReportProblem(DECISIONS, f"the report and the signed decision {stated.id} differ in {what}")
    return f"{len(twin.decisions)} signed by trusted keys, and as the report prints them"


def keys_follow(twin: Twin, trust: Trust) -> tuple[Trust, str]:
    """Follow each log to its newest key, by the proofs of rotations in the report.

    Raises:
        ReportProblem: one of them does not hold.
    """
    told = []
    for point in twin.checkpoints:
        if point.rotations and trust.log_verifier(point.origin) is not None:
            try:
                trust, words = rotations_follow(trust, point.origin, point.rotations)
            except TrustError as error:
                raise ReportProblem(KEYS, f"{point.origin}: {error}") from error
            told.append(f"{point.origin}: {words}")
    return trust, "; ".join(told)


def checkpoints_check(twin: Twin, trust: Trust) -> str:
    """Check that every checkpoint is signed by its log and is what the report states.

    Raises:
        ReportProblem: a log is unknown, a note is not signed by it, or says something else.
    """
    stated = {point.origin: point for point in twin.checkpoints}
    if not stated or len(stated) != len(twin.checkpoints):
        raise ReportProblem(CHECKPOINTS, "the report must hold one checkpoint for each log, and at least one")
    for point in twin.checkpoints:
        _checkpoint_check(point, trust)
    for origin, size in twin.counted:
        if origin not in stated or not 0 <= size <= stated[origin].size:
            raise ReportProblem(CHECKPOINTS, f"{size} counted entries lie outside the checkpoint of {origin}")
    sizes = ", ".join(f"{point.origin} at {point.size} entries" for point in twin.checkpoints)
    return f"signed by the logs: {sizes}"


def proofs_check(twin: Twin, trust: Trust) -> Proven:
    """Check every ledger proof; the checkpoints have been checked.

    Returns:
        The entries, now proven.

    Raises:
        ReportProblem: an entry is not in the tree of the report's own checkpoint, or not what is stated.
    """
    stated = {point.origin: point for point in twin.checkpoints}
    proven: dict[tuple[str, int], Event] = {}
    for proof in twin.proofs:
        point = stated.get(proof.origin)
        if point is None or (proof.origin, proof.index) in proven:
            raise ReportProblem(PROOFS, f"entry {proof.index} of {proof.origin} has no checkpoint, or two proofs")
        try:
            proven[proof.origin, proof.index] = _entry_open(proof, point, trust)
        except ModelNotaryError as error:
            raise ReportProblem(PROOFS, f"entry {proof.index} of {proof.origin}: {error}") from error
    return proven


def citations_check(twin: Twin, proven: Proven) -> str:
    """Check that every fact of the report is about what the ledger entry it cites is about.

    Raises:
        ReportProblem: an entry is not proven, or is about something else.
    """
    for citation in twin.citations:
        event = proven.get((citation.origin, citation.index))
        if event is None or not _is_cited(event, citation):
            raise ReportProblem(
                CITATIONS,
                f"{citation.kind} {citation.id} with digest {citation.digest} is not what entry {citation.index} "
                f"of {citation.origin} records",
            )
    model = ("model_version", twin.version_id, twin.model_digest)
    if model not in {(item.kind, item.id, item.digest) for item in twin.citations}:
        raise ReportProblem(CITATIONS, "no ledger entry is cited for the model version on the cover")
    return f"{len(twin.citations)} facts are what {len(proven)} proven entries record"


def _comparisons(stated: StatedDecision, decision: GateDecision, twin: Twin) -> Iterator[tuple[str, bool]]:
    """What report and signed decision both tell, and whether they agree."""
    expires_at = None if decision.expires_at is None else format_time(decision.expires_at)
    policy = None if decision.policy is None else decision.policy.digest.text
    yield "its id", stated.id == stated.source.id == decision.id
    yield "its digest", stated.source.digest == Digest.of(stated.envelope).text
    yield "the model", stated.model_digest == twin.model_digest == decision.digest.text
    yield "the environment", stated.environment == decision.environment
    yield "the result", stated.result == ("PASSED" if decision.passed else "FAILED")
    yield "the state", stated.state == decision.state or stated.state in _LATER_STATES
    yield "the times", (stated.decided_at, stated.expires_at) == (format_time(decision.decided_at), expires_at)
    yield "the policy", stated.policy_digest == policy
    yield "the rules", stated.rules == tuple((rule.id, rule.outcome) for rule in decision.rules)
    yield "the approvals", {item.statement.text for item in decision.approvals} <= twin.signatures


def _checkpoint_check(point: StatedCheckpoint, trust: Trust) -> None:
    verifier = trust.log_verifier(point.origin)
    if verifier is None:
        raise ReportProblem(CHECKPOINTS, f"the trust file has no key for the log {point.origin}")
    try:
        signed = checkpoint_open(point.note, verifier)
    except ModelNotaryError as error:
        raise ReportProblem(CHECKPOINTS, f"the checkpoint of {point.origin}: {error}") from error
    if (signed.size, base64_text(signed.root)) != (point.size, point.root):
        raise ReportProblem(CHECKPOINTS, f"the signed checkpoint of {point.origin} is not the one stated")


def _entry_open(proof: StatedProof, point: StatedCheckpoint, trust: Trust) -> Event:
    verifier = trust.log_verifier(proof.origin)
    assert verifier is not None
    inclusion = InclusionProof.from_bytes(proof.proof)
    leaf = base64_bytes(proof.leaf)
    inclusion.verify(leaf, verifier)
    event = Event.from_bytes(leaf)
    stated = (proof.index, proof.size, point.note, leaf, proof.type, proof.at, log_class(proof.origin))
    extra = leaf if inclusion.extra is None else inclusion.extra
    told = (inclusion.index, point.size, inclusion.checkpoint, extra, event.type, format_time(event.at), event.log)
    if stated != told:
        raise ReportProblem(PROOFS, f"entry {proof.index} of {proof.origin} is not what the report states of it")
    return event


def _is_cited(event: Event, citation: StatedCitation) -> bool:
    if (event.subject.kind, event.subject.id) != (citation.kind, citation.id):
        return False
    digest = event.subject.digest
    return citation.digest in (None, digest and digest.text) or citation.digest in _texts(dict(event.data))


def _texts(value: Json) -> Iterator[str]:
    """Every text in a JSON value, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
