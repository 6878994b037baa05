"""Every committed event gets exactly one place, in an order that agrees with real time, whatever is killed when."""

import bisect
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import psycopg
import pytest
import reference_tree
from conftest import Database
from ledger_driver import (
    chain_links,
    connect,
    counts,
    event_append,
    event_bytes,
    events_append,
    events_append_many,
    log_named,
    one,
    process_start,
    sequence_all,
    triggers_off,
)

from audit.errors import CorruptLogError
from audit.sequencing import _ALONG_INDEX, _DRAIN, batch_sequence
from config.embedded.processes import wait_until

WRITERS = 12
KILLS = 4


@dataclass(frozen=True)
class Committed:
    """One transaction as its client saw it: clock before its first statement, after its commit, and its events."""

    began: float
    ended: float
    bodies: list[int]


def write(database: Database, seed: int, stop: threading.Event) -> list[Committed]:
    """Append in transactions of one to four events; a third of them are rolled back, some stay open for a while."""
    chance = random.Random(seed)
    done = []
    with connect(database, "app") as connection:
        while not stop.is_set():
            began = time.monotonic()
            bodies = [event_append(connection, event_bytes(seed=seed)) for _ in range(chance.randint(1, 4))]
            connection.execute("SELECT pg_sleep(%s)", (chance.choice((0.01, 0.05, 0.1, 0.2)),))
            if chance.random() < 1 / 3:
                connection.rollback()
                continue
            connection.commit()
            done.append(Committed(began, time.monotonic(), bodies))
    return done


def kill_and_restart(
    database: Database, log: int, signer: str, stop: threading.Event, writers: list[Future[list[Committed]]]
) -> None:
    """Kill one of two sequencers without warning, again and again, each time while it is at work.

    Returns when the writers have ended and everything they committed has its place.
    """
    running = [process_start(database, "sequencer", log, SIGNER_URL=signer) for _ in range(2)]
    try:
        with connect(database, "superuser", autocommit=True) as connection:
            assert wait_until(lambda: sessions(connection) == 2, seconds=90)
            for number in range(KILLS):
                size = head_size(connection)
                assert wait_until(lambda size=size: head_size(connection) > size, seconds=90)  # type: ignore[misc]
                running[number % 2].kill()
                running[number % 2].wait()
                running[number % 2] = process_start(database, "sequencer", log, SIGNER_URL=signer)
            stop.set()
            # A transaction that is open now commits later: until then an empty queue says nothing.
            wait(writers)
            assert wait_until(lambda: not one(connection, "SELECT count(*) FROM ledger.queue"), seconds=90)
    finally:
        stop.set()
        for process in running:
            process.kill()
            process.wait()


def sessions(connection: psycopg.Connection) -> int:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mn_sequencer' AND datname = current_database()"
    return int(one(connection, statement))


