"""The governance suite: each part adds its rows to one table and to one file, var/bench/governance.json."""

import sys
from collections.abc import Callable, Iterator

import governance_lineage
import governance_manifest
import governance_policy
from suite import Row, parts_chosen, parts_measure

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "lineage": governance_lineage.rows,
    "policy": governance_policy.policy_rows,
    "manifest": governance_manifest.folder_rows,
    "manifest-openssl": governance_manifest.openssl_rows,
    "manifest-tables": governance_manifest.table_rows,
}


def main() -> int:
    """Measure, print and write."""
    chosen = parts_chosen(PARTS, __doc__)
    return parts_measure("governance", {name: PARTS[name] for name in chosen}, fsync="as the embedded server has it")


if __name__ == "__main__":
    sys.exit(main())
