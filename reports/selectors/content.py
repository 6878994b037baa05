"""The facts of a model audit report, gathered from governance and the ledger."""

import json
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q, QuerySet

from audit.enums import AccessEvent, LineageEvent, Log
from audit.models import Checkpoint as SignedCheckpoint
from audit.models import Entry
from governance import models
from governance.enums import EvidenceType, LineageKind, LineageRole, Vote
from governance.selectors.gate import decision_standing, gate_assert
from governance.selectors.lineage import lineage_walk
from modelnotary.attest.dsse import Envelope
from modelnotary.attest.statement import GateDecision
from modelnotary.ledger.digest import Digest
from modelnotary.times import format_time
from reports import content as facts
from reports.selectors.assessments import bias_facts, evidence_latest, explanation_facts, performance_facts
from reports.selectors.citations import Citations

_PURPOSES = {
    "TREAT": "Treatment",
    "HPAYMT": "Payment",
    "HOPERAT": "Operations",
    "HRESCH": "Research",
    "PATRQT": "At the patient's request",
    "ETREAT": "Emergency treatment",
}
_ROLE_WORDS = {
    LineageRole.TRAINED_ON: "training data",
    LineageRole.EVALUATED_ON: "evaluation data",
    LineageRole.USED: "data used",
    LineageRole.DERIVED: "data that others were derived from",
}
_STEPS_LIMIT = 500
LIMITATIONS = (
    "The report states what was recorded. What was never recorded cannot appear in it.",
    "Lineage marked self-reported is the author's word; lineage marked measured was computed by the product.",
    "Fairness figures describe the data set named beside them and say nothing about people outside it.",
    "SHAP values explain the model's output, not the world: a large value is not a cause.",
    "The signature proves who issued this document and that it is unchanged; its time is the issuer's own clock.",
)


@dataclass(frozen=True)
class ReportFrame:
    """What a report is about and as of when."""

    report_id: str
    version: models.ModelVersion
    environment: str
    as_of: datetime
    lineage: SignedCheckpoint
    access: SignedCheckpoint | None
    earlier: tuple[SignedCheckpoint, ...] = ()


def report_content(frame: ReportFrame) -> facts.ReportContent:
    """Gather a report's content. The same frame over the same records gives the same content."""
    citations = Citations(frame.lineage, frame.access, frame.earlier)
    explanation = evidence_latest(frame.version, EvidenceType.EXPLANATION)
    bias = evidence_latest(frame.version, EvidenceType.BIAS)
    decisions = _decisions(frame, citations)
    access = _access(frame)
    parts = {
        "cover": _cover(frame, citations),
        "summary": _summary(frame, bias, decisions),
        "lineage": _lineage(frame, citations),
        "performance": performance_facts(bias, citations) if bias else None,
        "explanation": explanation_facts(explanation, citations) if explanation else None,
        "bias": bias_facts(bias, citations) if bias else (),
        "decisions": decisions,
        "approvals": _approvals(frame, citations),
        "access": access,
    }
    return facts.ReportContent(
        report_id=frame.report_id,
        instance=settings.NOTARY_INSTANCE,
        as_of=format_time(frame.as_of),
        ledger=citations.ledger(),  # after everything that cites
        limitations=LIMITATIONS,
        **parts,  # type: ignore[arg-type]  # one type for each name, which a dict cannot say
    )


def _cover(frame: ReportFrame, citations: Citations) -> facts.Cover:
    version, system = frame.version, frame.version.model.system
    citations.cite(LineageEvent.MODEL_VERSION_REGISTERED, version.id, version.digest)
    return facts.Cover(
        organization=system.operator,
        title="Model audit report",
        system=system.name,
        system_id=system.id,
        purpose=system.purpose,
        owner=system.owner.printed_name,
        model=version.model.name,
        version=str(version.number),
        version_id=version.id,
        digest=version.digest,
        environment=frame.environment,
        not_covered=(
            "Whether the training data is fit for the purpose.",
            "The software around the model, its security and its availability.",
        ),
    )


