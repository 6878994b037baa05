"""Passkeys: registered with proof, one answer for one frozen statement, and every attack beside the success."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
from api_driver import Api, require, require_problem
from conftest import Database
from django.conf import settings
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation
from software_authenticator import ELIGIBLE, PRESENT, VERIFIED, SoftwareAuthenticator

from audit.models import Entry
from governance.enums import ApprovalState, Role, Vote
from governance.errors import (
    ConflictError,
    GovernanceError,
    HumanRequiredError,
    LockedError,
    ReauthenticationError,
    RejectedInputError,
    SeparationOfDutiesError,
    StaleEvidenceError,
)
from governance.models import Passkey, Signature, SigningTicket, User
from governance.services.approvals import TICKET_FOR, approval_sign, signing_prepare
from governance.services.passkeys import (
    PasskeyAnswer,
    passkey_register,
    passkey_request,
    passkey_revoke,
    passkeys_of,
    relying_party,
)
from governance.services.proofs import PasswordAndCode
from governance.services.statements import SigningTerms, ticket_intent
from modelnotary.attest.passkey import Assertion, assertion_verify
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.text import base64url_bytes, base64url_text

pytestmark = pytest.mark.usefixtures("database", "keys")

REASON = "The security key fell into the harbour on Monday."


def device() -> SoftwareAuthenticator:
    return SoftwareAuthenticator(settings.PASSKEY_RP_ID, settings.PASSKEY_ORIGINS[0])


def answered(passkey: Passkey, key: SoftwareAuthenticator, **changes: Any) -> dict[str, bytes]:
    """What the authenticator gives for the registration."""
    answer = key.create(base64url_text(bytes(passkey.challenge)), **changes)
    return {
        "authenticator_data": base64url_bytes(answer["authenticatorData"]),
        "client_data": base64url_bytes(answer["clientDataJSON"]),
    }


def registered(user: User, key: SoftwareAuthenticator, at: datetime | None = None) -> Passkey:
    now = at or timezone.now()
    passkey = passkey_request(user=user, name="blue key", at=now)
    return passkey_register(
        user=user, passkey=passkey, **answered(passkey, key), proof=factories.proof(user, now), at=now
    )


def challenge(ticket: SigningTicket) -> str:
    return base64url_text(Digest.of(bytes(ticket.statement)).value)


@dataclass
class Signing:
    """An officer with a passkey, in front of a decision that waits."""

    case: factories.Case
    officer: User
    key: SoftwareAuthenticator
    passkey: Passkey

    @property
    def terms(self) -> SigningTerms:
        return SigningTerms(
            vote=Vote.APPROVE,
            role=Role.COMPLIANCE,
            reason=factories.REASON,
            evidence_set_digest=self.case.decision.evidence_set_digest,
        )

    def prepare(self, at: datetime | None = None, officer: User | None = None, **changes: Any) -> SigningTicket:
        return signing_prepare(
            signer=officer or self.officer,
            request_id=self.case.request.id,
            terms=replace(self.terms, **changes),
            at=at or timezone.now(),
        )

    def sign(
        self,
        ticket: SigningTicket,
        assertion: Assertion,
        *,
        signer: User | None = None,
        credential: bytes | None = None,
        request_id: str | None = None,
        at: datetime | None = None,
    ) -> Signature:
        answer = PasskeyAnswer(ticket, credential or self.key.credential_id, assertion)
        return approval_sign(
            signer=signer or self.officer,
            request_id=request_id or self.case.request.id,
            intent=ticket_intent(answer),
            at=at or timezone.now(),
        )


def signing(*, count: int | None = None, **changes: Any) -> Signing:
    case = factories.waiting_case(**changes)
    key = device()
    key.count = count
    return Signing(case, case.officers[0], key, registered(case.officers[0], key))


def entry(subject: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(Entry.objects.get(subject_id=subject, event_type=kind).bytes))
    return found


# --- Success --------------------------------------------------------------------------------------------------------
def test_a_decision_is_signed_by_passkey_and_the_ledger_holds_all_that_checking_it_takes() -> None:
    desk = signing(count=3)
    ticket = desk.prepare()
    signature = desk.sign(ticket, desk.key.get(challenge(ticket)))
    assert desk.case.request.state == ApprovalState.APPROVED
    assert (signature.method, bytes(signature.statement)) == ("passkey", bytes(ticket.statement))
    told, made = entry(signature.id, "approval.signed"), entry(desk.passkey.id, "passkey.registered")
    statement = canonical_bytes(told["data"]["statement"])
    assert told["subject"]["digest"] == Digest.of(statement).text
    assert told["data"]["passkey"] == desk.passkey.id
    assert told["data"]["public_key"] == made["data"]["public_key"] == base64url_text(desk.key.cose)
    said = assertion_verify(
        Assertion.from_json(told["data"]["assertion"]),
        statement=statement,
        party=relying_party(),
        public_key=base64url_bytes(made["data"]["public_key"]),
    )
    assert said.sign_count == Passkey.objects.get(pk=desk.passkey.pk).sign_count == 5
    assert told["data"]["statement"] | {"vote": "approve", "signer": desk.officer.id} == told["data"]["statement"]


def test_a_refusal_is_signed_by_passkey_too_and_a_passkey_that_does_not_count_signs_again() -> None:
    desk = signing(quorum=2)
    ticket = desk.prepare(vote=Vote.REJECT)
    assert desk.sign(ticket, desk.key.get(challenge(ticket))).meaning.endswith("reject this use.")
    other = replace(desk, case=factories.waiting_case())
    again = other.prepare()
    other.sign(again, desk.key.get(challenge(again)))


# --- Attacks on a signature -----------------------------------------------------------------------------------------
def stale(desk: Signing, ticket: SigningTicket) -> Signature:
    factories.evidence(desk.case.producer, desk.case.version, auc=0.9)
    return desk.sign(ticket, desk.key.get(challenge(ticket)))


def renamed(desk: Signing, ticket: SigningTicket) -> Signature:
    User.objects.filter(pk=desk.officer.pk).update(last_name="Other")
    desk.officer.refresh_from_db()
    return desk.sign(ticket, desk.key.get(challenge(ticket)))


def revoked(desk: Signing, ticket: SigningTicket) -> Signature:
    now = timezone.now()
    proof = PasswordAndCode(factories.PASSWORD, "")
    passkey_revoke(actor=factories.administrator(), passkey=desk.passkey, proof=proof, reason=REASON, at=now)
    return desk.sign(ticket, desk.key.get(challenge(ticket)))


def somebody_elses_passkey(desk: Signing, ticket: SigningTicket) -> Signature:
    key = device()
    registered(desk.case.officers[1], key)
    return desk.sign(ticket, key.get(challenge(ticket)), credential=key.credential_id)


def somebody_elses_ticket(desk: Signing, ticket: SigningTicket) -> Signature:
    key = device()
    registered(desk.case.officers[1], key)
    return desk.sign(ticket, key.get(challenge(ticket)), signer=desk.case.officers[1], credential=key.credential_id)


def another_request(desk: Signing, ticket: SigningTicket) -> Signature:
    other = factories.waiting_case().request.id
    return desk.sign(ticket, desk.key.get(challenge(ticket)), request_id=other)


def mutated(desk: Signing, ticket: SigningTicket) -> Signature:
    answer = desk.key.get(challenge(ticket))
    data = answer.authenticator_data
    return desk.sign(ticket, replace(answer, authenticator_data=data[:-1] + bytes([data[-1] ^ 1])))


def counted_back(desk: Signing, ticket: SigningTicket) -> Signature:
    return desk.sign(ticket, desk.key.get(challenge(ticket), data={"count": 4}))


def other_device(desk: Signing, ticket: SigningTicket) -> Signature:
    return desk.sign(ticket, device().get(challenge(ticket)))


def answer_with(**changes: Any) -> Callable[[Signing, SigningTicket], Signature]:
    return lambda desk, ticket: desk.sign(ticket, desk.key.get(challenge(ticket), **changes))


ATTACKS: dict[str, tuple[Callable[[Signing, SigningTicket], Signature], type[GovernanceError], str]] = {
    "another challenge": (answer_with(challenge=base64url_text(bytes(32))), ReauthenticationError, "challenge"),
    "another origin": (answer_with(origin="https://evil.example"), ReauthenticationError, "asked by"),
    "within another page": (answer_with(crossOrigin=True), ReauthenticationError, "another site"),
    "nobody verified": (answer_with(data={"flags": PRESENT}), ReauthenticationError, "did not verify"),
    "nobody there": (answer_with(data={"flags": VERIFIED}), ReauthenticationError, "nobody touched"),
    "another party": (answer_with(data={"party": "evil.example"}), ReauthenticationError, "another party"),
    "now it may be copied": (
        answer_with(data={"flags": PRESENT | VERIFIED | ELIGIBLE}),
        ReauthenticationError,
        "may be copied",
    ),
    "another device": (other_device, ReauthenticationError, "not by the passkey"),
    "a passkey of somebody else": (somebody_elses_passkey, ReauthenticationError, "not registered for this person"),
    "a revoked passkey": (revoked, ReauthenticationError, "revoked"),
    "a counter that went back": (counted_back, ReauthenticationError, "counter went back"),
    "changed authenticator data": (mutated, ReauthenticationError, "not by the passkey"),
    "a ticket too old": (
        lambda desk, ticket: desk.sign(ticket, desk.key.get(challenge(ticket)), at=ticket.prepared_at + TICKET_FOR),
        ReauthenticationError,
        "120 seconds",
    ),
    "another person's ticket": (somebody_elses_ticket, SeparationOfDutiesError, "somebody else"),
    "a ticket for another request": (another_request, StaleEvidenceError, "not what was shown"),
    "new evidence": (stale, StaleEvidenceError, "evidence changed"),
    "another printed name": (renamed, ConflictError, "not so any more"),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_an_attack_signs_nothing_and_is_recorded_and_the_same_desk_signs_rightly(what: str) -> None:
    attack, error, words = ATTACKS[what]
    desk = signing(count=3)
    ticket = desk.prepare()
    with pytest.raises(error, match=words):
        attack(desk, ticket)
    assert not Signature.objects.filter(signer=desk.officer).exists()
    assert Entry.objects.filter(event_type="approval.refused", actor_id=desk.officer.id).exists() or what == (
        "another person's ticket"
    )
    if what not in {"new evidence", "a revoked passkey"}:
        desk.officer.refresh_from_db()
        fresh = desk.prepare()
        desk.key.count = 10
        desk.sign(fresh, desk.key.get(challenge(fresh)))


def test_a_ticket_and_its_answer_are_good_for_one_signature() -> None:
    desk = signing(quorum=2)
    ticket = desk.prepare()
    answer = desk.key.get(challenge(ticket))
    desk.sign(ticket, answer)
    with pytest.raises(ConflictError, match="has signed this request already"):
        desk.sign(ticket, answer)
    assert Signature.objects.filter(ticket=ticket).count() == 1


def test_wrong_answers_lock_signing_like_wrong_codes() -> None:
    desk = signing()
    ticket, now = desk.prepare(), timezone.now()
    for _ in range(5):
        with pytest.raises(ReauthenticationError, match="did not sign this"):
            desk.sign(ticket, device().get(challenge(ticket)), at=now)
    with pytest.raises(LockedError):
        desk.sign(ticket, desk.key.get(challenge(ticket)), at=now)


def test_nothing_is_prepared_that_could_not_be_signed() -> None:
    desk = signing()
    for signer, error in (
        (desk.case.author, SeparationOfDutiesError),
        (factories.administrator(), SeparationOfDutiesError),
        (desk.case.pipeline, HumanRequiredError),
        (desk.case.officers[1], ReauthenticationError),
    ):
        with pytest.raises(error):
            desk.prepare(officer=signer)
    with pytest.raises(RejectedInputError):
        desk.prepare(reason="short")
    with pytest.raises(StaleEvidenceError):
        desk.prepare(evidence_set_digest=Digest.of(b"x").text)
    assert not SigningTicket.objects.filter(request=desk.case.request).exists()
    desk.prepare()


# --- Registration ---------------------------------------------------------------------------------------------------
def test_a_passkey_is_registered_once_by_its_owner_with_proof_and_in_time() -> None:
    person, key, now = factories.person(Role.COMPLIANCE), device(), timezone.now()
    waiting = passkey_request(user=person, name="blue key", at=now)
    right = answered(waiting, key)

    def attempt(**changes: Any) -> Passkey:
        usual: dict[str, Any] = {"user": person, "passkey": waiting, "at": now} | right
        proof = changes.pop("proof", None) or factories.proof(person, now)
        return passkey_register(**(usual | changes), proof=proof)

    for changes, error, words in (
        ({"user": factories.person()}, SeparationOfDutiesError, "somebody else's"),
        ({"at": now + timedelta(minutes=10, seconds=1)}, ConflictError, "begin again"),
        (answered(waiting, key, origin="https://evil.example"), RejectedInputError, "asked by"),
        (answered(waiting, key, flags=PRESENT), RejectedInputError, "did not verify"),
        ({"proof": PasswordAndCode(factories.PASSWORD, "00000x")}, ReauthenticationError, "password or the code"),
    ):
        with pytest.raises(error, match=words):
            attempt(**changes)
        assert passkeys_of(person) == []
    assert attempt().registered_at == now
    assert [each.id for each in passkeys_of(person)] == [waiting.id]
    with pytest.raises(ConflictError, match="waits for no answer"):
        attempt()
    second = passkey_request(user=person, name="again", at=now)
    with pytest.raises(ConflictError, match="registered already"):
        attempt(passkey=second, **answered(second, key))


def test_who_never_signs_registers_none_and_only_owner_and_administrator_revoke() -> None:
    now = timezone.now()
    for user in (factories.administrator(), factories.service_account(factories.person())):
        with pytest.raises(HumanRequiredError):
            passkey_request(user=user, name="key", at=now)
    person = factories.person(Role.COMPLIANCE)
    with pytest.raises(RejectedInputError):
        passkey_request(user=person, name=" ", at=now)
    passkey = registered(person, device())
    stranger = factories.person(Role.COMPLIANCE)
    with pytest.raises(SeparationOfDutiesError):
        passkey_revoke(actor=stranger, passkey=passkey, proof=factories.proof(stranger), reason=REASON, at=now)
    no_code = PasswordAndCode(factories.PASSWORD, "")
    with pytest.raises(ReauthenticationError):
        passkey_revoke(actor=person, passkey=passkey, proof=no_code, reason=REASON, at=now)
    passkey_revoke(actor=person, passkey=passkey, proof=factories.proof(person), reason=REASON, at=now)
    assert entry(passkey.id, "passkey.revoked")["data"]["reason"] == REASON
    with pytest.raises(ConflictError, match="revoked already"):
        passkey_revoke(actor=factories.administrator(), passkey=passkey, proof=no_code, reason=REASON, at=now)


def test_the_address_without_tls_has_no_passkeys(settings: Any) -> None:
    settings.PASSKEY_RP_ID, settings.PASSKEY_ORIGINS = "notary.internal", ["http://notary.internal"]
    with pytest.raises(RejectedInputError, match="not served over TLS"):
        passkey_request(user=factories.person(), name="key", at=timezone.now())


# --- The door -------------------------------------------------------------------------------------------------------
def test_a_person_registers_signs_and_revokes_by_api() -> None:
    case, key = factories.waiting_case(), device()
    officer = case.officers[0]
    api, stranger = Api(factories.token(officer)), Api(factories.token(case.officers[1]))
    begun = require(api.post("passkeys", {"name": "blue key"}), 201)
    asked = begun["options"]
    assert (asked["attestation"], asked["authenticatorSelection"]) == ("none", {"userVerification": "required"})
    answer = key.create(asked["challenge"]) | {"password": factories.PASSWORD, "code": factories.code(officer)}
    address = f"passkeys/{begun['id']}/registration"
    require_problem(stranger.post(address, answer), 404, "unknown-record")
    require_problem(api.post(address, answer | {"clientDataJSON": "e30="}), 400, "validation-failed")
    assert require(api.post(address, answer), 200)["credential_id"] == base64url_text(key.credential_id)
    terms = {
        "vote": "approve",
        "role": "compliance",
        "reason": factories.REASON,
        "evidence_set_digest": case.decision.evidence_set_digest,
    }
    ticket = require(api.post(f"approval-requests/{case.request.id}/signing-tickets", terms), 201)
    assert [each["id"] for each in ticket["options"]["allowCredentials"]] == [base64url_text(key.credential_id)]
    assert ticket["options"]["challenge"] == base64url_text(Digest.of(canonical_bytes(ticket["statement"])).value)
    assertion = key.get(ticket["options"]["challenge"]).to_json()
    sent = assertion | {"credential_id": base64url_text(key.credential_id)}
    address = f"signing-tickets/{ticket['id']}/signature"
    require_problem(stranger.post(address, sent), 403, "separation-of-duties")
    require_problem(api.post(address, sent | {"signature": "AAAA"}), 403, "reauthentication-required")
    assert require(api.post(address, sent), 201)["method"] == "passkey"
    require_problem(api.post(address, sent), 409, "state-conflict")
    gone = {"reason": REASON, "password": factories.PASSWORD}
    lost = Api(factories.token(factories.administrator()))
    assert require(lost.post(f"passkeys/{begun['id']}/revocation", gone), 200)["revoked_at"]


# --- The same, for whoever writes SQL -------------------------------------------------------------------------------
CHANGES = {
    "another owner": "user_id = (SELECT id FROM governance_user WHERE is_superuser LIMIT 1)",
    "another domain": "rp_id = 'evil.example'",
    "another challenge": "challenge = '\\x00'",
    "another key": "public_key = '\\x00'",
    "another credential": "credential_id = '\\x00'",
    "another first moment": "registered_at = now()",
    "a copy": "backup_eligible = NOT backup_eligible",
    "a counter that goes back": "sign_count = sign_count - 1",
}


def refused(database: Database, role: str, statement: str, *parameters: object) -> type[psycopg.Error]:
    with psycopg.connect(database.environment[role]) as connection, pytest.raises(psycopg.Error) as refusal:
        connection.execute(statement, parameters)
    return refusal.type


@pytest.fixture(scope="module")
def desk(database: Database, keys: object) -> Signing:
    return signing(count=3, quorum=2)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("role", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_the_database_refuses_a_change_of_what_a_passkey_is(
    database: Database, desk: Signing, what: str, role: str
) -> None:
    factories.administrator()
    statement = f"UPDATE governance_passkey SET {CHANGES[what]} WHERE id = %s"  # noqa: S608
    assert refused(database, role, statement, desk.passkey.id) is RestrictViolation


PASSKEY = (
    "INSERT INTO governance_passkey (id, user_id, name, rp_id, challenge, requested_at{more}) "
    "VALUES ('psk_x', %s, 'n', 'x', decode(repeat('00', 32), 'hex'), now(){values})"
)


def test_the_database_refuses_a_passkey_of_who_never_signs_one_half_registered_and_a_credential_twice(
    database: Database, desk: Signing
) -> None:
    app = "DATABASE_URL"
    assert refused(database, app, PASSKEY.format(more="", values=""), factories.administrator().id) is RestrictViolation
    begun = PASSKEY.format(more=", registered_at", values=", now()")
    assert refused(database, app, begun, desk.officer.id) is RestrictViolation
    waiting = passkey_request(user=desk.officer, name="n", at=timezone.now()).id
    half = "UPDATE governance_passkey SET public_key = 'x' WHERE id = %s"
    assert refused(database, app, half, waiting) is CheckViolation
    twice = (
        "UPDATE governance_passkey SET (registered_at, credential_id, public_key, backup_eligible, sign_count) = "
        "(SELECT now(), credential_id, public_key, false, 0 FROM governance_passkey WHERE id = %s) WHERE id = %s"
    )
    assert refused(database, app, twice, desk.passkey.id, waiting) is UniqueViolation
    ended = "UPDATE governance_passkey SET revoked_at = now() WHERE id = %s"
    assert refused(database, app, ended, waiting) is CheckViolation


TICKET = (
    "INSERT INTO governance_signingticket (id, request_id, signer_id, statement, prepared_at, expires_at) "
    "VALUES ('tkt_x', %s, %s, 'x', now(), now() + %s::interval)"
)


def test_the_database_refuses_a_long_ticket_and_one_of_who_never_signs(database: Database, desk: Signing) -> None:
    request = desk.case.request.id
    assert refused(database, "DATABASE_URL", TICKET, request, desk.officer.id, "121 seconds") is CheckViolation
    superuser = factories.administrator().id
    assert refused(database, "DATABASE_URL", TICKET, request, superuser, "60 seconds") is RestrictViolation


SIGNATURE = (
    "INSERT INTO governance_signature (id, request_id, signer_id, printed_name, role, vote, meaning, reason, method, "
    "statement, statement_digest, signed_at, ticket_id, passkey_id, authenticator_data, client_data, assertion) "
    "SELECT 'sig_x', request_id, signer_id, 'n', 'compliance', 'approve', 'm', 'r', 'passkey', statement, 'd', "
    "prepared_at, id, %(passkey)s, 'a', 'c', 's' FROM governance_signingticket WHERE id = %(ticket)s"
)
FORGED = {
    "no passkey": (SIGNATURE.replace("%(passkey)s", "NULL"), RestrictViolation),
    "no assertion": (SIGNATURE.replace("'s' FROM", "NULL FROM"), CheckViolation),
    "another statement": (SIGNATURE.replace("'passkey', statement", "'passkey', 'x'"), RestrictViolation),
    "another time": (SIGNATURE.replace("prepared_at,", "expires_at,"), RestrictViolation),
    "no ticket": (SIGNATURE.replace("prepared_at, id", "prepared_at, NULL"), RestrictViolation),
    "a code, and a passkey beside it": (SIGNATURE.replace("'passkey', st", "'password+totp', st"), CheckViolation),
}


@pytest.mark.parametrize("what", FORGED)
def test_the_database_refuses_a_signature_by_passkey_that_was_not_prepared(
    database: Database, desk: Signing, what: str
) -> None:
    ticket = desk.prepare()
    statement, error = FORGED[what]
    given = {"passkey": desk.passkey.id, "ticket": ticket.id}
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        with pytest.raises(psycopg.Error) as refusal, connection.transaction():
            connection.execute(statement, given)
        assert refusal.type is error
        stranger = signing().passkey.id
        with pytest.raises(RestrictViolation), connection.transaction():
            connection.execute(SIGNATURE, given | {"passkey": stranger})
        with connection.transaction(force_rollback=True):
            connection.execute(SIGNATURE, given)


def test_no_passkey_and_no_ticket_is_deleted_or_changed(database: Database, desk: Signing) -> None:
    desk.prepare()
    for table in ("governance_passkey", "governance_signingticket"):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):  # noqa: S608
            assert refused(database, "DATABASE_URL", statement) is InsufficientPrivilege
        assert refused(database, "MIGRATION_DATABASE_URL", f"DELETE FROM {table}") is RestrictViolation  # noqa: S608
    changed = "UPDATE governance_signingticket SET statement = 'x'"
    assert refused(database, "DATABASE_URL", changed) is InsufficientPrivilege
    assert refused(database, "MIGRATION_DATABASE_URL", changed) is RestrictViolation
