"""Walking lineage up and down: nearest steps first, in pages of a stated size."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from governance.enums import LineageKind
from governance.errors import RejectedInputError, UnknownRecordError
from governance.models import DatasetVersion, Decision, Deployment, ModelVersion, Run
from governance.selectors.scope import EVERYTHING, Sight

KIND_MODELS: dict[LineageKind, Any] = {
    LineageKind.DATASET_VERSION: DatasetVersion,
    LineageKind.RUN: Run,
    LineageKind.MODEL_VERSION: ModelVersion,
    LineageKind.DEPLOYMENT: Deployment,
    LineageKind.DECISION: Decision,
}
DEPTH_LIMIT = 10_000
"""How far a walk goes at most."""
PAGE_STEPS = 500
"""How many steps a page has where nothing is said."""
PAGE_LIMIT = 2_000
"""How many steps a page may have."""

_CURSOR = re.compile(r"([0-9]{1,6})\.([a-z]{2,4}_[0-9a-f]{1,36})\.([a-z]{2,4}_[0-9a-f]{1,36})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One step of lineage, and how many steps away its far end is."""

    id: str
    source_kind: str
    source_id: str
    target_kind: str
    target_id: str
    role: str
    trust: str
    depth: int


@dataclass(frozen=True, slots=True)
class LineageWalk:
    """Steps above or below a thing, nearest first.

    Attributes:
        steps: The steps of this page.
        truncated: Whether there are more: beyond the page, or deeper than was asked for.
        next: Where the next page begins; empty when this is the last, or the rest is deeper than was asked for.
    """

    steps: tuple[LineageStep, ...]
    truncated: bool
    next: str


def lineage_walk(
    *,
    start: str,
    upwards: bool,
    depth: int = DEPTH_LIMIT,
    limit: int = PAGE_STEPS,
    after: str = "",
    seen_by: Sight = EVERYTHING,
) -> LineageWalk:
    """Give a page of the steps above or below a thing: each once, nearest first, then by id.

    Steps from or to what is not seen are left out of the page.

    Args:
        start: Id of a data set version, run, model version, deployment or decision.
        upwards: True for what it came from, False for what came of it.
        depth: How many steps away at most, 1 to `DEPTH_LIMIT`.
        limit: How many steps at most.
        after: The `next` of the page before.
        seen_by: What the reader sees.

    Raises:
        RejectedInputError: `after` is not the `next` of a page.
    """
    level, near, edge = _cursor(after)
    with connection.cursor() as cursor:
        # One level deeper and one step more than asked for, to tell whether there are more.
        cursor.execute(
            "SELECT id, source_kind, source_id, target_kind, target_id, role, trust, depth "
            "FROM governance_lineage_walk(%s, %s, %s, %s, %s, %s, %s)",
            (start, upwards, depth + 1, limit + 1, level, near, edge),
        )
        found = [LineageStep(*row) for row in cursor.fetchall()]
    within = [step for step in found[:limit] if step.depth <= depth]
    more = len(within) == limit < len(found) and found[limit].depth <= depth
    hidden = seen_by.hidden({end for step in within for end in (step.source_id, step.target_id)})
    return LineageWalk(
        steps=tuple(step for step in within if hidden.isdisjoint((step.source_id, step.target_id))),
        truncated=len(found) > len(within),
        next=_cursor_words(within[-1], upwards=upwards) if more else "",
    )


def lineage_kind(thing: str, *, seen_by: Sight = EVERYTHING) -> LineageKind:
    """Tell what an id of the lineage graph names, if it is seen.

    Raises:
        UnknownRecordError: Nothing is registered under it.
    """
    for kind, model in KIND_MODELS.items():
        if seen_by.of(model.objects.filter(pk=thing)).exists():
            return kind
    raise UnknownRecordError(f"nothing with lineage is registered as {thing}")


def lineage_nodes(*, start: str, upwards: bool, limit: int) -> tuple[dict[str, tuple[str, int]], bool]:
    """Give the things above or below a thing as id -> (kind, steps away), and whether some were left out."""
    walk = lineage_walk(start=start, upwards=upwards, limit=limit)
    return dict(_far_ends(walk.steps, upwards=upwards)), walk.truncated


def _far_ends(steps: Iterable[LineageStep], *, upwards: bool) -> list[tuple[str, tuple[str, int]]]:
    ends = [
        (step.source_id, (step.source_kind, step.depth))
        if upwards
        else (step.target_id, (step.target_kind, step.depth))
        for step in steps
    ]
    return ends[::-1]  # the nearest way to a thing is the last that a dict keeps


def _cursor(after: str) -> tuple[int, str, str]:
    if not after:
        return 1, "", ""
    match = _CURSOR.fullmatch(after)
    if match is None:
        raise RejectedInputError("/after is not the next of a page; leave it out to begin with the first")
    return int(match[1]), match[2], match[3]


def _cursor_words(step: LineageStep, *, upwards: bool) -> str:
    return f"{step.depth}.{step.target_id if upwards else step.source_id}.{step.id}"
