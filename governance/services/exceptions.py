"""Exceptions: one person asks that a rule need not hold for a time, another accepts the risk. Never a pass."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import ExceptionStep, Role
from governance.errors import ConflictError, RejectedInputError, UnknownRecordError
from governance.models import AiSystem, ModelVersion, PolicyException, PolicyExceptionStep, User
from governance.models.exceptions import EXCEPTION_LIMIT, RULE_LIMIT
from governance.policy.reading import SLUG
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

REQUESTERS = (Role.ENGINEER, Role.MODEL_OWNER, Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
ACCEPTERS = (Role.MODEL_RISK,)
_EVENTS = {
    ExceptionStep.ACCEPTED: LineageEvent.EXCEPTION_ACCEPTED,
    ExceptionStep.REFUSED: LineageEvent.EXCEPTION_REFUSED,
    ExceptionStep.WITHDRAWN: LineageEvent.EXCEPTION_WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class ExceptionTerms:
    """What is asked for.

    Attributes:
        rule: Id of the rule.
        subject: The model version, or the system with every version of its models.
        environment: Where.
        owner: Who answers for the risk.
        reason, risk, compensating_control: Why, what is accepted, what is done instead.
        expires_at: When it ends, at most 180 days ahead.
    """

    rule: str
    subject: ModelVersion | AiSystem
    environment: str
    owner: User
    reason: str
    risk: str
    compensating_control: str
    expires_at: datetime


def exception_request(*, officer: Officer, terms: ExceptionTerms, at: datetime) -> PolicyException:
    """Ask for an exception.

    Raises:
        GovernanceError: The officer may not, or the terms are not acceptable.
    """
    subject = Subject("user", officer.user.id)
    with officer_step(
        officer=officer, roles=REQUESTERS, step="exception.request", subject=subject, at=at, about=terms.subject
    ):
        _require_terms(terms, at)
        about = "model_version" if isinstance(terms.subject, ModelVersion) else "system"
        exception = PolicyException.objects.create(
            rule=terms.rule.strip(),
            environment=terms.environment,
            owner=terms.owner,
            reason=words_require(terms.reason, "/reason"),
            risk=words_require(terms.risk, "/risk"),
            compensating_control=words_require(terms.compensating_control, "/compensating_control"),
            requested_by=officer.user,
            requested_at=at,
            expires_at=terms.expires_at,
            **{about: terms.subject},
        )
        event_record(
            event=LineageEvent.EXCEPTION_REQUESTED,
            actor=actor_of(officer.user),
            subject=Subject("policy_exception", exception.id),
            data={
                "rule": exception.rule,
                "about": terms.subject.id,
                "environment": exception.environment,
                "owner": terms.owner.id,
                "reason": exception.reason,
                "risk": exception.risk,
                "compensating_control": exception.compensating_control,
                "expires_at": format_time(exception.expires_at),
            },
            at=at,
        )
    return exception


def exception_answer(
    *, officer: Officer, exception_id: str, step: ExceptionStep, reason: str, at: datetime
) -> PolicyExceptionStep:
    """Accept the risk, refuse to, or withdraw an exception that was accepted.

    Raises:
        UnknownRecordError: No such exception.
        GovernanceError: The officer may not, asked for it, owns it, or wrote the model; or it was answered already.
    """
    about = PolicyException.objects.filter(pk=exception_id).first()
    if about is None:
        raise UnknownRecordError(f"no exception {exception_id}")
    subject, named = Subject("policy_exception", exception_id), f"exception.{step.value}"
    with officer_step(officer=officer, roles=ACCEPTERS, step=named, subject=subject, at=at, about=about):
        exception = (
            PolicyException.objects.select_for_update(of=("self",))
            .select_related("requested_by", "model_version__author", "model_version__registered_by")
            .get(pk=exception_id)
        )
        if step is not ExceptionStep.WITHDRAWN:
            other_person_require(officer.user, *_involved(exception))
        _require_order(exception, step, at)
        record = PolicyExceptionStep.objects.create(
            exception=exception, kind=step, reason=words_require(reason, "/reason"), by=officer.user, at=at
        )
        event_record(
            event=_EVENTS[step],
            actor=actor_of(officer.user),
            subject=subject,
            data={"rule": exception.rule, "environment": exception.environment, "reason": record.reason},
            at=at,
        )
    return record


def exception_hindrance(*, user: User, exception: PolicyException) -> str | None:
    """Say in words why somebody cannot answer a request, as far as it can be known beforehand, or nothing."""
    return step_hindrance(user=user, roles=ACCEPTERS, others=_involved(exception), about=exception)


def _involved(exception: PolicyException) -> tuple[User | None, ...]:
    version = exception.model_version
    authors = (version.author, version.registered_by) if version else ()
    return (exception.requested_by, exception.owner, *authors)


def _require_terms(terms: ExceptionTerms, at: datetime) -> None:
    if not terms.rule.strip() or len(terms.rule) > RULE_LIMIT:
        raise RejectedInputError("/rule must be the id of a rule")
    if not SLUG.fullmatch(terms.environment):
        raise RejectedInputError("/environment must be the name of an environment")
    if terms.owner.is_service or not terms.owner.is_active:
        raise RejectedInputError("/owner must be a person with an active account")
    if not at < terms.expires_at <= at + EXCEPTION_LIMIT:
        raise RejectedInputError(f"/expires_at must be within {EXCEPTION_LIMIT // timedelta(days=1)} days from now")


def _require_order(exception: PolicyException, step: ExceptionStep, at: datetime) -> None:
    taken = set(exception.steps.values_list("kind", flat=True))
    if step is ExceptionStep.WITHDRAWN:
        if taken != {ExceptionStep.ACCEPTED}:
            raise ConflictError(f"{exception.id} is not in force, so there is nothing to withdraw")
    elif taken:
        raise ConflictError(f"{exception.id} was answered already: {', '.join(sorted(taken))}")
    elif exception.expires_at <= at:
        raise ConflictError(
            f"{exception.id} ran out at {exception.expires_at:%Y-%m-%d %H:%M} UTC before it was answered"
        )
