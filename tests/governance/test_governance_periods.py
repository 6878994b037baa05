"""Periodic attestation: three people, in order, over the same bytes, permanently; overdue is a finding."""

import json
from datetime import date, timedelta
from typing import Any

import factories
import psycopg
import pytest
from admin_records import signed_in
from api_driver import at_once
from conftest import Database
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import CheckViolation, InsufficientPrivilege, RestrictViolation, UniqueViolation

from audit.models import Entry
from governance.enums import AttestationStep, FindingKind, Role, Severity, SubjectKind
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError
from governance.models import AttestationPeriod, AttestationSignOff, Finding, User
from governance.services.findings import FindingReport, finding_open
from governance.services.officers import Officer
from governance.services.periods import PeriodTerms, attestation_sign_off, content_shown, period_open
from governance.services.watch import findings_watch
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")
WHY = "Compared with the inventory of the platform, line by line."
SUBMITTED, REVIEWED, APPROVED = AttestationStep
DAY = timedelta(days=1)


def person() -> User:
    return factories.person(Role.MODEL_RISK)


def period(case: factories.Case | None = None, **changes: Any) -> AttestationPeriod:
    standard: dict[str, Any] = {
        "system": (case or factories.waiting_case()).version.model.system,
        "starts_on": date(2026, 7, 1),
        "ends_on": date(2026, 9, 30),
        "due_at": timezone.now() + 10 * DAY,
        "submitter": person(),
        "reviewer": person(),
        "approver": person(),
    }
    opener = Officer(factories.person(Role.COMPLIANCE), factories.PASSWORD)
    return period_open(officer=opener, terms=PeriodTerms(**(standard | changes)), at=timezone.now())


def shown(of: AttestationPeriod) -> str:
    return Digest.of(content_shown(period=of, at=timezone.now())).text


def sign(of: AttestationPeriod, step: AttestationStep, by: User | None = None, digest: str = "") -> AttestationSignOff:
    named = {SUBMITTED: of.submitter, REVIEWED: of.reviewer, APPROVED: of.approver}
    return attestation_sign_off(
        officer=Officer(by or named[step], factories.PASSWORD),
        period_id=of.id,
        step=step,
        content_digest=digest or shown(of),
        reason=WHY,
        at=timezone.now(),
    )


def finding(case: factories.Case) -> Finding:
    report = FindingReport(
        kind=FindingKind.LIMITATION,
        severity=Severity.LOW,
        title="Few rows",
        description="Groups are small in the sample of the second year.",
        remediation="Assess on more.",
        subject_kind=SubjectKind.MODEL_VERSION,
        subject_id=case.version.id,
        owner=person(),
        escalates_to=person(),
        due_at=timezone.now() + DAY,
    )
    return finding_open(officer=Officer(person(), factories.PASSWORD), report=report, at=timezone.now())


def test_three_people_sign_the_same_bytes_in_order_and_for_good() -> None:
    case = factories.waiting_case()
    found, attested = finding(case), period(case)
    for step in (REVIEWED, APPROVED):
        with pytest.raises(ConflictError, match="waits to be submitted"):
            sign(attested, step)
    submitted = sign(attested, SUBMITTED)
    content = json.loads(bytes(submitted.content or b""))
    assert [item["id"] for item in content["findings"]] == [found.id]
    assert content["models"][0]["versions"][0]["digest"] == case.version.digest
    finding(case)  # what was submitted stays what it was
    review, approval = sign(attested, REVIEWED), sign(attested, APPROVED)
    assert submitted.content_digest == review.content_digest == approval.content_digest
    assert json.loads(bytes(approval.statement))["printed_name"] == attested.approver.printed_name
    with pytest.raises(ConflictError, match="it is complete"):
        sign(attested, APPROVED)
    entries = Entry.objects.filter(event_type="attestation.signed", subject_id=attested.id).order_by("body_id")
    steps = [json.loads(bytes(entry.bytes))["data"]["step"] for entry in entries]
    assert steps == ["submitted", "reviewed", "approved"]


def test_only_who_is_named_signs_and_only_what_was_on_the_screen() -> None:
    case = factories.waiting_case()
    attested = period(case)
    for other in (attested.reviewer, attested.approver, person()):
        with pytest.raises(SeparationOfDutiesError, match="not named"):
            sign(attested, SUBMITTED, other)
    before = shown(attested)
    finding(case)
    with pytest.raises(ConflictError, match="not what was shown"):
        sign(attested, SUBMITTED, digest=before)
    assert not attested.sign_offs.exists()


def test_a_period_without_three_people_or_over_another_is_refused() -> None:
    case, twice = factories.waiting_case(), person()
    with pytest.raises(SeparationOfDutiesError):
        period(case, submitter=twice, approver=twice)
    for changes in (
        {"ends_on": date(2026, 6, 30)},
        {"due_at": timezone.now() - DAY},
        {"reviewer": factories.service_account(factories.person())},
        {"approver": factories.administrator()},
    ):
        with pytest.raises(RejectedInputError):
            period(case, **changes)
    period(case)
    with pytest.raises(ConflictError, match="covers days"):
        period(case, starts_on=date(2026, 9, 30), ends_on=date(2026, 12, 31))


