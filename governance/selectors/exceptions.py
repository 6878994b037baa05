"""Exceptions and overrides that count at a moment."""

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from governance.enums import ExceptionStep, OverrideStep
from governance.models import Decision, ModelVersion, Override, OverrideStepRecord, PolicyException, PolicyExceptionStep
from governance.policy.evaluation import ExceptionFacts, Outcome, last_exception
from modelnotary.times import format_time


def exceptions_in_force(*, version: ModelVersion, environment: str, at: datetime) -> tuple[ExceptionFacts, ...]:
    """Give the exceptions that somebody accepted, that were not withdrawn, and that have not run out; by id."""
    about = Q(model_version=version) | Q(system=version.model.system_id)
    found = PolicyException.objects.filter(about, environment=environment, expires_at__gt=at)
    return tuple(
        ExceptionFacts(item.id, item.rule, format_time(item.expires_at)) for item in _stepped(found, at).order_by("id")
    )


def _stepped(exceptions: QuerySet[PolicyException], at: datetime) -> QuerySet[PolicyException]:
    steps = PolicyExceptionStep.objects.filter(exception=OuterRef("pk"), at__lte=at)
    return exceptions.filter(
        Exists(steps.filter(kind=ExceptionStep.ACCEPTED)), ~Exists(steps.filter(kind=ExceptionStep.WITHDRAWN))
    )


def exceptions_used(decision: Decision) -> dict[str, datetime]:
    """Give the exceptions that a decision's waived rules rest on: id -> when it runs out."""
    waived = {rule["id"] for rule in decision.rules if rule["outcome"] == Outcome.WAIVED}
    facts = [ExceptionFacts(**item) for item in decision.context.get("exceptions", ())]
    used = [excuse.id for rule in waived if (excuse := last_exception(rule, facts))]
    return dict(PolicyException.objects.filter(pk__in=used).values_list("id", "expires_at"))


def exceptions_stand(decision: Decision, *, at: datetime) -> bool:
    """Tell whether every exception that a decision rests on still counts."""
    used = exceptions_used(decision)
    found = PolicyException.objects.filter(pk__in=used, expires_at__gt=at)
    return not used or _stepped(found, at).count() == len(used)


def overrides_in_force(*, at: datetime) -> QuerySet[Override]:
    """Give the overrides that were approved, not ended, and have not run out."""
    steps = OverrideStepRecord.objects.filter(override=OuterRef("pk"), at__lte=at)
    return Override.objects.filter(
        Exists(steps.filter(kind=OverrideStep.APPROVED)),
        ~Exists(steps.filter(kind=OverrideStep.ENDED)),
        expires_at__gt=at,
    ).select_related("decision__model_version__model", "requested_by", "review_owner")
