"""The sequencer: the one process that gives events their place in a log.

For each log, in one transaction: lock the head, drain the queue in one statement that gives the leaf hashes, COPY the
entries, store the completed subtree roots, move the head. It never reads `id > cursor`: ids are handed out at insert
and become visible at commit, so a cursor loses whatever commits late.
"""

import logging
import struct
from dataclasses import dataclass

import psycopg

from audit.errors import CorruptLogError
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.errors import TreeError
from modelnotary.ledger.tree import Frontier, Subtree

logger = logging.getLogger(__name__)

BATCH = 4096
# The server works on one stretch of a COPY while the next one is made.
_ROWS_AT_ONCE = 512
# PostgreSQL's binary COPY: a signature, two empty words, then each row as its number of columns and, for each of them,
# its length and value (https://www.postgresql.org/docs/current/sql-copy.html).
_COPY_START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_ROW = struct.Struct(">hihiqiqi32si32s")

_HEAD = """
SELECT size, root, chain, frontier FROM ledger.head h JOIN ledger.log l USING (log_id)
 WHERE log_id = %s AND l.state = %s FOR UPDATE OF h SKIP LOCKED
"""
# The queue is emptied as fast as it is filled, so its statistics are always wrong. Along its index the oldest come
# first, and the scan remembers dead rows; any other way reads all that waits, and all the dead, every time.
_ALONG_INDEX = "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
# In one statement, so that what is taken out of the queue is what is read. The queue's rows are never updated, so that
# their places are as good as their keys; and the array makes of all the bodies one walk along their index.
_DRAIN = """
WITH drained AS (
  DELETE FROM ledger.queue
   WHERE ctid = ANY (ARRAY(SELECT ctid FROM ledger.queue WHERE log_id = %(log)s ORDER BY id LIMIT %(limit)s))
  RETURNING id)
SELECT b.id, sha256('\\x00'::bytea || b.bytes), (SELECT count(*) FROM drained) FROM ledger.body b
 WHERE b.log_id = %(log)s AND b.id = ANY (ARRAY(SELECT id FROM drained)) ORDER BY b.id
"""
# What was archived and dropped is not to be found, also when everything else is made searchable anew.
_PROJECTED = """
SELECT greatest(d.size, l.min_index) FROM ledger.projected d JOIN ledger.log l USING (log_id)
 WHERE d.log_id = %s FOR UPDATE OF d SKIP LOCKED
"""
_PROJECT = """
INSERT INTO ledger.projection (log_id, seq, body_id, event_id, event_type, at, actor_id, actor_name,
                               subject_kind, subject_id, subject_digest)
SELECT e.log_id, e.seq, e.body_id, r.event_id, r.event_type, r.at, r.actor_id, r.actor_name,
       r.subject_kind, r.subject_id, r.subject_digest
  FROM ledger.entry e LEFT JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
  LEFT JOIN LATERAL ledger.event_read(b.bytes) r ON true
 WHERE e.log_id = %s AND e.seq >= %s AND e.seq < %s
"""
_LAST = "SELECT seq, chain FROM ledger.entry WHERE log_id = %s AND seq >= %s ORDER BY seq LIMIT 2"


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log as the sequencer knows it."""

    log_id: int
    name: str
    origin: str
    log_class: str


def logs_list(connection: psycopg.Connection) -> list[LogRow]:
    """Give the instance's logs."""
    rows = connection.execute("SELECT log_id, name, origin, class FROM ledger.log ORDER BY log_id").fetchall()
    return [LogRow(*row) for row in rows]


def logs_active(connection: psycopg.Connection) -> set[int]:
    """Give the ids of the logs that events go to."""
    return {log_id for (log_id,) in connection.execute("SELECT log_id FROM ledger.log WHERE state = 'active'")}


