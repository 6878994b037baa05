"""The SQL that makes a table one of fact. Migrations that were applied rest on it: it only grows."""


def insert_only(*tables: str) -> str:
    """Refuse every change but an insert, to everybody, and capture each statement's rows for reconciliation."""
    return "".join(
        f"""
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE UPDATE, DELETE ON {table} FROM mn_app;
"""
        + captured(table)
        for table in tables
    )


def captured(table: str) -> str:
    """Leave a row in ledger.change for each row that a statement changes."""
    return "".join(
        f"CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {table} REFERENCING {rows} TABLE AS changed "
        f"FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');\n"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_{event};\n"
        for event, rows in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
    )


def checked(table: str, function: str, body: str) -> str:
    """Look at each row before it is inserted; `body` is PL/pgSQL and raises what it refuses."""
    return f"""
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
{body}
$$;
CREATE TRIGGER checked BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
"""
