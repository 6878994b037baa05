"""A decision as the signed statement that pipelines and auditors verify offline."""

from importlib.metadata import version

from django.conf import settings

from governance.models import Decision, Signature
from governance.selectors.exceptions import exceptions_used
from modelnotary.attest.decision import decision_sign
from modelnotary.attest.statement import Approval, GateDecision, Resource, RuleOutcome, Waiver
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.keys import key_load


def decision_attest(*, decision: Decision, signatures: list[Signature]) -> bytes:
    """Sign a decided decision with the instance's decision key; return the DSSE envelope.

    Raises:
        KeyFileError: The key cannot be read. Nothing is decided without a signature.
    """
    engine, _, engine_version = decision.engine.partition(" ")
    base = settings.PUBLIC_URL
    policy = decision.policy_version
    assert decision.decided_at is not None
    statement = GateDecision(
        id=decision.id,
        name=str(decision.model_version),
        digest=Digest.from_text(decision.model_version.digest),
        resource_uri=f"{base}/api/v1/model-versions/{decision.model_version.digest}",
        environment=decision.environment,
        state=decision.state,
        decided_at=decision.decided_at,
        expires_at=decision.expires_at,
        verifier=f"{base}/verifier/v1",
        versions={"modelnotary": version("modelnotary"), engine: engine_version},
        policy=Resource(f"{base}/policies/{policy}", Digest.from_text(policy.digest)) if policy else None,
        evidence=tuple(
            Resource(f"{base}/api/v1/evidence/{item['id']}", Digest.from_text(item["digest"]))
            for item in decision.context["evidence"]
        ),
        evidence_set=Digest.from_text(decision.evidence_set_digest),
        rules=tuple(RuleOutcome(rule["id"], rule["outcome"], rule["reason_code"]) for rule in decision.rules),
        approvals=tuple(
            Approval(item.role, item.signer_id, item.vote, Digest.from_text(item.statement_digest))
            for item in signatures
        ),
        context=Digest.from_text(decision.context_digest),
        results=Digest.from_text(decision.results_digest),
        waivers=_waivers(decision),
    )
    return decision_sign(statement, key_load(settings.KEYS_DIR / "decision.key"))


def _waivers(decision: Decision) -> tuple[Waiver, ...]:
    used = exceptions_used(decision)
    told = decision.context.get("exceptions", ())
    return tuple(Waiver(item["id"], item["rule"], used[item["id"]]) for item in told if item["id"] in used)
