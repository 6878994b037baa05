"""The governance suite: each part adds its rows to one table and to one file, var/bench/governance.json."""

import sys
from collections.abc import Callable, Iterator
from functools import partial

import governance_decisions
import governance_lineage
import governance_manifest
import governance_policy
from installation import disk, installation
from suite import Row, parts_chosen, parts_measure

from config.embedded import EmbeddedServices

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "policy": governance_policy.policy_rows,
    "manifest": governance_manifest.folder_rows,
    "manifest-openssl": governance_manifest.openssl_rows,
    "manifest-tables": governance_manifest.table_rows,
}
# These need a database.
ON_SERVICES: dict[str, Callable[[EmbeddedServices], Iterator[Row]]] = {
    "lineage": governance_lineage.rows,
    "decision": governance_decisions.decision_rows,
    "registering": governance_decisions.registering_rows,
}


def main() -> int:
    """Measure, print and write."""
    chosen = parts_chosen([*PARTS, *ON_SERVICES], __doc__)
    if ON_SERVICES.keys().isdisjoint(chosen):
        return parts_measure("governance", {name: PARTS[name] for name in chosen}, fsync="no database is measured")
    with installation() as services:
        parts = PARTS | {name: partial(part, services) for name, part in ON_SERVICES.items()}
        return parts_measure("governance", {name: parts[name] for name in chosen}, fsync=disk(services))


if __name__ == "__main__":
    sys.exit(main())
