"""A credit model from its registration to the end of its approval, through the services, with everybody it takes."""

import json
from datetime import timedelta

import factories
import pytest
from django.conf import settings
from django.utils import timezone
from software_authenticator import SoftwareAuthenticator

from audit.models import Entry
from governance.enums import DecisionState, FindingKind, FindingState, Role, Severity, SubjectKind, Vote
from governance.errors import GateDeniedError, SeparationOfDutiesError
from governance.models import ApprovalRequest, Decision, Finding, ModelVersion, Signature, User
from governance.selectors.gate import gate_assert
from governance.services import inventory
from governance.services.approvals import approval_sign, signing_prepare
from governance.services.decisions import decision_evaluate
from governance.services.deployments import deployment_record
from governance.services.endings import revocation_confirm, revocation_propose
from governance.services.findings import FindingReport, finding_act, finding_open
from governance.services.officers import Officer
from governance.services.passkeys import PasskeyAnswer, passkey_register, passkey_request, relying_party
from governance.services.replay import decision_replay
from governance.services.snapshots import Running, snapshot_deposit
from governance.services.statements import SigningIntent, SigningTerms, ticket_intent
from governance.services.watch import findings_watch
from modelnotary.attest.passkey import Assertion, assertion_verify
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.text import base64url_bytes, base64url_text

pytestmark = pytest.mark.usefixtures("database", "keys")
DRIFTED = "Applicants of the last month are not those that the model was validated on."


def officer(user: User) -> Officer:
    return Officer(user, factories.PASSWORD)


def digest_of(version: ModelVersion) -> Digest:
    return Digest.from_text(version.digest)


def passkey(user: User) -> SoftwareAuthenticator:
    """A security key that an officer registered."""
    key = SoftwareAuthenticator(settings.PASSKEY_RP_ID, settings.PASSKEY_ORIGINS[0])
    waiting = passkey_request(user=user, name="security key", at=timezone.now())
    answer = key.create(base64url_text(bytes(waiting.challenge)))
    passkey_register(
        user=user,
        passkey=waiting,
        authenticator_data=base64url_bytes(answer["authenticatorData"]),
        client_data=base64url_bytes(answer["clientDataJSON"]),
        proof=factories.proof(user),
        at=timezone.now(),
    )
    return key


def terms(decision: Decision, role: Role) -> SigningTerms:
    return SigningTerms(
        vote=Vote.APPROVE,
        role=role,
        reason=factories.REASON,
        evidence_set_digest=decision.evidence_set_digest,
    )


def sign_by_code(signer: User, decision: Decision, role: Role) -> Signature:
    said, request = terms(decision, role), ApprovalRequest.objects.get(decision=decision)
    intent = SigningIntent(said.vote, said.role, said.reason, said.evidence_set_digest, proof=factories.proof(signer))
    return approval_sign(signer=signer, request_id=request.id, intent=intent, at=timezone.now())


def sign_by_passkey(signer: User, key: SoftwareAuthenticator, decision: Decision, role: Role) -> Signature:
    request = ApprovalRequest.objects.get(decision=decision)
    ticket = signing_prepare(signer=signer, request_id=request.id, terms=terms(decision, role), at=timezone.now())
    assertion = key.get(base64url_text(Digest.of(bytes(ticket.statement)).value))
    intent = ticket_intent(PasskeyAnswer(ticket, key.credential_id, assertion))
    return approval_sign(signer=signer, request_id=request.id, intent=intent, at=timezone.now())


def events_about(*subjects: str) -> list[str]:
    return list(Entry.objects.filter(subject_id__in=subjects).order_by("body_id").values_list("event_type", flat=True))


def governed_environment() -> str:
    """An environment whose policy asks for two signatures, in two roles."""
    environment = factories.unique("production")
    asked = {"quorum": 2, "roles": {"compliance": 1, "model_risk": 1}}
    approvals = factories.policy_document(environment)["approvals"] | asked
    factories.policy(factories.person(Role.PRIVACY), environment, approvals=approvals)
    return environment


def issue_open(finder: User, told: User, version: ModelVersion) -> Finding:
    """What a validator found about a version."""
    return finding_open(
        officer=officer(finder),
        report=FindingReport(
            kind=FindingKind.VALIDATION_ISSUE,
            severity=Severity.HIGH,
            title="The model hardly ranks better than chance",
            description="AUC of 0.61 on the validation sample, below the 0.75 that the policy asks for.",
            remediation="Train again with the income history.",
            subject_kind=SubjectKind.MODEL_VERSION,
            subject_id=version.id,
            owner=finder,
            escalates_to=told,
            due_at=timezone.now() + timedelta(days=30),
        ),
        at=timezone.now(),
    )


def version_again(version: ModelVersion, pipeline: User) -> ModelVersion:
    """The next version of its model, trained again."""
    return inventory.model_version_register(
        actor=pipeline,
        model=version.model,
        digest=factories.stored(factories.model_bytes(), pipeline),
        code_commit="",
        parameters={},
        metrics={},
        at=timezone.now(),
    )


