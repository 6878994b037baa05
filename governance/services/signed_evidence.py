"""Taking evidence that its producer signed: one envelope is one piece of evidence, kept byte for byte."""

from datetime import datetime

from django.db import transaction

from governance.actors import actor_of
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.registry import About, TypeVersion
from governance.models import Evidence, ProducerKey, SignedStatement, User
from governance.selectors.evidence import evidence_subject
from governance.selectors.evidence_types import type_taken
from governance.services.evidence import Deposit, Received, evidence_deposit
from governance.services.producers import producer_key_lock
from modelnotary.attest.errors import AttestError
from modelnotary.attest.evidence import EvidenceStatement
from modelnotary.attest.producer import Signers, producer_envelope_read, producer_envelope_verify
from modelnotary.attest.statement import STATEMENT_PAYLOAD_TYPE
from modelnotary.ledger.digest import Digest

_OF_BYTES = (About.MODEL_VERSION, About.DATASET_VERSION)


@transaction.atomic
def attestation_deposit(
    *, deliverer: User, envelope: bytes, supersedes: str | None, reason: str, at: datetime
) -> Evidence:
    """Take evidence in the envelope that its producer signed. Who delivers it need not be who signed it.

    1. Read the envelope. Whatever was taken before is given back, also after its key ended: nothing changes.
    2. At least one signature is by a key in force at this moment, and all such keys are of one holder, who counts as
       the producer. Signatures by others say nothing and are named.
    3. What was signed is a statement about one registered version, of a type and in the version of its schema.
    4. Deposit it like any report, and keep the envelope with it.

    Args:
        deliverer: The caller.
        envelope: DSSE with an in-toto statement; see `modelnotary.attest.evidence`.
        supersedes: Id of the evidence in whose place it comes, or None.
        reason: Why it does.
        at: The moment, by which keys and times are judged.

    Raises:
        EvidenceRefusedError: With every fault of envelope, signature, statement or report, and its place.
        UnknownArtifactError: Nothing is registered under the subject's digest.
        ConflictError: It says again what was said, and not what it takes the place of.
    """
    digest = Digest.of(envelope)
    if taken := SignedStatement.objects.filter(envelope_digest=digest.text).select_related("evidence").first():  # 1
        return taken.evidence
    try:
        read = producer_envelope_read(envelope)
        keys = {key.fingerprint: key for key in _keys_in_force(at)}
        signers = producer_envelope_verify(read, STATEMENT_PAYLOAD_TYPE, [key.public for key in keys.values()])  # 2
        statement = EvidenceStatement.from_bytes(read.payload)  # 3
    except AttestError as error:
        raise EvidenceRefusedError((Fault("/envelope", str(error)),)) from error
    key = _one_holder(signers, keys)
    producer_key_lock(key)
    if hasattr(ProducerKey.objects.select_related("revocation").get(pk=key.pk), "revocation"):
        raise EvidenceRefusedError((Fault("/envelope", f"the key {key.fingerprint} was just revoked"),))
    payload = Digest.of(read.payload)
    if taken := SignedStatement.objects.filter(key=key, payload_digest=payload.text).select_related("evidence").first():
        return taken.evidence
    kind = _kind(statement)
    evidence = evidence_deposit(  # 4
        producer=key.holder,
        subject=evidence_subject(about=kind.about, name=statement.digest.text),
        deposit=Deposit(
            kind=kind.name,
            payload=dict(statement.report),
            collected_at=statement.collected_at,
            valid_until=statement.valid_until,
            supersedes=supersedes,
            reason=reason,
        ),
        measured=False,
        at=at,
        actor=actor_of(deliverer),
        received=Received(digest, key, signers.unknown),
    )
    SignedStatement.objects.create(
        evidence=evidence,
        key=key,
        envelope=envelope,
        envelope_digest=digest.text,
        payload_digest=payload.text,
        unknown_keys=list(signers.unknown),
        received_at=at,
    )
    return evidence


def _keys_in_force(at: datetime) -> list[ProducerKey]:
    in_force = ProducerKey.objects.filter(
        confirmation__confirmed_at__lte=at, revocation=None, valid_from__lte=at, valid_until__gt=at
    )
    return list(in_force.select_related("holder"))


def _one_holder(signers: Signers, keys: dict[str, ProducerKey]) -> ProducerKey:
    signed = [keys[key.digest.text] for key in signers.keys]
    if len({key.holder_id for key in signed}) > 1:
        words = "the signatures are by keys of several holders; evidence has one producer, so send one envelope of each"
        raise EvidenceRefusedError((Fault("/envelope", words),))
    return signed[0]


def _kind(statement: EvidenceStatement) -> TypeVersion:
    kind = type_taken(statement.type, "/envelope/payload/predicateType")
    faults = []
    if statement.schema_version != kind.version:
        faults.append(f"the schema of {kind.name} is in version {kind.version}, not {statement.schema_version}")
    if kind.about not in _OF_BYTES:
        words = f"{kind.name} is about the {kind.about.value.replace('_', ' ')}, which has no bytes to sign about"
        faults.append(f"{words}; report it without an envelope")
    if faults:
        raise EvidenceRefusedError(tuple(Fault("/envelope/payload/predicateType", words) for words in faults))
    return kind
