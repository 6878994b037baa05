"""Driving the ledger from outside Django: as each database role, and as an attacker."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import reference_tree
from conftest import Database
from psycopg import sql

from audit.enums import Log
from audit.keys import KeyRing
from audit.sequencing import LogRow, batch_sequence, checkpoint_store, logs_list, projection_fill
from audit.signer_memory import SignerMemory
from audit.signing import LogSigner, signer_server
from config.embedded import CHECKOUT
from config.supervisor import process_environment
from modelnotary.ids import new_id
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tree import Frontier

ROLES = {
    "app": "DATABASE_URL",
    "auditor": "AUDITOR_DATABASE_URL",
    "sequencer": "SEQUENCER_DATABASE_URL",
    "signer": "SIGNER_DATABASE_URL",
    "archiver": "ARCHIVER_DATABASE_URL",
    "migrator": "MIGRATION_DATABASE_URL",
}
TABLES = ("log", "body", "queue", "entry", "node", "head", "checkpoint", "anchor")
# The first ones of the lineage log, where everything is that a test writes.
PARTITIONS = ("body_1_0", "entry_1_0")
APPEND_ONLY = ("body", "entry", "node", "checkpoint", "anchor")


def connect(database: Database, role: str, **options: Any) -> psycopg.Connection:
    """Connect as a role with its own password, or as the superuser."""
    url = database.superuser_url if role == "superuser" else database.environment[ROLES[role]]
    return psycopg.connect(url, **options)


def event_bytes(*, log: str = "lineage", at: datetime | None = None, **data: Any) -> bytes:
    """The bytes of a new event."""
    return Event(
        log=log,
        type="system.registered" if log == "lineage" else "record.viewed",
        # An identifier carries its time, but none before 1970; an event may.
        id=new_id("evt", at=at and max(at, datetime(1970, 1, 1, tzinfo=UTC))),
        at=at or datetime.now(UTC),
        actor=Actor("system", "test", "A test"),
        subject=Subject("system", new_id("sys")),
        data=data,
    ).to_bytes()


def event_append(connection: psycopg.Connection, entry: bytes, *, log: str = "lineage") -> int:
    """Append as the application does; return the body's id."""
    row = connection.execute("SELECT ledger.append(%s, %s)", (log, entry)).fetchone()
    assert row is not None
    return int(row[0])


def events_append(database: Database, count: int, *, log: str = "lineage") -> list[bytes]:
    """Append new events in one transaction; return their bytes."""
    entries = [event_bytes(log=log, number=number) for number in range(count)]
    with connect(database, "app") as connection:
        for entry in entries:
            event_append(connection, entry, log=log)
    return entries


def events_append_many(database: Database, count: int, *, log: str = "lineage") -> None:
    """Have a great many events wait for their place, put there at once and not one by one as ledger.append does."""
    model = event_bytes(log=log)
    event = Event.from_bytes(model)
    before, after = model.decode().split(event.id)
    with connect(database, "superuser") as connection:
        connection.execute(
            """
            WITH made AS (SELECT %(half_id)s || lpad(to_hex(i), 16, '0') AS id FROM generate_series(1, %(count)s) AS i),
            written AS (
              INSERT INTO ledger.body (log_id, event_id, bytes)
              SELECT %(log)s, id, convert_to(%(before)s || id || %(after)s, 'UTF8') FROM made
              RETURNING id, log_id)
            INSERT INTO ledger.queue (log_id, id) SELECT log_id, id FROM written
            """,
            {
                "count": count,
                "half_id": event.id[:20],
                "log": log_named(connection, log).log_id,
                "before": before,
                "after": after,
            },
        )


def bodies_of(*, log: str, size: int) -> list[bytes]:
    """The bytes of a log's first entries, as Django reads them."""
    from audit.models import Entry

    entries = Entry.objects.filter(log=log, seq__lt=size).order_by("seq").values_list("bytes", flat=True)
    return [bytes(body) for body in entries.iterator()]


def log_named(connection: psycopg.Connection, name: str) -> LogRow:
    return next(log for log in logs_list(connection) if log.name == name)


def sequence_all(database: Database, *, log: str = "lineage") -> int:
    """Give every waiting event its place, as the sequencer's role; return how many there were."""
    with connect(database, "sequencer", autocommit=True) as connection:
        row, done = log_named(connection, log), 0
        while taken := batch_sequence(connection, row):
            done += taken
        while projection_fill(connection, row):
            pass
        return done


def one(connection: psycopg.Connection, statement: str, *parameters: object) -> Any:
    """The single value that a query gives."""
    row = connection.execute(statement.encode(), parameters).fetchone()
    assert row is not None
    return row[0]


def counts(connection: psycopg.Connection) -> dict[str, int]:
    """How many rows each table of the ledger has."""
    return {table: one(connection, f"SELECT count(*) FROM ledger.{table}") for table in TABLES}  # noqa: S608


