"""Words of the ledger. A value, once released, is never renamed: entries that use it are for ever."""

from django.db.models import TextChoices


class Log(TextChoices):
    """The two logs of an instance."""

    LINEAGE = "lineage", "Lineage"
    ACCESS = "access", "Access"


class ActorKind(TextChoices):
    """Who did it."""

    PERSON = "person", "Person"
    SERVICE = "service", "Service account"
    SYSTEM = "system", "System process"


class LineageEvent(TextChoices):
    """Facts of the lineage log."""

    SYSTEM_REGISTERED = "system.registered"
    MODEL_REGISTERED = "model.registered"
    MODEL_VERSION_REGISTERED = "model_version.registered"
    DATASET_REGISTERED = "dataset.registered"
    DATASET_VERSION_REGISTERED = "dataset_version.registered"
    RUN_RECORDED = "run.recorded"
    LINEAGE_RECORDED = "lineage.recorded"
    ARTIFACT_STORED = "artifact.stored"
    EVIDENCE_DEPOSITED = "evidence.deposited"
    POLICY_PUBLISHED = "policy.published"
    DECISION_REQUESTED = "decision.requested"
    DECISION_ISSUED = "decision.issued"
    APPROVAL_SIGNED = "approval.signed"
    APPROVAL_REFUSED = "approval.refused"
    DEPLOYMENT_RECORDED = "deployment.recorded"
    JOB_REQUESTED = "job.requested"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    REPORT_ISSUED = "report.issued"
    BUNDLE_ISSUED = "bundle.issued"
    ANCHORS_CONFIGURED = "anchors.configured"
    USER_CREATED = "user.created"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event


class AccessEvent(TextChoices):
    """Facts of the access log."""

    RECORD_VIEWED = "record.viewed"
    REPORT_DOWNLOADED = "report.downloaded"
    BUNDLE_DOWNLOADED = "bundle.downloaded"
    GATE_ASSERTED = "gate.asserted"
    PREDICTION_READ = "prediction.read"
    PHI_READ = "phi.read"


class Refusal(TextChoices):
    """Why the signer refuses. The first two are about the log itself and are for good."""

    ROLLED_BACK = "rolled-back", "The log is smaller than what was signed"
    NOT_EXTENDING = "not-extending", "The log does not extend what was signed"
    NOT_ACTIVE = "not-active", "The log is frozen or sealed"
    UNKNOWN_LOG = "unknown-log", "The database has no such log"
    MEMORY = "memory-unusable", "The signer's memory cannot be read"


class AnchorKind(TextChoices):
    """Where checkpoints are published."""

    FILE = "file", "Folder"
    GIT = "git", "Git repository"
    OBJECT_STORE = "object-store", "Object store"
    TIMESTAMP = "timestamp", "Timestamp authority"
    WITNESS = "witness", "Witness"
