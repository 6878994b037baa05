"""Recording how one thing came from another. Lineage has no circles."""

from datetime import datetime

from django.db import connection, transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import LINEAGE_ENDS, LineageKind, LineageRole, Trust
from governance.errors import ConflictError, RejectedInputError, UnknownRecordError
from governance.models import LineageEdge, User
from governance.selectors.lineage import KIND_MODELS
from governance.services.locks import name_lock
from modelnotary.ledger.event import Subject

# The name of the lock that the database's own guard takes too.
LINEAGE_LOCK = "governance.lineage"
_PATH_SHOWN = 10


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
        RejectedInputError: The role does not join such things.
        UnknownRecordError: One end is not registered.
        ConflictError: The step would close a circle; the message has its path.
    """
    _require_fitting(source, target, role)
    name_lock(LINEAGE_LOCK)  # two steps recorded at once could close a circle that neither sees alone
    existing = LineageEdge.objects.filter(source_id=source[1], target_id=target[1], role=role, trust=trust).first()
    if existing:
        return existing
    if path := _path(target[1], source[1]):
        raise ConflictError(
            f"{source[1]} already comes from {target[1]}; lineage has no circles. This step would close: "
            f"{_path_words([source[1], *path])}"
        )
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


def _require_fitting(source: tuple[LineageKind, str], target: tuple[LineageKind, str], role: LineageRole) -> None:
    if (source[0], target[0]) not in LINEAGE_ENDS[role]:
        known = " or ".join(f"a {one.label.lower()} to a {two.label.lower()}" for one, two in LINEAGE_ENDS[role])
        raise RejectedInputError(
            f'"{role.value}" joins {known}, not a {source[0].label.lower()} to a {target[0].label.lower()}'
        )
    for kind, identity in (source, target):
        if not KIND_MODELS[kind].objects.filter(pk=identity).exists():
            raise UnknownRecordError(f"no {kind.label.lower()} {identity} is registered")


def _path(start: str, goal: str) -> list[str]:
    """Give a way down from one thing to another, both with it; nothing where there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT governance_lineage_path(%s, %s)", (start, goal))
        path: list[str] | None = cursor.fetchone()[0]
    return path or []


def _path_words(path: list[str]) -> str:
    left_out = len(path) - 2 * _PATH_SHOWN
    shown = path if left_out <= 0 else [*path[:_PATH_SHOWN], f"… {left_out} more …", *path[-_PATH_SHOWN:]]
    return " → ".join(shown)
