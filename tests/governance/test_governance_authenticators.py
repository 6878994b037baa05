"""Authenticator apps: enrolled by a first code, one code for one signature, locked after guesses, replaced."""

import html
import json
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, require, require_problem
from conftest import Database
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation

from audit.models import Entry
from governance.admin.qr import qr_drawing
from governance.enums import Role, Scope
from governance.errors import (
    ConflictError,
    HumanRequiredError,
    LockedError,
    ReauthenticationError,
    RejectedInputError,
    SeparationOfDutiesError,
)
from governance.models import Authenticator, Signature, User
from governance.services.authenticator_secrets import secret_open
from governance.services.authenticators import authenticator_confirm, authenticator_request, authenticator_revoke
from governance.services.one_time_codes import STEP_SECONDS, code_of, enrolment_uri, step_at, step_of
from governance.services.proofs import LOCKED_FOR, PasswordAndCode, authenticator_of, proof_require

pytestmark = pytest.mark.usefixtures("database", "keys")

REASON = "The phone was lost on a train on Monday."
STEP = timedelta(seconds=STEP_SECONDS)


def events(subject: str) -> list[str]:
    """What the ledger tells of a record, in order."""
    return list(Entry.objects.filter(subject_id=subject).order_by("body_id").values_list("event_type", flat=True))


def requested(user: User, at: datetime) -> Authenticator:
    return authenticator_request(user=user, name="phone", password=factories.PASSWORD, at=at)


# --- Codes ----------------------------------------------------------------------------------------------------------
# RFC 6238, appendix B, for SHA-1; of the eight digits there, ours are the last six.
RFC_SECRET = b32encode(b"12345678901234567890").decode()
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


@pytest.mark.parametrize("second", RFC_CODES)
def test_codes_are_those_of_the_standard(second: int) -> None:
    at = datetime.fromtimestamp(second, UTC)
    assert code_of(RFC_SECRET, step_at(at)) == RFC_CODES[second][-6:]


@pytest.mark.parametrize(
    ("off", "after", "found"),
    [
        (0, None, 0),
        (-1, None, -1),
        (1, None, 1),
        (-2, None, None),
        (2, None, None),
        (0, 0, None),
        (1, 0, 1),
        (-1, 0, None),
    ],
)
def test_a_code_fits_a_clock_one_step_off_and_never_a_step_that_was_used(
    off: int, after: int | None, found: int | None
) -> None:
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    now = step_at(at)
    given = step_of(RFC_SECRET, code_of(RFC_SECRET, now + off), at=at, after=None if after is None else now + after)
    assert given == (None if found is None else now + found)


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "-12345", "12.456"]
)
def test_what_is_no_code_fits_nothing(typed: str) -> None:
    assert step_of(RFC_SECRET, typed, at=datetime.fromtimestamp(59, UTC), after=None) is None


def test_spaces_within_a_code_are_left_out() -> None:
    assert step_of(RFC_SECRET, " 287 082 ", at=datetime.fromtimestamp(59, UTC), after=None) == 1


def test_the_qr_code_is_drawn_here_and_says_what_apps_read() -> None:
    uri = enrolment_uri(RFC_SECRET, account="nora", issuer="Model Notary x.example")
    assert uri.startswith("otpauth://totp/Model%20Notary%20x.example:nora?")
    assert f"secret={RFC_SECRET}" in uri
    drawing = qr_drawing(uri, "QR code")
    assert drawing.startswith("<svg")
    assert drawing.count("M") > 500
    assert RFC_SECRET not in drawing


# --- Enrolment ------------------------------------------------------------------------------------------------------
def test_an_authenticator_signs_once_its_first_code_was_given_and_its_secret_is_nowhere_in_the_clear(
    database: Database,
) -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    waiting = requested(person, now)
    secret = secret_open(waiting)
    assert authenticator_of(person) is None
    with pytest.raises(ReauthenticationError, match="not the code of now"):
        authenticator_confirm(user=person, authenticator=waiting, code="000 00", at=now)
    enrolled = authenticator_confirm(user=person, authenticator=waiting, code=code_of(secret, step_at(now)), at=now)
    assert authenticator_of(person) == enrolled
    assert events(waiting.id) == ["authenticator.requested", "authenticator.enrolled"]
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute(
            "SELECT a::text, encode(a.secret, 'escape') FROM governance_authenticator a"
        ).fetchall()
        bodies = connection.execute("SELECT encode(bytes, 'escape') FROM ledger.body").fetchall()
    assert secret not in str(rows)
    assert secret not in str(bodies)


