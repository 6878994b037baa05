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
    SYSTEM_DECLARED = "system.declared"
    SYSTEM_ASSIGNED = "system.assigned"
    MODEL_REGISTERED = "model.registered"
    MODEL_DESCRIBED = "model.described"
    MODEL_VERSION_REGISTERED = "model_version.registered"
    DATASET_REGISTERED = "dataset.registered"
    DATASET_VERSION_REGISTERED = "dataset_version.registered"
    RUN_RECORDED = "run.recorded"
    LINEAGE_RECORDED = "lineage.recorded"
    ARTIFACT_STORED = "artifact.stored"
    EVIDENCE_DEPOSITED = "evidence.deposited"
    EVIDENCE_SUPERSEDED = "evidence.superseded"
    EVIDENCE_SUPERSESSION_ACCEPTED = "evidence.supersession_accepted"
    PRODUCER_KEY_PROPOSED = "producer_key.proposed"
    PRODUCER_KEY_REGISTERED = "producer_key.registered"
    PRODUCER_KEY_REVOKED = "producer_key.revoked"
    EVIDENCE_TYPE_DRAFTED = "evidence_type.drafted"
    EVIDENCE_TYPE_PUBLISHED = "evidence_type.published"
    EVIDENCE_TYPE_RETIRED = "evidence_type.retired"
    POLICY_DRAFTED = "policy.drafted"
    POLICY_WITHDRAWN = "policy.withdrawn"
    POLICY_PUBLISHED = "policy.published"
    POLICY_ATTACHMENT_PROPOSED = "policy.attachment_proposed"
    POLICY_ATTACHED = "policy.attached"
    POLICY_DETACHED = "policy.detached"
    TIER_TEMPLATE_DRAFTED = "tier_template.drafted"
    TIER_TEMPLATE_WITHDRAWN = "tier_template.withdrawn"
    TIER_TEMPLATE_PUBLISHED = "tier_template.published"
    TIER_ASSESSMENT_DRAFTED = "tier_assessment.drafted"
    TIER_ASSESSMENT_CONFIRMED = "tier_assessment.confirmed"
    TIER_ASSESSMENT_WITHDRAWN = "tier_assessment.withdrawn"
    TIER_ASSESSMENT_PUBLISHED = "tier_assessment.published"
    DECISION_REQUESTED = "decision.requested"
    DECISION_ISSUED = "decision.issued"
    DECISION_EXPIRED = "decision.expired"
    DECISION_SUPERSEDED = "decision.superseded"
    DECISION_REVOCATION_PROPOSED = "decision.revocation_proposed"
    DECISION_REVOKED = "decision.revoked"
    EXCEPTION_REQUESTED = "exception.requested"
    EXCEPTION_ACCEPTED = "exception.accepted"
    EXCEPTION_REFUSED = "exception.refused"
    EXCEPTION_WITHDRAWN = "exception.withdrawn"
    OVERRIDE_REQUESTED = "override.requested"
    OVERRIDE_APPROVED = "override.approved"
    OVERRIDE_REFUSED = "override.refused"
    OVERRIDE_ENDED = "override.ended"
    OVERRIDE_REVIEWED = "override.reviewed"
    FINDING_OPENED = "finding.opened"
    FINDING_CHANGED = "finding.changed"
    FINDING_ESCALATED = "finding.escalated"
    ATTESTATION_OPENED = "attestation.opened"
    ATTESTATION_SIGNED = "attestation.signed"
    OFFICER_REFUSED = "officer.refused"
    APPROVAL_SIGNED = "approval.signed"
    APPROVAL_REFUSED = "approval.refused"
    DEPLOYMENT_RECORDED = "deployment.recorded"
    DEPLOYMENT_RETIRED = "deployment.retired"
    ENVIRONMENT_OBSERVED = "environment.observed"
    PREDICTIONS_RECORDED = "predictions.recorded"
    ALIAS_BOUND = "alias.bound"
    ALIAS_RELEASED = "alias.released"
    JOB_REQUESTED = "job.requested"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    REPORT_ISSUED = "report.issued"
    BUNDLE_ISSUED = "bundle.issued"
    ANCHORS_CONFIGURED = "anchors.configured"
    USER_CREATED = "user.created"
    USER_DEACTIVATED = "user.deactivated"
    BUSINESS_UNIT_CREATED = "business_unit.created"
    ROLE_PROPOSED = "role.proposed"
    ROLE_GRANTED = "role.granted"
    ROLE_ENDED = "role.ended"
    ACCESS_REVIEW_OPENED = "access_review.opened"
    ACCESS_REVIEW_DECIDED = "access_review.decided"
    ACCESS_REVIEW_CLOSED = "access_review.closed"
    AUTHENTICATOR_REQUESTED = "authenticator.requested"
    AUTHENTICATOR_ENROLLED = "authenticator.enrolled"
    AUTHENTICATOR_REVOKED = "authenticator.revoked"
    PASSKEY_REQUESTED = "passkey.requested"
    PASSKEY_REGISTERED = "passkey.registered"
    PASSKEY_REVOKED = "passkey.revoked"
    SIGNING_PREPARED = "signing.prepared"
    SIGNING_LOCKED = "signing.locked"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
    KEY_ROTATED = "key.rotated"
    LOG_INCARNATION = "log.incarnation"
    LOG_SEALED = "log.sealed"
    PRIVACY_ERASURE_REQUESTED = "privacy.erasure_requested"
    PRIVACY_ERASURE_APPROVED = "privacy.erasure_approved"
    PRIVACY_ERASURE_CANCELLED = "privacy.erasure_cancelled"
    PRIVACY_ERASED = "privacy.erased"
    PRIVACY_REFUSED = "privacy.refused"
    SUBJECT_KEYS_ROTATED = "subject_keys.rotated"
    HOLD_SET = "hold.set"
    HOLD_RELEASED = "hold.released"
    RETENTION_REQUESTED = "retention.requested"
    RETENTION_SCHEDULED = "retention.scheduled"
    ARCHIVE_SEALED = "archive.sealed"
    LOG_PRUNED = "log.pruned"
    LEDGER_CHAIN_HEAD = "ledger.chain_head"


