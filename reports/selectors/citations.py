"""Every fact of a report names the ledger entry that it comes from; here is where the entries are looked up."""

import base64
from dataclasses import dataclass, field

from audit.enums import LineageEvent, Log
from audit.key_rotation import rotation_proofs
from audit.models import Checkpoint as SignedCheckpoint
from audit.models import Entry
from audit.pruning import prunings_of_class
from audit.selectors import entry_prove
from modelnotary.times import format_time
from reports.content import Checkpoint, Citation, EntryProof, Ledger
from reports.errors import ContentError


@dataclass
class Citations:
    """The entries that a report cites, all proven against the same signed checkpoints.

    Args:
        lineage: Checkpoint of the lineage log.
        access: Checkpoint of the access log, if the report counts accesses.
        earlier: The last checkpoints of the logs that the lineage log follows. Every cited entry lies within the
            checkpoint of its log.
    """

    lineage: SignedCheckpoint
    access: SignedCheckpoint | None = None
    earlier: tuple[SignedCheckpoint, ...] = ()
    _entries: dict[tuple[str, int], Entry] = field(default_factory=dict)

    def cite(self, event: LineageEvent, identity: str, digest: str | None) -> Citation:
        """Name the entry that recorded a fact.

        Args:
            event: The kind of event.
            identity: Id of its subject.
            digest: The digest that the entry names, as its subject's or in its data.

        Raises:
            ContentError: The ledger holds no such entry, or no longer, or the checkpoint does not cover it.
        """
        found = Entry.objects.filter(log_class=Log.LINEAGE, event_type=event, subject_id=identity)
        entry = found.order_by("body_id").first()
        signed = self._checkpoints.get(entry.log) if entry else None
        if entry is None or entry.seq is None or signed is None or entry.seq >= signed.size:
            gone = "".join(f"; {pruning.words}" for pruning in prunings_of_class(log_class=Log.LINEAGE))
            raise ContentError(
                f"the ledger holds no entry {event.value} of {identity} within size {self.lineage.size}{gone}"
            )
        self._entries[entry.log, entry.seq] = entry
        return Citation(signed.origin, entry.seq, entry.subject_kind, identity, digest)

    def ledger(self) -> Ledger:
        """Prove every entry cited so far."""
        cited = {log for log, _ in self._entries}
        earlier = [item for item in self.earlier if item.log in cited]
        checkpoints = [_checkpoint(item) for item in (*earlier, self.lineage, self.access) if item]
        proofs = [self._proof(self._entries[place]) for place in sorted(self._entries)]
        return Ledger(tuple(checkpoints), tuple(proofs))

    @property
    def _checkpoints(self) -> dict[str, SignedCheckpoint]:
        return {item.log: item for item in (*self.earlier, self.lineage)}

    def _proof(self, entry: Entry) -> EntryProof:
        signed = self._checkpoints[entry.log]
        proven = entry_prove(entry=entry, checkpoint=signed)
        return EntryProof(
            origin=proven.origin,
            index=proven.index,
            size=signed.size,
            type=entry.event_type,
            at=format_time(entry.at),
            proof=proven.proof,
            leaf=base64.b64encode(proven.leaf).decode(),
        )


def _checkpoint(signed: SignedCheckpoint) -> Checkpoint:
    root = base64.b64encode(bytes(signed.root)).decode()
    rotations = tuple(proof.decode() for proof in rotation_proofs(checkpoint=signed))
    return Checkpoint(signed.origin, signed.size, root, signed.note, rotations)
