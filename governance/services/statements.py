"""What a signature under a decision states, and what of it goes into the record and the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.enums import Role, Vote
from governance.models import ApprovalRequest, Passkey, PolicyVersion, User
from governance.services.passkeys import PASSKEY_METHOD, PasskeyAnswer, relying_party
from governance.services.policies import policy_document
from governance.services.proofs import METHOD, PasswordAndCode
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.text import base64url_text
from modelnotary.times import format_time

REJECTION_MEANING = "I have examined the evidence and reject this use."


@dataclass(frozen=True, slots=True)
class SigningTerms:
    """What a person wants to sign.

    Attributes:
        vote: Approve or reject.
        role: The role they sign in.
        reason: Why, in their own words, at least 20 characters.
        evidence_set_digest: Digest of the evidence that was on their screen.
    """

    vote: Vote
    role: Role
    reason: str
    evidence_set_digest: str


@dataclass(frozen=True, slots=True)
class SigningIntent(SigningTerms):
    """The same with `proof` of who they are, given afresh for this signature.

    Password and code are never stored; a passkey's answer is, because it is the signature itself.
    """

    proof: PasswordAndCode | PasskeyAnswer


def ticket_intent(answer: PasskeyAnswer) -> SigningIntent:
    """Give what a person signs with a ticket: what was frozen in it."""
    said = parse_canonical(bytes(answer.ticket.statement))
    assert isinstance(said, dict)
    return SigningIntent(
        vote=Vote(str(said["vote"])),
        role=Role(str(said["role"])),
        reason=str(said["reason"]),
        evidence_set_digest=str(said["evidence_set_digest"]),
        proof=answer,
    )


def signature_meaning(*, policy: PolicyVersion, vote: Vote) -> str:
    """Give the words that a signature stands for: an approval's are the policy's own."""
    return policy_document(policy).approvals.meaning if vote == Vote.APPROVE else REJECTION_MEANING


def by_code(at: datetime) -> dict[str, Json]:
    """Say that password and code prove who signs, at this time."""
    return {"method": METHOD, "signed_at": format_time(at)}


def by_passkey(at: datetime) -> dict[str, Json]:
    """Say for whom the passkey signs, and that this is the time before the signature: its entry tells the one of it."""
    return {
        "method": PASSKEY_METHOD,
        "prepared_at": format_time(at),
        "relying_party": relying_party().to_json(),
    }


def statement_write(signer: User, request: ApprovalRequest, terms: SigningTerms, how: dict[str, Json]) -> bytes:
    """Write what a person signs: canonical JSON, with `how` from `by_code` or `by_passkey`."""
    decision = request.decision
    assert decision.policy_version is not None
    return canonical_bytes(
        {
            "format": "modelnotary-signature/v1",
            "decision": decision.id,
            "model_digest": decision.model_version.digest,
            "environment": decision.environment,
            "policy_digest": decision.policy_version.digest,
            "evidence_set_digest": decision.evidence_set_digest,
            "vote": terms.vote.value,
            "meaning": signature_meaning(policy=decision.policy_version, vote=terms.vote),
            "reason": terms.reason.strip(),
            "printed_name": signer.printed_name,
            "signer": signer.id,
            "role": terms.role.value,
            **how,
        }
    )


def passkey_columns(answer: PasswordAndCode | PasskeyAnswer, passkey: Passkey | None) -> dict[str, Any]:
    """Give what a signature by passkey has besides."""
    if isinstance(answer, PasswordAndCode):
        return {}
    return {
        "ticket": answer.ticket,
        "passkey": passkey,
        "authenticator_data": answer.assertion.authenticator_data,
        "client_data": answer.assertion.client_data,
        "assertion": answer.assertion.signature,
    }


def passkey_entry(
    answer: PasswordAndCode | PasskeyAnswer, passkey: Passkey | None, statement: bytes
) -> dict[str, Json]:
    """Give what whoever holds the entry needs to check the passkey's signature without asking anybody."""
    if isinstance(answer, PasswordAndCode) or passkey is None or passkey.public_key is None:
        return {}
    return {
        "statement": parse_canonical(statement),
        "passkey": passkey.id,
        "public_key": base64url_text(bytes(passkey.public_key)),
        "assertion": answer.assertion.to_json(),
    }