def test_the_code_of_the_enrolment_signs_nothing() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    waiting = requested(person, now)
    first = code_of(secret_open(waiting), step_at(now))
    authenticator_confirm(user=person, authenticator=waiting, code=first, at=now)
    with pytest.raises(ReauthenticationError):
        proof_require(user=person, proof=PasswordAndCode(factories.PASSWORD, first), at=now)


def test_nobody_enrols_at_an_unlocked_screen_nor_for_somebody_else_nor_twice() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    with pytest.raises(ReauthenticationError, match="password is missing or wrong"):
        authenticator_request(user=person, name="phone", password="a guess", at=now)
    with pytest.raises(RejectedInputError, match="must tell the device"):
        authenticator_request(user=person, name="  ", password=factories.PASSWORD, at=now)
    waiting, other = requested(person, now), requested(person, now)
    code = code_of(secret_open(waiting), step_at(now))
    with pytest.raises(SeparationOfDutiesError, match="somebody else's"):
        authenticator_confirm(user=factories.person(), authenticator=waiting, code=code, at=now)
    late = now + timedelta(minutes=10, seconds=1)
    with pytest.raises(ConflictError, match="begin again"):
        authenticator_confirm(
            user=person, authenticator=waiting, code=code_of(secret_open(waiting), step_at(late)), at=late
        )
    authenticator_confirm(user=person, authenticator=waiting, code=code, at=now)
    with pytest.raises(ConflictError, match="revoke that one first"):
        requested(person, now)
    for again in (waiting, other):
        with pytest.raises(ConflictError):
            authenticator_confirm(user=person, authenticator=again, code=code, at=now)


@pytest.mark.parametrize("who", ["superuser", "service account"])
def test_who_never_signs_enrols_nothing(who: str) -> None:
    user = factories.administrator() if who == "superuser" else factories.service_account(factories.person())
    with pytest.raises(HumanRequiredError):
        requested(user, timezone.now())


