"""What makes one installation itself: its random secrets and its ports, kept in one private file."""

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self
from uuid import uuid4

from config.embedded.errors import InstallationDamagedError
from config.embedded.ports import LOOPBACK, free_ports

DATABASE = "modelnotary"
SUPERUSER = "postgres"
MIGRATOR = "mn_migrator"
_ROLE_VARIABLES = {
    "mn_app": "DATABASE_URL",
    "mn_auditor": "AUDITOR_DATABASE_URL",
    "mn_sequencer": "SEQUENCER_DATABASE_URL",
    "mn_signer": "SIGNER_DATABASE_URL",
    "mn_archiver": "ARCHIVER_DATABASE_URL",
    MIGRATOR: "MIGRATION_DATABASE_URL",
}
_LISTENERS = ("postgres", "valkey", "web", "signer")


def _passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(32) for role in (SUPERUSER, *_ROLE_VARIABLES)}


def _ports() -> dict[str, int]:
    return dict(zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True))


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Secrets and ports of one installation; a new one is made of fresh random values.

    Attributes:
        instance: Name that the ledger's logs carry, for example ``modelnotary.local/3f9a``.
        role_passwords: Password of each database role that may log in, the superuser included.
        ports: Loopback port of postgres, valkey, web and signer.
        subject_kek: What wrapped persons' keys in installations made before the key file was; else empty.
    """

    instance: str = field(default_factory=lambda: f"modelnotary.local/{secrets.token_hex(2)}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)
    token_pepper: str = field(default_factory=lambda: f"1:{secrets.token_hex(32)}", repr=False)
    subject_kek: str = field(default="", repr=False)
    broker_password: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    role_passwords: dict[str, str] = field(default_factory=_passwords, repr=False)
    ports: dict[str, int] = field(default_factory=_ports)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the installation kept at `path`, or make a new one and keep it there.

        One that was made before a role existed gets a password for it.

        Raises:
            InstallationDamagedError: The file exists but does not hold an installation.
        """
        try:
            kept = cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            new = cls()
            new.save(path)
            return new
        except (OSError, ValueError, TypeError) as error:
            raise InstallationDamagedError(
                f"The secrets in {path} cannot be read ({error}). Restore the file, "
                f"or remove {path.parent.parent} to begin anew without its data."
            ) from error
        if kept.role_passwords.keys() >= _passwords().keys():
            return kept
        grown = replace(kept, role_passwords=_passwords() | kept.role_passwords)
        grown.save(path)
        return grown

    def save(self, path: Path) -> None:
        """Keep this installation at `path`, whole or not at all, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f"{path.name}.{uuid4().hex}")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        fresh.replace(path)

    def with_port(self, name: str, port: int) -> Self:
        """Give this installation with another port for the service `name`."""
        return replace(self, ports=self.ports | {name: port})

    def database_url(self, role: str, database: str = DATABASE) -> str:
        """Address at which `role` reaches `database`."""
        return f"postgresql://{role}:{self.role_passwords[role]}@{LOOPBACK}:{self.ports['postgres']}/{database}"

    def broker_url(self) -> str:
        """Address of the broker."""
        return f"redis://:{self.broker_password}@{LOOPBACK}:{self.ports['valkey']}/0"

    def environment(self, home: Path, database: str = DATABASE) -> dict[str, str]:
        """Variables that the processes read, for the product's files in `home`."""
        urls = {name: self.database_url(role, database) for role, name in _ROLE_VARIABLES.items()}
        before = {"SUBJECT_KEK": self.subject_kek} if self.subject_kek else {}
        return (
            urls
            | before
            | {
                "BROKER_URL": self.broker_url(),
                "SECRET_KEY": self.secret_key,
                "TOKEN_PEPPER": self.token_pepper,
                "NOTARY_INSTANCE": self.instance,
                "NOTARY_HOME": str(home),
                "SIGNER_URL": f"http://{LOOPBACK}:{self.ports['signer']}",
                "PUBLIC_URL": f"http://{LOOPBACK}:{self.ports['web']}",
                # Browsers make passkeys for names alone, of which a machine always has this one.
                "PASSKEY_RP_ID": "localhost",
                "PASSKEY_ORIGINS": f"http://localhost:{self.ports['web']}",
                "WEB_PORT": str(self.ports["web"]),
                "ALLOWED_HOSTS": f"{LOOPBACK},localhost",
            }
        )
