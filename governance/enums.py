"""Closed vocabularies. A released value is never renamed."""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a person answers for."""

    COMPLIANCE = "compliance", "Compliance officer"
    MODEL_RISK = "model_risk", "Model risk officer"
    PRIVACY = "privacy", "Privacy officer"
    ENGINEER = "engineer", "Engineer"
    AUDITOR = "auditor", "Auditor"
    MODEL_OWNER = "model_owner", "Model owner"
    VALIDATOR = "validator", "Validator"


class DutyLine(TextChoices):
    """On which side of a control somebody stands: the three lines of the Institute of Internal Auditors' model."""

    FIRST = "first", "First line, which builds and owns models"
    SECOND = "second", "Second line, which oversees them"
    THIRD = "third", "Third line, which audits both"


# A person holds roles of one line at a time. The database holds the same.
DUTY_LINES: dict[Role, DutyLine] = {
    Role.ENGINEER: DutyLine.FIRST,
    Role.MODEL_OWNER: DutyLine.FIRST,
    Role.VALIDATOR: DutyLine.SECOND,
    Role.COMPLIANCE: DutyLine.SECOND,
    Role.MODEL_RISK: DutyLine.SECOND,
    Role.PRIVACY: DutyLine.SECOND,
    Role.AUDITOR: DutyLine.THIRD,
}


class GrantOrigin(TextChoices):
    """How somebody came to hold a role."""

    OFFICERS = "officers", "Proposed by an administrator, confirmed by an officer"
    ACCOUNT = "account", "Came with the account, which the installation's operator made"
    CARRIED_OVER = "carried_over", "Held before roles were granted for a time"


class AccessDecisionKind(TextChoices):
    """What a reviewer decided about a role or a token."""

    KEPT = "kept", "Confirmed"
    REMOVED = "removed", "Taken away"


class Scope(TextChoices):
    """What a token may do."""

    REGISTRY_READ = "registry:read", "Read systems, models, data and lineage"
    REGISTRY_WRITE = "registry:write", "Register systems, models, data, runs and deployments"
    EVIDENCE_WRITE = "evidence:write", "Deposit evidence"
    PRODUCER_KEY = "evidence:key", "Register and revoke keys of evidence producers; people only"
    ASSESSMENT_RUN = "assessment:run", "Start explanations and bias assessments"
    POLICY_DRAFT = "policy:draft", "Draft policies and withdraw drafts"
    POLICY_PUBLISH = "policy:publish", "Publish policies that somebody else drafted; people only"
    GATE_READ = "gate:read", "Ask the gate and read decisions"
    GATE_EVALUATE = "gate:evaluate", "Request decisions"
    GATE_REVOKE = "gate:revoke", "Revoke decisions; people only"
    GATE_OVERRIDE = "gate:override", "Ask for and answer exceptions and overrides; people only"
    APPROVAL_VOTE = "approval:vote", "Sign approvals; people only"
    FINDING_READ = "finding:read", "Read findings"
    FINDING_WRITE = "finding:write", "Open findings and take them further; people only"
    REPORT_CREATE = "report:create", "Create and download reports and bundles"
    AUDIT_READ = "audit:read", "Read ledger entries, proofs and checkpoints"
    ENVIRONMENT_REPORT = "environment:report", "Report what runs in an environment"
    PREDICTION_WRITE = "prediction:write", "Record predictions about persons and what people made of them"
    PREDICTION_READ = "prediction:read", "Ask what decided about a person on a day; people only"
    ACCESS_WRITE = "access:write", "Record accesses made in other systems"


PEOPLE_ONLY = frozenset(
    {
        Scope.APPROVAL_VOTE,
        Scope.FINDING_WRITE,
        Scope.GATE_OVERRIDE,
        Scope.GATE_REVOKE,
        Scope.POLICY_PUBLISH,
        Scope.PREDICTION_READ,
        Scope.PRODUCER_KEY,
    }
)
"""Scopes that no token of a service account can have."""


class DataFormat(TextChoices):
    """What the bytes of a data set's version are. Of a table, rows and columns are counted; of others, reported."""

    CSV = "csv", "CSV table"
    PARQUET = "parquet", "Parquet table"
    OTHER = "other", "Other"


class Methodology(TextChoices):
    """How a model comes to its output."""

    STATISTICAL = "statistical", "Statistical"
    MACHINE_LEARNING = "ml", "Machine learning"
    RULES = "rules", "Rules"
    LANGUAGE_MODEL = "llm", "Language model"
    EXPERT = "expert", "Expert judgement"
    HYBRID = "hybrid", "Hybrid"


