"""People, tokens and governed records, made through the product's own services: what a test needs before it begins."""

import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from django.db import transaction
from django.utils import timezone

from audit.sealing import value_seal
from governance.actors import system_actor
from governance.enums import PEOPLE_ONLY, AttachmentKind, EvidenceType, HumanAction, Role, Scope, Vote
from governance.evidence.own_types import Definition
from governance.evidence.registry import About
from governance.models import (
    AiSystem,
    ApprovalRequest,
    AttachmentProposal,
    Authenticator,
    BusinessUnit,
    Decision,
    Evidence,
    EvidenceTypeVersion,
    ModelVersion,
    Policy,
    PolicyAttachment,
    PolicyDraft,
    PolicyVersion,
    PredictionRecord,
    ProducerKey,
    RoleGrant,
    RoleProposal,
    Signature,
    SystemDeclaration,
    TierAssessment,
    TierPublication,
    TierTemplateVersion,
    User,
)
from governance.selectors.evidence import EvidenceSubject
from governance.selectors.policies import attachment_at
from governance.services import inventory
from governance.services.approvals import approval_sign
from governance.services.attachments import attachment_confirm, attachment_propose
from governance.services.authenticator_secrets import secret_open
from governance.services.authenticators import authenticator_confirm, authenticator_request, authenticator_revoke
from governance.services.decisions import decision_evaluate
from governance.services.declarations import system_declare
from governance.services.evidence import Deposit, evidence_deposit
from governance.services.evidence_types import evidence_type_draft, evidence_type_publish
from governance.services.grants import role_confirm, role_end, role_propose
from governance.services.officers import Officer
from governance.services.one_time_codes import code_of, step_at
from governance.services.people import (
    administrator_create,
    person_create,
    service_account_create,
    token_create,
)
from governance.services.policies import policy_draft, policy_publish
from governance.services.predictions import Intervention, Prediction, predictions_record
from governance.services.producers import KeyTerms, producer_key_confirm, producer_key_propose
from governance.services.proofs import PasswordAndCode, authenticator_of
from governance.services.statements import SigningIntent
from governance.services.tier_templates import tier_template_draft, tier_template_publish
from governance.services.tiers import tier_assess, tier_publish
from governance.services.units import system_assign, unit_create
from modelnotary.ids import new_id
from modelnotary.ledger.digest import Digest

PASSWORD = "a long enough pass phrase"
REASON = "The limits of the policy are met and I looked at every group."
PERSONAL_SCOPES = tuple(Scope)
SERVICE_SCOPES = tuple(scope for scope in Scope if scope not in PEOPLE_ONLY)
# Where several processes fill one database, each is given another first number.
_numbers = count(int(os.environ.get("FACTORIES_FROM", "1")))


def unique(prefix: str) -> str:
    """A name that no other call gives within this process."""
    return f"{prefix}-{next(_numbers)}"


def business_unit() -> BusinessUnit:
    slug = unique("unit")
    return unit_create(actor=system_actor("setup"), slug=slug, name=slug.title(), at=timezone.now())


def assigned(system: AiSystem, unit: BusinessUnit | None) -> AiSystem:
    """A system that an officer put into a business unit."""
    officer = Officer(officer_person(), PASSWORD)
    return system_assign(officer=officer, system=system, unit=unit, reason=REASON, at=timezone.now())


def person(*roles: Role, unit: BusinessUnit | None = None) -> User:
    username = unique("person")
    return person_create(
        actor=system_actor("setup"),
        username=username,
        full_name=f"Pat {username.title()}",
        email=f"{username}@example.org",
        password=PASSWORD,
        roles=list(roles),
        at=timezone.now() - timedelta(minutes=1),  # held already where a test took its moment before it made the person
        unit=unit,
    )


def officer_person() -> User:
    """Somebody who may confirm what others propose."""
    return person(Role.PRIVACY)


def role_proposal(
    person: User, role: Role, ends_at: datetime | None = None, unit: BusinessUnit | None = None
) -> RoleProposal:
    """An administrator's proposal that somebody hold a role."""
    officer = Officer(administrator(), PASSWORD)
    until = ends_at or (timezone.now() + timedelta(days=90) if role is Role.AUDITOR else None)
    asked: dict[str, Any] = {"person": person, "role": role, "ends_at": until, "unit": unit, "reason": REASON}
    return role_propose(officer=officer, at=timezone.now(), **asked)


