"""Following a log to its newest key, by the proofs of rotations that travel with the evidence.

A log that has handed over to a new key says so by an entry `key.rotated`. Who has a trust file from before cannot open
what the new key signed. So the proofs of these entries lie beside the log in ``rotations.json``: each entry stands in a
tree that the key before signed, and the rotation in it is signed by both keys. Nobody has to be believed for that.
"""

from collections.abc import Iterable, Sequence

from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.errors import CanonicalError, KeyRotationError, LedgerError
from modelnotary.ledger.log_keys import KeyRotation, LogKeys
from modelnotary.ledger.note import note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.signature_types import ED25519
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.log_stretch import Naming
from modelnotary.verify.result import Check, Outcome
from modelnotary.verify.trust import Trust

ROTATIONS_FILE = "rotations.json"
ROTATIONS_FORMAT = "modelnotary-rotations/v1"
MAX_ROTATIONS_BYTES = 4 * 1024 * 1024


def rotations_write(proofs: Sequence[bytes]) -> bytes:
    """Write the proofs of a log's rotations, the oldest first, as canonical JSON."""
    return canonical_bytes({"format": ROTATIONS_FORMAT, "proofs": [proof.decode() for proof in proofs]})


def rotations_parse(data: bytes) -> tuple[bytes, ...]:
    """Read the proofs of a log's rotations, the inverse of `rotations_write`.

    Raises:
        BundleError: the bytes are not the one spelling of it.
    """
    try:
        match parse_canonical(data, limit=MAX_ROTATIONS_BYTES):
            case {"format": "modelnotary-rotations/v1", "proofs": [*items]}:
                proofs = tuple(item.encode() for item in items if isinstance(item, str))
            case _:
                raise BundleError(f"a file of rotations ({ROTATIONS_FORMAT}) has the members format and proofs")
    except CanonicalError as error:
        raise BundleError(f"the file of rotations is malformed: {error}") from error
    if rotations_write(proofs) != data:
        raise BundleError("the file of rotations is not in canonical form")
    return proofs


def rotations_follow(trust: Trust, origin: str, proofs: Iterable[bytes]) -> tuple[Trust, str]:
    """Follow a log from the key that a trust file has for it, rotation by rotation.

    Args:
        trust: the keys to begin with.
        origin: the log that the proofs have to be about.
        proofs: the oldest first.

    Returns:
        The trust file's keys with those that took over, and what was found, in words.

    Raises:
        TrustError: one of the proofs does not hold; nobody is followed.
    """
    followed, told = trust, []
    for number, proof in enumerate(proofs, 1):
        try:
            _require_about(proof, origin)
            further = followed.followed(proof)
        except (LedgerError, TrustError) as error:
            raise TrustError(f"the proof {number} of a rotation does not hold: {error}") from error
        if further != followed:
            told.append(_handover(further.log_verifier(origin)))
        followed = further
    if not told:
        return followed, "handed over as the trust file says"
    return (
        followed,
        f"{'; '.join(told)}; not in the trust file, which can be brought up to date: modelnotary trust follow",
    )


def rotations_judge(name: str, keys: LogKeys, entries: Iterable[Naming]) -> list[Check]:
    """Name the entries `key.rotated` of a log that hand nothing over. They are true to the log, and change no key.

    Args:
        name: what to call the log.
        keys: all its keys that are known, those followed included.
        entries: the entries of that type.

    Returns:
        A check for each such entry, with its index.
    """
    told = []
    for entry in sorted(entries, key=lambda entry: entry.index):
        try:
            keys = _rotated(keys, entry)
        except KeyRotationError as error:
            words = (
                f"entry {entry.index} claims that the log's key was handed over, and it was not: {error}; whoever "
                "appended it could not sign for the key, and no key changes by it"
            )
            told.append(Check(f"{name} rotations", Outcome.PASS, words, (entry.index, entry.index + 1)))
    return told


def _rotated(keys: LogKeys, entry: Naming) -> LogKeys:
    rotation = KeyRotation.from_note((entry.rotation or "").encode("utf-8", "replace"))
    if rotation.old.name != keys.name:
        raise KeyRotationError(f"it is about the log {rotation.old.name}")
    followed = keys.rotated(entry.index, rotation)
    if followed == keys:
        _require_known(keys, entry.index, rotation)
    return followed


def _require_known(keys: LogKeys, index: int, rotation: KeyRotation) -> None:
    """Refuse a handover to a key that took over elsewhere or from another; what came before the first is not known."""
    ed25519 = [key for key in keys.keys if key.verifier.algorithm == ED25519]
    place = next(place for place, key in enumerate(ed25519) if key.verifier == rotation.new)
    taken_over = ed25519[place].from_size - 1
    if place > 0 and (taken_over, ed25519[place - 1].verifier) != (index, rotation.old):
        raise KeyRotationError(f"the key {rotation.new.key_id.hex()} took over by the entry {taken_over}")


def _require_about(proof: bytes, origin: str) -> None:
    checkpoint = Checkpoint.from_text(note_split(InclusionProof.from_bytes(proof).checkpoint)[0])
    if checkpoint.origin != origin:
        raise TrustError(f"it is about the log {checkpoint.origin}, not about {origin}")


def _handover(keys: LogKeys | None) -> str:
    assert keys is not None
    newest = keys.keys[-1]
    return f"the key {newest.verifier.key_id.hex()} signs from {newest.from_size} entries on, as the key before it says"
