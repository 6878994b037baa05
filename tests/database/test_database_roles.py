"""What each database role can and cannot do to the ledger, each connected with its own password."""

import psycopg
import pytest
from conftest import Database
from ledger_driver import (
    APPEND_ONLY,
    PARTITIONS,
    ROLES,
    TABLES,
    connect,
    counts,
    event_append,
    event_bytes,
    events_append,
    log_named,
    one,
    sequence_all,
    triggers_off,
)
from psycopg.errors import InsufficientPrivilege, RestrictViolation

from audit.guards import guard_faults

VIEWS = ("entry_view", "checkpoint_view", "anchor_view", "log_view")
DERIVED = ("projection", "projected")
RETENTION = ("retention", "pruning")
WRITES = (
    "INSERT INTO ledger.{} DEFAULT VALUES",
    "UPDATE ledger.{} SET log_id = 1",
    "DELETE FROM ledger.{}",
    "TRUNCATE ledger.{}",
    "TRUNCATE ledger.{} CASCADE",
)
PRUNING = ("SELECT ledger.log_prune('x', 'x')", "SELECT ledger.partition_drop('x')")
TAKEOVERS = (
    *PRUNING,
    "SELECT ledger.event_signed('x')",
    "SELECT ledger.log_open('x', 0, 'lineage-2', 'x-2', '')",
    "SELECT ledger.retention_hold('access')",
    "INSERT INTO ledger.retention DEFAULT VALUES",
    "UPDATE ledger.retention SET keep_days = 1",
    "DELETE FROM ledger.retention",
    "TRUNCATE ledger.retention",
    *(
        f"INSERT INTO ledger.{table} (log_id) VALUES (1) ON CONFLICT DO NOTHING"  # noqa: S608
        for table in ("log", "body", "queue", "head", "anchor")
    ),
    "INSERT INTO ledger.log (log_id) VALUES (1) ON CONFLICT (log_id) DO UPDATE SET origin = 'x'",
    "INSERT INTO ledger.node VALUES (1, 8, 0, '') ON CONFLICT (log_id, level, idx) DO UPDATE SET hash = sha256('x')",
    "MERGE INTO ledger.log l USING (SELECT 1 AS id) s ON s.id = l.log_id WHEN MATCHED THEN DELETE",
    "MERGE INTO ledger.entry e USING (SELECT 1) s ON e.seq = 0 WHEN MATCHED THEN UPDATE SET leaf = sha256('x')",
    "MERGE INTO ledger.body b USING (SELECT 1) s ON b.id = 1 WHEN MATCHED THEN DELETE",
    "ALTER TABLE ledger.body_1 DETACH PARTITION ledger.body_1_0",
    "ALTER TABLE ledger.entry_1_0 DISABLE TRIGGER ALL",
    "DROP TABLE ledger.body_1_0",
    "ALTER TABLE ledger.body DISABLE TRIGGER append_only",
    "ALTER TABLE ledger.body OWNER TO CURRENT_USER",
    "DROP TABLE ledger.entry",
    "DROP TRIGGER append_only ON ledger.body",
    "DROP SCHEMA ledger CASCADE",
    "CREATE FUNCTION ledger.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "ALTER FUNCTION ledger.append(text, bytea) SECURITY INVOKER",
    "CREATE TABLE ledger.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE RULE lose AS ON INSERT TO ledger.body DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "SET ROLE mn_owner",
    "SET ROLE mn_migrator",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "COPY ledger.body TO PROGRAM 'cat'",
)
WRITERS_MAY = {
    "archiver": {*PRUNING},
    "sequencer": {
        "INSERT INTO ledger.entry DEFAULT VALUES",
        "INSERT INTO ledger.node DEFAULT VALUES",
        "INSERT INTO ledger.checkpoint DEFAULT VALUES",
        "UPDATE ledger.head SET log_id = 1",
        "DELETE FROM ledger.queue",
        "INSERT INTO ledger.projection DEFAULT VALUES",
        "DELETE FROM ledger.projection",
        "UPDATE ledger.projected SET log_id = 1",
    },
}
READERS_MAY = {
    "app": set[str](),
    "archiver": set[str](),
    "auditor": {*TABLES, *DERIVED, *VIEWS},
    "sequencer": {*TABLES, *DERIVED, *VIEWS},
    "signer": {"log", "body", "entry", "head", "checkpoint"},
}


@pytest.fixture(scope="module", autouse=True)
def filled(database: Database) -> None:
    """A row in every table, so that row triggers have something to refuse."""
    events_append(database, 300)
    sequence_all(database)
    events_append(database, 1)
    with connect(database, "sequencer") as connection:
        connection.execute(
            "INSERT INTO ledger.checkpoint (log_id, size, root, note) "
            "SELECT log_id, size, root, 'note' FROM ledger.head WHERE log_id = 1"
        )
    with connect(database, "app") as connection:
        connection.execute("SELECT ledger.anchor_record('lineage', 300, 'file', 'file:///srv', '')")
    with connect(database, "auditor") as connection:
        assert all(counts(connection).values())


