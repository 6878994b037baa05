"""What the product notices by itself: deployed without a decision that counts, reviews that nobody made in time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from governance.enums import DiscrepancyKind, EndingKind, FindingKind, OverrideStep, Severity, SubjectKind
from governance.models import (
    AiSystem,
    DecisionEnding,
    Deployment,
    Discrepancy,
    EnvironmentSnapshot,
    Model,
    ModelVersion,
    Override,
)
from governance.selectors.deployments import deployments_in_use
from governance.selectors.gate import ending_words, gate_assert
from governance.selectors.periods import attestations_overdue
from governance.selectors.tiers import tiers_stale_in_use
from governance.services.findings import FindingReport, escalation_owner, finding_notice
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest

_SOON = timedelta(days=2)
_LATER = timedelta(days=7)
_DISCREPANCIES = {
    DiscrepancyKind.UNAPPROVED: (Severity.CRITICAL, "Take it out of use, or register it and have a decision signed."),
    DiscrepancyKind.OTHER_DIGEST: (
        Severity.CRITICAL,
        "Put the declared bytes back, or have what runs decided on.",
    ),
    DiscrepancyKind.NOT_DEPLOYED: (Severity.MEDIUM, "Record the deployment."),
    DiscrepancyKind.NOT_RUNNING: (Severity.LOW, "Start it, or record that it was taken out of use."),
}


def findings_watch(*, at: datetime) -> int:
    """Open a finding for each thing that is noticed, once.

    Returns:
        How many were opened.
    """
    noticed = [
        *_deployed_without_decision(at),
        *_running_otherwise(at),
        *_reviews_overdue(at),
        *_attestations_overdue(at),
        *_tiers_stale(at),
    ]
    return sum(finding_notice(cause=cause, report=report, at=at) is not None for cause, report in noticed)


def _deployed_without_decision(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    """Look at what was deployed last in each environment, and whether the decision behind it ended."""
    in_use = deployments_in_use(at=at).select_related(
        "model_version__model__system__owner", "decision__ending__confirmed_by"
    )
    for deployment in in_use:
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
                escalates_to=escalation_owner(system, at=at),
                due_at=at + _SOON,
            ),
        )


def _running_otherwise(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    """Look at what the newest snapshot of each environment shows, once for each place and the bytes in it.

    What runs after its decision ended is noticed by its deployment. Bytes that were never registered, and for which the
    agent names no model, belong to no system: they stay a discrepancy.
    """
    newest = EnvironmentSnapshot.objects.order_by("environment", "-received_at", "-id").distinct("environment")
    found = Discrepancy.objects.filter(snapshot__in=newest.values("pk"), kind__in=_DISCREPANCIES)
    for item in found.select_related("snapshot", "deployment__model_version__model__system__owner"):
        subject = _subject_of(item)
        if subject is None:
            continue
        kind, identity, system = subject
        severity, remediation = _DISCREPANCIES[DiscrepancyKind(item.kind)]
        environment = item.snapshot.environment
        what = [environment, item.kind, item.place, item.observed_digest, item.deployment_id]
        yield (
            f"snapshot:{Digest.of(canonical_bytes(what)).hex}",
            FindingReport(
                kind=FindingKind.INCIDENT,
                severity=severity,
                title=f"{item.get_kind_display()} in {environment}"[:200],
                description=f"Snapshot {item.snapshot_id}: {item.detail}",
                remediation=remediation,
                subject_kind=kind,
                subject_id=identity,
                owner=system.owner,
                escalates_to=escalation_owner(system, at=at),
                due_at=at + (_SOON if severity == Severity.CRITICAL else _LATER),
            ),
        )


def _subject_of(item: Discrepancy) -> tuple[SubjectKind, str, AiSystem] | None:
    """Give what a discrepancy is about: the deployment, the version that runs, or the system of the model named."""
    if item.deployment:
        return SubjectKind.DEPLOYMENT, item.deployment.id, item.deployment.model_version.model.system
    version = ModelVersion.objects.filter(artifact=item.observed_digest).select_related("model__system__owner").first()
    if version:
        return SubjectKind.MODEL_VERSION, version.id, version.model.system
    named = next((seen["model"] for seen in item.snapshot.running if seen["place"] == item.place), "")
    model = Model.objects.filter(slug=named).select_related("system__owner").first()
    return (SubjectKind.SYSTEM, model.system_id, model.system) if model else None


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
                escalates_to=escalation_owner(system, at=at),
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
                escalates_to=escalation_owner(period.system, at=at),
                due_at=at + _LATER,
            ),
        )


def _tiers_stale(at: datetime) -> Iterator[tuple[str, FindingReport]]:
    """Look at the published tiers of systems that are used or allowed somewhere, once for each thing that changed."""
    for publication, reasons in tiers_stale_in_use(at=at):
        system = publication.assessment.system
        yield (
            f"tier:{publication.assessment_id}:{Digest.of(canonical_bytes(list(reasons))).hex}",
            FindingReport(
                kind=FindingKind.VALIDATION_ISSUE,
                severity=Severity.MEDIUM,
                title=f"The tier of {system}, {publication.assessment.final}, is stale"[:200],
                description="; ".join(reasons)[:4000],
                remediation="Assess the system anew and have an independent officer publish it.",
                subject_kind=SubjectKind.SYSTEM,
                subject_id=system.id,
                owner=system.owner,
                escalates_to=escalation_owner(system, at=at),
                due_at=at + _LATER,
            ),
        )
