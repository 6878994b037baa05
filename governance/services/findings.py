"""Findings: opened by people or by the product itself, worked off in steps, and escalated when they are late."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of, system_actor
from governance.enums import FindingKind, FindingState, Role, Severity, SubjectKind
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError, UnknownRecordError
from governance.models import AiSystem, Finding, FindingEscalation, FindingEvent, ModelVersion, User
from governance.selectors.findings import finding_subject, findings_late, findings_stated
from governance.selectors.people import holders_at
from governance.selectors.scope import sight_of
from governance.services.officers import Officer
from governance.services.steps import officer_step, step_hindrance, words_require
from modelnotary.ledger.event import Actor, Subject
from modelnotary.times import format_time

OPENERS = (Role.ENGINEER, Role.MODEL_OWNER, Role.VALIDATOR, Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
ESCALATION_AFTER = (timedelta(0), timedelta(days=14), timedelta(days=30))
_TITLE_LIMIT = 200
_FOLLOWING: dict[FindingState, tuple[FindingState, ...]] = {
    FindingState.OPEN: (FindingState.IN_PROGRESS, FindingState.RISK_ACCEPTED),
    FindingState.IN_PROGRESS: (FindingState.REMEDIATED, FindingState.RISK_ACCEPTED),
    FindingState.REMEDIATED: (FindingState.CLOSED, FindingState.IN_PROGRESS),
    FindingState.CLOSED: (),
    FindingState.RISK_ACCEPTED: (),
}


@dataclass(frozen=True, slots=True)
class FindingReport:
    """What is found.

    Attributes:
        kind, severity: What it is, and how grave.
        title, description, remediation: In words; what has to be done.
        subject_kind, subject_id: What it is about.
        owner: Who has to see to it; `escalates_to` who is told when it is late.
        due_at: Until when.
    """

    kind: FindingKind
    severity: Severity
    title: str
    description: str
    remediation: str
    subject_kind: SubjectKind
    subject_id: str
    owner: User
    escalates_to: User
    due_at: datetime


def finding_open(*, officer: Officer, report: FindingReport, at: datetime) -> Finding:
    """Open a finding.

    Raises:
        UnknownRecordError: There is nothing of that kind and id.
        GovernanceError: The officer may not, or the report is not acceptable.
    """
    subject = Subject(report.subject_kind.value, report.subject_id)
    seen_by = sight_of(actor=officer.user, at=at)
    system, _ = finding_subject(kind=report.subject_kind, identity=report.subject_id, seen_by=seen_by)
    with officer_step(officer=officer, roles=OPENERS, step="finding.open", subject=subject, at=at, about=system):
        _require_report(report, at)
        return _open(report, cause=None, opened_by=officer.user, at=at)


@transaction.atomic
def finding_notice(*, cause: str, report: FindingReport, at: datetime) -> Finding | None:
    """Open a finding for what the product noticed, once for each cause; None when it is known already."""
    if Finding.objects.filter(cause=cause).exists():
        return None
    try:
        with transaction.atomic():
            return _open(report, cause=cause, opened_by=None, at=at)
    except IntegrityError:
        if Finding.objects.filter(cause=cause).exists():
            return None
        raise


def finding_act(*, officer: Officer, finding_id: str, state: FindingState, note: str, at: datetime) -> FindingEvent:
    """Take a finding to its next state.

    Raises:
        UnknownRecordError: No such finding.
        GovernanceError: The officer may not, the state does not follow, or the same person would close what they
            remediated.
    """
    about = Finding.objects.filter(pk=finding_id).first()
    if about is None:
        raise UnknownRecordError(f"no finding {finding_id}")
    subject, step = Subject("finding", finding_id), f"finding.{state.value}"
    with officer_step(officer=officer, roles=_roles(state), step=step, subject=subject, at=at, about=about):
        locked = Finding.objects.select_for_update(of=("self",)).get(pk=finding_id)
        if locked.model_version_id:
            ModelVersion.objects.select_for_update().get(pk=locked.model_version_id)  # its facts change
        finding = findings_stated().get(pk=finding_id)
        _require_following(finding, officer.user, state)
        last = finding.events.last()
        event = FindingEvent.objects.create(
            finding=finding,
            number=last.number + 1 if last else 1,
            state=state,
            note=words_require(note, "/note"),
            by=officer.user,
            at=at,
        )
        event_record(
            event=LineageEvent.FINDING_CHANGED,
            actor=actor_of(officer.user),
            subject=subject,
            data={"state": state.value, "note": event.note, "about": finding.subject_id},
            at=at,
        )
    return event


def finding_hindrance(*, user: User, finding: Finding, state: FindingState) -> str | None:
    """Say in words why somebody cannot take a finding to a state, as far as it can be known, or nothing."""
    if hindrance := step_hindrance(user=user, roles=_roles(state), about=finding):
        return hindrance
    try:
        _require_following(findings_stated().get(pk=finding.pk), user, state)
    except (ConflictError, SeparationOfDutiesError) as refusal:
        return str(refusal)
    return None


def findings_escalate(*, at: datetime) -> int:
    """Tell of late findings, once for each level: when due, 14 and 30 days later.

    Returns:
        How many were told of.
    """
    told = 0
    for finding in findings_late(at=at).select_related("escalates_to"):
        reached = sum(at >= finding.due_at + after for after in ESCALATION_AFTER)
        for level in range(1, reached + 1):
            told += _escalate(finding, level, at)
    return told


def escalation_owner(system: AiSystem, *, at: datetime) -> User:
    """Give who is told of what the product noticed: the first model risk officer, else the system's owner."""
    officers = holders_at(role=Role.MODEL_RISK, at=at, unit=system.business_unit_id)
    return officers.exclude(pk=system.owner_id).order_by("date_joined", "id").first() or system.owner