class Provenance(TextChoices):
    """Where a model comes from."""

    INTERNAL = "internal", "Made in-house"
    VENDOR = "vendor", "Bought from a vendor"


class PhiType(TextChoices):
    """The identifiers of 45 CFR 164.514(b)(2)(i)(A) to (R), in its order."""

    NAME = "name", "Names"
    GEOGRAPHY = "geography", "Geographic subdivisions smaller than a state"
    DATE = "date", "Dates but for the year, and ages over 89"
    TELEPHONE = "telephone", "Telephone numbers"
    FAX = "fax", "Fax numbers"
    EMAIL = "email", "Electronic mail addresses"
    SOCIAL_SECURITY = "social_security", "Social security numbers"
    MEDICAL_RECORD = "medical_record", "Medical record numbers"
    HEALTH_PLAN = "health_plan", "Health plan beneficiary numbers"
    ACCOUNT = "account", "Account numbers"
    LICENCE = "licence", "Certificate and licence numbers"
    VEHICLE = "vehicle", "Vehicle identifiers and licence plates"
    DEVICE = "device", "Device identifiers and serial numbers"
    URL = "url", "Web addresses"
    IP_ADDRESS = "ip_address", "Internet protocol addresses"
    BIOMETRIC = "biometric", "Biometric identifiers, such as finger and voice prints"
    PHOTOGRAPH = "photograph", "Full-face photographs and comparable images"
    OTHER_UNIQUE = "other_unique", "Any other unique identifying number, characteristic or code"


class Deidentification(TextChoices):
    """How health information was made not individually identifiable (45 CFR 164.514(b))."""

    SAFE_HARBOR = "safe_harbor", "Safe harbor: all eighteen identifiers removed, § 164.514(b)(2)"
    EXPERT_DETERMINATION = "expert_determination", "Expert determination, § 164.514(b)(1)"
    NONE = "none", "Not de-identified"


class DiscrepancyKind(TextChoices):
    """How what runs does not agree with what was deployed and decided."""

    UNAPPROVED = "unapproved", "Runs without approval"
    OTHER_DIGEST = "other_digest", "Other bytes than were deployed"
    NOT_DEPLOYED = "not_deployed", "Allowed and runs, and no deployment is recorded"
    NOT_RUNNING = "not_running", "Deployed and not running"
    DECISION_ENDED = "decision_ended", "Runs after its decision ended"


class HumanAction(TextChoices):
    """What a person made of a prediction."""

    ACCEPT = "accept", "Accepted"
    MODIFY = "modify", "Modified"
    REJECT = "reject", "Rejected"


class Purpose(TextChoices):
    """What somebody looks at a person's data for (HL7 PurposeOfUse)."""

    TREATMENT = "TREAT", "Treatment"
    PAYMENT = "HPAYMT", "Payment"
    OPERATIONS = "HOPERAT", "Operations"
    RESEARCH = "HRESCH", "Research"
    PATIENT_REQUEST = "PATRQT", "At the patient's request"
    EMERGENCY = "ETREAT", "Emergency treatment"


class LineageKind(TextChoices):
    """What an edge of the lineage graph can join."""

    DATASET_VERSION = "dataset_version", "Dataset version"
    RUN = "run", "Training run"
    MODEL_VERSION = "model_version", "Model version"
    DEPLOYMENT = "deployment", "Deployment"
    DECISION = "decision", "Decision"


class LineageRole(TextChoices):
    """How the source took part in the target."""

    TRAINED_ON = "trained_on", "Training data"
    EVALUATED_ON = "evaluated_on", "Evaluation data"
    USED = "used", "Used"
    DERIVED = "derived", "Derived"
    INFORMED = "informed", "Ran before"
    PRODUCED = "produced", "Produced"
    DEPLOYED_AS = "deployed_as", "Deployed as"
    ALLOWED_BY = "allowed_by", "Allowed by"


