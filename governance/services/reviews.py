"""Reviews of access: every role and token in force is confirmed, or taken away, by somebody whose it is not."""

from collections.abc import Iterator
from datetime import datetime

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import AccessDecisionKind, Role
from governance.errors import ConflictError, RejectedInputError, SeparationOfDutiesError
from governance.models import (
    AccessDecision,
    AccessReview,
    AccessReviewClosing,
    AccessReviewLine,
    RoleGrant,
    User,
)
from governance.selectors.access import Held, access_held
from governance.services.grants import grant_end
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.people import token_revoke
from governance.services.steps import officer_step, step_hindrance, words_require
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

REVIEWERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
_LOCK = "governance.access_review"


def review_open(*, officer: Officer, due_at: datetime, at: datetime) -> AccessReview:
    """Open a review of everything that is held now; the list is frozen, with when each was last used.

    Raises:
        GovernanceError: The officer may not, the due date lies in the past, or another review is open.
    """
    subject = Subject("user", officer.user.id)
    with officer_step(officer=officer, roles=REVIEWERS, step="access_review.open", subject=subject, at=at):
        if due_at <= at:
            raise RejectedInputError("/due_at must be in the future")
        name_lock(_LOCK)
        if other := AccessReview.objects.filter(closing=None).first():
            raise ConflictError(f"{other.id} is open; close it first")
        review = AccessReview.objects.create(opened_by=officer.user, opened_at=at, due_at=due_at)
        AccessReviewLine.objects.bulk_create(_lines(review, at))
        event_record(
            event=LineageEvent.ACCESS_REVIEW_OPENED,
            actor=actor_of(officer.user),
            subject=Subject("access_review", review.id),
            data={"due_at": format_time(due_at), "lines": review.lines.count()},
            at=at,
        )
    return review


def line_decide(
    *, officer: Officer, line: AccessReviewLine, kind: AccessDecisionKind, reason: str, at: datetime
) -> AccessDecision:
    """Confirm a role or token, or take it away; that takes effect at once.

    Raises:
        GovernanceError: The officer may not or it is about them, the review is closed, the line was decided, or a
            taking away has no reason.
    """
    subject = Subject("access_review", line.review_id)
    with officer_step(officer=officer, roles=REVIEWERS, step="access_review.decide", subject=subject, at=at):
        _require_not_own(officer.user, line)
        name_lock(_LOCK)
        _require_undecided(line)
        taken = kind is AccessDecisionKind.REMOVED
        words = words_require(reason, "/reason", at_least=20 if taken else 0)
        decision = AccessDecision.objects.create(line=line, kind=kind, reason=words, by=officer.user, at=at)
        if taken:
            _take_away(officer.user, line, words, at)
        event_record(
            event=LineageEvent.ACCESS_REVIEW_DECIDED,
            actor=actor_of(officer.user),
            subject=subject,
            data={
                "line": line.id,
                "account": line.account_id,
                "about": line.grant_id or line.token_id,
                "decision": kind.value,
                "reason": words,
            },
            at=at,
        )
    return decision


def review_close(*, officer: Officer, review: AccessReview, at: datetime) -> AccessReviewClosing:
    """Close a review of which every line is decided.

    Raises:
        GovernanceError: The officer may not, a line is not decided, or it is closed already.
    """
    subject = Subject("access_review", review.id)
    with officer_step(officer=officer, roles=REVIEWERS, step="access_review.close", subject=subject, at=at):
        name_lock(_LOCK)
        _require_decided(review)
        closing = AccessReviewClosing.objects.create(review=review, by=officer.user, at=at)
        removed = review.lines.filter(decision__kind=AccessDecisionKind.REMOVED).count()
        event_record(
            event=LineageEvent.ACCESS_REVIEW_CLOSED,
            actor=actor_of(officer.user),
            subject=subject,
            data={"lines": review.lines.count(), "removed": removed, "late": at > review.due_at},
            at=at,
        )
    return closing


def opening_review_hindrance(*, user: User) -> str | None:
    """Say in words why somebody cannot open a review, or nothing."""
    if other := AccessReview.objects.filter(closing=None).first():
        return f"{other} is open; close it first"
    return step_hindrance(user=user, roles=REVIEWERS)


def deciding_hindrance(*, user: User, line: AccessReviewLine) -> str | None:
    """Say in words why somebody cannot decide a line, or nothing."""
    if hindrance := step_hindrance(user=user, roles=REVIEWERS):
        return hindrance
    try:
        _require_not_own(user, line)
        _require_undecided(line)
    except (SeparationOfDutiesError, ConflictError) as refusal:
        return str(refusal)
    return None


def closing_hindrance(*, user: User, review: AccessReview) -> str | None:
    """Say in words why somebody cannot close a review, or nothing."""
    if hindrance := step_hindrance(user=user, roles=REVIEWERS):
        return hindrance
    try:
        _require_decided(review)
    except ConflictError as refusal:
        return str(refusal)
    return None


def _lines(review: AccessReview, at: datetime) -> Iterator[AccessReviewLine]:
    for held in access_held(at=at):
        if held.grant is not None or held.token is not None:
            yield _line(review, held)


def _line(review: AccessReview, held: Held) -> AccessReviewLine:
    return AccessReviewLine(
        review=review,
        account=held.account,
        grant=held.grant,
        token=held.token,
        rights=held.rights,
        since=held.since,
        until=held.until,
        last_sign_in=held.account.last_login,
        last_signature=held.last_signature,
        token_last_used=held.token_last_used,
    )


def _take_away(actor: User, line: AccessReviewLine, reason: str, at: datetime) -> None:
    if line.token is not None:
        token_revoke(actor=actor, token=line.token, at=at)
    elif line.grant is not None:
        current = RoleGrant.objects.get(pk=line.grant_id)
        if current.ended_by_id is None and current.in_force(at):
            grant_end(actor=actor, grant=current, reason=reason, at=at)


def _require_not_own(user: User, line: AccessReviewLine) -> None:
    if user.pk in {line.account_id, line.account.owner_id}:
        raise SeparationOfDutiesError(f"{user.printed_name} cannot review their own access; ask another officer")


def _require_undecided(line: AccessReviewLine) -> None:
    if AccessReviewClosing.objects.filter(review=line.review_id).exists():
        raise ConflictError("the review is closed")
    if AccessDecision.objects.filter(line=line).exists():
        raise ConflictError("this was decided already")


def _require_decided(review: AccessReview) -> None:
    if AccessReviewClosing.objects.filter(review=review).exists():
        raise ConflictError("the review is closed already")
    if left := review.lines.filter(decision=None).count():
        raise ConflictError(f"{left} of {review.lines.count()} lines are not decided yet")
