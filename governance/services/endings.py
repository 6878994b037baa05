"""How passed decisions end: two people revoke one, a new one takes its place, its time runs out.

A verdict is never edited. What ends it is a record of its own, and there is one at most.
"""

from datetime import datetime, timedelta

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of, system_actor
from governance.enums import DecisionState, EndingKind, Role
from governance.errors import ConflictError, UnknownRecordError
from governance.models import Decision, DecisionEnding, ModelVersion, RevocationProposal, User
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Subject
from modelnotary.times import format_time

REVOKERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
PROPOSAL_STANDS = timedelta(days=7)
_EVENTS = {
    EndingKind.EXPIRED: LineageEvent.DECISION_EXPIRED,
    EndingKind.REVOKED: LineageEvent.DECISION_REVOKED,
    EndingKind.SUPERSEDED: LineageEvent.DECISION_SUPERSEDED,
}


def revocation_propose(*, officer: Officer, decision_id: str, reason: str, at: datetime) -> RevocationProposal:
    """Propose to revoke a passed decision; another officer has seven days to confirm it.

    Raises:
        UnknownRecordError: No such decision.
        GovernanceError: The officer may not, the reason says nothing, the decision does not stand, or another
            proposal to revoke it waits.
    """
    about = Decision.objects.filter(pk=decision_id).first()
    if about is None:
        raise UnknownRecordError(f"no decision {decision_id}")
    subject = Subject("decision", decision_id)
    with officer_step(officer=officer, roles=REVOKERS, step="revocation.propose", subject=subject, at=at, about=about):
        decision = _standing_lock(decision_id, at)
        if waiting := proposal_waiting(decision=decision, at=at):
            raise ConflictError(
                f"{waiting.proposed_by.printed_name} proposed this already; confirm {waiting.id} instead"
            )
        proposal = RevocationProposal.objects.create(
            decision=decision, reason=words_require(reason, "/reason"), proposed_by=officer.user, proposed_at=at
        )
        event_record(
            event=LineageEvent.DECISION_REVOCATION_PROPOSED,
            actor=actor_of(officer.user),
            subject=_subject(decision),
            data={"proposal": proposal.id, "reason": proposal.reason},
            at=at,
        )
    return proposal


def revocation_confirm(*, officer: Officer, proposal_id: str, at: datetime) -> DecisionEnding:
    """Revoke a decision that another officer proposed to revoke. The gate is closed from this moment.

    Raises:
        UnknownRecordError: No such proposal.
        GovernanceError: The officer may not or proposed it, the proposal is too old, or the decision does not stand.
    """
    proposal = RevocationProposal.objects.select_related("proposed_by").filter(pk=proposal_id).first()
    if proposal is None:
        raise UnknownRecordError(f"no proposal {proposal_id}")
    subject = Subject("decision", proposal.decision_id)
    with officer_step(
        officer=officer, roles=REVOKERS, step="revocation.confirm", subject=subject, at=at, about=proposal
    ):
        other_person_require(officer.user, proposal.proposed_by)
        decision = _standing_lock(proposal.decision_id, at)
        if at - proposal.proposed_at > PROPOSAL_STANDS:
            raise ConflictError(
                f"{proposal.id} was proposed more than {PROPOSAL_STANDS.days} days ago; propose it again"
            )
        return _end(
            DecisionEnding(
                decision=decision,
                kind=EndingKind.REVOKED,
                reason=proposal.reason,
                proposal=proposal,
                confirmed_by=officer.user,
                ended_at=at,
                recorded_at=at,
            ),
            actor_of(officer.user),
            {"proposal": proposal.id, "proposed_by": proposal.proposed_by_id, "confirmed_by": officer.user.id},
        )


def proposal_waiting(*, decision: Decision, at: datetime) -> RevocationProposal | None:
    """Give the proposal to revoke a decision that waits for a second person, if there is one."""
    proposals = decision.revocation_proposals.select_related("proposed_by")
    return proposals.filter(proposed_at__gte=at - PROPOSAL_STANDS, ending=None).first()


