"""What can be known about docker-compose.yml without running it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from config.embedded import CHECKOUT, EmbeddedServices
from config.embedded.postgres import _program
from config.supervisor import PROCESSES

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLES = {
    "web": {"DATABASE_URL", "AUDITOR_DATABASE_URL"},
    "worker": {"DATABASE_URL", "AUDITOR_DATABASE_URL"},
    "beat": {"DATABASE_URL"},
    "sequencer": {"SEQUENCER_DATABASE_URL"},
    "signer": {"SIGNER_DATABASE_URL"},
}
KEYS = {"web": "keys-web", "worker": "keys-worker", "beat": None, "sequencer": None, "signer": "keys-signer"}
OPERATOR = {
    "NOTARY_INSTANCE": "notary.example.com/main",
    "PUBLIC_URL": "https://notary.example.com",
    "ALLOWED_HOSTS": "notary.example.com",
}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the secrets that a new operator makes."""
    deploy = tmp_path_factory.mktemp("a clone") / "deploy"
    deploy.mkdir()
    shutil.copy(CHECKOUT / "deploy" / "secrets.sh", deploy)
    subprocess.run([deploy / "secrets.sh"], check=True)
    return deploy / "secrets"


def mounts(service: str) -> dict[str, str]:
    """Source to target of a service's volumes."""
    return dict(volume.split(":", 2)[:2] for volume in SERVICES[service].get("volumes", []))


def test_it_runs_the_five_processes_their_stores_and_the_preparation() -> None:
    started = {name for name in SERVICES if "profiles" not in SERVICES[name]}
    assert started == {*PROCESSES, "postgres", "valkey", "prepare"}
    assert started - {name for name in SERVICES if "healthcheck" in SERVICES[name]} == {"prepare", "sequencer"}


def test_an_operator_starts_the_ceremony_after_a_restore_and_nobody_else_does() -> None:
    assert set(SERVICES) - {name for name in SERVICES if "profiles" not in SERVICES[name]} == {"log-open"}
    ceremony = SERVICES["log-open"]
    assert ceremony["restart"] == "no"
    assert ceremony["environment"]["DJANGO_DATABASE_ROLE"] == "migrator"
    assert set(mounts("log-open")) == {"home", "keys"}
    assert not any(volume.endswith(":ro") for volume in ceremony["volumes"])


def test_only_web_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {
        *("web", "worker", "sequencer", "log-open")
    }
    assert [name for name, network in COMPOSE["networks"].items() if not network.get("internal")] == ["outside"]


def test_only_the_sequencer_and_the_ceremony_after_a_restore_meet_the_signer() -> None:
    meet = {name for name in SERVICES if "signing" in SERVICES[name]["networks"]}
    assert meet == {"sequencer", "log-open", "signer"}


def test_who_asks_the_anchors_has_their_addresses_and_the_trust_file() -> None:
    asking = {name for name in SERVICES if "ANCHORS" in SERVICES[name].get("environment", {})}
    assert asking >= {"web", "worker", "sequencer", "log-open"}
    assert {name for name in asking if "home" not in mounts(name)} == {"beat"}
    assert SERVICES["sequencer"]["volumes"] == ["home:/var/lib/modelnotary:ro"]


