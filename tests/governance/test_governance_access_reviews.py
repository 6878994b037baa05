"""Closing accounts, and reviewing what everybody holds."""

import csv
import io
from datetime import timedelta
from typing import Any

import admin_records
import factories
import psycopg
import pytest
from api_driver import REFUSAL_RECORDED, Api, changes, require_problem, snapshot
from conftest import Database
from django.urls import reverse
from django.utils import timezone
from psycopg import sql
from psycopg.errors import RestrictViolation

from audit.models import Entry
from governance.enums import AccessDecisionKind, Role, Scope
from governance.errors import ConflictError, GovernanceError, RejectedInputError, SeparationOfDutiesError
from governance.models import AccessReview, AccessReviewLine, Deactivation, User
from governance.selectors.access import COLUMNS, DORMANT_AFTER, access_held, late_review
from governance.selectors.handover import open_steps, publishers_left
from governance.selectors.people import roles_at
from governance.services.deactivation import account_deactivate, deactivation_hindrance, deactivation_warning
from governance.services.officers import Officer
from governance.services.proofs import authenticator_of
from governance.services.reviews import line_decide, review_close, review_open
from modelnotary.ids import new_id

DAY = timedelta(days=1)
KEPT, REMOVED = AccessDecisionKind.KEPT, AccessDecisionKind.REMOVED


@pytest.fixture(scope="module", autouse=True)
def ready(database: Database, keys: object) -> None:
    """Every test here needs the database."""


def administrator() -> Officer:
    return Officer(factories.administrator(), factories.PASSWORD)


def officer(role: Role = Role.COMPLIANCE) -> Officer:
    return Officer(factories.person(role), factories.PASSWORD)


def close(user: User, by: Officer | None = None, **changed: Any) -> Deactivation:
    asked: dict[str, Any] = {
        "officer": by or administrator(),
        "user": user,
        "reason": factories.REASON,
        "at": timezone.now(),
    }
    return account_deactivate(**(asked | changed))


# --- Closing an account -----------------------------------------------------------------------------------------------
def test_a_closed_account_does_nothing_any_more_and_what_it_did_stays() -> None:
    case = factories.waiting_case(quorum=2)
    leaver = case.officers[0]
    case.sign(leaver)
    token, browser = factories.token(leaver), admin_records.signed_in(leaver)
    inbox = reverse("admin:governance_approvalrequest_changelist")
    assert browser.get(inbox).status_code == 200
    close(leaver)
    leaver.refresh_from_db()
    assert (leaver.is_active, leaver.has_usable_password()) == (False, False)
    assert roles_at(user=leaver, at=timezone.now()) == frozenset()
    assert authenticator_of(leaver) is None
    require_problem(Api(token).get("whoami"), 401, "token-invalid")
    assert browser.get(inbox).status_code == 302
    assert case.request.signatures.get().signer == leaver
    assert Entry.objects.filter(event_type="user.deactivated", subject_id=leaver.id).count() == 1
    with pytest.raises(ConflictError, match="closed already"):
        close(leaver)
    with pytest.raises(GovernanceError, match="no person with an active account"):
        factories.role_granted(leaver, Role.PRIVACY)


@pytest.mark.parametrize("who", ["an officer", "themselves", "a service account", "without the password", "no reason"])
def test_only_another_administrator_closes_an_account_with_a_reason(database: Database, who: str) -> None:
    user, by = factories.person(Role.ENGINEER), administrator()
    attempts: dict[str, dict[str, Any]] = {
        "an officer": {"by": officer()},
        "themselves": {"user": by.user, "by": by},
        "a service account": {"by": Officer(factories.service_account(user), "")},
        "without the password": {"by": Officer(by.user, "another")},
        "no reason": {"by": by, "reason": "left"},
    }
    attempt = {"user": user} | attempts[who]
    before = snapshot(database)
    with pytest.raises(GovernanceError):
        close(**attempt)
    assert changes(before, snapshot(database)) == REFUSAL_RECORDED
    user.refresh_from_db()
    assert user.is_active


LEAVINGS = (
    "UPDATE governance_user SET is_active = false WHERE id = %s",
    "UPDATE governance_user SET is_superuser = false WHERE id = %s",
)


def test_somebody_always_administers_the_installation(database: Database) -> None:
    last, by = administrator(), administrator()
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE governance_user SET is_active = false WHERE is_superuser AND id NOT IN (%s)", (last.user.id,)
        )
        for change in LEAVINGS:
            with pytest.raises(RestrictViolation, match="last administrator"), connection.transaction():
                connection.execute(change, (last.user.id,))
        connection.rollback()
    assert deactivation_hindrance(user=by.user, other=last.user) is None
    assert "own account" in (deactivation_hindrance(user=by.user, other=by.user) or "")


