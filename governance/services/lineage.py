"""Recording how one thing came from another. Lineage has no circles."""

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import LineageKind, LineageRole, Trust
from governance.errors import ConflictError, UnknownRecordError
from governance.models import DatasetVersion, Deployment, LineageEdge, ModelVersion, Run, User
from governance.services.locks import name_lock
from modelnotary.ledger.event import Subject

_KIND_MODELS: dict[LineageKind, Any] = {
    LineageKind.DATASET_VERSION: DatasetVersion,
    LineageKind.RUN: Run,
    LineageKind.MODEL_VERSION: ModelVersion,
    LineageKind.DEPLOYMENT: Deployment,
}


@transaction.atomic
def lineage_record(
    *,
    actor: User,
    source: tuple[LineageKind, str],
    target: tuple[LineageKind, str],
    role: LineageRole,
    trust: Trust,
    at: datetime,
) -> LineageEdge:
    """Record one step of lineage; the same step twice is one edge.

    Raises:
        UnknownRecordError: One end is not registered.
        ConflictError: The step would close a circle.
    """
    for kind, identity in (source, target):
        if not _KIND_MODELS[kind].objects.filter(pk=identity).exists():
            raise UnknownRecordError(f"no {kind.label.lower()} {identity} is registered")
    name_lock("governance.lineage")  # two steps recorded at once could close a circle that neither sees alone
    existing = LineageEdge.objects.filter(source_id=source[1], target_id=target[1], role=role).first()
    if existing:
        return existing
    if source[1] == target[1] or _reaches(target[1], source[1]):
        raise ConflictError(f"{source[1]} already comes from {target[1]}; lineage has no circles")
    edge = LineageEdge.objects.create(
        source_kind=source[0],
        source_id=source[1],
        target_kind=target[0],
        target_id=target[1],
        role=role,
        trust=trust,
        recorded_at=at,
    )
    event_record(
        event=LineageEvent.LINEAGE_RECORDED,
        actor=actor_of(actor),
        subject=Subject("lineage_edge", edge.id),
        data={
            "source": {"kind": source[0].value, "id": source[1]},
            "target": {"kind": target[0].value, "id": target[1]},
            "role": role.value,
            "trust": trust.value,
        },
        at=at,
    )
    return edge


def _reaches(start: str, goal: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE down(id) AS (SELECT %s::varchar UNION "
            "SELECT e.target_id FROM governance_lineageedge e JOIN down d ON e.source_id = d.id) "
            "SELECT EXISTS (SELECT FROM down WHERE id = %s)",
            (start, goal),
        )
        return bool(cursor.fetchone()[0])
