import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded import CHECKOUT, EmbeddedServices, environment_for_settings


def test_settings_get_the_kept_environment_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in EmbeddedServices(tmp_path).environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOTARY_HOME", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", "chosen by the operator")
    environment_for_settings()
    expected = EmbeddedServices(tmp_path).environment() | {"SECRET_KEY": "chosen by the operator"}
    assert {name: os.environ[name] for name in expected} == expected
    assert not any(EmbeddedServices(tmp_path).status().values())


@pytest.mark.parametrize("given", ["DATABASE_URL", "SIGNER_DATABASE_URL", "BROKER_URL", "DATABASE_URL_FILE"])
def test_settings_are_left_alone_where_the_operator_gives_servers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    for name in EmbeddedServices(tmp_path).environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(given, "of the operator's own")
    before = dict(os.environ)
    environment_for_settings()
    assert dict(os.environ) == before


@pytest.mark.parametrize("command", [["up"], ["start"], ["run", "--", "true"]])
def test_nothing_embedded_is_started_beside_the_operators_own_servers(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {
        "NOTARY_HOME": str(tmp_path / "var"),
        "BROKER_URL": "redis://broker.example/0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "config.embedded", *command],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "BROKER_URL is set" in done.stderr
    assert not (tmp_path / "var").exists()
