"""Break-glass: two people let a denied model version be used for hours, in the open, and it is reviewed afterwards."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import DecisionState, OverrideStep, Role
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError, UnknownRecordError
from governance.models import Decision, ModelVersion, Override, OverrideStepRecord, User
from governance.models.exceptions import OVERRIDE_LIMIT, OVERRIDE_REASON_MINIMUM, TICKET_LIMIT
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.attest.override import SignedOverride, override_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.ledger.keys import key_load
from modelnotary.times import format_time

REQUESTERS = (Role.ENGINEER, Role.MODEL_OWNER, Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
APPROVERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
_DENIALS = (DecisionState.FAILED, DecisionState.ERROR)
_EVENTS = {
    OverrideStep.APPROVED: LineageEvent.OVERRIDE_APPROVED,
    OverrideStep.REFUSED: LineageEvent.OVERRIDE_REFUSED,
    OverrideStep.ENDED: LineageEvent.OVERRIDE_ENDED,
    OverrideStep.REVIEWED: LineageEvent.OVERRIDE_REVIEWED,
}


@dataclass(frozen=True, slots=True)
class OverrideTerms:
    """What is asked for.

    Attributes:
        reason: Why, in at least 30 characters.
        ticket_url: Where the emergency is tracked, an https address.
        expires_at: When it ends, at most 72 hours ahead.
        review_owner: Who reviews it afterwards; not who asks.
        review_due_at: Until when.
    """

    reason: str
    ticket_url: str
    expires_at: datetime
    review_owner: User
    review_due_at: datetime


def override_request(*, officer: Officer, decision_id: str, terms: OverrideTerms, at: datetime) -> Override:
    """Ask to use what the newest decision denies.

    Raises:
        UnknownRecordError: No such decision.
        GovernanceError: The officer may not, the terms are not acceptable, or it is no denial that counts.
    """
    about = Decision.objects.filter(pk=decision_id).first()
    if about is None:
        raise UnknownRecordError(f"no decision {decision_id}")
    subject = Subject("decision", decision_id)
    with officer_step(officer=officer, roles=REQUESTERS, step="override.request", subject=subject, at=at, about=about):
        decision = _denial_lock(decision_id)
        _require_terms(terms, officer.user, at)
        override = Override.objects.create(
            decision=decision,
            reason=words_require(terms.reason, "/reason", at_least=OVERRIDE_REASON_MINIMUM),
            ticket_url=terms.ticket_url,
            requested_by=officer.user,
            requested_at=at,
            expires_at=terms.expires_at,
            review_owner=terms.review_owner,
            review_due_at=terms.review_due_at,
        )
        event_record(
            event=LineageEvent.OVERRIDE_REQUESTED,
            actor=actor_of(officer.user),
            subject=Subject("override", override.id, Digest.from_text(decision.model_version.digest)),
            data={
                "decision": decision.id,
                "environment": decision.environment,
                "reason": override.reason,
                "ticket": override.ticket_url,
                "expires_at": format_time(override.expires_at),
                "review_owner": terms.review_owner.id,
                "review_due_at": format_time(override.review_due_at),
            },
            at=at,
        )
    return override


def override_step(
    *, officer: Officer, override_id: str, step: OverrideStep, reason: str, at: datetime
) -> OverrideStepRecord:
    """Approve an override, refuse it, end it before its time, or review it afterwards.

    Raises:
        UnknownRecordError: No such override.
        GovernanceError: The officer may not, or asked for it; or the step does not follow on what was done.
    """
    about = Override.objects.filter(pk=override_id).first()
    if about is None:
        raise UnknownRecordError(f"no override {override_id}")
    subject, named = Subject("override", override_id), f"override.{step.value}"
    with officer_step(officer=officer, roles=APPROVERS, step=named, subject=subject, at=at, about=about):
        override = (
            Override.objects.select_for_update(of=("self",))
            .select_related("requested_by", "decision__model_version__author", "decision__model_version__registered_by")
            .get(pk=override_id)
        )
        if step is not OverrideStep.ENDED:
            other_person_require(officer.user, *_involved(override, step))
        _require_order(override, step, at)
        statement = _sign(override, officer.user, at) if step is OverrideStep.APPROVED else None
        record = OverrideStepRecord.objects.create(
            override=override,
            kind=step,
            reason=words_require(reason, "/reason"),
            by=officer.user,
            at=at,
            statement=statement,
            statement_digest=Digest.of(statement).text if statement else "",
        )
        event_record(
            event=_EVENTS[step],
            actor=actor_of(officer.user),
            subject=Subject("override", override.id, Digest.from_text(override.decision.model_version.digest)),
            data={
                "decision": override.decision_id,
                "environment": override.decision.environment,
                "reason": record.reason,
                "statement_digest": record.statement_digest,
            },
            at=at,
        )
    return record


def override_hindrance(*, user: User, override: Override, step: OverrideStep) -> str | None:
    """Say in words why somebody cannot take a step, as far as it can be known beforehand, or nothing."""
    others = () if step is OverrideStep.ENDED else _involved(override, step)
    return step_hindrance(user=user, roles=APPROVERS, others=others, about=override)


def _involved(override: Override, step: OverrideStep) -> tuple[User | None, ...]:
    version = override.decision.model_version
    if step is OverrideStep.REVIEWED:
        approval = override.steps.filter(kind=OverrideStep.APPROVED).select_related("by").first()
        return (override.requested_by, approval.by if approval else None)
    return (override.requested_by, version.author, version.registered_by)


def _denial_lock(decision_id: str) -> Decision:
    found = Decision.objects.select_related("model_version").get(pk=decision_id)
    ModelVersion.objects.select_for_update().get(pk=found.model_version_id)
    newest = (
        Decision.objects.filter(model_version=found.model_version_id, environment=found.environment)
        .order_by("-evaluated_at", "-id")
        .first()
    )
    if newest is None or newest.pk != found.pk:
        raise ConflictError(f"{found.id} is not the newest decision, so it is not what the gate answers with")
    if newest.state not in _DENIALS:
        raise ConflictError(f"{found.id} is {newest.state}; only a denial can be overridden")
    return found


def _require_terms(terms: OverrideTerms, requester: User, at: datetime) -> None:
    if not terms.ticket_url.startswith("https://") or len(terms.ticket_url) > TICKET_LIMIT:
        raise RejectedInputError("/ticket_url must be an https address")
    if not at < terms.expires_at <= at + OVERRIDE_LIMIT:
        raise RejectedInputError("/expires_at must be within 72 hours from now")
    if terms.review_due_at <= at:
        raise RejectedInputError("/review_due_at must be in the future")
    owner = terms.review_owner
    if owner.is_service or not owner.is_active:
        raise RejectedInputError("/review_owner must be a person with an active account")
    if owner.pk == requester.pk:
        raise SeparationOfDutiesError("whoever asks for an override cannot be the one who reviews it")


def _require_order(override: Override, step: OverrideStep, at: datetime) -> None:
    taken = set(override.steps.values_list("kind", flat=True))
    answers = {OverrideStep.APPROVED, OverrideStep.REFUSED}
    if step in answers:
        if answered := taken & answers:
            raise ConflictError(f"{override.id} was answered already: {', '.join(sorted(answered))}")
        if override.expires_at <= at:
            raise ConflictError(f"{override.id} ran out before it was answered")
        _denial_lock(override.decision_id)
        return
    if OverrideStep.APPROVED not in taken:
        raise ConflictError(f"{override.id} was never approved")
    if step in taken:
        raise ConflictError(f"{override.id} was {step.label.lower()} already")
    over = OverrideStep.ENDED in taken or override.expires_at <= at
    if step is OverrideStep.ENDED and over:
        raise ConflictError(f"{override.id} is over already")
    if step is OverrideStep.REVIEWED and not over:
        raise ConflictError(f"{override.id} is still in force; end it first, or review it when it has run out")


def _sign(override: Override, approver: User, at: datetime) -> bytes:
    decision = override.decision
    signed = SignedOverride(
        id=override.id,
        decision=decision.id,
        name=str(decision.model_version),
        digest=Digest.from_text(decision.model_version.digest),
        environment=decision.environment,
        attestation=decision.attestation_digest,
        reason=override.reason,
        ticket=override.ticket_url,
        requested_by=override.requested_by_id,
        approved_by=approver.id,
        approved_at=at,
        expires_at=override.expires_at,
        review_due_at=override.review_due_at,
    )
    return override_sign(signed, key_load(settings.KEYS_DIR / "decision.key"))
