"""Act 2: a hospital's outreach model is assessed, a day of its use is recorded, and the gate says what it lacks."""

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from examples.hospital_train import hospital_train
from examples.pipeline import (
    Registered,
    assess,
    controls_say,
    document_fetch,
    policy_publish,
    tier_publish,
    version_register,
)

if TYPE_CHECKING:
    from examples.demo import Demo

ENVIRONMENT = "hospital-production"
MODEL = "high-use-risk"
SYSTEM = {
    "slug": "care-outreach",
    "name": "Care outreach programme",
    "operator": "St. Brendan Hospital",
    "purpose": "Finds people who will likely need many outpatient visits, to offer them a place in a care programme.",
    "decision_supported": "Who is called about the programme; a nurse decides.",
    "affected_persons": "Insured persons and their families.",
    "jurisdiction": "United States",
    "contains_phi": True,
}
DECLARATION = {
    "facts": {
        "jurisdictions": ["US-MA"],
        "in_scope": True,
        "decision_domains": ["health_care"],
        "operator_roles": ["provider", "deployer"],
        "bank_supervised": False,
        "generative_ai": False,
        "solely_automated": False,
        "vendor_supplied": False,
        "deidentified_data": True,
        "limited_data_set": False,
        "patient_care_support": True,
        "certified_health_it": False,
        "consumer_reports": False,
        "financial_reporting": False,
        "cardholder_data": False,
        "broker_dealer_records": False,
        "fda_records": False,
        "adopted_frameworks": [],
    },
    "reason": "It orders who is offered care, and is governed like every model that works on patients' data.",
}
DESCRIPTION = {
    "methodology": "ml",
    "provenance": "internal",
    "restrictions_on_use": "Not for decisions without a nurse.",
    "owner": "sam.patel",
    "developer": "sam.patel",
}
DATA = {
    "slug": "rand-hie-visits",
    "name": "RAND Health Insurance Experiment, outpatient visits",
    "description": "Person-years of the experiment of 1974 to 1982; see examples/data/PROVENANCE.md.",
    "classification": "public research data, treated as health information",
    "contains_phi": True,
}
ACCESSES = 240
STAFF = (
    ("nurse.adeyemi", "Folake Adeyemi", "TREAT"),
    ("dr.lindqvist", "Karin Lindqvist", "TREAT"),
    ("dr.osei", "Kofi Osei", "ETREAT"),
    ("claims.romero", "Luz Romero", "HPAYMT"),
    ("quality.hahn", "Jonas Hahn", "HOPERAT"),
    ("study.bianchi", "Elena Bianchi", "HRESCH"),
)


def hospital_play(demo: "Demo") -> dict[str, Any]:
    """Play the act and give its digests and verdicts."""
    policy = policy_publish(demo, "hospital", "helen.moss", "peter.lang")
    with demo.client("hospital-pipeline") as client:
        client.post("systems", SYSTEM)
        client.post(f"systems/{SYSTEM['slug']}/declarations", DECLARATION)
        client.post("models", {"system": SYSTEM["slug"], "slug": MODEL, "name": "High-use risk model"})
        client.post(f"models/{MODEL}/descriptions", DESCRIPTION)
        tier = tier_publish(demo, "hospital", "peter.lang", str(SYSTEM["slug"]))
        demo.say("training the high-use model")
        started = datetime.now(UTC)
        trained = hospital_train(demo.products / "hospital" / "high-use", f"{demo.run} high-use")
        version = version_register(client, MODEL, trained, DATA, started)
        demo.say(f"  registered as version {version.number}: {version.digest}")
        evidence = assess(demo, client, version, trained.bias_parameters)
        _day_of_use(demo, version)
        decision = client.post("decisions", {"digest": version.digest, "environment": ENVIRONMENT})
        demo.say(f"  gate: {decision['state']}")
        for rule in decision["rules"]:
            if rule["outcome"] != "pass":
                demo.say(f"    {rule['id']} {rule['outcome']}: {rule['message']}")
        controls = controls_say(demo, client, str(SYSTEM["slug"]))
        report = document_fetch(demo, client, "report", version, environment=ENVIRONMENT, name="hospital/report.pdf")
        checkpoint = client.get("logs/lineage/checkpoint")
        demo.save("checkpoint.txt", checkpoint["note"].encode())
        demo.save("trust.json", (demo.products.parent / "trust.json").read_bytes())
    return {
        "policy": policy,
        "tier": tier,
        "digest": version.digest,
        "decision": decision,
        "report": report,
        "controls": controls,
        "evidence": {kind: item["digest"] for kind, item in evidence.items()},
        "verdict": evidence["bias"]["payload"]["verdict"],
        "accesses": ACCESSES,
        "checkpoint": {"origin": checkpoint["origin"], "size": checkpoint["size"]},
    }


def _day_of_use(demo: "Demo", version: Registered) -> None:
    """Report a day of reads of patients' scores, as the hospital's own record system would."""
    chance = random.Random(demo.run)  # noqa: S311 - it makes up a working day, it protects nothing
    morning = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=16)
    accesses = []
    for number in range(ACCESSES):
        person, name, purpose = chance.choices(STAFF, weights=(9, 7, 1, 3, 2, 1))[0]
        accesses.append(
            {
                "event": "prediction.read",
                "at": (morning + timedelta(minutes=2 * number)).isoformat(),
                "person": person,
                "person_name": name,
                "purpose": purpose,
                "patient": f"patient-{chance.randrange(90):04}",
                "resource": "high-use score",
            }
        )
    with demo.client("hospital-records") as client:
        events = client.post("access-records", {"model": version.digest, "accesses": accesses})["events"]
    demo.say(f"  {len(events)} reads of patients' scores recorded, each with its purpose")
