"""What protects the ledger inside the database: which triggers, constraints, owners and rights it must have, and has.

The migrations set all this up. Here it is stated a second time, because an attacker with the owner's or a superuser's
rights would change the database, not this file.
"""

from collections.abc import Iterable

import psycopg

_TABLES = ("log", "body", "queue", "entry", "node", "head", "checkpoint", "anchor", "change")
_VIEWS = ("entry_view", "checkpoint_view", "anchor_view")
_APPEND_ONLY = ("log", "body", "entry", "node", "checkpoint", "anchor", "change")
_OWNER = "mn_owner"

# pg_trigger.tgtype: 1 per row, 2 before, 8 on delete, 16 on update, 32 on truncate.
_TRIGGERS: dict[tuple[str, str], tuple[str, int]] = {
    **{(table, "append_only"): ("refuse_change", 27) for table in _APPEND_ONLY},
    **{(table, "no_truncate"): ("refuse_change", 34) for table in _TABLES},
    ("head", "only_grows"): ("head_only_grows", 19),
    ("head", "no_delete"): ("refuse_change", 11),
}
# SHA-256 of each function's source: a guard that was emptied still has its name.
_FUNCTIONS = {
    "anchor_record": "748aaff52d9fa4dc8b01e454414778366006dda49f8dc300088faf707e428127",
    "change_capture": "3b75f55b5cb28fbf6f5dd823135dee1738858c35301c8f7de608da07a68cc682",
    "append": "5072ff00780c9e331c94948d6780ab2b509aebc84c8576a8ba6db644ec557e82",
    "head_only_grows": "69d671d325b3e05670ec6cce3eef7766a8a3d7d8d31263bb55e99813767d9c43",
    "refuse_change": "96c9889e01321a7a89869b12a42df8fabf5d5989342609b545f8a978e97a08c9",
}
_UNIQUE = {
    ("log", "PRIMARY KEY (log_id)"),
    ("log", "UNIQUE (name)"),
    ("log", "UNIQUE (origin)"),
    ("body", "PRIMARY KEY (id)"),
    ("body", "UNIQUE (event_id)"),
    ("queue", "PRIMARY KEY (id)"),
    ("entry", "PRIMARY KEY (log_id, seq)"),
    ("entry", "UNIQUE (body_id)"),
    ("node", "PRIMARY KEY (log_id, level, idx)"),
    ("head", "PRIMARY KEY (log_id)"),
    ("checkpoint", "PRIMARY KEY (log_id, size)"),
    ("anchor", "PRIMARY KEY (log_id, kind, location, size)"),
    ("change", "PRIMARY KEY (id)"),
}
_RIGHTS = {
    ("append", "mn_app", "EXECUTE"),
    ("anchor_record", "mn_app", "EXECUTE"),
    *((name, role, "SELECT") for name in (*_TABLES, *_VIEWS) for role in ("mn_auditor", "mn_sequencer")),
    *((table, "mn_signer", "SELECT") for table in ("log", "body", "entry", "head")),
    *((table, "mn_sequencer", "INSERT") for table in ("entry", "node", "checkpoint")),
    ("head", "mn_sequencer", "UPDATE"),
    ("queue", "mn_sequencer", "DELETE"),
}

_READ_TRIGGERS = """
SELECT c.relname, t.tgname, p.proname, t.tgtype, t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = ''::int2vector
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE c.relnamespace = to_regnamespace('ledger') AND NOT t.tgisinternal
"""
_READ_FUNCTIONS = """
SELECT proname, encode(sha256(convert_to(prosrc, 'UTF8')), 'hex') FROM pg_proc
 WHERE pronamespace = to_regnamespace('ledger')
"""
_READ_UNIQUE = """
SELECT r.relname, pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_index i ON i.indexrelid = c.conindid
 WHERE c.connamespace = to_regnamespace('ledger') AND c.contype IN ('p', 'u') AND i.indisvalid
"""
_READ_OWNED = """
SELECT relname, pg_get_userbyid(relowner) FROM pg_class
 WHERE relnamespace = to_regnamespace('ledger') AND relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT proname, pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = to_regnamespace('ledger')
UNION ALL
SELECT 'schema', pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'ledger'
"""
_READ_RIGHTS = """
WITH acl(name, owner, item) AS (
  SELECT c.relname, c.relowner, a FROM pg_class c, aclexplode(c.relacl) a
   WHERE c.relnamespace = to_regnamespace('ledger') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT c.relname || '.' || t.attname, c.relowner, a
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
   WHERE c.relnamespace = to_regnamespace('ledger')
  UNION ALL
  SELECT p.proname, p.proowner, a FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
   WHERE p.pronamespace = to_regnamespace('ledger') AND p.prosecdef)
SELECT name, CASE (item).grantee WHEN 0 THEN 'everyone' ELSE pg_get_userbyid((item).grantee) END, (item).privilege_type
  FROM acl WHERE (item).grantee <> owner
"""
_READ_ROLES = """
SELECT rolname FROM pg_roles r
 WHERE rolname IN ('mn_app', 'mn_auditor', 'mn_sequencer', 'mn_signer', 'mn_owner')
   AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
        OR rolcanlogin = (rolname = 'mn_owner') OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))
 ORDER BY rolname
"""


def trigger_faults(connection: psycopg.Connection) -> list[str]:
    """Say which append-only triggers are missing, switched off, weakened or replaced; one cheap query."""
    found = {(table, name): (*what, on) for table, name, *what, on in connection.execute(_READ_TRIGGERS)}
    faults = []
    for (table, name), what in _TRIGGERS.items():
        state = found.pop((table, name), None)
        if state is None:
            faults.append(f"trigger {name} of {table} is missing")
        elif state != (*what, True):
            faults.append(f"trigger {name} of {table} is not enabled always, or was changed")
    return faults + [f"trigger {name} of {table} is not known" for table, name in found]


def guard_faults(connection: psycopg.Connection) -> list[str]:
    """Say in what the database's protection of the ledger differs from what the migrations set up; nothing if in none.

    Looks at triggers and the source of their functions, unique constraints, tables, owners, rights and roles.
    """
    owned: dict[str, str] = dict(connection.execute(_READ_OWNED).fetchall())
    names = {*_TABLES, *_VIEWS, *_FUNCTIONS, "schema"}
    return [
        *trigger_faults(connection),
        *_differences("function", set(_FUNCTIONS.items()), connection.execute(_READ_FUNCTIONS)),
        *_differences("constraint", _UNIQUE, connection.execute(_READ_UNIQUE)),
        *_differences("object", {(name,) for name in names}, ((name,) for name in owned)),
        *(f"{name} belongs to {owner}" for name, owner in sorted(owned.items()) if owner != _OWNER),
        *_differences("right", _RIGHTS, connection.execute(_READ_RIGHTS)),
        *(f"role {role} has more power than it needs" for (role,) in connection.execute(_READ_ROLES)),
    ]


def _differences(what: str, expected: Iterable[tuple[str, ...]], found: Iterable[tuple[str, ...]]) -> list[str]:
    wanted, there = set(expected), set(found)
    return [
        *(f"{what} {' '.join(item)} is missing" for item in sorted(wanted - there)),
        *(f"{what} {' '.join(item)} is not known" for item in sorted(there - wanted)),
    ]
