"""The ledger suite: every part adds its rows to one table and one file, var/bench/ledger.json."""

import argparse

import ledger_verify
from suite import publish


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=ledger_verify.ENTRIES, help="size of the exported log")
    rows = list(ledger_verify.rows(options.parse_args().entries))
    publish("ledger", rows, fsync="no part of these rows writes")


if __name__ == "__main__":
    main()
