"""Tokens: scoped, hashed, expiring, revocable, and useless when any character is wrong."""

import zlib
from collections.abc import Callable
from datetime import timedelta

import factories
import psycopg
import pytest
from api_driver import Api, require, require_problem
from conftest import Database
from django.conf import settings
from django.utils import timezone

from audit.models import Entry
from governance.actors import system_actor
from governance.enums import Scope
from governance.errors import HumanRequiredError, TokenError
from governance.models import ApiToken, User
from governance.services.people import service_account_create, token_authenticate, token_create, token_revoke


@pytest.fixture(scope="module")
def user(database: Database) -> User:
    return factories.person()


def with_checksum(body: str) -> str:
    return body + f"{zlib.crc32(body.encode()):08x}"


def other_letter(letter: str) -> str:
    return "A" if letter != "A" else "B"


WRONG: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "cut off at the end": lambda text: text[:-1],
    "cut off at the start": lambda text: text[1:],
    "one letter changed": lambda text: text[:30] + other_letter(text[30]) + text[31:],
    "its checksum changed": lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
    "another secret with the right checksum": lambda text: with_checksum(text[:16] + "A" * 43),
    "another key with the right checksum": lambda text: with_checksum("mn_" + "0" * 12 + text[15:-8]),
    "another prefix with the right checksum": lambda text: with_checksum("xx" + text[2:-8]),
    "a zero character": lambda text: with_checksum(text[:3] + "\0" * 12 + text[15:-8]),
    "letters beyond ASCII": lambda text: with_checksum(text[:-9] + "é"),
    "a space within": lambda text: text[:20] + " " + text[20:],
    "twice": lambda text: text + text,
    "a great many characters": lambda text: text * 1000,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_with_anything_wrong_opens_nothing(user: User, what: str) -> None:
    text = factories.token(user)
    with pytest.raises(TokenError):
        token_authenticate(text=WRONG[what](text), at=timezone.now())
    assert token_authenticate(text=text, at=timezone.now()).user == user
    if WRONG[what](text).isprintable() and WRONG[what](text).isascii():
        wrong = require_problem(Api(WRONG[what](text)).get("whoami"), 401, "token-invalid")
        assert "revoked" not in wrong["detail"]
    assert require(Api(text).get("whoami"), 200)["user"] == user.id


def test_a_wrong_secret_reads_like_an_unknown_key(user: User) -> None:
    text = factories.token(user)
    words = {
        require_problem(Api(WRONG[what](text)).get("whoami"), 401, "token-invalid")["detail"]
        for what in ("another secret with the right checksum", "another key with the right checksum")
    }
    assert words == {"unknown token"}


def test_a_token_ends_when_it_expires(user: User) -> None:
    created = timezone.now() - timedelta(days=2)
    text = factories.token(user, at=created, lifetime=timedelta(days=1))
    moment = created + timedelta(days=1)
    assert token_authenticate(text=text, at=moment - timedelta(microseconds=1)).user == user
    with pytest.raises(TokenError, match="expired"):
        token_authenticate(text=text, at=moment)
    assert "expired" in require_problem(Api(text).get("whoami"), 401, "token-invalid")["detail"]


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(days=366)])
def test_the_database_refuses_a_token_that_never_or_hardly_ends(user: User, lifetime: timedelta) -> None:
    with pytest.raises(Exception, match="token_expires_within_a_year"):
        factories.token(user, lifetime=lifetime)


def test_a_revoked_token_opens_nothing_and_is_recorded_once(user: User) -> None:
    text = factories.token(user)
    token = token_authenticate(text=text, at=timezone.now())
    for _ in range(2):
        token_revoke(actor=user, token=token, at=timezone.now())
    assert "revoked" in require_problem(Api(text).get("whoami"), 401, "token-invalid")["detail"]
    assert Entry.objects.filter(event_type="token.revoked", subject_id=token.id).count() == 1


def test_the_tokens_of_a_person_who_left_open_nothing(database: Database) -> None:
    leaver = factories.person()
    text = factories.token(leaver)
    assert require(Api(text).get("whoami"), 200)["user"] == leaver.id
    leaver.is_active = False
    leaver.save()
    require_problem(Api(text).get("whoami"), 401, "token-invalid")


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_another_scheme_is_no_token(user: User, scheme: str) -> None:
    answer = Api(None, Authorization=f"{scheme} {factories.token(user)}".strip()).get("whoami")
    require_problem(answer, 401, "not-authenticated")


def test_a_token_does_what_its_scopes_say_and_says_so(user: User) -> None:
    told = require(Api(factories.token(user, Scope.GATE_READ, Scope.AUDIT_READ)).get("whoami"), 200)
    assert sorted(told["scopes"]) == ["audit:read", "gate:read"]
    assert told["service"] is False


def test_a_service_account_cannot_get_the_scope_to_sign(user: User) -> None:
    pipeline = factories.service_account(user)
    before = (ApiToken.objects.count(), Entry.objects.count())
    with pytest.raises(HumanRequiredError):
        token_create(
            actor=system_actor("setup"),
            user=pipeline,
            name="t",
            scopes=[Scope.GATE_READ, Scope.APPROVAL_VOTE],
            expires_at=timezone.now() + timedelta(days=1),
            at=timezone.now(),
        )
    assert (ApiToken.objects.count(), Entry.objects.count()) == before


def test_a_service_account_belongs_to_a_person(user: User) -> None:
    pipeline = factories.service_account(user)
    with pytest.raises(HumanRequiredError):
        service_account_create(actor=system_actor("setup"), username="x", owner=pipeline, at=timezone.now())


@pytest.mark.parametrize("change", [{"owner": None}, {"is_staff": True}, {"is_superuser": True}])
def test_the_database_refuses_a_service_account_that_could_sign_in(user: User, change: dict[str, object]) -> None:
    pipeline = factories.service_account(user)
    for name, value in change.items():
        setattr(pipeline, name, value)
    with pytest.raises(Exception, match="service_account_has_owner_and_no_sign_in"):
        pipeline.save()


def test_the_secret_is_nowhere_in_the_database(database: Database, user: User) -> None:
    text = factories.token(user)
    secret = text[16:-8]
    with psycopg.connect(database.superuser_url) as connection:
        for statement in (
            "SELECT t::text FROM governance_apitoken t",
            "SELECT encode(bytes, 'escape') FROM ledger.body",
        ):
            assert all(secret not in row for (row,) in connection.execute(statement))


def test_a_token_made_under_another_pepper_opens_nothing(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    text = factories.token(user)
    monkeypatch.setattr(settings, "TOKEN_PEPPER", "2:" + "0" * 64)
    with pytest.raises(TokenError, match="unknown token"):
        token_authenticate(text=text, at=timezone.now())