def role_granted(
    person: User, role: Role, ends_at: datetime | None = None, unit: BusinessUnit | None = None
) -> RoleGrant:
    """A role that an administrator proposed and a privacy officer confirmed."""
    second = Officer(officer_person(), PASSWORD)
    return role_confirm(officer=second, proposal=role_proposal(person, role, ends_at, unit), at=timezone.now())


def roles_ended(person: User) -> None:
    """Take every role of a person away."""
    officer = Officer(administrator(), PASSWORD)
    for grant in person.role_grants.filter(ended_by=None):
        role_end(officer=officer, grant=grant, reason=REASON, at=timezone.now())


def authenticator(user: User, at: datetime | None = None) -> Authenticator:
    """An authenticator app on a device of a person's own, enrolled with its first code a minute ago."""
    before = (at or timezone.now()) - timedelta(minutes=1)
    waiting = authenticator_request(user=user, name="phone", password=PASSWORD, at=before)
    first = code_of(secret_open(waiting), step_at(before))
    return authenticator_confirm(user=user, authenticator=waiting, code=first, at=before)


def device(user: User) -> str:
    """The secret that a person's device holds."""
    current = authenticator_of(user)
    assert current is not None
    return secret_open(current)


def code(user: User, at: datetime | None = None) -> str:
    """A code that a person's device shows about now and that was never used; a device is replaced when it has none."""
    now = at or timezone.now()
    current = authenticator_of(user) or authenticator(user, now)
    step = max((current.last_step or 0) + 1, step_at(now))
    if step > step_at(now) + 1:
        authenticator_revoke(
            actor=administrator(),
            authenticator=current,
            proof=PasswordAndCode(PASSWORD, ""),
            reason="The test needs another code before the next half minute.",
            at=now,
        )
        return code(user, now)
    return code_of(secret_open(current), step)


def proof(user: User, at: datetime | None = None) -> PasswordAndCode:
    """What a person gives now to sign; what never signs has no code."""
    signs = not (user.is_service or user.is_superuser)
    return PasswordAndCode(PASSWORD, code(user, at) if signs else "000000")


def administrator() -> User:
    return administrator_create(
        actor=system_actor("setup"), username=unique("administrator"), password=PASSWORD, at=timezone.now()
    )


def service_account(owner: User, unit: BusinessUnit | None = None) -> User:
    return service_account_create(
        actor=system_actor("setup"), username=unique("pipeline"), owner=owner, at=timezone.now(), unit=unit
    )


def token(user: User, *scopes: Scope, at: datetime | None = None, lifetime: timedelta = timedelta(days=1)) -> str:
    """A token's text; without scopes it has every one that its user can have."""
    created = at or timezone.now()
    everything = SERVICE_SCOPES if user.is_service else PERSONAL_SCOPES
    return token_create(
        actor=system_actor("setup"),
        user=user,
        name="test",
        scopes=list(scopes or everything),
        expires_at=created + lifetime,
        at=created,
    ).text


def patient() -> str:
    """The identifier of somebody about whom something is sealed."""
    identifier = unique("MRN")
    with transaction.atomic():
        value_seal(person=identifier, event_id=new_id("evt"), name="patient", value=identifier)
    return identifier


def model_bytes() -> bytes:
    """What an XGBoost JSON model begins like, never the same twice; enough to register, not to predict."""
    return json.dumps({"learner": {"attributes": {"made": secrets.token_hex(8)}}, "version": [3, 0, 0]}).encode()


def stored(content: bytes, actor: User) -> Digest:
    """Put bytes into the artifact store."""
    digest = Digest.of(content)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        inventory.artifact_store(actor=actor, file=Path(file.name), declared=digest, at=timezone.now())
    return digest


def model_version(actor: User, **particulars: Any) -> ModelVersion:
    """A version of a new model in a new system."""
    now = timezone.now()
    system = inventory.system_register(
        actor=actor,
        owner=actor.owner or actor,
        at=now,
        slug=unique("system"),
        name="Mortgage underwriting",
        operator="First Example Bank",
        purpose="Decides on mortgage applications",
        decision_supported="Denial of a mortgage",
        affected_persons="Applicants",
        jurisdiction="US",
        contains_phi=False,
    )
    model = inventory.model_register(actor=actor, system=system, slug=unique("denial"), name="Denial risk", at=now)
    return inventory.model_version_register(
        actor=actor,
        model=model,
        digest=stored(model_bytes(), actor),
        code_commit="",
        parameters=particulars.pop("parameters", {}),
        metrics={},
        at=now,
    )


