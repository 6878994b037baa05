"""What holds for every address of the API: closed without a token, open to no other method, and plain about errors."""

from dataclasses import dataclass
from pathlib import Path

import factories
import psycopg
import pytest
from api_driver import API, Api, changes, require, require_problem, snapshot
from conftest import Database
from django.conf import settings
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from faulty_urls import SECRET

from audit.models import Entry
from governance.api.base import GovernedView
from governance.enums import Role, Scope
from governance.models import Decision, User
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.digest import Digest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
UNKNOWN = Digest.of(b"never uploaded")
_PARTS = {"digest": UNKNOWN.text, "slug": "none", "log": "lineage"}


@dataclass(frozen=True)
class Address:
    path: str
    scopes: dict[str, Scope]


def addresses() -> list[Address]:
    """Every address under /api/v1, with names in place of its variable parts."""
    found = []
    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and str(resolver.pattern) == API.lstrip("/"):
            for pattern in resolver.url_patterns:
                assert isinstance(pattern, URLPattern)
                view = pattern.callback.view_class  # type: ignore[attr-defined]
                assert issubclass(view, GovernedView)
                path = str(pattern.pattern)
                for name in pattern.pattern.converters:
                    path = path.replace(f"<name:{name}>", _PARTS.get(name, "none"))
                    path = path.replace(f"<tile:{name}>", "tile/0/000")
                found.append(Address(API + path, dict(view.scopes)))
    return found


ADDRESSES = addresses()
CALLS = [(address.path, method, scope) for address in ADDRESSES for method, scope in address.scopes.items()]
FOREIGN = [
    (address.path, method)
    for address in ADDRESSES
    for method in METHODS
    if method not in address.scopes and not (method == "HEAD" and "GET" in address.scopes)
]


@pytest.fixture(scope="module")
def user(database: Database) -> User:
    return factories.person(Role.ENGINEER)


@pytest.fixture(scope="module")
def everything(user: User) -> str:
    """A token with every scope."""
    return factories.token(user)


def test_there_are_addresses_and_no_variable_part_was_left_out() -> None:
    assert len(ADDRESSES) > 25
    assert not [address.path for address in ADDRESSES if "<" in address.path]


@pytest.mark.parametrize(("path", "method", "scope"), CALLS)
def test_each_operation_is_closed_to_whoever_has_no_token_or_not_its_scope(
    database: Database, user: User, path: str, method: str, scope: Scope
) -> None:
    others = factories.token(user, *(other for other in Scope if other is not scope))
    before = snapshot(database)
    nobody = Api(None).call(method, path)
    require_problem(nobody, 401, "not-authenticated")
    assert nobody["WWW-Authenticate"] == 'Bearer realm="modelnotary"'
    require_problem(Api("mn_000000000000_made-up").call(method, path), 401, "token-invalid")
    detail = require_problem(Api(others).call(method, path), 403, "insufficient-scope")["detail"]
    assert scope.value in detail
    assert not changes(before, snapshot(database))


@pytest.mark.parametrize(("path", "method"), FOREIGN)
def test_each_address_refuses_the_methods_it_does_not_have(everything: str, path: str, method: str) -> None:
    answer = Api(everything).call(method, path)
    if method == "HEAD":
        assert answer.status_code == 405
    else:
        require_problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize(
    "path", ["/api/v1/", "/api/v1/nothing", "/api/v2/systems", "/nothing", "/api/v1/jobs/%00", "/api/v1/jobs/a%0Ab"]
)
def test_an_address_that_nothing_serves_is_not_found(everything: str, path: str) -> None:
    require_problem(Api(everything).call("GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("decisions/dec_none", "unknown-record"),
        ("decisions/dec_none/attestation", "unknown-record"),
        ("evidence/evd_none", "unknown-record"),
        ("approval-requests/apr_none", "unknown-record"),
        ("jobs/job_none", "unknown-record"),
        ("audit-events/evt_none/proof", "unknown-entry"),
        ("logs/mine/checkpoint", "unknown-entry"),
        ("logs/lineage/checkpoint", "unknown-entry"),
        ("logs/lineage/tile/0/000", "unknown-entry"),
        (f"model-versions/{UNKNOWN}", "unknown-artifact"),
    ],
)
def test_a_record_that_does_not_exist_is_unknown(everything: str, path: str, code: str) -> None:
    require_problem(Api(everything).get(path), 404, code)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"old_size": "1"}, 400, "validation-failed"),
        ({"old_size": "0", "new_size": "5"}, 400, "validation-failed"),
        ({"old_size": "1.5", "new_size": "5"}, 400, "validation-failed"),
        ({"old_size": "1", "new_size": "9" * 400}, 404, "unknown-entry"),
        ({"old_size": "1", "new_size": "2", "format": "xml"}, 404, "not-found"),
    ],
)
def test_a_consistency_proof_asks_for_two_sizes(everything: str, query: dict[str, str], status: int, code: str) -> None:
    require_problem(Api(everything).get("logs/lineage/consistency", **query), status, code)


