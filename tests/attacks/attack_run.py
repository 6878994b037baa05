"""Run the attack catalogue and print what noticed each attack; then look for false alarms on large clean logs.

Attacked are exported bundles, and databases on servers of their own. Ends with 1 if an attack went unnoticed or a clean
log was accused; writes everything to var/attack.json.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

from attack_catalogue import Attempt, Surface, attempts
from attack_database import DatabaseSurface, Signed, sample_grow, signed_log
from attack_export import ExportSurface
from conftest import Database, migrate
from large_export import large_export
from ledger_driver import connect
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sample_bundle import KEYS, NOW

from audit.verification import ledger_verify
from config.embedded import CHECKOUT, EmbeddedServices
from modelnotary.cli.progress import Progress
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.result import ExitCode, VerificationReport

SIZES = (700, 701, 4000)


@dataclass(frozen=True)
class Clean:
    """What was found on a clean log.

    Attributes:
        what: An export, or a database.
        entries: How many there were.
        seconds: How long the verification took.
        alarm: What was wrongly found, if anything.
    """

    what: str
    entries: int
    seconds: float
    alarm: str

    @classmethod
    def of(cls, what: str, entries: int, began: float, report: VerificationReport) -> "Clean":
        wrong = [f"{check.name}: {check.detail}" for check in report.checks if check.outcome.value != "pass"]
        seconds = round(time.monotonic() - began, 1)
        return cls(what, entries, seconds, "" if report.exit_code is ExitCode.VERIFIED else "; ".join(wrong))


def table(made: Sequence[Attempt]) -> Table:
    shown = Table("attacked", "by someone who", "with", "noticed by", title=f"{len(made)} attacks")
    for attempt in made:
        noticed = str(attempt.noticed) if attempt.is_detected else f"NOT NOTICED (expected: {attempt.expected})"
        # Where no entry can be named, the check names the object.
        object_named = f": {attempt.noticed.detail}" if attempt.is_detected and not attempt.noticed.span else ""
        shown.add_row(attempt.surface, attempt.attacker, attempt.attack, escape(shorten(noticed + object_named, 110)))
    return shown


def clean_export(count: int) -> Clean:
    """Verify a clean export of so many entries."""
    with TemporaryDirectory() as folder, Progress(sys.stderr) as progress:
        large_export(Path(folder), count)
        began = time.monotonic()
        report = bundle_examine(Path(folder), KEYS.trust(), kept=None, now=NOW, progress=progress.tell).report
    return Clean.of("export", count, began, report)


def clean_database(signed: Signed, count: int) -> Clean:
    """Verify a clean database of so many entries, signed to the last."""
    with connect(signed.database, "auditor", autocommit=True) as connection, Progress(sys.stderr) as progress:
        began = time.monotonic()
        report = ledger_verify(connection, trust=signed.trust, logs=["lineage"], progress=progress.tell)
    return Clean.of("database", count, began, report)


@contextmanager
def databases() -> Iterator[Iterator[Database]]:
    """Servers of their own, that make one migrated database after the other."""

    def made() -> Iterator[Database]:
        for name in ("attacked", "pruned", "clean"):
            services.create_database(name)
            environment = services.environment(name)
            migrate(environment | {"NOTARY_HOME": folder})
            yield Database(name, environment, services.superuser_url(name))

    with TemporaryDirectory() as folder:
        services = EmbeddedServices(Path(folder))
        services.start()
        try:
            yield made()
        finally:
            services.stop()


def pruned_surface(database: Database, home: Path) -> Surface[Any]:
    """Archive and drop the first entries of a log with the product's own commands, which need Django."""
    os.environ |= database.environment | {"NOTARY_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
    import django

    django.setup()
    from archive_driver import Scene
    from attack_pruned import PrunedSurface, pruned_make
    from django.core.management import call_command

    call_command("keys_create", verbosity=0)
    scene = Scene(database, home / "keys", home / "archives")
    pruned_make(scene)
    return PrunedSurface(scene)


def report_write(path: Path, made: Sequence[Attempt], clean: Sequence[Clean]) -> None:
    attacks = [
        {
            "attacked": attempt.surface,
            "attacker": attempt.attacker,
            "attack": attempt.attack,
            "noticed_by": attempt.noticed.check,
            "detail": attempt.noticed.detail,
            "range": None if attempt.expected.span is None else list(attempt.expected.span),
            "noticed": attempt.is_detected,
        }
        for attempt in made
    ]
    logs = [{"what": one.what, "entries": one.entries, "seconds": one.seconds, "alarm": one.alarm} for one in clean]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"suite": "attack", "attacks": attacks, "clean": logs}, indent=2) + "\n")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clean-entries", type=int, default=1_000_000, help="size of the clean logs")
    count = options.parse_args().clean_entries
    surfaces: list[Surface[Any]] = [ExportSurface(5_000)]
    with TemporaryDirectory() as home, databases() as fresh:
        with signed_log(next(fresh), *SIZES) as signed:
            sample_grow(signed.database)
            surfaces.append(DatabaseSurface(signed))
            surfaces.append(pruned_surface(next(fresh), Path(home)))
            made = [attempt for surface in surfaces for attempt in attempts(surface)]
        Console(width=180).print(table(made))
        with signed_log(next(fresh), count) as signed:
            clean = [clean_export(count), clean_database(signed, count)]
    report_write(CHECKOUT / "var" / "attack.json", made, clean)
    missed = [attempt for attempt in made if not attempt.is_detected]
    print(f"{len(made) - len(missed)} of {len(made)} attacks noticed by the check that has to.")  # noqa: T201
    for attempt in missed:
        found = ", ".join(map(str, attempt.findings)) or "nothing"
        print(f"NOT NOTICED: {attempt.surface}, {attempt.attack}; found was {found}")  # noqa: T201
    for one in clean:
        told = f"FALSE ALARM: {one.alarm}" if one.alarm else f"verifies, in {one.seconds:.0f} s"
        print(f"A clean {one.what} of {one.entries:,} entries: {told}.")  # noqa: T201
    return 1 if missed or any(one.alarm for one in clean) else 0


if __name__ == "__main__":
    sys.exit(main())
