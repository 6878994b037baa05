"""Attaching policies: one officer proposes what is in force in a place, another one confirms it."""

from datetime import datetime, timedelta

from django.db.models import Max, Q

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import AttachmentKind
from governance.errors import ConflictError, RejectedInputError
from governance.evidence.schemas import name_hint
from governance.models import AttachmentProposal, Policy, PolicyAttachment, User
from governance.policy.reading import SLUG
from governance.selectors.policies import attachment_at
from governance.selectors.tiers import tiers_known
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.policies import POLICIES, policy_document
from governance.services.publications import PUBLISHERS
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Subject

PROPOSAL_STANDS = timedelta(days=7)


def attachment_propose(
    *, officer: Officer, policy: Policy, kind: AttachmentKind, environment: str, tier: str, reason: str, at: datetime
) -> AttachmentProposal:
    """Propose that a policy be in force for an environment and a tier, or no longer; another officer confirms it.

    Args:
        officer: Who proposes.
        policy: What is attached or detached.
        kind: Which of the two.
        environment: The environment.
        tier: The risk tier, or nothing for all tiers; a policy for one tier goes before one for all.
        reason: Why.
        at: The moment.

    Raises:
        GovernanceError: The officer may not, the reason says nothing, the policy was never published or is written for
            another environment, is attached there already, or is not attached where it is to be detached; no published
            template knows the tier.
    """
    with officer_step(
        officer=officer, roles=PUBLISHERS, step="policy.propose", subject=Subject("policy", policy.id), at=at
    ):
        for name, words in (("environment", environment), ("tier", tier)):
            if not SLUG.fullmatch(words) and (words or name == "environment"):
                raise RejectedInputError(f"/{name} is a name of lowercase letters, digits, hyphens and underscores")
        if tier and kind is AttachmentKind.ATTACH:
            _require_known_tier(tier, at)
        name_lock(POLICIES.lock)
        current = attachment_at(environment=environment, tier=tier, at=at)
        _require_applicable(policy, kind, environment, current)
        proposal = AttachmentProposal.objects.create(
            kind=kind,
            policy=policy,
            environment=environment,
            tier=tier,
            replaces=current,
            reason=words_require(reason, "/reason"),
            proposed_by=officer.user,
            proposed_at=at,
        )
        _record(LineageEvent.POLICY_ATTACHMENT_PROPOSED, proposal, officer.user, {"reason": proposal.reason}, at)
    return proposal


def attachment_confirm(*, officer: Officer, proposal: AttachmentProposal, at: datetime) -> PolicyAttachment:
    """Do what another officer proposed: the policy in force there changes at this moment.

    Returns:
        The attachment that began, or that ended when the proposal was to detach.

    Raises:
        GovernanceError: The officer may not or proposed it, the proposal is too old or was confirmed already, or what
            is in force there is not what it was when this was proposed.
    """
    subject = Subject("policy_attachment_proposal", proposal.id)
    with officer_step(officer=officer, roles=PUBLISHERS, step="policy.confirm", subject=subject, at=at):
        other_person_require(officer.user, proposal.proposed_by)
        name_lock(POLICIES.lock)
        at = _not_before_the_last(proposal, at)
        _require_fresh(proposal, at)
        current = attachment_at(environment=proposal.environment, tier=proposal.tier, at=at)
        if current != proposal.replaces:
            raise ConflictError("what is in force there changed since this was proposed; propose it again")
        _require_applicable(proposal.policy, AttachmentKind(proposal.kind), proposal.environment, current)
        if current:
            current.valid_to, current.detached_under, current.detached_by = at, proposal, officer.user
            current.save(update_fields=["valid_to", "detached_under", "detached_by"])
            _record(LineageEvent.POLICY_DETACHED, proposal, officer.user, {"attachment": current.id}, at)
        if proposal.kind == AttachmentKind.DETACH:
            assert current is not None
            return current
        attachment = PolicyAttachment.objects.create(
            policy=proposal.policy,
            environment=proposal.environment,
            tier=proposal.tier,
            valid_from=at,
            attached_under=proposal,
            attached_by=officer.user,
        )
        _record(LineageEvent.POLICY_ATTACHED, proposal, officer.user, {"attachment": attachment.id}, at)
    return attachment


def confirming_hindrance(*, user: User, proposal: AttachmentProposal, at: datetime) -> str | None:
    """Say in words why somebody cannot confirm a proposal, as far as it can be known beforehand, or nothing."""
    if hindrance := step_hindrance(user=user, roles=PUBLISHERS, others=(proposal.proposed_by,)):
        return hindrance
    try:
        _require_fresh(proposal, at)
    except ConflictError as refusal:
        return str(refusal)
    return None


def proposal_is_confirmed(proposal: AttachmentProposal) -> bool:
    """Tell whether a proposal was carried out."""
    return PolicyAttachment.objects.filter(Q(attached_under=proposal) | Q(detached_under=proposal)).exists()


def _not_before_the_last(proposal: AttachmentProposal, at: datetime) -> datetime:
    """Give the moment, or that of the last change in the place, for which this one waited when it is later."""
    there = PolicyAttachment.objects.filter(environment=proposal.environment, tier=proposal.tier)
    last = there.aggregate(last=Max("valid_from"))["last"]
    return max(at, last) if last else at


def _require_known_tier(tier: str, at: datetime) -> None:
    """A policy for a tier that no system can have would wait for ever, and the one meant would not be in force."""
    known = tiers_known(at=at)
    if not known:
        raise RejectedInputError(f'/tier: no tier template is published, so no system can have the tier "{tier}"')
    if tier not in known:
        raise RejectedInputError(f'/tier: no published tier template knows "{tier}"; {name_hint(tier, known)}')


def _require_applicable(
    policy: Policy, kind: AttachmentKind, environment: str, current: PolicyAttachment | None
) -> None:
    if kind is AttachmentKind.DETACH:
        if current is None or current.policy_id != policy.pk:
            raise ConflictError(f"{policy} is not attached there")
        return
    if current and current.policy_id == policy.pk:
        raise ConflictError(f"{policy} is attached there already, as {current.id}")
    newest = policy.versions.order_by("-number").first()
    if newest is None:
        raise ConflictError(f"{policy} has no published version")
    written_for = policy_document(newest).environment
    if written_for and written_for != environment:
        raise ConflictError(f'{policy} is written for environment "{written_for}" and cannot be in force elsewhere')


def _require_fresh(proposal: AttachmentProposal, at: datetime) -> None:
    if proposal_is_confirmed(proposal):
        raise ConflictError(f"{proposal.id} was confirmed already")
    if at - proposal.proposed_at > PROPOSAL_STANDS:
        raise ConflictError(f"{proposal.id} was proposed more than {PROPOSAL_STANDS.days} days ago; propose it again")


def _record(event: LineageEvent, proposal: AttachmentProposal, user: User, more: dict[str, Json], at: datetime) -> None:
    """Tell of a step. Of a replaced policy the place is what both have in common."""
    event_record(
        event=event,
        actor=actor_of(user),
        subject=Subject("policy_attachment_proposal", proposal.id),
        data={
            "policy": proposal.policy_id,
            "environment": proposal.environment,
            "tier": proposal.tier,
            "proposed_by": proposal.proposed_by_id,
            **more,
        },
        at=at,
    )
