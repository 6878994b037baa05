"""Whether what a log no longer has, and the schedules by which it was given up, are as entries of the ledger say."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from audit.enums import LineageEvent
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.chain import CHAIN_START
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import leaf_hash, verify_inclusion
from modelnotary.ledger.note import note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.verify.pruning import LOG_PRUNED
from modelnotary.verify.result import Check, failed, passed

_SCHEDULES = "retention"
_BEGINS = """
SELECT l.origin, l.min_index, (SELECT min(e.seq) FROM ledger.entry e WHERE e.log_id = l.log_id)
  FROM ledger.log l WHERE l.log_id = %s
"""
_PRUNINGS = """
SELECT event_id, start, min_index, chain, manifest, location, proof FROM ledger.pruning WHERE log_id = %s
 ORDER BY min_index
"""
_SIGNED = """
SELECT c.root FROM ledger.checkpoint c JOIN ledger.log l USING (log_id) WHERE l.origin = %s AND c.size = %s
"""
# The entries of an old schedule may be gone with the others of its time.
_UNTOLD = """
SELECT r.event_id, r.request, r.class, r.keep_days, b.bytes
  FROM ledger.retention r
  LEFT JOIN LATERAL (SELECT b.bytes FROM ledger.body b JOIN ledger.log l USING (log_id)
                      WHERE l.class = 'lineage' AND b.event_id = r.event_id) b ON true
 WHERE b.bytes IS NOT NULL OR r.at > coalesce(
   (SELECT max(p.newest) FROM ledger.pruning p JOIN ledger.log l USING (log_id) WHERE l.class = 'lineage'), '-infinity')
 ORDER BY r.at
"""


@dataclass(frozen=True, slots=True)
class LogBeginning:
    """Where a log begins.

    Attributes:
        min_index: The first entry that was not given up.
        first: The first entry whose row is there: rows of what was given up stay until their partition can go.
        chain: The hash chain before `first`.
        fault: Why what was given up is not as entries tell; None when it is.
    """

    min_index: int
    first: int
    chain: bytes
    fault: str | None


@dataclass(frozen=True, slots=True)
class _GivenUp:
    """A row of ledger.pruning."""

    event_id: str
    start: int
    min_index: int
    chain: bytes
    manifest: str
    location: str
    proof: str


def log_beginning(connection: psycopg.Connection, log_id: int) -> LogBeginning:
    """Say where a log begins, and whether entries tell of all that was before.

    Args:
        connection: Of a role that may read the whole ledger.
        log_id: The log.
    """
    row = connection.execute(_BEGINS, (log_id,)).fetchone()
    assert row is not None
    origin, min_index, lowest = row
    given_up = [_GivenUp(*row) for row in connection.execute(_PRUNINGS, (log_id,), binary=True)]
    edges = {0: CHAIN_START} | {one.min_index: one.chain for one in given_up}
    there = min_index if lowest is None else min(lowest, min_index)
    first = max(edge for edge in edges if edge <= there)
    return LogBeginning(min_index, first, edges[first], _fault(connection, origin, min_index, given_up))


def schedules_check(connection: psycopg.Connection) -> Check:
    """Check that every retention schedule is what its entry says.

    Args:
        connection: Of a role that may read the whole ledger.
    """
    rows = connection.execute(_UNTOLD).fetchall()
    for event_id, *stated, body in rows:
        if body is None or _schedule_said(bytes(body)) != tuple(stated):
            return failed(_SCHEDULES, f"the schedule {event_id} of the class {stated[1]} is not what an entry says")
    return passed(_SCHEDULES, f"all {len(rows)} schedules are what entries say")


def _schedule_said(body: bytes) -> tuple[object, ...] | None:
    try:
        event = Event.from_bytes(body)
    except ModelNotaryError:
        return None
    if event.type != LineageEvent.RETENTION_SCHEDULED:
        return None
    return event.data.get("request"), event.subject.id, event.data.get("keep_days")


def _fault(connection: psycopg.Connection, origin: str, min_index: int, given_up: Iterable[_GivenUp]) -> str | None:
    reached = 0
    for one in given_up:
        if one.start != reached:
            return f"no entry tells of the entries {reached} to {one.start - 1}"
        if fault := _untold(connection, origin, one):
            return f"{one.event_id} does not tell of the entries {one.start} to {one.min_index - 1}: {fault}"
        reached = one.min_index
    if reached != min_index:
        return f"the log begins at entry {min_index}, but entries tell that it begins at {reached}"
    return None


def _untold(connection: psycopg.Connection, origin: str, one: _GivenUp) -> str | None:
    """Why the proof kept of an entry does not show that it tells of this."""
    try:
        proof = InclusionProof.from_bytes(one.proof.encode())
        signed = Checkpoint.from_text(note_split(proof.checkpoint)[0])
        if proof.extra is None or connection.execute(_SIGNED, (signed.origin, signed.size)).fetchone() != (
            signed.root,
        ):
            return "its proof is not of a checkpoint that is stored"
        verify_inclusion(proof.index, signed.size, leaf_hash(proof.extra), proof.path, signed.root)
        event = Event.from_bytes(proof.extra)
    except ModelNotaryError as error:
        return str(error)
    said = [event.data.get(name) for name in ("origin", "start", "min_index", "chain", "manifest", "location")]
    stated = [origin, one.start, one.min_index, one.chain.hex(), one.manifest, one.location]
    return None if (event.type, event.id, said) == (LOG_PRUNED, one.event_id, stated) else "it says something else"