def attempts() -> list[tuple[str, str]]:
    table = [write.format(name) for write in WRITES for name in (*TABLES, *DERIVED, "pruning", *PARTITIONS)]
    return [
        (role, statement)
        for role in READERS_MAY
        for statement in (*table, *TAKEOVERS)
        if statement not in WRITERS_MAY.get(role, ())
    ]


@pytest.mark.parametrize(("role", "statement"), attempts())
def test_a_process_role_is_refused_by_privileges_alone(database: Database, role: str, statement: str) -> None:
    with connect(database, role) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role in READERS_MAY for name in (*TABLES, *DERIVED, *VIEWS)]
)
def test_a_role_reads_only_what_it_needs(database: Database, role: str, name: str) -> None:
    with connect(database, role) as connection:
        if name in READERS_MAY[role]:
            assert one(connection, f"SELECT count(*) FROM ledger.{name}") > 0  # noqa: S608
        else:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(f"SELECT FROM ledger.{name}".encode())


@pytest.mark.parametrize("role", ["archiver", "auditor", "sequencer", "signer"])
@pytest.mark.parametrize("table", ["governance_user", "governance_apitoken", "audit_sealedvalue", "audit_datasubject"])
def test_only_the_application_reads_its_own_tables(database: Database, role: str, table: str) -> None:
    with connect(database, role) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"SELECT FROM public.{table}".encode())


def test_only_the_application_appends(database: Database) -> None:
    with connect(database, "app") as connection:
        assert event_append(connection, event_bytes()) > 0
    for role in ("auditor", "sequencer", "signer"):
        with connect(database, role) as connection, pytest.raises(InsufficientPrivilege):
            event_append(connection, event_bytes())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.head SET size = size - 1 WHERE log_id = 1",
        "UPDATE ledger.head SET root = sha256('other') WHERE log_id = 1",
        "UPDATE ledger.head SET log_id = 3, size = size + 1 WHERE log_id = 1",
    ],
)
def test_the_sequencer_cannot_move_a_head_backwards_or_sideways(database: Database, statement: str) -> None:
    with connect(database, "sequencer") as connection, pytest.raises(RestrictViolation):
        connection.execute(statement.encode())


@pytest.mark.parametrize("replication_role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE ledger.{table} SET log_id = log_id" for table in (*APPEND_ONLY, *PARTITIONS)),  # noqa: S608
        *(f"DELETE FROM ledger.{table}" for table in (*APPEND_ONLY, *PARTITIONS, "head", "log")),  # noqa: S608
        *(f"TRUNCATE ledger.{table} CASCADE" for table in (*TABLES, *PARTITIONS, "body_1", "entry_1")),
        "UPDATE ledger.log SET origin = 'x'",
        "UPDATE ledger.log SET class = 'x'",
        "UPDATE ledger.log SET min_index = min_index - 1",
        "UPDATE ledger.log SET state_reason = 'x'",
        "UPDATE ledger.head SET size = size - 1",
        "UPDATE ledger.body SET bytes = 'x' WHERE id = 1",
        (
            "INSERT INTO ledger.log (log_id, name, origin, class) VALUES (1, 'x', 'x', 'x') "
            "ON CONFLICT (log_id) DO UPDATE SET origin = 'x'"
        ),
        "MERGE INTO ledger.log l USING (SELECT 1 AS id) s ON s.id = l.log_id WHEN MATCHED THEN DELETE",
    ],
)
def test_even_a_superuser_with_replica_triggers_is_refused(
    database: Database, statement: str, replication_role: str
) -> None:
    with connect(database, "superuser") as connection:
        before = counts(connection)
        connection.execute(f"SET session_replication_role = {replication_role}".encode())
        connection.commit()
        with pytest.raises(RestrictViolation):
            connection.execute(statement.encode())
        connection.rollback()
        assert counts(connection) == before


def test_every_table_of_the_ledger_is_guarded_always(database: Database) -> None:
    with connect(database, "superuser") as connection:
        guards = connection.execute(
            "SELECT c.relname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'ledger' AND NOT t.tgisinternal"
        ).fetchall()
        tables = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")}
    assert {enabled for _, enabled in guards} == {"A"}
    assert {table for table, _ in guards} == tables - {*DERIVED}
    assert tables > {*DERIVED, *RETENTION, *TABLES, "change", "body_1", "entry_2", "body_1_0", "entry_2_1048576"}


def test_nobody_can_log_in_as_the_owner(database: Database) -> None:
    with connect(database, "superuser") as connection:
        rows = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
            "FROM pg_roles WHERE rolname LIKE 'mn\\_%' ORDER BY rolname"
        ).fetchall()
    assert rows == [
        ("mn_app", True, False),
        ("mn_archiver", True, False),
        ("mn_auditor", True, False),
        ("mn_migrator", True, True),
        ("mn_owner", False, False),
        ("mn_sequencer", True, False),
        ("mn_signer", True, False),
    ]


def test_each_role_needs_its_own_password(database: Database) -> None:
    for role, variable in ROLES.items():
        url = database.environment[variable]
        secret = url.split(":")[2].split("@")[0]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(secret, "wrong")).close()
        others = {database.environment[other] for other in ROLES.values()} - {url}
        assert all(secret not in other for other in others), role


