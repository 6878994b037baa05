"""Which approved model decided about a person on a day: found by the product, sealed, committed to, and forgettable."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import Api, at_once, changes, require, require_problem, snapshot
from conftest import Database
from django.utils import timezone
from privacy_driver import forget

from audit.models import DataSubject, Entry
from governance.enums import HumanAction, Purpose, Role
from governance.errors import SeparationOfDutiesError
from governance.evidence.errors import EvidenceRefusedError
from governance.models import Decision, Finding, HumanOverride, PredictionBatch, PredictionRecord, User
from governance.services.deployments import deployment_record, deployment_retire
from governance.services.endings import revocation_confirm, revocation_propose
from governance.services.officers import Officer
from governance.services.prediction_search import Answer, predictions_find
from governance.services.predictions import Intervention, Prediction, predictions_record
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.merkle import leaf_hashes
from modelnotary.ledger.tree import tree_root

pytestmark = pytest.mark.usefixtures("database", "keys")
INPUT = Digest.of(b"the application")
DENIED: dict[str, Any] = {"score": 0.91, "verdict": "deny"}


@pytest.fixture(scope="module")
def reporter(database: Database) -> User:
    return factories.service_account(factories.person())


@pytest.fixture(scope="module")
def approved(database: Database, keys: object) -> factories.Case:
    """A version that was approved and deployed an hour or so ago, by the clock of the predictions."""
    case = factories.waiting_case()
    case.sign(case.officers[0])
    deployment_record(actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    return case


@pytest.fixture(scope="module")
def asker(database: Database) -> User:
    return factories.person(Role.PRIVACY)


def prediction(case: factories.Case, **changes: Any) -> Prediction:
    return factories.prediction(case.digest, case.environment, **changes)


def record(reporter: User, *made: Prediction | Intervention, at: datetime | None = None) -> list[PredictionRecord]:
    return predictions_record(
        reporter=reporter,
        predictions=[item for item in made if isinstance(item, Prediction)],
        interventions=[item for item in made if isinstance(item, Intervention)],
        at=at or timezone.now(),
    )


def ask(asker: User, subject: str, day: datetime | None = None) -> list[Answer]:
    asked = (day or timezone.now()).date()
    return predictions_find(asker=asker, subject=subject, day=asked, purpose=Purpose.PATIENT_REQUEST, at=timezone.now())


# --- The question -----------------------------------------------------------------------------------------------------
def test_what_decided_is_found_with_the_decision_that_stood_then(
    reporter: User, approved: factories.Case, asker: User
) -> None:
    said = prediction(approved)
    (stored,) = record(
        reporter, said, factories.intervention(said, action=HumanAction.MODIFY, output={"verdict": "approve"})
    )
    assert (stored.is_approved, stored.standing) == (True, "passed")
    (answer,) = ask(asker, said.subject)
    found = answer.record
    assert (found.model_version, found.decision, found.decision and found.decision.policy_version) == (
        approved.version,
        Decision.objects.get(pk=approved.decision.pk),
        approved.policy,
    )
    assert (found.deployment and found.deployment.decision_id, answer.warning) == (approved.decision.id, "")
    assert (answer.input_digest, answer.output) == (INPUT.text, DENIED)
    (made,) = answer.interventions
    assert (made.record.action, made.reason, made.output) == (
        "modify",
        "The applicant showed the missing statement.",
        {"verdict": "approve"},
    )
    assert ask(asker, said.subject, timezone.now() - timedelta(days=1)) == []
    assert ask(asker, factories.unique("never")) == []


def test_each_question_is_in_the_access_log_with_its_purpose(
    reporter: User, approved: factories.Case, asker: User
) -> None:
    said = prediction(approved)
    record(reporter, said)
    before = DataSubject.objects.count()
    ask(asker, said.subject)
    ask(asker, factories.unique("never"))
    entries = Entry.objects.filter(event_type="prediction.read", actor_id=asker.id).order_by("-body_id")[:2]
    nobody, somebody = (json.loads(bytes(entry.bytes)) for entry in entries)
    day = timezone.now().date().isoformat()
    assert somebody["data"] == {"purpose": "PATRQT", "day": day, "found": 1}
    assert somebody["subject"]["id"].startswith("sha256:")
    assert (nobody["data"]["found"], nobody["subject"]["id"]) == (0, "nobody")
    assert DataSubject.objects.count() == before
    for stranger in (factories.person(Role.ENGINEER), factories.administrator()):
        with pytest.raises(SeparationOfDutiesError):
            ask(stranger, said.subject)


def test_the_moment_decides_not_the_present(reporter: User, asker: User) -> None:
    case = factories.waiting_case()
    waiting = prediction(case)
    case.sign(case.officers[0])
    deployment = deployment_record(
        actor=case.pipeline, digest=case.digest, environment=case.environment, at=timezone.now()
    )
    standing, overdue = prediction(case), prediction(case, at=timezone.now())
    now = timezone.now()
    deployment_retire(actor=case.pipeline, deployment=deployment, reason="Replaced.", at=now)
    retired = prediction(case)
    officers = [Officer(factories.person(Role.MODEL_RISK), factories.PASSWORD) for _ in range(2)]
    proposal = revocation_propose(
        officer=officers[0], decision_id=case.decision.id, reason=factories.REASON, at=timezone.now()
    )
    revocation_confirm(officer=officers[1], proposal_id=proposal.id, at=timezone.now())
    after = prediction(case)
    before = prediction(case, at=case.decision.evaluated_at - timedelta(days=1))
    stored = record(reporter, waiting, standing, overdue, retired, after, before)
    assert [item.standing for item in stored] == ["pending", "passed", "passed", "passed", "revoked", ""]
    assert [item.is_approved for item in stored] == [False, True, True, True, False, False]
    assert [item.deployment_id for item in stored] == [None, deployment.id, deployment.id, None, None, None]
    (answer,) = ask(asker, after.subject)
    assert answer.warning.startswith(f"DECIDED WITHOUT APPROVAL: decision {case.decision.id}")
    (unasked,) = ask(asker, before.subject, before.at)
    assert "nobody had decided" in unasked.warning
    findings = Finding.objects.filter(subject_id=case.version.id, title__contains="without approval")
    assert (findings.count(), {item.severity for item in findings}) == (3, {"critical"})
    record(reporter, prediction(case))
    assert findings.all().count() == 3


def test_bytes_that_were_never_registered_are_recorded_and_shown_loudly(
    reporter: User, approved: factories.Case, asker: User
) -> None:
    unknown = Digest.of(factories.unique("bytes").encode())
    nameless = prediction(approved, model_digest=unknown)
    named = prediction(approved, model_digest=unknown, model=approved.version.model.slug)
    before = Finding.objects.count()
    stored = record(reporter, nameless, named)
    assert [(item.is_approved, item.model_version, item.decision) for item in stored] == [(False, None, None)] * 2
    (answer,) = ask(asker, nameless.subject)
    assert "NEVER REGISTERED" in answer.warning
    finding = Finding.objects.order_by("-opened_at")[0]
    assert (Finding.objects.count(), finding.subject_kind) == (before + 1, "system")


# --- The record -------------------------------------------------------------------------------------------------------
def test_one_entry_commits_to_every_record_of_a_batch(reporter: User, approved: factories.Case) -> None:
    said = [prediction(approved) for _ in range(5)]
    (first, *_) = record(reporter, *said, factories.intervention(said[2]))
    batch = PredictionBatch.objects.get(pk=first.batch_id)
    leaves: list[Any] = [*batch.predictionrecords.order_by("position"), *batch.humanoverrides.order_by("position")]
    assert [leaf.position for leaf in leaves] == list(range(6)) == list(range(batch.size))
    root = Digest(tree_root(leaf_hashes(bytes(leaf.document) for leaf in leaves)))
    (entry,) = Entry.objects.filter(event_type="predictions.recorded", subject_id=batch.id)
    told = json.loads(bytes(entry.bytes))
    assert (told["subject"]["digest"], batch.root) == (root.text, root.text)
    assert told["data"] == {"predictions": 5, "overrides": 1, "unapproved": 0}


def test_a_batch_sent_again_is_recorded_once_and_names_stay_what_they_were(
    database: Database, reporter: User, approved: factories.Case
) -> None:
    said = [prediction(approved) for _ in range(3)]
    overriding = factories.intervention(said[0])
    made: list[Prediction | Intervention] = [*said, overriding]
    first = record(reporter, *made)
    before = snapshot(database)
    again = record(reporter, *made)
    assert [item.id for item in again] == [item.id for item in first]
    assert not changes(before, snapshot(database))
    for other in (
        replace(said[1], output={"verdict": "approve"}),
        replace(said[1], subject=factories.unique("MRN")),
        replace(said[1], at=said[1].at - timedelta(seconds=1)),
    ):
        with pytest.raises(EvidenceRefusedError, match=r"/predictions/1/id: .* another content"):
            record(reporter, prediction(approved), other)
    with pytest.raises(EvidenceRefusedError, match=r"/overrides/0/id: .* another content"):
        record(reporter, replace(overriding, reason="Another."))
    extended = record(reporter, *said, prediction(approved))
    assert [item.id for item in extended[:3]] == [item.id for item in first]


def test_the_same_person_twice_a_day_and_two_batches_at_once(
    reporter: User, approved: factories.Case, asker: User
) -> None:
    subject = factories.unique("MRN")
    record(reporter, *(prediction(approved, subject=subject) for _ in range(20)))
    at_moment = [lambda: record(reporter, prediction(approved, subject=subject)) for _ in range(3)]
    kept = [item for item in at_once(*at_moment) if isinstance(item, list)]
    assert kept
    answers = ask(asker, subject)
    assert len(answers) == 20 + len(kept)
    assert len({bytes(answer.record.pseudonym) for answer in answers}) == len(answers)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "the future": ({"at": timedelta(minutes=5)}, "/predictions/0/at"),
    "a model that is not there": ({"model": "none"}, "/predictions/0/model"),
    "too much output": ({"output": "x" * 20_000}, "/predictions/0/output"),
    "NaN": ({"output": {"score": float("nan")}}, "/predictions/0/output"),
    "an id twice": ({"reference": "same"}, "/predictions/1/id"),
}
OVERRIDE_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no prediction": ({"prediction": uuid4()}, "/overrides/0/prediction"),
    "about somebody else": ({"subject": "somebody else"}, "/overrides/0/prediction"),
    "before it": ({"at": timedelta(days=-1)}, "/overrides/0/at"),
    "ahead": ({"at": timedelta(days=1)}, "/overrides/0/at"),
    "modified to nothing": ({"action": HumanAction.MODIFY}, "/overrides/0/output"),
    "accepted as something else": ({"action": HumanAction.ACCEPT, "output": 1}, "/overrides/0/output"),
}


def moments(change: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A change in which stretches of time are moments, counted from now."""
    return {name: now + value if isinstance(value, timedelta) else value for name, value in change.items()}