def test_what_waits_for_a_leaver_is_listed_so_that_it_can_be_handed_over() -> None:
    case = factories.waiting_case()
    leaver = case.author
    finding, period = admin_records.finding_make(case), admin_records.period_make(case)
    exception = admin_records.exception_make(case)
    for person, words, record in (
        (leaver, "owns the system", case.version.model.system),
        (leaver, "answers for the service account", case.pipeline),
        (finding.owner, "has to see to the finding", finding),
        (finding.escalates_to, "is told when the finding is late", finding),
        (period.reviewer, "is named in the attestation", period),
        (exception.owner, "answers for the risk of the exception", exception),
    ):
        assert (words, record.pk) in {(said, item.pk) for said, item in open_steps(user=person, at=timezone.now())}
    assert not list(open_steps(user=case.officers[1], at=timezone.now()))


def test_whoever_is_among_the_last_who_publish_is_told_of_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    publisher, engineer = factories.person(Role.COMPLIANCE), factories.person(Role.ENGINEER)
    left = publishers_left(without=publisher, at=timezone.now())
    assert left is not None
    assert publishers_left(without=engineer, at=now) is None
    assert (deactivation_warning(user=publisher, at=timezone.now()) is None) == (left >= 2)
    monkeypatch.setattr("governance.services.deactivation.PUBLISHERS_WANTED", left + 1)
    assert f"{left} of the" in (deactivation_warning(user=publisher, at=timezone.now()) or "")