def test_an_owner_who_switches_the_guard_off_can_edit_but_every_check_of_the_bytes_sees_it(database: Database) -> None:
    with connect(database, "migrator") as connection:
        connection.execute("SET ROLE mn_owner")
        with triggers_off(connection, "body"):
            edited = connection.execute(
                "UPDATE ledger.body SET bytes = bytes || ' ' FROM ledger.entry e "
                "WHERE e.body_id = id AND e.log_id = 1 AND e.seq = 7"
            ).rowcount
        assert edited == 1
        wrong = connection.execute(
            "SELECT e.seq FROM ledger.entry e JOIN ledger.body b ON b.id = e.body_id "
            "WHERE e.leaf <> sha256('\\x00'::bytea || b.bytes)"
        ).fetchall()
        connection.rollback()
    assert wrong == [(7,)]


def test_an_owner_who_takes_a_partition_out_is_found_by_the_guards(database: Database) -> None:
    with connect(database, "migrator") as connection:
        assert guard_faults(connection) == []
        connection.execute("SET ROLE mn_owner")
        connection.execute("ALTER TABLE ledger.body_1 DETACH PARTITION ledger.body_1_0")
        connection.execute("RESET ROLE")
        assert any("body_1_0" in fault for fault in guard_faults(connection))
        connection.rollback()


@pytest.mark.parametrize("statement", ["UPDATE {} SET log_id = log_id", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("body", "(id, log_id, event_id, bytes) VALUES (8999999, 1, 'evt', '{}')"),
        ("entry", "(seq, log_id, body_id, leaf, chain) VALUES (8999999, 1, 1, sha256('x'), sha256('x'))"),
    ],
)
def test_a_partition_of_the_future_is_born_with_every_guard(
    database: Database, table: str, row: str, statement: str
) -> None:
    with connect(database, "superuser") as connection:
        before = partitions(connection, table)
        assert one(connection, "SELECT ledger.partitions_ahead(9000000)") > 0
        newest = min(partitions(connection, table) - before, key=lambda name: int(name.rpartition("_")[2]))
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(f"INSERT INTO ledger.{newest} {row}".encode())
        with pytest.raises(RestrictViolation):
            connection.execute(statement.format(f"ledger.{newest}").encode())
        connection.rollback()


def partitions(connection: psycopg.Connection, table: str) -> set[str]:
    rows = connection.execute("SELECT relid::text FROM pg_partition_tree(%s) WHERE isleaf", (f"ledger.{table}_1",))
    return {row[0].removeprefix("ledger.") for row in rows}


def test_a_log_goes_from_active_over_frozen_to_sealed_and_never_back(database: Database) -> None:
    steps: list[tuple[str, str | None, int | None]] = [("frozen", "why", None), ("sealed", "why", 0)]
    with connect(database, "superuser") as connection:
        statement = "UPDATE ledger.log SET state = %s, state_reason = %s, proven = %s WHERE log_id = 1"
        for number, step in enumerate(steps):
            connection.execute(statement, step)
            for earlier in ("active", *(state for state, *_ in steps[:number])):
                with pytest.raises(RestrictViolation), connection.transaction():
                    connection.execute(statement, (earlier, None, None))
            for proven in (1, None) if step[2] is not None else (1,):
                with pytest.raises(RestrictViolation), connection.transaction():
                    connection.execute(statement, (*step[:2], proven))
        connection.rollback()


def test_a_frozen_log_takes_no_events_and_gives_no_places_and_the_other_goes_on(database: Database) -> None:
    with connect(database, "sequencer", autocommit=True) as sequencer, connect(database, "app") as app:
        event_append(app, event_bytes())
        app.commit()
        log = log_named(sequencer, "access")
        with sequencer.transaction(force_rollback=True):
            assert one(sequencer, "SELECT ledger.log_freeze(%s, 'restored')", log.origin) is True
            assert one(sequencer, "SELECT ledger.log_freeze(%s, 'again')", log.origin) is False
    with connect(database, "superuser", autocommit=True) as superuser:
        superuser.execute("SELECT ledger.log_freeze(origin, 'a reason') FROM ledger.log WHERE log_id = 2")
        with connect(database, "app") as app:
            with pytest.raises(psycopg.Error, match="log access is frozen: a reason") as refused, app.transaction():
                event_append(app, event_bytes(log="access"), log="access")
            assert refused.value.sqlstate == "MN001"
            event_append(app, event_bytes())
        superuser.execute("INSERT INTO ledger.queue (log_id, id) SELECT 2, max(id) FROM ledger.body")
        assert sequence_all(database, log="access") == 0
        superuser.execute("DELETE FROM ledger.queue WHERE log_id = 2")


@pytest.mark.parametrize("role", ["app", "auditor", "signer"])
@pytest.mark.parametrize("call", ["ledger.log_freeze('x', 'y')", "ledger.partitions_ahead(1)"])
def test_only_the_sequencer_freezes_logs_and_makes_partitions(database: Database, role: str, call: str) -> None:
    with connect(database, role) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"SELECT {call}".encode())
