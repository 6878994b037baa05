"""Whether every event of a log has one place or waits for one: questions about whole tables, answered by the server.

Apart from `verification`, so that the processes that put them load little, and nothing of Django.
"""

import psycopg

from audit.sequencing import LogRow

MISPLACED = {
    "neither waits nor has a place": """
        SELECT min(id) FROM ledger.body b WHERE log_id = %(log)s
           AND NOT EXISTS (SELECT FROM ledger.entry e WHERE e.log_id = b.log_id AND e.body_id = b.id)
           AND NOT EXISTS (SELECT FROM ledger.queue q WHERE q.id = b.id AND q.log_id = b.log_id)""",
    "has two places": """
        SELECT CASE WHEN count(body_id) > count(DISTINCT body_id) THEN (
          SELECT min(body_id) FROM (
            SELECT body_id FROM ledger.entry WHERE log_id = %(log)s GROUP BY body_id HAVING count(*) > 1) AS twice) END
          FROM ledger.entry WHERE log_id = %(log)s""",
    "has a place and waits for another": """
        SELECT min(q.id) FROM ledger.queue q JOIN ledger.entry e ON e.log_id = q.log_id AND e.body_id = q.id
         WHERE q.log_id = %(log)s""",
    "waits but does not exist in this log": """
        SELECT min(q.id) FROM ledger.queue q LEFT JOIN ledger.body b ON b.id = q.id AND b.log_id = q.log_id
         WHERE q.log_id = %(log)s AND b.id IS NULL""",
    "carries the id of an earlier event": """
        SELECT CASE WHEN count(event_id) > count(DISTINCT event_id) THEN (
          SELECT min(id) FROM (
            SELECT max(id) AS id FROM ledger.body WHERE log_id = %(log)s
             GROUP BY event_id HAVING count(*) > 1) AS twice) END
          FROM ledger.body WHERE log_id = %(log)s""",
}
"""What can be wrong with an event's place, and how to ask for the first such body of a log.

Whether anything stands twice is counted first: that takes a quarter of the time of looking for it.
"""


def misplaced(item: tuple[LogRow, str], *, connection: psycopg.Connection) -> tuple[str, int | None]:
    """Ask one question about one log; give what was asked and the number of the first such body."""
    log, what = item
    row = connection.execute(MISPLACED[what].encode(), {"log": log.log_id}).fetchone()
    return what, row[0] if row else None
