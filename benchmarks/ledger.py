"""The ledger suite: each part adds its rows to one table and to one file, var/bench/ledger.json."""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator

import ledger_commits
import ledger_database
import ledger_django
import ledger_latency
import ledger_sequencing
import ledger_verify
from installation import disk, installation
from suite import Row, machine, publish, say

from config.embedded import EmbeddedServices

type Part = Callable[[EmbeddedServices], Iterator[Row]]

PARTS: dict[str, Part] = {
    "sequencing": ledger_sequencing.rows,
    "commits": ledger_commits.rows,
    "django": ledger_django.rows,
    "verify": lambda _services: ledger_verify.rows(),
    "database": ledger_database.rows,
    "latency": ledger_latency.rows,
}


def main() -> int:
    """Measure, print and write; a part that fails is told of and left out, and the exit code is 1."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", help=f"which to measure, all by default: {', '.join(PARTS)}")
    chosen = options.parse_args().parts or list(PARTS)
    if unknown := set(chosen) - PARTS.keys():
        options.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    where, failed = machine(), list[str]()
    rows: list[Row] = []
    with installation() as services:
        fsync = disk(services)
        for name in chosen:
            say(f"part {name}")
            try:
                rows += PARTS[name](services)
            except Exception:  # noqa: BLE001 - the other parts are worth having, and the exit code tells
                traceback.print_exc()
                failed.append(name)
    publish("ledger", rows, where=where, fsync=fsync)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
