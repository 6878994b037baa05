"""The gate's answer: may this artifact go to this environment?"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from governance.enums import DecisionStanding, DecisionState, OverrideStep
from governance.models import Decision, DecisionEnding, ModelVersion, Override
from governance.policy.evaluation import NOT_BLOCKING
from governance.selectors import model_version_get
from governance.selectors.evidence import evidence_compared, rests_on
from governance.selectors.exceptions import exceptions_stand, overrides_in_force
from governance.selectors.policies import policy_for
from governance.selectors.scope import EVERYTHING, Sight
from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.attest.override import override_open
from modelnotary.ledger.digest import Digest
from modelnotary.verify.trust import TRUST_FILE, Trust


def decision_standing(decision: Decision, *, at: datetime) -> DecisionStanding:
    """Say what a decision is worth at a moment: its verdict, or how it ended. Expiry goes by the clock."""
    if decision.state != DecisionState.PASSED:
        return DecisionStanding(decision.state)
    ending = getattr(decision, "ending", None)
    if ending is not None and ending.ended_at <= at:
        return DecisionStanding(ending.kind)
    if decision.expires_at is None or decision.expires_at <= at:
        return DecisionStanding.EXPIRED
    return DecisionStanding.PASSED


@dataclass(frozen=True, slots=True)
class Assertion:
    """The gate's answer to "may this artifact go to this environment?".

    Attributes:
        allowed: True only when a passed, unexpired decision rests on the policy and the evidence of today.
        reason_code: Why, from a closed list.
        message: Why, in words.
        decision: The decision that the answer rests on, if there is one.
        override: What allows it although the decision denies, if something does.
    """

    allowed: bool
    reason_code: str
    message: str
    decision: Decision | None
    override: Override | None = None


def gate_assert(*, digest: Digest, environment: str, at: datetime, seen_by: Sight = EVERYTHING) -> Assertion:
    """Answer whether an artifact, if it is seen, may go to an environment.

    Raises:
        UnknownArtifactError: No model version has these bytes.
    """
    version = model_version_get(digest=digest, seen_by=seen_by)
    decision = (
        Decision.objects.filter(model_version=version, environment=environment)
        .select_related("policy_version__policy", "ending__confirmed_by", "ending__proposal__proposed_by")
        .order_by("-evaluated_at", "-id")
        .first()
    )
    if decision is None:
        return Assertion(False, "no-decision", f"no decision was requested for {version} in {environment}", None)  # noqa: FBT003
    reason, message = _blocked(decision, version, at)
    if reason in {"decision-failed", "decision-error"} and (override := _override(decision, version, at)):
        return Assertion(True, "override", override_words(override), decision, override)  # noqa: FBT003
    return Assertion(not reason, reason or "passed", message, decision)


def _blocked(decision: Decision, version: ModelVersion, at: datetime) -> tuple[str, str]:
    """Give the reason why a decision does not allow, or nothing."""
    standing = decision_standing(decision, at=at)
    if standing == DecisionStanding.REVOKED:
        return "decision-revoked", ending_words(decision)
    if decision.state != DecisionState.PASSED:
        return f"decision-{decision.state}", decision_words(decision)
    if standing != DecisionStanding.PASSED or decision.expires_at is None:
        end = f"expired at {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else "names no end"
        return "decision-expired", f"decision {decision.id} {end}; request a new decision"
    if not _attested(decision, version):
        return "attestation-invalid", f"decision {decision.id} is not what the decision key signed; request a new one"
    current = policy_for(version=version, environment=decision.environment, at=at)
    if current is None or current.pk != decision.policy_version_id:
        return "policy-changed", "the policy changed after the decision; request a new decision"
    if not rests_on(decision, evidence_compared(version, policy=current, at=at)):
        return "evidence-changed", "evidence or lineage arrived after the decision; request a new decision"
    if not exceptions_stand(decision, at=at):
        return "exception-ended", "an exception that the decision rests on was withdrawn; request a new decision"
    return "", f"decision {decision.id} allows it until {decision.expires_at:%Y-%m-%d %H:%M} UTC"


def _override(decision: Decision, version: ModelVersion, at: datetime) -> Override | None:
    """Give an override of a denial that is in force and is what the decision key signed."""
    for override in overrides_in_force(at=at).filter(decision=decision):
        if _attested(decision, version) and _override_attested(override, decision, version):
            return override
    return None


def _override_attested(override: Override, decision: Decision, version: ModelVersion) -> bool:
    approval = override.steps.get(kind=OverrideStep.APPROVED)
    trust = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE)
    try:
        signed, signers = override_open(bytes(approval.statement or b""), [key.key for key in trust.decision_keys])
    except AttestError:
        return False
    said = (signed.id, signed.decision, signed.digest.text, signed.environment, signed.attestation, signed.expires_at)
    return trust.in_force(signers, signed.approved_at) and said == (
        override.id,
        decision.id,
        version.digest,
        decision.environment,
        decision.attestation_digest,
        override.expires_at,
    )


def override_words(override: Override) -> str:
    """Say in words that a denial is overridden, by whom, why and until when."""
    return (
        f"ALLOWED BY OVERRIDE {override.id} although decision {override.decision_id} denies, until "
        f"{override.expires_at:%Y-%m-%d %H:%M} UTC; requested by {override.requested_by.printed_name}: "
        f"{override.reason} ({override.ticket_url})"
    )


def _attested(decision: Decision, version: ModelVersion) -> bool:
    """Tell whether a decision says what the decision key signed, so that writing rows is not enough to allow."""
    trust = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE)
    try:
        signed, signers = decision_open(bytes(decision.attestation or b""), [key.key for key in trust.decision_keys])
    except AttestError:
        return False
    if signed.context not in {None, Digest.of(bytes(decision.context_document))}:
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


def ending_words(decision: Decision) -> str:
    """Say in words how a decision ended, or nothing while it has not."""
    ending: DecisionEnding | None = getattr(decision, "ending", None)
    if ending is None:
        return ""
    by = ""
    if ending.proposal and ending.confirmed_by:
        by = f" by {ending.proposal.proposed_by.printed_name} and {ending.confirmed_by.printed_name}"
    kind = ending.get_kind_display().lower()
    return f"decision {decision.id} was {kind} at {ending.ended_at:%Y-%m-%d %H:%M} UTC{by}: {ending.reason}"


def decision_words(decision: Decision) -> str:
    """Say in words what a decision rests on: the messages of the rules that did not pass."""
    blocking = [rule["message"] for rule in decision.rules if rule["outcome"] not in NOT_BLOCKING]
    return "; ".join(blocking) or f"all {len(decision.rules)} rules passed"
