"""Electronic signatures under a decision (21 CFR 11.50, 11.70, 11.200)."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import ApprovalState, DecisionState, Role, Vote
from governance.errors import (
    ConflictError,
    GovernanceError,
    HumanRequiredError,
    ReauthenticationError,
    RejectedInputError,
    SeparationOfDutiesError,
    StaleEvidenceError,
    UnknownRecordError,
)
from governance.models import ApprovalRequest, Evidence, ModelVersion, PolicyVersion, Signature, User
from governance.selectors.evidence import evidence_context, rests_on
from governance.services.decisions import decision_settle
from governance.services.policies import policy_document
from governance.services.proofs import METHOD, PasswordAndCode, authenticator_of, proof_require
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

REASON_MINIMUM = 20
REJECTION_MEANING = "I have examined the evidence and reject this use."


@dataclass(frozen=True, slots=True)
class SigningIntent:
    """What a person wants to sign.

    Attributes:
        vote: Approve or reject.
        role: The role they sign in.
        reason: Why, in their own words, at least 20 characters.
        evidence_set_digest: Digest of the evidence that was on their screen.
        proof: Proof of who they are, given afresh for this signature; never stored.
    """

    vote: Vote
    role: Role
    reason: str
    evidence_set_digest: str
    proof: PasswordAndCode


def approval_sign(*, signer: User, request_id: str, intent: SigningIntent, at: datetime) -> Signature:
    """Sign or refuse a decision. A refused attempt is written to the ledger and changes nothing else.

    0. The request exists; else there is nothing that an attempt could be recorded against.
    1. Check all of this: the signer is a person, not a superuser; the request is open, and this person has not signed
       it; the signer did not write the model, ask for the decision, produce the evidence or publish the policy; holds
       the role, which the policy accepts; and the evidence is still what was on the screen.
    2. The signer proves with password and code, now, who they are. What would be refused anyway uses no code.
    3. Lock the request and the model version, and check all of 1 once more.
    4. Write the signature with its statement, and settle the decision.

    Raises:
        HumanRequiredError: A service account tries to sign.
        SeparationOfDutiesError: A superuser, or somebody involved, or without the role.
        ReauthenticationError: Password or code are missing, wrong or used; see `proof_require`.
        ConflictError: The request is closed, or this person signed already.
        StaleEvidenceError: The evidence changed.
        RejectedInputError: No such role, or the reason is too short.
        UnknownRecordError: No such request.
    """
    try:
        request = _request_find(request_id)  # 0
        _require_signable(signer, request, intent)  # 1
        proof_require(user=signer, proof=intent.proof, at=at)  # 2
        with transaction.atomic():
            return _sign(signer, request_id, intent, at)  # 3, 4
    except UnknownRecordError:
        raise
    except GovernanceError as refusal:
        with transaction.atomic():
            event_record(
                event=LineageEvent.APPROVAL_REFUSED,
                actor=actor_of(signer),
                subject=Subject("approval_request", request_id),
                data={"code": refusal.code, "vote": intent.vote.value},
                at=at,
            )
        raise


def approval_hindrance(*, signer: User, request: ApprovalRequest) -> str | None:
    """Say in words why a person cannot sign a request, so that nobody is offered what would be refused.

    Checks what `approval_sign` checks and can be known beforehand; None when nothing stands in the way.
    """
    try:
        _require_person(signer)
        _require_open(request, signer)
        _require_independent(signer, request)
        _require_any_role(signer, request)
        _require_unchanged(request)
        _require_enrolled(signer)
    except GovernanceError as refusal:
        return str(refusal)
    return None


def roles_accepted(*, signer: User, request: ApprovalRequest) -> list[Role]:
    """Give the roles in which a person may sign a request: those that they hold and the policy accepts."""
    return [Role(role) for role in request.roles if role in signer.roles]


def signature_meaning(*, policy: PolicyVersion, vote: Vote) -> str:
    """Give the words that a signature stands for: an approval's are the policy's own."""
    return policy_document(policy).approvals.meaning if vote == Vote.APPROVE else REJECTION_MEANING


def _sign(signer: User, request_id: str, intent: SigningIntent, at: datetime) -> Signature:
    request = _request_lock(request_id)
    _require_signable(signer, request, intent)
    signature = _signature_write(signer, request, intent, at)
    decision_settle(request=request, at=at)
    if request.decision.state != DecisionState.PENDING:
        approved = request.decision.state == DecisionState.PASSED
        request.state = ApprovalState.APPROVED if approved else ApprovalState.REJECTED
        request.closed_at = at
        request.save(update_fields=["state", "closed_at"])
    return signature


def _request_find(request_id: str) -> ApprovalRequest:
    request = ApprovalRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise UnknownRecordError(f"no approval request {request_id}")
    return request


def _require_signable(signer: User, request: ApprovalRequest, intent: SigningIntent) -> None:
    _require_person(signer)
    _require_open(request, signer)
    _require_independent(signer, request)
    _require_role(signer, request, intent)
    _require_current(request, intent)


def _require_person(signer: User) -> None:
    if signer.is_service:
        raise HumanRequiredError(f"{signer.username} is a service account; only a person can sign an approval")
    if signer.is_superuser:
        raise SeparationOfDutiesError("a superuser can change the rules and so cannot approve under them")


def _require_enrolled(signer: User) -> None:
    if authenticator_of(signer) is None:
        raise ReauthenticationError(
            "enrol an authenticator app first, under Accounts: it gives the code that you sign with"
        )


def _request_lock(request_id: str) -> ApprovalRequest:
    request = ApprovalRequest.objects.select_for_update().get(pk=request_id)
    ModelVersion.objects.select_for_update().get(pk=request.decision.model_version_id)  # no evidence arrives meanwhile
    return request


def _require_open(request: ApprovalRequest, signer: User) -> None:
    if request.state != ApprovalState.OPEN:
        last = request.signatures.last()
        by = f" by {last.printed_name} at {last.signed_at:%Y-%m-%d %H:%M} UTC" if last else ""
        raise ConflictError(f"this request was already {request.get_state_display().lower()}{by}")
    if request.signatures.filter(signer=signer).exists():
        raise ConflictError(f"{signer.printed_name} has signed this request already")


def _require_independent(signer: User, request: ApprovalRequest) -> None:
    decision = request.decision
    version = decision.model_version
    read = Q(model_version=version) | Q(pk__in=[item["id"] for item in decision.context["evidence"]])
    producers = [item.producer for item in Evidence.objects.filter(read).select_related("producer")]
    policy = decision.policy_version
    involved = {
        "wrote the model version": [version.author, version.registered_by],
        "requested the decision": [decision.requested_by],
        "produced evidence for it": producers,
        "published the policy": [policy.published_by] if policy else [],
        "drafted the policy": [policy.draft.drafted_by] if policy and policy.draft else [],
    }
    for what, people in involved.items():
        if any(signer.pk in {person.pk, person.owner_id} for person in people):
            raise SeparationOfDutiesError(f"{signer.printed_name} {what} and so cannot approve it; ask someone else")


def _require_role(signer: User, request: ApprovalRequest, intent: SigningIntent) -> None:
    if intent.role not in signer.roles:
        raise SeparationOfDutiesError(f"{signer.printed_name} does not hold the role {intent.role.label}")
    if intent.role not in request.roles:
        raise SeparationOfDutiesError(
            f"the policy accepts signatures of {', '.join(request.roles)}, not {intent.role.value}"
        )
    if len(intent.reason.strip()) < REASON_MINIMUM:
        raise RejectedInputError(f"/reason must say why in at least {REASON_MINIMUM} characters")


def _require_any_role(signer: User, request: ApprovalRequest) -> None:
    if not roles_accepted(signer=signer, request=request):
        accepted = ", ".join(Role(role).label for role in request.roles)
        raise SeparationOfDutiesError(
            f"{signer.printed_name} holds none of the roles that the policy accepts: {accepted}"
        )


def _require_current(request: ApprovalRequest, intent: SigningIntent) -> None:
    if intent.evidence_set_digest != request.decision.evidence_set_digest:
        raise StaleEvidenceError("the evidence is not what was shown; look at the decision again, or request a new one")
    _require_unchanged(request)


def _require_unchanged(request: ApprovalRequest) -> None:
    decision = request.decision
    seen = evidence_context(decision.model_version, policy=decision.policy_version, at=decision.evaluated_at)
    if not rests_on(decision, seen):
        raise StaleEvidenceError("the evidence changed since the decision was requested; request a new decision")


def _signature_write(signer: User, request: ApprovalRequest, intent: SigningIntent, at: datetime) -> Signature:
    decision = request.decision
    assert decision.policy_version is not None
    meaning = signature_meaning(policy=decision.policy_version, vote=intent.vote)
    statement = canonical_bytes(
        {
            "format": "modelnotary-signature/v1",
            "decision": decision.id,
            "model_digest": decision.model_version.digest,
            "environment": decision.environment,
            "policy_digest": decision.policy_version.digest,
            "evidence_set_digest": decision.evidence_set_digest,
            "vote": intent.vote.value,
            "meaning": meaning,
            "reason": intent.reason.strip(),
            "printed_name": signer.printed_name,
            "signer": signer.id,
            "role": intent.role.value,
            "method": METHOD,
            "signed_at": format_time(at),
        }
    )
    digest = Digest.of(statement)
    signature = Signature.objects.create(
        request=request,
        signer=signer,
        printed_name=signer.printed_name,
        role=intent.role,
        vote=intent.vote,
        meaning=meaning,
        reason=intent.reason.strip(),
        method=METHOD,
        statement=statement,
        statement_digest=digest.text,
        signed_at=at,
    )
    event_record(
        event=LineageEvent.APPROVAL_SIGNED,
        actor=actor_of(signer),
        subject=Subject("signature", signature.id, digest),
        data={
            "decision": decision.id,
            "request": request.id,
            "vote": intent.vote.value,
            "role": intent.role.value,
            "meaning": meaning,
            "reason": signature.reason,
        },
        at=at,
    )
    return signature
