"""Evidence that its producer signed: an in-toto Statement v1 whose predicate is a report of one of the types.

The predicate has the members `report`, as the schema of the type has it, `collectedAt` and, optionally, `validUntil`. A
statement has no time of its own, and without a signed one an old report could be delivered as a new one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from modelnotary.attest.errors import StatementError
from modelnotary.attest.producer import MAX_PRODUCER_ENVELOPE_BYTES
from modelnotary.attest.statement import STATEMENT_TYPE
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, DigestError
from modelnotary.times import format_time, parse_time

EVIDENCE_PREDICATE = "https://modelnotary.dev/ns/v1/evidence"
_PREDICATE = re.compile(
    rf"{re.escape(EVIDENCE_PREDICATE)}/(?P<type>[a-z][a-z0-9_]{{0,39}})/v(?P<version>[1-9][0-9]{{0,3}})"
)
_NAME_LIMIT = 400


@dataclass(frozen=True, slots=True)
class EvidenceStatement:
    """A report about bytes, as its producer signs it.

    Attributes:
        type: type of evidence; `schema_version` that of the schema which the report follows.
        digest: of what it is about; `name` is a label only.
        report: the payload of the evidence.
        collected_at: when the fact was established, aware.
        valid_until: from when on it no longer counts, aware; None: as long as the type allows.
    """

    type: str
    schema_version: int
    digest: Digest
    report: Mapping[str, Json]
    collected_at: datetime
    valid_until: datetime | None = None
    name: str = ""

    @property
    def predicate_type(self) -> str:
        """The URI that names type and version."""
        return f"{EVIDENCE_PREDICATE}/{self.type}/v{self.schema_version}"

    def to_bytes(self) -> bytes:
        """Write it as canonical JSON, ready to be signed."""
        times = {"collectedAt": self.collected_at, "validUntil": self.valid_until}
        subject: dict[str, Json] = {"digest": {"sha256": self.digest.hex}}
        return canonical_bytes(
            {
                "_type": STATEMENT_TYPE,
                "subject": [subject | ({"name": self.name} if self.name else {})],
                "predicateType": self.predicate_type,
                "predicate": {"report": dict(self.report)}
                | {name: format_time(moment) for name, moment in times.items() if moment},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a statement in any layout of its JSON.

        Raises:
            StatementError: with the place of what is wrong.
        """
        try:
            value = parse_json(data, limit=MAX_PRODUCER_ENVELOPE_BYTES)
        except CanonicalError as error:
            raise StatementError(f"the statement is malformed: {error}") from error
        match value:
            case {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [*subjects],
                "predicateType": str(kind),
                "predicate": dict(predicate),
                **rest,
            } if not rest:
                name, digest = _subject(subjects)
                matched = _PREDICATE.fullmatch(kind)
                if matched is None:
                    raise StatementError(f"/predicateType is not {EVIDENCE_PREDICATE}/ type /v and a version")
                report, collected_at, valid_until = _predicate(predicate)
                version = int(matched["version"])
                return cls(matched["type"], version, digest, report, collected_at, valid_until, name)
        raise StatementError(
            f"a statement has the members _type ({STATEMENT_TYPE}), subject, predicateType and predicate, and no other"
        )


def _subject(value: list[Json]) -> tuple[str, Digest]:
    match value:
        case [{"digest": {"sha256": str(digits), **others}, **rest}] if not others and rest.keys() <= {"name"}:
            name = rest.get("name", "")
            if isinstance(name, str) and len(name) <= _NAME_LIMIT:
                try:
                    return name, Digest.from_text(f"sha256:{digits}")
                except DigestError as error:
                    raise StatementError(f"/subject/0/digest/sha256: {error}") from error
    raise StatementError("/subject has exactly one item, with a digest that is one sha256, and perhaps a name")


def _predicate(value: dict[str, Json]) -> tuple[dict[str, Json], datetime, datetime | None]:
    match value:
        case {"report": dict(report), "collectedAt": str(collected), **rest} if rest.keys() <= {"validUntil"}:
            until = rest.get("validUntil")
            if until is None or isinstance(until, str):
                try:
                    return report, parse_time(collected), None if until is None else parse_time(until)
                except TimeFormatError as error:
                    raise StatementError(f"/predicate: {error}") from error
    raise StatementError("/predicate has the members report, collectedAt and perhaps validUntil, and no other")
