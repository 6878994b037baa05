"""Evidence that its producer signed: step 11 of the procedure in `bundle`.

Whoever runs the installation can write any entry and any evidence; an envelope signed by a producer they cannot make.
So each is checked against the key that an earlier entry registered, and against what the evidence says was signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelnotary.attest.errors import AttestError, EnvelopeSignatureError, StatementError
from modelnotary.attest.evidence import EvidenceStatement
from modelnotary.attest.producer import ProducerKey, producer_envelope_read, producer_envelope_verify
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, TextError
from modelnotary.ledger.event import Event
from modelnotary.ledger.text import base64_bytes
from modelnotary.times import format_time, parse_time
from modelnotary.verify.result import Check, failed, missing, passed

PRODUCER_KEY_REGISTERED = "producer_key.registered"
PRODUCER_KEY_REVOKED = "producer_key.revoked"
EVIDENCE_DEPOSITED = "evidence.deposited"
CHECK = "envelopes"


def is_about_producers(event: Event) -> bool:
    """Tell whether an entry registers or ends a key of a producer, or deposits what one signed."""
    if event.type == EVIDENCE_DEPOSITED:
        return "envelope" in event.data
    return event.type in {PRODUCER_KEY_REGISTERED, PRODUCER_KEY_REVOKED}


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """The evidence in a bundle, by its id: the documents, and the envelopes beside them."""

    documents: Mapping[str, bytes]
    envelopes: Mapping[str, bytes]


def envelopes_check(entries: Iterable[tuple[int, Event]], files: EvidenceFiles, *, pruned: bool) -> list[Check]:
    """Check every piece of evidence that is said to be signed, among the entries of a log and its successors.

    1. The key was registered by an entry before, with these bytes, was in force at the time of the deposit, and was not
       revoked before. The entry names who holds it as the producer.
    2. The evidence in the bundle has its envelope beside it, which has the digest that entry and evidence name.
    3. The key signed the envelope, and what is signed says what the evidence says.

    What was received when the key was not trusted any more, as a later revocation says, holds and is counted.

    Args:
        entries: those that `is_about_producers` holds for, each with its index, in their order.
        files: what is in the bundle.
        pruned: whether entries at the start of the log are gone. A key that was registered in one of them is taken
            from the deposit's own entry and counted in the words of the check.

    Returns:
        Nothing where nothing is signed.
    """
    known, checks = _Known(), []
    deposits: dict[str, Event] = {}
    for index, event in entries:
        try:
            if event.type != EVIDENCE_DEPOSITED:
                known.take(event)
                continue
            deposits[event.subject.id] = event
            _require_key(event, known, pruned=pruned)
        except (AttestError, TextError, TimeFormatError) as error:
            checks.append(failed(CHECK, f"entry {index}: {error}", span=(index, index + 1)))
    checks += _file_checks(files, deposits)
    if checks or not deposits:
        return checks
    late = sum(known.distrusts(event) for event in deposits.values())
    aside = f"; {late} received when the key was not trusted any more" if late else ""
    aside += f"; {known.gone} with keys from entries that are gone" if known.gone else ""
    return [passed(CHECK, f"all {len(deposits)} pieces of signed evidence are by keys in force{aside}")]


@dataclass(frozen=True, slots=True)
class _Registered:
    holder: str
    key: str
    since: datetime
    until: datetime


@dataclass(slots=True)
class _Known:
    """The keys that the entries so far tell of."""

    keys: dict[str, _Registered] = field(default_factory=dict)
    distrusted: dict[str, datetime] = field(default_factory=dict)
    gone: int = 0

    def take(self, event: Event) -> None:
        """Learn of a key, or of its end."""
        if event.type == PRODUCER_KEY_REVOKED:
            self.distrusted[event.subject.id] = parse_time(_said(event, "distrusted_from"))
            return
        made = _Registered(
            _said(event, "holder"),
            _said(event, "public_key"),
            parse_time(_said(event, "valid_from")),
            parse_time(_said(event, "valid_until")),
        )
        if event.subject.digest != ProducerKey.from_spki(base64_bytes(made.key)).digest:
            raise StatementError(f"the key {event.subject.id} does not have the digest that its entry names")
        if event.actor.id in {made.holder, event.data.get("proposed_by")}:
            raise StatementError(f"the key {event.subject.id} was not registered by a second person")
        if self.keys.setdefault(event.subject.id, made) != made:
            raise StatementError(f"the key {event.subject.id} is registered a second time")

    def distrusts(self, event: Event) -> bool:
        """Tell whether a deposit came when its key was not trusted any more."""
        since = self.distrusted.get(str(event.data.get("producer_key")))
        return since is not None and since <= event.at


def _require_key(event: Event, known: _Known, *, pruned: bool) -> None:
    name = _said(event, "producer_key")
    if name in known.distrusted:
        raise StatementError(f"the key {name} was revoked before")
    registered = known.keys.get(name)
    if registered is None:
        if not pruned:
            raise StatementError(f"no entry before registers the key {name}")
        known.gone += 1
        return
    if (registered.key, registered.holder) != (event.data.get("public_key"), event.data.get("producer")):
        raise StatementError(f"the key {name} was registered with other bytes, or for another producer")
    if not registered.since <= event.at < registered.until:
        raise StatementError(f"the key {name} was not in force at the time of the deposit")


def _file_checks(files: EvidenceFiles, deposits: Mapping[str, Event]) -> list[Check]:
    checks, claimed = [], set()
    for name, document in files.documents.items():
        event, said = deposits.get(name), _document(document)
        named = said.get("envelope")
        if event is None and named is None:
            continue
        claimed.add(name)
        if name not in files.envelopes:
            checks.append(missing(CHECK, f"evidence/{name}.json was signed, and its envelope is not in the bundle"))
            continue
        try:
            _require_signed(files.envelopes[name], said, event)
        except (AttestError, TextError) as error:
            checks.append(failed(CHECK, f"evidence/{name}.dsse.json: {error}"))
    stray = sorted(files.envelopes.keys() - claimed)
    return checks + [failed(CHECK, f"evidence/{name}.dsse.json belongs to no signed evidence") for name in stray]


def _require_signed(envelope: bytes, said: Mapping[str, Json], event: Event | None) -> None:
    if event is None or not Digest.of(envelope).text == said.get("envelope") == event.data.get("envelope"):
        raise EnvelopeSignatureError("it is not the envelope that the evidence and its entry name")
    key = ProducerKey.from_spki(base64_bytes(_said(event, "public_key")))
    read = producer_envelope_read(envelope)
    producer_envelope_verify(read, STATEMENT_PAYLOAD_TYPE, [key])
    statement = EvidenceStatement.from_bytes(read.payload)
    times = {"collected_at": statement.collected_at, "valid_until": statement.valid_until}
    signed: dict[str, Json] = {
        "type": statement.type,
        "schema_version": statement.schema_version,
        "subject": {"digest": statement.digest.text},
        "payload": dict(statement.report),
        **{name: None if moment is None else format_time(moment) for name, moment in times.items()},
    }
    differing = [name for name, value in signed.items() if canonical_bytes(said.get(name)) != canonical_bytes(value)]
    if differing:
        raise StatementError(f"it says something else than the evidence: {', '.join(differing)}")


def _document(data: bytes) -> Mapping[str, Json]:
    """Read a piece of evidence; that it is the one which the ledger names, step 9 looks at."""
    try:
        value = parse_canonical(data)
    except CanonicalError:
        return {}
    return value if isinstance(value, dict) else {}


def _said(event: Event, name: str) -> str:
    value = event.data.get(name)
    if not isinstance(value, str):
        raise StatementError(f"{name} is missing or no text")
    return value