def _summary(frame: ReportFrame, bias: models.Evidence | None, decisions: tuple[facts.Decision, ...]) -> facts.Summary:
    gate = gate_assert(digest=Digest.from_text(frame.version.digest), environment=frame.environment, at=frame.as_of)
    verb = "allows" if gate.allowed else "does not allow"
    answer = f"The gate {verb} this version in {frame.environment}: {gate.message}."
    verdicts = []
    if decisions:
        words = f"{len(decisions[-1].rules)} rules evaluated, decision {decisions[-1].state}"
        verdicts.append(facts.Verdict("Gate decision", _verdict_of(decisions[-1].state), words))
    if bias:
        judged = [item for item in bias.payload["criteria"] if item["line"] is not None]
        verdicts += [
            facts.Verdict(
                f"Fairness by {item['column']}: {item['metric'].replace('_', ' ')}", item["verdict"], item["reason"]
            )
            for item in judged
        ]
    return facts.Summary(answer, tuple(verdicts))


def _verdict_of(state: str) -> str:
    return {"passed": "pass", "failed": "fail"}.get(state, state)


def _lineage(frame: ReportFrame, citations: Citations) -> tuple[facts.LineageStep, ...]:
    version = frame.version
    above = lineage_walk(start=version.id, upwards=True, limit=_STEPS_LIMIT).steps
    steps = [
        _dataset_step(step.source_id, step.role, step.trust, citations)
        for step in above
        if step.source_kind == LineageKind.DATASET_VERSION
    ]
    runs = dict.fromkeys(step.source_id for step in above if step.source_kind == LineageKind.RUN)
    steps += [_run_step(run, citations) for run in runs]
    steps.append(
        facts.LineageStep(
            stage="model_version",
            name=str(version),
            role="the version examined",
            detail=f"{version.format}, author {version.author.printed_name}",
            at=format_time(version.registered_at),
            source=citations.cite(LineageEvent.MODEL_VERSION_REGISTERED, version.id, version.digest),
        )
    )
    deployments = version.deployments.filter(environment=frame.environment, deployed_at__lte=frame.as_of)
    steps += [_deployment_step(item, citations) for item in deployments.order_by("deployed_at")]
    return tuple(steps)


def _dataset_step(identity: str, role: str, trust: str, citations: Citations) -> facts.LineageStep:
    version = models.DatasetVersion.objects.select_related("dataset").get(pk=identity)
    return facts.LineageStep(
        stage="dataset",
        name=f"{version.dataset.name}, version {version.number}",
        role=_ROLE_WORDS[LineageRole(role)],
        detail=f"{version.row_count:,} rows, {len(version.columns)} columns, {trust.replace('_', '-')}",
        at=format_time(version.registered_at),
        source=citations.cite(LineageEvent.DATASET_VERSION_REGISTERED, version.id, version.digest),
    )


def _run_step(identity: str, citations: Citations) -> facts.LineageStep:
    run = models.Run.objects.get(pk=identity)
    return facts.LineageStep(
        stage="training_run",
        name=run.name,
        role="produced the version",
        detail=f"code {run.code_commit[:12]}" if run.code_commit else "",
        at=format_time(run.finished_at),
        source=citations.cite(LineageEvent.RUN_RECORDED, run.id, None),
    )


def _deployment_step(deployment: models.Deployment, citations: Citations) -> facts.LineageStep:
    digest = deployment.model_version.digest
    return facts.LineageStep(
        stage="deployment",
        name=deployment.environment,
        role="put to use",
        detail=f"under decision {deployment.decision_id}",
        at=format_time(deployment.deployed_at),
        source=citations.cite(LineageEvent.DEPLOYMENT_RECORDED, deployment.id, digest),
    )


