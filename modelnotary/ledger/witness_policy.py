"""Which logs and how many witnesses must have signed a checkpoint (C2SP tlog-policy).

A policy is a text file of lines::

    log <vkey> [url]
    witness <name> <vkey> [url]
    group <name> all|any|<k> <member>...
    quorum <name>|none

A group has witnessed a checkpoint if at least k of its members have; groups can be members of groups. Names are
compared byte by byte.
"""

import re
from dataclasses import dataclass
from typing import Self

from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.cosignature import Cosignature, cosignatures_verify
from modelnotary.ledger.errors import NoteError, QuorumError, TextError, WitnessPolicyError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.note import NoteVerifier, note_open, note_split
from modelnotary.ledger.signature_types import COSIGNATURES, ED25519
from modelnotary.ledger.text import decimal

MAX_POLICY_BYTES = 256 * 1024
MAX_DEFINITIONS = 256
NO_QUORUM = "none"
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")
_WORD = re.compile(r"[^\x00-\x20\x7f\ud800-\udc7f\udd00-\udfff]+")
_QUORUM_WORDS = 2


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that is accepted, and where it is."""

    key: NoteVerifier
    url: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The line that defines it, without spaces."""
        return ("log", self.key.text, *_given(self.url))


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness, the name the policy calls it by, and where it is."""

    name: str
    key: NoteVerifier
    url: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The line that defines it, without spaces."""
        return ("witness", self.name, self.key.text, *_given(self.url))


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Witnesses and groups defined before, of which at least ``threshold`` must have witnessed."""

    name: str
    threshold: int
    members: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The line that defines it, without spaces."""
        return ("group", self.name, str(self.threshold), *self.members)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that meets a policy: the log that signed it, and all cosignatures by witnesses of the policy."""

    checkpoint: Checkpoint
    log: NoteVerifier
    cosignatures: tuple[Cosignature, ...]


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """The logs that are accepted, the witnesses that are known, and the quorum of them that is needed.

    ``quorum`` names a witness or a group, or is `NO_QUORUM`.

    Raises:
        WitnessPolicyError: a name is used before it is defined or defined twice, or a key serves twice.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def __post_init__(self) -> None:
        if len(self.logs) + len(self.witnesses) + len(self.groups) > MAX_DEFINITIONS:
            raise WitnessPolicyError(f"a policy has at most {MAX_DEFINITIONS} logs, witnesses and groups")
        if any(log.key.algorithm != ED25519 for log in self.logs):
            raise WitnessPolicyError("the key of a log is an Ed25519 key of type 01")
        if any(witness.key.algorithm not in COSIGNATURES for witness in self.witnesses):
            raise WitnessPolicyError("the key of a witness is of type 04 (Ed25519) or 06 (ML-DSA-44)")
        for keys in ([log.key for log in self.logs], [witness.key for witness in self.witnesses]):
            if len({key.public_key for key in keys}) != len(keys):
                raise WitnessPolicyError("the same public key appears twice")
        names = _Names()
        items: tuple[_Item, ...] = (*self.logs, *self.witnesses, *self.groups)
        for item in items:
            names.define(item)
        names.require(self.quorum, or_none=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a policy file.

        Raises:
            WitnessPolicyError: it is malformed; the message names the line.
        """
        if len(data) > MAX_POLICY_BYTES or _FORBIDDEN.search(data) or not data.endswith(b"\n"):
            raise WitnessPolicyError(
                f"a policy has at most {MAX_POLICY_BYTES} bytes, ends in a newline and has no control characters"
            )
        # What is not UTF-8 keeps its bytes, for names are opaque.
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        names = _Names()
        items: list[_Item] = []
        quorum = None
        for number, line in enumerate(lines, start=1):
            words = [word for word in _SPACES.split(line) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                if words[0] == "quorum" and quorum is None and len(words) == _QUORUM_WORDS:
                    quorum = names.require(words[1], or_none=True)
                else:
                    items.append(names.define(_definition(words)))
            except (WitnessPolicyError, NoteError, TextError) as error:
                raise WitnessPolicyError(f"line {number} of the policy: {error}") from error
        if quorum is None:
            raise WitnessPolicyError("a policy states its quorum on one line: quorum <name>, or quorum none")
        return cls(
            tuple(item for item in items if isinstance(item, PolicyLog)),
            tuple(item for item in items if isinstance(item, PolicyWitness)),
            tuple(item for item in items if isinstance(item, PolicyGroup)),
            quorum,
        )

    def to_bytes(self) -> bytes:
        """Write the policy file, the inverse of `from_bytes` but for spacing, comments and order."""
        items: tuple[_Item, ...] = (*self.logs, *self.witnesses, *self.groups)
        lines = [*(item.words for item in items), ("quorum", self.quorum)]
        return "".join(f"{' '.join(words)}\n" for words in lines).encode("utf-8", "surrogateescape")

    def open(self, data: bytes, *, log: NoteVerifier | LogKeys | None = None) -> Witnessed:
        """Read a checkpoint note and check that it meets this policy.

        Args:
            data: the note.
            log: the log's key or keys as known from elsewhere; used only if the policy names no logs of its own.

        Raises:
            QuorumError: no accepted log signed it, or too few witnesses did.
            NoteSignatureError: the signature of a known key does not hold.
            LedgerError: the bytes are no checkpoint note.
        """
        text, signatures = note_split(data)
        checkpoint = Checkpoint.from_text(text)
        known = log.signing(checkpoint.size) if isinstance(log, LogKeys) else () if log is None else (log,)
        accepted = [item.key for item in self.logs] or known
        keys = [key for key in accepted if key.name == checkpoint.origin]
        if not keys:
            raise QuorumError(f"the policy does not accept the log {checkpoint.origin}")
        signer = note_open(data, keys).verified_by[0]
        cosignatures = cosignatures_verify(text, signatures, [witness.key for witness in self.witnesses])
        self._require_quorum({cosignature.witness for cosignature in cosignatures})
        return Witnessed(checkpoint, signer, tuple(cosignatures))

    def _require_quorum(self, signed: set[NoteVerifier]) -> None:
        reached = {witness.name: witness.key in signed for witness in self.witnesses}
        for group in self.groups:
            reached[group.name] = sum(reached[member] for member in group.members) >= group.threshold
        if self.quorum != NO_QUORUM and not reached[self.quorum]:
            names = ", ".join(sorted(witness.name for witness in self.witnesses if reached[witness.name])) or "none"
            raise QuorumError(f"the quorum {self.quorum!r} is not reached; witnesses that signed: {names}")


type _Item = PolicyLog | PolicyWitness | PolicyGroup


class _Names:
    """The names defined so far: a definition may only use names of earlier lines."""

    def __init__(self) -> None:
        self._defined: set[str] = set()

    def define[Item: _Item](self, item: Item) -> Item:
        if not all(map(_WORD.fullmatch, item.words)):
            raise WitnessPolicyError("names and addresses in a policy are not empty and have no spaces")
        if isinstance(item, PolicyGroup):
            if not 1 <= item.threshold <= len(item.members) or len(set(item.members)) != len(item.members):
                raise WitnessPolicyError(
                    "a group has different members, and needs at least one of them and at most all"
                )
            for member in item.members:
                self.require(member)
        if not isinstance(item, PolicyLog):
            if item.name in self._defined or item.name == NO_QUORUM:
                raise WitnessPolicyError(f"the name {item.name!r} is defined already")
            self._defined.add(item.name)
        return item

    def require(self, name: str, *, or_none: bool = False) -> str:
        if name not in self._defined and not (or_none and name == NO_QUORUM):
            raise WitnessPolicyError(f"{name[:80]!r} is not defined before it is used")
        return name


def _definition(words: list[str]) -> _Item:
    match words:
        case ["log", vkey]:
            return PolicyLog(NoteVerifier.from_text(vkey))
        case ["log", vkey, url]:
            return PolicyLog(NoteVerifier.from_text(vkey), url)
        case ["witness", name, vkey]:
            return PolicyWitness(name, NoteVerifier.from_text(vkey))
        case ["witness", name, vkey, url]:
            return PolicyWitness(name, NoteVerifier.from_text(vkey), url)
        case ["group", name, threshold, *members]:
            count = {"all": len(members), "any": 1}.get(threshold)
            return PolicyGroup(name, decimal(threshold) if count is None else count, tuple(members))
        case _:
            raise WitnessPolicyError("a line defines a log, a witness or a group, or states the one quorum")


def _given(url: str | None) -> tuple[str, ...]:
    return () if url is None else (url,)
