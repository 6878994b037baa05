"""The whole main job on the real processes: the demonstration, its products, and what verification makes of them."""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.embedded import CHECKOUT
from config.stack import Stack

pytestmark = pytest.mark.stack

PRODUCTS = (
    "bank/report.pdf",
    "bank/decision-denied.dsse.json",
    "bank/decision-allowed.dsse.json",
    "bank/bundle.zip",
    "hospital/report.pdf",
    "checkpoint.txt",
    "summary.json",
)
FLIPS_FOR_EACH_FILE = 6


@dataclass(frozen=True)
class Played:
    """One run of the demonstration: where its products are, what it printed, and how to reach the server."""

    products: Path
    printed: str
    environment: dict[str, str]

    def run(self, *command: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "modelnotary.cli", *command],
            cwd=CHECKOUT,
            env=self.environment | extra,
            capture_output=True,
            text=True,
            check=False,
        )

    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.products / "summary.json").read_text())
        return loaded

    def token(self, name: str) -> str:
        secrets = json.loads((self.products.parent / "secrets" / "demo-accounts.json").read_text())
        return str(secrets["tokens"][name])


@pytest.fixture(scope="module")
def played(stack: Stack) -> Played:
    environment = os.environ | stack.services.environment()
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Played(stack.home / "demo", done.stdout, environment)


def test_the_demonstration_leaves_its_products(played: Played) -> None:
    assert [name for name in PRODUCTS if not (played.products / name).is_file()] == []


def test_the_gate_denies_the_first_version_for_its_fairness_and_allows_the_second(played: Played) -> None:
    bank = played.summary()["bank"]
    assert bank["denied"]["decision"]["state"] == "failed"
    assert bank["allowed"]["decision"]["state"] == "passed"
    assert "FAIR-002 fail" in played.printed
    assert "signed by Olivia Grant" in played.printed


def test_the_rewritten_history_is_refused_by_the_signer_and_convicted_by_the_kept_checkpoint(played: Played) -> None:
    attack = played.summary()["attack"]
    assert "does not extend what was signed before" in attack["signer"]
    verification = (played.products / "attack" / "verification.txt").read_text()
    assert attack["verifier_exit"] == 1
    assert "kept checkpoint: history was rewritten" in verification


def test_report_and_bundle_verify_offline_together(played: Played) -> None:
    paths = [str(played.products / name) for name in ("bank/report.pdf", "bank/bundle.zip")]
    verified = played.run("verify", *paths)
    assert verified.returncode == 0, verified.stdout
    assert "names this file for the report" in verified.stdout


@pytest.mark.parametrize("name", ["bank/report.pdf", "bank/bundle.zip"])
def test_any_changed_byte_is_found_and_the_failing_check_named(played: Played, name: str, tmp_path: Path) -> None:
    original = (played.products / name).read_bytes()
    copy = tmp_path / Path(name).name
    shutil.copy(played.products / "trust.json", tmp_path)
    chance = random.Random(name)
    for _ in range(FLIPS_FOR_EACH_FILE):
        position, bit = chance.randrange(len(original)), 1 << chance.randrange(8)
        changed = bytearray(original)
        changed[position] ^= bit
        copy.write_bytes(changed)
        verified = played.run("verify", str(copy))
        assert verified.returncode == 1, f"byte {position}, bit {bit}: {verified.stdout}"
        assert "FAILS" in verified.stdout


def test_another_vendors_tool_finds_the_signature_valid(played: Played) -> None:
    pdfsig = shutil.which("pdfsig")
    if pdfsig is None:
        pytest.skip("NO PDFSIG: poppler-utils is not installed, so no outside tool looks at the signature")
    looked = subprocess.run([pdfsig, played.products / "bank/report.pdf"], capture_output=True, text=True, check=False)
    assert "Signature is Valid." in looked.stdout
    assert "Total document signed" in looked.stdout


@pytest.mark.parametrize(
    ("version", "arguments", "code"),
    [
        ("allowed", ("assert", "--environment", "bank-production"), 0),
        ("denied", ("assert", "--environment", "bank-production"), 1),
        ("allowed", ("assert", "--environment", "elsewhere"), 1),
        ("denied", ("decide", "--environment", "bank-production"), 1),
        ("allowed", ("decide", "--environment", "bank-production"), 0),
        ("allowed", ("assert",), 2),
        ("allowed", ("assert", "--environment", "bank-production", "--unknown-option"), 2),
    ],
)
def test_the_gate_command_answers_with_its_exit_code(
    played: Played, version: str, arguments: tuple[str, ...], code: int
) -> None:
    digest = str(played.summary()["bank"][version]["digest"])
    asked = played.run(
        "gate", *arguments, "--digest", digest, MODELNOTARY_TOKEN=played.token("bank-pipeline"), **server(played)
    )
    assert asked.returncode == code, asked.stderr


def test_an_artifact_that_nobody_registered_is_denied(played: Played, tmp_path: Path) -> None:
    artifact = tmp_path / "model.json"
    artifact.write_text("{}")
    asked = played.run(
        "gate",
        "assert",
        "--environment",
        "bank-production",
        "--artifact",
        str(artifact),
        MODELNOTARY_TOKEN=played.token("bank-pipeline"),
        **server(played),
    )
    assert asked.returncode == 1
    assert "unknown-artifact" in asked.stderr


def test_without_a_valid_token_nothing_is_answered(played: Played) -> None:
    digest = str(played.summary()["bank"]["allowed"]["digest"])
    asked = played.run(
        "gate",
        "assert",
        "--environment",
        "bank-production",
        "--digest",
        digest,
        MODELNOTARY_TOKEN="mn_0_wrong",
        **server(played),
    )
    assert asked.returncode == 4


def test_without_a_server_nothing_is_allowed(played: Played) -> None:
    digest = str(played.summary()["bank"]["allowed"]["digest"])
    asked = played.run(
        "gate",
        "assert",
        "--environment",
        "bank-production",
        "--digest",
        digest,
        MODELNOTARY_TOKEN=played.token("bank-pipeline"),
        MODELNOTARY_SERVER="http://127.0.0.1:9",
    )
    assert asked.returncode == 5
    assert "not allowed" in asked.stderr


def server(played: Played) -> dict[str, str]:
    return {"MODELNOTARY_SERVER": played.environment["PUBLIC_URL"]}


def test_every_change_that_the_demonstration_made_is_told_by_an_event(played: Played) -> None:
    for command in ("ledger_reconcile", "ledger_verify"):
        done = subprocess.run(
            [sys.executable, "manage.py", command, "--json"],
            cwd=CHECKOUT,
            env=played.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
