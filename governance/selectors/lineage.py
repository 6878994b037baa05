"""Walking lineage up and down."""

from typing import Any

from django.db import connection

_LINEAGE_LIMIT = 500


def lineage_walk(*, start: str, upwards: bool) -> list[dict[str, Any]]:
    """Give the lineage steps above or below a thing, nearest first, at most 500 of them.

    Args:
        start: Id of a data set version, run, model version or deployment.
        upwards: True for what it came from, False for what came of it.
    """
    near, far = ("target_id", "source_id") if upwards else ("source_id", "target_id")
    statement = f"""
        WITH RECURSIVE walk AS (
          SELECT e.*, 1 AS depth FROM governance_lineageedge e WHERE e.{near} = %s
          UNION
          SELECT e.*, w.depth + 1 FROM governance_lineageedge e JOIN walk w ON e.{near} = w.{far})
        SELECT source_kind, source_id, target_kind, target_id, role, trust, min(depth) AS depth FROM walk
         GROUP BY id, source_kind, source_id, target_kind, target_id, role, trust
         ORDER BY depth, source_id, target_id LIMIT {_LINEAGE_LIMIT}
    """  # noqa: S608 - only the two column names above are put in
    with connection.cursor() as cursor:
        cursor.execute(statement, (start,))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