def head_size(connection: psycopg.Connection) -> int:
    return int(one(connection, "SELECT size FROM ledger.head WHERE log_id = 1"))


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the processes write what they have to say."""
    descriptor = os.open(tmp_path_factory.mktemp("log") / "output", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(scope="module")
def ordeal(database: Database, output: int, keyless_signer: str) -> list[Committed]:
    """What twelve writers committed while two sequencers were killed and restarted under them."""
    stop = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, database, seed, stop) for seed in range(WRITERS)]
        kill_and_restart(database, output, keyless_signer, stop, writers)
        return [transaction for writer in writers for transaction in writer.result()]


@dataclass(frozen=True)
class Entry:
    seq: int
    body: int
    data: bytes
    leaf: bytes
    chain: bytes


@pytest.fixture(scope="module")
def entries(database: Database, ordeal: list[Committed]) -> list[Entry]:
    with connect(database, "auditor") as connection:
        rows = connection.execute(
            "SELECT e.seq, e.body_id, b.bytes, e.leaf, e.chain FROM ledger.entry e "
            "JOIN ledger.body b ON b.id = e.body_id WHERE e.log_id = 1 ORDER BY e.seq"
        ).fetchall()
    return [Entry(*row) for row in rows]


def test_every_committed_event_has_exactly_one_place_and_no_other_event_has(
    database: Database, ordeal: list[Committed], entries: list[Entry]
) -> None:
    committed = sorted(body for transaction in ordeal for body in transaction.bodies)
    assert len(committed) > 300
    assert sorted(entry.body for entry in entries) == committed
    assert [entry.seq for entry in entries] == list(range(len(committed)))
    with connect(database, "auditor") as connection:
        assert counts(connection)["body"] == len(committed)


def test_what_was_committed_before_something_began_stands_before_it(
    ordeal: list[Committed], entries: list[Entry]
) -> None:
    place = {entry.body: entry.seq for entry in entries}
    by_end = sorted(ordeal, key=lambda transaction: transaction.ended)
    ends, highest = [transaction.ended for transaction in by_end], [-1]
    for transaction in by_end:
        highest.append(max(highest[-1], *(place[body] for body in transaction.bodies)))
    for transaction in ordeal:
        earlier = highest[bisect.bisect_left(ends, transaction.began)]
        assert earlier < min(place[body] for body in transaction.bodies)


def test_leaves_chain_tree_and_stored_subtrees_are_what_the_definitions_say(
    database: Database, entries: list[Entry]
) -> None:
    leaves = [reference_tree.leaf(entry.data) for entry in entries]
    with connect(database, "auditor") as connection:
        log = log_named(connection, "lineage")
        size, root, link = connection.execute(
            "SELECT size, root, chain FROM ledger.head WHERE log_id = %s", (log.log_id,)
        ).fetchall()[0]
        nodes = connection.execute(
            "SELECT level, idx, hash FROM ledger.node WHERE log_id = %s ORDER BY idx", (log.log_id,)
        ).fetchall()
    links = chain_links(log.origin, leaves)
    assert [entry.leaf for entry in entries] == leaves
    assert [entry.chain for entry in entries] == links
    assert (size, root, link) == (len(entries), reference_tree.root(leaves), links[-1])
    expected = [(8, index, reference_tree.root(leaves[index * 256 :][:256])) for index in range(len(leaves) // 256)]
    assert nodes == expected


def test_a_second_sequencer_leaves_a_log_alone_while_the_first_holds_it(database: Database) -> None:
    events_append(database, 3)
    with connect(database, "sequencer") as first, connect(database, "sequencer") as second:
        log = log_named(first, "lineage")
        first.execute("SELECT FROM ledger.head WHERE log_id = %s FOR UPDATE", (log.log_id,))
        assert batch_sequence(second, log) == 0
        first.rollback()
        assert batch_sequence(second, log) == 3


def test_a_batch_takes_no_more_than_it_may_and_leaves_the_rest_in_order(database: Database) -> None:
    events = events_append(database, 10)
    with connect(database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        assert [batch_sequence(connection, log, limit=4) for _ in range(4)] == [4, 4, 2, 0]
        rows = connection.execute(
            "SELECT b.bytes FROM ledger.entry e JOIN ledger.body b ON b.id = e.body_id WHERE e.log_id = %s "
            "ORDER BY e.seq DESC LIMIT 10",
            (log.log_id,),
        )
        assert [row[0] for row in rows][::-1] == events


DAMAGE: dict[str, str] = {
    "a subtree with another hash": "UPDATE ledger.head SET frontier[1] = sha256('other') WHERE log_id = 1",
    "a subtree too many": "UPDATE ledger.head SET frontier = frontier || sha256('other') WHERE log_id = 1",
    "no subtrees": "UPDATE ledger.head SET frontier = '{}' WHERE log_id = 1",
    "a subtree of another length": "UPDATE ledger.head SET frontier[1] = 'short' WHERE log_id = 1",
    "another root": "UPDATE ledger.head SET root = sha256('other') WHERE log_id = 1",
    "a larger size": "UPDATE ledger.head SET size = size + 1 WHERE log_id = 1",
    "a smaller size": "UPDATE ledger.head SET size = size - 1 WHERE log_id = 1",
    "a size of as many subtrees": "UPDATE ledger.head SET size = size * 2 WHERE log_id = 1",
    "another chain": "UPDATE ledger.head SET chain = sha256('other') WHERE log_id = 1",
    "an entry taken from the end": "DELETE FROM ledger.entry WHERE log_id = 1 AND seq = %(last)s",
    "an entry put at the end": (
        "INSERT INTO ledger.entry SELECT 1, %(last)s + 1, max(id), sha256(''), sha256('') FROM ledger.queue"
    ),
}


@pytest.fixture
def damaged(database: Database, request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Damages the head of the lineage log or its last entry, as only a superuser can, and repairs them afterwards."""
    events_append(database, 1)
    sequence_all(database)
    events_append(database, 5)
    with connect(database, "superuser", autocommit=True) as connection:
        head = connection.execute("SELECT size, root, chain, frontier FROM ledger.head WHERE log_id = 1").fetchall()[0]
        last = head[0] - 1
        entry = connection.execute("SELECT * FROM ledger.entry WHERE log_id = 1 AND seq = %s", (last,)).fetchall()[0]

        def damage(statement: str) -> None:
            with triggers_off(connection, "head", "entry"):
                assert connection.execute(statement.encode(), {"last": last}).rowcount == 1

        yield damage
        with triggers_off(connection, "head", "entry"):
            connection.execute(
                "UPDATE ledger.head SET size = %s, root = %s, chain = %s, frontier = %s WHERE log_id = 1", head
            )
            connection.execute("DELETE FROM ledger.entry WHERE log_id = 1 AND seq >= %s", (last,))
            connection.execute("INSERT INTO ledger.entry VALUES (%s, %s, %s, %s, %s)", entry)
    assert sequence_all(database) == 5


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_head_is_not_built_upon(database: Database, damaged: Callable[[str], None], what: str) -> None:
    damaged(DAMAGE[what])
    with connect(database, "sequencer", autocommit=True) as connection:
        before = counts(connection)
        with pytest.raises(CorruptLogError):
            batch_sequence(connection, log_named(connection, "lineage"))
        assert counts(connection) == before


