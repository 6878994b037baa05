"""What the API refuses: each refusal says why, and changes nothing; the same set-up done right succeeds."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import factories
import pytest
from api_driver import (
    FAILURE_COUNTED,
    REFUSAL_RECORDED,
    Api,
    at_once,
    body_of,
    changes,
    require,
    require_problem,
    snapshot,
)
from conftest import Database
from django.conf import settings
from django.http import HttpResponse

from audit.models import Entry
from governance.enums import ApprovalState, Role, Scope
from governance.models import Signature, User
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("keys")
UNKNOWN = Digest.of(b"never uploaded").text


@pytest.fixture(scope="module")
def case(database: Database) -> factories.Case:
    """A version whose decision waits for a signature."""
    return factories.waiting_case()


@pytest.fixture
def pipeline(case: factories.Case) -> Api:
    return Api(factories.token(case.pipeline))


@pytest.fixture
def unchanged(database: Database) -> Callable[[], frozenset[str]]:
    """Tells which tables changed since the test began."""
    before = snapshot(database)
    return lambda: changes(before, snapshot(database))


# --- Unknown digest -------------------------------------------------------------------------------------------------
def asking_about(digest: str, case: factories.Case) -> dict[str, Callable[[Api], HttpResponse]]:
    """Every call that names a model version by digest."""
    question = {"digest": digest, "environment": case.environment}
    payload = {"rows": 5, "expected_calibration_error": 0.1, "verdict": "pass"}
    evidence = {"subject": digest, "type": "calibration", "payload": payload}
    access = {
        "event": "phi.read",
        "at": "2026-11-21T10:00:00Z",
        "person": "dr-1",
        "person_name": "Dr. One",
        "patient": "p-1",
        "purpose": "TREAT",
        "resource": "score",
    }
    return {
        "reading a version": lambda api: api.get(f"model-versions/{digest}"),
        "reading its lineage": lambda api: api.get(f"model-versions/{digest}/lineage"),
        "depositing evidence": lambda api: api.post("evidence", evidence),
        "asking the gate": lambda api: api.get("asserts", **question),
        "requesting a decision": lambda api: api.post("decisions", question),
        "recording accesses": lambda api: api.post("access-records", {"model": digest, "accesses": [access]}),
    }


ASKING = ("reading a version", "reading its lineage", "depositing evidence", "asking the gate", "requesting a decision")


@pytest.mark.parametrize("what", [*ASKING, "recording accesses"])
def test_a_digest_that_nobody_registered_is_unknown(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]], what: str
) -> None:
    require_problem(asking_about(UNKNOWN, case)[what](pipeline), 404, "unknown-artifact")
    assert not unchanged()
    assert asking_about(case.version.digest, case)[what](pipeline).status_code in {200, 201, 202}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("models/{slug}/versions", {"digest": UNKNOWN}),
        ("deployments", {"digest": UNKNOWN, "environment": "production"}),
        ("assessments", {"kind": "bias", "model": UNKNOWN, "dataset": UNKNOWN}),
        ("documents", {"kind": "report", "model": UNKNOWN, "environment": "production"}),
    ],
)
def test_nothing_can_be_made_of_bytes_that_were_never_uploaded(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]], path: str, body: dict[str, str]
) -> None:
    answer = pipeline.post(path.format(slug=case.version.model.slug), body)
    require_problem(answer, 404, "unknown-artifact")
    assert not unchanged()


@pytest.mark.parametrize("digest", ["sha256:00", "md5:" + "0" * 64, UNKNOWN.upper(), UNKNOWN + "0", "latest"])
def test_what_is_no_digest_is_said_to_be_none(case: factories.Case, pipeline: Api, digest: str) -> None:
    require_problem(pipeline.get(f"model-versions/{digest}"), 422, "digest-malformed")
    require_problem(pipeline.put(f"artifacts/{digest}", b"x"), 400, "validation-failed")
    answer = pipeline.get("asserts", digest=digest, environment=case.environment)
    assert require_problem(answer, 400, "validation-failed")["errors"][0]["pointer"] == "/digest"


# --- Uploads --------------------------------------------------------------------------------------------------------
def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


class RunsWhenOpened:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os

        return os.system, ("false",)


UPLOADS: dict[str, tuple[Callable[[], bytes], Callable[[bytes], str], str]] = {
    "bytes that have another digest": (factories.model_bytes, lambda _: UNKNOWN, "digest-mismatch"),
    "bytes cut off on the way": (factories.model_bytes, lambda sent: Digest.of(sent + b"}").text, "digest-mismatch"),
    "a pickle": (lambda: pickle.dumps(RunsWhenOpened()), lambda sent: Digest.of(sent).text, "unsafe-model-format"),
    "an old pickle": (
        lambda: pickle.dumps(RunsWhenOpened(), protocol=0),
        lambda sent: Digest.of(sent).text,
        "unsafe-model-format",
    ),
}


@pytest.mark.parametrize("what", UPLOADS)
def test_an_upload_is_refused_and_leaves_no_file(
    pipeline: Api, unchanged: Callable[[], frozenset[str]], what: str
) -> None:
    make, declare, code = UPLOADS[what]
    sent = make()
    folders = [settings.NOTARY_HOME / name for name in ("artifacts", "uploads")]
    before = [files_in(folder) for folder in folders]
    require_problem(pipeline.put(f"artifacts/{declare(sent)}", sent), 422, code)
    assert not unchanged()
    assert [files_in(folder) for folder in folders] == before
    right = factories.model_bytes()
    assert require(pipeline.put(f"artifacts/{Digest.of(right)}", right), 201)["size"] == len(right)
    assert len(files_in(folders[0])) == len(before[0]) + 1


def test_stored_bytes_that_are_no_model_cannot_become_a_version(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]]
) -> None:
    table = b"a,b\n1,2\n"
    require(pipeline.put(f"artifacts/{Digest.of(table)}", table), 201)
    before = unchanged()
    path = f"models/{case.version.model.slug}/versions"
    require_problem(pipeline.post(path, {"digest": Digest.of(table).text}), 422, "validation-failed")
    assert unchanged() == before
    right = factories.model_bytes()
    require(pipeline.put(f"artifacts/{Digest.of(right)}", right), 201)
    assert require(pipeline.post(path, {"digest": Digest.of(right).text}), 201)["number"] == 2


def test_an_upload_longer_than_allowed_is_too_large(
    pipeline: Api, unchanged: Callable[[], frozenset[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = factories.model_bytes()
    monkeypatch.setattr(settings, "UPLOAD_LIMIT_BYTES", len(content) - 1)
    require_problem(pipeline.put(f"artifacts/{Digest.of(content)}", content), 413, "payload-too-large")
    assert not unchanged()


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_an_upload_that_was_interrupted_is_healed_by_the_next_one(pipeline: Api, damage: str) -> None:
    content = factories.model_bytes()
    address = f"artifacts/{Digest.of(content)}"
    require(pipeline.put(address, content), 201)
    stored = settings.NOTARY_HOME / "artifacts" / Digest.of(content).hex[:2] / Digest.of(content).hex
    stored.unlink()
    if damage == "cut off":
        stored.write_bytes(content[:10])
    require(pipeline.put(address, content), 201)
    assert stored.read_bytes() == content


def test_the_same_bytes_uploaded_many_times_at_once_are_kept_once(case: factories.Case) -> None:
    content = factories.model_bytes()
    token = factories.token(case.pipeline)
    address = f"artifacts/{Digest.of(content)}"
    answers = at_once(*(lambda: Api(token).put(address, content).status_code for _ in range(6)))
    assert answers == [201] * 6
    hex_digest = Digest.of(content).hex
    folder = settings.NOTARY_HOME / "artifacts" / hex_digest[:2]
    assert [path.read_bytes() for path in folder.glob(f"{hex_digest}*")] == [content]
    assert Entry.objects.filter(event_type="artifact.stored", subject_id=Digest.of(content).text).count() == 1


# --- Bodies ---------------------------------------------------------------------------------------------------------
SYSTEM = b'{"slug":"s","name":"n","operator":"o","purpose":"p","decision_supported":"d","affected_persons":"a",'
BODIES: dict[str, tuple[bytes, int, str]] = {
    "a key twice": (SYSTEM + b'"name":"m","jurisdiction":"US","contains_phi":false}', 400, "malformed-json"),
    "not a number": (SYSTEM + b'"jurisdiction":"US","contains_phi":NaN}', 400, "malformed-json"),
    "an infinity": (SYSTEM + b'"jurisdiction":"US","contains_phi":-Infinity}', 400, "malformed-json"),
    "a number too large": (SYSTEM + b'"jurisdiction":"US","contains_phi":1e999}', 400, "malformed-json"),
    "text after the end": (SYSTEM + b'"jurisdiction":"US","contains_phi":false} {}', 400, "malformed-json"),
    "a cut-off body": (SYSTEM, 400, "malformed-json"),
    "nothing": (b"", 400, "validation-failed"),
    "bytes that are no text": (b'{"slug":"\xff"}', 400, "malformed-json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "malformed-json"),
    "a zero character": (SYSTEM + b'"jurisdiction":"\\u0000","contains_phi":false}', 400, "malformed-json"),
    "a zero character in a key": (b'{"\\u0000":1}', 400, "malformed-json"),
    "half a surrogate pair": (SYSTEM + b'"jurisdiction":"\\ud800","contains_phi":false}', 400, "malformed-json"),
    "nesting without end": (b"[" * 100_000 + b"]" * 100_000, 400, "malformed-json"),
    "nesting too deep": (b'{"a":' * 40 + b"1" + b"}" * 40, 400, "malformed-json"),
    "four megabytes and more": (b'"' + b"x" * (4 * 1024 * 1024) + b'"', 413, "payload-too-large"),
    "a list": (b"[]", 400, "validation-failed"),
    "a text": (b'"system"', 400, "validation-failed"),
    "null": (b"null", 400, "validation-failed"),
    "an unknown field": (SYSTEM + b'"jurisdiction":"US","contains_phi":false,"owner":"me"}', 400, "validation-failed"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_cannot_be_meant_is_refused(
    pipeline: Api, unchanged: Callable[[], frozenset[str]], what: str
) -> None:
    body, status, code = BODIES[what]
    require_problem(pipeline.post("systems", raw=body), status, code)
    assert not unchanged()


def test_the_same_body_spelt_right_registers_a_system_once(pipeline: Api) -> None:
    right = SYSTEM + b'"jurisdiction":"US","contains_phi":false}'
    first, second = (require(pipeline.post("systems", raw=right), 201) for _ in range(2))
    assert first == second
    other = right.replace(b'"US"', b'"EU"')
    assert "jurisdiction" in require_problem(pipeline.post("systems", raw=other), 409, "state-conflict")["detail"]


@pytest.mark.parametrize("value", ["\\u0000", "\\ud800"])
@pytest.mark.parametrize("place", ["parameters", "metrics"])
def test_what_no_column_can_hold_is_refused_in_free_fields_too(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]], place: str, value: str
) -> None:
    raw = f'{{"digest":"{case.version.digest}","{place}":{{"x":["{value}"]}}}}'.encode()
    require_problem(pipeline.post(f"models/{case.version.model.slug}/versions", raw=raw), 400, "malformed-json")
    assert not unchanged()


def test_particulars_too_long_for_the_ledger_are_refused_with_the_whole_registration(
    case: factories.Case, pipeline: Api, database: Database
) -> None:
    content = factories.model_bytes()
    require(pipeline.put(f"artifacts/{Digest.of(content)}", content), 201)
    before = snapshot(database)
    path = f"models/{case.version.model.slug}/versions"
    body = {"digest": Digest.of(content).text, "parameters": {"notes": "n" * 70_000}}
    problem = require_problem(pipeline.post(path, body), 422, "event-malformed")
    assert "store the content elsewhere" in problem["detail"]
    assert not changes(before, snapshot(database))
    require(pipeline.post(path, body | {"parameters": {"notes": "n" * 60_000}}), 201)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_is_refused(pipeline: Api, unchanged: Callable[[], frozenset[str]], kind: str) -> None:
    right = SYSTEM + b'"jurisdiction":"US","contains_phi":false}'
    require_problem(pipeline.post("systems", raw=right, kind=kind), 415, "unsupported-media-type")
    assert not unchanged()


def test_every_wrong_field_is_named_by_its_pointer_in_one_answer(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]]
) -> None:
    access = {"event": "seen", "at": "yesterday", "person": "", "patient": "p", "purpose": "FUN", "resource": "r"}
    answer = pipeline.post("access-records", {"model": "latest", "accesses": [access]})
    pointers = {fault["pointer"] for fault in require_problem(answer, 400, "validation-failed")["errors"]}
    assert pointers == {
        "/model",
        *(f"/accesses/0/{field}" for field in ("event", "at", "person", "person_name", "purpose")),
    }
    assert not unchanged()


PAYLOADS: dict[str, tuple[int, str]] = {
    '{"auc":Infinity,"rows":5}': (400, "malformed-json"),
    '{"auc":0.9,"auc":0.8,"rows":5}': (400, "malformed-json"),
    '{"acu":0.9,"rows":5}': (422, "validation-failed"),
    '{"auc":0.9}': (422, "validation-failed"),
    '{"auc":NaN,"rows":5}': (400, "malformed-json"),
    '{"auc":"high","rows":5}': (422, "validation-failed"),
    '{"auc":true,"rows":5}': (422, "validation-failed"),
    '{"auc":0.9,"rows":5.5}': (422, "validation-failed"),
    '{"auc":0.9,"rows":9007199254740993}': (422, "validation-failed"),
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_evidence_that_no_rule_could_read_is_refused(
    case: factories.Case, pipeline: Api, unchanged: Callable[[], frozenset[str]], payload: str
) -> None:
    raw = f'{{"subject":"{case.version.digest}","type":"performance","payload":{payload}}}'.encode()
    problem = require_problem(pipeline.post("evidence", raw=raw), *PAYLOADS[payload])
    if problem["status"] == 422:
        assert problem["errors"]
        assert all(fault["pointer"].startswith("/payload") for fault in problem["errors"])
    assert not unchanged()


def test_the_types_of_evidence_are_listed_with_their_schemas(pipeline: Api) -> None:
    listed = require(pipeline.get("evidence-types"), 200)["types"]
    (performance,) = (item for item in listed if item["type"] == "performance")
    assert (performance["about"], performance["fresh_days"], performance["schema_version"]) == ("model_version", 365, 1)
    assert {"name": "performance.auc", "type": "number"} in performance["facts"]
    schema = require(pipeline.get("evidence-types/performance"), 200)["schema"]
    assert (schema["additionalProperties"], schema["required"]) == (False, ["rows"])
    require_problem(pipeline.get("evidence-types/none"), 404, "unknown-record")


# --- Signatures -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Refusal:
    """Who may not sign, or what a signature must not be."""

    who: Callable[[factories.Case], User]
    status: int
    code: str
    change: dict[str, Any] | None = None


def officer(case: factories.Case) -> User:
    return case.officers[0]


def drafter(case: factories.Case) -> User:
    assert case.policy.draft is not None
    return case.policy.draft.drafted_by


REFUSALS: dict[str, Refusal] = {
    "the author": Refusal(lambda case: case.author, 403, "separation-of-duties"),
    "who deposited the evidence": Refusal(lambda case: case.producer, 403, "separation-of-duties"),
    "who published the policy": Refusal(lambda case: case.publisher, 403, "separation-of-duties"),
    "who drafted the policy": Refusal(drafter, 403, "separation-of-duties"),
    "who asked for the decision": Refusal(lambda case: case.requester, 403, "separation-of-duties"),
    "a superuser": Refusal(lambda _: factories.administrator(), 403, "separation-of-duties"),
    "somebody without a role": Refusal(lambda _: factories.person(), 403, "separation-of-duties"),
    "somebody whose role the policy does not accept": Refusal(
        lambda _: factories.person(Role.ENGINEER), 403, "separation-of-duties", {"role": "engineer"}
    ),
    "the pipeline": Refusal(lambda case: case.pipeline, 403, "human-required"),
    "another service account": Refusal(lambda case: factories.service_account(case.officers[1]), 403, "human-required"),
    "a wrong password": Refusal(officer, 403, "reauthentication-required", {"password": "another pass phrase"}),
    "a wrong code": Refusal(officer, 403, "reauthentication-required", {"code": "not a code"}),
    "other evidence than was shown": Refusal(officer, 409, "evidence-changed", {"evidence_set_digest": UNKNOWN}),
    "no reason worth the name": Refusal(officer, 422, "validation-failed", {"reason": "fine" + " " * 30}),
}
MALFORMED: dict[str, dict[str, Any]] = {
    "no password": {"password": ""},
    "no code": {"code": ""},
    "a vote that is none": {"vote": "abstain"},
    "a role that does not exist": {"role": "boss"},
    "no reason": {"reason": ""},
    "no digest": {"evidence_set_digest": "none"},
}


def vote(case: factories.Case, **changes: Any) -> dict[str, Any]:
    return {
        "vote": "approve",
        "role": "compliance",
        "reason": factories.REASON,
        "evidence_set_digest": case.decision.evidence_set_digest,
        "password": factories.PASSWORD,
        "code": "000000",
    } | changes


@pytest.mark.parametrize("what", REFUSALS)
def test_a_signature_is_refused_recorded_as_refused_and_changes_nothing_else(database: Database, what: str) -> None:
    refusal, case = REFUSALS[what], factories.waiting_case()
    signer, address = refusal.who(case), f"approval-requests/{case.request.id}/votes"
    api = Api(factories.token(signer))
    before = snapshot(database)
    require_problem(api.post(address, vote(case, **(refusal.change or {}))), refusal.status, refusal.code)
    counted = FAILURE_COUNTED if refusal.code == "reauthentication-required" else frozenset()
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED | counted
    recorded = Entry.objects.get(event_type="approval.refused", subject_id=case.request.id)
    assert (recorded.actor_id, refusal.code in bytes(recorded.bytes).decode()) == (signer.id, True)
    assert factories.PASSWORD not in bytes(recorded.bytes).decode()
    # Another officer can still sign the very same request.
    other = case.officers[1]
    right = Api(factories.token(other)).post(address, vote(case, code=factories.code(other)))
    assert require(right, 201)["vote"] == "approve"
    case.request.refresh_from_db()
    assert case.request.state == ApprovalState.APPROVED


@pytest.mark.parametrize("what", MALFORMED)
def test_a_vote_with_a_wrong_field_is_refused_before_anybody_is_asked(database: Database, what: str) -> None:
    case = factories.waiting_case()
    api = Api(factories.token(case.officers[0]))
    before = snapshot(database)
    answer = api.post(f"approval-requests/{case.request.id}/votes", vote(case, **MALFORMED[what]))
    require_problem(answer, 400, "validation-failed")
    assert not changes(before, snapshot(database))


def test_a_token_without_the_scope_cannot_sign_for_its_owner(database: Database) -> None:
    case = factories.waiting_case()
    address = f"approval-requests/{case.request.id}/votes"
    weak = Api(factories.token(case.officers[0], Scope.GATE_READ, Scope.GATE_EVALUATE))
    before = snapshot(database)
    require_problem(weak.post(address, vote(case)), 403, "insufficient-scope")
    assert not changes(before, snapshot(database))
    strong = Api(factories.token(case.officers[0]))
    require(strong.post(address, vote(case, code=factories.code(case.officers[0]))), 201)


def test_a_request_that_does_not_exist_cannot_be_signed_nor_fill_the_ledger(
    case: factories.Case, database: Database
) -> None:
    users = (case.officers[0], case.pipeline, factories.administrator())
    apis = [Api(factories.token(user)) for user in users]
    before = snapshot(database)
    for api in apis:
        answer = api.post("approval-requests/apr_00000000000000000000000000000000/votes", vote(case))
        require_problem(answer, 404, "unknown-record")
    assert not changes(before, snapshot(database))


def test_a_request_that_is_closed_says_by_whom_and_when(database: Database) -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    address = f"approval-requests/{case.request.id}/votes"
    answer = Api(factories.token(case.officers[1])).post(address, vote(case))
    detail = require_problem(answer, 409, "state-conflict")["detail"]
    assert case.officers[0].printed_name in detail
    assert "UTC" in detail
    assert Signature.objects.filter(request=case.request).count() == 1


def test_a_refused_deployment_names_the_reason_and_is_not_recorded(database: Database) -> None:
    case = factories.waiting_case()
    api = Api(factories.token(case.pipeline))
    question = {"digest": case.version.digest, "environment": case.environment}
    before = snapshot(database)
    assert "0 of 1 signatures" in require_problem(api.post("deployments", question), 409, "gate-denied")["detail"]
    assert not changes(before, snapshot(database))
    case.sign(case.officers[0])
    assert body_of(api.get("asserts", **question))["allowed"] is True
    require(api.post("deployments", question), 201)
