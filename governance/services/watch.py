"""What the product notices by itself: deployed without a decision that counts, reviews that nobody made in time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from governance.enums import EndingKind, FindingKind, OverrideStep, Severity, SubjectKind
from governance.models import DecisionEnding, Deployment, Override
from governance.selectors.gate import ending_words, gate_assert
from governance.selectors.periods import attestations_overdue
from governance.services.findings import FindingReport, escalation_owner, finding_notice
from modelnotary.ledger.digest import Digest

_SOON = timedelta(days=2)
_LATER = timedelta(days=7)


def findings_watch(*, at: datetime) -> int:
    """Open a finding for each thing that is noticed, once.

    Returns:
        How many were opened.
    """
    noticed = [*_deployed_without_decision(at), *_reviews_overdue(at), *_attestations_overdue(at)]
    return sum(finding_notice(cause=cause, report=report, at=at) is not None for cause, report in noticed)


def _deployed_without_decision(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    """Look at what was deployed last in each environment, and whether the decision behind it ended."""
    newest = (
        Deployment.objects.select_related("model_version__model__system__owner", "decision__ending__confirmed_by")
        .order_by("model_version__model_id", "environment", "-deployed_at", "-id")
        .distinct("model_version__model_id", "environment")
    )
    for deployment in newest:
        ending: DecisionEnding | None = getattr(deployment.decision, "ending", None)
        if ending is None or _allowed(deployment, at):
            continue
        system = deployment.model_version.model.system
        revoked = ending.kind == EndingKind.REVOKED
        yield (
            f"deployment:{deployment.id}:{ending.id}",
            FindingReport(
                kind=FindingKind.INCIDENT,
                severity=Severity.CRITICAL if revoked else Severity.HIGH,
                title=f"{deployment.model_version} is deployed in {deployment.environment} without a decision"[:200],
                description=ending_words(deployment.decision),
                remediation="Take it out of use, or request a decision and have it signed.",
                subject_kind=SubjectKind.DEPLOYMENT,
                subject_id=deployment.id,
                owner=system.owner,
                escalates_to=escalation_owner(system),
                due_at=at + _SOON,
            ),
        )


def _allowed(deployment: Deployment, at: datetime) -> bool:
    digest = Digest.from_text(deployment.model_version.digest)
    return gate_assert(digest=digest, environment=deployment.environment, at=at).allowed


def _reviews_overdue(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    overdue = (
        Override.objects.filter(review_due_at__lte=at, steps__kind=OverrideStep.APPROVED)
        .exclude(steps__kind=OverrideStep.REVIEWED)
        .select_related("decision__model_version__model__system__owner", "review_owner")
    )
    for override in overdue:
        system = override.decision.model_version.model.system
        yield (
            f"override-review:{override.id}",
            FindingReport(
                kind=FindingKind.INCIDENT,
                severity=Severity.HIGH,
                title=f"The review of override {override.id} is overdue",
                description=f"It was due at {override.review_due_at:%Y-%m-%d %H:%M} UTC. {override.reason}",
                remediation="Review what was done under the override, and record the conclusion.",
                subject_kind=SubjectKind.DECISION,
                subject_id=override.decision_id,
                owner=override.review_owner,
                escalates_to=escalation_owner(system),
                due_at=at + _LATER,
            ),
        )


def _attestations_overdue(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    for period in attestations_overdue(at=at):
        yield (
            f"attestation:{period.id}",
            FindingReport(
                kind=FindingKind.VALIDATION_ISSUE,
                severity=Severity.MEDIUM,
                title=f"The attestation of {period} is overdue"[:200],
                description=f"It was due at {period.due_at:%Y-%m-%d %H:%M} UTC.",
                remediation="Submit, review and approve it.",
                subject_kind=SubjectKind.SYSTEM,
                subject_id=period.system_id,
                owner=period.submitter,
                escalates_to=escalation_owner(period.system),
                due_at=at + _LATER,
            ),
        )
