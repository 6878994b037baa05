"""Findings with the state that their last event gives them."""

from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from governance.enums import FindingState, Severity, SubjectKind
from governance.errors import UnknownRecordError
from governance.models import AiSystem, Decision, Deployment, Finding, FindingEvent, ModelVersion
from governance.selectors.scope import EVERYTHING, Sight

SETTLED = (FindingState.CLOSED, FindingState.RISK_ACCEPTED)
_SEVERE = (Severity.HIGH, Severity.CRITICAL)


def findings_stated() -> QuerySet[Any]:
    """Give findings, each with its `state`, which no column has."""
    last = FindingEvent.objects.filter(finding=OuterRef("pk")).order_by("-number").values("state")[:1]
    return Finding.objects.annotate(state=Coalesce(Subquery(last), Value(FindingState.OPEN.value)))


def findings_open() -> QuerySet[Any]:
    """Give the findings that somebody still has to see to."""
    return findings_stated().exclude(state__in=SETTLED)


def findings_late(*, at: datetime) -> QuerySet[Any]:
    """Give the open findings whose time ran out."""
    return findings_open().filter(due_at__lte=at)


def finding_facts(version: ModelVersion) -> dict[str, int]:
    """Count what is open about a model version, or about its system as a whole, for the rules of a policy."""
    about = Q(model_version=version) | Q(model_version=None, system=version.model.system_id)
    severities = list(findings_open().filter(about).values_list("severity", flat=True))
    return {
        "model.open_findings": len(severities),
        "model.open_findings_high": sum(severity in _SEVERE for severity in severities),
    }


def finding_subject(
    *, kind: SubjectKind, identity: str, seen_by: Sight = EVERYTHING
) -> tuple[AiSystem, ModelVersion | None]:
    """Give the system, and the model version if there is one, that a finding about this is about.

    Raises:
        UnknownRecordError: There is no such thing.
    """
    found: Any = None
    if kind is SubjectKind.SYSTEM:
        found = seen_by.of(AiSystem.objects.filter(pk=identity)).first()
        if found:
            return found, None
    elif kind is SubjectKind.MODEL_VERSION:
        found = seen_by.of(ModelVersion.objects.select_related("model__system").filter(pk=identity)).first()
    else:
        records: QuerySet[Any] = (Deployment if kind is SubjectKind.DEPLOYMENT else Decision).objects.all()
        record = seen_by.of(records.select_related("model_version__model__system").filter(pk=identity)).first()
        found = record.model_version if record else None
    if found is None:
        raise UnknownRecordError(f"no {kind.label.lower()} {identity}")
    return found.model.system, found
