"""Publishing checkpoints where the database's owner cannot take them back.

A place that is not reached is tried again with the next beat. Nothing here is on the way of an event into its log.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from audit.adapters.addresses import anchor_at
from audit.adapters.anchor import Anchor
from audit.anchor_places import places_data, places_of
from audit.enums import AnchorKind, LineageEvent
from audit.errors import AuditError, PrunedError, UnknownEntryError
from audit.models import AnchorRecord, Checkpoint, Entry, LogRecord
from audit.selectors import anchored_size, checkpoint_latest, checkpoint_waiting, consistency_proof
from audit.services import event_record
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.verify.receipts import Receipt, receipts_write

logger = logging.getLogger(__name__)

_PROCESS = Actor("system", "anchors", "Model Notary anchors")


@dataclass(frozen=True, slots=True)
class Publication:
    """What came of publishing a checkpoint at a place.

    Attributes:
        log: `lineage` or `access`.
        size: Entries that the checkpoint covers.
        kind: What the place is.
        location: Where it is.
        fault: Why it is not there; None when it is.
    """

    log: str
    size: int
    kind: str
    location: str
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class AnchorLag:
    """How far a place is behind a log.

    Attributes:
        log: `lineage` or `access`.
        kind: What the place is.
        location: Where it is.
        entries: Signed entries that no checkpoint there covers.
        since: When the oldest checkpoint that waits was signed; None when none waits.
    """

    log: str
    kind: str
    location: str
    entries: int
    since: datetime | None


def anchors_configured() -> list[Anchor]:
    """Give the places that ANCHORS lists.

    Raises:
        AnchorAddressError: An address is not one of an anchor.
    """
    return [anchor_at(address, last=_witnessed_size, consistency=_consistency) for address in settings.ANCHORS]


def anchors_update(*, anchors: Sequence[Anchor], at: datetime) -> list[Publication]:
    """Record where checkpoints go if that changed, then publish what waits; see `checkpoints_publish`.

    A frozen log records nothing, and is no reason to leave the other one unpublished.
    """
    try:
        _places_record(anchors=anchors, at=at)
    except AuditError as error:
        logger.error("the places of anchors are not recorded: %s", error)  # noqa: TRY400
    return checkpoints_publish(anchors=anchors)


def checkpoints_publish(*, anchors: Sequence[Anchor]) -> list[Publication]:
    """Publish the newest checkpoint of each log at each place that does not hold it yet, and keep the receipts.

    Returns:
        What came of each attempt. Faults are logged too.
    """
    attempts: list[Publication] = []
    for log in _growing():
        try:
            checkpoint = checkpoint_latest(log=log)
        except UnknownEntryError:
            continue  # nothing is signed yet
        behind = [anchor for anchor in anchors if _anchored_size(log, anchor) < checkpoint.size]
        attempts += [_publish(checkpoint, anchor) for anchor in behind]
    return attempts


def anchor_lags(*, anchors: Sequence[Anchor]) -> list[AnchorLag]:
    """Tell how far each place is behind each log."""
    return [_lag(log, anchor) for log in _growing() for anchor in anchors]


def _growing() -> list[str]:
    """The logs that still grow. What holds a frozen log's newer checkpoint would only refuse the ones that are left."""
    return list(LogRecord.objects.filter(state="active").values_list("name", flat=True))


def receipts_file(*, checkpoint: Checkpoint) -> bytes | None:
    """Give the file of what each place gave last for a log, up to a checkpoint; None when no place gave anything.

    With each receipt goes the proof that the log of this checkpoint begins with the one that was carried there.
    """
    records = AnchorRecord.objects.filter(log=checkpoint.log, size__lte=checkpoint.size)
    newest = records.order_by("kind", "location", "-size").distinct("kind", "location")
    receipts = []
    for record in newest:
        with suppress(PrunedError):  # a place left so long ago that nobody can prove it a part of this log any more
            receipts.append(_receipt(record, checkpoint))
    return receipts_write(receipts) if receipts else None


def _receipt(record: AnchorRecord, checkpoint: Checkpoint) -> Receipt:
    carried = Checkpoint.objects.get(log=record.log, size=record.size)
    proof: Sequence[bytes] = ()
    if record.size < checkpoint.size:
        proof = consistency_proof(log=record.log, old_size=record.size, new_size=checkpoint.size)
    return Receipt(record.kind, record.location, carried.note.encode(), bytes(record.receipt), tuple(proof))


def _places_record(*, anchors: Sequence[Anchor], at: datetime) -> None:
    """Record the set of places if it is another one than was recorded last.

    An event that still waits for its place in the log is not seen here, so the same set may stand there twice.
    """
    places = {(anchor.kind.value, anchor.location) for anchor in anchors}
    last = Entry.objects.filter(event_type=LineageEvent.ANCHORS_CONFIGURED).order_by("-body_id").first()
    if places == (places_of(Event.from_bytes(bytes(last.bytes))) if last else set()):
        return
    with transaction.atomic():
        event_record(
            event=LineageEvent.ANCHORS_CONFIGURED,
            actor=_PROCESS,
            subject=Subject("anchors", "anchors"),
            data=places_data(places),
            at=at,
        )


def _publish(checkpoint: Checkpoint, anchor: Anchor) -> Publication:
    done = Publication(checkpoint.log, checkpoint.size, anchor.kind.value, anchor.location)
    try:
        receipt = anchor.publish(checkpoint.note.encode())
    except AuditError as error:
        logger.error("%s of %d entries not anchored: %s", checkpoint.origin, checkpoint.size, error)  # noqa: TRY400
        return Publication(done.log, done.size, done.kind, done.location, str(error))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger.anchor_record(%s, %s, %s, %s, %s)",
            (done.log, done.size, done.kind, done.location, receipt),
        )
    return done


def _lag(log: str, anchor: Anchor) -> AnchorLag:
    held = _anchored_size(log, anchor)
    waiting = checkpoint_waiting(log=log, size=held)
    entries = checkpoint_latest(log=log).size - held if waiting else 0
    return AnchorLag(log, anchor.kind.value, anchor.location, entries, waiting.at if waiting else None)


def _anchored_size(log: str, anchor: Anchor) -> int:
    return anchored_size(log=log, kind=anchor.kind, location=anchor.location)


def _witnessed_size(location: str, origin: str) -> int:
    return anchored_size(log=_log_of(origin), kind=AnchorKind.WITNESS, location=location)


def _consistency(origin: str, old_size: int, new_size: int) -> list[bytes]:
    return consistency_proof(log=_log_of(origin), old_size=old_size, new_size=new_size)


def _log_of(origin: str) -> str:
    return origin.rpartition("/")[2]
