"""Archiving the first entries of a log, and giving them up.

The way of a stretch of entries, one partition, each step of which can be repeated after an interruption:

1. Export it as an archive (`modelnotary-archive/v1`).
2. Verify the archive from its files alone, with the offline verifier and the installation's trust file.
3. Record `archive.sealed` with the digest of its manifest, and wait until a signed checkpoint covers that entry.

Later, when somebody says so:

4. Verify the archive again. Its entry must be there, the schedule have run out, and no legal hold stand.
5. Record `log.pruned`, and wait for its checkpoint too.
6. Move the log's beginning (`min_index`) forward. The database checks 3 to 5 itself.
7. Drop the partitions in which nothing is left. Subtree roots, checkpoints and anchors stay for ever.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import psycopg
from django.conf import settings
from django.db import connection, transaction

from audit.enums import LineageEvent
from audit.errors import ArchiveError, NotSequencedError, RetentionError
from audit.models import Entry
from audit.pruning import LogStretch, log_read, prunings_of, stretch_objection, stretches_complete
from audit.selectors import (
    chain_head,
    checkpoint_latest,
    entry_get,
    entry_proof,
    holds_blocking,
    tile_read,
)
from audit.services import event_record
from audit.stored_tree import node_reader
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.verify.errors import BundleError, VerifyError
from modelnotary.verify.log_archive_format import ARCHIVE_MANIFEST, ArchiveManifest, ArchiveSource, archive_export
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode, Outcome
from modelnotary.verify.trust import TRUST_FILE

type Progress = Callable[[str, int, int], None]
"""``progress(step, done, total)``."""

SIGNED_SECONDS = 60.0
_POLL_SECONDS = 0.1
_LOCK_TIMEOUT = "5s"
# With these the functions of the database refuse; with the second one it gives up waiting for a lock.
_REFUSED, _LOCKED = "MN010", "55P03"
# Whoever records something about an archive does it alone.
_RECORDING_LOCK = 0x6D6E_0003


@dataclass(frozen=True, slots=True)
class Sealed:
    """An archive that the ledger tells of.

    Attributes:
        folder: Where it was written.
        manifest: What it holds.
        event_id: The entry `archive.sealed`.
        location: Where the archive will be found, as that entry says.
    """

    folder: Path
    manifest: ArchiveManifest
    event_id: str
    location: str


def stretches_due(*, log: str, at: datetime) -> list[LogStretch]:
    """Give the stretches at the start of a log whose time has run out, oldest first.

    Raises:
        UnknownEntryError: No log has this name.
        RetentionError: Nothing is due; the message says why.
    """
    due: list[LogStretch] = []
    for stretch in stretches_complete(log=log):
        objection = stretch_objection(log=log, stretch=stretch, at=at)
        if objection is None:
            due.append(stretch)
        elif due:
            break
        else:
            raise RetentionError(f"nothing of log {log} is due yet: {objection}")
    if not due:
        raise RetentionError(f"log {log} has no full partition that a signed checkpoint covers, so nothing is due yet")
    return due


def archive_seal(
    *, actor: Actor, log: str, stretch: LogStretch, folder: Path, location: str, at: datetime, progress: Progress
) -> Sealed:
    """Archive a stretch, unless it is archived there already, verify the archive, and record it once: steps 1 to 3.

    Args:
        actor: Who does it.
        log: The log's name.
        stretch: Which entries.
        folder: Where to; made when missing.
        location: Where the archive will be found, as the entry says it.
        at: Now.
        progress: Told of each step.

    Raises:
        ArchiveError: It cannot be written, or does not verify, or is that of something else.
        NotSequencedError: Sequencer or signer do not keep up; the same call goes on.
        UnknownEntryError: Nothing of the log is signed.
    """
    if not (folder / ARCHIVE_MANIFEST).exists():
        with _archive_faults(folder):
            _export(log, stretch, folder, progress)
    manifest = _verified(log, stretch, folder, progress)
    data: dict[str, Json] = {
        "origin": manifest.origin,
        "start": manifest.start,
        "end": manifest.end,
        "manifest": manifest.digest.text,
        "chain_start": manifest.chain_start.hex(),
        "chain_end": manifest.chain_end.hex(),
        "location": location,
    }
    event = _record_once(LineageEvent.ARCHIVE_SEALED, actor, manifest, data, at)
    progress(f"wait for the checkpoint that covers {event.id}", 0, 1)
    _signed_await(event.id)
    return _sealed(folder, manifest, event)


def archive_sealed(*, log: str, stretch: LogStretch, folder: Path, progress: Progress) -> Sealed:
    """Verify an archive again and find the entry that tells of it.

    Raises:
        ArchiveError: It is not there, does not verify, is that of something else, or no entry tells of it.
    """
    if not (folder / ARCHIVE_MANIFEST).exists():
        raise ArchiveError(
            f"the entries {stretch.start} to {stretch.end - 1} of log {log} are not archived in {folder}; archive them "
            "first, by the same command without --drop"
        )
    manifest = _verified(log, stretch, folder, progress)
    event = _recorded(LineageEvent.ARCHIVE_SEALED, manifest)
    if event is None:
        raise ArchiveError(
            f"no entry tells of the archive {folder} with the manifest {manifest.digest}; run the same command without "
            "--drop first"
        )
    return _sealed(folder, manifest, event)


def log_prune(*, actor: Actor, log: str, sealed: Sealed, at: datetime, progress: Progress) -> None:
    """Give up an archived stretch at the start of a log: steps 4 to 6; nothing when that is done.

    Raises:
        RetentionError: A schedule, a legal hold or the state of the log forbids it. Nothing was recorded.
        ArchiveError: The database cannot be reached as the role that prunes.
        NotSequencedError: Sequencer or signer do not keep up; the same call goes on.
    """
    manifest, row = sealed.manifest, log_read(log=log)
    if manifest.end <= row.min_index:
        return
    if manifest.start != row.min_index:
        raise RetentionError(f"log {log} begins at entry {row.min_index}; what stands there is given up first")
    _require_no_hold(log, row.log_class)
    objection = stretch_objection(log=log, stretch=LogStretch(manifest.start, manifest.end), at=at)
    if objection is not None:
        raise RetentionError(f"log {log} cannot be pruned: {objection}")
    data: dict[str, Json] = {
        "origin": manifest.origin,
        "start": manifest.start,
        "min_index": manifest.end,
        "chain": manifest.chain_end.hex(),
        "manifest": manifest.digest.text,
        "archive": sealed.event_id,
        "location": sealed.location,
    }
    event = _record_once(LineageEvent.LOG_PRUNED, actor, manifest, data, at)
    progress(f"wait for the checkpoint that covers {event.id}", 0, 1)
    proof = _signed_await(event.id)
    progress(f"give up the entries {manifest.start} to {manifest.end - 1}", 0, 1)
    _archiver_call("SELECT ledger.log_prune(%s, %s)", event.id, proof)


def partitions_drop(*, log: str, progress: Progress) -> list[str]:
    """Drop the partitions of which nothing is left that the log still has (step 7), and give their names.

    One at a time, each in a transaction of its own: whoever writes is held up for a moment at most.

    Raises:
        RetentionError: A legal hold forbids it.
        ArchiveError: The database cannot be reached as the role that prunes, or somebody reads the log all the time.
    """
    state, dropped = log_read(log=log), list[str]()
    if not prunings_of(log=log):
        return dropped
    while name := _archiver_call("SELECT ledger.partition_drop(%s)", state.origin):
        dropped.append(name)
        progress(f"drop {name}", 1, 1)
    return dropped


def _export(log: str, stretch: LogStretch, folder: Path, progress: Progress) -> None:
    checkpoint = checkpoint_latest(log=log)
    source = ArchiveSource(
        log=log_read(log=log).log_class,
        note=checkpoint.note.encode(),
        trust=(settings.NOTARY_HOME / TRUST_FILE).read_bytes(),
        tile=lambda tile: tile_read(log=log, tile=tile),
        node=node_reader(log=log, size=checkpoint.size),
        chain=lambda size: chain_head(log=log, size=size),
    )
    archive_export(
        folder, stretch.start, stretch.end, source, lambda done, total: progress(f"export {folder.name}", done, total)
    )


def _verified(log: str, stretch: LogStretch, folder: Path, progress: Progress) -> ArchiveManifest:
    with _archive_faults(folder):
        [report] = verify_paths(
            [folder],
            trust_file=settings.NOTARY_HOME / TRUST_FILE,
            progress=lambda _log, done, total: progress(f"verify {folder.name}", done, total),
        )
        if report.exit_code is not ExitCode.VERIFIED:
            bad = next(check for check in report.checks if check.outcome is not Outcome.PASS)
            raise ArchiveError(f"the archive {folder} does not verify and is not relied on: {bad.name}: {bad.detail}")
        manifest = ArchiveManifest.from_bytes((folder / ARCHIVE_MANIFEST).read_bytes())
    origin = log_read(log=log).origin
    if (manifest.origin, manifest.start, manifest.end) != (origin, stretch.start, stretch.end):
        raise ArchiveError(
            f"{folder} is the archive of the entries {manifest.start} to {manifest.end - 1} of {manifest.origin}, "
            f"not of {stretch.start} to {stretch.end - 1} of {origin}; give another folder"
        )
    return manifest


def _sealed(folder: Path, manifest: ArchiveManifest, event: Event) -> Sealed:
    return Sealed(folder, manifest, event.id, str(event.data.get("location")))


@contextmanager
def _archive_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"cannot archive to {folder}: {error.filename or ''} {error.strerror}") from error
    except (BundleError, VerifyError) as error:
        raise ArchiveError(f"cannot archive to {folder}: {error}") from error


def _record_once(
    event: LineageEvent, actor: Actor, manifest: ArchiveManifest, data: dict[str, Json], at: datetime
) -> Event:
    """Record an event about an archive unless it was recorded before an interruption; give it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_RECORDING_LOCK,))
        before = _recorded(event, manifest)
        if before is not None:
            return before
        subject = Subject("log", manifest.origin, manifest.digest)
        recorded = event_record(event=event, actor=actor, subject=subject, data=data, at=at)
    return Event.from_bytes(bytes(entry_get(event_id=recorded.event_id).bytes))