def test_a_damaged_log_stands_still_while_the_other_one_goes_on(
    database: Database, damaged: Callable[[str], None], output: int, keyless_signer: str
) -> None:
    damaged(DAMAGE["no subtrees"])
    events_append(database, 5, log="access")
    process = process_start(database, "sequencer", output, SIGNER_URL=keyless_signer)
    try:
        with connect(database, "auditor", autocommit=True) as connection:
            waiting = "SELECT count(*) FROM ledger.queue WHERE log_id = %s"
            assert wait_until(lambda: one(connection, waiting, 2) == 0, seconds=60)
            assert one(connection, waiting, 1) == 5
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


class Impostor(BaseHTTPRequestHandler):
    """Answers in the signer's place with something that is no checkpoint of the log asked for."""

    answers: ClassVar = [
        b"",
        b"signed",
        b"\xff\xfe",
        b"other/lineage\n5\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 x AAAAAAAA\n",
    ]
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answers[len(self.asked) % len(self.answers)])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_sequencer_keeps_nothing_that_is_no_checkpoint_of_its_log(database: Database, output: int) -> None:
    for log in ("lineage", "access"):
        events_append(database, 1, log=log)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    process = process_start(database, "sequencer", output, SIGNER_URL=address)
    try:
        assert wait_until(lambda: len(Impostor.asked) > len(Impostor.answers), seconds=60)
        assert process.poll() is None
        with connect(database, "auditor") as connection:
            assert one(connection, "SELECT count(*) FROM ledger.checkpoint") == 0
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        server.shutdown()
        server.server_close()


def test_a_sequencer_outlives_the_loss_of_its_connection(database: Database, output: int, keyless_signer: str) -> None:
    process = process_start(database, "sequencer", output, SIGNER_URL=keyless_signer)
    try:
        with connect(database, "superuser", autocommit=True) as connection:
            assert wait_until(lambda: sessions(connection) == 1, seconds=60)
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mn_sequencer'")
            events_append(database, 5)
            assert wait_until(lambda: not one(connection, "SELECT count(*) FROM ledger.queue"), seconds=60)
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_an_event_that_lost_its_body_while_it_waited_is_not_passed_over(database: Database) -> None:
    sequence_all(database)
    events_append(database, 3)
    with connect(database, "superuser", autocommit=True) as superuser:
        body = superuser.execute(
            "SELECT id, log_id, event_id, bytes FROM ledger.body WHERE id = (SELECT min(id) FROM ledger.queue)"
        ).fetchone()
        assert body is not None
        with triggers_off(superuser, "body"):
            superuser.execute("DELETE FROM ledger.body WHERE id = %s", body[:1])
        before = counts(superuser)
        with connect(database, "sequencer", autocommit=True) as connection, pytest.raises(CorruptLogError):
            batch_sequence(connection, log_named(connection, "lineage"))
        assert counts(superuser) == before
        superuser.execute("INSERT INTO ledger.body (id, log_id, event_id, bytes) VALUES (%s, %s, %s, %s)", body)
    assert sequence_all(database) == 3


def test_a_batch_reads_its_own_bodies_and_not_the_whole_log(database: Database) -> None:
    events_append_many(database, 5000)
    sequence_all(database)
    events_append(database, 20)
    with connect(database, "superuser", autocommit=True) as superuser:
        superuser.execute("VACUUM ANALYZE ledger.body")
    with connect(database, "sequencer") as connection:
        (plan,) = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + _DRAIN,
            {"log": 1, "limit": 10},
        ).fetchone() or ({},)
        connection.rollback()
    read = [step for step in nodes(plan[0]["Plan"]) if step.get("Relation Name", "").startswith("body_")]
    assert sum(step["Actual Rows"] + step.get("Rows Removed by Filter", 0) for step in read) == 10


def test_a_batch_reads_the_oldest_that_wait_and_not_all_that_wait(database: Database) -> None:
    sequence_all(database)
    events_append_many(database, 5000)
    with connect(database, "sequencer") as connection:
        connection.execute(_ALONG_INDEX)
        (plan,) = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + _DRAIN,
            {"log": 1, "limit": 10},
        ).fetchone() or ({},)
        connection.rollback()
    steps = [step for step in nodes(plan[0]["Plan"]) if step.get("Relation Name") == "queue"]
    assert {step["Actual Rows"] for step in steps} <= {0, 10}
    assert {step["Node Type"] for step in steps} == {"ModifyTable", "Tid Scan", "Index Scan"}
    sequence_all(database)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step of a query plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
