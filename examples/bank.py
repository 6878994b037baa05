"""Act 1: a bank's mortgage model is denied by the gate, retrained with a mitigation, approved, deployed, reported."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from examples.bank_train import VERSION_1, VERSION_2, Recipe, bank_train
from examples.pipeline import assess, controls_say, document_fetch, policy_publish, tier_publish, version_register
from modelnotary.client.api import NotaryClient

if TYPE_CHECKING:
    from examples.demo import Demo

ENVIRONMENT = "bank-production"
MODEL = "mortgage-denial"
SYSTEM = {
    "slug": "mortgage-underwriting",
    "name": "Mortgage underwriting assistant",
    "operator": "Harbor Street Bank",
    "purpose": "Estimates how likely an underwriter would deny a mortgage application, to order the work of review.",
    "decision_supported": "Whether an application is denied; an underwriter decides.",
    "affected_persons": "Applicants for home mortgages in the Boston area.",
    "jurisdiction": "United States, Massachusetts",
    "contains_phi": False,
}
DECLARATION = {
    "facts": {
        "jurisdictions": ["US-MA"],
        "in_scope": True,
        "decision_domains": ["credit", "housing"],
        "operator_roles": ["provider", "deployer"],
        "bank_supervised": True,
        "generative_ai": False,
        "solely_automated": False,
        "vendor_supplied": False,
        "consumer_reports": True,
        "special_purpose_credit": False,
        "financial_reporting": False,
        "cardholder_data": False,
        "broker_dealer_records": False,
        "patient_care_support": False,
        "certified_health_it": False,
        "fda_records": False,
        "adopted_frameworks": ["nist_ai_rmf"],
    },
    "reason": "A quantitative model with a say in mortgage decisions: in scope of the bank's model risk policy.",
}
DESCRIPTION = {
    "methodology": "ml",
    "provenance": "internal",
    "restrictions_on_use": "Not for decisions without an underwriter.",
    "owner": "maya.chen",
    "developer": "maya.chen",
}
DATA = {
    "slug": "hmda-boston-1990",
    "name": "Boston HMDA survey of 1990 applications",
    "description": "Mortgage applications gathered by the Federal Reserve Bank of Boston; see PROVENANCE.md.",
    "classification": "public research data",
    "contains_phi": False,
}
REASONS = {
    "compliance": (
        "Version 2 no longer uses marital status, and lets worse credit only raise the estimate. It denies by itself "
        "only where denial is more likely than not; the band below goes to an underwriter. Most of the better ratio "
        "comes from that operating point, not from the training, and the underwriters' second look must be measured: "
        "I ask for it within the validity of this decision."
    ),
    "model_risk": (
        "Ranking on rows the model has not seen is no worse than in version 1 (0.83 against 0.82), explanations add "
        "up, and on twenty other splits of the data the ratio never fell below 0.80. The study of what else was tried "
        "is on file. The sample is of 1990: performance on today's applicants must be shown before any use beyond "
        "the review desk."
    ),
}


def bank_play(demo: "Demo") -> dict[str, Any]:
    """Play the act and give its digests and verdicts."""
    policy = policy_publish(demo, "bank", "ines.weber", "ruth.alvarez")
    with demo.client("bank-pipeline") as client:
        client.post("systems", SYSTEM)
        client.post(f"systems/{SYSTEM['slug']}/declarations", DECLARATION)
        client.post("models", {"system": SYSTEM["slug"], "slug": MODEL, "name": "Mortgage denial model"})
        client.post(f"models/{MODEL}/descriptions", DESCRIPTION)
        tier = tier_publish(demo, "bank", "ruth.alvarez", str(SYSTEM["slug"]))
        denied = _version(demo, client, VERSION_1)
        allowed = _version(demo, client, VERSION_2)
        _sign(demo, allowed["decision"])
        decision = _allowed(demo, client, allowed)
        deployment = client.post("deployments", {"digest": allowed["digest"], "environment": ENVIRONMENT})
        demo.say(f"  deployed: {deployment['id']}")
        controls = controls_say(demo, client, str(SYSTEM["slug"]))
        version = allowed.pop("registered")
        report = document_fetch(demo, client, "report", version, environment=ENVIRONMENT, name="bank/report.pdf")
        bundle = document_fetch(demo, client, "bundle", version, environment=ENVIRONMENT, name="bank/bundle.zip")
    denied.pop("registered")
    return {
        "policy": policy,
        "tier": tier,
        "denied": denied,
        "allowed": allowed | {"decision": decision},
        "deployment": deployment,
        "controls": controls,
        "report": report,
        "bundle": bundle,
    }


def _version(demo: "Demo", client: NotaryClient, recipe: Recipe) -> dict[str, Any]:
    """Train a version, register it, have it assessed, and ask the gate."""
    demo.say(f"training {recipe.name}")
    started = datetime.now(UTC)
    trained = bank_train(recipe, demo.products / "bank" / recipe.name, f"{demo.run} {recipe.name}")
    registered = version_register(client, MODEL, trained, DATA, started)
    demo.say(f"  registered as version {registered.number}: {registered.digest}")
    evidence = assess(demo, client, registered, trained.bias_parameters)
    decision = client.post("decisions", {"digest": registered.digest, "environment": ENVIRONMENT})
    demo.say(f"  gate: {decision['state']}")
    for rule in decision["rules"]:
        if rule["outcome"] != "pass":
            demo.say(f"    {rule['id']} {rule['outcome']}: {rule['message']}")
    if decision["state"] == "failed":
        demo.save("bank/decision-denied.dsse.json", client.download(f"decisions/{decision['id']}/attestation"))
    return {
        "registered": registered,
        "digest": registered.digest,
        "decision": decision,
        "evidence": {kind: item["digest"] for kind, item in evidence.items()},
        "demographic_parity_ratio": evidence["bias"]["payload"]["demographic_parity_ratio"],
        "verdict": evidence["bias"]["payload"]["verdict"],
    }


def _sign(demo: "Demo", decision: dict[str, Any]) -> None:
    """Two officers look at the request and sign it, each with password and a code of their own device."""
    assert decision["state"] == "pending", f"expected the decision to wait for signatures, it is {decision['state']}"
    for token, username, role in (
        ("bank-compliance", "olivia.grant", "compliance"),
        ("bank-model-risk", "daniel.okafor", "model_risk"),
    ):
        with demo.client(token) as officer:
            shown = officer.get(f"approval-requests/{decision['approval_request']}")
            signature = officer.post(
                f"approval-requests/{decision['approval_request']}/votes",
                {
                    "vote": "approve",
                    "role": role,
                    "reason": REASONS[role],
                    "evidence_set_digest": shown["decision"]["evidence_set_digest"],
                    "password": demo.secrets["passwords"][username],
                    "code": demo.code(username, token),
                },
            )
        demo.say(f"  signed by {signature['printed_name']} ({signature['role']}): {signature['statement_digest']}")


def _allowed(demo: "Demo", client: NotaryClient, version: dict[str, Any]) -> dict[str, Any]:
    answer = client.get("asserts", digest=version["digest"], environment=ENVIRONMENT)
    assert answer["allowed"] is True, f"the gate should allow the approved version: {answer['message']}"
    demo.say(f"  gate: allowed; {answer['message']}")
    decision: dict[str, Any] = client.get(f"decisions/{answer['decision']}")
    demo.save("bank/decision-allowed.dsse.json", client.download(f"decisions/{decision['id']}/attestation"))
    return decision