def _recorded(event: LineageEvent, manifest: ArchiveManifest) -> Event | None:
    """Give the event about an archive, read from the entry itself; None when there is none."""
    for entry in Entry.objects.filter(event_type=event, subject_digest=manifest.digest.text).order_by("-body_id"):
        said = Event.from_bytes(bytes(entry.bytes))
        if (said.type, said.subject.id, said.subject.digest) == (event, manifest.origin, manifest.digest):
            return said
    return None


def _require_no_hold(log: str, log_class: str) -> None:
    if holds := holds_blocking(log=log_class):
        named = ", ".join(f"{hold.id} (matter {hold.matter})" for hold in holds)
        raise RetentionError(f"a legal hold forbids to prune log {log}: {named}; it has to be released first")


def _signed_await(event_id: str) -> str:
    """Wait until a signed checkpoint covers an event; give the proof."""
    end = monotonic() + SIGNED_SECONDS
    while True:
        try:
            return entry_proof(event_id=event_id).proof
        except NotSequencedError as error:
            if monotonic() >= end:
                raise NotSequencedError(
                    f"no signed checkpoint covers {event_id} after {SIGNED_SECONDS:.0f} s; see to it that sequencer "
                    "and signer run, then run the same command again"
                ) from error
        sleep(_POLL_SECONDS)


def _archiver_call(statement: str, *parameters: str) -> str | None:
    """Call a function of the database as the one role that may give entries up, which may do nothing else."""
    url = settings.ROLE_DATABASE_URLS["ARCHIVER_DATABASE_URL"]
    if not url:
        raise ArchiveError("ARCHIVER_DATABASE_URL is not set: only mn_archiver may give entries up")
    try:
        with psycopg.connect(url) as archiver:
            archiver.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
            row = archiver.execute(statement.encode(), parameters).fetchone()
    except psycopg.Error as error:
        message = str(error).split("\n", 1)[0]
        if error.sqlstate == _REFUSED:
            raise RetentionError(message) from error
        if error.sqlstate == _LOCKED:
            raise ArchiveError(f"somebody reads the log for longer than {_LOCK_TIMEOUT}; run it again") from error
        raise ArchiveError(f"the database does not do it for mn_archiver: {message}") from error
    return None if row is None or row[0] is None else str(row[0])
