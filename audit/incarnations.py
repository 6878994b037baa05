"""What a successor says of the log that it follows is held against the rows of both: nothing was shown or hidden since.

`ledger.log.proven` decides which entries of a sealed log are shown, and `ledger.log.predecessor` which log follows
which. Both are rows that a superuser could change; entry 0 of the successor is signed.
"""

from dataclasses import dataclass
from itertools import pairwise

import psycopg
from psycopg.rows import class_row

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.errors import EventError, IncarnationError, LedgerError
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import Incarnation, successor_name
from modelnotary.verify.result import Check, failed, passed
from modelnotary.verify.trust import Trust

_CHECK = "successors"
_LOGS = """
SELECT l.log_id, l.name, l.origin, l.class AS log_class, l.state, l.min_index, l.proven, l.predecessor,
       h.size, h.root, h.chain
  FROM ledger.log l JOIN ledger.head h USING (log_id) ORDER BY l.class, l.log_id
"""
# Before the sequencer has seen a new log, its entry 0 is the first that waits.
_FIRST = """
SELECT b.bytes FROM ledger.body b WHERE b.log_id = %(log)s AND b.id = coalesce(
  (SELECT e.body_id FROM ledger.entry e WHERE e.log_id = %(log)s AND e.seq = 0),
  (SELECT min(q.id) FROM ledger.queue q WHERE q.log_id = %(log)s))
"""
_COVERED = "SELECT root FROM ledger.checkpoint WHERE log_id = %s AND size = %s"
_REPEATED = """
SELECT min(p.seq) FROM ledger.entry p
  LEFT JOIN ledger.entry s ON s.log_id = %(successor)s AND s.seq = p.seq - %(covered)s + 1
 WHERE p.log_id = %(predecessor)s AND p.seq >= %(covered)s AND s.leaf IS DISTINCT FROM p.leaf
"""


@dataclass(frozen=True, slots=True)
class _Log:
    log_id: int
    name: str
    origin: str
    log_class: str
    state: str
    min_index: int
    proven: int | None
    predecessor: int | None
    size: int
    root: bytes
    chain: bytes


def successors_check(connection: psycopg.Connection, trust: Trust | None) -> Check:
    """Check that each log but the first of its class tells in its entry 0 what the database has of its predecessor.

    Args:
        connection: Of a role that may read the whole ledger.
        trust: The keys that must have signed; without it the predecessor's note is not checked.
    """
    with connection.cursor(row_factory=class_row(_Log)) as cursor:
        logs = cursor.execute(_LOGS).fetchall()
    pairs = [(old, new) for old, new in pairwise(logs) if old.log_class == new.log_class]
    for log in logs:
        follows = any(new is log for _, new in pairs)
        followed = any(old is log for old, _ in pairs)
        if (log.predecessor is not None) != follows or (log.state == "sealed") != followed:
            return failed(_CHECK, f"{log.origin} is {log.state}, which does not fit the logs before and after it")
    for old, new in pairs:
        fault = _fault(connection, old, new, trust)
        if fault:
            return failed(_CHECK, fault)
    told = [f"{new.origin} follows {old.origin}, proven at {old.proven} entries" for old, new in pairs]
    return passed(_CHECK, "; ".join(told) or "no log follows another one")


def _fault(connection: psycopg.Connection, old: _Log, new: _Log, trust: Trust | None) -> str | None:
    expected = (old.log_id, successor_name(old.name), successor_name(old.origin))
    if (new.predecessor, new.name, new.origin) != expected:
        return f"{new.origin} does not follow {old.origin}, the log of its class before it"
    if new.min_index:
        return None  # its entry 0 is archived, and the archive tells
    row = connection.execute(_FIRST, {"log": new.log_id}).fetchone()
    if row is None:
        return f"{new.origin} has no entry 0, which must name its predecessor"
    try:
        told = Incarnation.from_event(Event.from_bytes(bytes(row[0])), origin=new.origin)
    except (EventError, IncarnationError) as error:
        return f"entry 0 of {new.origin}: {error}"
    restored = (Checkpoint(old.origin, old.size, bytes(old.root)), bytes(old.chain))
    if (told.restored, told.chain) != restored:
        return f"entry 0 of {new.origin} says that {told.restored.size} entries were restored; the database has others"
    if told.covered.size != old.proven:
        return f"{old.origin} is shown up to entry {old.proven}; entry 0 of {new.origin} says {told.covered.size}"
    return _note_fault(told, trust) or _rows_fault(connection, old, new, told)


def _note_fault(told: Incarnation, trust: Trust | None) -> str | None:
    keys = trust.log_verifier(told.predecessor) if trust else None
    if keys is None:
        return None
    try:
        checkpoint_open(told.note.encode(), keys)
    except LedgerError as error:
        return f"the note in entry 0 of {told.successor} is not signed by {told.predecessor}: {error}"
    return None


def _rows_fault(connection: psycopg.Connection, old: _Log, new: _Log, told: Incarnation) -> str | None:
    if told.covered.size:
        row = connection.execute(_COVERED, (old.log_id, told.covered.size)).fetchone()
        if row is None or bytes(row[0]) != told.covered.root:
            return f"{old.origin} has no checkpoint of {told.covered.size} entries as entry 0 of {new.origin} names it"
    if new.size <= told.repeated:
        return None  # they wait for their places
    places = {"successor": new.log_id, "predecessor": old.log_id, "covered": told.covered.size}
    other = connection.execute(_REPEATED, places).fetchone()
    if other is not None and other[0] is not None:
        return f"entry {other[0]} of {old.origin} is not repeated in {new.origin}"
    return None