def _open(report: FindingReport, *, cause: str | None, opened_by: User | None, at: datetime) -> Finding:
    system, version = finding_subject(kind=report.subject_kind, identity=report.subject_id)
    if version:
        ModelVersion.objects.select_for_update().get(pk=version.pk)  # no decision looks while its facts change
    finding = Finding.objects.create(
        kind=report.kind,
        severity=report.severity,
        title=report.title.strip(),
        description=report.description.strip(),
        remediation=report.remediation.strip(),
        subject_kind=report.subject_kind,
        subject_id=report.subject_id,
        system=system,
        model_version=version,
        owner=report.owner,
        escalates_to=report.escalates_to,
        due_at=report.due_at,
        cause=cause,
        opened_by=opened_by,
        opened_at=at,
    )
    actor: Actor = actor_of(opened_by) if opened_by else system_actor("watch")
    event_record(
        event=LineageEvent.FINDING_OPENED,
        actor=actor,
        subject=Subject("finding", finding.id),
        data={
            "kind": report.kind.value,
            "severity": report.severity.value,
            "title": finding.title,
            "about": report.subject_id,
            "owner": report.owner.id,
            "escalates_to": report.escalates_to.id,
            "due_at": format_time(report.due_at),
            "cause": cause,
        },
        at=at,
    )
    return finding


def _escalate(finding: Finding, level: int, at: datetime) -> bool:
    with transaction.atomic():
        _, is_new = FindingEscalation.objects.get_or_create(
            finding=finding, level=level, defaults={"to": finding.escalates_to, "at": at}
        )
        if is_new:
            event_record(
                event=LineageEvent.FINDING_ESCALATED,
                actor=system_actor("watch"),
                subject=Subject("finding", finding.id),
                data={"level": level, "to": finding.escalates_to_id, "due_at": format_time(finding.due_at)},
                at=at,
            )
    return is_new


def _roles(state: FindingState) -> tuple[Role, ...]:
    return (Role.MODEL_RISK,) if state is FindingState.RISK_ACCEPTED else OPENERS


def _require_following(finding: Any, user: User, state: FindingState) -> None:  # noqa: ANN401 - with its state
    current = FindingState(finding.state)
    if state not in _FOLLOWING[current]:
        raise ConflictError(f"{finding.id} is {current.label.lower()}; {state.label.lower()} does not follow on that")
    if state is FindingState.CLOSED:
        remediated = finding.events.filter(state=FindingState.REMEDIATED).last()
        if remediated and remediated.by_id == user.pk:
            raise SeparationOfDutiesError(f"{user.printed_name} remediated it; another person has to close it")
    if state is FindingState.RISK_ACCEPTED and user.pk == finding.owner_id:
        raise SeparationOfDutiesError(f"{user.printed_name} owns it; another person has to accept the risk")


def _require_report(report: FindingReport, at: datetime) -> None:
    words_require(report.description, "/description")
    words_require(report.remediation, "/remediation", at_least=1)
    if not 0 < len(report.title.strip()) <= _TITLE_LIMIT:
        raise RejectedInputError(f"/title must have 1 to {_TITLE_LIMIT} characters")
    if report.due_at <= at:
        raise RejectedInputError("/due_at must be in the future")
    for name, person in (("owner", report.owner), ("escalates_to", report.escalates_to)):
        if person.is_service or not person.is_active:
            raise RejectedInputError(f"/{name} must be a person with an active account")
    if report.owner.pk == report.escalates_to.pk:
        raise RejectedInputError("/escalates_to must be another person than the owner")
