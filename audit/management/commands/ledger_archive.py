"""`manage.py ledger_archive LOG --to FOLDER`: archive the oldest entries of a log; with --drop, give them up.

Without --drop it archives what is due by the retention schedule, one folder for each full partition, verifies each
from its files alone, and records it. With --drop it verifies those archives again and gives up what they hold; that
needs ARCHIVER_DATABASE_URL. Cut short, it is run again and goes on.
"""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.archiving import Sealed, archive_seal, archive_sealed, log_prune, partitions_drop, stretches_due
from audit.errors import RetentionError
from audit.pruning import LogStretch, log_read, prunings_of
from modelnotary.errors import ModelNotaryError
from modelnotary.ledger.event import Actor

_ACTOR = Actor(kind="system", id="ledger_archive", name="Model Notary ledger_archive")
_TOLD_EVERY_SECONDS = 2.0


class Command(BaseCommand):
    """Archive full partitions of a log, or give them up, one after the other."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the log, the folder, how much, and the form of the output."""
        parser.add_argument("log", help="the log's name, such as lineage or access")
        parser.add_argument("--to", type=Path, required=True, help="the folder of the archives; made when missing")
        parser.add_argument("--kept-at", help="where the archives will be found, if not in that folder; is recorded")
        parser.add_argument("--partitions", type=int, help="only so many, the oldest ones")
        parser.add_argument("--drop", action="store_true", help="give up what was archived before")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Archive or drop, telling how far it is on standard error."""
        self._told = time.monotonic()
        try:
            done = self._drop(options) if options["drop"] else self._archive(options)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(done))
            return
        for archive in done["archives"]:
            what = f"entries {archive['start']} to {archive['end'] - 1}: {archive['folder']} ({archive['manifest']})"
            self.stdout.write(what)
        dropped = ", ".join(done["dropped"]) or "nothing"
        self.stdout.write(f"{done['origin']} begins at entry {done['min_index']}; dropped: {dropped}")
        if not options["drop"]:
            self.stdout.write("put the archives where they will be kept, then run the same command with --drop")

    def _archive(self, options: dict[str, Any]) -> dict[str, Any]:
        log, sealed = options["log"], list[Sealed]()
        for stretch in stretches_due(log=log, at=timezone.now())[: options["partitions"]]:
            folder = _folder(options, stretch)
            kept_at = options["kept_at"]
            location = f"{kept_at.rstrip('/')}/{folder.name}" if kept_at else folder.resolve().as_uri()
            sealed.append(
                archive_seal(
                    actor=_ACTOR,
                    log=log,
                    stretch=stretch,
                    folder=folder,
                    location=location,
                    at=timezone.now(),
                    progress=self._progress,
                )
            )
        return _facts(log, sealed, [])

    def _drop(self, options: dict[str, Any]) -> dict[str, Any]:
        log, sealed = options["log"], list[Sealed]()
        # What an earlier run gave up and could not drop any more.
        dropped = partitions_drop(log=log, progress=self._progress)
        try:
            due = stretches_due(log=log, at=timezone.now())
        except RetentionError:
            if not prunings_of(log=log):
                raise
            due = []
        for stretch in due[: options["partitions"]]:
            archive = archive_sealed(
                log=log, stretch=stretch, folder=_folder(options, stretch), progress=self._progress
            )
            log_prune(actor=_ACTOR, log=log, sealed=archive, at=timezone.now(), progress=self._progress)
            sealed.append(archive)
            dropped += partitions_drop(log=log, progress=self._progress)
        return _facts(log, sealed, dropped)

    def _progress(self, step: str, done: int, total: int) -> None:
        if done in {0, total} or time.monotonic() - self._told > _TOLD_EVERY_SECONDS:
            self._told = time.monotonic()
            self.stderr.write(f"{step}: {done} of {total}" if total > 1 else step)


def _folder(options: dict[str, Any], stretch: LogStretch) -> Path:
    to: Path = options["to"]
    return to / f"{options['log']}-{stretch.start}-{stretch.end}"


def _facts(log: str, sealed: list[Sealed], dropped: list[str]) -> dict[str, Any]:
    state = log_read(log=log)
    return {
        "log": log,
        "origin": state.origin,
        "min_index": state.min_index,
        "archives": [
            {
                "start": one.manifest.start,
                "end": one.manifest.end,
                "folder": str(one.folder),
                "location": one.location,
                "manifest": one.manifest.digest.text,
                "event": one.event_id,
            }
            for one in sealed
        ],
        "dropped": dropped,
    }
