"""The sequencer: the one process that gives events their place in a log.

For each log, in one transaction: lock the head, drain the queue in one statement, hash, COPY the entries, store the
completed subtree roots, move the head. It never reads `id > cursor`: ids are handed out at insert and become visible
at commit, so a cursor loses whatever commits late.
"""

import logging
from dataclasses import dataclass

import psycopg

from audit.errors import CorruptLogError
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.errors import TreeError
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tree import Frontier, Subtree

logger = logging.getLogger(__name__)

BATCH = 1024

_DRAIN = """
WITH drained AS (
  DELETE FROM ledger.queue
   WHERE id IN (SELECT id FROM ledger.queue WHERE log_id = %s ORDER BY id LIMIT %s)
  RETURNING id)
SELECT b.id, b.bytes FROM drained JOIN ledger.body b USING (id) ORDER BY b.id
"""
_LAST = "SELECT seq, chain FROM ledger.entry WHERE log_id = %s AND seq >= %s ORDER BY seq LIMIT 2"


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log as the sequencer knows it."""

    log_id: int
    name: str
    origin: str


def logs_list(connection: psycopg.Connection) -> list[LogRow]:
    """Give the instance's logs."""
    rows = connection.execute("SELECT log_id, name, origin FROM ledger.log ORDER BY log_id").fetchall()
    return [LogRow(*row) for row in rows]


def batch_sequence(connection: psycopg.Connection, log: LogRow, *, limit: int = BATCH) -> int:
    """Give up to `limit` waiting events their place; return how many, 0 too while another sequencer holds the log.

    Raises:
        CorruptLogError: The head does not fit its subtrees or the last entry. Nothing is written.
    """
    with connection.transaction():
        head = connection.execute(
            "SELECT size, root, chain, frontier FROM ledger.head WHERE log_id = %s FOR UPDATE SKIP LOCKED",
            (log.log_id,),
        ).fetchone()
        if head is None:
            return 0
        waiting = connection.execute(_DRAIN, (log.log_id, limit), binary=True).fetchall()
        if waiting:
            _extend(connection, log, head, waiting)
        return len(waiting)


def _extend(
    connection: psycopg.Connection,
    log: LogRow,
    head: tuple[int, bytes, bytes, list[bytes]],
    waiting: list[tuple[int, bytes]],
) -> None:
    size, root, link, hashes = head
    try:
        frontier, chain = Frontier(size, hashes), Chain(log.origin, size, link)
    except TreeError as error:
        raise CorruptLogError(f"{log.origin}: the stored head of size {size} is damaged: {error}") from error
    if frontier.root() != root:
        raise CorruptLogError(f"{log.origin}: the stored subtrees of size {size} do not give the stored root")
    # A root does not name its size: the same subtrees can belong to another one. The chain does.
    last = connection.execute(_LAST, (log.log_id, size - 1)).fetchall()
    if last != ([(size - 1, link)] if size else []):
        raise CorruptLogError(f"{log.origin}: the head of size {size} does not stand on the last stored entry")
    leaves = [leaf_hash(body) for _, body in waiting]
    links = chain.extend(leaves)
    completed = frontier.extend(leaves)
    _entries_copy(connection, log, size, [body_id for body_id, _ in waiting], leaves, links)
    _nodes_store(connection, log, completed)
    connection.execute(
        "UPDATE ledger.head SET size = %s, root = %s, chain = %s, frontier = %s WHERE log_id = %s AND size = %s",
        (frontier.size, frontier.root(), chain.head, frontier.hashes, log.log_id, size),
    )


def _entries_copy(  # noqa: PLR0917 - three columns that run in parallel
    connection: psycopg.Connection,
    log: LogRow,
    start: int,
    body_ids: list[int],
    leaves: list[bytes],
    links: list[bytes],
) -> None:
    statement = "COPY ledger.entry (log_id, seq, body_id, leaf, chain) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int2", "int8", "int8", "bytea", "bytea"])
        for offset, row in enumerate(zip(body_ids, leaves, links, strict=True)):
            copy.write_row((log.log_id, start + offset, *row))


def _nodes_store(connection: psycopg.Connection, log: LogRow, completed: list[Subtree]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger.node (log_id, level, idx, hash) VALUES (%s, %s, %s, %s)",
            [(log.log_id, node.level, node.index, node.hash) for node in completed],
        )


def checkpoint_due(connection: psycopg.Connection, log: LogRow) -> int | None:
    """Give the size of the head when no checkpoint covers it yet."""
    row = connection.execute(
        "SELECT size FROM ledger.head h WHERE log_id = %s AND size > 0 AND NOT EXISTS "
        "(SELECT FROM ledger.checkpoint c WHERE c.log_id = h.log_id AND c.size = h.size)",
        (log.log_id,),
    ).fetchone()
    return None if row is None else int(row[0])


def checkpoint_store(connection: psycopg.Connection, log: LogRow, *, size: int, root: bytes, note: str) -> None:
    """Keep a signed checkpoint; the same one twice is kept once."""
    connection.execute(
        "INSERT INTO ledger.checkpoint (log_id, size, root, note) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (log.log_id, size, root, note),
    )
