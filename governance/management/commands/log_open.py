"""`manage.py log_open LOG... --reason WHY --approve USERNAME --approve USERNAME`: open the successors of frozen logs.

For an operator who restored the database from a backup; docs/restore.md leads through it. Run as the migrator. Stopped
anywhere, the same command goes on.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.anchoring import anchors_configured
from audit.continuity import Outlook, checkpoint_newest, outlook
from audit.enums import Log
from audit.errors import RestoreError
from audit.succession import LogState, Opened, frozen_require, log_newest, successor_open, successor_trust
from governance.management.officer import approvers_arguments, approvers_given
from governance.services.restoring import restore_approvers
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.verify.trust import TRUST_FILE, Trust

_PATIENCE_SECONDS = 60.0


class Command(BaseCommand):
    """Seal frozen logs and open their successors, with the approval of two officers."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the logs, the reason and who approves."""
        parser.add_argument("logs", nargs="+", choices=Log.values, metavar="LOG", help=" or ".join(Log.values))
        parser.add_argument("--reason", required=True, help="why the database was restored, in one line")
        approvers_arguments(parser)
        parser.add_argument(
            "--accept-silent",
            action="store_true",
            help="go on although the signer or an anchor does not answer; what they know may then be missing",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Open one after the other, lineage first: it tells of the sealing of every log."""
        url = settings.ROLE_DATABASE_URLS["MIGRATION_DATABASE_URL"]
        if not url:
            raise CommandError("MIGRATION_DATABASE_URL is not set: only the migrator may open a successor")
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                opened = self._open_all(connection, options)
        except (ModelNotaryError, psycopg.Error) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"opened": [asdict(item) for item in opened]}))
            return
        for item in opened:
            self.stdout.write(
                f"{item.successor} goes on after {item.predecessor}, sealed at {item.sealed} entries: "
                f"{_lost(item.lost)}, {item.sealed - item.proven} repeated"
            )
        if not opened:
            self.stdout.write("the successors are open already; nothing was changed")

    def _open_all(self, connection: psycopg.Connection, options: dict[str, Any]) -> list[Opened]:
        classes = [log for log in Log.values if log in options["logs"]]
        frozen = {log: state for log in classes if (state := frozen_require(connection, log_class=log))}
        known = {log: self._known(connection, state, silent=options["accept_silent"]) for log, state in frozen.items()}
        approvers = restore_approvers(officers=approvers_given(options), at=timezone.now()) if frozen else []
        opened = []
        for log in classes:
            # Also when the successor is open: the command may have been stopped before its key was trusted.
            newest = log_newest(connection, log_class=log)
            self.stderr.write(f"{log}: {successor_trust(newest, trust=settings.NOTARY_HOME / TRUST_FILE)}")
            if log not in known:
                continue
            self.stderr.write(f"{log}: sealing and opening; writers are locked out meanwhile")
            done = successor_open(
                connection,
                log_class=log,
                known=known[log][0],
                keys=known[log][1],
                reason=options["reason"],
                approvers=approvers,
                at=timezone.now(),
            )
            opened += [done] if done else []
        return opened

    def _known(self, connection: psycopg.Connection, log: LogState, *, silent: bool) -> tuple[Outlook, LogKeys]:
        """Find out what was signed, and tell it to those who are to approve."""
        self.stderr.write(f"{log.log_class}: asking the signer and the anchors what was signed of {log.origin}")
        keys = Trust.from_file(settings.NOTARY_HOME / TRUST_FILE).log_verifier(log.origin)
        if keys is None:
            raise RestoreError(f"{settings.NOTARY_HOME / TRUST_FILE} has no key of {log.origin}")
        known = outlook(
            log.row,
            newest=checkpoint_newest(connection, log.row),
            signer_url=settings.SIGNER_URL,
            anchors=anchors_configured(),
            keys=keys,
            patience=_PATIENCE_SECONDS,
        )
        for testimony in known.testimonies:
            self.stderr.write(f"{log.log_class}: {testimony.source}: {testimony.fault or f'{testimony.size} entries'}")
        self.stderr.write(f"{log.log_class}: the database has {log.size} entries; it is frozen because {log.reason}")
        missing = [*known.silent.values(), *known.unshown()]
        if missing and not silent:
            raise RestoreError(
                f"{'; '.join(missing)}. What they know belongs into the record: bring them back, or, if they are gone "
                "for good, add --accept-silent"
            )
        return known, keys


def _lost(lost: tuple[int, int]) -> str:
    return f"entries {lost[0]} to {lost[1] - 1} are lost" if lost[0] < lost[1] else "no signed entry is lost"
