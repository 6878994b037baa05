"""`manage.py keys_create`: make the signing keys that are missing, and the trust file that auditors pin."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from audit.enums import Log
from modelnotary.ledger.keys import key_generate, key_load
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.note import NoteSigner
from modelnotary.verify.trust import TRUST_FILE, DecisionKey, Trust
from reports.pki import report_pki_create


class Command(BaseCommand):
    """Create missing keys under NOTARY_HOME/keys and, once, NOTARY_HOME/trust.json."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Never overwrite a key or the trust file: both are what others rely on."""
        folder: Path = settings.KEYS_DIR
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs = tuple(_log_keys(folder, log) for log in Log)
        decision = _key(folder / "decision.key")
        root = report_pki_create(folder).root_certificate
        path = settings.NOTARY_HOME / TRUST_FILE
        if path.exists():
            return
        public = decision.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        trust = Trust(
            instance=settings.NOTARY_INSTANCE,
            logs=logs,
            decision_keys=(DecisionKey(public, timezone.now()),),
            report_roots=(root.read_text(encoding="ascii"),),
        )
        path.write_bytes(trust.to_bytes())
        self.stdout.write(f"trust file written: {path}, fingerprint {trust.fingerprint}")


def _log_keys(folder: Path, log: Log) -> LogKeys:
    return LogKeys.of(NoteSigner(f"{settings.NOTARY_INSTANCE}/{log.value}", _key(folder / f"{log.value}.key")).verifier)


def _key(path: Path) -> Ed25519PrivateKey:
    return key_load(path) if path.exists() else key_generate(path)
