"""Reading governance."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.db.models import Q

from governance.controls import evaluation as controls
from governance.controls.facts import PHI_FACT, FactValue, facts_from_json
from governance.controls.reading import installed_catalogue
from governance.controls.vocabulary import Result
from governance.enums import DecisionState, LineageKind, LineageRole
from governance.errors import UnknownArtifactError, UnknownRecordError
from governance.evidence.registry import About
from governance.models import (
    AiSystem,
    Decision,
    DecisionEnding,
    Deployment,
    Evidence,
    LineageEdge,
    ModelVersion,
    SignedStatement,
    SystemDeclaration,
    TierPublication,
)
from governance.selectors.scope import EVERYTHING, Sight
from governance.selectors.tiers import tier_standing
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest


def model_version_get(*, digest: Digest, seen_by: Sight = EVERYTHING) -> ModelVersion:
    """Give the model version of these bytes, if it is seen.

    Raises:
        UnknownArtifactError: None is registered.
    """
    versions = seen_by.of(ModelVersion.objects.select_related("model__system", "author", "artifact"))
    try:
        return versions.get(artifact=digest.text)
    except ModelVersion.DoesNotExist as error:
        raise UnknownArtifactError(f"no model version with digest {digest} is registered") from error


def system_get(*, name: str, seen_by: Sight = EVERYTHING) -> AiSystem:
    """Give the system of this id or short name, if it is seen.

    Raises:
        UnknownRecordError: None is registered.
    """
    systems = seen_by.of(AiSystem.objects.select_related("owner"))
    system = systems.filter(pk=name).first() or systems.filter(slug=name).first()
    if system is None:
        raise UnknownRecordError(f"no AI system {name}")
    return system


def declaration_at(*, system: AiSystem, end: datetime) -> SystemDeclaration | None:
    """Give what was declared of a system last before a moment."""
    return system.declarations.select_related("declared_by").filter(declared_at__lt=end).first()


def control_evaluation(*, system: AiSystem, as_of: date) -> controls.Evaluation:
    """Tell what became of each control of the catalogue for a system, as it stood at the end of a day (UTC).

    Beside deposited evidence the records themselves are evidence: the registration, the declaration and the published
    tier of the system, lineage to training data, decisions of the gate, and deployments.

    Raises:
        CoverageError: The catalogue does not cover that day.
    """
    end = controls.day_end(as_of)
    declaration = declaration_at(system=system, end=end)
    facts: dict[str, FactValue] = facts_from_json(declaration.facts) if declaration else {}
    known: list[controls.Evidence] = []
    if system.registered_at < end:
        facts[PHI_FACT] = system.contains_phi
        known.append(_record_evidence("inventory_record", system, system.id, system.registered_at, system.slug))
    if declaration and "in_scope" in facts:
        stated = [declaration.facts, declaration.reason]
        known.append(_record_evidence("system_declaration", declaration, system.id, declaration.declared_at, stated))
    versions = _versions_in_use(system, end)
    known += _tiered(system, end)
    known += _deposited(system, versions, end)
    known += _trained(versions, end)
    known += _decided(versions, end)
    state = controls.SystemState(system.id, facts, tuple((version.digest, str(version)) for version in versions))
    return controls.evaluate(installed_catalogue(), state, tuple(known), as_of)


def _versions_in_use(system: AiSystem, end: datetime) -> list[ModelVersion]:
    """Give what was deployed last in each environment; of a model that was deployed nowhere, its newest version."""
    deployed = (
        Deployment.objects.filter(model_version__model__system=system, deployed_at__lt=end)
        .select_related("model_version__model")
        .order_by("model_version__model_id", "environment", "-deployed_at", "-id")
        .distinct("model_version__model_id", "environment")
    )
    used = {item.model_version_id: item.model_version for item in deployed}
    newest = (
        ModelVersion.objects.filter(model__system=system, registered_at__lt=end)
        .exclude(model__in={version.model_id for version in used.values()})
        .select_related("model")
        .order_by("model_id", "-number")
        .distinct("model_id")
    )
    return [*used.values(), *newest]


def _record_evidence(
    kind: str,
    record: AiSystem | SystemDeclaration | TierPublication | LineageEdge | Deployment,
    subject: str,
    at: datetime,
    said: Json,
) -> controls.Evidence:
    """Take a record of the inventory as evidence: it is there, and says no more."""
    return controls.Evidence(
        id=record.id,
        type=kind,
        digest=Digest.of(canonical_bytes([record.id, said])).text,
        subject=subject,
        result=None,
        measured=False,
        deposited_at=at,
    )


def _tiered(system: AiSystem, end: datetime) -> Iterator[controls.Evidence]:
    """Take the published tier as evidence of there being one, while nothing that it rests on has changed."""
    standing = tier_standing(system=system, at=end - timedelta(microseconds=1))
    if standing.publication and not standing.stale:
        publication = standing.publication
        said: Json = [standing.tier, publication.assessment.working_digest]
        yield _record_evidence("risk_tier", publication, system.id, publication.published_at, said)


def _deposited(system: AiSystem, versions: list[ModelVersion], end: datetime) -> Iterator[controls.Evidence]:
    """Take what was deposited about the versions, the system and the organization, and not superseded by then.

    What says fail goes on saying so after its time, and whoever signed it: only a newer piece in its place, accepted,
    ends that.
    """
    about = Q(model_version__in=versions) | Q(system=system) | Q(about=About.ORGANIZATION)
    superseded = Evidence.objects.filter(superseded_by__acceptance__accepted_at__lt=end)
    found = Evidence.objects.filter(about, deposited_at__lt=end).exclude(pk__in=superseded.values("pk"))
    for item in found.select_related("statement__key__revocation").defer("document", "statement__envelope"):
        result = _stated_result(item.payload.get("verdict"))
        subjects = {About.SYSTEM: system.id, About.ORGANIZATION: controls.ORGANIZATION}
        yield controls.Evidence(
            id=item.id,
            type=item.type,
            digest=item.digest,
            subject=subjects.get(About(item.about), item.subject_digest),
            result=result,
            measured=item.measured,
            deposited_at=item.deposited_at,
            expires_at=None if result is Result.FAIL else _trusted_until(item, end),
        )


def _trusted_until(item: Evidence, end: datetime) -> datetime:
    """Give when a piece stopped counting: by its own time, or when the key that signed it turned out not to be good."""
    statement: SignedStatement | None = getattr(item, "statement", None)
    if statement is None or not statement.distrust or statement.key.revocation.revoked_at >= end:
        return item.valid_until
    return min(item.valid_until, statement.key.revocation.revoked_at)


def _stated_result(verdict: object) -> Result | None:
    """Read a verdict; one that is there and cannot be read is none that anything could rest on."""
    if verdict is None:
        return None
    return next((result for result in Result if result == verdict), Result.INSUFFICIENT_DATA)


def _trained(versions: list[ModelVersion], end: datetime) -> Iterator[controls.Evidence]:
    """Take each step from a registered data set to the run that produced a version as evidence of its training data."""
    digests = {version.id: version.digest for version in versions}
    edges = LineageEdge.objects.filter(recorded_at__lt=end)
    produced = edges.filter(role=LineageRole.PRODUCED, target_id__in=digests, source_kind=LineageKind.RUN)
    made = {(edge.source_id, digests[edge.target_id]) for edge in produced}
    for edge in edges.filter(role=LineageRole.TRAINED_ON, target_id__in={run for run, _ in made}):
        for digest in sorted(digest for run, digest in made if run == edge.target_id):
            yield _record_evidence("training_lineage", edge, digest, edge.recorded_at, [edge.source_id, edge.target_id])


def _decided(versions: list[ModelVersion], end: datetime) -> Iterator[controls.Evidence]:
    """Take deployments as evidence, and of the decisions for an environment the last, as it stood."""
    deployments = Deployment.objects.filter(model_version__in=versions, deployed_at__lt=end)
    used: dict[str, set[str]] = {}
    digests = {version.id: version.digest for version in versions}
    for item in deployments:
        used.setdefault(item.model_version_id, set()).add(item.environment)
        said: Json = [digests[item.model_version_id], item.environment, item.decision_id]
        yield _record_evidence("deployment", item, digests[item.model_version_id], item.deployed_at, said)
    decisions = (
        Decision.objects.filter(model_version__in=versions, evaluated_at__lt=end)
        .select_related("ending")
        .defer("attestation", "context", "context_document", "rules")
        .order_by("model_version_id", "environment", "-evaluated_at", "-id")
        .distinct("model_version_id", "environment")
    )
    for decision in decisions:
        if decision.environment in used.get(decision.model_version_id, {decision.environment}):
            yield _decision_evidence(decision, digests[decision.model_version_id], end)


def _decision_evidence(decision: Decision, subject: str, end: datetime) -> controls.Evidence:
    final = decision.decided_at is not None and decision.decided_at < end
    results = {DecisionState.PASSED: Result.PASS, DecisionState.FAILED: Result.FAIL}
    stood = DecisionState(decision.state) if final else DecisionState.PENDING
    return controls.Evidence(
        id=decision.id,
        type="approval",
        digest=decision.attestation_digest if final else decision.evidence_set_digest,
        subject=subject,
        result=results.get(stood, Result.INSUFFICIENT_DATA),
        measured=True,
        deposited_at=decision.decided_at if final and decision.decided_at else decision.evaluated_at,
        expires_at=_counts_until(decision, end) if final else None,
    )


def _counts_until(decision: Decision, end: datetime) -> datetime | None:
    """Give when a decision stopped counting, as far as it was known before a moment."""
    ending: DecisionEnding | None = getattr(decision, "ending", None)
    return decision.expires_at if ending is None or ending.ended_at >= end else ending.ended_at
