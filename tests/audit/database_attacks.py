"""What someone with the rights of a superuser can do to the ledger's tables, as data, and how it is noticed.

The attacked log, `lineage`, has 4,040 entries and checkpoints of sizes 700, 701 and 4,000; 5 more events wait.
"""

# ruff: noqa: S608 - statements put together from the constants of this file

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from conftest import Database
from ledger_driver import PARTITIONS, TABLES, connect, log_named, tree_recompute, triggers_off

_BODY = "(SELECT body_id FROM ledger.entry WHERE log_id = 1 AND seq = 1500)"
_MAKE_ROOM = (
    "UPDATE ledger.entry SET seq = seq + 1000000 WHERE log_id = 1 AND seq >= 1500",
    "UPDATE ledger.entry SET seq = seq - 999999 WHERE log_id = 1 AND seq >= 1000000",
)


@dataclass(frozen=True)
class DatabaseAttack:
    """One attack and the finding that must answer it.

    Attributes:
        statements: What the attacker runs, with every trigger and foreign key of the ledger switched off.
        check: The check of the verification that fails.
        span: The range of entries that this check names, its end excluded; nothing for what is not about entries.
        recompute: Whether the attacker then makes leaves, chain, tree and head fit.
        lasting: Run last, with the triggers on again.
    """

    statements: tuple[str, ...]
    check: str
    span: tuple[int, int] | None = None
    recompute: bool = False
    lasting: tuple[str, ...] = ()


def _at_1500(check: str, *statements: str) -> DatabaseAttack:
    return DatabaseAttack(statements, f"lineage: {check}", (1500, 1501))


def _guards(*statements: str) -> DatabaseAttack:
    return DatabaseAttack((), "guards", lasting=statements)


