"""Imports go one way; what auditors install needs no server; what the repository holds speaks of no machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from config.embedded import CHECKOUT, EmbeddedServices

PACKAGES = ("modelnotary", "audit", "governance", "explain", "reports", "config")
# One import against each contract, by the contract's name.
PLANTED = {
    "Each package knows only those below it": ("governance/selectors/gate.py", "import explain.errors"),
    "The rooms of audit": ("audit/selectors.py", "import audit.services"),
    "The rooms of governance": ("governance/services/jobs.py", "import governance.tasks"),
    "The rooms of explain": ("explain/fairness/plan.py", "import explain.assessment"),
    "The rooms of reports": ("reports/selectors/documents.py", "import reports.services"),
    "What computes knows no framework": ("modelnotary/ledger/merkle.py", "import django.conf"),
}
# Written apart, so that this file does not hold what it looks for.
FOREIGN = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "py" + "pi.org", "python" + "hosted")
WITHOUT_SERVER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name + " is not what auditors install")

sys.meta_path.insert(0, Blocker())
import importlib, pkgutil
import modelnotary

for module in pkgutil.walk_packages(modelnotary.__path__, "modelnotary."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""
SERVER = (
    *("audit", "governance", "explain", "reports", "config"),
    *(
        "celery",
        "django",
        "kombu",
        "numpy",
        "pandas",
        "psycopg",
        "redis",
        "rest_framework",
        "shap",
        "sklearn",
        "xgboost",
    ),
)


def run(
    *argv: str, cwd: Path = CHECKOUT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **(environment or {})}
    return subprocess.run(argv, cwd=cwd, env=whole, capture_output=True, text=True, check=False, timeout=240)


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    config = str(CHECKOUT / "pyproject.toml")
    return run(str(program), "--no-cache", "--config", config, cwd=tree, environment={"COLUMNS": "300"})


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The packages somewhere else, to be changed at will."""
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_imports_go_the_agreed_way_and_one_against_each_contract_is_found(copied: Path) -> None:
    kept = lint_imports(copied)
    assert kept.returncode == 0, kept.stdout
    assert f"Contracts: {len(PLANTED)} kept, 0 broken." in kept.stdout
    for file, line in PLANTED.values():
        path = copied / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    broken = lint_imports(copied)
    assert broken.returncode == 1
    found = re.findall(r"^(.+) BROKEN$", broken.stdout, re.MULTILINE)
    assert [any(name.startswith(start) for name in found) for start in PLANTED] == [True] * len(PLANTED), broken.stdout


def test_a_new_room_has_to_be_given_its_place(copied: Path) -> None:
    (copied / "governance" / "utils.py").touch()
    refused = lint_imports(copied)
    assert refused.returncode == 1
    assert "governance.utils" in refused.stdout + refused.stderr


def test_what_auditors_install_imports_whole_without_any_library_of_the_server() -> None:
    done = run(sys.executable, "-c", f"BLOCKED = {SERVER}\n{WITHOUT_SERVER}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 40


def manage(cluster: EmbeddedServices, template: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = cluster.environment(template) | {"DJANGO_DATABASE_ROLE": "migrator"}
    return run(sys.executable, "-W", "error::RuntimeWarning", "manage.py", *arguments, environment=environment)


def test_the_migrations_hold_everything_that_the_models_say(cluster: EmbeddedServices, template: str) -> None:
    done = manage(cluster, template, "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_django_finds_nothing_to_warn_of(cluster: EmbeddedServices, template: str) -> None:
    done = manage(cluster, template, "check", "--fail-level", "WARNING", "--database", "default")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_api_is_described_without_a_warning_and_every_operation_may_be_refused(
    cluster: EmbeddedServices, template: str, tmp_path: Path
) -> None:
    file = tmp_path / "schema.yaml"
    done = manage(cluster, template, "spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert done.returncode == 0, done.stderr
    schema = yaml.safe_load(file.read_text(encoding="utf-8"))
    operations = [
        (path, method, operation) for path, methods in schema["paths"].items() for method, operation in methods.items()
    ]
    assert len(operations) > 25
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    for path, method, operation in operations:
        assert {"401", "403"} <= operation["responses"].keys(), (path, method)
        assert operation["summary"], (path, method)
        refusals = [answer for code, answer in operation["responses"].items() if code >= "400"]
        assert all(set(answer["content"]) == {"application/problem+json"} for answer in refusals), (path, method)


def committed() -> list[Path]:
    listed = run("git", "ls-files", "-z")
    if listed.returncode:
        pytest.skip("this is not a clone, so nothing says which files are committed")
    return [CHECKOUT / name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


def test_no_committed_file_names_a_package_registry_or_a_place_on_some_machine() -> None:
    traces = []
    for path in committed():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            traces += [f"{path.relative_to(CHECKOUT)}:{number}: {line[:120]}" for word in FOREIGN if word in line]
    assert traces == []