def test_two_who_submit_at_once_submit_once() -> None:
    attested = period()
    results = at_once(*[lambda: sign(attested, SUBMITTED)] * 4)
    assert sum(isinstance(result, AttestationSignOff) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 3


def test_an_overdue_attestation_is_a_finding_once_and_an_approved_one_is_not() -> None:
    late, done = period(), period()
    for step in AttestationStep:
        sign(done, step)
    at = timezone.now() + 11 * DAY
    for _ in range(2):
        findings_watch(at=at)
    (found,) = Finding.objects.filter(cause=f"attestation:{late.id}")
    assert (found.owner, found.subject_kind, found.system) == (late.submitter, "system", late.system)
    assert not Finding.objects.filter(cause=f"attestation:{done.id}").exists()


def columns(record: AttestationPeriod | AttestationSignOff) -> dict[str, Any]:
    return {str(field.column): getattr(record, field.attname) for field in type(record)._meta.concrete_fields}


def insert(database: Database, table: str, row: dict[str, Any]) -> None:
    statement = f"INSERT INTO governance_{table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"  # noqa: S608
    with psycopg.connect(database.environment["DATABASE_URL"]) as raw:
        raw.execute(statement.encode(), tuple(row.values()))


def test_raw_sql_meets_every_rule_about_attestations(database: Database) -> None:
    attested, robot = period(), factories.service_account(factories.person()).id
    submitted = sign(attested, SUBMITTED)
    row = columns(attested)
    row |= {"id": new_id("atp"), "starts_on": date(2027, 1, 1), "ends_on": date(2027, 3, 31)}
    signed = {
        str(field.column): getattr(submitted, field.attname) for field in AttestationSignOff._meta.concrete_fields
    }
    review = signed | {"id": new_id("ats"), "kind": "reviewed", "by_id": attested.reviewer_id, "content": None}
    other = period()
    refused: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("attestationperiod", row | {"reviewer_id": row["submitter_id"]}, RestrictViolation),
        ("attestationperiod", row | {"approver_id": robot}, RestrictViolation),
        ("attestationperiod", row | {"approver_id": factories.administrator().id}, RestrictViolation),
        ("attestationperiod", row | {"ends_on": date(2026, 12, 31)}, CheckViolation),
        ("attestationperiod", row | {"starts_on": attested.ends_on}, RestrictViolation),
        ("attestationsignoff", review | {"by_id": attested.approver_id}, RestrictViolation),
        ("attestationsignoff", review | {"kind": "approved", "by_id": attested.approver_id}, RestrictViolation),
        ("attestationsignoff", review | {"content_digest": Digest.of(b"").text}, RestrictViolation),
        ("attestationsignoff", review | {"statement": b"other"}, RestrictViolation),
        ("attestationsignoff", review | {"content": b"x"}, CheckViolation),
        ("attestationsignoff", signed | {"id": new_id("ats")}, UniqueViolation),
        (
            "attestationsignoff",
            signed | {"id": new_id("ats"), "period_id": other.id, "by_id": other.submitter_id, "content": b"x"},
            RestrictViolation,
        ),
    ]
    for table, values, error in refused:
        with pytest.raises(psycopg.Error) as refusal:
            insert(database, table, values)
        assert isinstance(refusal.value, error), (table, values, refusal.value)
    insert(database, "attestationsignoff", review)
    for table in ("attestationperiod", "attestationsignoff"):
        for url, error in (("DATABASE_URL", InsufficientPrivilege), ("MIGRATION_DATABASE_URL", RestrictViolation)):
            for statement in ("UPDATE {} SET id = upper(id)", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
                expected = RestrictViolation if (table, statement[:6]) == ("attestationperiod", "UPDATE") else error
                with psycopg.connect(database.environment[url]) as raw, pytest.raises(expected):
                    raw.execute(statement.format(f"governance_{table}").encode())


def test_a_period_is_opened_and_signed_off_in_the_admin() -> None:
    case, people = factories.waiting_case(), [person() for _ in range(3)]
    opening = signed_in(factories.person(Role.COMPLIANCE))
    names = dict(zip(("submitter", "reviewer", "approver"), (each.username for each in people), strict=True))
    sent = {
        "system": case.version.model.system.slug,
        "starts_on": "2026-07-01",
        "ends_on": "2026-09-30",
        "due_on": (timezone.now() + 5 * DAY).date().isoformat(),
        "password": factories.PASSWORD,
    } | names
    address = reverse("admin:governance_attestationperiod_open")
    assert "no account of that name" in opening.post(address, sent | {"reviewer": "nobody"}).content.decode()
    assert opening.post(address, sent).status_code == 302
    attested = AttestationPeriod.objects.get(system=case.version.model.system)
    page = reverse("admin:governance_attestationperiod_change", args=[attested.id])
    for name, user in zip(("submit", "review", "approve"), people, strict=True):
        site = signed_in(user)
        step = reverse(f"admin:governance_attestationperiod_{name}", args=[attested.id])
        assert step in site.get(page).content.decode()
        assert step not in opening.get(page).content.decode()
        signing = {"reason": WHY, "password": factories.PASSWORD, "content_digest": shown(attested)}
        assert site.post(step, signing).status_code == 302
    assert "Approved" in opening.get(reverse("admin:governance_attestationperiod_changelist")).content.decode()