ATTACKS: dict[str, DatabaseAttack] = {
    "bit flip in a body": _at_1500(
        "bodies", f"UPDATE ledger.body SET bytes = set_bit(bytes, 17, 1 - get_bit(bytes, 17)) WHERE id = {_BODY}"
    ),
    "bit flip in a leaf": _at_1500(
        "bodies",
        "UPDATE ledger.entry SET leaf = set_bit(leaf, 9, 1 - get_bit(leaf, 9)) WHERE log_id = 1 AND seq = 1500",
    ),
    "bit flip in a chain link": _at_1500(
        "chain",
        "UPDATE ledger.entry SET chain = set_bit(chain, 9, 1 - get_bit(chain, 9)) WHERE log_id = 1 AND seq = 1500",
    ),
    "bit flip in a node": DatabaseAttack(
        ("UPDATE ledger.node SET hash = set_bit(hash, 9, 1 - get_bit(hash, 9)) WHERE log_id = 1 AND idx = 5",),
        "lineage: nodes",
        (1280, 1536),
    ),
    "bit flip in a note": DatabaseAttack(
        ("UPDATE ledger.checkpoint SET note = replace(note, E'\\n4000\\n', E'\\n4001\\n') WHERE size = 4000",),
        "lineage: signatures",
    ),
    "note of another size": DatabaseAttack(
        ("UPDATE ledger.checkpoint c SET note = o.note FROM ledger.checkpoint o WHERE (c.size, o.size) = (4000, 701)",),
        "lineage: signatures",
    ),
    "root of a checkpoint edited": DatabaseAttack(
        ("UPDATE ledger.checkpoint SET root = sha256('other') WHERE log_id = 1 AND size = 4000",),
        "lineage: checkpoints",
        (701, 4000),
    ),
    "node deleted": DatabaseAttack(
        ("DELETE FROM ledger.node WHERE log_id = 1 AND idx = 5",), "lineage: nodes", (1280, 1536)
    ),
    "node invented": DatabaseAttack(
        ("INSERT INTO ledger.node VALUES (1, 8, 16, sha256('new'))",), "lineage: nodes", (4096, 4352)
    ),
    "entry deleted": _at_1500("order", "DELETE FROM ledger.entry WHERE log_id = 1 AND seq = 1500"),
    "entry and its body deleted": _at_1500(
        "order",
        f"DELETE FROM ledger.body WHERE id = {_BODY}",
        "DELETE FROM ledger.entry WHERE log_id = 1 AND seq = 1500",
    ),
    "body deleted": _at_1500("bodies", f"DELETE FROM ledger.body WHERE id = {_BODY}"),
    "body moved to the other log": _at_1500("bodies", f"UPDATE ledger.body SET log_id = 2 WHERE id = {_BODY}"),
    "entry deleted and the gap closed": _at_1500(
        "chain",
        "DELETE FROM ledger.entry WHERE log_id = 1 AND seq = 1500",
        "UPDATE ledger.entry SET seq = seq + 1000000 WHERE log_id = 1 AND seq > 1500",
        "UPDATE ledger.entry SET seq = seq - 1000001 WHERE log_id = 1 AND seq > 1000000",
    ),
    "entry inserted": _at_1500(
        "chain",
        *_MAKE_ROOM,
        "INSERT INTO ledger.entry SELECT 1, 1500, b.id, sha256('\\x00'::bytea || b.bytes), sha256('chain') "
        "FROM ledger.queue q JOIN ledger.body b USING (id) ORDER BY id LIMIT 1",
    ),
    "two entries swapped": _at_1500(
        "chain",
        "UPDATE ledger.entry SET seq = 1000000 WHERE log_id = 1 AND seq = 1500",
        "UPDATE ledger.entry SET seq = 1500 WHERE log_id = 1 AND seq = 1501",
        "UPDATE ledger.entry SET seq = 1501 WHERE log_id = 1 AND seq = 1000000",
    ),
    "two bodies swapped": _at_1500(
        "bodies",
        "UPDATE ledger.entry e SET body_id = body_id + CASE seq WHEN 1500 THEN 1000001 ELSE 999999 END "
        "WHERE log_id = 1 AND seq IN (1500, 1501)",
        "UPDATE ledger.entry e SET body_id = body_id - 1000000 WHERE log_id = 1 AND seq IN (1500, 1501)",
    ),
    "entry duplicated": DatabaseAttack(
        (
            *_MAKE_ROOM,
            "INSERT INTO ledger.entry SELECT 1, 1500, body_id, leaf, chain FROM ledger.entry WHERE seq = 9 LIMIT 1",
        ),
        "lineage: chain",
        (1500, 1501),
    ),
    "tail cut off": DatabaseAttack(
        ("DELETE FROM ledger.entry WHERE log_id = 1 AND seq >= 3900",), "lineage: order", (3900, 3901)
    ),
    "tail cut off and the head moved back": DatabaseAttack(
        ("DELETE FROM ledger.entry WHERE log_id = 1 AND seq >= 3900",),
        "lineage: checkpoints",
        (3900, 3901),
        recompute=True,
    ),
    "tail cut off with its checkpoint, its bodies left": DatabaseAttack(
        (
            "DELETE FROM ledger.entry WHERE log_id = 1 AND seq >= 3900",
            "DELETE FROM ledger.checkpoint WHERE log_id = 1 AND size = 4000",
        ),
        "lineage: queue",
        recompute=True,
    ),
    "body edited and everything recomputed": DatabaseAttack(
        (f"UPDATE ledger.body SET bytes = replace(encode(bytes, 'escape'), 'sys', 'SYS')::bytea WHERE id = {_BODY}",),
        "lineage: checkpoints",
        (701, 4000),
        recompute=True,
    ),
    "head claims more": DatabaseAttack(
        ("UPDATE ledger.head SET size = size + 1 WHERE log_id = 1",), "lineage: order", (4040, 4041)
    ),
    "head claims less": DatabaseAttack(
        ("UPDATE ledger.head SET size = size - 1 WHERE log_id = 1",), "lineage: order", (4039, 4040)
    ),
    **{
        f"{column} of the head edited": DatabaseAttack(
            (f"UPDATE ledger.head SET {column} = {value} WHERE log_id = 1",),
            "lineage: head",
        )
        for column, value in (("root", "sha256('x')"), ("chain", "sha256('x')"), ("frontier[2]", "sha256('x')"))
    },
    **{
        f"search column {column} edited, bytes intact": _at_1500(
            "search columns",
            f"UPDATE ledger.projection SET {column} = {value} WHERE log_id = 1 AND seq = 1500",
        )
        for column, value in {
            "body_id": "body_id + 1",
            "event_id": "'evt_other'",
            "event_type": "'model.registered'",
            "at": "at + interval '1 microsecond'",
            "actor_id": "'usr_other'",
            "actor_name": "'Somebody Else'",
            "subject_kind": "'model'",
            "subject_id": "'mod_other'",
            "subject_digest": "'sha256:00'",
        }.items()
    },
    "event's id beside its bytes edited": _at_1500(
        "search columns", f"UPDATE ledger.body SET event_id = 'evt_other' WHERE id = {_BODY}"
    ),
    "entry taken out of the search": _at_1500(
        "search columns", "DELETE FROM ledger.projection WHERE log_id = 1 AND seq = 1500"
    ),
    "entry invented for the search": DatabaseAttack(
        ("INSERT INTO ledger.projection SELECT log_id, 4040, body_id FROM ledger.projection LIMIT 1",),
        "lineage: search columns",
        (4040, 4041),
    ),
    "search said to be ahead of the log": DatabaseAttack(
        ("UPDATE ledger.projected SET size = size + 5 WHERE log_id = 1",), "lineage: search columns"
    ),
    "search column edited, and how far the search reaches deleted": _at_1500(
        "search columns",
        "DELETE FROM ledger.projected WHERE log_id = 1",
        "UPDATE ledger.projection SET actor_name = 'Somebody Else' WHERE log_id = 1 AND seq = 1500",
    ),
    "event's id given a second time": DatabaseAttack(
        (
            "ALTER TABLE ledger.body_1_0 DROP CONSTRAINT body_1_0_event_id_key",
            (
                "UPDATE ledger.body b SET event_id = o.event_id FROM ledger.projection o "
                "WHERE (o.log_id, o.seq, b.id) = (1, 1500, (SELECT max(id) FROM ledger.queue))"
            ),
        ),
        "lineage: queue",
    ),
    "waiting event suppressed": DatabaseAttack(
        ("DELETE FROM ledger.queue WHERE id = (SELECT max(id) FROM ledger.queue)",), "lineage: queue"
    ),
    "entry made to wait again": DatabaseAttack(
        (f"INSERT INTO ledger.queue (id, log_id) VALUES ({_BODY}, 1)",),
        "lineage: queue",
    ),
    "waiting event whose body is gone": DatabaseAttack(
        ("DELETE FROM ledger.body WHERE id = (SELECT max(id) FROM ledger.queue)",), "lineage: queue"
    ),
    "table dropped": DatabaseAttack((), "lineage: order", lasting=("DROP TABLE ledger.node",)),
    "trigger disabled": _guards("ALTER TABLE ledger.body DISABLE TRIGGER append_only"),
    "trigger not always enabled": _guards("ALTER TABLE ledger.entry ENABLE TRIGGER append_only"),
    "trigger dropped": _guards("DROP TRIGGER no_truncate ON ledger.entry"),
    "trigger of one partition disabled": _guards("ALTER TABLE ledger.entry_1_0 DISABLE TRIGGER append_only"),
    "trigger of one partition dropped": _guards("DROP TRIGGER no_truncate ON ledger.body_1_0"),
    "partition truncated": DatabaseAttack(("TRUNCATE ledger.entry_1_0",), "lineage: order", (0, 1)),
    "partition of bodies truncated": DatabaseAttack(("TRUNCATE ledger.body_1_0",), "lineage: bodies", (0, 1)),
    "body edited in its partition": _at_1500(
        "bodies", f"UPDATE ledger.body_1_0 SET bytes = set_bit(bytes, 17, 1 - get_bit(bytes, 17)) WHERE id = {_BODY}"
    ),
    "partition dropped": DatabaseAttack((), "lineage: order", (0, 1), lasting=("DROP TABLE ledger.entry_1_0",)),
    "partition of bodies dropped": DatabaseAttack(
        (), "lineage: bodies", (0, 1), lasting=("DROP TABLE ledger.body_1_0",)
    ),
    "partition dropped, as the guards see it": _guards("DROP TABLE ledger.entry_1_0"),
    "partition of a log that has no entries yet dropped": _guards("DROP TABLE ledger.body_2_1048576"),
    "partition detached, and its entries": DatabaseAttack(
        (), "lineage: bodies", (0, 1), lasting=("ALTER TABLE ledger.body_1 DETACH PARTITION ledger.body_1_0",)
    ),
    "partition detached": _guards("ALTER TABLE ledger.body_1 DETACH PARTITION ledger.body_1_0"),
    "all partitions of a log detached": _guards("ALTER TABLE ledger.entry DETACH PARTITION ledger.entry_1"),
    "no partition ahead": _guards("DROP TABLE ledger.entry_1_1048576, ledger.entry_1_2097152"),
    "trigger with a condition": _guards(
        "DROP TRIGGER append_only ON ledger.entry",
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.entry FOR EACH ROW WHEN (OLD.seq < 0) "
        "EXECUTE FUNCTION ledger.refuse_change()",
        "ALTER TABLE ledger.entry ENABLE ALWAYS TRIGGER append_only",
    ),
    "trigger added that loses rows": _guards(
        "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER lose BEFORE INSERT ON ledger.queue FOR EACH ROW EXECUTE FUNCTION public.lose()",
    ),
    "guard function emptied": _guards(
        "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN coalesce(NEW, OLD); END'"
    ),
    "constraint dropped": _guards("ALTER TABLE ledger.body_1_0 DROP CONSTRAINT body_1_0_event_id_key"),
    "right granted": _guards("GRANT UPDATE ON ledger.body TO mn_app"),
    "right to a column granted": _guards("GRANT UPDATE (event_id) ON ledger.body TO mn_app"),
    "right granted to everyone": _guards("GRANT EXECUTE ON FUNCTION ledger.append TO PUBLIC"),
    "right taken away": _guards("REVOKE SELECT ON ledger.body FROM mn_signer"),
    "table given away": _guards("ALTER TABLE ledger.queue OWNER TO mn_app"),
    "table added": _guards("CREATE TABLE ledger.body_new (LIKE ledger.body)"),
}


@contextmanager
def attacked(database: Database, attack: DatabaseAttack) -> Iterator[psycopg.Connection]:
    """What the auditor sees after the attack, which is undone afterwards."""
    with connect(database, "superuser") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        attack_run(connection, attack)
        connection.execute("SET LOCAL ROLE mn_auditor")
        yield connection
        connection.rollback()


def attack_run(connection: psycopg.Connection, attack: DatabaseAttack) -> None:
    """Attack within the transaction of a superuser."""
    if attack.statements:
        _edit(connection, attack)
    for statement in attack.lasting:
        connection.execute(statement.encode())


def _edit(connection: psycopg.Connection, attack: DatabaseAttack) -> None:
    # Foreign keys are triggers too.
    connection.execute("SET LOCAL session_replication_role = replica")
    with triggers_off(connection, *TABLES, *PARTITIONS):
        for statement in attack.statements:
            assert connection.execute(statement.encode()).rowcount or statement.startswith("TRUNCATE"), statement
        if attack.recompute:
            tree_recompute(connection, log_named(connection, "lineage"))
            connection.execute(
                "DELETE FROM ledger.node n USING ledger.head h "
                "WHERE n.log_id = 1 AND h.log_id = 1 AND (n.idx + 1) << n.level > h.size"
            )