def log_freeze(connection: psycopg.Connection, log: LogRow, *, reason: str) -> bool:
    """Stop a log for good: nothing is appended to it, sequenced or signed any more. Tell whether it was not so before.

    Args:
        connection: Of the sequencer's role.
        log: The log.
        reason: Why, in words that anyone may read.
    """
    row = connection.execute("SELECT ledger.log_freeze(%s, %s)", (log.origin, reason)).fetchone()
    return bool(row and row[0])


def batch_sequence(connection: psycopg.Connection, log: LogRow, *, limit: int = BATCH, state: str = "active") -> int:
    """Give up to `limit` waiting events their place; return how many.

    None get one while another sequencer holds the log, or when it is not in the state any more. Only who seals a frozen
    log asks for another state than `active`.

    Raises:
        CorruptLogError: The head does not fit its subtrees or the last entry. Nothing is written.
    """
    with connection.transaction():
        head = connection.execute(
            _HEAD,
            (log.log_id, state),
        ).fetchone()
        if head is None:
            return 0
        connection.execute(_ALONG_INDEX)
        waiting = connection.execute(_DRAIN, {"log": log.log_id, "limit": limit}, binary=True).fetchall()
        if waiting:
            if len(waiting) != waiting[0][2]:
                raise CorruptLogError(f"{log.origin}: an event that waits for its place has lost its body")
            _extend(connection, log, head, [body_id for body_id, *_ in waiting], [leaf for _, leaf, _ in waiting])
        return len(waiting)


def _extend(
    connection: psycopg.Connection,
    log: LogRow,
    head: tuple[int, bytes, bytes, list[bytes]],
    body_ids: list[int],
    leaves: list[bytes],
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
    statement = "COPY ledger.entry (log_id, seq, body_id, leaf, chain) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_COPY_START)
        for start in range(0, len(leaves), _ROWS_AT_ONCE):
            stretch = slice(start, start + _ROWS_AT_ONCE)
            copy.write(_rows(log, size + start, body_ids[stretch], leaves[stretch], chain.extend(leaves[stretch])))
        copy.write(_COPY_END)
        # While the server is busy with the rows.
        completed = frontier.extend(leaves)
    _nodes_store(connection, log, completed)
    connection.execute(
        "UPDATE ledger.head SET size = %s, root = %s, chain = %s, frontier = %s WHERE log_id = %s AND size = %s",
        (frontier.size, frontier.root(), chain.head, frontier.hashes, log.log_id, size),
    )


def _rows(log: LogRow, start: int, body_ids: list[int], leaves: list[bytes], links: list[bytes]) -> bytes:
    """Write rows of ledger.entry as COPY's binary format has them, all at once."""
    pack, log_id = _ROW.pack, log.log_id
    return b"".join(
        [
            pack(5, 2, log_id, 8, seq, 8, body_id, 32, leaf, 32, link)
            for seq, (body_id, leaf, link) in enumerate(zip(body_ids, leaves, links, strict=True), start)
        ]
    )


def _nodes_store(connection: psycopg.Connection, log: LogRow, completed: list[Subtree]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger.node (log_id, level, idx, hash) VALUES (%s, %s, %s, %s)",
            [(log.log_id, node.level, node.index, node.hash) for node in completed],
        )


def partitions_ahead(connection: psycopg.Connection) -> int:
    """Make the partitions that the active logs will soon need; return how many were made."""
    row = connection.execute("SELECT ledger.partitions_ahead()").fetchone()
    assert row is not None
    return int(row[0])


def projection_fill(connection: psycopg.Connection, log: LogRow, *, limit: int = BATCH) -> int:
    """Make up to `limit` further entries searchable, in the order of the log; return how many.

    Indices have no gaps and entries do not change, so that a position says all; an event is searchable before, too,
    only slowly.
    """
    with connection.transaction():
        at = connection.execute(_PROJECTED, (log.log_id,)).fetchone()
        if at is None:
            return 0
        done = connection.execute(_PROJECT, (log.log_id, at[0], at[0] + limit)).rowcount
        if done:
            statement = "UPDATE ledger.projected SET size = %s WHERE log_id = %s"
            connection.execute(statement, (at[0] + done, log.log_id))
        return done


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