def test_no_value_has_a_default_but_the_port_where_checkpoints_are_published_and_whom_passkeys_are_for() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{(\w+):-", text)) == {"WEB_PORT", "ANCHORS", "PASSKEY_RP_ID", "PASSKEY_ORIGINS"}
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(OPERATOR)
    assert re.findall(r"(?<!\$)\$(?!\{|\$)\w", text) == []


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_as_files_only_and_only_where_used(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    plain = {
        variable for variable in given if re.search("SECRET|PEPPER|KEK|PASSWORD|DATABASE_URL|BROKER_URL", variable)
    }
    assert all(variable.endswith("_FILE") for variable in plain)
    mounted = {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", [])}
    used = {given[variable] for variable in plain}
    used |= set(re.findall(r"/run/secrets/\w+", f"{SERVICES[name].get('command')}{SERVICES[name].get('healthcheck')}"))
    if name == "postgres":
        used |= set(re.findall(r"/run/secrets/\w+", (CHECKOUT / "deploy" / "postgres-init.sh").read_text()))
    assert used == mounted


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_gets_its_own_database_roles_and_its_own_keys(name: str) -> None:
    given = SERVICES[name]["environment"]
    roles = {variable.removesuffix("_FILE") for variable in given if variable.endswith("DATABASE_URL_FILE")}
    assert roles == ROLES[name]
    keys = {source: target for source, target in mounts(name).items() if source.startswith("keys")}
    assert keys == ({KEYS[name]: "/var/lib/modelnotary/keys"} if KEYS[name] else {})
    assert all(volume.endswith(":ro") for volume in SERVICES[name].get("volumes", []) if volume.startswith("keys"))


def test_all_keys_together_and_the_first_password_are_seen_by_the_preparation_only() -> None:
    started = [name for name in SERVICES if "profiles" not in SERVICES[name]]
    for volume in ("keys", "first-password"):
        assert [name for name in started if volume in mounts(name)] == ["prepare"]


def test_a_new_key_of_a_log_is_put_where_the_signer_reads_its_own() -> None:
    at = SERVICES["prepare"]["environment"]["KEYS_SIGNER"]
    assert mounts("prepare")["keys-signer"] == at
    assert mounts("signer")["keys-signer"] == f"{SERVICES['signer']['environment']['NOTARY_HOME']}/keys"
    assert [name for name in PROCESSES if "KEYS_SIGNER" in SERVICES[name].get("environment", {})] == []
    assert f"${{KEYS_SIGNER:-{at}}}" in (CHECKOUT / "deploy" / "prepare.sh").read_text()


def test_every_secret_is_made_random_and_kept(secrets: Path) -> None:
    made = {path.name: path.read_text() for path in secrets.iterdir() if path.name != ".gitignore"}
    assert {f"deploy/secrets/{name}" for name in made} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert len(set(made.values())) == len(made)
    assert made["migrator_password"] in made["migration_database_url"]
    assert made["broker_password"] in made["broker_url"]
    assert secrets.stat().st_mode & 0o777 == 0o700
    subprocess.run([secrets.parent / "secrets.sh"], check=True)
    assert {name: (secrets / name).read_text() for name in made} == made


@pytest.mark.parametrize("name", [*PROCESSES, "prepare", "log-open"])
def test_the_settings_load_with_what_a_process_is_given(name: str, secrets: Path) -> None:
    given = {
        variable: re.sub(r"^\$\{(\w+):\?.*\}$", lambda match: OPERATOR[match[1]], value).replace(
            "/run/secrets", str(secrets)
        )
        for variable, value in SERVICES[name]["environment"].items()
    }
    program = (
        "import json; from config import settings; "
        "print(json.dumps(sorted(name for name, url in settings.ROLE_DATABASE_URLS.items() if url)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = {"log-open": {"AUDITOR_DATABASE_URL", "MIGRATION_DATABASE_URL"}} | ROLES
    every = set().union(*ROLES.values(), {"MIGRATION_DATABASE_URL", "ARCHIVER_DATABASE_URL"})
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == sorted(expected.get(name, every))


def test_the_database_is_prepared_for_the_migrating_role(cluster: EmbeddedServices, tmp_path: Path) -> None:
    """The script runs as it does in the postgres image, with other names so as not to meet the cluster's own."""
    script = (CHECKOUT / "deploy" / "postgres-init.sh").read_text()
    (tmp_path / "init.sh").write_text(
        script.replace("mn_migrator", "other_role").replace("modelnotary", "other_database")
    )
    (tmp_path / "password").write_text("it's 'quoted'")
    server = urlsplit(cluster.superuser_url("postgres"))
    environment = {
        "PATH": f"{Path(_program('psql')).parent}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGPASSWORD": str(server.password),
        "MIGRATOR_PASSWORD_FILE": str(tmp_path / "password"),
    }
    try:
        subprocess.run(["sh", tmp_path / "init.sh"], env=environment, check=True, capture_output=True)
        with psycopg.connect(
            host="127.0.0.1", port=server.port, user="other_role", password="it's 'quoted'", dbname="other_database"
        ) as connection:
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
            )
            assert owner.fetchone() == ("other_role",)
    finally:
        cluster.drop_database("other_database")
        with psycopg.connect(cluster.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS other_role")


def test_the_preparation_hands_each_process_the_keys_that_it_signs_with(tmp_path: Path) -> None:
    home, tools = tmp_path / "home", tmp_path / "tools"
    handed = {name: tmp_path / name for name in ("signer", "web", "worker")}
    for folder in (tools, *handed.values()):
        folder.mkdir()
    environment = EmbeddedServices(home).environment()
    subprocess.run([sys.executable, "manage.py", "keys_create"], cwd=CHECKOUT, env=os.environ | environment, check=True)
    # The database's part is proven elsewhere.
    (tools / "python").write_text("#!/bin/sh\n")
    (tools / "python").chmod(0o755)
    folders = {f"KEYS_{name.upper()}": str(folder) for name, folder in handed.items()}
    path = {"PATH": f"{tools}:{os.environ['PATH']}", "NOTARY_HOME": str(home)}
    for _ in range(2):
        subprocess.run([CHECKOUT / "deploy" / "prepare.sh"], env=path | folders, check=True)
    assert {name: sorted(key.name for key in folder.iterdir()) for name, folder in handed.items()} == {
        "signer": ["access.key", "lineage.key"],
        "web": ["decision.key"],
        "worker": ["decision.key", "report-root.pem", "report-signer.key", "report-signer.pem"],
    }
    assert {key.stat().st_mode & 0o777 for folder in handed.values() for key in folder.iterdir()} == {0o400}
