"""Assessing the risk tier of a system: somebody drafts, an independent officer publishes; what is published stands."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError
from governance.evidence.schemas import name_hint
from governance.models import (
    AiSystem,
    TierAssessment,
    TierConfirmation,
    TierPublication,
    TierTemplateVersion,
    TierWithdrawal,
    User,
)
from governance.selectors.tier_fields import tier_fields
from governance.selectors.tiers import stale_reasons, template_parsed, templates_current, tier_involved
from governance.services.officers import Officer, person_require
from governance.services.publications import PUBLISHERS, drafter_require
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from governance.tiering.evaluation import Working, tier_evaluate
from governance.tiering.fields import Snapshot
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@transaction.atomic
def tier_assess(
    *, actor: User, system: AiSystem, template: str, final: str, reason: str, at: datetime
) -> TierAssessment:
    """Freeze what the fields of a system say, work out the tier, and keep both for an officer to publish.

    The same again gives the open draft of the same person and not a second one. An incomplete assessment, in which
    something is missing that the template does not score, is kept too; it says no tier and is never published.

    Args:
        actor: Who assesses.
        system: What is assessed.
        template: Short name of the template; its newest published version counts.
        final: The tier, or nothing for what the template suggests.
        reason: Why it is another one than suggested.
        at: The moment.

    Raises:
        ConflictError: The template has no published version.
        RejectedInputError: The tier is none of the template, or differs without a reason of 20 characters, or something
            is missing and yet a tier is given.
        SeparationOfDutiesError: A superuser or an auditor tries.
    """
    drafter_require(actor, at=at, unit=system.business_unit_id)
    version = templates_current(at=at).filter(template__slug=template).first()
    if version is None:
        raise ConflictError(f'no tier template "{template}" is published; have it published first')
    parsed = template_parsed(version.document)
    values = tier_fields(systems=[system], names=parsed.fields, at=at)[system.id]
    snapshot = Snapshot(system.id, values)
    frozen = snapshot.to_bytes()
    working = tier_evaluate(parsed, snapshot, Digest.of(frozen).text)
    chosen, why = _chosen(working, final, reason)
    columns = {
        "system": system,
        "template_version": version,
        "snapshot_digest": working.fields_digest,
        "working_digest": Digest.of(working.to_bytes()).text,
        "suggested": working.suggested or "",
        "final": chosen,
        "reason": why,
        "drafted_by": actor,
    }
    if standing := TierAssessment.objects.filter(publication=None, withdrawal=None, **columns).first():
        return standing
    assessment = TierAssessment.objects.create(snapshot=frozen, working=working.to_bytes(), drafted_at=at, **columns)
    _record(LineageEvent.TIER_ASSESSMENT_DRAFTED, assessment, actor, {"reason": why}, at)
    return assessment


def tier_confirm(*, officer: Officer, assessment: TierAssessment, reason: str, at: datetime) -> TierConfirmation:
    """Confirm, as a second officer, that the final tier is lower than what is suggested; a third one publishes it.

    Raises:
        GovernanceError: The officer may not or is not independent, the reason says nothing, the tier is not lower, or
            the assessment is not open or confirmed already.
    """
    subject, step = _subject(assessment), "tier_assessment.confirm"
    with officer_step(officer=officer, roles=PUBLISHERS, step=step, subject=subject, at=at, about=assessment):
        _lock(assessment)
        _require_independent(officer.user, assessment)
        _require_open(assessment)
        if not assessment.is_lowered:
            raise ConflictError(f"{assessment.id} is not lower than suggested, so nothing has to be confirmed")
        if TierConfirmation.objects.filter(assessment=assessment).exists():
            raise ConflictError(f"{assessment.id} is confirmed already")
        confirmation = TierConfirmation.objects.create(
            assessment=assessment,
            reason=words_require(reason, "/reason"),
            confirmed_by=officer.user,
            confirmed_at=at,
        )
        more: dict[str, Json] = {"confirmation": confirmation.id, "reason": confirmation.reason}
        _record(LineageEvent.TIER_ASSESSMENT_CONFIRMED, assessment, officer.user, more, at)
    return confirmation


def tier_publish(*, officer: Officer, assessment: TierAssessment, at: datetime) -> TierPublication:
    """Make an assessment the tier of its system from now on; again by the same officer it is the same publication.

    Raises:
        GovernanceError: The officer may not or is not independent; the assessment is incomplete, withdrawn, published,
            or stale; or it is lower than suggested and no other officer confirmed that.
    """
    subject, step = _subject(assessment), "tier_assessment.publish"
    with officer_step(officer=officer, roles=PUBLISHERS, step=step, subject=subject, at=at, about=assessment):
        _lock(assessment)
        _require_independent(officer.user, assessment)
        published = TierPublication.objects.filter(assessment=assessment, published_by=officer.user).first()
        if published:
            return published
        _require_open(assessment)
        _require_publishable(officer.user, assessment, at)
        last = TierPublication.objects.filter(system=assessment.system).order_by("-number").first()
        publication = TierPublication.objects.create(
            assessment=assessment,
            system=assessment.system,
            number=last.number + 1 if last else 1,
            published_by=officer.user,
            published_at=max(at, last.published_at) if last else at,  # it may have waited for the one before
        )
        more: dict[str, Json] = {
            "publication": publication.id,
            "number": publication.number,
            "drafted_by": assessment.drafted_by_id,
        }
        _record(LineageEvent.TIER_ASSESSMENT_PUBLISHED, assessment, officer.user, more, at)
    return publication


@transaction.atomic
def tier_withdraw(*, actor: User, assessment: TierAssessment, reason: str, at: datetime) -> TierWithdrawal:
    """Take back an assessment that was not published: its author does, or an officer who could publish it.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: Neither the author nor an officer tries.
        ConflictError: It is published or withdrawn already.
        RejectedInputError: The reason is too short.
    """
    if actor.pk != assessment.drafted_by_id:
        person_require(actor, *PUBLISHERS, at=at, unit=assessment.system.business_unit_id)
    _lock(assessment)
    _require_open(assessment)
    withdrawal = TierWithdrawal.objects.create(
        assessment=assessment, reason=words_require(reason, "/reason"), withdrawn_by=actor, withdrawn_at=at
    )
    more: dict[str, Json] = {"withdrawal": withdrawal.id, "reason": withdrawal.reason}
    _record(LineageEvent.TIER_ASSESSMENT_WITHDRAWN, assessment, actor, more, at)
    return withdrawal


def judging_hindrance(*, user: User, assessment: TierAssessment) -> str | None:
    """Say in words why somebody cannot confirm or publish an assessment, as far as it is about the person."""
    if hindrance := step_hindrance(user=user, roles=PUBLISHERS, about=assessment):
        return hindrance
    try:
        _require_independent(user, assessment)
    except SeparationOfDutiesError as refusal:
        return str(refusal)
    return None


def tier_publishing_hindrance(*, user: User, assessment: TierAssessment, at: datetime) -> str | None:
    """Say in words why somebody cannot publish an assessment, so that nobody is offered what would be refused."""
    if hindrance := judging_hindrance(user=user, assessment=assessment):
        return hindrance
    try:
        _require_open(assessment)
        _require_publishable(user, assessment, at)
    except (ConflictError, SeparationOfDutiesError) as refusal:
        return str(refusal)
    return None


def _chosen(working: Working, final: str, reason: str) -> tuple[str, str]:
    """Give the tier that an assessment says, and the reason of whoever says it."""
    if working.suggested is None:
        if final:
            missing = "; ".join(working.problems)
            raise RejectedInputError(f"/final: the assessment is incomplete and says no tier: {missing}")
        return "", reason.strip()
    if final and final not in working.template.tiers:
        raise RejectedInputError(f'/final: unknown tier "{final}"; {name_hint(final, working.template.tiers)}')
    if final and final != working.suggested:
        return final, words_require(reason, "/reason")
    return working.suggested, reason.strip()


def _lock(assessment: TierAssessment) -> None:
    """Let one step about the tier of a system happen at a time."""
    AiSystem.objects.select_for_update().get(pk=assessment.system_id)


def _require_independent(user: User, assessment: TierAssessment) -> None:
    other_person_require(user, assessment.drafted_by)
    if user.pk in tier_involved(system=assessment.system):
        raise SeparationOfDutiesError(
            f"{user.printed_name} owns {assessment.system} or made something in it, and is no independent judge of it"
        )


def _require_open(assessment: TierAssessment) -> None:
    if TierWithdrawal.objects.filter(assessment=assessment).exists():
        raise ConflictError(f"{assessment.id} was withdrawn; assess the system anew")
    if TierPublication.objects.filter(assessment=assessment).exists():
        raise ConflictError(f"{assessment.id} is published already")


def _require_publishable(user: User, assessment: TierAssessment, at: datetime) -> None:
    if not assessment.is_complete:
        raise ConflictError(f"{assessment.id} is incomplete and says no tier; its working names what is missing")
    if assessment.is_lowered:
        confirmation = TierConfirmation.objects.filter(assessment=assessment).select_related("confirmed_by").first()
        if confirmation is None:
            raise ConflictError(f"{assessment.id} is lower than suggested; another officer has to confirm that first")
        other_person_require(user, confirmation.confirmed_by)
    if stale := stale_reasons(assessments=[assessment], at=at)[assessment.id]:
        raise ConflictError(f"{assessment.id} is stale, assess the system anew: {'; '.join(stale)}")


def _subject(assessment: TierAssessment) -> Subject:
    return Subject("tier_assessment", assessment.id, Digest.from_text(assessment.working_digest))


def _record(event: LineageEvent, assessment: TierAssessment, user: User, more: dict[str, Json], at: datetime) -> None:
    """Tell of a step. The digest of the subject is that of the working, which names those of template and fields."""
    version: TierTemplateVersion = assessment.template_version
    event_record(
        event=event,
        actor=actor_of(user),
        subject=_subject(assessment),
        data={
            "system": assessment.system_id,
            "template_version": version.id,
            "template_digest": version.digest,
            "snapshot_digest": assessment.snapshot_digest,
            "suggested": assessment.suggested,
            "final": assessment.final,
            **more,
        },
        at=at,
    )
