"""Verifying the database against itself and against what was signed: every byte is hashed again, nothing is believed.

The procedure, for each log, in one snapshot of the database:

1. order: entries stand at 0, 1, 2, … up to the head's size, or from the first one on that was not given up.
2. pruning: of all that was archived and dropped entries tell, proved in trees whose checkpoints are stored; the roots
   over it are stored, and lead to every later root.
3. bodies: every entry has its body, and the body's bytes give the stored leaf hash.
4. chain: the chain rebuilt from the bytes is the stored one, link by link, and the one that entries
   `ledger.chain_head` tell.
5. nodes: the stored subtree roots are exactly those that the bytes give.
6. head: its size, root, chain link and frontier are what the bytes give.
7. checkpoints: every stored checkpoint's root is that of the tree of its size.
8. signatures: every stored note says what its row says, and the log's trusted key signed it.
9. search columns: what can be searched of an event is what its bytes say.
10. queue: every body has one place or waits for one, never both, and no event's id stands twice.

and once for the database:

11. anchors: every receipt is of a place that an entry `anchors.configured` names.
12. retention: every retention schedule is what its entry says.
13. successors: what entry 0 of a log says of the one it follows is what the database has of that one.
14. guards: triggers, partitions, constraints, owners and rights are as the migrations made them.

What it cannot see: a history that was rewritten as a whole together with its checkpoints by someone who holds the key,
or cut short together with them. For that an auditor keeps a checkpoint, and the signer its memory.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import psycopg

from audit.anchor_places import places_check
from audit.chain_told import chain_heads_compare
from audit.errors import UnknownEntryError
from audit.guards import guard_faults
from audit.incarnations import successors_check
from audit.placements import MISPLACED, misplaced
from audit.retention_checks import log_beginning, schedules_check
from audit.sequencing import LogRow, logs_list
from audit.snapshots import Snapshot, snapshot
from audit.stretches import STRETCH, Stretch, StretchReading, stretch_read
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.chain import CHAIN_START
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.tiles import TILE_WIDTH
from modelnotary.ledger.tree import STORED_LEVELS, Frontier, Subtree
from modelnotary.processors import processors
from modelnotary.verify.chain_heads import ChainHeads, heads_check
from modelnotary.verify.log_replay import SMALL_LOG
from modelnotary.verify.result import Check, VerificationReport, failed, missing, passed
from modelnotary.verify.trust import Trust

type Progress = Callable[[str, int, int], None]
"""Told the log's name, how many entries are done, and how many there are."""

_ROWS_AT_ONCE = 16_384

_HEAD = "SELECT size, root, chain, frontier FROM ledger.head WHERE log_id = %s"
_NODES = "SELECT level, idx, hash FROM ledger.node WHERE log_id = %s"
_CHECKPOINTS = "SELECT size, root, note FROM ledger.checkpoint WHERE log_id = %s ORDER BY size"


def ledger_verify(
    connection: psycopg.Connection,
    *,
    trust: Trust | None,
    logs: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress = lambda _log, _done, _size: None,
) -> VerificationReport:
    """Verify logs by the procedure above; all of them unless some are named.

    Args:
        connection: Of a role that may read the whole ledger; outside a transaction, or in a repeatable-read one.
        trust: The keys that must have signed; without it signatures are reported as missing evidence.
        logs: Names of logs.
        workers: How many processes read, each over connections of its own; by default one for each processor, and none
            for a small log. In a transaction of the caller's, whose changes no other connection sees, none ever.
        progress: Called after each stretch of entries.

    Raises:
        UnknownEntryError: No log has such a name.
        WorkerError: A process died.
    """
    with snapshot(connection) as seen:
        rows = {row.name: row for row in logs_list(connection)}
        if unknown := set(logs) - rows.keys():
            raise UnknownEntryError(f"no log {', '.join(sorted(unknown))}; the logs are {', '.join(sorted(rows))}")
        chosen = [row for row in rows.values() if not logs or row.name in logs]
        checks = [
            check for row in chosen for check in _log_checks(_LogVerification(seen, row, trust, progress, workers))
        ]
        whole = [
            _table_check(connection, "anchors", places_check),
            _table_check(connection, "retention", schedules_check),
            _table_check(connection, "successors", partial(successors_check, trust=trust)),
            _guards_check(connection),
        ]
        return VerificationReport("database", connection.info.dbname, (*checks, *whole))


def _log_checks(verification: "_LogVerification") -> list[Check]:
    try:
        with verification.connection.transaction():
            return verification.run()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        return [failed(f"{verification.log.name}: order", f"the ledger cannot be read: {error}")]


