"""Reading the ledger, always as the read-only auditor role."""

import re
import time
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import connections
from django.db.models import Q, QuerySet

from audit.enums import AccessEvent, AnchorKind, HoldScope, LineageEvent
from audit.errors import CorruptLogError, LogFrozenError, NotSequencedError, PrunedError, UnknownEntryError
from audit.models import AnchorRecord, Checkpoint, Entry, LegalHold, LogRecord
from audit.pruning import prunings_of, prunings_since, require_kept
from audit.stored_tree import TILES, TileMemory, tiles_read
from audit.subject_keys import key_ring_read
from modelnotary.ids import id_time
from modelnotary.ledger.chain import CHAIN_START
from modelnotary.ledger.merkle import leaf_hash, root_from_inclusion_proof
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_encode
from modelnotary.ledger.tree import STORED_LEVELS, consistency_path, inclusion_path

_POLL_SECONDS = 0.1
_DIGEST_PREFIX = "sha256:"
_HEX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry with the proof that it is in the signed tree.

    Attributes:
        log: `lineage` or `access`.
        origin: The log's origin, which is also the name of its key.
        index: Position in the log, from 0.
        leaf: The entry's bytes, as hashed.
        proof: c2sp.org/tlog-proof text: the entry, its index, inclusion path, signed checkpoint.
    """

    log: str
    origin: str
    index: int
    leaf: bytes
    proof: str


def holds_blocking(*, person: str | None = None, log: str | None = None) -> list[LegalHold]:
    """Give the legal holds in force that forbid to erase a person, or to prune a log.

    A hold on any log forbids every erasure: whatever the log commits to has to stay open. A hold on a person forbids to
    prune any log: nobody can tell without that person's key which entries are theirs.

    Args:
        person: The identifier of the person to erase.
        log: The class of the log to prune, `lineage` or `access`.

    Raises:
        SubjectKeysError: The key file cannot be used; only for a person.
    """
    holds = LegalHold.objects.filter(released_at=None)
    if log is not None:
        return list(holds.filter(Q(scope=HoldScope.PERSON) | Q(log=log)))
    on_logs = list(holds.filter(scope=HoldScope.LOG))
    on_persons = list(holds.filter(scope=HoldScope.PERSON))
    if person is None or not on_persons:
        return on_logs
    ring = key_ring_read(settings.SUBJECT_KEYS_FILE)
    return on_logs + [hold for hold in on_persons if ring.person_open(bytes(hold.person or b"")) == person]


def entry_get(*, event_id: str) -> Entry:
    """Give an event as stored; the first one, should its id stand twice, which ledger_verify reports.

    Raises:
        UnknownEntryError: No log has such an event.
        PrunedError: None has it, and entries of its time were archived and dropped.
    """
    entry = Entry.objects.filter(event_id=event_id).order_by("body_id").first()
    if entry is not None:
        return entry
    made = id_time(event_id)
    if made is not None and (gone := prunings_since(at=made)):
        places = "; ".join(pruning.words for pruning in gone)
        raise PrunedError(f"no entry {event_id} is left; entries of its time were archived and dropped: {places}")
    raise UnknownEntryError(f"no entry {event_id}; it may have been recorded by another instance")


def entries_of(*, subject_id: str, log: str, limit: int) -> list[Entry]:
    """Give the first `limit` entries of a class of log about a thing, oldest first."""
    return list(Entry.objects.filter(subject_id=subject_id, log_class=log).order_by("body_id")[:limit])


def entry_newest(*, subject_id: str, event: LineageEvent | AccessEvent) -> Entry | None:
    """Give the newest entry of one type about a thing."""
    return Entry.objects.filter(subject_id=subject_id, event_type=event).order_by("-body_id").first()


def entries_matching(*, entries: QuerySet[Entry], term: str) -> QuerySet[Entry]:
    """Narrow entries to those that a search term names, by an indexed column only.

    Args:
        entries: What to search.
        term: An event id, the beginning of a digest (`sha256:…` or hexadecimal digits alone), or a subject id.
    """
    if term.startswith("evt_"):
        return entries.filter(event_id=term)
    if term.startswith(_DIGEST_PREFIX):
        return entries.filter(subject_digest__startswith=term)
    if _HEX.fullmatch(term):
        return entries.filter(subject_digest__startswith=_DIGEST_PREFIX + term)
    return entries.filter(subject_id=term)


def log_list() -> list[LogRecord]:
    """Give all logs, oldest first."""
    return list(LogRecord.objects.all())


def log_current(*, log_class: str) -> LogRecord:
    """Give the log of a class that events go to, or went to last.

    Raises:
        UnknownEntryError: No such class.
    """
    record = LogRecord.objects.filter(log_class=log_class).order_by("-id").first()
    if record is None:
        raise UnknownEntryError(f'no log "{log_class}"; the logs are lineage and access')
    return record


def checkpoints_latest(*, log_class: str) -> list[Checkpoint]:
    """Give the newest signed checkpoint of a log and, before it, of every log that it follows."""
    newest = Checkpoint.objects.filter(log_class=log_class).order_by("log", "-size").distinct("log")
    number = {record.name: record.id for record in LogRecord.objects.filter(log_class=log_class)}
    return sorted(newest, key=lambda checkpoint: number[checkpoint.log])


def checkpoint_latest(*, log: str) -> Checkpoint:
    """Give the newest signed checkpoint of a log, by its name.

    Raises:
        UnknownEntryError: No such log, or nothing has been signed yet.
    """
    checkpoint = Checkpoint.objects.filter(log=log).order_by("-size").first()
    if checkpoint is None:
        names = ", ".join(LogRecord.objects.values_list("name", flat=True))
        raise UnknownEntryError(f'no signed checkpoint for log "{log}"; the logs are {names}')
    return checkpoint


def anchored_size(*, log: str, kind: AnchorKind, location: str) -> int:
    """Give the largest size of a log that is anchored at a place; 0 for none."""
    records = AnchorRecord.objects.filter(log=log, kind=kind.value, location=location)
    return records.order_by("-size").values_list("size", flat=True).first() or 0


def checkpoint_waiting(*, log: str, size: int) -> Checkpoint | None:
    """Give the oldest checkpoint of a log that is larger than `size`."""
    return Checkpoint.objects.filter(log=log, size__gt=size).order_by("size").first()


def entry_proof(*, event_id: str) -> EntryProof:
    """Prove that an event is in the newest signed tree of its log.

    Raises:
        UnknownEntryError: No such event.
        NotSequencedError: It is committed, but no signed checkpoint covers it yet.
    """
    entry = entry_get(event_id=event_id)
    checkpoint = Checkpoint.objects.filter(log=entry.log).order_by("-size").first()
    if checkpoint is None:
        raise NotSequencedError(f"log {entry.log} has no signed checkpoint yet; ask again in a second")
    return entry_prove(entry=entry, checkpoint=checkpoint)


def entry_prove(*, entry: Entry, checkpoint: Checkpoint) -> EntryProof:
    """Prove that an entry is in a signed tree.

    Raises:
        NotSequencedError: The tree does not hold it.
        CorruptLogError: What is stored does not lead to the signed root.
    """
    if entry.seq is None or entry.seq >= checkpoint.size:
        raise NotSequencedError(
            f"{entry.event_id} is recorded and waits for the next signed checkpoint; ask again in a second"
        )
    leaf = bytes(entry.bytes)
    path = _inclusion_path(entry.log, entry.seq, checkpoint, leaf_hash(leaf))
    proof = InclusionProof(index=entry.seq, path=tuple(path), checkpoint=checkpoint.note.encode(), extra=leaf)
    return EntryProof(
        log=entry.log,
        origin=checkpoint.origin,
        index=entry.seq,
        leaf=leaf,
        proof=proof.to_bytes().decode(),
    )


def _inclusion_path(log: str, index: int, checkpoint: Checkpoint, leaf: bytes) -> list[bytes]:
    make = partial(inclusion_path, index, checkpoint.size)
    path = TILES.path(log=log, size=checkpoint.size, make=make)
    if root_from_inclusion_proof(index, checkpoint.size, leaf, path) != bytes(checkpoint.root):
        # What was kept may stem from before the database was restored.
        TILES.forget()
        path = TILES.path(log=log, size=checkpoint.size, make=make)
        if root_from_inclusion_proof(index, checkpoint.size, leaf, path) != bytes(checkpoint.root):
            raise CorruptLogError(f"log {log}: entry {index} does not lead to the root signed at {checkpoint.size}")
    return path


def checkpoint_await(*, log: str, timeout: float = 60.0) -> Checkpoint:
    """Wait until a signed checkpoint covers everything that the log has recorded so far, and give it.

    Args:
        log: The class, `lineage` or `access`; the checkpoint is that of its present log.
        timeout: Seconds to wait at most.

    Raises:
        NotSequencedError: The sequencer or the signer does not keep up, or does not run.
        LogFrozenError: The log takes no events, and nothing of it is signed any more.
    """
    current = log_current(log_class=log)
    if current.state != "active":
        raise LogFrozenError(f"log {current.name} is {current.state}: {current.state_reason}")
    log = current.name
    newest = Entry.objects.filter(log=log).order_by("-body_id").values_list("body_id", flat=True).first()
    if newest is None:
        raise NotSequencedError(f"log {log} has recorded nothing yet, so there is nothing to sign")
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        seq = Entry.objects.filter(body_id=newest).values_list("seq", flat=True).first()
        checkpoint = Checkpoint.objects.filter(log=log).order_by("-size").first()
        if checkpoint and seq is not None and checkpoint.size > seq:
            return checkpoint
        time.sleep(_POLL_SECONDS)
    raise NotSequencedError(
        f"no signed checkpoint covers log {log} after {timeout:.0f} s; do sequencer and signer run?"
    )


def consistency_proof(*, log: str, old_size: int, new_size: int) -> list[bytes]:
    """Prove that the tree of `new_size` begins with the tree of `old_size`.

    Raises:
        UnknownEntryError: The log has no signed checkpoint of at least `new_size`.
        PrunedError: It takes hashes of entries that were archived and dropped.
        TreeError: The sizes are not 0 < old <= new.
    """
    if checkpoint_latest(log=log).size < new_size:
        raise UnknownEntryError(f"log {log} has no signed checkpoint that covers size {new_size}")
    return TileMemory().path(log=log, size=new_size, make=partial(consistency_path, old_size, new_size))


def tile_read(*, log: str, tile: Tile) -> bytes:
    """Give a static file of a log: up to 256 entries as a bundle (at most 16 MiB), or up to 256 hashes of one level.

    Raises:
        UnknownEntryError: No such log, or the newest signed checkpoint does not cover all of the tile.
        PrunedError: Its entries were archived and dropped.
        CorruptLogError: The database lacks a part of it.
    """
    first, level = tile.index * TILE_WIDTH, STORED_LEVELS * (tile.level or 0)
    if (first + tile.width) << level > checkpoint_latest(log=log).size:
        raise UnknownEntryError(f"no signed checkpoint of log {log} covers {tile.path}")
    if tile.level is not None:
        return tiles_read(log=log, tiles=[tile])[tile]
    places = Entry.objects.filter(log=log, seq__gte=first, seq__lt=first + tile.width).order_by("seq")
    entries = [bytes(entry) for entry in places.values_list("bytes", flat=True)]
    if len(entries) != tile.width:
        require_kept(log=log, first=first)
        raise CorruptLogError(f"log {log} lacks an entry of {tile.path}")
    return bundle_encode(entries)


def chain_head(*, log: str, size: int) -> bytes:
    """Give the hash chain after the first `size` entries of a log.

    Raises:
        NotSequencedError: The log has fewer entries.
        PrunedError: The last of them was archived and dropped, and more after it.
    """
    if size == 0:
        return CHAIN_START
    with connections["auditor"].cursor() as cursor:
        cursor.execute(
            "SELECT chain FROM ledger.entry JOIN ledger.log USING (log_id) WHERE name = %s AND seq = %s",
            (log, size - 1),
        )
        row = cursor.fetchone()
    if row is not None:
        return bytes(row[0])
    if link := next((one.chain for one in prunings_of(log=log) if one.min_index == size), None):
        return link
    require_kept(log=log, first=size - 1)
    raise NotSequencedError(f"log {log} has no entry {size - 1}")
