"""The documentation's examples do what it says of them: policies compile, programs run, requests fit the API."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # publishes no types
import pytest
from docs_pages import DOCS, fences, shell_script
from report_samples import sample_report
from sample_bundle import Sample

from config.embedded import CHECKOUT
from governance.policy.document import parse_policy
from governance.policy.errors import PolicyError
from modelnotary.verify.archive import archive_write
from reports.twin import content_to_json

# --- Policies ---------------------------------------------------------------------------------------------------------
POLICIES = [fence for fence in fences(DOCS / "policies.md") if fence.language == "yaml"]
ROLES = frozenset({"compliance", "model_risk", "privacy", "engineer", "auditor", "model_owner", "validator"})


@pytest.mark.parametrize("number", [number for number, fence in enumerate(POLICIES) if not fence.mark])
def test_documented_policies_compile(number: int) -> None:
    assert parse_policy(POLICIES[number].body, roles=ROLES).rules


def test_the_refused_policy_is_refused_in_the_documented_words() -> None:
    (refused,) = (fence for fence in POLICIES if fence.mark == "refused")
    with pytest.raises(PolicyError) as caught:
        parse_policy(refused.body, roles=ROLES)
    said = "\n".join(f"{fault}\n{fault.excerpt}" for fault in caught.value.diagnostics)
    assert said + "\n" in [fence.body for fence in fences(DOCS / "policies.md") if fence.language == "text"]


# --- Programs ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What an auditor holds, in two folders: one with a report's parts, one with a bundle."""
    report, bundle = tmp_path_factory.mktemp("report"), tmp_path_factory.mktemp("bundle")
    sample = sample_report()
    twin = content_to_json(sample.content)
    (report / "trust.json").write_bytes(sample.trust.to_bytes())
    (report / "report.json").write_bytes(twin)
    (report / "decision.dsse.json").write_text(json.loads(twin)["decisions"][0]["envelope"], encoding="utf-8")
    files = Sample(fill=600).files()
    (bundle / "trust.json").write_bytes(files["trust.json"])
    archive_write(bundle / "bundle.zip", files)
    return {"fingerprint": report, "decision": report, "proof": report, "log": bundle}


PROGRAMS = {
    fence.mark.removeprefix("run: "): fence.body
    for fence in fences(DOCS / "verify-offline.md")
    if fence.mark.startswith("run: ")
}


def run_program(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", PROGRAMS[name]], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_program_in_verify_offline_is_run() -> None:
    shown = [fence for fence in fences(DOCS / "verify-offline.md") if fence.language == "python"]
    assert len(shown) == len(PROGRAMS) == 4
    assert not any("modelnotary" in program for program in PROGRAMS.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_without_our_code_find_genuine_evidence_genuine(name: str, evidence: dict[str, Path]) -> None:
    found = run_program(name, evidence[name])
    assert found.returncode == 0, found.stderr
    expected = {"fingerprint": sample_report().trust.fingerprint, "log": "606 entries lead to the root"}
    assert expected.get(name, "") in found.stdout
    assert found.stdout


@pytest.mark.parametrize("name", ["decision", "proof"])
def test_programs_without_our_code_find_an_edited_file_forged(
    name: str, evidence: dict[str, Path], tmp_path: Path
) -> None:
    for path in evidence[name].iterdir():
        content = path.read_bytes()
        edited = content.replace(b'"payload":"ey', b'"payload":"ez', 1).replace(b'"leaf":"ey', b'"leaf":"ez', 1)
        (tmp_path / path.name).write_bytes(edited)
    assert run_program(name, tmp_path).returncode != 0


def test_the_program_for_logs_finds_a_bundle_with_one_edited_entry_forged(
    evidence: dict[str, Path], tmp_path: Path
) -> None:
    files = Sample(fill=600).files()
    tile = "logs/lineage/tile/entries/001"
    forged = files | {tile: files[tile].replace(b'"n":300}', b'"n":301}', 1)}
    assert forged != files
    archive_write(tmp_path / "bundle.zip", forged)
    (tmp_path / "trust.json").write_bytes(files["trust.json"])
    assert "AssertionError" in run_program("log", tmp_path).stderr


# --- The API ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document, made as for a new installation."""
    home = tmp_path_factory.mktemp("home")
    made = subprocess.run(
        [sys.executable, "manage.py", "spectacular", "--format", "openapi-json"],
        cwd=CHECKOUT,
        env=os.environ | {"NOTARY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(made.stdout)
    return document


@dataclass(frozen=True)
class Call:
    """A request of the tour, with shell variables as they stand."""

    method: str
    path: str
    body: str | None


VARIABLE = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|\$\w+")
SLUG = re.compile(r"(?<=/)(?:hmda-[\w-]+|loan-denial|loan-underwriting|lineage(?=/))")
EXAMPLES = {"$kind": "report", "${person#*:}": "compliance"}
"""What a variable stands for where the API takes only certain words."""


def tour() -> list[Call]:
    """The requests in `docs/api.md`: `call PATH OPTIONS`, the body in a here-document after the line."""
    lines = iter(shell_script(DOCS / "api.md").splitlines())
    return [call for line in lines for call in _calls(line, lines)]


def _calls(line: str, following: Iterator[str]) -> Iterator[Call]:
    has_body = "<<EOF" in line
    body = "\n".join(iter(lambda: next(following), "EOF")) if has_body else None
    for found in re.finditer(r'\bcall "?(?P<path>[^\s")]+)"?(?P<options>[^|)]*)', line):
        options = found["options"]
        method = "PUT" if " -T " in options else "POST" if " -d " in options else "GET"
        yield Call(method, found["path"].split("?")[0], body if "<<EOF" in options else None)


def test_the_tour_is_read_whole() -> None:
    script = shell_script(DOCS / "api.md")
    assert len(tour()) == len(re.findall(r"\bcall [^(]", script)) > 30
    assert sum(call.body is not None for call in tour()) == script.count("<<EOF")


@pytest.mark.parametrize("call", tour(), ids=lambda call: f"{call.method} {call.path}")
def test_every_request_of_the_tour_fits_the_api(call: Call, schema: dict[str, Any]) -> None:
    wanted = SLUG.sub("*", VARIABLE.sub("*", call.path))
    served = {
        re.sub(r"\{\w+\}", "*", path): operations
        for path, operations in schema["paths"].items()
        if call.method.lower() in operations
    }
    operation = served.get(f"/api/v1/{wanted}", {}).get(call.method.lower())
    assert operation, f"nothing is served at {call.method} {wanted}"
    if call.body is None:
        return
    body = json.loads(VARIABLE.sub(lambda name: EXAMPLES.get(name[0], "variable"), call.body))
    takes = operation["requestBody"]["content"]["application/json"]["schema"]
    known = schema["components"]["schemas"][takes["$ref"].rpartition("/")[2]]
    assert set(body) <= set(known["properties"])
    jsonschema.validate(body, takes | {"components": schema["components"]})