def test_every_fault_is_named_and_nothing_of_a_faulty_batch_is_kept(
    database: Database, reporter: User, approved: factories.Case
) -> None:
    now = timezone.now()
    good = prediction(approved, at=now)
    before = snapshot(database)
    for what, (change, pointer) in FAULTS.items():
        moved = moments(change, now)
        moved |= {"reference": good.reference} if "reference" in moved else {}
        with pytest.raises(EvidenceRefusedError) as refusal:
            record(reporter, replace(good, **({"reference": uuid4()} | moved)), good, at=now)
        assert [fault.pointer for fault in refusal.value.faults] == [pointer], what
    for what, (change, pointer) in OVERRIDE_FAULTS.items():
        moved = moments(change, now)
        with pytest.raises(EvidenceRefusedError) as refusal:
            record(reporter, good, replace(factories.intervention(good, at=now), **moved), at=now)
        assert [fault.pointer for fault in refusal.value.faults] == [pointer], what
    assert not changes(before, snapshot(database))
    assert record(reporter, good, at=now)


# --- Privacy ----------------------------------------------------------------------------------------------------------
def test_nothing_of_the_person_stands_in_a_column_or_an_entry(
    database: Database, reporter: User, approved: factories.Case, asker: User
) -> None:
    said = prediction(approved, output={"note": "UNMISTAKABLE-OUTPUT"}, input_digest=Digest.of(b"unmistakable"))
    record(reporter, said, factories.intervention(said, reason="UNMISTAKABLE-REASON"))
    ask(asker, said.subject)
    wanted = (said.subject, "UNMISTAKABLE-OUTPUT", "UNMISTAKABLE-REASON", said.input_digest.hex)
    with psycopg.connect(database.superuser_url) as connection:
        tables = connection.execute(
            "SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND NOT relispartition AND relnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)"
        ).fetchall()
        for (table,) in tables:
            for text in wanted:
                for needle in (text, text.encode().hex()):
                    query = f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s"  # noqa: S608
                    assert connection.execute(query.encode(), (f"%{needle}%",)).fetchall() == [(0,)], (table, text)


