"""Handing a log over to a new key, once, however often it is interrupted.

Each step leaves behind what tells the next call to go on after it: the key's file, the entry in the log, the signed
checkpoint, the trust file.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, connections, transaction

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import KeyRotationPendingError, KeyUnavailableError, UnknownEntryError
from audit.keys import KeyRing, file_replace, key_addresses, key_file_next, key_files_hand, key_open
from audit.models import Checkpoint, Entry
from audit.selectors import entry_prove
from audit.services import event_record
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.keys import SigningKey, key_generate
from modelnotary.ledger.log_keys import ROTATION_EVENT, ROTATION_NOTE, KeyRotation, LogKeys, rotation_of
from modelnotary.ledger.note import NoteSigner, NoteVerifier
from modelnotary.ledger.signature_types import ED25519
from modelnotary.verify.rotations import rotations_write
from modelnotary.verify.trust import TRUST_FILE, Trust

logger = logging.getLogger(__name__)

OVERLAP = 1000
"""For how many entries both keys sign, if nothing else is said."""
SAME_ROTATION = timedelta(hours=1)
"""Within this time, and within the overlap, another call means the rotation that was made already."""
PROOFS = "rotations"
"""The folder in NOTARY_HOME with the proofs by which auditors follow."""
_EVENTS: dict[Log, LineageEvent | AccessEvent] = {
    Log.LINEAGE: LineageEvent.KEY_ROTATED,
    Log.ACCESS: AccessEvent.KEY_ROTATED,
}

type Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation that is complete.

    Attributes:
        log: The log's name.
        origin: The log's origin.
        index: The entry's.
        old: The public key that hands over.
        new: The public key that takes over.
        until_size: The largest checkpoint that the old key signs.
        fingerprint: The trust file's, which now names both.
        proof: The file by which an auditor with the old trust file follows.
        again: Whether an earlier call had completed it.
    """

    log: str
    origin: str
    index: int
    old: str
    new: str
    until_size: int
    fingerprint: str
    proof: Path
    again: bool


@dataclass(frozen=True, slots=True)
class _Stored:
    """A rotation that stands in the log, or waits for its place."""

    entry: Entry
    rotation: KeyRotation


def key_rotate(
    *,
    log: Log,
    overlap: int,
    another: bool,
    actor: Actor,
    at: datetime,
    wait: Callable[[], bool],
    progress: Progress,
) -> Rotated:
    """Hand a log over to a new key, or go on where an earlier call was interrupted.

    1. Learn the log's keys from the trust file. Is there an entry by which the newest hands over? Then go on at 4.
    2. Find or make the new key: one at an address that the log does not use yet, else a new file, which the signer gets
       too where it has a folder of its own.
    3. Record the entry, signed by both keys.
    4. Wait until sequencer and signer have signed the checkpoint that ends with it.
    5. Prove the entry in that checkpoint, follow the trust file by the proof as an auditor would, and write both.

    Args:
        log: Which; its present log, where a successor was opened.
        overlap: For how many entries after the entry both keys sign.
        another: Rotate once more although the last rotation was just now.
        actor: Who does it.
        at: The present, aware.
        wait: Lets some time pass; false when it has been enough.
        progress: Told of each step.

    Raises:
        KeyUnavailableError: The old or the new key cannot be used, or there is no address for the new one.
        OSError: The signer's folder cannot be written.
        KeyRotationPendingError: The entry is recorded, but not signed in time. The same call goes on.
        TrustError: The trust file cannot be read, or the proof does not hold under it.
        UnknownEntryError: There is no such log, or the trust file does not know it.
    """
    name, origin = _log_current(log)
    path = settings.NOTARY_HOME / TRUST_FILE
    trust = Trust.from_file(path)  # 1
    keys = trust.log_verifier(origin)
    if keys is None:
        raise UnknownEntryError(f"the trust file {path} has no key for the log {origin}")
    done = None if another else _just_done(name, keys, at)
    stored = done or _stored_by(name, _newest(keys))
    if stored is None:
        rotation = _record(log, name, keys, overlap, actor, at, progress)  # 2, 3
        stored = _stored_by(name, rotation.old)
        assert stored is not None
    entry, closing = _closing(stored, wait, progress)  # 4
    assert entry.seq is not None
    proof = entry_prove(entry=entry, checkpoint=closing).proof.encode()  # 5
    followed = trust.followed(proof)
    proof_path = _proof_path(name, entry.seq)
    proof_path.parent.mkdir(exist_ok=True)
    file_replace(proof_path, proof)
    if followed != trust:
        file_replace(path, followed.to_bytes())
        progress(f"{path} names the new key; its fingerprint is now {followed.fingerprint}")
    rotation = stored.rotation
    return Rotated(
        log=name,
        origin=origin,
        index=entry.seq,
        old=rotation.old.text,
        new=rotation.new.text,
        until_size=entry.seq + 1 + rotation.overlap,
        fingerprint=followed.fingerprint,
        proof=proof_path,
        again=done is not None,
    )


