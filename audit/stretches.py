"""Reading a stretch of a stored log again: every byte is hashed, every stored value held against what the bytes give.

Stretches are read apart from each other, in as many processes as there are processors. The server only hands rows out:
whether they agree is decided here. What reaches beyond a stretch, `verification` puts together: the tree out of the
roots of the stretches; and the chain, which a stretch takes up from the stored link before it, is whole when it is
whole in each of them.
"""

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import psycopg

from audit.searchable import Searchable, searchable_agrees, searchable_read, time_text
from audit.sequencing import LogRow
from modelnotary.ledger.chain import CHAIN_START, Chain
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import TILE_WIDTH
from modelnotary.ledger.tree import perfect_root
from modelnotary.verify.chain_heads import chain_marks

STRETCH = 64 * TILE_WIDTH
"""How many entries are read by one process: whole tiles."""

BODIES_AT_ONCE = 8 * TILE_WIDTH
"""How many bodies of a stretch are held in memory: 1 MB of usual ones, 128 MB of the longest that there can be."""

# Each table is walked along one index; of a join it would be the planner's guess how to go.
_ENTRIES = """
SELECT array_agg(seq), array_agg(body_id), array_agg(leaf), array_agg(chain)
  FROM (SELECT seq, body_id, leaf, chain FROM ledger.entry
         WHERE log_id = %(log)s AND seq >= %(start)s AND seq < %(end)s ORDER BY seq) e
"""
_LINK_BEFORE = "SELECT chain FROM ledger.entry WHERE log_id = %s AND seq = %s"
# Bodies that get their places together nearly always stand together; those that do not are asked for by number.
_BODIES = "SELECT id, event_id, bytes FROM ledger.body WHERE log_id = %s AND id >= %s AND id <= %s ORDER BY id LIMIT %s"
_BODIES_ELSEWHERE = "SELECT id, event_id, bytes FROM ledger.body WHERE log_id = %s AND id = ANY (%s::bigint[])"
_COLUMNS = """
SELECT array_agg(seq), array_agg(body_id), array_agg(event_id), array_agg(event_type),
       string_agg(coalesce(timestamptz_send(at), int8send(%(never)s)), ''), array_agg(actor_id), array_agg(actor_name),
       array_agg(subject_kind), array_agg(subject_id), array_agg(subject_digest)
  FROM (SELECT * FROM ledger.projection
         WHERE log_id = %(log)s AND seq >= %(start)s AND seq < %(end)s ORDER BY seq) p
"""
# PostgreSQL's infinity, which no event has.
_NEVER = 2**63 - 1

type _Body = tuple[int, str, bytes]
"""Number, the event's id beside its bytes, bytes."""

type _Columns = tuple[int, int | None, Searchable]
"""Position, number of the body, what can be searched."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of a log, from `start` up to, without, `end`; `start` is at the beginning of a tile.

    Attributes:
        log: The log.
        start: Position of the first.
        end: Where the stretch ends, unless the log has a gap before.
        searched: The entries that must be found by searching: what is before was given up, and the row of such an entry
            may outlive its body; what is behind is not projected yet.
        link: The chain link before it, where that is not stored in the entry before.
    """

    log: LogRow
    start: int
    end: int
    searched: range
    link: bytes | None = None


@dataclass(slots=True)
class StretchReading:
    """What a stretch turned out to be.

    Attributes:
        start: Position of the first entry.
        end: Where the stretch ends, or the position of an entry that is not there.
        leaves: The leaf hashes, one after the other.
        roots: The roots of its whole tiles.
        link: The chain link of its last entry.
        marks: The links at the sizes in it at which entries tell the chain.
        bad: The first finding of each step: which entry, and what is wrong with it.
    """

    start: int
    end: int
    leaves: bytes = b""
    roots: tuple[bytes, ...] = ()
    link: bytes = CHAIN_START
    marks: Mapping[int, bytes] = field(default_factory=dict)
    bad: dict[str, tuple[int, str]] = field(default_factory=dict)

    def tile(self, number: int) -> list[bytes]:
        """The leaf hashes of one tile of the stretch; of the last one those that are there."""
        first, end = number * TILE_WIDTH * HASH_BYTES, min((number + 1) * TILE_WIDTH * HASH_BYTES, len(self.leaves))
        return [self.leaves[at : at + HASH_BYTES] for at in range(first, end, HASH_BYTES)]

    def found(self, step: str, index: int, detail: str) -> None:
        """Keep what is wrong with an entry, if no earlier one of the stretch is known to be wrong in this step."""
        if step not in self.bad or index < self.bad[step][0]:
            self.bad[step] = (index, detail)


def stretch_read(item: Stretch, *, connection: psycopg.Connection) -> StretchReading:
    """Read a stretch and say what it turned out to be, and what is wrong with it."""
    return _Reader(item, connection).run()


