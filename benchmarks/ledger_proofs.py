"""Inclusion proofs out of a log of ten million entries, made as the web process makes them.

Every leaf and every stored subtree is there, and the tree is a real one. Bodies and search columns are there for the
entries that are asked for; those of the others would take an hour to write and are never read.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from installation import Database, database
from sample_events import EVENT
from suite import ROUNDS, Row, measured, say

from audit.sequencing import LogRow, checkpoint_store, logs_list
from config.embedded import CHECKOUT, EmbeddedServices
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tiles import TILE_WIDTH
from modelnotary.ledger.tree import STORED_LEVELS, Frontier, Subtree, perfect_root

ENTRIES = 10_000_000
PROOFS = 4_000
_PATTERN = EVENT.replace("%", "%%")
_ENTRY = f"convert_to(format('{_PATTERN}', lpad(to_hex(i), 32, '0')), 'UTF8')"
_LEAVES = f"""
INSERT INTO ledger.entry (log_id, seq, body_id, leaf, chain)
SELECT 1, i, i + 1, sha256(CASE WHEN i %% %s = 0 THEN '\\x00'::bytea || {_ENTRY} ELSE int8send(i) END),
       sha256(int8send(i)) FROM generate_series(%s::bigint, %s) i
"""  # noqa: S608 - constants
_ASKED = f"""
WITH asked AS (SELECT i FROM generate_series(0, %(last)s, %(step)s) i),
bodies AS (INSERT INTO ledger.body (id, log_id, event_id, bytes)
           SELECT i + 1, 1, 'evt_' || lpad(to_hex(i), 32, '0'), {_ENTRY} FROM asked)
INSERT INTO ledger.projection (log_id, seq, body_id, event_id, event_type, at, actor_id, actor_name, subject_kind,
                               subject_id)
SELECT 1, i, i + 1, 'evt_' || lpad(to_hex(i), 32, '0'), 'system.registered', now(), 'usr_0192f0', 'Olivia Grant',
       'system', 'sys_0192f0' FROM asked
"""  # noqa: S608 - constants
_TILES = """
SELECT string_agg(leaf, '' ORDER BY seq) FROM ledger.entry WHERE log_id = 1 GROUP BY seq / 256 ORDER BY seq / 256
"""


def rows(services: EmbeddedServices, entries: int = ENTRIES) -> Iterator[Row]:
    """Measure proofs in as many processes as there are processors."""
    with database(services, "proving") as made:
        say(f"filling a log with {entries:,} entries")
        _fill(made, entries)
        say("proofs")
        rounds = [_round(made) for _ in range(ROUNDS)]
    of = f"of a log of {entries:,}"
    rates = [sum(one["rate"] for one in each) for each in rounds]
    reads = [one["reads"] for each in rounds for one in each]
    yield measured(f"inclusion proofs {of}, all processors", "proofs/s", rates, goal=2_000, better="higher")
    yield measured(f"page-sized reads for each proof {of}, with the entry", "reads", reads, goal=4, better="lower")


def _fill(made: Database, entries: int) -> None:
    made.sql(f"UPDATE ledger.head SET size = {entries} WHERE log_id = 1")  # noqa: S608 - a number
    made.sql(f"SELECT setval('ledger.body_id', {entries})")
    made.sql("SELECT ledger.partitions_ahead()")
    middle = entries // 2
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda span: _leaves(made, entries // PROOFS, *span), ((0, middle - 1), (middle, entries - 1))))
    with made.connect("superuser") as connection:
        connection.execute(_ASKED.encode(), {"last": entries - 1, "step": entries // PROOFS})
        (log,) = (log for log in logs_list(connection) if log.name == "lineage")
        _tree_store(connection, log)
    made.sql("VACUUM ANALYZE ledger.entry, ledger.node, ledger.body, ledger.projection, ledger.checkpoint")
    made.sql(f"UPDATE ledger.projected SET size = {entries} WHERE log_id = 1")  # noqa: S608 - a number
    made.settle()


def _leaves(made: Database, step: int, first: int, last: int) -> None:
    with made.connect("superuser") as connection:
        connection.execute(_LEAVES.encode(), (step, first, last))


def _tree_store(connection: psycopg.Connection, log: LogRow) -> None:
    """Grow the tree of the stored leaves, store its subtrees, sign it."""
    frontier, completed = Frontier(), list[Subtree]()
    with connection.transaction(), connection.cursor(name="tiles", binary=True) as tiles:
        tiles.execute(_TILES)
        for (joined,) in tiles:
            leaves = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
            if len(leaves) < TILE_WIDTH:
                frontier.extend(leaves)
                continue
            completed.append(Subtree(STORED_LEVELS, frontier.size // TILE_WIDTH, perfect_root(leaves)))
            completed += frontier.extend([completed[-1].hash], level=STORED_LEVELS)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY ledger.node (log_id, level, idx, hash) FROM STDIN") as copy,
    ):
        for node in completed:
            copy.write_row((log.log_id, node.level, node.index, node.hash))
    signer = NoteSigner(log.origin, Ed25519PrivateKey.generate())
    note = checkpoint_sign(Checkpoint(log.origin, frontier.size, frontier.root()), signer).decode()
    checkpoint_store(connection, log, size=frontier.size, root=frontier.root(), note=note)


def _round(made: Database) -> list[dict[str, float]]:
    """What each of the processes measured that make proofs at the same time."""
    workers = len(os.sched_getaffinity(0))
    environment = os.environ | made.environment | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": "."}
    program = [sys.executable, str(Path(__file__).with_name("proving.py"))]
    started = [
        subprocess.Popen(
            [*program, str(worker), str(workers)], cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True
        )
        for worker in range(workers)
    ]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError("a process that was to make proofs failed; what it said is above")
    return [json.loads(line) for line in printed]