def _table_check(connection: psycopg.Connection, name: str, check: Callable[[psycopg.Connection], Check]) -> Check:
    try:
        with connection.transaction():
            return check(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        return failed(name, f"the ledger cannot be read: {error}")


def _guards_check(connection: psycopg.Connection) -> Check:
    faults = guard_faults(connection)
    if faults:
        return failed("guards", "; ".join(faults))
    return passed("guards", "triggers, partitions, constraints, owners and rights are as the migrations made them")


class _LogVerification:
    """Steps 1 to 10 for one log; each finding is the first of its step."""

    def __init__(
        self, seen: Snapshot, log: LogRow, trust: Trust | None, progress: Progress, workers: int | None
    ) -> None:
        self.connection, self.log, self._progress = seen.connection, log, progress
        self._seen, self._asked_workers = seen, workers
        self._verifier = trust.log_verifier(log.origin) if trust else None
        self._found: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self._agreed = self._begins = self._compared = 0
        self._sealed = False
        self._tree, self._link, self._heads = Frontier(), CHAIN_START, ChainHeads(log.origin)

    def run(self) -> list[Check]:
        head = self.connection.execute(_HEAD, (self.log.log_id,)).fetchone()
        size, root, link, frontier = head or (0, b"", b"", [])
        self._sealed = self._one("SELECT proven FROM ledger.log WHERE log_id = %s") is not None
        self._nodes = {(level, index): value for level, index, value in self._rows(_NODES)}
        self._roots = self._checkpoints_read()
        self._sizes = sorted(self._roots)
        self._workers = self._asked_workers or (1 if size <= SMALL_LOG else processors())
        self._walk(self._skip(), size)
        self._chain_told()
        if (self._tree.size, self._tree.root(), self._link, self._tree.hashes) != (size, root, link, frontier):
            self._bad("head", f"the stored head of size {size} is not that of the {self._tree.size} entries")
        self._leftovers()
        self._projection_ends()
        self._placed()
        return self._checks()

    def _rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        with self.connection.cursor(name="rows", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(statement.encode(), (self.log.log_id,))
            yield from cursor

    def _bad(self, step: str, detail: str, first: int | None = None, end: int | None = None) -> None:
        """Keep the first finding of a step, and the range of entries that it is about: one, unless an end is given."""
        span = None if first is None else (first, first + 1 if end is None else end)
        self._found.setdefault(step, (detail, span))

    def _checkpoints_read(self) -> dict[int, bytes]:
        roots = {}
        for size, root, note in self._rows(_CHECKPOINTS):
            roots[size] = root
            if self._verifier and (fault := _note_fault(self._verifier, note, size, root)):
                self._bad("signatures", f"the checkpoint of size {size}: {fault}")
        return roots

    def _skip(self) -> int:
        """Begin with the roots over what was archived and dropped; give the first entry whose row is there."""
        beginning = log_beginning(self.connection, self.log.log_id)
        self._begins = beginning.min_index
        if beginning.fault:
            self._bad("pruning", beginning.fault, 0 if self._begins else None, self._begins)
        for index in range(beginning.first // TILE_WIDTH):
            root = self._nodes.get((STORED_LEVELS, index), bytes(HASH_BYTES))
            for node in (Subtree(STORED_LEVELS, index, root), *self._tree.extend([root], level=STORED_LEVELS)):
                self._node(node)
            if self._tree.size in self._roots:
                self._signed(self._tree.size, self._tree.root())
        self._link = beginning.chain
        return beginning.first

    def _walk(self, first: int, size: int) -> None:
        """Read the entries up to the head's size, or to the first gap."""
        projected = self._one("SELECT size FROM ledger.projected WHERE log_id = %s")
        searched = range(self._begins, size if projected is None else projected)
        stretches = (
            Stretch(self.log, start, min(start + STRETCH, size), searched, self._link if start == first else None)
            for start in range(first, size, STRETCH)
        )
        for reading in self._seen.each(stretch_read, stretches, workers=self._workers):
            self._take(reading)
            self._progress(self.log.name, self._tree.size, size)
            if self._tree.size < min(reading.start + STRETCH, size):
                gap = self._tree.size
                self._bad("order", f"there is no entry {gap}, but the head has size {size}", gap)
                break
        beyond = self._one("SELECT min(seq) FROM ledger.entry WHERE log_id = %s AND seq >= %s", size)
        if beyond is not None:
            self._bad("order", f"there is an entry {beyond}, but the head has size {size}", beyond)

    def _take(self, reading: StretchReading) -> None:
        for step, (index, detail) in reading.bad.items():
            self._bad(step, detail, index)
        self._link = reading.link
        self._heads.take(reading.start, reading.marks)
        for at, root in enumerate(reading.roots):
            self._grow(reading.tile(at), root)
        if rest := reading.tile(len(reading.roots)):
            self._grow(rest, None)

    def _chain_told(self) -> None:
        chain_heads_compare(self.connection, self.log, self._heads)
        if self._heads.fault is not None:
            self._bad("chain", *self._heads.fault)

    def _grow(self, leaves: list[bytes], root: bytes | None) -> None:
        """Extend the tree by a tile, or by fewer leaves at the end, stopping at each size that has a checkpoint."""
        start, end = self._tree.size, self._tree.size + len(leaves)
        stops = self._sizes[bisect_right(self._sizes, start) : bisect_right(self._sizes, end)]
        within = Frontier(start, self._tree.hashes)
        for low, high in pairwise((start, *stops)):
            within.extend(leaves[low - start : high - start])
            self._signed(high, within.root())
        if root is None:
            completed = self._tree.extend(leaves)
        else:
            tile = Subtree(STORED_LEVELS, start >> STORED_LEVELS, root)
            completed = [tile, *self._tree.extend((root,), level=STORED_LEVELS)]
        for node in completed:
            self._node(node)

    def _signed(self, size: int, root: bytes) -> None:
        """Compare the tree of this size with the checkpoint of it."""
        self._compared += 1
        if self._roots[size] == root:
            self._agreed = size
        else:
            self._bad(
                "checkpoints", f"the checkpoint of size {size} has another root than the entries", self._agreed, size
            )

    def _node(self, node: Subtree) -> None:
        if self._nodes.pop((node.level, node.index), None) != node.hash:
            first, end = node.index << node.level, (node.index + 1) << node.level
            self._bad("nodes", f"the stored root of the entries {first} to {end - 1} is missing or wrong", first, end)

    def _leftovers(self) -> None:
        size = self._tree.size
        for level, index in self._nodes:
            detail = f"there is a stored root of level {level}, index {index}, which no entries give"
            self._bad("nodes", detail, index << level, (index + 1) << level)
        if larger := [signed for signed in self._roots if signed > size]:
            self._bad("checkpoints", f"a checkpoint covers {min(larger)} entries, but there are {size}", size)

    def _projection_ends(self) -> None:
        """Nothing can be found by searching that has no entry, or no longer has one."""
        beyond = self._one(
            "SELECT min(p.seq) FROM ledger.projection p JOIN ledger.projected d USING (log_id) "
            "WHERE p.log_id = %s AND (p.seq >= d.size OR p.seq < %s)",
            self._begins,
        )
        if beyond is not None:
            self._bad("search columns", f"there are columns for entry {beyond}, which is not one to be found", beyond)
        ahead = self._one("SELECT size FROM ledger.projected WHERE log_id = %s AND size > %s", self._tree.size)
        if ahead is not None:
            self._bad("search columns", f"{ahead} entries are said to be projected, but there are {self._tree.size}")

    def _placed(self) -> None:
        questions = [(self.log, what) for what in MISPLACED]
        for what, body in self._seen.each(misplaced, questions, workers=self._workers):
            if body is not None:
                self._bad("queue", f"the event with body {body} {what}")

    def _one(self, statement: str, *parameters: object) -> int | None:
        row = self.connection.execute(statement.encode(), (self.log.log_id, *parameters)).fetchone()
        return row[0] if row else None

    def _checks(self) -> list[Check]:
        return [self._check(step, detail) for step, detail in self._good().items()]

    def _check(self, step: str, detail: str) -> Check:
        name = f"{self.log.name}: {step}"
        if step in self._found:
            fault, span = self._found[step]
            return failed(name, fault, span=span)
        if step == "chain":
            return heads_check(name, self._heads, detail)
        if step == "signatures" and self._verifier is None:
            return missing(name, f"no trusted key for {self.log.origin}; name a trust file")
        # Of a sealed log nothing more is signed; what was not is repeated in its successor.
        if step == "signatures" and self._tree.size and not self._roots and not self._sealed:
            return missing(name, "nothing has been signed yet; do sequencer and signer run?")
        return passed(name, detail)

    def _good(self) -> Mapping[str, str]:
        size, signed, begins = self._tree.size, max(self._roots, default=0), self._begins
        pruning = f"the entries 0 to {begins - 1} were archived and dropped, as entries tell"
        return {
            "order": f"{size} entries without a gap",
            "pruning": pruning if begins else "nothing was archived and dropped",
            "bodies": f"the bytes of {size} entries give their leaf hashes",
            "chain": f"{size} links rebuilt from the bytes",
            "nodes": "the stored subtree roots are those of the entries",
            "head": "its size, root, link and frontier are those of the entries",
            "checkpoints": f"{self._compared} roots are those of the entries; the newest covers {signed} of {size}",
            "signatures": f"{len(self._roots)} notes signed by the trusted key of {self.log.origin}",
            "search columns": "what can be searched is what the bytes say",
            "queue": "every event has one place or waits for one",
        }


def _note_fault(verifier: LogKeys, note: str, size: int, root: bytes) -> str | None:
    try:
        same = checkpoint_open(note.encode(), verifier) == Checkpoint(verifier.name, size, root)
    except ModelNotaryError as error:
        return str(error)
    return None if same else "its note speaks of another tree than its row"
