"""The ledger suite: each part adds its rows to one table and to one file, var/bench/ledger.json."""

import sys
from collections.abc import Callable, Iterator
from functools import partial

import ledger_commits
import ledger_database
import ledger_django
import ledger_latency
import ledger_proofs
import ledger_sequencing
import ledger_verify
from installation import disk, installation
from suite import Row, parts_chosen, parts_measure

from config.embedded import EmbeddedServices

type Part = Callable[[EmbeddedServices], Iterator[Row]]

PARTS: dict[str, Part] = {
    "sequencing": ledger_sequencing.rows,
    "commits": ledger_commits.rows,
    "django": ledger_django.rows,
    "verify": lambda _services: ledger_verify.rows(),
    "database": ledger_database.rows,
    "latency": ledger_latency.rows,
    "proofs": ledger_proofs.rows,
}
# Only when named: writing and reading ten million entries takes a quarter of an hour.
LONG: dict[str, Part] = {"large": lambda _services: ledger_verify.memory_rows(10 * ledger_verify.ENTRIES)}


def main() -> int:
    """Measure, print and write."""
    chosen = parts_chosen(PARTS, __doc__, when_named=LONG)
    with installation() as services:
        parts = {name: partial((PARTS | LONG)[name], services) for name in chosen}
        return parts_measure("ledger", parts, fsync=disk(services))


if __name__ == "__main__":
    sys.exit(main())
