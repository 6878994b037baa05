"""From commit to place and to signature: the real sequencer and signer, and a writer that keeps its pace.

The writer is pgbench with an open loop: transactions are due at a rate of their own, whether earlier ones are done or
not. It logs the moment when each commit was answered. Another connection asks every few milliseconds how far the head
and the checkpoints are; the moment it sees an entry covered is the end of that entry's wait.
"""

import bisect
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from installation import Database, database
from ledger_commits import pgbench
from sample_events import EVENT
from suite import ROUNDS, Row, measured, say

from config.embedded import CHECKOUT, EmbeddedServices
from config.supervisor import command, process_environment

RATE = 2_000
SECONDS = 6
CLIENTS = 32
_LOOK_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0
_PROCESSES = ("signer", "sequencer")

# An event's id tells who wrote it and when in that client's turn: what pgbench's log calls client and transaction.
_SCRIPT = (
    "\\set turn :turn + 1\n"
    "SELECT ledger.append('lineage', convert_to(format('"
    + EVENT
    + "', lpad(to_hex(:round), 8, '0') || lpad(to_hex(:client_id), 8, '0') || lpad(to_hex(:turn), 16, '0')), 'UTF8'));"
)
_FAR = """
SELECT h.size, coalesce((SELECT max(c.size) FROM ledger.checkpoint c WHERE c.log_id = h.log_id), 0)
  FROM ledger.head h JOIN ledger.log l USING (log_id) WHERE l.name = 'lineage'
"""
_PLACES = """
SELECT e.seq, convert_from(b.bytes, 'UTF8')::jsonb->>'id'
  FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
  JOIN ledger.log l ON l.log_id = e.log_id
 WHERE l.name = 'lineage' AND e.seq >= %s
"""


def rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure `ROUNDS` times `SECONDS` of writing."""
    with database(services, "latency") as made, _processes(made):
        paces, placed, signed = [], [], []
        _round(made, 0)
        for number in range(1, ROUNDS + 1):
            say(f"commit to sequenced and signed at {RATE:,} entries/s, round {number}")
            waits = _round(made, number)
            paces.append(len(waits) / SECONDS)
            placed.append(quantiles([place for place, _ in waits], n=100, method="inclusive"))
            signed.append(quantiles([sign for _, sign in waits], n=100, method="inclusive"))
    # Anything else would be a measurement of less than what the rows below say.
    yield measured("pace of the writer below", "entries/s", paces, goal=0.95 * RATE, better="higher")
    at = f"at {RATE:,} entries/s"
    yield measured(f"commit to sequenced, p50, {at}", "ms", [each[49] for each in placed], goal=150, better="lower")
    yield measured(f"commit to sequenced, p99, {at}", "ms", [each[98] for each in placed], goal=1_000, better="lower")
    yield measured(
        f"commit to signed checkpoint, p99, {at}", "ms", [each[98] for each in signed], goal=2_000, better="lower"
    )


@contextmanager
def _processes(made: Database) -> Iterator[None]:
    """The sequencer and the signer as in production, each with its own secrets only."""
    made.manage("keys_create")
    environment = made.environment
    with tempfile.TemporaryFile() as said:
        running = [
            subprocess.Popen(
                command(name, made.services.home, environment),
                cwd=CHECKOUT,
                env=process_environment(name, environment),
                stdout=said,
                stderr=said,
            )
            for name in _PROCESSES
        ]
        try:
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(timeout=_PATIENCE_SECONDS)


def _round(made: Database, number: int) -> list[tuple[float, float]]:
    """Write for a while; give of each entry the milliseconds from its commit to its place, and to a signature."""
    with made.connect("auditor") as connection:
        found = connection.execute(_FAR).fetchone()
        assert found is not None
        first = int(found[0])
        watch = _Watch(made)
        with watch:
            committed = _write(made, number)
            watch.await_size(first + len(committed))
        places = connection.execute(_PLACES, (first,)).fetchall()
    assert len(places) == len(committed), "an entry was lost or written twice"
    return [
        tuple((moment - committed[event_id]) * 1000 for moment in watch.moments(seq))  # type: ignore[misc]
        for seq, event_id in places
    ]


def _write(made: Database, number: int) -> dict[str, float]:
    """Run the writer; give the moment when each event's commit was answered."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.sql"
        script.write_text(_SCRIPT, encoding="utf-8")
        subprocess.run(
            [
                *(pgbench(), "--no-vacuum", f"--rate={RATE}", f"--time={SECONDS}", f"--client={CLIENTS}", "--jobs=1"),
                *("--define=turn=0", f"--define=round={number}", "--log", f"--log-prefix={folder}/log"),
                *(f"--file={script}", made.address("app")),
            ],
            capture_output=True,
            check=True,
        )
        lines = [line.split() for log in Path(folder).glob("log*") for line in log.read_text("ascii").splitlines()]
    turns: dict[int, int] = {}
    committed = {}
    for client, _, _, _, seconds, micros, *_ in lines:
        turn = turns[int(client)] = turns.get(int(client), 0) + 1
        committed[f"evt_{number:08x}{int(client):08x}{turn:016x}"] = int(seconds) + int(micros) / 1e6
    return committed


class _Watch(threading.Thread):
    """Looks again and again how far the head and the checkpoints are, from a connection of its own."""

    def __init__(self, made: Database) -> None:
        super().__init__()
        self._made, self._stop = made, threading.Event()
        self._sizes: tuple[list[int], list[int]] = ([], [])
        self._times: tuple[list[float], list[float]] = ([], [])

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self.join()

    def run(self) -> None:
        with self._made.connect("auditor") as connection:
            while not self._stop.wait(_LOOK_SECONDS):
                far = connection.execute(_FAR).fetchone()
                assert far is not None
                now = time.time()
                for sizes, times, size in zip(self._sizes, self._times, far, strict=True):
                    if not sizes or size > sizes[-1]:
                        sizes.append(size)
                        times.append(now)

    def await_size(self, size: int) -> None:
        """Wait until a checkpoint covers so many entries.

        Raises:
            TimeoutError: It does not happen.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self._sizes[1] or self._sizes[1][-1] < size:
            if time.monotonic() > end:
                raise TimeoutError(f"no checkpoint of {size} entries; do sequencer and signer run?")
            time.sleep(_LOOK_SECONDS)

    def moments(self, seq: int) -> tuple[float, float]:
        """When the entry was first seen in its place, and under a signature."""
        placed, signed = (
            times[bisect.bisect_right(sizes, seq)] for sizes, times in zip(self._sizes, self._times, strict=True)
        )
        return placed, signed
