"""What a log says of the one that it follows: entry 0 of a successor, when a database came back older than was signed.

A log that was restored from a backup is never continued under its own name. A successor is opened beside it, and its
first entry tells what was known of the predecessor, what was left of it, what is lost, why, and who approved.
"""

import re
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import EventError, IncarnationError, LedgerError, TextError
from modelnotary.ledger.event import LOG_NAMES, Actor, Event
from modelnotary.ledger.merkle import EMPTY_ROOT
from modelnotary.ledger.note import note_split
from modelnotary.ledger.text import base64_bytes, base64_text

LOG_INCARNATION = "log.incarnation"
LOG_SEALED = "log.sealed"
APPROVERS = 2
_MAX_REASON = 1_000
_NAME = re.compile(rf"({'|'.join(LOG_NAMES)})(?:-([2-9]|[1-9][0-9]{{1,3}}))?", re.ASCII)
_REASON = re.compile(rf"(?=[^\x00-\x1f]*[^\x00-\x20])[^\x00-\x1f]{{1,{_MAX_REASON}}}")


def log_class(name: str) -> str:
    """Give what a log is for, `lineage` or `access`, from its name or origin; a foreign name is given back."""
    own = name.rpartition("/")[2]
    match = _NAME.fullmatch(own)
    return own if match is None else match[1]


def log_number(name: str) -> int:
    """Tell which incarnation of its class a log is, from its name or origin: 1 for the first one."""
    match = _NAME.fullmatch(name.rpartition("/")[2])
    return 1 if match is None or match[2] is None else int(match[2])


def successor_name(name: str) -> str:
    """Give the name or origin of the log that follows this one: `lineage-2` after `lineage`."""
    start, slash, own = name.rpartition("/")
    return f"{start}{slash}{log_class(own)}-{log_number(own) + 1}"


