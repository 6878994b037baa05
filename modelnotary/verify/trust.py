"""The trust file: the public keys an auditor pins, and where one is found when none is pinned."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509 import load_pem_x509_certificate

from modelnotary.attest.dsse import key_id
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_json
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, KeyRotationError, LedgerError, NoteError, TextError
from modelnotary.ledger.event import Event
from modelnotary.ledger.log_keys import LogKey, LogKeys, rotation_of
from modelnotary.ledger.note import NoteVerifier, note_split
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.text import base64_bytes, base64_text
from modelnotary.times import format_time, parse_time
from modelnotary.verify.errors import TrustError

TRUST_FILE = "trust.json"
TRUST_FORMAT = "modelnotary-trust/v1"
"""As long as each log has had one key."""
TRUST_FORMAT_WINDOWS = "modelnotary-trust/v2"
"""Once a log's key was rotated, or signs beside an ML-DSA-44 key: each key with the sizes that it may sign."""
MAX_TRUST_BYTES = 256 * 1024
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DecisionKey:
    """A public key that signs decisions and bundles from ``not_before`` until ``not_after`` (or for good).

    ``public_key`` is the 32 raw bytes of an Ed25519 key.
    """

    public_key: bytes
    not_before: datetime
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        if len(self.public_key) != _KEY_BYTES:
            raise TrustError(f"a decision key has {_KEY_BYTES} bytes, not {len(self.public_key)}")

    @property
    def key(self) -> Ed25519PublicKey:
        """The key, ready to verify with."""
        return Ed25519PublicKey.from_public_bytes(self.public_key)

    @property
    def key_id(self) -> str:
        """The SHA-256 of the key in hexadecimal."""
        return key_id(self.key)

    def is_valid_at(self, moment: datetime) -> bool:
        """Tell whether the key may have signed something at this moment."""
        return self.not_before <= moment and (self.not_after is None or moment <= self.not_after)

    def to_json(self) -> dict[str, Json]:
        """The key as it stands in the trust file."""
        return {
            "keyid": self.key_id,
            "public_key": base64_text(self.public_key),
            "not_before": format_time(self.not_before),
            "not_after": None if self.not_after is None else format_time(self.not_after),
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """The public keys of one instance: its logs', its decisions', and the roots of its report signatures.

    ``report_roots`` are X.509 certificates in PEM form; so are ``timestamp_roots``, those of the authorities whose
    timestamps are believed, who are none of the operator's. A trust file without any does not have that member.

    Raises:
        TrustError: a log is not of this instance, or a key or log appears twice.
    """

    instance: str
    logs: tuple[LogKeys, ...]
    decision_keys: tuple[DecisionKey, ...]
    report_roots: tuple[str, ...]
    timestamp_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for log in self.logs:
            if not log.name.startswith(f"{self.instance}/"):
                raise TrustError(f"the key of the log {log.name} is not a log key of {self.instance}")
        if len(set(self.timestamp_roots)) != len(self.timestamp_roots):
            raise TrustError("the trust file names a timestamp root twice")
        names = [log.name for log in self.logs] + [key.key_id for key in self.decision_keys]
        if len(set(names)) != len(names):
            raise TrustError("the trust file names a log or a key twice")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a trust file; any JSON layout is accepted, unknown or missing members are not.

        Raises:
            TrustError: it is malformed.
        """
        try:
            value = parse_json(data, limit=MAX_TRUST_BYTES)
            trust = cls._from_json(value)
        except (CanonicalError, TextError, NoteError, KeyRotationError, TimeFormatError) as error:
            raise TrustError(f"the trust file is malformed: {error}") from error
        # Otherwise the fingerprint would not be that of the file's own content.
        if canonical_bytes(value) != canonical_bytes(trust._to_json()):  # noqa: SLF001 -- its own class
            raise TrustError(
                "the times in a trust file are written with six fraction digits, the keys of a log stand together, and "
                f"{TRUST_FORMAT_WINDOWS} is used only where {TRUST_FORMAT} does not do"
            )
        return trust

    @classmethod
    def _from_json(cls, value: Json) -> Self:
        match value:
            case {
                "format": "modelnotary-trust/v1" | "modelnotary-trust/v2" as written,
                "instance": str(instance),
                "logs": [*logs],
                "decision_keys": [*keys],
                "report_roots": [*roots],
                **rest,
            }:
                return cls(
                    instance,
                    _logs(logs, windows=written == TRUST_FORMAT_WINDOWS),
                    tuple(map(_decision_key, keys)),
                    tuple(map(_root, roots)),
                    tuple(map(_root, _timestamp_roots(rest))),
                )
            case _:
                raise TrustError(
                    f"a trust file ({TRUST_FORMAT} or {TRUST_FORMAT_WINDOWS}) has exactly the members format, "
                    "instance, logs, decision_keys, report_roots, and perhaps timestamp_roots"
                )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a trust file from disk.

        Raises:
            TrustError: it cannot be read or is malformed.
        """
        try:
            with path.open("rb") as file:
                return cls.from_bytes(file.read(MAX_TRUST_BYTES + 1))
        except OSError as error:
            raise TrustError(f"cannot read the trust file {path}: {error.strerror}") from error

    def to_bytes(self) -> bytes:
        """Write the trust file, laid out for reading; the inverse of `from_bytes`."""
        return json.dumps(self._to_json(), ensure_ascii=False, indent=2).encode() + b"\n"

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the canonical JSON: 64 hexadecimal digits an operator can publish."""
        return Digest.of(canonical_bytes(self._to_json())).hex

    def in_force(self, key_ids: Iterable[str], moment: datetime) -> bool:
        """Tell whether all these decision keys are known and may have signed something at this moment."""
        keys = {key.key_id: key for key in self.decision_keys}
        return all(name in keys and keys[name].is_valid_at(moment) for name in key_ids)

    def log_verifier(self, origin: str) -> LogKeys | None:
        """The public keys of a log, if it is trusted."""
        return next((log for log in self.logs if log.name == origin), None)

    def with_log(self, log: LogKeys) -> "Trust":
        """The same with these keys of a log, in the place of those it had or as a further one."""
        known = log.name in {item.name for item in self.logs}
        changed = tuple(log if item.name == log.name else item for item in self.logs)
        return replace(self, logs=changed if known else (*changed, log))

    def followed(self, proof: bytes) -> "Trust":
        """Follow a log to its next key, by the proof that its entry `key.rotated` is in a tree signed by the old one.

        A rotation that is known already changes nothing.

        Args:
            proof: a proof file that carries its entry.

        Raises:
            TrustError: the proof does not hold with the keys that are trusted here, or the entry is no valid rotation
                of that log's newest key.
        """
        try:
            inclusion = InclusionProof.from_bytes(proof)
            origin = Checkpoint.from_text(note_split(inclusion.checkpoint)[0]).origin
            log = self.log_verifier(origin)
            if log is None:
                raise TrustError(f"the trust file has no key for the log {origin}")
            entry = inclusion.extra or b""
            inclusion.verify(entry, log)
            return self.with_log(log.rotated(inclusion.index, rotation_of(Event.from_bytes(entry), origin)))
        except LedgerError as error:
            raise TrustError(f"this is no proof of a key's rotation: {error}") from error

    def _to_json(self) -> dict[str, Json]:
        windows = any(log.keys != (LogKey(log.keys[0].verifier),) for log in self.logs)
        return {
            "format": TRUST_FORMAT_WINDOWS if windows else TRUST_FORMAT,
            "instance": self.instance,
            "logs": [_key_json(key, windows=windows) for log in self.logs for key in log.keys],
            "decision_keys": [key.to_json() for key in self.decision_keys],
            "report_roots": list(self.report_roots),
            **({"timestamp_roots": list(self.timestamp_roots)} if self.timestamp_roots else {}),
        }


def trust_discover(path: Path) -> Path | None:
    """Find a trust file that came with a piece of evidence: beside it, else one folder further up."""
    resolved = path.resolve()
    for folder in (resolved.parent, resolved.parent.parent):
        candidate = folder / TRUST_FILE
        if candidate.is_file():
            return candidate
    return None


def _logs(values: list[Json], *, windows: bool) -> tuple[LogKeys, ...]:
    found: dict[str, list[LogKey]] = {}
    for value in values:
        key = _log_key(value, windows=windows)
        found.setdefault(key.verifier.name, []).append(key)
    if not windows and any(len(keys) > 1 for keys in found.values()):
        raise TrustError("the trust file names a log or a key twice")
    return tuple(LogKeys(tuple(keys)) for keys in found.values())


def _log_key(value: Json, *, windows: bool) -> LogKey:
    match value:
        case {"origin": str(origin), "vkey": str(vkey), **rest} if not rest and not windows:
            return LogKey(_named(origin, vkey))
        case {
            "origin": str(origin),
            "vkey": str(vkey),
            "from_size": int(start),
            "until_size": (int() | None) as end,
            **rest,
        } if not rest and windows and not isinstance(start, bool) and not isinstance(end, bool):
            return LogKey(_named(origin, vkey), start, end)
    raise TrustError(
        "a log in a trust file has the members origin and vkey"
        + (", from_size and until_size (which may be null)" if windows else "")
    )


def _named(origin: str, vkey: str) -> NoteVerifier:
    verifier = NoteVerifier.from_text(vkey)
    if verifier.name != origin:
        raise TrustError(f"the key given for the log {origin[:80]!r} is named {verifier.name!r}")
    return verifier


def _key_json(key: LogKey, *, windows: bool) -> Json:
    named: dict[str, Json] = {"origin": key.verifier.name, "vkey": key.verifier.text}
    return named | {"from_size": key.from_size, "until_size": key.until_size} if windows else named


def _decision_key(value: Json) -> DecisionKey:
    match value:
        case {
            "keyid": str(name),
            "public_key": str(public_key),
            "not_before": str(start),
            "not_after": (str() | None) as end,
            **rest,
        } if not rest:
            not_after = None if end is None else parse_time(end)
            key = DecisionKey(base64_bytes(public_key), parse_time(start), not_after)
            if key.key_id == name:
                return key
            raise TrustError(f"the key id {name[:64]!r} belongs to another decision key")
    raise TrustError("a decision key has the members keyid, public_key, not_before and not_after")


def _timestamp_roots(rest: Mapping[object, object]) -> Sequence[object]:
    """The roots among the members that a trust file need not have.

    Raises:
        TrustError: there is another member, or the list is none or empty.
    """
    match rest:
        case {"timestamp_roots": [_, *_] as roots, **others} if not others:
            return roots
        case {**others} if not others:
            return []
        case _:
            raise TrustError("the one further member of a trust file is timestamp_roots, a list of PEM certificates")


def _root(value: object) -> str:
    if isinstance(value, str):
        try:
            load_pem_x509_certificate(value.encode())
        except ValueError as error:
            raise TrustError(f"a root is not a certificate in PEM form: {error}") from error
        return value
    raise TrustError("a root is a certificate in PEM form")
