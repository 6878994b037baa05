"""Electronic signatures under a decision (21 CFR 11.50, 11.70, 11.200)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import ApprovalState, DecisionState, Role
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
from governance.models import (
    ApprovalRequest,
    Evidence,
    ModelVersion,
    Passkey,
    Signature,
    SigningTicket,
    User,
)
from governance.selectors.evidence import evidence_compared, rests_on
from governance.selectors.people import roles_at
from governance.selectors.scope import unit_of
from governance.services.decisions import decision_settle
from governance.services.passkeys import (
    PasskeyAnswer,
    passkey_lock,
    passkey_prove,
    passkeys_of,
)
from governance.services.proofs import PasswordAndCode, authenticator_of, proof_require
from governance.services.statements import (
    SigningIntent,
    SigningTerms,
    by_code,
    by_passkey,
    passkey_columns,
    passkey_entry,
    signature_meaning,
    statement_write,
)
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

REASON_MINIMUM = 20
TICKET_FOR = timedelta(seconds=120)


def signing_prepare(*, signer: User, request_id: str, terms: SigningTerms, at: datetime) -> SigningTicket:
    """Freeze the statement that a person is about to sign by passkey; the SHA-256 of it is the challenge.

    The ticket is good for 120 seconds, for this person and request, and for one signature. What could not be signed
    gets none, and the refusal is recorded like that of a signature.

    Raises:
        GovernanceError: as `approval_sign`, or the person has no passkey.
    """
    request = _request_find(request_id)
    with _refusal_recorded(signer, request_id, terms, at):
        _require_signable(signer, request, terms, at)
        if not passkeys_of(signer):
            raise ReauthenticationError("register a passkey first; it is what signs")
        with transaction.atomic():
            statement = statement_write(signer, request, terms, by_passkey(at))
            ticket = SigningTicket.objects.create(
                request=request, signer=signer, statement=statement, prepared_at=at, expires_at=at + TICKET_FOR
            )
            event_record(
                event=LineageEvent.SIGNING_PREPARED,
                actor=actor_of(signer),
                subject=Subject("signing_ticket", ticket.id, Digest.of(statement)),
                data={"request": request.id, "expires_at": format_time(ticket.expires_at)},
                at=at,
            )
    return ticket


def approval_sign(*, signer: User, request_id: str, intent: SigningIntent, at: datetime) -> Signature:
    """Sign or refuse a decision. A refused attempt is written to the ledger and changes nothing else.

    0. The request exists; else there is nothing that an attempt could be recorded against.
    1. Check all of this: the signer is a person, not a superuser; the request is open, and this person has not signed
       it; the signer did not write the model, ask for the decision, produce the evidence or publish the policy; holds
       the role, which the policy accepts; and the evidence is still what was on the screen.
    2. The signer proves, now, who they are: with password and code, or by a passkey that signed the statement of a
       ticket that is theirs, in time and not used. What would be refused anyway uses no code.
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
    request = _request_find(request_id)  # 0
    with _refusal_recorded(signer, request_id, intent, at):
        _require_signable(signer, request, intent, at)  # 1
        passkey = _proven(signer, request, intent, at)  # 2
        with transaction.atomic():
            return _sign(signer, request_id, intent, passkey, at)  # 3, 4


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
    """Give the roles in which a person may sign a request: those that they hold now and the policy accepts."""
    held = roles_at(user=signer, at=timezone.now(), unit=unit_of(request))
    return [Role(role) for role in request.roles if role in held]


@contextmanager
def _refusal_recorded(signer: User, request_id: str, terms: SigningTerms, at: datetime) -> Iterator[None]:
    try:
        yield
    except GovernanceError as refusal:
        with transaction.atomic():
            event_record(
                event=LineageEvent.APPROVAL_REFUSED,
                actor=actor_of(signer),
                subject=Subject("approval_request", request_id),
                data={"code": refusal.code, "vote": terms.vote.value},
                at=at,
            )
        raise


def _proven(signer: User, request: ApprovalRequest, intent: SigningIntent, at: datetime) -> Passkey | None:
    if isinstance(intent.proof, PasswordAndCode):
        proof_require(user=signer, proof=intent.proof, at=at)
        return None
    _require_ticket(signer, request, intent.proof.ticket, at)
    return passkey_prove(user=signer, answer=intent.proof, at=at)


