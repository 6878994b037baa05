"""What a log no longer has: which entry tells of it, where its archive is, and what may be given up next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from audit.errors import PrunedError, UnknownEntryError
from modelnotary.ledger.tiles import TILE_WIDTH
from modelnotary.verify.pruning import PrunedPrefix

_LOG = """
SELECT l.log_id, l.name, l.class, l.origin, l.min_index, h.size,
       coalesce((SELECT max(c.size) FROM ledger.checkpoint c WHERE c.log_id = l.log_id), 0)
  FROM ledger.log l JOIN ledger.head h USING (log_id) WHERE l.name = %s
"""
_PRUNINGS = """
SELECT l.name, p.event_id, p.start, p.min_index, p.chain, p.newest, p.manifest, p.location, p.proof
  FROM ledger.pruning p JOIN ledger.log l USING (log_id)
"""
_NEWEST = "SELECT max(at) FROM ledger.projection WHERE log_id = %s AND seq >= %s AND seq < %s"


@dataclass(frozen=True, slots=True)
class LogState:
    """A log as it stands: `min_index` is its first entry that is left, `signed` what its newest checkpoint covers."""

    log_id: int
    name: str
    log_class: str
    origin: str
    min_index: int
    size: int
    signed: int


@dataclass(frozen=True, slots=True)
class LogStretch:
    """The entries of one partition: `start` up to, without, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pruning:
    """That the entries from `start` up to, without, `min_index` of a log were given up.

    Attributes:
        log: The log's name.
        event_id: The entry `log.pruned` that tells of it.
        start: The first of them.
        min_index: The first entry after them.
        chain: The hash chain before that one.
        newest: The time of the newest of them.
        manifest: The digest of the archive's manifest.
        location: Where the archive is, as whoever archived it said.
        proof: c2sp.org/tlog-proof of that entry; it holds when the entry is given up itself.
    """

    log: str
    event_id: str
    start: int
    min_index: int
    chain: bytes
    newest: datetime
    manifest: str
    location: str
    proof: str

    @property
    def words(self) -> str:
        """Say what is gone and where it is."""
        return f"the entries {self.start} to {self.min_index - 1} of log {self.log} are archived at {self.location}"


def log_read(*, log: str) -> LogState:
    """Give the state of a log.

    Raises:
        UnknownEntryError: No log has this name.
    """
    rows = _rows(_LOG, log)
    if not rows:
        raise UnknownEntryError(f'no log "{log}"')
    return LogState(*rows[0])


def prunings_of(*, log: str) -> list[Pruning]:
    """Give what was given up of a log, oldest first."""
    return _prunings("WHERE l.name = %s ORDER BY p.min_index", log)


def prunings_of_class(*, log_class: str) -> list[Pruning]:
    """Give what was given up of all logs of a class, oldest first."""
    return _prunings("WHERE l.class = %s ORDER BY p.log_id, p.min_index", log_class)


def prunings_since(*, at: datetime) -> list[Pruning]:
    """Give, over all logs, the stretches given up that may have held an entry of a certain time."""
    return _prunings("WHERE p.newest >= %s ORDER BY p.newest", at)


def require_kept(*, log: str, first: int) -> None:
    """Refuse to speak of an entry that was archived and dropped.

    Raises:
        PrunedError: It was; the message says where the archive is.
    """
    for pruning in prunings_of(log=log):
        if first < pruning.min_index:
            raise PrunedError(f"{pruning.words}, as {pruning.event_id} tells")


def pruned_prefix(*, log: str) -> PrunedPrefix | None:
    """Explain a log's missing first entries to whoever gets its files; None if it has them all.

    Raises:
        UnknownEntryError: No such log, or entries are missing that no entry tells of.
    """
    state, prunings = log_read(log=log), prunings_of(log=log)
    if state.min_index == 0:
        return None
    if not prunings or prunings[-1].min_index != state.min_index:
        raise UnknownEntryError(f"{state.origin} begins at entry {state.min_index}, and no entry explains why")
    return PrunedPrefix(state.origin, state.min_index, prunings[-1].chain, prunings[-1].proof.encode())


def stretches_complete(*, log: str) -> list[LogStretch]:
    """Give the stretches that are left of a log and can be archived, oldest first.

    They are the partitions that are full and that a signed checkpoint covers. The last entry of a log stays: the next
    one follows it.

    Raises:
        UnknownEntryError: No log has this name.
    """
    state = log_read(log=log)
    parts = _rows("SELECT start, finish FROM ledger.partitions_of('entry', %s::smallint)", state.log_id)
    end = min(state.signed, state.size - 1)
    return [
        LogStretch(start, finish)
        for start, finish in parts
        if start >= state.min_index and finish <= end and start % TILE_WIDTH == finish % TILE_WIDTH == 0
    ]


def stretch_objection(*, log: str, stretch: LogStretch, at: datetime) -> str | None:
    """Say why the schedules ask to keep a stretch of a log; None when its time has run out.

    By the times in the search columns; the database reads the entries themselves before it gives anything up.
    """
    state = log_read(log=log)
    [(newest,)] = _rows(_NEWEST, state.log_id, stretch.start, stretch.end)
    [(objection,)] = _rows("SELECT ledger.retention_objection(%s, %s, %s)", state.log_class, newest, at)
    return None if objection is None else str(objection)


def _prunings(condition: str, parameter: str | datetime) -> list[Pruning]:
    rows = _rows(f"{_PRUNINGS} {condition}", parameter)
    return [Pruning(*row) for row in rows]


def _rows(statement: str, *parameters: str | int | datetime | None) -> list[tuple[Any, ...]]:
    with connections["auditor"].cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
