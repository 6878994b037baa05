"""Lineage has no circles, whoever records what at once, and can be walked both ways, nearest first."""

from itertools import pairwise

import factories
import pytest
from api_driver import Api, at_once, require, require_problem
from django.utils import timezone

from audit.models import Entry
from governance.enums import LineageKind, LineageRole, Trust
from governance.errors import ConflictError, UnknownRecordError
from governance.models import LineageEdge, User
from governance.selectors.lineage import lineage_walk
from governance.services import inventory
from governance.services.lineage import lineage_record

pytestmark = pytest.mark.usefixtures("database", "keys")


def run(actor: User) -> str:
    now = timezone.now()
    return inventory.run_record(
        actor=actor, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    ).id


def link(actor: User, source: str, target: str, role: LineageRole = LineageRole.PRODUCED) -> LineageEdge:
    return lineage_record(
        actor=actor,
        source=(LineageKind.RUN, source),
        target=(LineageKind.RUN, target),
        role=role,
        trust=Trust.SELF_REPORTED,
        at=timezone.now(),
    )


@pytest.fixture
def actor() -> User:
    return factories.person()


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_a_step_that_would_close_a_circle_is_refused(actor: User, length: int) -> None:
    things = [run(actor) for _ in range(length)]
    for source, target in pairwise(things):
        link(actor, source, target)
    before = Entry.objects.count()
    with pytest.raises(ConflictError, match="lineage has no circles"):
        link(actor, things[-1], things[0])
    assert Entry.objects.count() == before
    link(actor, things[-1], run(actor))


@pytest.mark.parametrize("_round", range(5))
def test_steps_recorded_at_once_cannot_close_a_circle_between_them(actor: User, _round: int) -> None:
    things = [run(actor) for _ in range(4)]
    steps = [(things[i], things[(i + 1) % 4]) for i in range(4)]
    results = at_once(*(lambda step=step: link(actor, *step) for step in steps))
    assert [type(result) for result in results].count(ConflictError) == 1
    assert [type(result) for result in results].count(LineageEdge) == 3


def test_the_same_step_at_once_is_one_step(actor: User) -> None:
    source, target = run(actor), run(actor)
    edges = at_once(*[lambda: link(actor, source, target).id] * 6)
    assert len(set(edges)) == 1
    assert Entry.objects.filter(event_type="lineage.recorded", subject_id=edges[0]).count() == 1


@pytest.mark.parametrize("missing", ["source", "target"])
def test_a_step_needs_both_its_ends(actor: User, missing: str) -> None:
    ends = {"source": run(actor), "target": run(actor)} | {missing: "run_none"}
    with pytest.raises(UnknownRecordError):
        link(actor, ends["source"], ends["target"])


def test_a_walk_gives_each_step_once_nearest_first_and_only_in_its_direction(actor: User) -> None:
    # a -> b -> d -> e, a -> c -> d: two ways from a to d.
    a, b, c, d, e, aside = (run(actor) for _ in range(6))
    for source, target in ((a, b), (a, c), (b, d), (c, d), (d, e), (a, aside)):
        link(actor, source, target)
    down = [(step["source_id"], step["target_id"], step["depth"]) for step in lineage_walk(start=b, upwards=False)]
    assert down == [(b, d, 1), (d, e, 2)]
    up = [(step["source_id"], step["target_id"], step["depth"]) for step in lineage_walk(start=e, upwards=True)]
    assert up == [(d, e, 1), (b, d, 2), (c, d, 2), (a, b, 3), (a, c, 3)]
    assert lineage_walk(start=a, upwards=True) == []


def test_of_very_many_steps_a_walk_gives_the_nearest_ones(actor: User) -> None:
    first = run(actor)
    children = [run(actor) for _ in range(10)]
    for child in children:
        link(actor, first, child)
    grandchildren = [
        LineageEdge(
            source_kind="run",
            source_id=children[number % 10],
            target_kind="run",
            target_id=f"run_{first[-20:]}{number}",
            role="produced",
            trust="self_reported",
            recorded_at=timezone.now(),
        )
        for number in range(600)
    ]
    LineageEdge.objects.bulk_create(grandchildren)
    steps = lineage_walk(start=first, upwards=False)
    assert len(steps) == 500
    assert [step["depth"] for step in steps] == [1] * 10 + [2] * 490


def test_a_ladder_of_many_ways_is_walked_without_walking_each_way(actor: User) -> None:
    rungs = [[f"run_{actor.id[-20:]}{side}{height}" for side in "ab"] for height in range(40)]
    LineageEdge.objects.bulk_create(
        LineageEdge(
            source_kind="run",
            source_id=source,
            target_kind="run",
            target_id=target,
            role="produced",
            trust="self_reported",
            recorded_at=timezone.now(),
        )
        for below, above in pairwise(rungs)
        for source in below
        for target in above
    )
    assert len(lineage_walk(start=rungs[0][0], upwards=False)) == 2 + 38 * 4


def test_lineage_is_recorded_and_read_over_the_api(actor: User) -> None:
    version = factories.model_version(actor)
    api = Api(factories.token(actor))
    parent = run(actor)
    step = {
        "source": {"kind": "run", "id": parent},
        "target": {"kind": "model_version", "id": version.id},
        "role": "produced",
    }
    back = step | {"source": step["target"], "target": step["source"]}
    assert require(api.post("lineage", step), 201)["trust"] == "self_reported"
    require_problem(api.post("lineage", back), 409, "state-conflict")
    require_problem(api.post("lineage", step | {"source": {"kind": "run", "id": "run_none"}}), 404, "unknown-record")
    (up,) = require(api.get(f"model-versions/{version.digest}/lineage"), 200)
    assert (up["source_id"], up["target_id"], up["depth"]) == (parent, version.id, 1)
    assert require(api.get(f"model-versions/{version.digest}/lineage", direction="down"), 200) == []