def rotation_proofs(*, checkpoint: Checkpoint) -> list[bytes]:
    """Give the proofs of a log's rotations up to a checkpoint, the oldest first, for whoever has an older key.

    They are the files that rotations left; one that is gone is made again from the log.

    Raises:
        TrustError: The trust file cannot be read.
        UnknownEntryError: The proof is gone, and the entry or the checkpoint that ends with it too.
    """
    keys = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE).log_verifier(checkpoint.origin)
    taken_over = [key for key in keys.keys if key.verifier.algorithm == ED25519] if keys else []
    indices = [key.from_size - 1 for key in taken_over if 0 < key.from_size <= checkpoint.size]
    return [_proof_kept(checkpoint, index) for index in indices]


def rotations_file(*, checkpoint: Checkpoint) -> bytes | None:
    """Give the file of `rotation_proofs` that stands beside a log; None for one that has had a single key.

    Raises:
        TrustError: As `rotation_proofs`.
        UnknownEntryError: As `rotation_proofs`.
    """
    proofs = rotation_proofs(checkpoint=checkpoint)
    return rotations_write(proofs) if proofs else None


def _proof_kept(checkpoint: Checkpoint, index: int) -> bytes:
    path = _proof_path(checkpoint.log, index)
    if path.is_file():
        return path.read_bytes()
    entry = Entry.objects.filter(log=checkpoint.log, seq=index).first()
    closing = Checkpoint.objects.filter(log=checkpoint.log, size=index + 1).first()
    if entry is None or closing is None:
        raise UnknownEntryError(f"{path} is gone, and {checkpoint.origin} has no longer what it was made of")
    return entry_prove(entry=entry, checkpoint=closing).proof.encode()


def _proof_path(name: str, index: int) -> Path:
    return settings.NOTARY_HOME / PROOFS / f"{name}-{index}.tlog-proof"