DECLARED: dict[str, Any] = {
    "jurisdictions": ["US-MA"],
    "in_scope": True,
    "decision_domains": ["credit"],
    "bank_supervised": True,
    "generative_ai": False,
    "financial_reporting": True,
}


def declaration(system: AiSystem, actor: User, at: datetime | None = None, **changes: Any) -> SystemDeclaration:
    """What a bank declares of a credit model; a fact that is changed to None is left out."""
    facts = {name: value for name, value in (DECLARED | changes).items() if value is not None}
    reason = "Orders underwriting work; within the bank's model risk policy."
    return system_declare(actor=actor, system=system, facts=facts, reason=reason, at=at or timezone.now())


def evidence(producer: User, version: ModelVersion, **payload: Any) -> Evidence:
    """A performance report; by default one that `policy_text` accepts. The next one names the last."""
    reported = Evidence.objects.filter(
        model_version=version, type=EvidenceType.PERFORMANCE, measured=False, superseded_by=None
    )
    last = reported.order_by("-deposited_at", "-id").first()
    return deposited(
        producer,
        version,
        EvidenceType.PERFORMANCE,
        {"auc": 0.84, "rows": 477} | payload,
        supersedes=last.id if last else None,
        reason=REASON,
    )


def deposited(
    producer: User,
    subject: EvidenceSubject,
    kind: str,
    payload: dict[str, Any],
    *,
    measured: bool = False,
    at: datetime | None = None,
    **stated: Any,
) -> Evidence:
    """Evidence of any type about anything; without a subject about the organization."""
    return evidence_deposit(
        producer=producer,
        subject=subject,
        deposit=Deposit(kind=kind, payload=payload, **stated),
        measured=measured,
        at=at or timezone.now(),
    )


OWN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score"],
    "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}},
}


def own_type(**changes: Any) -> EvidenceTypeVersion:
    """A type of evidence of the installation's own, made by two officers."""
    said: dict[str, Any] = {
        "name": unique("x_panel").replace("-", "_"),
        "title": "Review by a panel",
        "description": "What the ethics panel said.",
        "about": About.MODEL_VERSION,
        "fresh_days": 90,
        "schema": OWN_SCHEMA,
    }
    drafter, publisher = (Officer(person(role), PASSWORD) for role in (Role.MODEL_RISK, Role.COMPLIANCE))
    draft = evidence_type_draft(officer=drafter, definition=Definition(**(said | changes)), at=timezone.now())
    return evidence_type_publish(officer=publisher, draft=draft, at=timezone.now())


def producer_key(holder: User, pem: str, *, confirmed: bool = True, **changes: Any) -> ProducerKey:
    """A key of a service account, or of an assessor for whom a person answers, registered by two officers."""
    now = timezone.now()
    terms: dict[str, Any] = {
        "holder": holder,
        "assessor": "" if holder.is_service else "Example Laboratory",
        "pem": pem,
        "valid_from": now,
        "valid_until": now + timedelta(days=365),
        "reason": "Compared the fingerprint with its holder by telephone.",
    } | changes
    proposed = producer_key_propose(officer=Officer(person(Role.MODEL_RISK), PASSWORD), terms=KeyTerms(**terms), at=now)
    if confirmed:
        producer_key_confirm(officer=Officer(person(Role.COMPLIANCE), PASSWORD), key=proposed, at=now)
    return ProducerKey.objects.get(pk=proposed.pk)


def prediction(digest: Digest, environment: str, **changes: Any) -> Prediction:
    """That a model denied somebody something, just now."""
    said: dict[str, Any] = {
        "reference": uuid4(),
        "model_digest": digest,
        "environment": environment,
        "at": timezone.now(),
        "subject": unique("MRN"),
        "input_digest": Digest.of(b"the application"),
        "output": {"score": 0.91, "verdict": "deny"},
    }
    return Prediction(**(said | changes))