def test_an_answer_in_another_type_is_not_given(everything: str) -> None:
    require_problem(Api(everything, Accept="text/html").get("whoami"), 406, "not-acceptable")


def test_a_request_for_another_host_is_refused_as_a_problem(database: Database) -> None:
    problem = require_problem(Api(None, Host="attacker.example").get("whoami"), 400, "bad-request")
    assert problem["type"].startswith(settings.PUBLIC_URL)


@pytest.mark.parametrize("method", ["GET", "POST"])
@override_settings(ROOT_URLCONF="faulty_urls")
def test_a_fault_of_ours_shows_a_trace_id_and_nothing_of_the_fault(
    everything: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Api(everything).call(method, "/api/v1/faulty")
    problem = require_problem(answer, 500, "internal-error")
    assert SECRET not in answer.content.decode()
    assert "Error" not in answer.content.decode()
    assert problem["trace_id"] in caplog.text
    assert SECRET in caplog.text


def test_nothing_is_decided_when_the_decision_key_cannot_be_read(
    database: Database, keys: Path, everything: str, tmp_path: Path
) -> None:
    version = factories.model_version(factories.person())
    question = {"digest": version.digest, "environment": factories.unique("production")}
    before = snapshot(database)
    with override_settings(KEYS_DIR=tmp_path):
        answer = Api(everything).post("decisions", question)
    assert str(tmp_path) not in answer.content.decode()
    require_problem(answer, 500, "internal-error")
    assert not changes(before, snapshot(database))
    assert require(Api(everything).post("decisions", question), 201)["state"] == "failed"


def test_every_error_that_the_product_knows_has_a_page_with_words(database: Database) -> None:
    def codes(kind: type[ModelNotaryError]) -> set[str]:
        return {kind.code}.union(*(codes(below) for below in kind.__subclasses__()))

    client = Client(SERVER_NAME="127.0.0.1")
    for code in sorted(codes(ModelNotaryError)):
        page = client.get(f"/problems/{code}")
        assert page.status_code == 200, code
        assert len(page.content) > len(code) + 10, code
    assert client.get("/problems/made-up").status_code == 404


def test_reading_a_governed_record_is_in_the_access_log_before_it_is_shown(
    database: Database, keys: Path, user: User, everything: str
) -> None:
    case = factories.waiting_case()
    api, question = Api(everything), {"digest": case.version.digest, "environment": case.environment}
    reads = {
        f"model-versions/{case.version.digest}": ("record.viewed", case.version.id),
        f"evidence/{case.evidence.id}": ("record.viewed", case.evidence.id),
        f"decisions/{case.decision.id}": ("record.viewed", case.decision.id),
        f"approval-requests/{case.request.id}": ("record.viewed", case.request.id),
    }
    for path, (event, subject) in reads.items():
        before = Entry.objects.filter(log="access", subject_id=subject, actor_id=user.id).count()
        require(api.get(path), 200)
        seen = Entry.objects.filter(log="access", subject_id=subject, actor_id=user.id)
        assert (seen.count(), seen.latest("body_id").event_type) == (before + 1, event)
    assert require(api.get("asserts", **question), 200)["allowed"] is False
    asked = Entry.objects.filter(event_type="gate.asserted", subject_id=case.decision.id).get()
    assert '"allowed":false' in bytes(asked.bytes).decode()


def test_a_read_that_cannot_be_logged_is_not_answered(database: Database, keys: Path, everything: str) -> None:
    case = factories.waiting_case()
    path = f"decisions/{case.decision.id}"
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION ledger.append(text, bytea) FROM mn_app")
        try:
            answer = Api(everything).get(path)
        finally:
            connection.execute("GRANT EXECUTE ON FUNCTION ledger.append(text, bytea) TO mn_app")
    require_problem(answer, 500, "internal-error")
    assert case.version.digest not in answer.content.decode()
    assert require(Api(everything).get(path), 200)["id"] == case.decision.id
    assert Decision.objects.filter(pk=case.decision.id).exists()
