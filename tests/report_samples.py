"""A complete audit report of an invented bank, over a real Merkle log signed with throwaway keys."""

import base64
import hashlib
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import report_facts
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.attest.decision import decision_sign
from modelnotary.attest.statement import Approval as SignedApproval
from modelnotary.attest.statement import GateDecision, Resource, RuleOutcome
from modelnotary.ledger import checkpoint as checkpoints
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tree import inclusion_path, tree_root
from modelnotary.times import format_time
from modelnotary.verify.report import verify_report
from modelnotary.verify.result import Outcome, VerificationReport
from modelnotary.verify.trust import DecisionKey, Trust
from reports.content import (
    AccessSummary,
    Approval,
    BiasAssessment,
    Checkpoint,
    Citation,
    Cover,
    Decision,
    EntryProof,
    Explanation,
    Ledger,
    LineageStep,
    Performance,
    Policy,
    ReportContent,
    Rule,
    Summary,
)
from reports.document import report_build
from reports.pki import ReportSigner, report_pki_create, report_signer_load
from reports.signing import report_sign

INSTANCE = "modelnotary.test/3f9a"
AS_OF = datetime(2026, 11, 21, 10, 42, 7, tzinfo=UTC)
SERVICE = Actor("service", "svc_" + "0" * 32, "training pipeline")


def sample_id(prefix: str, number: int) -> str:
    return f"{prefix}_0192f0c1{number:024x}"


def sample_digest(words: str) -> str:
    return f"sha256:{hashlib.sha256(words.encode()).hexdigest()}"


@dataclass
class SampleLog:
    """One log, in memory: entries as bytes, its key, and the proofs of it."""

    name: str
    signer: NoteSigner = field(init=False)
    entries: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signer = NoteSigner(f"{INSTANCE}/{self.name}", Ed25519PrivateKey.generate())

    @property
    def origin(self) -> str:
        return self.signer.name

    def record(
        self, kind: str, subject: str, digest: str | None, event: str, data: dict[str, str] | None = None
    ) -> Citation:
        """Append an event; the citation names the subject's digest, or the one in the data."""
        index = len(self.entries)
        data = data or {}
        at = AS_OF - timedelta(days=9) + timedelta(hours=3 * index)
        subject_digest = Digest.from_text(digest) if digest else None
        self.entries.append(
            Event(
                log=self.name,
                type=event,
                id=sample_id("evt", index),
                at=at,
                actor=SERVICE,
                subject=Subject(kind, subject, subject_digest),
                data=dict(data),
            ).to_bytes()
        )
        return Citation(self.origin, index, kind, subject, digest or next(iter(data.values()), None))

    def at(self, citation: Citation) -> str:
        return format_time(Event.from_bytes(self.entries[citation.index]).at)

    def checkpoint(self) -> Checkpoint:
        root = tree_root(map(leaf_hash, self.entries))
        note = checkpoints.checkpoint_sign(checkpoints.Checkpoint(self.origin, len(self.entries), root), self.signer)
        return Checkpoint(self.origin, len(self.entries), base64.b64encode(root).decode(), note.decode())

    def proof(self, index: int) -> EntryProof:
        leaf = self.entries[index]
        event = Event.from_bytes(leaf)
        path = inclusion_path(index, len(self.entries), self._node)
        proof = InclusionProof(index, tuple(path), self.checkpoint().note.encode()).to_bytes().decode()
        return EntryProof(
            origin=self.origin,
            index=index,
            size=len(self.entries),
            type=event.type,
            at=format_time(event.at),
            proof=proof,
            leaf=base64.b64encode(leaf).decode(),
        )

    def _node(self, level: int, index: int) -> bytes:
        return tree_root(map(leaf_hash, self.entries[index << level : (index + 1) << level]))


