"""The facts attached to a report PDF as ``report.json``: what of them the verifier needs, read strictly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyhanko.pdf_utils.reader import PdfFileReader

from modelnotary.ledger.canonical import Json, parse_canonical
from modelnotary.ledger.errors import CanonicalError
from modelnotary.verify.report_format import REPORT_FORMAT, TWIN_NAME
from modelnotary.verify.report_signature import READER_ERRORS, ReportProblem

CHECK = "attached data"
_CITATION = frozenset({"origin", "index", "kind", "id", "digest"})


@dataclass(frozen=True, slots=True)
class StatedCitation:
    """A fact's claim: this entry of this log is about this subject and names this digest."""

    origin: str
    index: int
    kind: str
    id: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class StatedDecision:
    """A gate decision as the report states it, with the signed statement it rests on."""

    id: str
    state: str
    result: str
    environment: str
    model_digest: str
    decided_at: str
    expires_at: str | None
    policy_digest: str | None
    rules: tuple[tuple[str, str], ...]
    envelope: bytes
    source: StatedCitation


@dataclass(frozen=True, slots=True)
class StatedCheckpoint:
    """The signed state of a log: what the report says it is, the note itself, and how the log came to its key."""

    origin: str
    size: int
    root: str
    note: bytes
    rotations: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class StatedProof:
    """A ledger entry with its inclusion proof."""

    origin: str
    index: int
    size: int
    type: str
    at: str
    proof: bytes
    leaf: str


@dataclass(frozen=True, slots=True)
class Twin:
    """What a report states that can be held against signatures and the ledger.

    ``signatures`` are the digests of the statements people signed, ``counted`` the number of entries of each
    log that were counted for a summary.
    """

    report_id: str
    version_id: str
    model_digest: str
    decisions: tuple[StatedDecision, ...]
    signatures: frozenset[str]
    checkpoints: tuple[StatedCheckpoint, ...]
    proofs: tuple[StatedProof, ...]
    counted: tuple[tuple[str, int], ...]
    citations: tuple[StatedCitation, ...]


def twin_extract(reader: PdfFileReader) -> bytes:
    """Take the one associated file out of a parsed PDF.

    Raises:
        ReportProblem: there is none of that name, or there are others beside it.
    """
    try:
        associated, attached = reader.root["/AF"], reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
        is_alone = (len(associated), len(attached)) == (1, 2) and associated.raw_get(0) == attached.raw_get(1)
        is_named = attached[0] == associated[0]["/F"] == TWIN_NAME
        content: bytes = associated[0]["/EF"]["/F"].data
    except READER_ERRORS as error:
        raise ReportProblem(CHECK, f"{TWIN_NAME} cannot be taken out of the file: {error}") from error
    if not is_alone or not is_named:
        raise ReportProblem(CHECK, f"the file attached is not {TWIN_NAME} alone")
    return content


def twin_parse(data: bytes) -> Twin:
    """Read the attached data.

    Raises:
        ReportProblem: they are not canonical JSON of the report format, or a member the verifier needs is missing.
    """
    try:
        document = parse_canonical(data)
    except CanonicalError as error:
        raise ReportProblem(CHECK, f"{TWIN_NAME} is malformed: {error}") from error
    match document:
        case {
            "format": "modelnotary-report/v1",
            "report_id": str(report_id),
            "cover": {"version_id": str(version_id), "digest": str(model_digest)},
            "decisions": [*decisions],
            "approvals": [*approvals],
            "access": access,
            "ledger": {"checkpoints": [*checkpoints], "proofs": [*proofs]},
        }:
            return Twin(
                report_id=report_id,
                version_id=version_id,
                model_digest=model_digest,
                decisions=tuple(map(_decision, decisions)),
                signatures=frozenset(map(_signature, approvals)),
                checkpoints=tuple(map(_checkpoint, checkpoints)),
                proofs=tuple(map(_proof, proofs)),
                counted=() if access is None else (_counted(access),),
                citations=tuple(_citations(document)),
            )
        case _:
            raise ReportProblem(CHECK, f"{TWIN_NAME} is not of the format {REPORT_FORMAT}")


