"""Real PostgreSQL and Valkey as ordinary child processes, for machines where nothing else is set up."""

import os
from pathlib import Path

from config.embedded.errors import EmbeddedError, InstallationDamagedError, RootRefusedError, StartFailedError
from config.embedded.services import EmbeddedServices

__all__ = [
    "CHECKOUT",
    "EmbeddedError",
    "EmbeddedServices",
    "InstallationDamagedError",
    "RootRefusedError",
    "StartFailedError",
    "default_home",
    "environment_for_settings",
    "external_services",
]

CHECKOUT = Path(__file__).resolve().parents[2]
_EXTERNAL = (
    "DATABASE_URL",
    "AUDITOR_DATABASE_URL",
    "SEQUENCER_DATABASE_URL",
    "SIGNER_DATABASE_URL",
    "ARCHIVER_DATABASE_URL",
    "MIGRATION_DATABASE_URL",
    "BROKER_URL",
)


def default_home() -> Path:
    """Folder of the embedded services: NOTARY_HOME, or ``var`` in the checkout."""
    return Path(os.environ.get("NOTARY_HOME") or CHECKOUT / "var")


def external_services() -> list[str]:
    """Names of set variables that give the product servers of the operator's own."""
    return [name for name in _EXTERNAL if os.environ.get(name) or os.environ.get(f"{name}_FILE")]


def environment_for_settings() -> None:
    """Fill os.environ with the embedded environment, where the operator gave no servers of their own.

    Nothing is started; variables that are set stay as they are. So `manage.py` works by hand.

    Raises:
        InstallationDamagedError: The kept secrets cannot be read.
    """
    if external_services():
        return
    for name, value in EmbeddedServices(default_home()).environment().items():
        os.environ.setdefault(name, value)