@dataclass
class SampleBank:
    """An invented bank: its lineage and access logs, its decision key, and a report on its mortgage model."""

    lineage: SampleLog = field(default_factory=lambda: SampleLog("lineage"))
    access: SampleLog = field(default_factory=lambda: SampleLog("access"))
    decision_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def report(self) -> ReportContent:
        """The report, over logs that hold the cited entries and others between them."""
        self._background()
        steps = self._lineage_steps()
        version = steps[3].source
        assert version.digest is not None
        performance = self._performance()
        explanation = self._explanation()
        bias = self._bias()
        approvals = self._approvals()
        decision = self._decision(version.digest, approvals)
        deployment = self._step("deployment", "production", "lending decisions desk", "traffic share 100 %")
        proofs = tuple(
            self.lineage.proof(source.index)
            for source in sorted(
                (
                    *(step.source for step in steps),
                    performance.source,
                    explanation.source,
                    bias.source,
                    *(approval.source for approval in approvals),
                    *(item.source for item in (decision.policy, decision) if item),
                    deployment.source,
                ),
                key=lambda source: source.index,
            )
        )
        return ReportContent(
            report_id=sample_id("rep", 1),
            instance=INSTANCE,
            as_of=format_time(AS_OF),
            cover=_cover(version),
            summary=Summary(report_facts.ANSWER, report_facts.VERDICTS),
            lineage=(*steps, deployment),
            ledger=Ledger((self.lineage.checkpoint(), self.access.checkpoint()), proofs),
            limitations=report_facts.LIMITATIONS,
            performance=performance,
            explanation=explanation,
            bias=(bias,),
            decisions=(decision,),
            approvals=approvals,
            access=_access(self.access),
        )

    def _background(self) -> None:
        """Entries the report does not cite, so that positions and paths are not trivial."""
        for number in range(40):
            self.lineage.record("model_version", sample_id("mv", 900 + number), None, "model_version.viewed")
        for number in range(131):
            self.access.record("subject", sample_id("sub", number), None, "score.read")

    def _step(self, stage: str, name: str, role: str, detail: str) -> LineageStep:
        kind = {"dataset": "dataset_version"}.get(stage, stage)
        source = self.lineage.record(
            kind, sample_id("rec", len(self.lineage.entries)), sample_digest(name), f"{kind}.registered"
        )
        return LineageStep(stage, name, role, detail, self.lineage.at(source), source)

    def _lineage_steps(self) -> list[LineageStep]:
        return [
            self._step("dataset", "Boston HMDA 1990, training rows", "training data", "1,904 rows, 13 columns"),
            self._step("dataset", "Boston HMDA 1990, held-out rows", "evaluation data", "477 rows, 13 columns"),
            self._step("training_run", "Retraining with reweighing", "run 2026-11-18", "seed 20261118"),
            self._step("model_version", "Mortgage denial 2.0.0", "XGBoost, 180 trees", "JSON, 214,883 bytes"),
        ]

    def _evidence(self, words: str) -> Citation:
        number = len(self.lineage.entries)
        return self.lineage.record("evidence", sample_id("evd", number), sample_digest(words), "evidence.deposited")

    def _performance(self) -> Performance:
        return Performance(
            metrics=report_facts.METRICS,
            interval="95 % bootstrap over rows, 2,000 resamples, seed 20261118",
            source=self._evidence("performance"),
        )

    def _explanation(self) -> Explanation:
        return Explanation(
            method="Interventional TreeSHAP",
            unit="log-odds of denial",
            n=477,
            interval="95 % bootstrap over rows, 400 resamples",
            features=report_facts.IMPORTANCES,
            receipt=report_facts.RECEIPT,
            source=self._evidence("explanation"),
        )

    def _bias(self) -> BiasAssessment:
        return BiasAssessment(
            column="race",
            favourable="predicted as not denied",
            data="held-out rows",
            reference="white",
            interval="95 % Wilson score for rates, 95 % log-ratio for the parity ratio",
            groups=report_facts.GROUPS,
            criteria=report_facts.CRITERIA,
            source=self._evidence("bias"),
        )

    def _approvals(self) -> tuple[Approval, ...]:
        approvals = []
        for number, (name, role, reason) in enumerate(report_facts.APPROVERS):
            statement = sample_digest(f"statement {name}")
            source = self.lineage.record("signature", sample_id("sig", number), statement, "approval.signed")
            approvals.append(
                Approval(
                    name=name,
                    role=role,
                    meaning="I approve the deployment of this version to production.",
                    reason=reason,
                    vote="approve",
                    at=self.lineage.at(source),
                    statement_digest=statement,
                    source=source,
                )
            )
        return tuple(approvals)

    def _decision(self, digest: str, approvals: tuple[Approval, ...]) -> Decision:
        policy = Policy(
            sample_id("pol", 1),
            "Mortgage models in production",
            3,
            self.lineage.record("policy", sample_id("pol", 1), sample_digest("policy"), "policy.published"),
        )
        rules = report_facts.RULES
        signed = self._signed_decision(Digest.from_text(digest), rules, approvals)
        envelope = decision_sign(signed, self.decision_key).decode()
        source = self.lineage.record(
            "decision", signed.id, digest, "decision.issued", {"attestation_digest": Digest.of(envelope.encode()).text}
        )
        assert signed.expires_at is not None
        return Decision(
            id=signed.id,
            state="passed",
            result="PASSED",
            environment="production",
            model_digest=digest,
            decided_at=format_time(signed.decided_at),
            expires_at=format_time(signed.expires_at),
            policy=policy,
            rules=rules,
            envelope=envelope,
            source=replace(source, digest=Digest.of(envelope.encode()).text),
        )

    def _signed_decision(
        self, digest: Digest, rules: tuple[Rule, ...], approvals: tuple[Approval, ...]
    ) -> GateDecision:
        return GateDecision(
            id=sample_id("dec", 2),
            name="mortgage-denial 2.0.0",
            digest=digest,
            resource_uri=f"modelnotary://{INSTANCE}/mortgage-denial/2.0.0",
            environment="production",
            state="passed",
            decided_at=AS_OF - timedelta(hours=5),
            expires_at=AS_OF + timedelta(days=90),
            verifier=f"https://{INSTANCE}/gate",
            versions={"modelnotary": "0.1.0"},
            policy=Resource("policies/mortgage/3", Digest.from_text(sample_digest("policy"))),
            evidence=(Resource("evidence/1", Digest.from_text(sample_digest("bias"))),),
            evidence_set=Digest.from_text(sample_digest("evidence set")),
            rules=tuple(RuleOutcome(rule.id, rule.outcome, "threshold") for rule in rules),
            approvals=tuple(
                SignedApproval(item.role, item.name, item.vote, Digest.from_text(item.statement_digest))
                for item in approvals
            ),
        )

    @property
    def trust(self) -> Trust:
        """The keys an auditor would pin, without report roots."""
        return Trust(
            instance=INSTANCE,
            logs=tuple(LogKeys.of(log.signer.verifier) for log in (self.lineage, self.access)),
            decision_keys=(
                DecisionKey(self.decision_key.public_key().public_bytes_raw(), AS_OF - timedelta(days=365)),
            ),
            report_roots=(),
        )