def test_two_enrolments_at_once_leave_one_authenticator() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    waiting = [requested(person, now) for _ in range(2)]
    results = at_once(
        *(
            lambda each=each: authenticator_confirm(
                user=person, authenticator=each, code=code_of(secret_open(each), step_at(now)), at=now
            )
            for each in waiting
        )
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [ConflictError]


# --- Use ------------------------------------------------------------------------------------------------------------
def test_a_code_is_used_once_also_by_two_at_the_same_moment() -> None:
    person = factories.person(Role.COMPLIANCE)
    proof = factories.proof(person)
    now = timezone.now()
    results = at_once(*[lambda: proof_require(user=person, proof=proof, at=now)] * 4)
    assert [type(result) for result in results if result is not None] == [ReauthenticationError] * 3
    with pytest.raises(ReauthenticationError):
        proof_require(user=person, proof=proof, at=now)


def test_a_code_stays_used_though_the_signature_came_to_nothing_and_refused_ones_cost_none() -> None:
    case = factories.waiting_case()
    officer = case.officers[0]
    proof = factories.proof(officer)
    with pytest.raises(RejectedInputError):
        case.sign(officer, proof=proof, reason="short")
    case.sign(officer, proof=proof)
    other = factories.waiting_case()
    with pytest.raises(ReauthenticationError):
        other.sign(officer, proof=proof)
    assert not Signature.objects.filter(request=other.request).exists()


WRONG: dict[str, dict[str, Any]] = {
    "password alone": {"code": ""},
    "code alone": {"password": ""},
    "wrong password": {"password": "a guess"},
    "wrong code": {"code": "12345x"},
}


@pytest.mark.parametrize("what", WRONG)
def test_one_component_alone_signs_nothing_and_nothing_tells_which_was_wrong(what: str) -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    right = factories.proof(person, now)
    wrong = PasswordAndCode(**({"password": right.password, "code": right.code} | WRONG[what]))
    with pytest.raises(ReauthenticationError, match=r"^the password or the code is missing or wrong; "):
        proof_require(user=person, proof=wrong, at=now)
    proof_require(user=person, proof=right, at=now)  # a wrong attempt uses no code


def test_five_wrong_proofs_in_a_row_lock_signing_for_a_while_and_the_ledger_tells() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    factories.authenticator(person, now)
    guess = PasswordAndCode(factories.PASSWORD, "00000x")
    for _ in range(5):
        with pytest.raises(ReauthenticationError, match="missing or wrong"):
            proof_require(user=person, proof=guess, at=now)
    assert events(person.id)[-1] == "signing.locked"
    with pytest.raises(LockedError, match=r"signing is locked for .* until"):
        proof_require(user=person, proof=factories.proof(person, now), at=now)
    with pytest.raises(LockedError):
        requested(person, now)
    later = now + LOCKED_FOR
    with pytest.raises(ReauthenticationError, match="missing or wrong"):
        proof_require(user=person, proof=guess, at=later)
    assert events(person.id).count("signing.locked") == 2  # no five more guesses after each lock
    proof_require(user=person, proof=factories.proof(person, later + LOCKED_FOR), at=later + LOCKED_FOR)
    person.refresh_from_db()
    assert (person.signing_failures, person.signing_locked_until) == (0, None)


def test_guesses_at_once_are_counted_one_by_one() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    factories.authenticator(person, now)
    guess = PasswordAndCode("a guess", "123456")
    results = at_once(*[lambda: proof_require(user=person, proof=guess, at=now)] * 8)
    assert [type(result) for result in results].count(LockedError) == 3


# --- Its end --------------------------------------------------------------------------------------------------------
def test_a_stolen_password_puts_no_other_authenticator_in_the_place_of_the_own_one() -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    device = factories.authenticator(person, now)
    for who, proof, error in (
        (person, PasswordAndCode(factories.PASSWORD, "00000x"), ReauthenticationError),
        (factories.person(Role.COMPLIANCE), factories.proof(factories.person()), SeparationOfDutiesError),
        (factories.administrator(), PasswordAndCode("a guess", ""), ReauthenticationError),
    ):
        with pytest.raises(error):
            authenticator_revoke(actor=who, authenticator=device, proof=proof, reason=REASON, at=now)
    assert authenticator_of(person) == device


@pytest.mark.parametrize("who", ["owner", "administrator"])
def test_a_revoked_authenticator_signs_nothing_and_another_can_be_enrolled(who: str) -> None:
    person, now = factories.person(Role.COMPLIANCE), timezone.now()
    device = factories.authenticator(person, now)
    actor = person if who == "owner" else factories.administrator()
    proof = factories.proof(person, now) if who == "owner" else PasswordAndCode(factories.PASSWORD, "")
    with pytest.raises(RejectedInputError, match="at least 20"):
        authenticator_revoke(actor=actor, authenticator=device, proof=proof, reason="lost", at=now)
    authenticator_revoke(actor=actor, authenticator=device, proof=proof, reason=REASON, at=now)
    entry = Entry.objects.get(subject_id=device.id, event_type="authenticator.revoked")
    event = json.loads(bytes(entry.bytes))
    assert (event["actor"]["id"], event["data"]["reason"]) == (actor.id, REASON)
    with pytest.raises(ReauthenticationError, match="has no authenticator app yet"):
        proof_require(
            user=person,
            proof=PasswordAndCode(factories.PASSWORD, code_of(secret_open(device), step_at(now) + 1)),
            at=now,
        )
    with pytest.raises(ConflictError, match="revoked already"):
        authenticator_revoke(
            actor=factories.administrator(),
            authenticator=device,
            proof=PasswordAndCode(factories.PASSWORD, ""),
            reason=REASON,
            at=now,
        )
    factories.authenticator(person, now)
    proof_require(user=person, proof=factories.proof(person, now), at=now)


# --- Doors ----------------------------------------------------------------------------------------------------------
def words(response: Any) -> str:
    return html.unescape(response.content.decode())


def test_a_person_enrols_in_the_admin_and_sees_the_secret_until_the_first_code() -> None:
    person = factories.person(Role.COMPLIANCE)
    browser = signed_in(person)
    listed = words(browser.get(reverse("admin:governance_authenticator_changelist")))
    assert "Enrol an authenticator app" in listed
    enrol = reverse("admin:governance_authenticator_enrol")
    assert "Not begun. The password is missing or wrong." in words(
        browser.post(enrol, {"name": "work phone", "password": "a guess"})
    )
    begun = browser.post(enrol, {"name": "work phone", "password": factories.PASSWORD})
    confirm = begun["Location"]
    shown = words(browser.get(confirm))
    waiting = Authenticator.objects.get(user=person)
    secret = secret_open(waiting)
    assert secret[:4] in shown
    assert '<svg class="mn-qr"' in shown
    assert secret[:4] not in words(signed_in(factories.person(Role.COMPLIANCE)).get(confirm))
    assert "Not enrolled." in words(browser.post(confirm, {"code": "000000x"}))
    done = words(browser.post(confirm, {"code": code_of(secret, step_at(timezone.now()))}, follow=True))
    assert "Enrolled. You can sign with this authenticator." in done
    assert '<svg class="mn-qr"' not in words(browser.get(confirm))
    revoke = reverse("admin:governance_authenticator_revoke", args=[waiting.id])
    sent = {"reason": REASON, "password": factories.PASSWORD}
    assert (
        "only its owner and an administrator"
        in words(signed_in(factories.person(Role.COMPLIANCE)).post(revoke, {**sent, "code": "000000"})).lower()
    )
    assert "Revoked." in words(signed_in(factories.administrator()).post(revoke, sent, follow=True))


def test_an_officer_without_an_authenticator_is_told_to_enrol_and_offered_no_form() -> None:
    case = factories.waiting_case()
    shown = words(
        signed_in(factories.person(Role.COMPLIANCE)).get(
            reverse("admin:governance_decision_change", args=[case.decision.id])
        )
    )
    assert "You cannot sign it: enrol an authenticator app first" in shown


def test_a_person_enrols_by_api_and_nobody_elses_can_be_confirmed() -> None:
    person = factories.person(Role.COMPLIANCE)
    api = Api(factories.token(person))
    require_problem(
        api.post("authenticators", {"name": "laptop", "password": "a guess"}), 403, "reauthentication-required"
    )
    made = require(api.post("authenticators", {"name": "laptop", "password": factories.PASSWORD}), 201)
    first = {"code": code_of(made["secret"], step_at(timezone.now()))}
    address = f"authenticators/{made['id']}/confirmation"
    require_problem(Api(factories.token(factories.person())).post(address, first), 404, "unknown-record")
    require_problem(Api(factories.token(person, Scope.GATE_READ)).post(address, first), 403, "insufficient-scope")
    assert require(api.post(address, first), 200)["enrolled_at"]
    require_problem(api.post(address, first), 409, "state-conflict")


# --- The same, for whoever writes SQL -------------------------------------------------------------------------------
INSERT = (
    "INSERT INTO governance_authenticator (id, user_id, name, secret, requested_at{more}) "
    "VALUES ('atr_x', %s, 'n', '', now(){values})"
)
CHANGES = {
    "another owner": "user_id = (SELECT id FROM governance_user WHERE is_superuser LIMIT 1)",
    "another secret": "secret = 'x'",
    "another beginning": "requested_at = now()",
    "another first code": "enrolled_at = now()",
    "a used code free again": "last_step = last_step - 1",
    "no used code": "last_step = NULL",
}


def refused(database: Database, role: str, statement: str, *parameters: object) -> type[psycopg.Error]:
    with psycopg.connect(database.environment[role]) as connection, pytest.raises(psycopg.Error) as refusal:
        connection.execute(statement, parameters)
    return refusal.type


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("role", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_the_database_refuses_a_change_of_what_an_authenticator_is(database: Database, what: str, role: str) -> None:
    factories.administrator()
    device = factories.authenticator(factories.person())
    statement = f"UPDATE governance_authenticator SET {CHANGES[what]} WHERE id = %s"  # noqa: S608
    assert refused(database, role, statement, device.id) is RestrictViolation


def test_the_database_refuses_an_authenticator_of_who_never_signs_one_that_begins_enrolled_and_a_second_one(
    database: Database,
) -> None:
    person = factories.person()
    factories.authenticator(person)
    pipeline = factories.service_account(person)
    plain = INSERT.format(more="", values="")
    for user in (factories.administrator(), pipeline):
        assert refused(database, "DATABASE_URL", plain, user.id) is RestrictViolation
    enrolled = INSERT.format(more=", enrolled_at, last_step", values=", now(), 1")
    assert refused(database, "DATABASE_URL", enrolled, person.id) is RestrictViolation
    second = requested_beside(person)
    statement = "UPDATE governance_authenticator SET enrolled_at = now(), last_step = 1 WHERE id = %s"
    assert refused(database, "DATABASE_URL", statement, second) is UniqueViolation
    for column, error in (("enrolled_at", CheckViolation), ("revoked_at", CheckViolation)):
        statement = f"UPDATE governance_authenticator SET {column} = now() WHERE id = %s"  # noqa: S608
        assert refused(database, "DATABASE_URL", statement, second) is error


def requested_beside(person: User) -> str:
    """A second authenticator that waits for its first code, which the service refuses to begin."""
    return Authenticator.objects.create(user=person, name="n", secret=b"", requested_at=timezone.now()).id


def test_no_authenticator_is_deleted(database: Database) -> None:
    factories.authenticator(factories.person())
    for statement in ("DELETE FROM governance_authenticator", "TRUNCATE governance_authenticator CASCADE"):
        assert refused(database, "DATABASE_URL", statement) is InsufficientPrivilege
        assert refused(database, "MIGRATION_DATABASE_URL", statement) is RestrictViolation