def intervention(about: Prediction, **changes: Any) -> Intervention:
    """That a person did not follow it."""
    said: dict[str, Any] = {
        "reference": uuid4(),
        "prediction": about.reference,
        "subject": about.subject,
        "action": HumanAction.REJECT,
        "reason": "The applicant showed the missing statement.",
        "person": "u4711",
        "person_name": "Dana Field",
        "at": timezone.now(),
    }
    return Intervention(**(said | changes))


def predicted(reporter: User, digest: Digest, environment: str) -> PredictionRecord:
    """A prediction that was recorded, and that a person did not follow."""
    said = prediction(digest, environment)
    (record,) = predictions_record(
        reporter=reporter, predictions=[said], interventions=[intervention(said)], at=timezone.now()
    )
    return record


def policy_document(environment: str, **changes: Any) -> dict[str, Any]:
    """A policy that asks for an AUC of 0.75 and one signature of a compliance officer."""
    return {
        "policy": f"policy-{environment}",
        "title": "Mortgage models",
        "environment": environment,
        "valid_days": 30,
        "rules": [
            {
                "id": "PERF-001",
                "title": "The model ranks well enough",
                "evidence": "performance",
                "clause": "performance.auc >= 0.75",
                "observed": "performance.auc",
                "expected": ">= 0.75",
                "remediation": "Train again.",
            }
        ],
        "approvals": {
            "quorum": 1,
            "roles": ["compliance", "model_risk"],
            "meaning": "I have reviewed the evidence and approve this use.",
        },
    } | changes


def policy_text(environment: str, **changes: Any) -> str:
    return yaml.safe_dump(policy_document(environment, **changes), sort_keys=False)


def draft(environment: str, author: User | None = None, **changes: Any) -> PolicyDraft:
    """A policy that waits for somebody to publish it."""
    text = policy_text(environment, **changes)
    return policy_draft(actor=author or person(Role.ENGINEER), document=text, at=timezone.now())


def published(publisher: User, environment: str, **changes: Any) -> PolicyVersion:
    """A policy that an engineer drafted and this officer published; it is in force nowhere."""
    officer = Officer(publisher, PASSWORD)
    return policy_publish(officer=officer, draft=draft(environment, **changes), at=timezone.now())


def policy(publisher: User, environment: str, **changes: Any) -> PolicyVersion:
    """The same, in force in the environment for all tiers."""
    version = published(publisher, environment, **changes)
    attach(version.policy, environment, Officer(publisher, PASSWORD))
    return version


def proposal(policy: Policy, environment: str, tier: str = "", **changes: Any) -> AttachmentProposal:
    """An officer's proposal to put a policy in force."""
    officer = Officer(person(Role.MODEL_RISK), PASSWORD)
    usual: dict[str, Any] = {
        "kind": AttachmentKind.ATTACH,
        "reason": REASON,
        "officer": officer,
        "at": timezone.now(),
    }
    return attachment_propose(**(usual | changes), policy=policy, environment=environment, tier=tier)


def attach(policy: Policy, environment: str, officer: Officer | None = None, tier: str = "") -> PolicyAttachment:
    """What is in force once a second officer confirmed it; as it is where the policy is in force already."""
    standing = attachment_at(environment=environment, tier=tier, at=timezone.now())
    if standing and standing.policy == policy:
        return standing
    proposed = proposal(policy, environment, tier)
    second = officer or Officer(person(Role.COMPLIANCE), PASSWORD)
    return attachment_confirm(officer=second, proposal=proposed, at=timezone.now())


def tier_template_text(slug: str, **changes: Any) -> str:
    """A template of two factors: a system that holds no health information and little money is low."""
    document = {
        "template": slug,
        "title": "Size and kind",
        "tiers": ["low", "medium", "high"],
        "factors": [
            {
                "id": "SIZE",
                "title": "Money at risk",
                "aggregation": "sum",
                "weight": 2,
                "components": [
                    {
                        "field": "declared.exposure",
                        "rules": [
                            {"from": 1_000_000, "points": 3},
                            {"below": 1_000_000, "points": 1},
                            {"missing": True, "points": 3},
                        ],
                    }
                ],
            },
            {
                "id": "KIND",
                "title": "Kinds of models",
                "aggregation": "max",
                "weight": 1,
                "components": [
                    {
                        "field": "models.count",
                        "rules": [{"below": 2, "points": 1}, {"otherwise": True, "points": 2}],
                    }
                ],
            },
        ],
        "thresholds": [
            {"tier": "low", "from": 0, "below": 4},
            {"tier": "medium", "from": 4, "below": 7},
            {"tier": "high", "from": 7},
        ],
        "overrides": [
            {"id": "PHI", "title": "PHI", "field": "system.contains_phi", "is": True, "at_least": "high"},
        ],
    }
    return yaml.safe_dump(document | changes, sort_keys=False)