def test_a_forgotten_person_is_found_no_more_and_the_record_stays(
    database: Database, reporter: User, approved: factories.Case, asker: User
) -> None:
    said, other = prediction(approved), prediction(approved)
    (stored, _) = record(reporter, said, other, factories.intervention(said))
    root = stored.batch.root
    forget(database, said.subject)
    assert ask(asker, said.subject) == []
    assert len(ask(asker, other.subject)) == 1
    kept = PredictionRecord.objects.get(pk=stored.pk)
    assert (kept.batch.root, bytes(kept.document)) == (root, bytes(stored.document))
    leaves: list[Any] = [*kept.batch.predictionrecords.order_by("position"), *kept.batch.humanoverrides.all()]
    assert Digest(tree_root(leaf_hashes(bytes(leaf.document) for leaf in leaves))).text == root
    with pytest.raises(EvidenceRefusedError):
        record(reporter, factories.intervention(said))


# --- Doors ------------------------------------------------------------------------------------------------------------
def test_over_the_api_and_only_with_purpose_and_scope(reporter: User, approved: factories.Case, asker: User) -> None:
    pipeline, officer = Api(factories.token(reporter)), Api(factories.token(asker))
    name, subject, at = str(uuid4()), factories.unique("MRN"), timezone.now().isoformat()
    item = {
        "id": name,
        "model_digest": approved.version.digest,
        "environment": approved.environment,
        "at": at,
        "subject": subject,
        "input_digest": INPUT.text,
        "output": DENIED,
    }
    person = {"person": "u1", "person_name": "Dana Field", "reason": "Agreed."}
    body = {
        "predictions": [item],
        "overrides": [
            {"id": str(uuid4()), "prediction": name, "subject": subject, "action": "accept", "at": at} | person
        ],
    }
    answer = require(pipeline.post("predictions:batch", body), 201)
    assert (answer["unapproved"], answer["predictions"][0]["approved"]) == (0, True)
    assert require(pipeline.post("predictions:batch", body), 201) == answer
    require_problem(pipeline.post("predictions:batch", {}), 400, "validation-failed")
    require_problem(pipeline.post("predictions:batch", {"predictions": [item] * 1001}), 400, "validation-failed")
    faulty = {"predictions": [item | {"id": str(uuid4()), "model": "none"}, item | {"output": 1}]}
    problem = require_problem(pipeline.post("predictions:batch", faulty), 422, "validation-failed")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/predictions/0/model"]
    question = {"subject": subject, "day": timezone.now().date().isoformat(), "purpose": "PATRQT"}
    (found,) = require(officer.post("predictions:search", question), 200)["predictions"]
    assert (found["id"], found["approved"], found["standing"], found["output"]) == (name, True, "passed", DENIED)
    assert (found["policy_version"], found["overrides"][0]["action"]) == (approved.policy.id, "accept")
    for broken in ({"purpose": "CURIOUS"}, {"purpose": None}, {"day": "yesterday"}, {"subject": ""}):
        require_problem(officer.post("predictions:search", question | broken), 400, "validation-failed")
    engineer = Api(factories.token(factories.person(Role.ENGINEER)))
    require_problem(engineer.post("predictions:search", question), 403, "separation-of-duties")


