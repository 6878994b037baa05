"""Holding the changes of governed records against the events that should tell of them.

1. capture: every table of the application is captured in full, or stands in the list of those that need not be.
2. attribution: every transaction that changed a governed record also recorded a lineage event. Of changes as old as
   entries that were archived and dropped nothing is said: their events are in the archives.

Transactions are told apart by the database's own 64-bit numbers (xid8), which never come again in one database cluster.
A database restored from a dump counts anew: reconcile it from the time of the restore (`since`).
"""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from modelnotary.ledger.canonical import Json
from modelnotary.times import format_time

NOT_GOVERNED = {
    "audit_datasubject": "keys of persons, to which nothing may point; their rotation has an event",
    "audit_sealedvalue": "values of the access log's own events",
    "auth_group": "not used: rights follow from roles",
    "auth_group_permissions": "not used: rights follow from roles",
    "auth_permission": "names that the framework makes from the models",
    "django_admin_log": "the framework's own journal; the access log has the same and more",
    "django_content_type": "names that the framework makes from the models",
    "django_migrations": "the state of the schema; migrations run as another role",
    "django_session": "sessions come and go",
}

# pg_trigger.tgtype: 4 after insert, 8 after delete, 16 after update.
_UNCAPTURED = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = to_regnamespace('public') AND c.relkind IN ('r', 'p') AND c.relname <> ALL (%s)
   AND 28 <> coalesce((
     SELECT bit_or(t.tgtype::int & 28) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND t.tgtype & 2 = 0
        AND p.proname = 'change_capture' AND p.pronamespace = to_regnamespace('ledger')), 0)
 ORDER BY c.relname
"""
_UNATTRIBUTED = """
SELECT c.xid::text, min(c.at), array_agg(concat_ws(' ', c.op, c.source, c.pk) ORDER BY c.id)
  FROM ledger.change c
 WHERE c.at >= coalesce(%s, '-infinity'::timestamptz) AND NOT EXISTS (
   SELECT FROM ledger.body b JOIN ledger.log l USING (log_id) WHERE b.xid = c.xid AND l.class = 'lineage')
   AND c.at > coalesce((SELECT max(p.newest) FROM ledger.pruning p JOIN ledger.log l USING (log_id)
                         WHERE l.class = 'lineage'), '-infinity')
 GROUP BY c.xid ORDER BY min(c.id)
"""


@dataclass(frozen=True, slots=True)
class Unattributed:
    """A transaction that changed governed records and recorded no lineage event.

    Attributes:
        transaction: Its number in the database.
        at: The moment of its first change.
        changes: Operation, table and key of every row, in order.
    """

    transaction: str
    at: datetime
    changes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """The finding as a JSON object."""
        return {"transaction": self.transaction, "at": format_time(self.at), "changes": list(self.changes)}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was found: tables whose changes are not captured, and transactions that no event tells of."""

    uncaptured: tuple[str, ...]
    unattributed: tuple[Unattributed, ...]

    def to_json(self) -> dict[str, Json]:
        """The findings as a JSON object."""
        return {
            "uncaptured": list(self.uncaptured),
            "unattributed": [finding.to_json() for finding in self.unattributed],
        }


def changes_reconcile(connection: psycopg.Connection, *, since: datetime | None = None) -> Reconciliation:
    """Look for changes that no event tells of.

    Args:
        connection: Of a role that may read the whole ledger.
        since: Leave out what changed before.
    """
    uncaptured = connection.execute(_UNCAPTURED, (list(NOT_GOVERNED),)).fetchall()
    found = connection.execute(_UNATTRIBUTED, (since,)).fetchall()
    return Reconciliation(
        tuple(name for (name,) in uncaptured),
        tuple(Unattributed(xid, at, tuple(changes)) for xid, at, changes in found),
    )
