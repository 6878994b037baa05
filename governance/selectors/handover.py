"""What waits for somebody, so that it can be handed over when they leave."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Model as DjangoModel
from django.db.models import Q, QuerySet

from governance.enums import AttestationStep, OverrideStep, Role
from governance.models import (
    AiSystem,
    AttestationPeriod,
    Model,
    ModelDescription,
    Override,
    PolicyDraft,
    PolicyException,
    User,
)
from governance.selectors.findings import findings_open
from governance.selectors.people import grants_at

_PUBLISHERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)


def open_steps(*, user: User, at: datetime) -> Iterator[tuple[str, DjangoModel]]:
    """Give what waits for somebody or rests on them: what it is in words, and the record."""
    reviews = Override.objects.filter(review_owner=user, steps__kind=OverrideStep.APPROVED)
    found: tuple[tuple[str, QuerySet[Any]], ...] = (
        ("owns the system", AiSystem.objects.filter(owner=user)),
        ("answers for the service account", User.objects.filter(owner=user, is_active=True)),
        ("owns the model", _described(owner=user)),
        ("validates the model", _described(validator=user)),
        ("has to see to the finding", findings_open().filter(owner=user)),
        ("is told when the finding is late", findings_open().filter(escalates_to=user)),
        ("is named in the attestation", _periods(user)),
        ("has to review the override", reviews.exclude(steps__kind=OverrideStep.REVIEWED)),
        ("answers for the risk of the exception", PolicyException.objects.filter(owner=user, expires_at__gt=at)),
        ("drafted the policy that waits", PolicyDraft.objects.filter(drafted_by=user, version=None, withdrawal=None)),
    )
    for words, records in found:
        for record in records:
            yield words, record


def publishers_left(*, without: User, at: datetime) -> int | None:
    """Count the people who could publish policies if somebody left; None if that somebody cannot."""
    publishing = grants_at(at=at).filter(
        role__in=_PUBLISHERS, business_unit=None, person__is_active=True, person__is_superuser=False
    )
    people = set(publishing.values_list("person", flat=True))
    return len(people - {without.pk}) if without.pk in people else None


def _described(**who: User) -> QuerySet[Model]:
    newest = ModelDescription.objects.order_by("model_id", "-number").distinct("model_id").values("pk")
    return Model.objects.filter(pk__in=ModelDescription.objects.filter(pk__in=newest, **who).values("model"))


def _periods(user: User) -> QuerySet[AttestationPeriod]:
    named = Q(submitter=user) | Q(reviewer=user) | Q(approver=user)
    return AttestationPeriod.objects.filter(named).exclude(sign_offs__kind=AttestationStep.APPROVED)
