"""The demonstration: a bank, a hospital, and an attack, through the public API alone.

    make demo

Everything that it makes is left in var/demo/. It can be run again: each run trains anew and registers new versions.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.attack import attack_play
from examples.authenticator import authenticator_enrol, code_unused
from examples.bank import bank_play
from examples.hospital import hospital_play
from modelnotary.client.api import NotaryClient
from modelnotary.errors import ModelNotaryError

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ["NOTARY_HOME"])
PRODUCTS = HOME / "demo"
ACCOUNTS = HOME / "secrets" / "demo-accounts.json"
SERVER = os.environ["PUBLIC_URL"]


@dataclass
class Demo:
    """What the acts share.

    Attributes:
        run: Name of this run; every artifact records it.
        products: Where products go.
        secrets: Passwords and tokens of the accounts, and secrets of their authenticators, by name.
        summary: What the run produced.
    """

    run: str
    products: Path
    secrets: dict[str, dict[str, str]]
    summary: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, words: str) -> None:
        """Print a line of progress with the seconds since the start."""
        print(f"[{time.monotonic() - self.started:6.1f} s] {words}", flush=True)

    def client(self, token: str) -> NotaryClient:
        """Give a client that holds one of the accounts' tokens."""
        return NotaryClient(SERVER, self.secrets["tokens"][token])

    def code(self, username: str, token: str) -> str:
        """Give a one-time code of an officer's own device, which is enrolled the first time."""
        enrolled = self.secrets["authenticators"]
        if username not in enrolled:
            with self.client(token) as officer:
                enrolled[username] = authenticator_enrol(officer, self.secrets["passwords"][username])
            _keep(self.secrets)
        return code_unused(enrolled[username])

    def save(self, name: str, content: bytes) -> Path:
        """Write a product."""
        path = self.products / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def main() -> int:
    """Play the three acts; 0 when every one went as it must."""
    shutil.rmtree(PRODUCTS, ignore_errors=True)
    PRODUCTS.mkdir(parents=True)
    demo = Demo(run=datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), products=PRODUCTS, secrets=_accounts())
    try:
        demo.say("ACT 1: a bank and its mortgage model")
        demo.summary["bank"] = bank_play(demo)
        demo.say("ACT 2: a hospital and its outreach model")
        demo.summary["hospital"] = hospital_play(demo)
        demo.say("ACT 3: someone with full power over the database rewrites history")
        demo.summary["attack"] = attack_play(demo)
    except (ModelNotaryError, AssertionError) as error:
        print(f"\nThe demonstration stopped: {error}", file=sys.stderr)
        return 1
    demo.save("summary.json", json.dumps({"run": demo.run, **demo.summary}, indent=2).encode() + b"\n")
    _farewell(demo)
    return 0


def _accounts() -> dict[str, dict[str, str]]:
    """Make the accounts by the documented command, and keep their secrets beside the other ones."""
    known = json.loads(ACCOUNTS.read_text()) if ACCOUNTS.exists() else {}
    made = subprocess.run(
        [sys.executable, "manage.py", "accounts_apply", "examples/accounts.yaml"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    )
    fresh = json.loads(made.stdout)
    secrets = {name: known.get(name, {}) | fresh.get(name, {}) for name in ("passwords", "tokens", "authenticators")}
    _keep(secrets)
    return secrets


def _keep(secrets: dict[str, dict[str, str]]) -> None:
    with os.fdopen(os.open(ACCOUNTS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(secrets, file)


def _farewell(demo: Demo) -> None:
    demo.say("done")
    where = os.path.relpath(PRODUCTS)
    print(f"\nWhat the run produced, in {where}/:")
    for path in sorted(PRODUCTS.rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(PRODUCTS)!s:36} {path.stat().st_size:>9,} bytes")
    print(
        f"\nCheck it yourself:  .venv/bin/modelnotary verify {where}/bank/report.pdf {where}/bank/bundle.zip"
        "\nLook at it:         make up"
    )


if __name__ == "__main__":
    sys.exit(main())