def _decision(value: Json) -> StatedDecision:
    match value:
        case {
            "id": str(name),
            "state": str(state),
            "result": str(result),
            "environment": str(environment),
            "model_digest": str(model_digest),
            "decided_at": str(decided_at),
            "expires_at": (str() | None) as expires_at,
            "policy": policy,
            "rules": [*rules],
            "envelope": str(envelope),
            "source": source,
        }:
            return StatedDecision(
                id=name,
                state=state,
                result=result,
                environment=environment,
                model_digest=model_digest,
                decided_at=decided_at,
                expires_at=expires_at,
                policy_digest=_policy_digest(policy),
                rules=tuple(map(_rule, rules)),
                envelope=envelope.encode(),
                source=_citation(source),
            )
        case _:
            raise ReportProblem(CHECK, "a decision in the report is malformed")


def _policy_digest(value: Json) -> str | None:
    match value:
        case None:
            return None
        case {"source": source}:
            return _citation(source).digest
        case _:
            raise ReportProblem(CHECK, "the policy of a decision in the report is malformed")


def _rule(value: Json) -> tuple[str, str]:
    match value:
        case {"id": str(name), "outcome": str(outcome)}:
            return name, outcome
        case _:
            raise ReportProblem(CHECK, "a rule of a decision in the report is malformed")


def _signature(value: Json) -> str:
    match value:
        case {"statement_digest": str(digest)}:
            return digest
        case _:
            raise ReportProblem(CHECK, "an approval in the report is malformed")


def _checkpoint(value: Json) -> StatedCheckpoint:
    match value:
        case {"origin": str(origin), "size": int(size), "root": str(root), "note": str(note), **rest}:
            return StatedCheckpoint(origin, size, root, note.encode(), _rotations(rest))
        case _:
            raise ReportProblem(CHECK, "a checkpoint in the report is malformed")


def _rotations(rest: Mapping[object, object]) -> tuple[bytes, ...]:
    match rest:
        case {"rotations": [*proofs]} if all(isinstance(proof, str) for proof in proofs):
            return tuple(str(proof).encode() for proof in proofs)
        case {"rotations": _}:
            raise ReportProblem(CHECK, "the rotations of a log's key in the report are malformed")
        case _:
            return ()


def _proof(value: Json) -> StatedProof:
    match value:
        case {
            "origin": str(origin),
            "index": int(index),
            "size": int(size),
            "type": str(kind),
            "at": str(at),
            "proof": str(proof),
            "leaf": str(leaf),
        }:
            return StatedProof(origin, index, size, kind, at, proof.encode(), leaf)
        case _:
            raise ReportProblem(CHECK, "a ledger proof in the report is malformed")


def _counted(value: Json) -> tuple[str, int]:
    match value:
        case {"origin": str(origin), "size": int(size)}:
            return origin, size
        case _:
            raise ReportProblem(CHECK, "the access summary of the report is malformed")


def _citations(value: Json) -> Iterator[StatedCitation]:
    """Every citation in the report, wherever it stands: whatever has the members of one is one."""
    if isinstance(value, dict):
        if value.keys() == _CITATION:
            yield _citation(value)
        for item in value.values():
            yield from _citations(item)
    elif isinstance(value, list):
        for item in value:
            yield from _citations(item)


def _citation(value: Json) -> StatedCitation:
    match value:
        case {
            "origin": str(origin),
            "index": int(index),
            "kind": str(kind),
            "id": str(name),
            "digest": (str() | None) as digest,
        }:
            return StatedCitation(origin, index, kind, name, digest)
        case _:
            raise ReportProblem(CHECK, "the source of a fact in the report is malformed")