@contextmanager
def triggers_off(connection: psycopg.Connection, *tables: str) -> Iterator[None]:
    """What only the tables' owner or a superuser can do."""
    for table in tables:
        connection.execute(sql.SQL("ALTER TABLE ledger.{} DISABLE TRIGGER USER").format(sql.Identifier(table)))
    yield
    for table in tables:
        statement = sql.SQL("ALTER TABLE ledger.{} ENABLE ALWAYS TRIGGER {}")
        for (trigger,) in connection.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", (f"ledger.{table}",)
        ).fetchall():
            connection.execute(statement.format(sql.Identifier(table), sql.Identifier(trigger)))


def head_sign(database: Database, signer: NoteSigner, *, log: str = "lineage") -> None:
    """Sign a log's head without asking a signer process, and store the checkpoint."""
    with connect(database, "sequencer") as connection:
        row = log_named(connection, log)
        size, root = connection.execute(
            "SELECT size, root FROM ledger.head WHERE log_id = %s", (row.log_id,)
        ).fetchall()[0]
        note = checkpoint_sign(Checkpoint(row.origin, size, root), signer).decode()
        checkpoint_store(connection, row, size=size, root=root, note=note)


def history_rewrite(database: Database, *, index: int, entry: bytes, log: str = "lineage") -> None:
    """Attack: replace one entry and recompute everything above it, so that the database agrees with itself."""
    with connect(database, "superuser") as connection, triggers_off(connection, "body", "entry", "node", "head"):
        row = log_named(connection, log)
        connection.execute(
            "UPDATE ledger.body SET bytes = %s FROM ledger.entry e "
            "WHERE e.body_id = body.id AND e.log_id = %s AND e.seq = %s",
            (entry, row.log_id, index),
        )
        tree_recompute(connection, row)


def tree_recompute(connection: psycopg.Connection, log: LogRow) -> None:
    """Attack: make leaves, chain, stored subtrees and head fit the bytes as they are now."""
    bodies = connection.execute(
        "SELECT b.bytes FROM ledger.entry e JOIN ledger.body b ON b.id = e.body_id WHERE e.log_id = %s ORDER BY e.seq",
        (log.log_id,),
    ).fetchall()
    frontier = Frontier()
    leaves = [hashlib.sha256(b"\x00" + body).digest() for (body,) in bodies]
    links = chain_links(log.origin, leaves)
    for node in frontier.extend(leaves):
        connection.execute(
            "UPDATE ledger.node SET hash = %s WHERE log_id = %s AND level = %s AND idx = %s",
            (node.hash, log.log_id, node.level, node.index),
        )
    for seq, (leaf, link) in enumerate(zip(leaves, links, strict=True)):
        connection.execute(
            "UPDATE ledger.entry SET leaf = %s, chain = %s WHERE log_id = %s AND seq = %s",
            (leaf, link, log.log_id, seq),
        )
    connection.execute(
        "UPDATE ledger.head SET size = %s, root = %s, chain = %s, frontier = %s WHERE log_id = %s",
        (frontier.size, frontier.root(), links[-1], frontier.hashes, log.log_id),
    )


def chain_links(origin: str, leaves: list[bytes]) -> list[bytes]:
    """The hash chain, straight from its definition."""
    links, link = [], bytes(32)
    for index, leaf in enumerate(leaves):
        link = hashlib.sha256(
            b"\x02" + hashlib.sha256(origin.encode()).digest() + index.to_bytes(8, "big") + link + leaf
        ).digest()
        links.append(link)
    return links


def assert_whole(database: Database) -> None:
    """Every body has one place, without gaps, and leaves, chain and root are what the bytes give."""
    with connect(database, "auditor") as connection:
        log = log_named(connection, "lineage")
        rows = connection.execute(
            "SELECT e.seq, b.bytes, e.leaf, e.chain FROM ledger.body b LEFT JOIN ledger.entry e ON e.body_id = b.id "
            "WHERE b.log_id = 1 ORDER BY e.seq"
        ).fetchall()
        size, root = connection.execute("SELECT size, root FROM ledger.head WHERE log_id = 1").fetchall()[0]
    leaves = [reference_tree.leaf(row[1]) for row in rows]
    assert [row[0] for row in rows] == list(range(size))
    assert [row[2] for row in rows] == leaves
    assert [row[3] for row in rows] == chain_links(log.origin, leaves)
    assert root == reference_tree.root(leaves)


@contextmanager
def signer_without_keys(folder: Path) -> Iterator[str]:
    """Serve a signer that has signed nothing and cannot: a sequencer may order events. Gives its address.

    Args:
        folder: For its memory.
    """
    memories = {log.value: SignerMemory(folder / f"{log}.json", f"nobody/{log}") for log in Log}
    signers = {
        log: LogSigner(keys=KeyRing.of(), memory=memory, connect=psycopg.connect) for log, memory in memories.items()
    }
    server = signer_server(("127.0.0.1", 0), signers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def process_start(database: Database, name: str, log: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start one of the product's own processes on this database.

    Args:
        database: What it works on.
        name: `sequencer` or `signer`.
        log: File descriptor for its output.
        environment: Further variables.
    """
    return subprocess.Popen(
        [sys.executable, "manage.py", name],
        cwd=CHECKOUT,
        env=process_environment(name, os.environ | database.environment | environment),
        stdout=log,
        stderr=log,
    )