def told_check(finding: Finding, decision: Decision, deployment: str) -> None:
    """Years later the rules give the same, byte for byte, and the ledger tells what happened, refusals too."""
    decision.refresh_from_db()
    assert decision_replay(decision).is_same
    assert events_about(finding.id) == ["finding.opened", *["finding.changed"] * 3]
    assert events_about(decision.id) == [
        "decision.requested",
        "decision.issued",
        "decision.revocation_proposed",
        "officer.refused",
        "decision.revoked",
    ]
    assert events_about(deployment) == ["deployment.recorded"]


def passkey_check(signature: Signature, key: SoftwareAuthenticator, decision: Decision, signer: User) -> None:
    """What an auditor needs to check the passkey's signature is in the ledger."""
    told = json.loads(bytes(Entry.objects.get(subject_id=signature.id, event_type="approval.signed").bytes))["data"]
    assertion_verify(
        Assertion.from_json(told["assertion"]),
        statement=canonical_bytes(told["statement"]),
        party=relying_party(),
        public_key=key.cose,
    )
    assert (told["statement"]["signer"], told["statement"]["decision"]) == (signer.id, decision.id)


def test_from_registration_to_the_end_of_an_approval() -> None:
    owner, validator, requester = factories.person(), factories.person(Role.MODEL_RISK), factories.person()
    compliance, risk, other_risk = (
        factories.person(role) for role in (Role.COMPLIANCE, Role.MODEL_RISK, Role.MODEL_RISK)
    )
    for signer in (compliance, risk):
        factories.authenticator(signer)
    key = passkey(risk)
    environment = governed_environment()

    # The owner registers; the assessment of the first version is not good enough, and the policy denies.
    pipeline = factories.service_account(owner)
    first = factories.model_version(pipeline)
    factories.declaration(first.model.system, owner)
    factories.evidence(validator, first, auc=0.61)
    denied = decision_evaluate(actor=requester, digest=digest_of(first), environment=environment, at=timezone.now())
    assert (denied.state, denied.rules[0]["reason_code"]) == (DecisionState.FAILED, "threshold-not-met")
    with pytest.raises(GateDeniedError):
        deployment_record(actor=pipeline, digest=digest_of(first), environment=environment, at=timezone.now())

    # The validator opens a finding about it; the owner remedies it with a new version; another person closes it.
    finding = issue_open(validator, other_risk, first)
    second = version_again(first, pipeline)
    for who, state in (
        (validator, FindingState.IN_PROGRESS),
        (validator, FindingState.REMEDIATED),
        (other_risk, FindingState.CLOSED),
    ):
        finding_act(officer=officer(who), finding_id=finding.id, state=state, note=factories.REASON, at=timezone.now())

    # The new version passes the rules; two people in two roles sign, one of them with a passkey.
    factories.evidence(validator, second)
    decision = decision_evaluate(actor=requester, digest=digest_of(second), environment=environment, at=timezone.now())
    assert decision.state == DecisionState.PENDING
    with pytest.raises(SeparationOfDutiesError):
        sign_by_code(validator, decision, Role.MODEL_RISK)
    sign_by_code(compliance, decision, Role.COMPLIANCE)
    assert not gate_assert(digest=digest_of(second), environment=environment, at=timezone.now()).allowed
    signature = sign_by_passkey(risk, key, decision, Role.MODEL_RISK)
    assert gate_assert(digest=digest_of(second), environment=environment, at=timezone.now()).allowed

    # It is deployed, and runs as it was deployed.
    deployment = deployment_record(actor=pipeline, digest=digest_of(second), environment=environment, at=timezone.now())
    assert discrepancies(pipeline, environment, second) == []
    assert findings_watch(at=timezone.now()) == 0

    # Drift is observed; two officers revoke; what still runs is seen, and becomes a finding.
    factories.deposited(
        validator,
        second,
        "drift",
        {
            "method": "psi",
            "statistic": 0.31,
            "line": 0.2,
            "reference_rows": 4000,
            "window_rows": 900,
            "verdict": "fail",
        },
    )
    proposal = revocation_propose(
        officer=officer(other_risk), decision_id=decision.id, reason=DRIFTED, at=timezone.now()
    )
    with pytest.raises(SeparationOfDutiesError):
        revocation_confirm(officer=officer(other_risk), proposal_id=proposal.id, at=timezone.now())
    revocation_confirm(officer=officer(compliance), proposal_id=proposal.id, at=timezone.now())
    answer = gate_assert(digest=digest_of(second), environment=environment, at=timezone.now())
    assert (answer.allowed, answer.reason_code) == (False, "decision-revoked")
    assert discrepancies(pipeline, environment, second) == ["decision_ended"]
    assert findings_watch(at=timezone.now()) == 1
    assert Finding.objects.get(subject_id=deployment.id, opened_by=None).severity == Severity.CRITICAL
    told_check(finding, decision, deployment.id)
    passkey_check(signature, key, decision, risk)


def discrepancies(agent: User, environment: str, version: ModelVersion) -> list[str]:
    """What an agent that sees a version running finds not to agree."""
    snapshot = snapshot_deposit(
        agent=agent,
        environment=environment,
        running=[Running("scoring-1", digest_of(version))],
        taken_at=timezone.now(),
        at=timezone.now(),
    )
    return sorted(item.kind for item in snapshot.discrepancies.all())
