"""Lineage of 100,000 steps: a page of what came of a thing, and of what it came from, beside other ways to ask."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import psycopg
from installation import Database, database
from suite import ROUNDS, Row, compared, measured, say

from config.embedded import EmbeddedServices

THINGS = 40_000
STEPS = 100_000
PAGE = 500
ASKED = 200
# It takes seconds for each.
ASKED_SLOWLY = 5
GOAL_MILLISECONDS = 50
_WINDOW = 2_000
_HUBS = 200
# The columns of a page, by the product's own function.
_OURS = "SELECT * FROM governance_lineage_walk(%s, %s, 10001, 501, 1, '', '')"
# What one would write first: all that is below, each thing once, and then the page.
_NAIVE = """
WITH RECURSIVE walk(thing) AS (
  SELECT %s::varchar UNION SELECT e.{far} FROM governance_lineageedge e JOIN walk w ON e.{near} = w.thing)
SELECT e.* FROM governance_lineageedge e JOIN walk w ON e.{near} = w.thing ORDER BY e.id LIMIT 500
"""
_THING = "'run_' || lpad(to_hex(i), 32, '0')"
_RUNS = f"""
INSERT INTO governance_run (id, name, code_commit, parameters, started_at, finished_at, registered_by_id, registered_at)
SELECT {_THING}, 'r', '', '{{}}', now(), now(), 'usr_bench', now() FROM generate_series(0, {THINGS - 1}) i
"""  # noqa: S608 - constants
_STEP = """
INSERT INTO governance_lineageedge (id, source_kind, source_id, target_kind, target_id, role, trust, recorded_at)
VALUES (%s, 'run', %s, 'run', %s, 'informed', 'self_reported', now())
"""
_COPY = """
COPY governance_lineageedge (id, source_kind, source_id, target_kind, target_id, role, trust, recorded_at) FROM STDIN
"""


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure pages of walks, refusals of circles, and new steps, on one graph."""
    with database(services, "lineage") as made:
        say(f"{STEPS:,} steps between {THINGS:,} things")
        pairs = _fill(made)
        with made.connect("app") as connection:
            yield from _walks(connection)
            yield from _memory(made, pairs)
            yield _new_steps(connection)


def _walks(connection: psycopg.Connection) -> Iterator[Row]:
    generator = random.Random(4)  # noqa: S311 - a choice of things, no secret
    for words, upwards in (("what came of it", False), ("what it came from", True)):
        near, far = ("target_id", "source_id") if upwards else ("source_id", "target_id")
        naive = _NAIVE.format(near=near, far=far)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            things = [_name(generator.randrange(THINGS)) for _ in range(ASKED)]
            ours.append(_p99(partial(_ask, connection, _OURS, (upwards,)), things))
            theirs.append(_p99(partial(_ask, connection, naive, ()), things[:ASKED_SLOWLY]))
        name = f"lineage: p99 of a page of {PAGE} steps, {words}, {STEPS:,} steps"
        yield measured(name, "ms", ours, goal=GOAL_MILLISECONDS, better="lower")
        yield compared(
            f"{name} / the slowest of {ASKED_SLOWLY} by a recursive CTE", "ms", ours, theirs, goal=1.0, better="lower"
        )


def _memory(made: Database, pairs: Sequence[tuple[int, int]]) -> Iterator[Row]:
    """What a copy in the memory of each process would cost: to load it, which every change makes due again."""
    ours, theirs = [], []
    below: dict[str, list[str]] = {}
    with made.connect("app") as connection:
        for number in range(ROUNDS):
            ours.append(_p99(partial(_ask, connection, _OURS, (False,)), [_name(number)]))
            began = time.perf_counter()
            below.clear()
            for source, target in connection.execute("SELECT source_id, target_id FROM governance_lineageedge"):
                below.setdefault(source, []).append(target)
            theirs.append((time.perf_counter() - began) * 1000)
    assert sum(map(len, below.values())) == len(pairs)
    yield compared("lineage: a page / loading the graph into memory", "ms", ours, theirs, goal=1.0, better="lower")


def _new_steps(connection: psycopg.Connection) -> Row:
    generator = random.Random(5)  # noqa: S311
    rounds = []
    for number in range(ROUNDS):
        times = []
        for step in range(ASKED):
            source, target = sorted(generator.sample(range(THINGS), 2))
            began = time.perf_counter()
            connection.execute(_STEP, (f"edg_new_{number}_{step}", _name(source), _name(target)))
            times.append((time.perf_counter() - began) * 1000)
        rounds.append(_highest(times))
    name = f"lineage: p99 of a step between two things of {THINGS:,}, checked for circles"
    return measured(name, "ms", rounds, goal=100, better="lower")


def _fill(made: Database) -> list[tuple[int, int]]:
    """Things in an order, each made of a few before it, and a few of which a great deal is made."""
    generator = random.Random(3)  # noqa: S311
    pairs = set[tuple[int, int]]()
    while len(pairs) < STEPS:
        target = generator.randrange(1, THINGS)
        hub = generator.random() < 0.05  # noqa: PLR2004 - every twentieth step begins at one of the hubs
        low, high = (0, min(_HUBS, target)) if hub else (max(0, target - _WINDOW), target)
        pairs.add((generator.randrange(low, high), target))
    # Every step leads onwards, so there are no circles to be looked for; who registered the runs is nobody.
    tables = ("governance_run", "governance_lineageedge")
    for table in tables:
        made.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    made.sql(_RUNS)
    with made.connect("superuser") as connection, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for number, (one, two) in enumerate(pairs):
            copy.write_row((f"edg_{number:032x}", "run", _name(one), "run", _name(two), "informed", "measured", "now"))
    for table in tables:
        made.sql(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    made.sql("VACUUM ANALYZE")
    return list(pairs)


def _name(number: int) -> str:
    return f"run_{number:032x}"


def _ask(connection: psycopg.Connection, statement: str, more: tuple[object, ...], thing: str) -> None:
    connection.execute(statement.encode(), (thing, *more)).fetchall()


def _p99(ask: Callable[[str], None], things: Sequence[str]) -> float:
    times = []
    for thing in things:
        began = time.perf_counter()
        ask(thing)
        times.append((time.perf_counter() - began) * 1000)
    return _highest(times)


def _highest(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
