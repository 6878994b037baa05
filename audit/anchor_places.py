"""Where checkpoints are published is itself part of what must not change unseen: each new set of places is an event.

Whoever can change ANCHORS could send checkpoints to a place of his own from then on. The entry `anchors.configured`
tells when, and to which places; a receipt of a place that no such entry names convicts whoever wrote it.
"""

import psycopg

from audit.enums import LineageEvent
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.errors import EventError
from modelnotary.ledger.event import Event
from modelnotary.verify.result import Check, failed, passed

_CHECK = "anchors"
# What was not made searchable yet is looked through: there is little of it.
_CONFIGURED = """
WITH lineage AS (SELECT log_id FROM ledger.log WHERE class = 'lineage')
SELECT b.bytes FROM lineage JOIN ledger.projection p USING (log_id)
  JOIN ledger.body b ON b.log_id = p.log_id AND b.id = p.body_id WHERE p.event_type = %(type)s
UNION ALL
SELECT b.bytes FROM lineage JOIN ledger.projected d USING (log_id)
  JOIN ledger.entry e ON e.log_id = d.log_id AND e.seq >= d.size
  JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
 WHERE position(convert_to(%(type)s, 'UTF8') IN b.bytes) > 0
UNION ALL
SELECT b.bytes FROM lineage JOIN ledger.queue q USING (log_id) JOIN ledger.body b ON b.log_id = q.log_id AND b.id = q.id
 WHERE position(convert_to(%(type)s, 'UTF8') IN b.bytes) > 0
"""
_USED = """
SELECT l.name, a.kind, a.location, max(a.size), max(a.at) FROM ledger.anchor a JOIN ledger.log l USING (log_id)
 GROUP BY 1, 2, 3 ORDER BY 4
"""
_PRUNED = "SELECT coalesce(max(min_index), 0) > 0 FROM ledger.log WHERE class = 'lineage'"


def places_check(connection: psycopg.Connection) -> Check:
    """Check that every receipt is of a place that an entry `anchors.configured` names.

    Args:
        connection: Of a role that may read the whole ledger.
    """
    events = []
    for (data,) in connection.execute(_CONFIGURED, {"type": LineageEvent.ANCHORS_CONFIGURED.value}):
        try:
            event = Event.from_bytes(bytes(data))
        except EventError:
            continue  # which the check of the bodies tells
        if event.type == LineageEvent.ANCHORS_CONFIGURED:
            events.append(event)
    recorded = {place for event in events for place in places_of(event)}
    pruned = connection.execute(_PRUNED).fetchone() == (True,)
    since = min((event.at for event in events), default=None)
    used = connection.execute(_USED).fetchall()
    for log, kind, location, size, at in used:
        # Of places that were left long ago, the entry may be gone with the others of its time.
        if (kind, location) not in recorded and not (pruned and (since is None or at < since)):
            detail = f"{log} at {size} entries went to the {kind} {location}, which no entry anchors.configured names"
            return failed(_CHECK, detail)
    return passed(_CHECK, f"all receipts are of the {len(recorded)} places that entries name")


def places_data(places: set[tuple[str, str]]) -> dict[str, Json]:
    """Give the data of an entry `anchors.configured` from kinds and locations."""
    return {"places": [{"kind": kind, "location": location} for kind, location in sorted(places)]}


def places_of(event: Event) -> set[tuple[str, str]]:
    """Give the kinds and locations that an entry `anchors.configured` names, the inverse of `places_data`."""
    places = event.data.get("places")
    items = places if isinstance(places, list) else []
    return {(str(item.get("kind")), str(item.get("location"))) for item in items if isinstance(item, dict)}