def tier_template(slug: str | None = None, **changes: Any) -> TierTemplateVersion:
    """A template that an engineer drafted and an officer published."""
    text = tier_template_text(slug or unique("template"), **changes)
    draft = tier_template_draft(actor=person(Role.ENGINEER), document=text, at=timezone.now())
    officer = Officer(person(Role.COMPLIANCE), PASSWORD)
    return tier_template_publish(officer=officer, draft=draft, at=timezone.now())


def tier_assessment(system: AiSystem, template: TierTemplateVersion, **changes: Any) -> TierAssessment:
    """An assessment that waits for an officer; low for a declared exposure of ten."""
    usual: dict[str, Any] = {"actor": person(Role.ENGINEER), "final": "", "reason": "", "at": timezone.now()}
    return tier_assess(system=system, template=template.template.slug, **(usual | changes))


def tiered(system: AiSystem, template: TierTemplateVersion, **changes: Any) -> TierPublication:
    """A system whose tier somebody independent published."""
    assessment = tier_assessment(system, template, **changes)
    return tier_publish(officer=Officer(person(Role.MODEL_RISK), PASSWORD), assessment=assessment, at=timezone.now())


@dataclass(frozen=True)
class Case:
    """A model version that waits for signatures, and everybody who had a part in it.

    Attributes:
        author: Owner of the pipeline, and so the author of the version.
        pipeline: Service account that registered the version.
        producer: Deposited the evidence.
        publisher: Published the policy.
        requester: Asked for the decision.
        officers: Two compliance officers who had no part, and have authenticators.
    """

    environment: str
    author: User
    pipeline: User
    producer: User
    publisher: User
    requester: User
    officers: tuple[User, User]
    version: ModelVersion
    policy: PolicyVersion
    evidence: Evidence
    decision: Decision

    @property
    def digest(self) -> Digest:
        return Digest.from_text(self.version.digest)

    @property
    def request(self) -> ApprovalRequest:
        return ApprovalRequest.objects.get(decision=self.decision)

    def evaluate(self, at: datetime | None = None) -> Decision:
        return decision_evaluate(
            actor=self.requester, digest=self.digest, environment=self.environment, at=at or timezone.now()
        )

    def intent(self, signer: User, at: datetime | None = None, **changes: Any) -> SigningIntent:
        intended: dict[str, Any] = {
            "vote": Vote.APPROVE,
            "role": Role.COMPLIANCE,
            "reason": REASON,
            "evidence_set_digest": self.decision.evidence_set_digest,
        } | changes
        return SigningIntent(**(intended if "proof" in changes else intended | {"proof": proof(signer, at)}))

    def sign(self, signer: User, at: datetime | None = None, **changes: Any) -> Signature:
        now = at or timezone.now()
        intent = self.intent(signer, now, **changes)
        return approval_sign(signer=signer, request_id=self.request.id, intent=intent, at=now)


def waiting_case(*, quorum: int = 1, **changes: Any) -> Case:
    """A case whose rules pass and whose signatures are missing. Everybody holds the role that may sign."""
    author, producer, publisher, requester, *officers = (person(Role.COMPLIANCE) for _ in range(6))
    for officer in officers:
        authenticator(officer)
    environment = unique("production")
    pipeline = service_account(author)
    version = model_version(pipeline)
    approvals = policy_document(environment)["approvals"] | {"quorum": quorum}
    published = policy(publisher, environment, **({"approvals": approvals} | changes))
    deposited = evidence(producer, version)
    decision = decision_evaluate(
        actor=requester, digest=Digest.from_text(version.digest), environment=environment, at=timezone.now()
    )
    return Case(
        environment=environment,
        author=author,
        pipeline=pipeline,
        producer=producer,
        publisher=publisher,
        requester=requester,
        officers=(officers[0], officers[1]),
        version=version,
        policy=published,
        evidence=deposited,
        decision=decision,
    )
