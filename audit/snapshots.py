"""One state of the database, read over as many connections as there are processors."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from modelnotary.verify.parallel import ordered_map


class Question[Item, Answer](Protocol):
    """A function at the top of a module, so that another process can be told its name."""

    def __call__(self, item: Item, *, connection: psycopg.Connection) -> Answer:
        """Answer by reading over this connection."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one transaction sees.

    Attributes:
        connection: The transaction's.
        name: By which other connections can see the same; none if the transaction may have changed something itself.
    """

    connection: psycopg.Connection
    name: str | None

    def each[Item, Answer](
        self, question: Question[Item, Answer], items: Iterable[Item], *, workers: int
    ) -> Iterator[Answer]:
        """Answer a question about each item, in the order of the items.

        Args:
            question: What to ask; picklable, as are items and answers.
            items: Read only a little ahead of the answers.
            workers: How many processes read, each over connections of its own; with 1 all is read over this one.

        Raises:
            WorkerError: A process died.
        """
        if workers <= 1 or self.name is None:
            yield from (question(item, connection=self.connection) for item in items)
            return
        info = self.connection.info
        address = make_conninfo(**info.get_parameters(), password=info.password)
        yield from ordered_map(partial(_apart, question, address, self.name), items, workers=workers)


@contextmanager
def snapshot(connection: psycopg.Connection) -> Iterator[Snapshot]:
    """One state of the database, however long the reading takes; the caller's, if it is in a transaction."""
    is_own = connection.info.transaction_status is TransactionStatus.IDLE
    with connection.transaction():
        if not is_own:
            yield Snapshot(connection, None)
            return
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _builtins_only(connection)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        yield Snapshot(connection, row[0] if row else None)


def _apart[Item, Answer](question: Question[Item, Answer], address: str, name: str, item: Item) -> Answer:
    return question(item, connection=_joined(address, name))


@lru_cache(maxsize=1)
def _joined(address: str, name: str) -> psycopg.Connection:
    """The connection of this process: opened at its first question, closed by its end."""
    connection = psycopg.connect(address, autocommit=True)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(name))
    _builtins_only(connection)
    return connection


def _builtins_only(connection: psycopg.Connection) -> None:
    """Have the names of functions mean PostgreSQL's own, whatever somebody put into another schema."""
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
