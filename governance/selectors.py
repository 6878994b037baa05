"""Reading governance."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from governance.enums import DecisionState, LineageKind, LineageRole
from governance.errors import UnknownArtifactError
from governance.models import Decision, Evidence, LineageEdge, ModelVersion, PolicyVersion
from governance.policy.evaluation import Context, EvidenceFacts, evidence_fields
from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.verify.trust import TRUST_FILE, Trust

_LINEAGE_LIMIT = 500


def model_version_get(*, digest: Digest) -> ModelVersion:
    """Give the model version of these bytes.

    Raises:
        UnknownArtifactError: None is registered.
    """
    try:
        return ModelVersion.objects.select_related("model__system", "author", "artifact").get(artifact=digest.text)
    except ModelVersion.DoesNotExist as error:
        raise UnknownArtifactError(f"no model version with digest {digest} is registered") from error


def policy_current(*, environment: str) -> PolicyVersion | None:
    """Give the policy version in force for an environment, or None when it has no policy."""
    versions = PolicyVersion.objects.filter(policy__environment=environment)
    return versions.select_related("policy").order_by("-number").first()


def evidence_context(version: ModelVersion) -> Context:
    """Give everything that the rules see of a model version."""
    evidence = Evidence.objects.filter(model_version=version).order_by("id")
    trained = LineageEdge.objects.filter(
        role=LineageRole.PRODUCED, target_id=version.id, source_kind=LineageKind.RUN
    ).values("source_id")
    has_data = LineageEdge.objects.filter(role=LineageRole.TRAINED_ON, target_id__in=trained).exists()
    return Context(
        model={
            "model.format": version.format,
            "model.has_training_data": has_data,
            "system.contains_phi": version.model.system.contains_phi,
        },
        evidence=tuple(
            EvidenceFacts(
                id=item.id,
                digest=item.digest,
                type=item.type,
                fields=evidence_fields(item.type, item.payload, measured=item.measured),
            )
            for item in evidence
        ),
    )


def evidence_set_digest(context: Context) -> Digest:
    """Give one digest for a set of evidence: what a signature and a decision are bound to."""
    return Digest.of(canonical_bytes(sorted(item.digest for item in context.evidence)))


def rests_on(decision: Decision, context: Context) -> bool:
    """Tell whether a decision was made on exactly these facts."""
    evidence = evidence_set_digest(context).text
    return decision.evidence_set_digest == evidence and decision.context["model"] == context.model


@dataclass(frozen=True, slots=True)
class Assertion:
    """The gate's answer to "may this artifact go to this environment?".

    Attributes:
        allowed: True only when a passed, unexpired decision rests on the policy and the evidence of today.
        reason_code: Why, from a closed list.
        message: Why, in words.
        decision: The decision that the answer rests on, if there is one.
    """

    allowed: bool
    reason_code: str
    message: str
    decision: Decision | None


def gate_assert(*, digest: Digest, environment: str, at: datetime) -> Assertion:
    """Answer whether an artifact may go to an environment.

    Raises:
        UnknownArtifactError: No model version has these bytes.
    """
    version = model_version_get(digest=digest)
    decision = (
        Decision.objects.filter(model_version=version, environment=environment)
        .select_related("policy_version__policy")
        .order_by("-evaluated_at", "-id")
        .first()
    )
    if decision is None:
        return Assertion(False, "no-decision", f"no decision was requested for {version} in {environment}", None)  # noqa: FBT003
    reason, message = _blocked(decision, version, at)
    return Assertion(not reason, reason or "passed", message, decision)


def _blocked(decision: Decision, version: ModelVersion, at: datetime) -> tuple[str, str]:
    """Give the reason why a decision does not allow, or nothing."""
    if decision.state != DecisionState.PASSED:
        return f"decision-{decision.state}", decision_words(decision)
    if decision.expires_at is None or decision.expires_at <= at:
        end = f"expired at {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else "names no end"
        return "decision-expired", f"decision {decision.id} {end}; request a new decision"
    if not _attested(decision, version):
        return "attestation-invalid", f"decision {decision.id} is not what the decision key signed; request a new one"
    current = policy_current(environment=decision.environment)
    if current is None or current.pk != decision.policy_version_id:
        return "policy-changed", "the policy changed after the decision; request a new decision"
    if not rests_on(decision, evidence_context(version)):
        return "evidence-changed", "evidence or lineage arrived after the decision; request a new decision"
    return "", f"decision {decision.id} allows it until {decision.expires_at:%Y-%m-%d %H:%M} UTC"


def _attested(decision: Decision, version: ModelVersion) -> bool:
    """Tell whether a decision says what the decision key signed, so that writing rows is not enough to allow."""
    trust = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE)
    try:
        signed, signers = decision_open(bytes(decision.attestation or b""), [key.key for key in trust.decision_keys])
    except AttestError:
        return False
    said = (
        signed.id,
        signed.state,
        signed.digest.text,
        signed.environment,
        signed.evidence_set.text,
        signed.expires_at,
    )
    return trust.in_force(signers, signed.decided_at) and said == (
        decision.id,
        decision.state,
        version.digest,
        decision.environment,
        decision.evidence_set_digest,
        decision.expires_at,
    )


def decision_words(decision: Decision) -> str:
    """Say in words what a decision rests on: the messages of the rules that did not pass."""
    blocking = [rule["message"] for rule in decision.rules if rule["outcome"] != "pass"]
    return "; ".join(blocking) or f"all {len(decision.rules)} rules passed"


def lineage_walk(*, start: str, upwards: bool) -> list[dict[str, Any]]:
    """Give the lineage steps above or below a thing, nearest first, at most 500 of them.

    Args:
        start: Id of a data set version, run, model version or deployment.
        upwards: True for what it came from, False for what came of it.
    """
    near, far = ("target_id", "source_id") if upwards else ("source_id", "target_id")
    statement = f"""
        WITH RECURSIVE walk AS (
          SELECT e.*, 1 AS depth FROM governance_lineageedge e WHERE e.{near} = %s
          UNION
          SELECT e.*, w.depth + 1 FROM governance_lineageedge e JOIN walk w ON e.{near} = w.{far})
        SELECT source_kind, source_id, target_kind, target_id, role, trust, min(depth) AS depth FROM walk
         GROUP BY id, source_kind, source_id, target_kind, target_id, role, trust
         ORDER BY depth, source_id, target_id LIMIT {_LINEAGE_LIMIT}
    """  # noqa: S608 - only the two column names above are put in
    with connection.cursor() as cursor:
        cursor.execute(statement, (start,))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