def _require_ticket(signer: User, request: ApprovalRequest, ticket: SigningTicket, at: datetime) -> None:
    if ticket.signer_id != signer.pk:
        raise SeparationOfDutiesError("this ticket was made for somebody else")
    if ticket.request_id != request.pk:
        raise ConflictError("this ticket is for another request")
    if not ticket.prepared_at <= at < ticket.expires_at:
        raise ReauthenticationError("this ticket was good for 120 seconds, which are over; prepare the signature anew")


def _sign(signer: User, request_id: str, intent: SigningIntent, passkey: Passkey | None, at: datetime) -> Signature:
    request = _request_lock(request_id)
    _require_signable(signer, request, intent, at)
    if passkey is not None and passkey_lock(passkey).revoked_at is not None:
        raise ReauthenticationError("the passkey was revoked")
    signature = _signature_write(signer, request, intent, passkey, at)
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


def _require_signable(signer: User, request: ApprovalRequest, terms: SigningTerms, at: datetime) -> None:
    _require_person(signer)
    _require_open(request, signer)
    _require_independent(signer, request)
    _require_role(signer, request, terms, at)
    _require_current(request, terms)


def _require_person(signer: User) -> None:
    if signer.is_service:
        raise HumanRequiredError(f"{signer.username} is a service account; only a person can sign an approval")
    if signer.is_superuser:
        raise SeparationOfDutiesError("a superuser can change the rules and so cannot approve under them")


def _require_enrolled(signer: User) -> None:
    if authenticator_of(signer) is None and not passkeys_of(signer):
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


def _require_role(signer: User, request: ApprovalRequest, terms: SigningTerms, at: datetime) -> None:
    if terms.role not in roles_at(user=signer, at=at, unit=unit_of(request)):
        raise SeparationOfDutiesError(f"{signer.printed_name} does not hold the role {terms.role.label}")
    if terms.role not in request.roles:
        raise SeparationOfDutiesError(
            f"the policy accepts signatures of {', '.join(request.roles)}, not {terms.role.value}"
        )
    if len(terms.reason.strip()) < REASON_MINIMUM:
        raise RejectedInputError(f"/reason must say why in at least {REASON_MINIMUM} characters")


def _require_any_role(signer: User, request: ApprovalRequest) -> None:
    if not roles_accepted(signer=signer, request=request):
        accepted = ", ".join(Role(role).label for role in request.roles)
        raise SeparationOfDutiesError(
            f"{signer.printed_name} holds none of the roles that the policy accepts: {accepted}"
        )


def _require_current(request: ApprovalRequest, terms: SigningTerms) -> None:
    if terms.evidence_set_digest != request.decision.evidence_set_digest:
        raise StaleEvidenceError("the evidence is not what was shown; look at the decision again, or request a new one")
    _require_unchanged(request)


def _require_unchanged(request: ApprovalRequest) -> None:
    decision = request.decision
    seen = evidence_compared(decision.model_version, policy=decision.policy_version, at=decision.evaluated_at)
    if not rests_on(decision, seen):
        raise StaleEvidenceError("the evidence changed since the decision was requested; request a new decision")


def _signature_write(
    signer: User, request: ApprovalRequest, intent: SigningIntent, passkey: Passkey | None, at: datetime
) -> Signature:
    decision, answer = request.decision, intent.proof
    assert decision.policy_version is not None
    how = by_passkey(answer.ticket.prepared_at) if isinstance(answer, PasskeyAnswer) else by_code(at)
    statement = statement_write(signer, request, intent, how)
    if isinstance(answer, PasskeyAnswer) and bytes(answer.ticket.statement) != statement:
        raise ConflictError("what the ticket states is not so any more; prepare the signature anew")
    digest = Digest.of(statement)
    signature = Signature.objects.create(
        request=request,
        signer=signer,
        printed_name=signer.printed_name,
        role=intent.role,
        vote=intent.vote,
        meaning=signature_meaning(policy=decision.policy_version, vote=intent.vote),
        reason=intent.reason.strip(),
        method=str(how["method"]),
        statement=statement,
        statement_digest=digest.text,
        signed_at=at,
        **passkey_columns(answer, passkey),
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
            "meaning": signature.meaning,
            "reason": signature.reason,
            **passkey_entry(answer, passkey, statement),
        },
        at=at,
    )
    return signature
