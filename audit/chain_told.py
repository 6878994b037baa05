"""Comparing what the entries `ledger.chain_head` of a stored log tell with its chain; without Django."""

from contextlib import suppress

import psycopg

from audit.sequencing import LogRow
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, ChainHead
from modelnotary.ledger.errors import ChainHeadError, EventError
from modelnotary.ledger.event import Event
from modelnotary.verify.chain_heads import ChainHeads

# What was not made searchable yet is looked through: there is little of it.
_CHAIN_HEADS = """
SELECT p.seq, b.bytes FROM ledger.projection p JOIN ledger.body b ON b.log_id = p.log_id AND b.id = p.body_id
 WHERE p.log_id = %(log)s AND p.event_type = %(type)s
UNION ALL
SELECT e.seq, b.bytes FROM ledger.projected d JOIN ledger.entry e ON e.log_id = d.log_id AND e.seq >= d.size
  JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
 WHERE d.log_id = %(log)s AND position(convert_to(%(type)s, 'UTF8') IN b.bytes) > 0
 ORDER BY 1
"""


def chain_heads_compare(connection: psycopg.Connection, log: LogRow, heads: ChainHeads) -> None:
    """Compare what the entries of a log tell with its chain.

    Args:
        connection: Of a role that may read the whole ledger.
        log: The log.
        heads: Its chain, which was followed to the end.
    """
    for index, data in connection.execute(_CHAIN_HEADS, {"log": log.log_id, "type": CHAIN_HEAD_EVENT}):
        with suppress(EventError):  # of which the check of the columns tells
            event = Event.from_bytes(data)
            if event.type == CHAIN_HEAD_EVENT:
                _compare(heads, index, event)


def _compare(heads: ChainHeads, index: int, event: Event) -> None:
    try:
        heads.compare(index, ChainHead.from_event(event))
    except ChainHeadError as error:
        heads.refuse(index, f"entry {index} does not tell the chain: {error}")
