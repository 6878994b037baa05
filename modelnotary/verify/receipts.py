"""What places outside gave for the checkpoints of a log: read, and held against the log that was read again.

The procedure of `receipts_check`, numbered as in the code:

1. Read the receipts. Each names a place and holds the checkpoint that was carried there and what the place gave for it.
2. Each checkpoint is signed by the log's own key.
3. The log begins with exactly the entries that it had then, by the consistency proof beside the receipt.
4. A timestamp (RFC 3161) must be of exactly this checkpoint, with a signature that holds. It proves a point in time if
   a timestamp root of the trust file certified the authority; if the trust file names roots and none of them did,
   evidence is missing; if it names none, nothing is proven.
5. A cosignature by a witness of the auditor's policy must hold, and proves when he saw this checkpoint; those of others
   are counted as nothing.
6. What lies in folders, branches and buckets is named, for somebody with access to look at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.add_checkpoint import signatures_parse
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open
from modelnotary.ledger.cosignature import cosignatures_verify
from modelnotary.ledger.errors import CanonicalError, LedgerError, TextError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import verify_consistency
from modelnotary.ledger.note import MAX_NOTE_BYTES, note_split
from modelnotary.ledger.text import base64_bytes, base64_text
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.errors import BundleError
from modelnotary.verify.result import Check, failed, missing, passed
from modelnotary.verify.timestamp import TimestampError, timestamp_verify
from modelnotary.verify.witnesses import cosignature_words

RECEIPTS_FILE = "receipts.json"
RECEIPTS_FORMAT = "modelnotary-receipts/v1"
MAX_RECEIPTS_BYTES = 4 * 1024 * 1024
TIMESTAMP, WITNESS = "timestamp", "witness"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a place gave for a checkpoint.

    Attributes:
        kind: what the place is: ``timestamp``, ``witness``, or another that cannot be asked offline.
        location: where it is, as the operator configured it.
        note: the signed checkpoint that was carried there.
        receipt: what the place gave: a token, signature lines, a name.
        proof: the consistency proof from that checkpoint to the one beside which the receipt stands; 32 bytes each.
    """

    kind: str
    location: str
    note: bytes
    receipt: bytes
    proof: tuple[bytes, ...]

    def to_json(self) -> Json:
        """The receipt as it stands in the file."""
        return {
            "kind": self.kind,
            "location": self.location,
            "note": base64_text(self.note),
            "receipt": base64_text(self.receipt),
            "proof": [base64_text(value) for value in self.proof],
        }

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Read a receipt, the inverse of `to_json`.

        Raises:
            BundleError: it lacks a member.
        """
        match value:
            case {
                "kind": str(kind),
                "location": str(location),
                "note": str(note),
                "receipt": str(receipt),
                "proof": [*proof],
            }:
                path = tuple(base64_bytes(item) for item in proof if isinstance(item, str))
                return cls(kind, location, base64_bytes(note), base64_bytes(receipt), path)
            case _:
                raise BundleError("a receipt has the members kind, location, note, receipt and proof")


def receipts_write(receipts: Sequence[Receipt]) -> bytes:
    """Write a file of receipts as canonical JSON."""
    return canonical_bytes({"format": RECEIPTS_FORMAT, "receipts": [receipt.to_json() for receipt in receipts]})


def receipts_parse(data: bytes) -> tuple[Receipt, ...]:
    """Read a file of receipts, the inverse of `receipts_write`.

    Raises:
        BundleError: it is malformed.
    """
    try:
        match parse_canonical(data, limit=MAX_RECEIPTS_BYTES):
            case {"format": "modelnotary-receipts/v1", "receipts": [*items]}:
                receipts = tuple(map(Receipt.from_json, items))
            case _:
                raise BundleError(f"a file of receipts ({RECEIPTS_FORMAT}) has the members format and receipts")
    except (CanonicalError, TextError) as error:
        raise BundleError(f"the file of receipts is malformed: {error}") from error
    if receipts_write(receipts) != data:
        raise BundleError("the file of receipts is not in canonical form")
    return receipts


def receipts_check(
    name: str,
    data: bytes,
    *,
    log: LogKeys,
    stated: Checkpoint,
    policy: WitnessPolicy | None,
    roots: Sequence[str],
) -> list[Check]:
    """Check receipts by the procedure at the top of this module.

    Args:
        name: what to call the checks.
        data: the file of receipts.
        log: the log's keys.
        stated: the checkpoint that the entries were held against.
        policy: the witnesses that the auditor knows; None if he named none.
        roots: certificates of timestamp authorities, or of those who certified them; PEM text.

    Returns:
        One check that says what is proven and what cannot be checked offline, or one for each receipt that is wrong.
    """
    try:
        receipts = receipts_parse(data)  # 1
    except BundleError as error:
        return [failed(name, str(error))]
    examination = _Examination(name, log, stated, policy, roots)
    for receipt in receipts:
        examination.take(receipt)
    return examination.checks()


class _Examination:
    def __init__(
        self, name: str, log: LogKeys, stated: Checkpoint, policy: WitnessPolicy | None, roots: Sequence[str]
    ) -> None:
        self._name = name
        self._log = log
        self._stated = stated
        self._witnesses = [witness.key for witness in policy.witnesses] if policy else []
        self._roots = roots
        self._wrong: list[Check] = []
        self._proven: list[str] = []
        self._unchecked: list[str] = []

    def take(self, receipt: Receipt) -> None:
        place = f"{receipt.kind} {receipt.location}"
        try:
            then = self._then(receipt)
            if then is None:
                return
            if receipt.kind == TIMESTAMP:
                self._timestamp(receipt, then, place)
            elif receipt.kind == WITNESS:
                self._cosignature(receipt, then, place)
            else:
                self._unchecked.append(f"{place} ({then.size} entries)")  # 6
        except (LedgerError, TimestampError) as error:
            self._wrong.append(failed(self._name, f"the receipt of {place}: {error}"))

    def checks(self) -> list[Check]:
        if self._wrong:
            return self._wrong
        proven = "; ".join(self._proven) or "no point in time and no witness is proven"
        aside = f". Not checked, for it cannot be offline: {'; '.join(self._unchecked)}" if self._unchecked else ""
        return [passed(self._name, proven + aside)]

    def _then(self, receipt: Receipt) -> Checkpoint | None:
        """The checkpoint that was carried outside; None if the log cannot be held against it."""
        then = checkpoint_open(receipt.note, self._log)  # 2
        now = self._stated
        if then.size > now.size:
            detail = (
                f"{receipt.kind} {receipt.location} knows {then.size} entries of this log, which has {now.size} here: "
                "this evidence is older, or the log was cut back"
            )
            self._wrong.append(missing(self._name, detail))
            return None
        try:
            verify_consistency(then.size, now.size, receipt.proof, then.root, now.root)  # 3
        except LedgerError as error:
            detail = (
                f"{receipt.kind} {receipt.location} holds a checkpoint of {then.size} entries with which this log does "
                f"not begin, or the proof beside it is wrong: {error}"
            )
            self._wrong.append(failed(self._name, detail))
            return None
        return then

    def _timestamp(self, receipt: Receipt, then: Checkpoint, place: str) -> None:
        stamped = timestamp_verify(receipt.receipt, receipt.note, self._roots)  # 4
        if stamped.is_trusted:
            moment = stamped.at.isoformat(timespec="seconds").replace("+00:00", "Z")
            self._proven.append(f"the first {then.size} entries existed at {moment}, by {stamped.authority}")
        elif self._roots:
            detail = f"no timestamp root of the trust file certified {stamped.authority}, who signed for {place}"
            self._wrong.append(missing(self._name, detail))
        else:
            self._unchecked.append(f"{place} ({then.size} entries), for the trust file names no timestamp root")

    def _cosignature(self, receipt: Receipt, then: Checkpoint, place: str) -> None:
        text, _ = note_split(receipt.note)
        found = cosignatures_verify(text, signatures_parse(receipt.receipt), self._witnesses)  # 5
        for cosignature in found:
            self._proven.append(f"the first {then.size} entries were seen by {cosignature_words(cosignature)}")
        if not found:
            reason = "is not a witness of the policy" if self._witnesses else "needs a policy with the witness's key"
            self._unchecked.append(f"{place} ({then.size} entries), which {reason}")


def note_with_cosignatures(note: bytes, receipts: Sequence[Receipt]) -> bytes:
    """Give a checkpoint with the lines that witnesses gave for exactly it, as far as they are signature lines."""
    lines = [receipt.receipt for receipt in receipts if receipt.kind == WITNESS and receipt.note == note]
    whole = b"".join((note, *lines))
    return whole if len(whole) <= MAX_NOTE_BYTES else note