def _log_current(log: Log) -> tuple[str, str]:
    with connections["auditor"].cursor() as cursor:
        cursor.execute(
            "SELECT name, origin FROM ledger.log WHERE class = %s ORDER BY log_id DESC LIMIT 1", (log.value,)
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownEntryError(f"the database has no log {log.value}")
    return str(row[0]), str(row[1])


def _newest(keys: LogKeys) -> NoteVerifier:
    return [key.verifier for key in keys.keys if key.verifier.algorithm == ED25519][-1]


def _rotations(name: str) -> list[_Stored]:
    """The rotations in the log that hold, oldest first, those that wait for their place last."""
    found = []
    for entry in Entry.objects.filter(log=name, event_type=ROTATION_EVENT).order_by("body_id"):
        try:
            event = Event.from_bytes(bytes(entry.bytes))
            found.append(_Stored(entry, rotation_of(event, entry.origin)))
        except LedgerError as error:
            logger.error("%s: entry %s is no rotation of its key: %s", entry.origin, entry.seq, error)  # noqa: TRY400
    return sorted(found, key=lambda item: (item.entry.seq is None, item.entry.seq, item.entry.body_id))


def _stored_by(name: str, old: NoteVerifier) -> _Stored | None:
    """The rotation by which a key hands over, if there is one."""
    return next((item for item in _rotations(name) if item.rotation.old == old), None)


def _just_done(name: str, keys: LogKeys, at: datetime) -> _Stored | None:
    """The last rotation, if it was completed so short a time ago that it is the one that is meant."""
    newest = _newest(keys)
    last = next((item for item in _rotations(name) if item.rotation.new == newest), None)
    if last is None or last.entry.seq is None or _stored_by(name, newest):
        return None
    checkpoint = Checkpoint.objects.filter(log=name).order_by("-size").first()
    in_overlap = checkpoint is not None and checkpoint.size <= last.entry.seq + 1 + last.rotation.overlap
    return last if in_overlap or at - last.entry.at < SAME_ROTATION else None


def _record(  # noqa: PLR0917 - the parts of one statement
    log: Log, name: str, keys: LogKeys, overlap: int, actor: Actor, at: datetime, progress: Progress
) -> KeyRotation:
    ring = KeyRing(partial(key_addresses, name))
    origin = keys.name
    old = NoteSigner(origin, ring.find(_newest(keys).public_key))
    new = NoteSigner(origin, _new_key(name, keys, progress))
    # Before the entry: from it on nothing is signed without the new key.
    for handed in key_files_hand(name):
        progress(f"the signer has the new key at {handed}")
    rotation = KeyRotation(old.verifier, new.verifier, overlap)
    note = rotation.sign(old, new)
    # The same statement has the same identifier, so that two calls at once record it once.
    identity = f"evt_{hashlib.sha256(note).hexdigest()[:32]}"
    try:
        with transaction.atomic():
            event_record(
                event=_EVENTS[log],
                actor=actor,
                subject=Subject("log", origin),
                data={ROTATION_NOTE: note.decode()},
                at=at,
                event_id=identity,
            )
    except IntegrityError:
        progress("the entry is recorded already")
    else:
        progress(f"recorded: {origin} hands over from {old.verifier.key_id.hex()} to {new.verifier.key_id.hex()}")
    return rotation


def _new_key(name: str, keys: LogKeys, progress: Progress) -> SigningKey:
    used = {key.verifier.public_key for key in keys.keys}
    for address in key_addresses(name):
        try:
            key = key_open(address)
        except KeyUnavailableError as error:
            progress(f"passed over: {error}")
            continue
        if key.public_key().public_bytes_raw() not in used:
            progress(f"the new key is at {address}")
            return key
    if settings.LOG_KEYS.get(name):
        raise KeyUnavailableError(
            f"{name.upper()}_KEY names no key that {keys.name} has not had; add the address of the new one behind the "
            "others, for the signer and for this command, and run this again"
        )
    path = key_file_next(name)
    progress(f"making the new key {path}")
    return key_generate(path)


def _closing(stored: _Stored, wait: Callable[[], bool], progress: Progress) -> tuple[Entry, Checkpoint]:
    entry = stored.entry
    progress("waiting for the checkpoint that ends with the entry")
    while True:
        entry = Entry.objects.get(log=entry.log, event_id=entry.event_id)
        if entry.seq is not None:
            closing = Checkpoint.objects.filter(log=entry.log, size=entry.seq + 1).first()
            if closing is not None:
                return entry, closing
        if not wait():
            place = "waits for its place" if entry.seq is None else f"stands at {entry.seq}"
            raise KeyRotationPendingError(
                f"the entry {entry.event_id} {place} and is not signed yet; see to it that sequencer and signer run "
                "and that the signer reaches both keys, then run the same command again"
            )
