"""Giving an event's bytes to the database, at the least cost to the transaction that it tells of.

By libpq's own call, in Django's transaction and with Django's errors. Django's cursor would write the bytes into the
text of the statement, in hexadecimal, and have the database read and plan that text each time; psycopg's cursor takes
twice as long as the call. docs/adr/0031 says what each costs.
"""

from weakref import WeakSet

import psycopg
from django.db import connection
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from audit.enums import Log

_NAME, _STATEMENT = b"ledger_append", b"SELECT ledger.append($1, $2)"
_TEXT, _BINARY = 0, 1
_PREPARED: WeakSet[psycopg.Connection] = WeakSet()


def entry_append(*, log: Log, entry: bytes) -> int:
    """Append an entry to the log of this class, in Django's transaction; give the number of its body.

    Raises:
        django.db.DatabaseError: The database refuses it; the cause carries the SQLSTATE.
    """
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        opened: psycopg.Connection = connection.connection
        _begin(opened)
        if opened not in _PREPARED:
            _answer(opened, opened.pgconn.prepare(_NAME, _STATEMENT))
            _PREPARED.add(opened)
        values, formats = [log.value.encode(), entry], [_TEXT, _BINARY]
        answer = _answer(opened, opened.pgconn.exec_prepared(_NAME, values, formats, _BINARY))
        return int.from_bytes(answer.get_value(0, 0) or b"")


def _begin(opened: psycopg.Connection) -> None:
    """Psycopg begins a transaction with the first statement of its own; where there was none yet, let there be one."""
    if opened.pgconn.transaction_status == TransactionStatus.IDLE:
        opened.execute("")


def _answer(opened: psycopg.Connection, result: PGresult) -> PGresult:
    if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        return result
    if opened.pgconn.status != ConnStatus.OK:
        raise psycopg.OperationalError(f"the connection is lost: {result.get_error_message()}")
    raise error_from_result(result)
