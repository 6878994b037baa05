"""Recording what was put to use."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import LineageKind, LineageRole, Trust
from governance.errors import ConflictError, GateDeniedError
from governance.models import Deployment, ModelVersion, Retirement, User
from governance.selectors import model_version_get
from governance.selectors.gate import Assertion, gate_assert
from governance.selectors.scope import sight_of
from governance.services.lineage import lineage_record
from governance.services.locks import name_lock
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@transaction.atomic
def deployment_record(*, actor: User, digest: Digest, environment: str, at: datetime) -> Deployment:
    """Record that an artifact was put to use, on the strength of the decision that allows it.

    Raises:
        UnknownArtifactError: No model version has these bytes.
        GateDeniedError: The gate does not allow it.
    """
    version = model_version_get(digest=digest, seen_by=sight_of(actor=actor, at=at))
    ModelVersion.objects.select_for_update().get(pk=version.pk)  # no evidence arrives between answer and record
    answer = gate_assert(digest=digest, environment=environment, at=at)
    if not answer.allowed or answer.decision is None:
        raise GateDeniedError(f"not recorded, because the gate does not allow it: {answer.message}")
    deployment = Deployment.objects.create(
        model_version=version, environment=environment, decision=answer.decision, deployed_by=actor, deployed_at=at
    )
    event_record(
        event=LineageEvent.DEPLOYMENT_RECORDED,
        actor=actor_of(actor),
        subject=Subject("deployment", deployment.id, digest),
        data=_data(version, environment, answer),
        at=at,
    )
    lineage_record(
        actor=actor,
        source=(LineageKind.MODEL_VERSION, version.id),
        target=(LineageKind.DEPLOYMENT, deployment.id),
        role=LineageRole.DEPLOYED_AS,
        trust=Trust.SELF_REPORTED,
        at=at,
    )
    lineage_record(
        actor=actor,
        source=(LineageKind.DEPLOYMENT, deployment.id),
        target=(LineageKind.DECISION, answer.decision.id),
        role=LineageRole.ALLOWED_BY,
        trust=Trust.MEASURED,
        at=at,
    )
    return deployment


@transaction.atomic
def deployment_retire(*, actor: User, deployment: Deployment, reason: str, at: datetime) -> Retirement:
    """Record that a deployment was taken out of use.

    Raises:
        ConflictError: It was before.
    """
    name_lock(f"governance.retirement {deployment.id}")
    if Retirement.objects.filter(deployment=deployment).exists():
        raise ConflictError(f"{deployment.id} was taken out of use before")
    retirement = Retirement.objects.create(deployment=deployment, reason=reason, retired_by=actor, retired_at=at)
    event_record(
        event=LineageEvent.DEPLOYMENT_RETIRED,
        actor=actor_of(actor),
        subject=Subject("deployment", deployment.id),
        data={"retirement": retirement.id, "reason": reason, "environment": deployment.environment},
        at=at,
    )
    return retirement


def _data(version: ModelVersion, environment: str, answer: Assertion) -> dict[str, Json]:
    assert answer.decision is not None
    data: dict[str, Json] = {"model_version": version.id, "environment": environment, "decision": answer.decision.id}
    return data | ({"override": answer.override.id} if answer.override else {})