class _Reader:
    def __init__(self, stretch: Stretch, connection: psycopg.Connection) -> None:
        self._stretch, self._log, self._connection = stretch, stretch.log, connection
        self._reading = StretchReading(stretch.start, stretch.end)

    def run(self) -> StretchReading:
        numbers, stored, links = self._entries()
        columns = self._columns()
        leaves = list[bytes]()
        for at in range(0, len(numbers), BODIES_AT_ONCE):
            start, part = self._stretch.start + at, slice(at, at + BODIES_AT_ONCE)
            bodies = self._bodies(start, numbers[part])
            leaves += self._leaves(start, bodies, stored[part])
            self._columns_check(start, numbers[part], bodies, columns[part])
        self._same("bodies", leaves, stored, "the bytes of entry {} do not give its leaf hash")
        self._chain_check(leaves, links)
        self._roots_keep(leaves)
        return self._reading

    def _entries(self) -> tuple[list[int], list[bytes], list[bytes]]:
        """The number of the body, leaf and link of each entry up to the first gap."""
        start, end = self._stretch.start, self._stretch.end
        rows = self._rows(_ENTRIES, {"log": self._log.log_id, "start": start, "end": end})
        positions, *columns = ([] if column is None else column for column in rows[0])
        if positions != list(range(start, end)):
            pairs = enumerate(positions, start)
            end = next((at for at, position in pairs if position != at), start + len(positions))
        self._reading.end = end
        numbers, stored, links = (column[: end - start] for column in columns)
        return numbers, stored, links

    def _bodies(self, start: int, numbers: list[int]) -> list[_Body | None]:
        """The body of each entry from `start` on; none for one that is lost."""
        near = self._rows(_BODIES, (self._log.log_id, min(numbers), max(numbers), len(numbers) + 1))
        if [row[0] for row in near] == numbers:
            return list(near)
        found, twice = _by_number(near)
        if elsewhere := [number for number in numbers if number not in found]:
            others, more = _by_number(self._rows(_BODIES_ELSEWHERE, (self._log.log_id, elsewhere)))
            found, twice = found | others, twice | more
        for index, number in enumerate(numbers, start) if twice else ():
            if number in twice:
                self._reading.found("bodies", index, f"entry {index} has more than one body")
        return [found.get(number) for number in numbers]

    def _leaves(self, start: int, bodies: list[_Body | None], stored: list[bytes]) -> list[bytes]:
        """Hash the bodies; the stored leaf stands in for one that is lost, so that what follows can be checked."""
        leaves = []
        for index, (body, leaf) in enumerate(zip(bodies, stored, strict=True), start):
            if body is not None:
                leaves.append(leaf_hash(body[2]))
            else:
                if index >= self._stretch.searched.start:
                    self._reading.found("bodies", index, f"entry {index} has lost its body")
                leaves.append(leaf if len(leaf or b"") == HASH_BYTES else bytes(HASH_BYTES))
        return leaves

    def _roots_keep(self, leaves: list[bytes]) -> None:
        whole = range(0, len(leaves) - TILE_WIDTH + 1, TILE_WIDTH)
        self._reading.roots = tuple([perfect_root(leaves[at : at + TILE_WIDTH]) for at in whole])
        self._reading.leaves = b"".join(leaves)

    def _chain_check(self, leaves: list[bytes], links: list[bytes]) -> None:
        chain = Chain(self._log.origin, self._stretch.start, self._link_before())
        computed = chain.extend(leaves)
        self._same("chain", computed, links, "the chain link of entry {} is not what it must be")
        self._reading.link = chain.head
        self._reading.marks = chain_marks(self._stretch.start, computed)

    def _link_before(self) -> bytes:
        if self._stretch.link is not None:
            return self._stretch.link
        rows = self._rows(_LINK_BEFORE, (self._log.log_id, self._stretch.start - 1))
        # One that is lost or cut short is the business of the stretch before.
        return rows[0][0] if rows and len(rows[0][0] or b"") == HASH_BYTES else CHAIN_START

    def _columns_check(
        self, start: int, numbers: list[int], bodies: list[_Body | None], columns: list[_Columns | None]
    ) -> None:
        log_class, searched = self._log.log_class, self._stretch.searched
        for index, (number, body, said) in enumerate(zip_longest(numbers, bodies, columns, fillvalue=None), start):
            if body is None:
                continue
            _, event_id, entry = body
            if index in searched:
                is_same = (
                    said is not None
                    and said[1] == number
                    and said[2][0] == event_id
                    and searchable_agrees(entry, log_class, said[2])
                )
            else:
                # What is not projected yet is read from the bytes; what was given up need not be found.
                read = searchable_read(entry, log_class)
                is_same = read is not None and read[0] == event_id
            if not is_same:
                detail = f"the columns of entry {index} say something else than its bytes"
                self._reading.found("search columns", index, detail)
                return

    def _columns(self) -> list[_Columns | None]:
        """What can be searched of each entry; none for one that is missing, or there more than once."""
        expected = range(self._stretch.start, min(self._reading.end, self._stretch.searched.stop))
        span = {"log": self._log.log_id, "start": expected.start, "end": expected.stop, "never": _NEVER}
        ((positions, numbers, event_ids, types, times, *others),) = self._rows(_COLUMNS, span)
        if positions is None:
            return [None] * len(expected)
        texts = map(time_text, struct.unpack(f">{len(positions)}q", times))
        rows = list(zip(positions, numbers, zip(event_ids, types, texts, *others, strict=True), strict=True))
        if positions == list(expected):
            return list(rows)
        found, twice = _by_number(rows)
        return [None if index in twice else found.get(index) for index in expected]

    def _same(self, step: str, computed: list[bytes], stored: list[bytes], message: str) -> None:
        if computed != stored:
            pairs = enumerate(zip(computed, stored, strict=True), self._stretch.start)
            index = next(index for index, (one, other) in pairs if one != other)
            self._reading.found(step, index, message.format(index))

    def _rows(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement.encode(), parameters, binary=True).fetchall()


def _by_number[Row: tuple[int, Any, Any]](rows: Sequence[Row]) -> tuple[dict[int, Row], set[int]]:
    """Rows by their first column; and what stands there more than once, though an index should keep it apart."""
    found = {row[0]: row for row in rows}
    if len(found) == len(rows):
        return found, set()
    return found, {number for number, times in Counter(row[0] for row in rows).items() if times > 1}
