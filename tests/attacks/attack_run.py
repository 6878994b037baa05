"""Run the attack catalogue and print what noticed each attack; then look for false alarms on a large clean log.

Ends with 1 if an attack went unnoticed or a clean log was accused.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attack_catalogue import Attempt, Surface, attempts
from attack_export import ExportSurface
from large_export import large_export
from rich.console import Console
from rich.table import Table
from sample_bundle import KEYS, NOW

from modelnotary.cli.progress import Progress
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.result import ExitCode

SURFACES: Sequence[Surface[Any]] = (ExportSurface(5_000),)


def table(made: Sequence[Attempt]) -> Table:
    shown = Table("attacked", "by someone who", "with", "noticed by", title=f"{len(made)} attacks")
    for attempt in made:
        noticed = str(attempt.expected) if attempt.is_detected else f"NOT NOTICED (expected: {attempt.expected})"
        shown.add_row(attempt.surface, attempt.attacker, attempt.attack, noticed)
    return shown


def false_alarm(count: int) -> str:
    """Verify a clean log of so many entries; tell what was wrongly found, if anything."""
    with TemporaryDirectory() as folder, Progress(sys.stderr) as progress:
        large_export(Path(folder), count)
        began = time.monotonic()
        report = bundle_examine(Path(folder), KEYS.trust(), kept=None, now=NOW, progress=progress.tell).report
    if report.exit_code is ExitCode.VERIFIED:
        print(f"A clean log of {count:,} entries verifies, in {time.monotonic() - began:.0f} s.")  # noqa: T201
        return ""
    return "; ".join(f"{check.name}: {check.detail}" for check in report.checks)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clean-entries", type=int, default=1_000_000, help="size of the clean log")
    count = options.parse_args().clean_entries
    made = [attempt for surface in SURFACES for attempt in attempts(surface)]
    Console(width=160).print(table(made))
    missed = [attempt.attack for attempt in made if not attempt.is_detected]
    print(f"{len(made) - len(missed)} of {len(made)} attacks noticed by the check that has to.")  # noqa: T201
    alarm = false_alarm(count)
    for line in [f"NOT NOTICED: {name}" for name in missed] + ([f"FALSE ALARM: {alarm}"] if alarm else []):
        print(line)  # noqa: T201
    return 1 if missed or alarm else 0


if __name__ == "__main__":
    sys.exit(main())
