"""Accepting that one piece of evidence took the place of another."""

from datetime import datetime

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError, UnknownRecordError
from governance.models import EvidenceSupersession, ModelVersion, SupersessionAcceptance, User
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

REVIEWERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)


def supersession_accept(*, officer: Officer, supersession_id: str, reason: str, at: datetime) -> SupersessionAcceptance:
    """Accept that one piece of evidence took the place of another: from now on the superseded one does not count.

    Raises:
        UnknownRecordError: No such claim.
        GovernanceError: The officer may not, produced one of the two or wrote the model, the reason says nothing, or
            it was accepted already.
    """
    claim = EvidenceSupersession.objects.filter(pk=supersession_id).first()
    if claim is None:
        raise UnknownRecordError(f"no supersession {supersession_id}")
    subject = Subject("evidence", claim.superseded_id, Digest.from_text(claim.superseded.digest))
    with officer_step(
        officer=officer, roles=REVIEWERS, step="supersession.accept", subject=subject, at=at, about=claim
    ):
        other_person_require(officer.user, *_involved(claim))
        if version := claim.superseded.model_version:
            ModelVersion.objects.select_for_update().get(pk=version.pk)  # a decision must not look meanwhile
        name_lock(f"governance.supersession {claim.id}")
        if SupersessionAcceptance.objects.filter(supersession=claim).exists():
            raise ConflictError(f"{claim.id} was accepted already")
        acceptance = SupersessionAcceptance.objects.create(
            supersession=claim, reason=words_require(reason, "/reason"), accepted_by=officer.user, accepted_at=at
        )
        event_record(
            event=LineageEvent.EVIDENCE_SUPERSESSION_ACCEPTED,
            actor=actor_of(officer.user),
            subject=subject,
            data={"supersession": claim.id, "successor": claim.successor_id, "reason": acceptance.reason},
            at=at,
        )
    return acceptance


def supersession_hindrance(*, user: User, claim: EvidenceSupersession) -> str | None:
    """Say in words why somebody cannot accept a claim, or nothing."""
    return step_hindrance(user=user, roles=REVIEWERS, others=_involved(claim), about=claim)


def _involved(claim: EvidenceSupersession) -> tuple[User, ...]:
    version = claim.superseded.model_version
    wrote = (version.author, version.registered_by) if version else ()
    return (claim.claimed_by, claim.superseded.producer, claim.successor.producer, *wrote)
