"""Lineage has no circles, whoever records what at once, and can be walked both ways, nearest first."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from governance.enums import LineageKind, LineageRole, Role, Trust
from governance.errors import ConflictError, RejectedInputError, UnknownRecordError
from governance.models import Decision, LineageEdge, Run, User
from governance.selectors.affected import affected_by
from governance.selectors.lineage import LineageStep, lineage_walk
from governance.services import inventory
from governance.services.deployments import deployment_record
from governance.services.lineage import lineage_record
from modelnotary.ids import new_id

pytestmark = pytest.mark.usefixtures("database", "keys")


def run(actor: User) -> str:
    now = timezone.now()
    return inventory.run_record(
        actor=actor, at=now, name="r", code_commit="", parameters={}, started_at=now, finished_at=now
    ).id


def link(actor: User, source: str, target: str, role: LineageRole = LineageRole.INFORMED) -> LineageEdge:
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


def steps(start: str, *, upwards: bool, **asked: Any) -> list[tuple[str, str, int]]:
    walk = lineage_walk(start=start, upwards=upwards, **asked)
    return [(step.source_id, step.target_id, step.depth) for step in walk.steps]


def test_a_walk_gives_each_step_once_nearest_first_and_only_in_its_direction(actor: User) -> None:
    # a -> b -> d -> e, a -> c -> d: two ways from a to d.
    a, b, c, d, e, aside = (run(actor) for _ in range(6))
    for source, target in ((a, b), (a, c), (b, d), (c, d), (d, e), (a, aside)):
        link(actor, source, target)
    assert steps(b, upwards=False) == [(b, d, 1), (d, e, 2)]
    up = steps(e, upwards=True)
    assert up[0] == (d, e, 1)
    assert set(up[1:3]) == {(b, d, 2), (c, d, 2)}
    assert set(up[3:]) == {(a, b, 3), (a, c, 3)}
    assert steps(a, upwards=True) == []


def many(actor: User, pairs: list[tuple[int, int]]) -> list[str]:
    """Runs joined as the pairs say, written in two statements."""
    now = timezone.now()
    count = 1 + max(number for pair in pairs for number in pair)
    runs = [
        Run(name="r", started_at=now, finished_at=now, registered_by=actor, registered_at=now) for _ in range(count)
    ]
    Run.objects.bulk_create(runs)
    LineageEdge.objects.bulk_create(
        LineageEdge(
            source_kind="run",
            source_id=runs[source].id,
            target_kind="run",
            target_id=runs[target].id,
            role="informed",
            trust="self_reported",
            recorded_at=now,
        )
        for source, target in pairs
    )
    return [item.id for item in runs]


def test_pages_together_are_the_whole_walk_and_each_says_whether_there_is_more(actor: User) -> None:
    # 1 -> 10 -> 10 more each.
    pairs = [(0, 1 + number) for number in range(10)] + [(1 + number % 10, 11 + number) for number in range(100)]
    first, *_ = many(actor, pairs)
    whole = lineage_walk(start=first, upwards=False, limit=2000)
    assert ([step.depth for step in whole.steps], whole.truncated, whole.next) == ([1] * 10 + [2] * 100, False, "")
    paged: list[LineageStep] = []
    after = ""
    for _ in range(16):
        page = lineage_walk(start=first, upwards=False, limit=7, after=after)
        paged += page.steps
        after = page.next
        assert page.truncated is bool(after)
        if not after:
            break
    assert tuple(paged) == whole.steps
    shallow = lineage_walk(start=first, upwards=False, depth=1)
    assert (len(shallow.steps), shallow.truncated, shallow.next) == (10, True, "")
    assert lineage_walk(start=first, upwards=False, depth=2).truncated is False


def test_a_ladder_of_many_ways_is_walked_without_walking_each_way(actor: User) -> None:
    pairs = [
        (2 * height + below, 2 * height + 2 + above) for height in range(39) for below in range(2) for above in range(2)
    ]
    first, *_ = many(actor, pairs)
    assert len(steps(first, upwards=False)) == 2 + 38 * 4


def test_a_refusal_names_the_way_that_would_close(actor: User) -> None:
    first, *rest = many(actor, [(number, number + 1) for number in range(30)])
    with pytest.raises(ConflictError, match="lineage has no circles") as refusal:
        link(actor, rest[1], first)
    assert f"would close: {rest[1]} → {first} → {rest[0]} → {rest[1]}" in str(refusal.value)
    with pytest.raises(ConflictError, match=r"… \d+ more …"):
        link(actor, rest[-1], first)


UNFIT: dict[str, tuple[LineageRole, LineageKind, LineageKind]] = {
    "a run trained on by a model": (LineageRole.TRAINED_ON, LineageKind.RUN, LineageKind.MODEL_VERSION),
    "data that produced a model": (LineageRole.PRODUCED, LineageKind.DATASET_VERSION, LineageKind.MODEL_VERSION),
    "a model that produced data": (LineageRole.PRODUCED, LineageKind.MODEL_VERSION, LineageKind.DATASET_VERSION),
    "a decision deployed": (LineageRole.DEPLOYED_AS, LineageKind.DECISION, LineageKind.DEPLOYMENT),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_step_joins_only_what_its_role_joins(actor: User, case: str) -> None:
    role, source, target = UNFIT[case]
    ends = {"source": (source, "x_1"), "target": (target, "x_2")}
    with pytest.raises(RejectedInputError, match=f'"{role.value}" joins a'):
        lineage_record(actor=actor, role=role, trust=Trust.SELF_REPORTED, at=timezone.now(), **ends)


# --- The database itself ----------------------------------------------------------------------------------------------
STEP = (
    "INSERT INTO governance_lineageedge (id, source_kind, source_id, target_kind, target_id, role, trust, recorded_at) "
    "VALUES (%(id)s, %(source_kind)s, %(source)s, %(target_kind)s, %(target)s, %(role)s, %(trust)s, now())"
)


def step_row(source: str, target: str) -> dict[str, str]:
    row = {"id": new_id("edg"), "source_kind": "run", "source": source, "target_kind": "run", "target": target}
    return row | {"role": "informed", "trust": "self_reported"}


RAW: dict[str, tuple[dict[str, str], type[psycopg.Error], str]] = {
    "a circle": ({}, psycopg.errors.RestrictViolation, "would close"),
    "a step to itself": ({"target": "SOURCE"}, psycopg.errors.CheckViolation, "not_to_itself"),
    "a kind that is none": ({"target_kind": "person"}, psycopg.errors.CheckViolation, "ends_fit_its_role"),
    "a role that is none": ({"role": "likes"}, psycopg.errors.CheckViolation, "ends_fit_its_role"),
    "a role that does not join them": ({"role": "produced"}, psycopg.errors.CheckViolation, "ends_fit_its_role"),
    "a trust that is none": ({"trust": "absolute"}, psycopg.errors.CheckViolation, "trust_known"),
    "an end that is not there": ({"target": "run_none"}, psycopg.errors.ForeignKeyViolation, "not registered"),
}


@pytest.mark.parametrize("case", RAW)
@pytest.mark.parametrize("role", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_raw_sql_meets_the_same_rules(database: Database, actor: User, case: str, role: str) -> None:
    changed, error, words = RAW[case]
    first, middle, last = many(actor, [(0, 1), (1, 2)])
    row = step_row(last, first) | changed
    row["target"] = last if row["target"] == "SOURCE" else row["target"]
    with psycopg.connect(database.environment[role]) as connection, pytest.raises(error, match=words) as refusal:
        connection.execute(STEP, row)
    if case == "a circle":
        assert f"{last} -> {first} -> {middle} -> {last}" in str(refusal.value)


def test_two_rows_of_one_statement_cannot_close_a_circle(database: Database, actor: User) -> None:
    one, two = run(actor), run(actor)
    with (
        psycopg.connect(database.environment["DATABASE_URL"]) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="no circles"),
    ):
        connection.execute(
            "INSERT INTO governance_lineageedge (id, source_kind, source_id, target_kind, target_id, role, trust, "
            "recorded_at) SELECT e.id, 'run', e.source, 'run', e.target, 'informed', 'measured', now() "
            "FROM (VALUES (%(a)s, %(one)s, %(two)s), (%(b)s, %(two)s, %(one)s)) e(id, source, target)",
            {"a": new_id("edg"), "b": new_id("edg"), "one": one, "two": two},
        )


def test_of_two_transactions_that_would_close_a_circle_the_second_waits_and_is_refused(
    database: Database, actor: User
) -> None:
    one, two = run(actor), run(actor)
    address = database.environment["DATABASE_URL"]
    with psycopg.connect(address) as first, psycopg.connect(address) as second, ThreadPoolExecutor(1) as pool:
        second.execute("SELECT 1")  # its transaction began before the other one ended
        first.execute(STEP, step_row(one, two))
        waiting = pool.submit(second.execute, STEP, step_row(two, one))
        _until_waiting(database, second.info.backend_pid)
        first.commit()
        with pytest.raises(psycopg.errors.RestrictViolation, match="no circles"):
            waiting.result(timeout=60)


def _until_waiting(database: Database, process: int) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as observer:
        for _ in range(600):
            row = observer.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", (process,)).fetchone()
            if row == ("Lock",):
                return
            time.sleep(0.05)
    raise AssertionError("the second transaction never waited for the first")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_that_cannot_see_the_others_records_no_lineage(database: Database, actor: User, level: str) -> None:
    one, two = run(actor), run(actor)
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        with pytest.raises(psycopg.errors.RestrictViolation, match=f"READ COMMITTED: in {level}"):
            connection.execute(STEP, step_row(one, two))


# --- Doors ------------------------------------------------------------------------------------------------------------
def test_lineage_is_recorded_and_read_over_the_api(actor: User) -> None:
    version = factories.model_version(actor)
    api = Api(factories.token(actor))
    parent, before = run(actor), run(actor)
    link(actor, before, parent)
    step = {
        "source": {"kind": "run", "id": parent},
        "target": {"kind": "model_version", "id": version.id},
        "role": "produced",
    }
    assert require(api.post("lineage", step), 201)["trust"] == "self_reported"
    circle = {"source": step["target"], "target": {"kind": "run", "id": before}, "role": "used"}
    assert before in require_problem(api.post("lineage", circle), 409, "state-conflict")["detail"]
    require_problem(api.post("lineage", step | {"source": {"kind": "run", "id": "run_none"}}), 404, "unknown-record")
    require_problem(api.post("lineage", step | {"role": "deployed_as"}), 400, "validation-failed")
    require_problem(api.post("lineage", step | {"role": "trained_on"}), 422, "validation-failed")
    path = f"model-versions/{version.digest}/lineage"
    up = require(api.get(path, limit="1"), 200)
    assert [(item["source_id"], item["target_id"], item["depth"]) for item in up["steps"]] == [(parent, version.id, 1)]
    assert up["truncated"] is True
    rest = require(api.get(path, after=up["next"]), 200)
    assert [item["source_id"] for item in rest["steps"]] == [before]
    assert (rest["truncated"], rest["next"]) == (False, "")
    assert require(api.get(path, direction="down"), 200)["steps"] == []
    assert len(require(api.get(f"lineage/{before}", direction="down"), 200)["steps"]) == 2
    require_problem(api.get("lineage/run_none"), 404, "unknown-record")
    for wrong in ({"direction": "sideways"}, {"depth": "0"}, {"limit": "2001"}, {"deep": "1"}):
        require_problem(api.get(path, **wrong), 400, "validation-failed")
    require_problem(api.get(path, after="1.2.3"), 422, "validation-failed")


def test_what_is_affected_by_bad_data_is_told_with_owners(actor: User) -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    now = timezone.now()
    data = inventory.dataset_register(
        actor=actor,
        slug=factories.unique("data"),
        at=now,
        name="Claims",
        description="d",
        classification="confidential",
        contains_phi=False,
    )
    rows = inventory.dataset_version_register(
        actor=actor, dataset=data, digest=factories.stored(factories.unique("a\n1").encode(), actor), at=now
    )
    unrelated = factories.model_version(actor)
    training = run(actor)
    for source, target, role in (
        ((LineageKind.DATASET_VERSION, rows.id), (LineageKind.RUN, training), LineageRole.TRAINED_ON),
        ((LineageKind.RUN, training), (LineageKind.MODEL_VERSION, case.version.id), LineageRole.PRODUCED),
    ):
        lineage_record(actor=actor, source=source, target=target, role=role, trust=Trust.SELF_REPORTED, at=now)
    case.evaluate()
    decision = Decision.objects.filter(model_version=case.version).latest("evaluated_at")
    if decision.state == "pending":
        replace(case, decision=decision).sign(case.officers[0])
    deployment = deployment_record(
        actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now()
    )
    api = Api(factories.token(actor))
    told = require(api.get(f"dataset-versions/{rows.digest}/affected"), 200)
    assert [(item["id"], item["depth"]) for item in told["model_versions"]] == [(case.version.id, 2)]
    assert [item["id"] for item in told["deployments_in_use"]] == [deployment.id]
    assert [item["id"] for item in told["decisions_that_stand"]] == [deployment.decision_id]
    owner = case.version.model.system.owner
    assert [(item["owner"], item["owner_email"]) for item in told["systems"]] == [(owner.printed_name, owner.email)]
    assert (told["truncated"], unrelated.id in str(told)) == (False, False)
    site = signed_in(factories.person(Role.AUDITOR))
    page = site.get(reverse("admin:governance_datasetversion_affected", args=[rows.id])).content.decode()
    text = site.get(reverse("admin:governance_datasetversion_affected.txt", args=[rows.id])).content.decode()
    for shown in (page, text):
        assert str(case.version) in shown
        assert owner.printed_name in shown
    assert "Deployments in use: 1" in text
    later = affected_by(version=rows, at=now + timedelta(days=60))
    assert later.decisions == ()
    require_problem(api.get(f"dataset-versions/{unrelated.digest}/affected"), 404, "unknown-record")
