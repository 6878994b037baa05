"""The gate's decisions: snapshot the evidence, evaluate the policy, sign the verdict."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of, system_actor
from governance.enums import DecisionState, Role, Vote
from governance.models import ApprovalRequest, Decision, ModelVersion, PolicyVersion, Signature, User
from governance.policy.document import Approvals
from governance.policy.engine import ENGINE
from governance.policy.evaluation import (
    APPROVALS_RULE,
    Context,
    Outcome,
    ReasonCode,
    RuleResult,
    evaluate,
    fresh_until,
    gravest,
    no_policy_result,
    results_bytes,
)
from governance.selectors import model_version_get
from governance.selectors.evidence import evidence_context, evidence_set_digest, rests_on
from governance.selectors.exceptions import exceptions_in_force, exceptions_stand, exceptions_used
from governance.selectors.gate import decision_standing
from governance.selectors.policies import policy_for
from governance.selectors.scope import sight_of
from governance.services.attestations import decision_attest
from governance.services.endings import decision_supersede
from governance.services.policies import policy_document
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

_STATES = {
    Outcome.ERROR: DecisionState.ERROR,
    Outcome.FAIL: DecisionState.FAILED,
    Outcome.PASS: DecisionState.PENDING,
}


@transaction.atomic
def decision_evaluate(*, actor: User, digest: Digest, environment: str, at: datetime) -> Decision:
    """Decide about an artifact for an environment; the same inputs give the same decision, not a second one.

    1. Lock the model version, so that no evidence arrives while the rules look.
    2. Take the policy in force and the set of evidence.
    3. Give the decision already made on the same inputs, if it still stands.
    4. Evaluate every rule over the facts as they are stored, so that they give the same once more.
    5. A rule that fails or cannot be evaluated ends it: the denial is signed. Otherwise ask people to sign.
    6. The decision takes the place of the one before it.

    Raises:
        UnknownArtifactError: No model version has these bytes.
    """
    version = model_version_get(digest=digest, seen_by=sight_of(actor=actor, at=at))
    ModelVersion.objects.select_for_update().get(pk=version.pk)  # 1
    policy = policy_for(version=version, environment=environment, at=at)  # 2
    context = replace(
        evidence_context(version, policy=policy, at=at),
        exceptions=exceptions_in_force(version=version, environment=environment, at=at),
    )
    newest = _newest(version, environment)
    if newest and _stands(newest, policy, context, at):  # 3
        return newest
    document = policy_document(policy) if policy else None
    stored = context.to_bytes()
    seen = Context.from_bytes(stored)
    results = evaluate(document, seen) if document else (no_policy_result(environment),)  # 4
    state = _state_of(results)
    decision = Decision(
        model_version=version,
        environment=environment,
        policy_version=policy,
        supersedes=newest,
        evidence_set_digest=evidence_set_digest(context).text,
        context_document=stored,
        context_digest=Digest.of(stored).text,
        context=seen.to_json(),
        engine=ENGINE,
        results_digest=Digest.of(results_bytes(results)).text,
        rules=[asdict(result) for result in results],
        state=state,
        requested_by=actor,
        evaluated_at=at,
    )
    if document and state == DecisionState.PENDING:  # 5
        _approval_open(decision, document.approvals, at)
    else:
        decision_issue(decision=decision, state=state, at=at)
    if newest:  # 6
        decision_supersede(previous=newest, successor=decision, at=at)
    return decision


def decision_issue(*, decision: Decision, state: DecisionState, at: datetime) -> None:
    """End a decision: fix its state, sign it, and write it to the ledger. Denials are signed too."""
    decision.state, decision.decided_at = state, at
    if state == DecisionState.PASSED and decision.policy_version:
        document = policy_document(decision.policy_version)
        stale = fresh_until(document, Context.from_bytes(bytes(decision.context_document)))
        ends = [at + timedelta(days=document.valid_days), *exceptions_used(decision).values()]
        decision.expires_at = min([*ends, stale] if stale else ends)
    signatures = _signatures(decision)
    decision.attestation = decision_attest(decision=decision, signatures=signatures)
    decision.attestation_digest = Digest.of(decision.attestation).text
    decision.save()
    event_record(
        event=LineageEvent.DECISION_ISSUED,
        actor=system_actor("gate"),
        subject=Subject("decision", decision.id, Digest.from_text(decision.model_version.digest)),
        data={
            "model_version": decision.model_version_id,
            "environment": decision.environment,
            "state": state.value,
            "attestation_digest": decision.attestation_digest,
            "policy_version": decision.policy_version_id,
            "evidence_set_digest": decision.evidence_set_digest,
            "context_digest": decision.context_digest,
            "results_digest": decision.results_digest,
            "engine": decision.engine,
            "supersedes": decision.supersedes_id,
            "signatures": [signature.statement_digest for signature in signatures],
        },
        at=at,
    )


def _signatures(decision: Decision) -> list[Any]:
    request = ApprovalRequest.objects.filter(decision_id=decision.pk).first()
    return list(request.signatures.all()) if request else []


def _newest(version: ModelVersion, environment: str) -> Decision | None:
    decisions = Decision.objects.filter(model_version=version, environment=environment).select_related("ending")
    return decisions.order_by("-evaluated_at", "-id").first()


def _stands(decision: Decision, policy: PolicyVersion | None, context: Context, at: datetime) -> bool:
    if decision_standing(decision, at=at) != decision.state or _grew_stale(decision, at):
        return False
    if decision.policy_version_id != (policy and policy.pk) or not rests_on(decision, context):
        return False
    if decision.state in {DecisionState.FAILED, DecisionState.ERROR}:
        # A denial is looked at anew when somebody accepted a risk meanwhile, or no longer does.
        return bool(decision.context.get("exceptions", []) == context.to_json().get("exceptions", []))
    return exceptions_stand(decision, at=at)


def _grew_stale(decision: Decision, at: datetime) -> bool:
    """Tell whether a decision still waits for signatures while the evidence that met its rules no longer counts."""
    if decision.state != DecisionState.PENDING or decision.policy_version is None:
        return False
    seen = Context.from_bytes(bytes(decision.context_document))
    end = fresh_until(policy_document(decision.policy_version), seen)
    return end is not None and end <= at


def _approval_open(decision: Decision, approvals: Approvals, at: datetime) -> None:
    waiting = RuleResult(
        id=APPROVALS_RULE,
        title=f"{approvals.quorum} signature{'s' if approvals.quorum > 1 else ''}: {approvals.meaning}",
        outcome=Outcome.PENDING,
        reason_code=ReasonCode.APPROVALS_MISSING,
        observed=0,
        expected=f">= {approvals.quorum} distinct people{_of_roles(approvals.at_least)}",
        message=f"0 of {approvals.quorum} signatures",
        evidence=(),
        remediation="Ask the officers to sign.",
    )
    decision.rules = [*decision.rules, asdict(waiting)]
    decision.save()
    request = ApprovalRequest.objects.create(
        decision=decision,
        quorum=approvals.quorum,
        roles=list(approvals.roles),
        at_least=dict(approvals.at_least),
        opened_at=at,
    )
    event_record(
        event=LineageEvent.DECISION_REQUESTED,
        actor=actor_of(decision.requested_by),
        subject=Subject("decision", decision.id, Digest.from_text(decision.model_version.digest)),
        data={
            "environment": decision.environment,
            "approval_request": request.id,
            "quorum": approvals.quorum,
            "at_least": dict(approvals.at_least),
            "evidence_set_digest": decision.evidence_set_digest,
            "policy_version": decision.policy_version_id,
        },
        at=at,
    )


def roles_missing(request: ApprovalRequest, signatures: list[Signature]) -> dict[str, int]:
    """Give the roles in which a request still wants signatures, and how many."""
    given = Counter(signature.role for signature in signatures)
    return {role: number - given[role] for role, number in request.at_least.items() if number > given[role]}


def _of_roles(wanted: Mapping[str, int], word: str = "") -> str:
    return ", ".join(["", *(f"{word}{number} {Role(role).label.lower()}" for role, number in wanted.items())])


def decision_settle(*, request: ApprovalRequest, at: datetime) -> None:
    """Count the signatures of a locked request and end its decision when they suffice, or when one refuses."""
    signatures = list(request.signatures.all())
    refused = any(signature.vote == Vote.REJECT for signature in signatures)
    missing = roles_missing(request, signatures)
    enough = len(signatures) >= request.quorum and not missing
    decision = request.decision
    outcome = Outcome.FAIL if refused else Outcome.PASS if enough else Outcome.PENDING
    reason = ReasonCode.APPROVAL_REFUSED if refused else ReasonCode.MET if enough else ReasonCode.APPROVALS_MISSING
    given = f"{len(signatures)} of {request.quorum} signatures{_of_roles(missing, 'missing ')}"
    words = "a signature refuses approval" if refused else given
    decision.rules = [
        rule | {"outcome": outcome, "reason_code": reason, "observed": len(signatures), "message": words}
        if rule["id"] == APPROVALS_RULE
        else rule
        for rule in decision.rules
    ]
    if refused or enough:
        decision_issue(decision=decision, state=DecisionState.FAILED if refused else DecisionState.PASSED, at=at)
    else:
        decision.save(update_fields=["rules"])


def _state_of(results: tuple[RuleResult, ...]) -> DecisionState:
    return _STATES[gravest(result.outcome for result in results)]
