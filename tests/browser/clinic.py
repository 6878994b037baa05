"""Run beside the product, on its database: has two patients and two privacy officers, and prints who they are."""

import json
import sys
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).parent.parent))
django.setup()

import factories  # noqa: E402 - Django comes first

from governance.enums import Role  # noqa: E402

officers = [factories.person(Role.PRIVACY) for _ in range(2)]
sys.stdout.write(
    json.dumps(
        {
            "patients": [factories.patient(), factories.patient()],
            "officers": [{"username": user.username, "name": user.printed_name} for user in officers],
            "engineer": factories.person(Role.ENGINEER).username,
            "password": factories.PASSWORD,
        }
    )
)
