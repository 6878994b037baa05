"""What a system looks like now, as the content of a periodic attestation."""

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from governance.enums import AttestationStep
from governance.models import AiSystem, AttestationPeriod, AttestationSignOff, Deployment, Model, ModelVersion
from governance.selectors import declaration_at
from governance.selectors.findings import findings_open
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.times import format_time


def attestation_content(*, system: AiSystem, at: datetime) -> bytes:
    """Write down inventory, open findings and what is deployed, as canonical JSON: the same state, the same bytes."""
    declaration = declaration_at(system=system, end=at)
    stated: Json = {"number": declaration.number, "facts": declaration.facts} if declaration else None
    return canonical_bytes(
        {
            "format": "modelnotary-attestation-content/v1",
            "system": {"id": system.id, "slug": system.slug, "name": system.name, "purpose": system.purpose},
            "declaration": stated,
            "models": [_model(model) for model in system.models.order_by("slug")],
            "findings": [
                {"id": item.id, "severity": item.severity, "state": item.state, "due_at": format_time(item.due_at)}
                for item in findings_open().filter(system=system).order_by("id")
            ],
            "deployments": [_deployment(item) for item in _deployed(system)],
        }
    )


def attestations_overdue(*, at: datetime) -> QuerySet[AttestationPeriod]:
    """Give the periods whose attestation is due and not approved."""
    approved = AttestationSignOff.objects.filter(period=OuterRef("pk"), kind=AttestationStep.APPROVED)
    return AttestationPeriod.objects.filter(~Exists(approved), due_at__lte=at).select_related(
        "system__owner", "submitter"
    )


def _model(model: Model) -> Json:
    versions = ModelVersion.objects.filter(model=model).order_by("number").values_list("number", "artifact_id")
    return {"slug": model.slug, "versions": [{"number": number, "digest": digest} for number, digest in versions]}


def _deployed(system: AiSystem) -> QuerySet[Deployment]:
    """Give what was deployed last of each model in each environment."""
    return (
        Deployment.objects.filter(model_version__model__system=system)
        .select_related("model_version__model")
        .order_by("model_version__model_id", "environment", "-deployed_at", "-id")
        .distinct("model_version__model_id", "environment")
    )


def _deployment(item: Deployment) -> Json:
    return {
        "id": item.id,
        "model_version": str(item.model_version),
        "digest": item.model_version.digest,
        "environment": item.environment,
        "decision": item.decision_id,
    }
