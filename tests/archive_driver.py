"""A log with narrow partitions and old entries, for archiving and pruning."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
from conftest import Database
from django.core.management import call_command
from ledger_driver import connect, event_append, event_bytes, head_sign, log_named, sequence_all, triggers_off
from psycopg import sql

from audit.enums import Log, RetentionBasis
from audit.retention import RetentionSchedule, retention_approve, retention_request
from audit.verification import ledger_verify
from modelnotary.ledger.event import Actor
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.note import NoteSigner
from modelnotary.verify.result import Outcome
from modelnotary.verify.trust import Trust

WIDTH = 256
LONG_AGO = datetime(2015, 3, 1, tzinfo=UTC)
ADA, BEN = Actor("person", "usr_ada", "Ada Officer"), Actor("person", "usr_ben", "Ben Officer")
REASON = "Records are kept for six years and not for longer."


def partitions_narrow(database: Database) -> None:
    """Replace the empty partitions by such of 256 rows."""
    with connect(database, "superuser") as connection:
        for kind in ("body", "entry"):
            for log_id in (1, 2):
                for name in relations(connection, kind, log_id):
                    connection.execute(sql.SQL("DROP TABLE ledger.{}").format(sql.Identifier(name)))
        connection.execute("SELECT ledger.partitions_ahead(%s)", (WIDTH,))


def relations(connection: psycopg.Connection, kind: str, log_id: int = 1) -> list[str]:
    """The partitions of a log's bodies or entries."""
    rows = connection.execute("SELECT name FROM ledger.partitions_of(%s, %s::smallint)", (kind, log_id)).fetchall()
    return [name for (name,) in rows]


def grow(database: Database, keys: Path, count: int, *, log: str = "lineage", at: datetime = LONG_AGO) -> list[bytes]:
    """Append events of one second each, give them their places, and sign."""
    entries = [event_bytes(log=log, number=number, at=at + timedelta(seconds=number)) for number in range(count)]
    for start in range(0, count, WIDTH):
        with connect(database, "app") as connection:
            for entry in entries[start : start + WIDTH]:
                event_append(connection, entry, log=log)
        settle(database, keys)
    return entries


def settle(database: Database, keys: Path) -> None:
    """Do once what sequencer and signer do: partitions ahead, places, checkpoints of both logs."""
    with connect(database, "superuser") as connection:
        connection.execute("SELECT ledger.partitions_ahead(%s)", (WIDTH,))
    for log in ("lineage", "access"):
        sequence_all(database, log=log)
        with connect(database, "auditor") as connection:
            origin = log_named(connection, log).origin
            due = connection.execute(
                "SELECT size > coalesce((SELECT max(size) FROM ledger.checkpoint c WHERE c.log_id = h.log_id), 0) "
                "FROM ledger.head h JOIN ledger.log l USING (log_id) WHERE l.name = %s",
                (log,),
            ).fetchone()
        if due == (True,):
            head_sign(database, NoteSigner(origin, key_load(keys / f"{log}.key")), log=log)


@contextmanager
def settling(database: Database, keys: Path) -> Iterator[None]:
    """Sequencer and signer at work while something waits for them."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.2):
            settle(database, keys)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def schedule(days: int, *, log: Log = Log.LINEAGE, basis: RetentionBasis = RetentionBasis.OWN) -> RetentionSchedule:
    """Have two officers schedule how long entries are kept."""
    now = datetime.now(UTC)
    asked = retention_request(actor=ADA, log=log, keep_days=days, bases=[basis], reason=REASON, at=now)
    return retention_approve(actor=BEN, request_id=asked.id, at=now)


def scheduled_long_ago(database: Database, days: int, *, log: Log = Log.LINEAGE) -> None:
    """The same, at a time from when it counts by now; the database takes the time from nobody but its own clock."""
    made = schedule(days, log=log)
    with connect(database, "superuser") as connection, triggers_off(connection, "retention"):
        connection.execute(
            "UPDATE ledger.retention SET at = at - interval '1 year' WHERE event_id = %s", (made.event_id,)
        )


@dataclass
class Scene:
    """A log of old entries in narrow partitions, the signing keys, and the folder of its archives."""

    database: Database
    keys: Path
    archives: Path

    def archive(self, log: str, *options: str) -> dict[str, Any]:
        """Run the command while sequencer and signer work; give what it printed."""
        out = StringIO()
        with settling(self.database, self.keys):
            call_command(
                "ledger_archive", log, "--to", str(self.archives), *options, "--json", stdout=out, stderr=StringIO()
            )
        told: dict[str, Any] = json.loads(out.getvalue())
        return told

    def findings(self, connection: psycopg.Connection) -> dict[str, tuple[int, int] | None]:
        """What the verification of the database finds wrong, and where."""
        report = ledger_verify(connection, trust=Trust.from_file(self.keys.parent / "trust.json"))
        return {check.name: check.span for check in report.checks if check.outcome is not Outcome.PASS}
