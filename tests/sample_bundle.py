"""A small but complete evidence bundle with real keys, and the means to forge one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.attest.decision import decision_sign
from modelnotary.attest.statement import Approval, GateDecision, Resource, RuleOutcome
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tree import tree_root
from modelnotary.verify.bundle_format import BundleSubject, log_files, manifest_sign, reports_file
from modelnotary.verify.trust import DecisionKey, Trust

INSTANCE = "notary.example/1"
LINEAGE = f"{INSTANCE}/lineage"
ACCESS = f"{INSTANCE}/access"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
MODEL = Digest.of(b"the model's bytes")
MODEL_ID = f"mv_{1:032x}"
DECISION_ID = f"dec_{1:032x}"
DENIAL_ID = f"dec_{2:032x}"
EVIDENCE_ID = f"evd_{1:032x}"
REPORT_ID = f"rep_{1:032x}"
POLICY = b"policy: production\nrules: []\n"
EVIDENCE = canonical_bytes({"format": "modelnotary-evidence/v1", "payload": {"ratio": 0.91}})
SUBJECT = BundleSubject("model_version", MODEL_ID, "credit-risk:7", MODEL)
REPORT = Digest.of(b"%PDF-1.7 the signed report")


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


@dataclass(frozen=True)
class Keys:
    """The private keys of an instance, or those of a forger."""

    lineage: Ed25519PrivateKey = field(default_factory=lambda: key(1))
    access: Ed25519PrivateKey = field(default_factory=lambda: key(2))
    decision: Ed25519PrivateKey = field(default_factory=lambda: key(3))

    def signer(self, origin: str) -> NoteSigner:
        return NoteSigner(origin, self.lineage if origin == LINEAGE else self.access)

    def trust(self) -> Trust:
        public = self.decision.public_key().public_bytes_raw()
        decision_key = DecisionKey(public, NOW - timedelta(days=30), NOW + timedelta(days=300))
        return Trust(
            INSTANCE, tuple(LogKeys.of(self.signer(log).verifier) for log in (LINEAGE, ACCESS)), (decision_key,), ()
        )


KEYS = Keys()
FORGER = Keys(key(11), key(12), key(13))


def event(
    number: int, kind: str, subject: Subject, data: dict[str, Any], log: str = "lineage", *, at: datetime | None = None
) -> bytes:
    at = at or NOW - timedelta(hours=20) + timedelta(minutes=number)
    actor = Actor("person", f"usr_{1:032x}", "Ada Example")
    return Event(log, kind, f"evt_{number:032x}", at, actor, subject, data).to_bytes()


def decision(name: str, state: str, *, expires_at: datetime | None = None) -> GateDecision:
    return GateDecision(
        id=name,
        name="credit-risk:7",
        digest=MODEL,
        resource_uri=f"modelnotary:{INSTANCE}/{MODEL_ID}",
        environment="production",
        state=state,
        decided_at=NOW - timedelta(hours=2),
        expires_at=expires_at,
        verifier=f"modelnotary:{INSTANCE}",
        versions={"modelnotary": "0.1.0"},
        policy=Resource("modelnotary:policy/production/1", Digest.of(POLICY)),
        evidence=(Resource(f"modelnotary:evidence/{EVIDENCE_ID}", Digest.of(EVIDENCE)),),
        evidence_set=Digest.of(b"set"),
        rules=(RuleOutcome("FAIR-001", "pass" if state == "passed" else "fail", "met"),),
        approvals=(Approval("compliance", f"usr_{2:032x}", "approve", Digest.of(b"signed statement")),),
    )


@dataclass
class Sample:
    """The parts of a bundle. Change one, then `files` builds the rest consistently with it."""

    keys: Keys = KEYS
    manifest_key: Ed25519PrivateKey | None = None
    fill: int = 4
    subject: BundleSubject = SUBJECT
    created_at: datetime = NOW - timedelta(hours=1)
    expires_at: datetime | None = NOW + timedelta(days=90)
    with_access: bool = True
    edit_entries: Callable[[list[bytes]], list[bytes]] = lambda entries: entries
    edit_files: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda files: files
    edit_checkpoint: Callable[[Checkpoint], Checkpoint] = lambda checkpoint: checkpoint

    def decisions(self) -> dict[str, bytes]:
        passed = decision(DECISION_ID, "passed", expires_at=self.expires_at)
        return {
            DECISION_ID: decision_sign(passed, self.keys.decision),
            DENIAL_ID: decision_sign(decision(DENIAL_ID, "failed"), self.keys.decision),
        }

    def entries(self) -> list[bytes]:
        about = {"model_version": MODEL_ID}
        entries = [
            event(0, "model_version.registered", Subject("model_version", MODEL_ID, MODEL), {"number": 7}),
            event(1, "policy.published", Subject("policy_version", "pov_1", Digest.of(POLICY)), {"number": 1}),
            event(2, "evidence.deposited", Subject("evidence", EVIDENCE_ID, Digest.of(EVIDENCE)), about),
        ]
        for name, envelope in self.decisions().items():
            data = about | {"attestation_digest": Digest.of(envelope).text}
            entries.append(event(len(entries), "decision.issued", Subject("decision", name, MODEL), data))
        entries.append(event(5, "report.issued", Subject("report", REPORT_ID, REPORT), about))
        entries += [
            event(number, "job.requested", Subject("job", f"job_{number:032x}"), {"n": number})
            for number in range(6, 6 + self.fill)
        ]
        return self.edit_entries(entries)

    def checkpoint(self, origin: str, entries: list[bytes]) -> Checkpoint:
        return self.edit_checkpoint(Checkpoint(origin, len(entries), tree_root(map(leaf_hash, entries))))

    def files(self) -> dict[str, bytes]:
        logs = {LINEAGE: self.entries()}
        if self.with_access:
            subject = Subject("report", REPORT_ID, REPORT)
            logs[ACCESS] = [event(0, "report.downloaded", subject, {"bytes": 26}, log="access")]
        files = {
            "trust.json": self.keys.trust().to_bytes(),
            "reports.json": reports_file({REPORT_ID: REPORT}),
            f"evidence/{EVIDENCE_ID}.json": EVIDENCE,
            f"policies/pol_{1:032x}-v1.yaml": POLICY,
        } | {f"decisions/{name}.dsse.json": envelope for name, envelope in self.decisions().items()}
        checkpoints = []
        for origin, entries in logs.items():
            checkpoint = self.checkpoint(origin, entries)
            checkpoints.append(checkpoint)
            files |= log_files(origin, entries, checkpoint_sign(checkpoint, self.keys.signer(origin)))
        files = self.edit_files(files)
        manifest = manifest_sign(
            files,
            subject=self.subject,
            logs=checkpoints,
            created_at=self.created_at,
            private_key=self.manifest_key or self.keys.decision,
        )
        return files | {"manifest.dsse.json": manifest}


def kept_checkpoint(sample: Sample, size: int) -> bytes:
    """The checkpoint an auditor would have kept when the lineage log had this size."""
    entries = sample.entries()[:size]
    return checkpoint_sign(sample.checkpoint(LINEAGE, entries), sample.keys.signer(LINEAGE))