def _decided(frame: ReportFrame) -> QuerySet[models.Decision]:
    return models.Decision.objects.filter(
        model_version=frame.version,
        environment=frame.environment,
        attestation__isnull=False,
        decided_at__lte=frame.as_of,
    ).order_by("decided_at")


def _decisions(frame: ReportFrame, citations: Citations) -> tuple[facts.Decision, ...]:
    decided = _decided(frame).select_related("policy_version__policy", "model_version", "ending")
    return tuple(_decision(item, frame.as_of, citations) for item in decided)


def _decision(decision: models.Decision, as_of: datetime, citations: Citations) -> facts.Decision:
    assert decision.attestation is not None
    assert decision.decided_at is not None
    signed = GateDecision.from_bytes(Envelope.from_bytes(bytes(decision.attestation)).payload)
    return facts.Decision(
        id=decision.id,
        state=decision_standing(decision, at=as_of).value,
        result="PASSED" if signed.passed else "FAILED",
        environment=decision.environment,
        model_digest=decision.model_version.digest,
        decided_at=format_time(decision.decided_at),
        expires_at=format_time(decision.expires_at) if decision.expires_at else None,
        policy=_policy(decision.policy_version, citations) if decision.policy_version else None,
        rules=tuple(
            facts.Rule(
                id=rule["id"],
                title=rule["title"],
                outcome=rule["outcome"],
                observed=_observed(rule["observed"]),
                expected=rule["expected"],
                message=rule["message"],
            )
            for rule in decision.rules
        ),
        envelope=bytes(decision.attestation).decode(),
        source=citations.cite(LineageEvent.DECISION_ISSUED, decision.id, decision.attestation_digest),
    )


def _policy(version: models.PolicyVersion, citations: Citations) -> facts.Policy:
    return facts.Policy(
        id=version.policy_id,
        name=version.policy.slug,
        version=version.number,
        source=citations.cite(LineageEvent.POLICY_PUBLISHED, version.id, version.digest),
    )


def _observed(value: object) -> str:
    if value is None:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _approvals(frame: ReportFrame, citations: Citations) -> tuple[facts.Approval, ...]:
    signatures = models.Signature.objects.filter(request__decision__in=_decided(frame)).order_by("signed_at")
    return tuple(
        facts.Approval(
            name=item.printed_name,
            role=item.get_role_display(),
            meaning=item.meaning,
            reason=item.reason,
            vote=Vote(item.vote).value,
            at=format_time(item.signed_at),
            statement_digest=item.statement_digest,
            source=citations.cite(LineageEvent.APPROVAL_SIGNED, item.id, item.statement_digest),
        )
        for item in signatures
    )


def _access(frame: ReportFrame) -> facts.AccessSummary | None:
    """Count the accesses that other systems reported for this model, by purpose of use."""
    if frame.access is None:
        return None
    # What earlier access logs hold is closed; of the present one, as much as the checkpoint covers is counted.
    entries = Entry.objects.filter(
        ~Q(log=frame.access.log) | Q(seq__lt=frame.access.size),
        log_class=Log.ACCESS,
        event_type__in=(AccessEvent.PREDICTION_READ, AccessEvent.PHI_READ),
        subject_digest=frame.version.digest,
    ).order_by("body_id")
    read = [json.loads(bytes(entry.bytes)) for entry in entries.iterator()]
    if not read:
        return None
    happened = sorted(event["data"]["happened_at"] for event in read)
    return facts.AccessSummary(
        origin=frame.access.origin,
        size=frame.access.size,
        since=happened[0],
        until=format_time(frame.as_of),
        denied=0,
        purposes=tuple(
            _purpose(purpose, [event for event in read if event["data"]["purpose"] == purpose])
            for purpose in sorted({event["data"]["purpose"] for event in read})
        ),
    )


def _purpose(purpose: str, events: list[dict[str, object]]) -> facts.PurposeCount:
    return facts.PurposeCount(
        purpose=purpose,
        words=_PURPOSES[purpose],
        events=len(events),
        actors=len({str(event["actor"]) for event in events}),
    )