def test_an_officer_asks_on_a_page_with_the_password(reporter: User, approved: factories.Case) -> None:
    said = prediction(approved, model_digest=Digest.of(b"never registered bytes"))
    record(reporter, said)
    officer = factories.person(Role.AUDITOR)
    browser, address = signed_in(officer), "/admin/governance/predictionrecord/ask/"
    sent = {
        "subject": said.subject,
        "day": timezone.now().date().isoformat(),
        "purpose": "PATRQT",
        "password": factories.PASSWORD,
    }
    refused = browser.post(address, sent | {"password": "wrong"})
    assert "is missing or wrong" in refused.content.decode()
    answer = browser.post(address, sent).content.decode()
    assert "NEVER REGISTERED" in answer
    assert "deny" in answer
    assert said.subject not in answer
    assert Entry.objects.filter(actor_id=officer.id, event_type="prediction.read").count() == 1
    assert "Ask" not in signed_in(factories.person(Role.ENGINEER)).get(address).content.decode().split("<form")[-1]


# --- The database -----------------------------------------------------------------------------------------------------
CLAIMS: dict[str, dict[str, Any]] = {
    "another version's decision": {"decision_id": "other"},
    "of another environment": {"environment": "elsewhere"},
    "other bytes": {"model_digest": "sha256:" + "0" * 64},
    "before it was made": {"at": "long ago"},
    "after it ran out": {"at": "far ahead"},
    "a standing without a decision": {"decision_id": None},
    "an override that is none": {"override_id": "none"},
}