@dataclass(frozen=True, slots=True)
class Incarnation:
    """What is known of a predecessor.

    Attributes:
        note: The newest checkpoint of the predecessor that was found outside the database, signed by its key.
        restored: The predecessor as it was sealed in the database, with what had still waited for its place.
        chain: Its hash chain then, 32 bytes.
        covered: The newest of its own signed checkpoints that the restored entries bear out; of size 0 when there is
            none. The restored entries beyond it are repeated in the successor, right after this entry.
        lost: From and up to, without, which index entries were signed and are not in the database any more.
        reason: One line.
        approvers: Who approved: different people.

    Raises:
        IncarnationError: The parts contradict one another.
    """

    note: str
    restored: Checkpoint
    chain: bytes
    covered: Checkpoint
    lost: tuple[int, int]
    reason: str
    approvers: tuple[Actor, ...]

    def __post_init__(self) -> None:
        signed = self.signed
        if {self.restored.origin, self.covered.origin} != {signed.origin}:
            raise IncarnationError("an incarnation entry is about one predecessor")
        if len(self.chain) != HASH_BYTES:
            raise IncarnationError("a link of the hash chain has 32 bytes")
        self._require_covered(signed)
        start, end = self.lost
        if not (self.covered.size <= start <= end == signed.size and start <= self.restored.size):
            raise IncarnationError(
                f"the lost entries {start} to {end} do not lie between the {self.covered.size} that are left and "
                f"proven and the {signed.size} that were signed"
            )
        if not _REASON.fullmatch(self.reason):
            raise IncarnationError(f"the reason is one line of 1 to {_MAX_REASON} characters")
        if len(self.approvers) != APPROVERS or any(item.kind != "person" for item in self.approvers):
            raise IncarnationError(f"a successor is approved by {APPROVERS} people")
        if len({item.id for item in self.approvers}) != APPROVERS:
            raise IncarnationError(f"the same person, {self.approvers[0].name}, approved twice")

    def _require_covered(self, signed: Checkpoint) -> None:
        if self.covered.size > signed.size or (self.covered.size == signed.size and self.covered.root != signed.root):
            raise IncarnationError(f"a checkpoint of {self.covered.size} entries contradicts the newest signed one")
        if self.covered.size > self.restored.size or (
            self.covered.size == self.restored.size and self.covered.root != self.restored.root
        ):
            raise IncarnationError(f"what was restored does not bear out a checkpoint of {self.covered.size} entries")

    @property
    def signed(self) -> Checkpoint:
        """What `note` says, without believing it.

        Raises:
            IncarnationError: It is no checkpoint.
        """
        try:
            return Checkpoint.from_text(note_split(self.note.encode())[0])
        except LedgerError as error:
            raise IncarnationError(f"the predecessor's note is no checkpoint: {error}") from error

    @property
    def predecessor(self) -> str:
        """The predecessor's origin."""
        return self.restored.origin

    @property
    def repeated(self) -> int:
        """How many of the predecessor's last entries the successor repeats after its entry 0."""
        return self.restored.size - self.covered.size

    @property
    def successor(self) -> str:
        """The origin of the log that this is entry 0 of."""
        return successor_name(self.predecessor)

    def to_data(self) -> dict[str, Json]:
        """Write it as an event's data."""
        return {
            "predecessor": self.predecessor,
            "note": self.note,
            "restored": {
                "size": self.restored.size,
                "root": base64_text(self.restored.root),
                "chain": base64_text(self.chain),
            },
            "covered": {
                "size": self.covered.size,
                "root": base64_text(self.covered.root),
            },
            "lost": list(self.lost),
            "reason": self.reason,
            "approvers": [{"kind": item.kind, "id": item.id, "name": item.name} for item in self.approvers],
        }

    @classmethod
    def from_event(cls, event: Event, *, origin: str) -> Self:
        """Read entry 0 of a successor, the inverse of `to_data`.

        Args:
            event: The entry.
            origin: The log that it stands in.

        Raises:
            IncarnationError: It is no incarnation entry, contradicts itself, or is that of another log.
        """
        if event.type != LOG_INCARNATION:
            raise IncarnationError(f"entry 0 of {origin} is {event.type}, not {LOG_INCARNATION}")
        try:
            read = cls._from_data(dict(event.data))
        except (TextError, EventError, LedgerError) as error:
            if isinstance(error, IncarnationError):
                raise
            raise IncarnationError(f"entry 0 of {origin} is malformed: {error}") from error
        # In Python `true` is the number 1; here it is another spelling.
        if canonical_bytes(read.to_data()) != canonical_bytes(dict(event.data)):
            raise IncarnationError(f"entry 0 of {origin} is not in its one spelling")
        if read.successor != origin or event.subject.id != origin or event.log != log_class(origin):
            raise IncarnationError(
                f"entry 0 of {origin} names the predecessor {read.predecessor}, which {read.successor} follows"
            )
        return read

    @classmethod
    def _from_data(cls, data: dict[str, Json]) -> Self:
        match data:
            case {
                "predecessor": str(origin),
                "note": str(note),
                "restored": {"size": int(size), "root": str(root), "chain": str(chain), **more_restored},
                "covered": {"size": int(covered), "root": str(covered_root), **more_covered},
                "lost": [int(start), int(end)],
                "reason": str(reason),
                "approvers": [*approvers],
                **more,
            } if not (more or more_restored or more_covered):
                return cls(
                    note=note,
                    restored=Checkpoint(origin, int(size), base64_bytes(root)),
                    chain=base64_bytes(chain),
                    covered=Checkpoint(origin, int(covered), base64_bytes(covered_root)),
                    lost=(int(start), int(end)),
                    reason=reason,
                    approvers=tuple(map(_approver, approvers)),
                )
        raise IncarnationError(
            "an incarnation entry has exactly the members predecessor, note, restored, covered, lost, reason, approvers"
        )


def empty_checkpoint(origin: str) -> Checkpoint:
    """Give the state of a log that nothing was written to."""
    return Checkpoint(origin, 0, EMPTY_ROOT)


def _approver(value: Json) -> Actor:
    match value:
        case {"kind": str(kind), "id": str(identity), "name": str(name), **more} if not more:
            return Actor(kind, identity, name)
    raise IncarnationError("an approver has the members kind, id and name")
