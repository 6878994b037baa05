"""Periodic attestation: one person submits what a system looks like, another reviews it, a third approves it."""

from dataclasses import dataclass
from datetime import date, datetime

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import AttestationStep, Role
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError, UnknownRecordError
from governance.models import AiSystem, AttestationPeriod, AttestationSignOff, User
from governance.selectors.periods import attestation_content
from governance.services.officers import Officer
from governance.services.steps import officer_step, step_hindrance, words_require
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

OPENERS = (Role.COMPLIANCE, Role.MODEL_RISK)
SIGNERS = (Role.ENGINEER, Role.MODEL_OWNER, Role.VALIDATOR, Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
_ORDER = (AttestationStep.SUBMITTED, AttestationStep.REVIEWED, AttestationStep.APPROVED)
MEANINGS = {
    AttestationStep.SUBMITTED: "I state that this is what the system looks like.",
    AttestationStep.REVIEWED: "I have reviewed what was submitted, and it is complete and right.",
    AttestationStep.APPROVED: "I approve what was submitted and reviewed for this period.",
}


@dataclass(frozen=True, slots=True)
class PeriodTerms:
    """What is to be attested by whom.

    Attributes:
        system: What.
        starts_on, ends_on: The first and the last day of the period.
        due_at: Until when the approval has to be there.
        submitter, reviewer, approver: Three different people.
    """

    system: AiSystem
    starts_on: date
    ends_on: date
    due_at: datetime
    submitter: User
    reviewer: User
    approver: User


def period_open(*, officer: Officer, terms: PeriodTerms, at: datetime) -> AttestationPeriod:
    """Open a period; the same one twice is a conflict.

    Raises:
        GovernanceError: The officer may not, the terms are not acceptable, or the period is there.
    """
    subject = Subject("system", terms.system.id)
    with officer_step(
        officer=officer, roles=OPENERS, step="attestation.open", subject=subject, at=at, about=terms.system
    ):
        _require_terms(terms, at)
        AiSystem.objects.select_for_update().get(pk=terms.system.pk)
        overlapping = AttestationPeriod.objects.filter(
            system=terms.system, starts_on__lte=terms.ends_on, ends_on__gte=terms.starts_on
        ).first()
        if overlapping:
            raise ConflictError(f"{overlapping.id} covers days of this period already")
        period = AttestationPeriod.objects.create(
            system=terms.system,
            starts_on=terms.starts_on,
            ends_on=terms.ends_on,
            due_at=terms.due_at,
            submitter=terms.submitter,
            reviewer=terms.reviewer,
            approver=terms.approver,
            opened_by=officer.user,
            opened_at=at,
        )
        event_record(
            event=LineageEvent.ATTESTATION_OPENED,
            actor=actor_of(officer.user),
            subject=Subject("attestation_period", period.id),
            data={
                "system": terms.system.id,
                "starts_on": terms.starts_on.isoformat(),
                "ends_on": terms.ends_on.isoformat(),
                "due_at": format_time(terms.due_at),
                "submitter": terms.submitter.id,
                "reviewer": terms.reviewer.id,
                "approver": terms.approver.id,
            },
            at=at,
        )
    return period


def attestation_sign_off(
    *, officer: Officer, period_id: str, step: AttestationStep, content_digest: str, reason: str, at: datetime
) -> AttestationSignOff:
    """Submit, review or approve; permanent.

    Args:
        officer: Who is named in the period for this step.
        period_id: The period.
        step: Which sign-off.
        content_digest: Digest of what was on the screen: the state now when submitting, else what was submitted.
        reason: What the person adds.
        at: Now.

    Raises:
        UnknownRecordError: No such period.
        GovernanceError: Another person is named, it is not that step's turn, or the content is not what was shown.
    """
    about = AttestationPeriod.objects.filter(pk=period_id).first()
    if about is None:
        raise UnknownRecordError(f"no attestation period {period_id}")
    subject, named = Subject("attestation_period", period_id), f"attestation.{step.value}"
    with officer_step(officer=officer, roles=SIGNERS, step=named, subject=subject, at=at, about=about):
        period = AttestationPeriod.objects.select_for_update(of=("self",)).select_related("system").get(pk=period_id)
        _require_turn(period, officer.user, step)
        content = attestation_content(system=period.system, at=at) if step is AttestationStep.SUBMITTED else None
        digest = Digest.of(content).text if content else _submitted(period)
        if digest != content_digest:
            raise ConflictError("the content is not what was shown; look at it again before you sign")
        statement = _statement(period, officer.user, step, digest, words_require(reason, "/reason"), at)
        sign_off = AttestationSignOff.objects.create(
            period=period,
            kind=step,
            by=officer.user,
            printed_name=officer.user.printed_name,
            reason=reason.strip(),
            content=content,
            content_digest=digest,
            statement=statement,
            statement_digest=Digest.of(statement).text,
            at=at,
        )
        event_record(
            event=LineageEvent.ATTESTATION_SIGNED,
            actor=actor_of(officer.user),
            subject=Subject("attestation_period", period.id, Digest.of(statement)),
            data={"system": period.system_id, "step": step.value, "content_digest": digest, "reason": sign_off.reason},
            at=at,
        )
    return sign_off


def sign_off_hindrance(*, user: User, period: AttestationPeriod, step: AttestationStep) -> str | None:
    """Say in words why somebody cannot take a step, as far as it can be known beforehand, or nothing."""
    if hindrance := step_hindrance(user=user, roles=SIGNERS, about=period):
        return hindrance
    try:
        _require_turn(period, user, step)
    except (ConflictError, SeparationOfDutiesError) as refusal:
        return str(refusal)
    return None


def content_shown(*, period: AttestationPeriod, at: datetime) -> bytes:
    """Give what was submitted, or the state now while nothing is."""
    submitted = period.sign_offs.filter(kind=AttestationStep.SUBMITTED).first()
    return bytes(submitted.content or b"") if submitted else attestation_content(system=period.system, at=at)


def _submitted(period: AttestationPeriod) -> str:
    return period.sign_offs.get(kind=AttestationStep.SUBMITTED).content_digest


def _require_turn(period: AttestationPeriod, user: User, step: AttestationStep) -> None:
    named = {
        AttestationStep.SUBMITTED: period.submitter_id,
        AttestationStep.REVIEWED: period.reviewer_id,
        AttestationStep.APPROVED: period.approver_id,
    }
    if named[step] != user.pk:
        raise SeparationOfDutiesError(f"{user.printed_name} is not named for this step")
    taken = set(period.sign_offs.values_list("kind", flat=True))
    following = next((item for item in _ORDER if item not in taken), None)
    if following is not step:
        waits = f"it waits to be {following.label.lower()}" if following else "it is complete"
        raise ConflictError(f"{period.id} cannot be {step.label.lower()} now: {waits}")


def _statement(  # noqa: PLR0917 - the members of what is signed
    period: AttestationPeriod, user: User, step: AttestationStep, digest: str, reason: str, at: datetime
) -> bytes:
    return canonical_bytes(
        {
            "format": "modelnotary-attestation/v1",
            "period": period.id,
            "system": period.system_id,
            "starts_on": period.starts_on.isoformat(),
            "ends_on": period.ends_on.isoformat(),
            "step": step.value,
            "meaning": MEANINGS[step],
            "content_digest": digest,
            "reason": reason,
            "signer": user.id,
            "printed_name": user.printed_name,
            "signed_at": format_time(at),
        }
    )


def _require_terms(terms: PeriodTerms, at: datetime) -> None:
    people = (terms.submitter, terms.reviewer, terms.approver)
    if len({person.pk for person in people}) < len(people):
        raise SeparationOfDutiesError("submitter, reviewer and approver must be three different people")
    if any(person.is_service or person.is_superuser or not person.is_active for person in people):
        raise RejectedInputError("/submitter, /reviewer and /approver must be active people, and no superusers")
    if terms.ends_on < terms.starts_on:
        raise RejectedInputError("/ends_on must not be before /starts_on")
    if terms.due_at <= at:
        raise RejectedInputError("/due_at must be in the future")