# Role -> the pairs of kinds that it can join. The database holds the same.
LINEAGE_ENDS: dict[LineageRole, tuple[tuple[LineageKind, LineageKind], ...]] = {
    LineageRole.TRAINED_ON: ((LineageKind.DATASET_VERSION, LineageKind.RUN),),
    LineageRole.EVALUATED_ON: (
        (LineageKind.DATASET_VERSION, LineageKind.RUN),
        (LineageKind.DATASET_VERSION, LineageKind.MODEL_VERSION),
    ),
    LineageRole.USED: ((LineageKind.DATASET_VERSION, LineageKind.RUN), (LineageKind.MODEL_VERSION, LineageKind.RUN)),
    LineageRole.DERIVED: (
        (LineageKind.DATASET_VERSION, LineageKind.DATASET_VERSION),
        (LineageKind.MODEL_VERSION, LineageKind.MODEL_VERSION),
    ),
    LineageRole.INFORMED: ((LineageKind.RUN, LineageKind.RUN),),
    LineageRole.PRODUCED: (
        (LineageKind.RUN, LineageKind.MODEL_VERSION),
        (LineageKind.RUN, LineageKind.DATASET_VERSION),
    ),
    LineageRole.DEPLOYED_AS: ((LineageKind.MODEL_VERSION, LineageKind.DEPLOYMENT),),
    LineageRole.ALLOWED_BY: ((LineageKind.DEPLOYMENT, LineageKind.DECISION),),
}
# These are recorded with the deployment itself, by nobody else.
DEPLOYMENT_ROLES = frozenset({LineageRole.DEPLOYED_AS, LineageRole.ALLOWED_BY})


class Trust(TextChoices):
    """How the product knows of an edge."""

    SELF_REPORTED = "self_reported", "Self-reported"
    RECONCILED = "reconciled", "Reported alike by two sources"
    MEASURED = "measured", "Measured by the product"


class EvidenceType(TextChoices):
    """The types of evidence that the product itself computes or prints; the registry has them all."""

    EXPLANATION = "explanation", "Explanation"
    BIAS = "bias", "Bias assessment"
    PERFORMANCE = "performance", "Performance"


class DecisionState(TextChoices):
    """Where a decision stands. A terminal verdict never changes; a new look is a new decision."""

    PENDING = "pending", "Pending approval"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    ERROR = "error", "Error"


class DecisionStanding(TextChoices):
    """What a decision is worth at a moment: its verdict, or how a passed one ended."""

    PENDING = "pending", "Pending approval"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    ERROR = "error", "Error"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    SUPERSEDED = "superseded", "Superseded"


class EndingKind(TextChoices):
    """How a passed decision ended. The verdict stays what it was; the ending is a record of its own."""

    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    SUPERSEDED = "superseded", "Superseded"


class FindingKind(TextChoices):
    """What a finding is."""

    VALIDATION_ISSUE = "validation_issue", "Validation issue"
    POLICY_EXCEPTION = "policy_exception", "Policy exception"
    LIMITATION = "limitation", "Limitation"
    INCIDENT = "incident", "Incident"


class FindingState(TextChoices):
    """Where a finding stands: what its last event says."""

    OPEN = "open", "Open"
    IN_PROGRESS = "in_progress", "In progress"
    REMEDIATED = "remediated", "Remediated"
    CLOSED = "closed", "Closed"
    RISK_ACCEPTED = "risk_accepted", "Risk accepted"


class Severity(TextChoices):
    """How grave a finding is."""

    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    CRITICAL = "critical", "Critical"


class SubjectKind(TextChoices):
    """What a finding can be about."""

    SYSTEM = "system", "AI system"
    MODEL_VERSION = "model_version", "Model version"
    DEPLOYMENT = "deployment", "Deployment"
    DECISION = "decision", "Decision"


class AttestationStep(TextChoices):
    """The sign-offs of a periodic attestation, in this order."""

    SUBMITTED = "submitted", "Submitted"
    REVIEWED = "reviewed", "Reviewed"
    APPROVED = "approved", "Approved"


class ExceptionStep(TextChoices):
    """What became of a request that a rule need not hold."""

    ACCEPTED = "accepted", "Accepted"
    REFUSED = "refused", "Refused"
    WITHDRAWN = "withdrawn", "Withdrawn"


class OverrideStep(TextChoices):
    """What became of an override of a denial."""

    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"
    ENDED = "ended", "Ended"
    REVIEWED = "reviewed", "Reviewed"


class ApprovalState(TextChoices):
    """Where a request for signatures stands."""

    OPEN = "open", "Open"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class Vote(TextChoices):
    """What a signature says."""

    APPROVE = "approve", "Approve"
    REJECT = "reject", "Reject"


class JobState(TextChoices):
    """Where a piece of long work stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class JobType(TextChoices):
    """Kinds of long work."""

    EXPLANATION = "explanation", "Explanation"
    BIAS = "bias", "Bias assessment"
    REPORT = "report", "Report"
    BUNDLE = "bundle", "Evidence bundle"


class AttachmentKind(TextChoices):
    """What is proposed for a policy in a place."""

    ATTACH = "attach", "Attach"
    DETACH = "detach", "Detach"


class DraftState(TextChoices):
    """What became of something that one person drafts and another one publishes."""

    OPEN = "open", "Open"
    PUBLISHED = "published", "Published"
    WITHDRAWN = "withdrawn", "Withdrawn"
