"""Run beside the product, on its database: makes as many decisions as its argument says, each waiting
for one signature, and prints who can do what."""

import json
import sys
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).parent.parent))
django.setup()

import factories  # noqa: E402 - Django comes first


def waiting_decision() -> dict[str, Any]:
    case = factories.waiting_case()
    return {
        "decision": case.decision.id,
        "version": str(case.version),
        "digest": case.version.digest,
        "evidence_set": case.decision.evidence_set_digest,
        "officer": {
            "username": case.officers[0].username,
            "name": case.officers[0].printed_name,
            "device": factories.device(case.officers[0]),
        },
        "author": {"username": case.author.username, "name": case.author.printed_name},
        "password": factories.PASSWORD,
    }


sys.stdout.write(json.dumps([waiting_decision() for _ in range(int(sys.argv[1]))]))