class AccessEvent(TextChoices):
    """Facts of the access log."""

    RECORD_VIEWED = "record.viewed"
    REPORT_DOWNLOADED = "report.downloaded"
    BUNDLE_DOWNLOADED = "bundle.downloaded"
    GATE_ASSERTED = "gate.asserted"
    PREDICTION_READ = "prediction.read"
    PHI_READ = "phi.read"
    KEY_ROTATED = "key.rotated"
    LEDGER_CHAIN_HEAD = "ledger.chain_head"


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


class ErasureBasis(TextChoices):
    """The law that an erasure rests on."""

    GDPR_17_1_A = "gdpr-17-1-a", "GDPR Art. 17(1)(a): the data are no longer necessary for their purposes"
    GDPR_17_1_B = "gdpr-17-1-b", "GDPR Art. 17(1)(b): the person withdrew consent and there is no other legal ground"
    GDPR_17_1_C = (
        "gdpr-17-1-c",
        "GDPR Art. 17(1)(c): the person objected under Art. 21 and no overriding ground remains",
    )
    GDPR_17_1_D = "gdpr-17-1-d", "GDPR Art. 17(1)(d): the data were processed unlawfully"
    GDPR_17_1_E = "gdpr-17-1-e", "GDPR Art. 17(1)(e): Union or Member State law obliges the controller to erase them"
    GDPR_17_1_F = "gdpr-17-1-f", "GDPR Art. 17(1)(f): collected from a child for an information society service"
    GDPR_5_1_E = "gdpr-5-1-e", "GDPR Art. 5(1)(e): the retention period has ended"
    CCPA_1798_105 = "ccpa-1798-105", "Cal. Civ. Code § 1798.105: the consumer asked for deletion"


class RetentionBasis(TextChoices):
    """The rule that a retention schedule follows; `minimum_days` is how long it asks for, at least."""

    AI_ACT_18 = "ai-act-18", "Regulation (EU) 2024/1689 Art. 18(1): technical documentation, 10 years"
    AI_ACT_19 = "ai-act-19", "Regulation (EU) 2024/1689 Art. 19(1), 26(6): automatically generated logs, 6 months"
    CO_ADMT = "co-admt", "Colorado SB 26-189: version identifiers, changelogs and notices, 3 years"
    ECOA_1002_12 = "ecoa-1002-12", "12 CFR 1002.12(b): credit applications and their evaluation, 25 months"
    HIPAA_164_316 = "hipaa-164-316", "45 CFR 164.316(b)(2)(i): documentation, 6 years"
    HIPAA_164_528 = "hipaa-164-528", "45 CFR 164.528(a)(1): accounting of disclosures, 6 years"
    PCI_10_5 = "pci-10-5", "PCI DSS v4.0.1 10.5.1: audit logs, 12 months"
    SEC_17A_4 = "sec-17a-4", "17 CFR 240.17a-4(a): records of brokers and dealers, 6 years"
    SOX_210_2_06 = "sox-210-2-06", "17 CFR 210.2-06: audit records, 7 years"
    OWN = "own", "The organisation's own rule, which the reason names"

    @property
    def minimum_days(self) -> int:
        """The days that the period has at most, with every leap day that can fall into it."""
        return _MINIMUM_DAYS[self]


_MINIMUM_DAYS = {
    RetentionBasis.AI_ACT_18: 3653,
    RetentionBasis.AI_ACT_19: 184,
    RetentionBasis.CO_ADMT: 1096,
    RetentionBasis.ECOA_1002_12: 762,
    RetentionBasis.HIPAA_164_316: 2192,
    RetentionBasis.HIPAA_164_528: 2192,
    RetentionBasis.PCI_10_5: 366,
    RetentionBasis.SEC_17A_4: 2192,
    RetentionBasis.SOX_210_2_06: 2557,
    RetentionBasis.OWN: 1,
}


class ErasureState(TextChoices):
    """How far an erasure is."""

    REQUESTED = "requested", "Waits for a second privacy officer"
    APPROVED = "approved", "Approved, waits for the keys to be rotated"
    ERASED = "erased", "Erased"
    CANCELLED = "cancelled", "Cancelled"


class HoldScope(TextChoices):
    """What a legal hold is on."""

    PERSON = "person", "One person"
    LOG = "log", "A whole log"