def test_sql_opens_no_closed_account_and_closes_none_alone(database: Database) -> None:
    closed, by = factories.person(), administrator()
    close(closed, by)
    insert = (
        "INSERT INTO governance_deactivation (id, user_id, deactivated_by_id, reason, at) "
        "VALUES (%s, %s, %s, %s, now())"
    )
    open_one = factories.person()
    refused = (
        ("UPDATE governance_user SET is_active = true WHERE id = %s", (closed.id,)),
        (insert, (new_id("dea"), open_one.id, factories.person(Role.PRIVACY).id, "x")),
        (insert, (new_id("dea"), by.user.id, by.user.id, "x")),
        (insert, (new_id("dea"), open_one.id, by.user.id, "")),
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for statement, values in refused:
            with pytest.raises(RestrictViolation), connection.transaction():
                connection.execute(statement.encode(), values)
    with psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as connection:
        for statement in ("UPDATE governance_deactivation SET reason = 'y'", "DELETE FROM governance_deactivation"):
            with pytest.raises(RestrictViolation), connection.transaction():
                connection.execute(statement.encode())


# --- Reviewing --------------------------------------------------------------------------------------------------------
def opened(**changed: Any) -> AccessReview:
    """An open review; one that another test left is closed first."""
    now = timezone.now()
    for review in AccessReview.objects.filter(closing=None):
        finish(review)
    asked: dict[str, Any] = {"officer": officer(), "due_at": now + DAY, "at": now}
    return review_open(**(asked | changed))


def finish(review: AccessReview) -> None:
    by = officer()
    for line in review.lines.filter(decision=None).select_related("account", "grant", "token"):
        line_decide(officer=by, line=line, kind=KEPT, reason="", at=timezone.now())
    review_close(officer=by, review=review, at=timezone.now())


def test_a_review_holds_everything_in_force_with_its_last_use_and_never_changes() -> None:
    case = factories.waiting_case()
    signature = case.sign(case.officers[0])
    text = factories.token(case.pipeline, Scope.GATE_READ)
    Api(text).get("whoami")
    gone = factories.person(Role.ENGINEER)
    factories.roles_ended(gone)
    review = opened()
    of = {line.account_id: line for line in review.lines.all()}
    assert of[case.officers[0].id].last_signature == signature.signed_at
    assert of[case.officers[0].id].rights == "Compliance officer, whole organisation"
    assert of[case.pipeline.id].token_last_used is not None
    assert "Ask the gate" in of[case.pipeline.id].rights
    assert gone.id not in of
    later = factories.person(Role.ENGINEER)
    assert not review.lines.filter(account=later).exists()
    with pytest.raises(ConflictError, match="close it first"):
        review_open(officer=officer(), due_at=timezone.now() + DAY, at=timezone.now())


def test_a_line_is_confirmed_or_taken_away_by_somebody_else_and_the_review_closes_when_all_are() -> None:
    kept, taken = factories.person(Role.ENGINEER), factories.person(Role.VALIDATOR)
    reviewer, pipeline = officer(), factories.service_account(kept)
    text = factories.token(pipeline, Scope.GATE_READ)
    review = opened(officer=reviewer)
    lines = {line.account_id: line for line in review.lines.select_related("account", "grant", "token")}
    decide: dict[str, Any] = {"officer": reviewer, "kind": KEPT, "reason": "", "at": timezone.now()}
    with pytest.raises(ConflictError, match="not decided"):
        review_close(officer=reviewer, review=review, at=timezone.now())
    with pytest.raises(SeparationOfDutiesError, match="own access"):
        line_decide(line=lines[reviewer.user.id], **decide)
    with pytest.raises(SeparationOfDutiesError):
        line_decide(line=lines[taken.id], **(decide | {"officer": Officer(kept, factories.PASSWORD)}))
    with pytest.raises(RejectedInputError, match="reason"):
        line_decide(line=lines[taken.id], **(decide | {"kind": REMOVED}))
    line_decide(line=lines[kept.id], **decide)
    line_decide(line=lines[taken.id], **(decide | {"kind": REMOVED, "reason": factories.REASON}))
    line_decide(line=lines[pipeline.id], **(decide | {"kind": REMOVED, "reason": factories.REASON}))
    now = timezone.now()
    assert [roles_at(user=person, at=now) for person in (kept, taken)] == [{Role.ENGINEER}, frozenset()]
    require_problem(Api(text).get("whoami"), 401, "token-invalid")
    with pytest.raises(ConflictError, match="decided already"):
        line_decide(line=lines[kept.id], **decide)
    finish(review)
    with pytest.raises(ConflictError, match="closed"):
        review_close(officer=reviewer, review=review, at=timezone.now())
    told = Entry.objects.filter(subject_id=review.id).values_list("event_type", flat=True)
    assert {"access_review.opened", "access_review.decided", "access_review.closed"} == set(told) - {"officer.refused"}


def test_the_table_says_who_can_do_what_and_lets_no_formula_through() -> None:
    evil = factories.person(Role.AUDITOR)
    User.objects.filter(pk=evil.pk).update(first_name="=1+1", last_name="")
    root = factories.administrator()
    old = factories.person(Role.ENGINEER)
    User.objects.filter(pk=old.pk).update(date_joined=timezone.now() - DORMANT_AFTER - DAY)
    browser = admin_records.signed_in(factories.person(Role.COMPLIANCE))
    content = browser.get(reverse("admin:governance_accessreview_held.csv")).content.decode()
    header, *rows = csv.reader(io.StringIO(content))
    assert tuple(header) == COLUMNS
    of = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert of[evil.username]["name"] == "'=1+1"
    assert of[root.username]["rights"] == "Administers the installation"
    assert (of[old.username]["dormant"], of[root.username]["dormant"]) == ("yes", "")
    assert len(rows) == len(list(access_held(at=timezone.now())))


def test_an_overdue_review_stands_on_the_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    review = opened()
    browser = admin_records.signed_in(factories.person(Role.AUDITOR))
    assert "is not closed" not in browser.get(reverse("admin:index")).content.decode()
    assert late_review(at=review.due_at - timedelta(microseconds=1)) is None
    assert late_review(at=review.due_at) == review
    monkeypatch.setattr("governance.admin.reviews.late_review", lambda **_: review)
    assert "is not closed" in browser.get(reverse("admin:index")).content.decode()
    finish(review)
    assert late_review(at=review.due_at) is None
    with pytest.raises(RejectedInputError):
        opened(due_at=timezone.now() - DAY)


def test_sql_reviews_nothing_alone(database: Database) -> None:
    reviewer, engineer = officer(), factories.person(Role.ENGINEER)
    review = opened(officer=reviewer)
    lines = {line.account_id: line for line in review.lines.all()}
    decide = (
        "INSERT INTO governance_accessdecision (id, line_id, kind, reason, by_id, at) "
        "VALUES (%s, %s, 'kept', '', %s, now())"
    )
    line = (
        "INSERT INTO governance_accessreviewline (id, review_id, account_id, grant_id, rights, since) "
        "SELECT %s, review_id, account_id, grant_id, rights, since FROM governance_accessreviewline WHERE id = %s"
    )
    finish_it = "INSERT INTO governance_accessreviewclosing (id, review_id, by_id, at) VALUES (%s, %s, %s, now())"
    line_decide(officer=reviewer, line=lines[engineer.id], kind=KEPT, reason="", at=timezone.now())
    refused = (
        (decide, (new_id("ard"), lines[reviewer.user.id].id, reviewer.user.id)),
        (decide, (new_id("ard"), lines[reviewer.user.id].id, engineer.id)),
        (decide, (new_id("ard"), lines[reviewer.user.id].id, factories.administrator().id)),
        (line, (new_id("arl"), lines[reviewer.user.id].id)),
        (finish_it, (new_id("arc"), review.id, reviewer.user.id)),
    )
    with psycopg.connect(database.environment["DATABASE_URL"]) as connection:
        for statement, values in refused:
            with pytest.raises(RestrictViolation), connection.transaction():
                connection.execute(statement.encode(), values)
    with psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as connection:
        for table in ("governance_accessreview", "governance_accessreviewline", "governance_accessdecision"):
            with pytest.raises(RestrictViolation), connection.transaction():
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    assert AccessReviewLine.objects.filter(review=review).count() == len(review.lines.all())
