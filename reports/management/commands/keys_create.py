"""`manage.py keys_create`: make the signing keys that are missing, and the trust file that auditors pin."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import Log
from audit.keys import log_keys_make, second_key_file
from audit.subject_keys import key_ring_create
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.keys import key_generate, key_load
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.verify.trust import TRUST_FILE, DecisionKey, Trust
from reports.pki import report_pki_create


class Command(BaseCommand):
    """Create missing keys under NOTARY_HOME/keys and, once, NOTARY_HOME/trust.json."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what is made at the first start only."""
        parser.add_argument(
            "--ml-dsa", action="store_true", help="give each log a second key that is secure against quantum computers"
        )

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Never overwrite a key or the trust file: both are what others rely on."""
        folder: Path = settings.KEYS_DIR
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_ring_create(settings.SUBJECT_KEYS_FILE)
        path = settings.NOTARY_HOME / TRUST_FILE
        try:
            logs = tuple(_log_keys(log, lasting=options["ml_dsa"], pinned=path.exists()) for log in Log)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        decision = _key(folder / "decision.key")
        root = report_pki_create(folder).root_certificate
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


def _log_keys(log: Log, *, lasting: bool, pinned: bool) -> LogKeys:
    """Open or make a log's first key and, if asked for, the one of its second signature."""
    if lasting and pinned and not second_key_file(log.value).exists():
        raise CommandError(
            f"the trust file is there already, and its readers would refuse what the log {log.value} signed without a "
            "second key"
        )
    return log_keys_make(log.value, lasting=lasting)


def _key(path: Path) -> Ed25519PrivateKey:
    return key_load(path) if path.exists() else key_generate(path)
