"""Holding what runs in an environment against what was deployed there and decided about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import DecisionStanding, DiscrepancyKind
from governance.errors import RejectedInputError
from governance.models import Decision, Deployment, Discrepancy, EnvironmentSnapshot, ModelVersion, User
from governance.selectors.deployments import deployments_in_use
from governance.selectors.gate import decision_standing
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.times import format_time

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, order=True)
class Running:
    """One thing that an agent saw running.

    Attributes:
        place: Where, as the environment names it: a service, a pod, a host. Unique within a snapshot.
        digest: Of the bytes that are loaded there.
        model: Short name of the model that the place is meant to serve, or nothing.
    """

    place: str
    digest: Digest
    model: str = ""

    def to_json(self) -> dict[str, Json]:
        """One item of the snapshot's list."""
        return {"place": self.place, "digest": self.digest.text, "model": self.model}


@transaction.atomic
def snapshot_deposit(
    *, agent: User, environment: str, running: list[Running], taken_at: datetime, at: datetime
) -> EnvironmentSnapshot:
    """Keep the whole list of what runs in an environment, with every disagreement that it shows.

    Raises:
        RejectedInputError: A place is named twice, or the agent's clock is ahead.
    """
    places = [item.place for item in running]
    if twice := sorted({place for place in places if places.count(place) > 1}):
        raise RejectedInputError(f"/running: {', '.join(twice)} is named twice; a place runs one thing")
    if taken_at > at + CLOCK_SKEW:
        raise RejectedInputError("/taken_at is in the future; set the agent's clock")
    content: Json = [item.to_json() for item in sorted(running)]
    snapshot = EnvironmentSnapshot.objects.create(
        environment=environment,
        running=content,
        digest=Digest.of(canonical_bytes(content)).text,
        agent=agent,
        taken_at=taken_at,
        received_at=at,
    )
    found = list(_compare(snapshot, running, at))
    Discrepancy.objects.bulk_create(found)
    event_record(
        event=LineageEvent.ENVIRONMENT_OBSERVED,
        actor=actor_of(agent),
        subject=Subject("environment_snapshot", snapshot.id, Digest.from_text(snapshot.digest)),
        data={
            "environment": environment,
            "running": len(running),
            "discrepancies": {kind: count for kind in DiscrepancyKind.values if (count := _count(found, kind))},
            "taken_at": format_time(taken_at),
        },
        at=at,
    )
    return snapshot


def _count(found: list[Discrepancy], kind: str) -> int:
    return sum(item.kind == kind for item in found)


def _compare(snapshot: EnvironmentSnapshot, running: list[Running], at: datetime) -> Iterator[Discrepancy]:
    in_use = list(deployments_in_use(at=at).filter(environment=snapshot.environment).select_related("decision__ending"))
    by_digest = {item.model_version.digest: item for item in in_use}
    by_model = {item.model_version.model.slug: item for item in in_use}
    registered = ModelVersion.objects.filter(artifact__in={item.digest.text for item in running})
    versions = {item.digest: item for item in registered.select_related("model")}
    for item in running:
        deployment, version = by_digest.get(item.digest.text), versions.get(item.digest.text)
        declared = by_model.get(version.model.slug if version else item.model)
        if deployment is not None:
            yield from _ended(snapshot, item, deployment, at)
            continue
        if declared is not None:
            yield _other(snapshot, item, declared)
        if version is None or not _allowed(version, snapshot.environment, at):
            yield _unapproved(snapshot, item, version)
        elif declared is None:
            yield _undeployed(snapshot, item, version)
    seen = {item.digest.text for item in running}
    yield from (_absent(snapshot, item) for item in in_use if item.model_version.digest not in seen)


def _allowed(version: ModelVersion, environment: str, at: datetime) -> bool:
    decision = (
        Decision.objects.filter(model_version=version, environment=environment)
        .select_related("ending")
        .defer("context", "rules", "attestation")
        .order_by("-evaluated_at", "-id")
        .first()
    )
    return decision is not None and decision_standing(decision, at=at) == DecisionStanding.PASSED


def _ended(snapshot: EnvironmentSnapshot, item: Running, deployment: Deployment, at: datetime) -> Iterator[Discrepancy]:
    if _allowed(deployment.model_version, snapshot.environment, at):
        return
    standing = decision_standing(deployment.decision, at=at)
    yield Discrepancy(
        snapshot=snapshot,
        kind=DiscrepancyKind.DECISION_ENDED,
        place=item.place,
        observed_digest=item.digest.text,
        deployment=deployment,
        decision=deployment.decision,
        detail=f"{deployment.model_version} still runs at {item.place}; the decision it rests on is {standing.value}",
    )


def _other(snapshot: EnvironmentSnapshot, item: Running, declared: Deployment) -> Discrepancy:
    return Discrepancy(
        snapshot=snapshot,
        kind=DiscrepancyKind.OTHER_DIGEST,
        place=item.place,
        observed_digest=item.digest.text,
        deployment=declared,
        decision=declared.decision,
        detail=f"at {item.place} runs {item.digest}; deployed was {declared.model_version}, "
        f"{declared.model_version.digest}",
    )


def _unapproved(snapshot: EnvironmentSnapshot, item: Running, version: ModelVersion | None) -> Discrepancy:
    what = f"{version}, which no standing decision allows there" if version else "bytes that were never registered"
    return Discrepancy(
        snapshot=snapshot,
        kind=DiscrepancyKind.UNAPPROVED,
        place=item.place,
        observed_digest=item.digest.text,
        detail=f"at {item.place} runs {what}: {item.digest}",
    )


def _undeployed(snapshot: EnvironmentSnapshot, item: Running, version: ModelVersion) -> Discrepancy:
    return Discrepancy(
        snapshot=snapshot,
        kind=DiscrepancyKind.NOT_DEPLOYED,
        place=item.place,
        observed_digest=item.digest.text,
        detail=f"{version} is allowed and runs at {item.place}, but no deployment of it is recorded as in use",
    )


def _absent(snapshot: EnvironmentSnapshot, deployment: Deployment) -> Discrepancy:
    return Discrepancy(
        snapshot=snapshot,
        kind=DiscrepancyKind.NOT_RUNNING,
        deployment=deployment,
        decision=deployment.decision,
        detail=f"{deployment.model_version} is deployed and was not seen running",
    )