def _cover(version: Citation) -> Cover:
    assert version.digest is not None
    return Cover(
        organization="Harbor Trust Savings Bank",
        title="Model audit report",
        system="Home mortgage underwriting support",
        system_id=sample_id("sys", 1),
        purpose=report_facts.PURPOSE,
        owner="Margaret O'Neill, Retail Lending",
        model="Mortgage denial",
        version="2.0.0",
        version_id=version.id,
        digest=version.digest,
        environment="production",
        not_covered=report_facts.NOT_COVERED,
    )


def _access(log: SampleLog) -> AccessSummary:
    return AccessSummary(
        origin=log.origin,
        size=len(log.entries),
        since=format_time(AS_OF - timedelta(days=1)),
        until=format_time(AS_OF),
        denied=3,
        purposes=report_facts.PURPOSES,
    )


@dataclass(frozen=True)
class SampleReport:
    """A report that verifies, and all that is needed to make it say something else."""

    bank: SampleBank
    content: ReportContent
    signer: ReportSigner
    trust: Trust
    unsigned: bytes
    signed: bytes

    def issue(self, content: ReportContent) -> bytes:
        """Build and sign other content with the same keys."""
        return report_sign(report_build(content), self.signer, report_id=content.report_id, at=AS_OF)


@cache
def sample_report() -> SampleReport:
    """One report for all tests of a process; nothing in it can be changed."""
    bank = SampleBank()
    content = bank.report()
    with tempfile.TemporaryDirectory() as folder:
        pki = report_pki_create(Path(folder), name="Harbor Trust Savings Bank", at=AS_OF)
        signer = report_signer_load(pki)
        trust = replace(bank.trust, report_roots=(pki.root_certificate.read_text(),))
    unsigned = report_build(content)
    signed = report_sign(unsigned, signer, report_id=content.report_id, at=AS_OF)
    return SampleReport(bank, content, signer, trust, unsigned, signed)


def judge(data: bytes, trust: Trust | None = None, now: datetime = AS_OF + timedelta(days=400)) -> VerificationReport:
    """Verify bytes as a report, with the sample's own keys unless others are given."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(data)
        file.flush()
        return verify_report(Path(file.name), trust or sample_report().trust, now=now)


def failing(report: VerificationReport) -> str | None:
    """The name of the check that failed; the procedure ends with the first."""
    return next((check.name for check in report.checks if check.outcome is Outcome.FAIL), None)