def test_the_database_itself_refuses_an_approval_that_was_none(
    database: Database, reporter: User, approved: factories.Case
) -> None:
    (stored,) = record(reporter, prediction(approved))
    other = factories.waiting_case()
    denied = factories.waiting_case()
    values = {
        "other": other.decision.id,
        "long ago": "2020-01-01T00:00:00Z",
        "far ahead": "2099-01-01T00:00:00Z",
        "none": "ovr_none",
    }
    columns = [str(field.column) for field in PredictionRecord._meta.concrete_fields]
    errors = (psycopg.errors.RestrictViolation, psycopg.errors.CheckViolation)
    for what, change in [*CLAIMS.items(), ("never approved", {"decision_id": denied.decision.id})]:
        replaced = {"id": new_id("prd"), "reference": str(uuid4()), "position": 7, "pseudonym": what.encode()} | {
            name: values.get(value, value) if isinstance(value, str) else value for name, value in change.items()
        }
        chosen = ", ".join(f"%({name})s" if name in replaced else name for name in columns)
        sql = f"INSERT INTO governance_predictionrecord ({', '.join(columns)}) SELECT {chosen} FROM "  # noqa: S608
        with psycopg.connect(database.environment["DATABASE_URL"]) as connection, pytest.raises(errors):
            connection.execute(
                (sql + "governance_predictionrecord WHERE id = %(source)s").encode(), replaced | {"source": stored.id}
            )
        assert what
    assert HumanOverride.objects.filter(prediction=stored).count() == 0
