"""Django finds an app's models here."""

from governance.models.authenticators import Authenticator, Passkey
from governance.models.decisions import (
    ApprovalRequest,
    Decision,
    Deployment,
    Signature,
    SigningTicket,
)
from governance.models.declarations import SystemDeclaration
from governance.models.descriptions import ModelDescription
from governance.models.endings import DecisionEnding, RevocationProposal
from governance.models.environments import AliasBinding, Discrepancy, EnvironmentSnapshot, Retirement
from governance.models.evidence import Evidence, EvidenceSupersession, SupersessionAcceptance
from governance.models.evidence_types import EvidenceTypeDraft, EvidenceTypeRetirement, EvidenceTypeVersion
from governance.models.exceptions import Override, OverrideStepRecord, PolicyException, PolicyExceptionStep
from governance.models.findings import Finding, FindingEscalation, FindingEvent
from governance.models.inventory import (
    AiSystem,
    Artifact,
    Dataset,
    DatasetVersion,
    LineageEdge,
    Model,
    ModelVersion,
    Run,
)
from governance.models.jobs import Job
from governance.models.people import ApiToken, BusinessUnit, Deactivation, RoleGrant, RoleProposal, User
from governance.models.periods import AttestationPeriod, AttestationSignOff
from governance.models.policies import (
    AttachmentProposal,
    Policy,
    PolicyAttachment,
    PolicyDraft,
    PolicyVersion,
    PolicyWithdrawal,
)
from governance.models.predictions import HumanOverride, PredictionBatch, PredictionRecord
from governance.models.producers import (
    ProducerKey,
    ProducerKeyConfirmation,
    ProducerKeyRevocation,
    SignedStatement,
)
from governance.models.reviews import AccessDecision, AccessReview, AccessReviewClosing, AccessReviewLine
from governance.models.tiers import (
    TierAssessment,
    TierConfirmation,
    TierPublication,
    TierTemplate,
    TierTemplateDraft,
    TierTemplateVersion,
    TierTemplateWithdrawal,
    TierWithdrawal,
)

__all__ = [
    "AccessDecision",
    "AccessReview",
    "AccessReviewClosing",
    "AccessReviewLine",
    "AiSystem",
    "AliasBinding",
    "ApiToken",
    "ApprovalRequest",
    "Artifact",
    "AttachmentProposal",
    "AttestationPeriod",
    "AttestationSignOff",
    "Authenticator",
    "BusinessUnit",
    "Dataset",
    "DatasetVersion",
    "Deactivation",
    "Decision",
    "DecisionEnding",
    "Deployment",
    "Discrepancy",
    "EnvironmentSnapshot",
    "Evidence",
    "EvidenceSupersession",
    "EvidenceTypeDraft",
    "EvidenceTypeRetirement",
    "EvidenceTypeVersion",
    "Finding",
    "FindingEscalation",
    "FindingEvent",
    "HumanOverride",
    "Job",
    "LineageEdge",
    "Model",
    "ModelDescription",
    "ModelVersion",
    "Override",
    "OverrideStepRecord",
    "Passkey",
    "Policy",
    "PolicyAttachment",
    "PolicyDraft",
    "PolicyException",
    "PolicyExceptionStep",
    "PolicyVersion",
    "PolicyWithdrawal",
    "PredictionBatch",
    "PredictionRecord",
    "ProducerKey",
    "ProducerKeyConfirmation",
    "ProducerKeyRevocation",
    "Retirement",
    "RevocationProposal",
    "RoleGrant",
    "RoleProposal",
    "Run",
    "Signature",
    "SignedStatement",
    "SigningTicket",
    "SupersessionAcceptance",
    "SystemDeclaration",
    "TierAssessment",
    "TierConfirmation",
    "TierPublication",
    "TierTemplate",
    "TierTemplateDraft",
    "TierTemplateVersion",
    "TierTemplateWithdrawal",
    "TierWithdrawal",
    "User",
]