def revocation_hindrance(*, user: User, decision: Decision, proposal: RevocationProposal | None) -> str | None:
    """Say in words why somebody can neither propose to revoke nor confirm, or nothing."""
    others = (proposal.proposed_by,) if proposal else ()
    return step_hindrance(user=user, roles=REVOKERS, others=others, about=decision)


def decision_supersede(*, previous: Decision, successor: Decision, at: datetime) -> None:
    """Record that a new decision takes the place of an older one, which may have run out before.

    The caller holds the lock on the model version and has stored the successor.
    """
    locked = Decision.objects.select_for_update(of=("self",)).get(pk=previous.pk)
    if locked.state != DecisionState.PASSED or DecisionEnding.objects.filter(decision=locked).exists():
        return
    if locked.expires_at is not None and locked.expires_at <= at:
        _expire(locked, at)
        return
    _end(
        DecisionEnding(
            decision=locked,
            kind=EndingKind.SUPERSEDED,
            reason=f"{successor.id} was requested and takes its place",
            successor=successor,
            ended_at=at,
            recorded_at=at,
        ),
        system_actor("gate"),
        {"successor": successor.id},
    )


def decisions_expire(*, at: datetime) -> int:
    """Record that decisions ran out, each once, however many workers look; the gate goes by the clock anyway.

    Returns:
        How many were recorded.
    """
    due = Decision.objects.filter(state=DecisionState.PASSED, expires_at__lte=at, ending=None).values_list("pk")
    recorded = 0
    for (identity,) in list(due):
        with transaction.atomic():
            waiting = Decision.objects.select_for_update(skip_locked=True, of=("self",)).select_related("model_version")
            decision = waiting.filter(pk=identity).first()
            if decision and not DecisionEnding.objects.filter(decision=decision).exists():
                _expire(decision, at)
                recorded += 1
    return recorded


def _expire(decision: Decision, at: datetime) -> None:
    assert decision.expires_at is not None
    ending = DecisionEnding(
        decision=decision,
        kind=EndingKind.EXPIRED,
        reason="its time ran out",
        ended_at=decision.expires_at,
        recorded_at=at,
    )
    _end(ending, system_actor("gate"), {})


def _standing_lock(decision_id: str, at: datetime) -> Decision:
    """Lock a decision, after its model version as everywhere, and demand that it counts."""
    version_id = Decision.objects.values_list("model_version_id", flat=True).get(pk=decision_id)
    ModelVersion.objects.select_for_update().get(pk=version_id)
    decision = Decision.objects.select_for_update(of=("self",)).select_related("model_version").get(pk=decision_id)
    ending = DecisionEnding.objects.filter(decision=decision).first()
    if ending:
        raise ConflictError(
            f"decision {decision.id} was already {ending.get_kind_display().lower()} "
            f"at {ending.ended_at:%Y-%m-%d %H:%M} UTC"
        )
    if decision.state != DecisionState.PASSED:
        raise ConflictError(f"decision {decision.id} is {decision.state}; only a passed decision can be revoked")
    if decision.expires_at is not None and decision.expires_at <= at:
        raise ConflictError(f"decision {decision.id} ran out at {decision.expires_at:%Y-%m-%d %H:%M} UTC")
    return decision


def _end(ending: DecisionEnding, actor: Actor, data: dict[str, Json]) -> DecisionEnding:
    ending.save(force_insert=True)
    decision = ending.decision
    event_record(
        event=_EVENTS[EndingKind(ending.kind)],
        actor=actor,
        subject=_subject(decision),
        data={
            "ending": ending.id,
            "model_version": decision.model_version_id,
            "environment": decision.environment,
            "reason": ending.reason,
            "ended_at": format_time(ending.ended_at),
            "attestation_digest": decision.attestation_digest,
            **data,
        },
        at=ending.recorded_at,
    )
    return ending


def _subject(decision: Decision) -> Subject:
    return Subject("decision", decision.id, Digest.from_text(decision.model_version.digest))
