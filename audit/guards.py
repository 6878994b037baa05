"""What protects the ledger inside the database: which triggers, constraints, owners and rights it must have, and has.

The migrations set all this up. Here it is stated a second time, because an attacker with the owner's or a superuser's
rights would change the database, not this file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import psycopg

_TABLES = ("log", "body", "queue", "entry", "node", "head", "checkpoint", "anchor", "change", "retention", "pruning")
_PARTITIONED = ("body", "entry")
# Made from the bytes, and made anew at any time: nothing has to guard them.
_DERIVED = ("projection", "projected")
_SEQUENCES = ("body_id", "change_id_seq")
_VIEWS = ("entry_view", "checkpoint_view", "anchor_view", "log_view")
_APPEND_ONLY = ("body", "entry", "node", "checkpoint", "anchor", "change", "retention", "pruning")
_OWNER = "mn_owner"

# pg_trigger.tgtype: 1 per row, 2 before, 8 on delete, 16 on update, 32 on truncate.
_TRIGGERS: dict[tuple[str, str], tuple[str, int]] = {
    **{(table, "append_only"): ("refuse_change", 27) for table in _APPEND_ONLY},
    **{(table, "no_truncate"): ("refuse_change", 34) for table in _TABLES},
    ("head", "only_grows"): ("head_only_grows", 19),
    ("head", "no_delete"): ("refuse_change", 11),
    ("log", "only_advances"): ("log_only_advances", 19),
    ("log", "no_delete"): ("refuse_change", 11),
}
_PARTITION_TRIGGERS = {"append_only": ("refuse_change", 27), "no_truncate": ("refuse_change", 34)}
# SHA-256 of each function's source: a guard that was emptied still has its name.
_FUNCTIONS = {
    "anchor_record": "748aaff52d9fa4dc8b01e454414778366006dda49f8dc300088faf707e428127",
    "append": "8a112285d3ffef36d5994ee5b538101765f166f69c5e9166cb0b4a6e397e5f4e",
    "append_refuse": "49f7eacacad3c3060fa95f43016857c399d2898d89be5dc4b70400805ee36c3b",
    "change_capture": "07cd7283ffb1b97b93ca49e1df9b11dca18c89a96174e82fc8d7ae850fa76fc2",
    "event_read": "5d1cc8d893249d3d582cbf06144e25a5c43168d60d5a0f15f8002e844c72a732",
    "event_signed": "e5a6ff8b96710dc16dfb61774ee5ab857b4a38086678a6642e7a4747cd1052ef",
    "head_only_grows": "69d671d325b3e05670ec6cce3eef7766a8a3d7d8d31263bb55e99813767d9c43",
    "log_freeze": "46ffedd4470892406ff7918e9abe16a8e96fe94c52eb2700df38a73edec2cfa2",
    "log_only_advances": "cf4825a156a8d15674e83e42dc00fc07b88dab6e82fc20fa5c9fa6e9c53f2836",
    "log_open": "2d9a266f223921c375f62268a7f50371839481f9483ecb51503351e083a0bc37",
    "log_prune": "738f1561b0299be59028480f11dec25d209b5e98754705ba984d68a66f76e531",
    "partition_attach": "317b22be3af91990d46162cea9e8208a9d7730d38f084fe82fb7289490fc14f3",
    "partition_drop": "191c5f7daa01b82097e37c16800e32300e3559b4674a0c5c53c7d1373f94d95b",
    "partitions_ahead": "87e45147cf941232705fc78d3b6f08738ddb293d04f122a596946d1428c3955e",
    "partitions_end": "8afb46049c06040366ac96c13526e926a7bbbb6109b6fd1bb51b00851bdf3d0b",
    "partitions_of": "f55e1b45ea521fb82a43c4d29f5de768e7a687c07a3362d28ec256f758c667af",
    "refuse_change": "96c9889e01321a7a89869b12a42df8fabf5d5989342609b545f8a978e97a08c9",
    "retention_hold": "a1cbcb94771d9ee39e81c98ebd7f619f0182bfe6b7bf644e4768090af18062ca",
    "retention_objection": "6619b03b9524865cb78faa97cb7921bb10be2ec0e301cd79403617bb4cc529d9",
    "retention_schedule": "e751bdae42d017655d021bf34ea7199c222d658859fca3f661a06748a2c9631f",
}
_UNIQUE = {
    ("log", "PRIMARY KEY (log_id)"),
    ("log", "UNIQUE (name)"),
    ("log", "UNIQUE (origin)"),
    ("log", "CREATE UNIQUE INDEX log_active ON ledger.log USING btree (class) WHERE (state = 'active'::text)"),
    ("queue", "PRIMARY KEY (log_id, id)"),
    ("node", "PRIMARY KEY (log_id, level, idx)"),
    ("head", "PRIMARY KEY (log_id)"),
    ("checkpoint", "PRIMARY KEY (log_id, size)"),
    ("anchor", "PRIMARY KEY (log_id, kind, location, size)"),
    ("change", "PRIMARY KEY (id)"),
    ("retention", "PRIMARY KEY (event_id)"),
    ("retention", "UNIQUE (request)"),
    ("pruning", "PRIMARY KEY (event_id)"),
    ("pruning", "UNIQUE (log_id, min_index)"),
    ("projection", "PRIMARY KEY (log_id, seq)"),
    ("projected", "PRIMARY KEY (log_id)"),
}
_PARTITION_UNIQUE = {"body": ("PRIMARY KEY (id)", "UNIQUE (event_id)"), "entry": ("PRIMARY KEY (seq)",)}
_RIGHTS = {
    ("append", "mn_app", "EXECUTE"),
    ("anchor_record", "mn_app", "EXECUTE"),
    ("log_freeze", "mn_sequencer", "EXECUTE"),
    ("log_prune", "mn_archiver", "EXECUTE"),
    ("partition_drop", "mn_archiver", "EXECUTE"),
    ("retention_schedule", "mn_app", "EXECUTE"),
    ("partitions_ahead", "mn_sequencer", "EXECUTE"),
    *(
        (name, role, "SELECT")
        for name in (*_TABLES, *_DERIVED, *_VIEWS, "body_id")
        for role in ("mn_auditor", "mn_sequencer")
    ),
    *((table, "mn_signer", "SELECT") for table in ("log", "body", "entry", "head", "checkpoint")),
    *((table, "mn_sequencer", "INSERT") for table in ("entry", "node", "checkpoint", "projection")),
    *((table, "mn_sequencer", "UPDATE") for table in ("head", "projected")),
    *((table, "mn_sequencer", "DELETE") for table in ("queue", "projection")),
}

_READ_TRIGGERS = """
SELECT c.relname, t.tgname, p.proname, t.tgtype, t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = ''::int2vector
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE c.relnamespace = to_regnamespace('ledger') AND NOT t.tgisinternal
"""
# A range partition's bound reads: FOR VALUES FROM ('0') TO ('1048576')
_READ_PARTITIONS = """
SELECT r.name, c.relname, p.relname, (b.range)[1]::bigint, (b.range)[2]::bigint
  FROM unnest(%s::text[]) r(name)
 CROSS JOIN pg_partition_tree(to_regclass('ledger.' || r.name)) t
  JOIN pg_class c ON c.oid = t.relid JOIN pg_class p ON p.oid = t.parentrelid
 CROSS JOIN LATERAL (
   SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(\\d+)''\\) TO \\(''(\\d+)''\\)')) b(range)
"""
# For each log the first key that it still keeps and the last one used, of its bodies and of its entries.
_READ_EXTENTS = """
SELECT l.log_id, l.state = 'active',
       (SELECT e.body_id FROM ledger.entry e WHERE e.log_id = l.log_id AND e.seq = l.min_index), s.last_value,
       l.min_index, h.size
  FROM ledger.log l JOIN ledger.head h USING (log_id) CROSS JOIN ledger.body_id s ORDER BY l.log_id
"""
_READ_FUNCTIONS = """
SELECT proname, encode(sha256(convert_to(prosrc, 'UTF8')), 'hex') FROM pg_proc
 WHERE pronamespace = to_regnamespace('ledger')
"""
_READ_UNIQUE = """
SELECT r.relname, coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid))
  FROM pg_index i JOIN pg_class r ON r.oid = i.indrelid
  LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
 WHERE r.relnamespace = to_regnamespace('ledger') AND i.indisunique AND i.indisvalid
"""
_READ_OWNED = """
SELECT relname, pg_get_userbyid(relowner) FROM pg_class
 WHERE relnamespace = to_regnamespace('ledger') AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT proname, pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = to_regnamespace('ledger')
UNION ALL
SELECT 'schema', pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'ledger'
"""
_READ_RIGHTS = """
WITH acl(name, owner, item) AS (
  SELECT c.relname, c.relowner, a FROM pg_class c, aclexplode(c.relacl) a
   WHERE c.relnamespace = to_regnamespace('ledger') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
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
 WHERE rolname IN ('mn_app', 'mn_archiver', 'mn_auditor', 'mn_sequencer', 'mn_signer', 'mn_owner')
   AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
        OR rolcanlogin = (rolname = 'mn_owner') OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))
 ORDER BY rolname
"""


@dataclass(frozen=True, slots=True)
class _Partition:
    """A table under a partitioned one. A leaf has rows, with keys from `low` up to, without, `high`."""

    root: str
    name: str
    parent: str
    low: int | None
    high: int | None


def _partitions(connection: psycopg.Connection) -> list[_Partition]:
    return [_Partition(*row) for row in connection.execute(_READ_PARTITIONS, (list(_PARTITIONED),))]


def standing_faults(connection: psycopg.Connection) -> list[str]:
    """Say what a running system has to look at often: append-only triggers on every partition, and the partitions.

    Two cheap queries, besides one row for each log.
    """
    partitions = _partitions(connection)
    return [*_trigger_faults(connection, partitions), *_partition_faults(connection, partitions)]


def guard_faults(connection: psycopg.Connection) -> list[str]:
    """Say in what the database's protection of the ledger differs from what the migrations set up; nothing if in none.

    Looks at triggers and the source of their functions, partitions, unique constraints, tables, owners, rights and
    roles.
    """
    partitions = _partitions(connection)
    leaves = [each for each in partitions if each.low is not None]
    unique = {*_UNIQUE, *((leaf.name, what) for leaf in leaves for what in _PARTITION_UNIQUE[leaf.root])}
    owned: dict[str, str] = dict(connection.execute(_READ_OWNED).fetchall())
    names = {*_TABLES, *_DERIVED, *_VIEWS, *_SEQUENCES, *_FUNCTIONS, *(each.name for each in partitions), "schema"}
    return [
        *_trigger_faults(connection, partitions),
        *_partition_faults(connection, partitions),
        *_differences("function", set(_FUNCTIONS.items()), connection.execute(_READ_FUNCTIONS)),
        *_differences("constraint", unique, connection.execute(_READ_UNIQUE)),
        *_differences("object", {(name,) for name in names}, ((name,) for name in owned)),
        *(f"{name} belongs to {owner}" for name, owner in sorted(owned.items()) if owner != _OWNER),
        *_differences("right", _RIGHTS, connection.execute(_READ_RIGHTS)),
        *(f"role {role} has more power than it needs" for (role,) in connection.execute(_READ_ROLES)),
    ]


def _trigger_faults(connection: psycopg.Connection, partitions: list[_Partition]) -> list[str]:
    """Say which append-only triggers are missing, switched off, weakened or replaced."""
    found = {(table, name): (*what, on) for table, name, *what, on in connection.execute(_READ_TRIGGERS)}
    of_partitions = {(each.name, name): what for each in partitions for name, what in _PARTITION_TRIGGERS.items()}
    faults = []
    for (table, name), what in (_TRIGGERS | of_partitions).items():
        state = found.pop((table, name), None)
        if state is None:
            faults.append(f"trigger {name} of {table} is missing")
        elif state != (*what, True):
            faults.append(f"trigger {name} of {table} is not enabled always, or was changed")
    return faults + [f"trigger {name} of {table} is not known" for table, name in found]


def _partition_faults(connection: psycopg.Connection, partitions: list[_Partition]) -> list[str]:
    """Say where a log's partitions have a hole, do not reach back to its first kept entry, or are about to run out."""
    faults = []
    for log_id, is_active, *keys in connection.execute(_READ_EXTENTS):
        for root, first, used in (("body", *keys[:2]), ("entry", *keys[2:])):
            branch = f"{root}_{log_id}"
            of_log = [each for each in partitions if each.parent == branch]
            leaves = sorted((each.low, each.high) for each in of_log if each.low is not None and each.high is not None)
            faults += _extent_faults(branch, leaves, first, used if is_active else None)
    return faults


def _extent_faults(branch: str, leaves: list[tuple[int, int]], first: int | None, used: int | None) -> list[str]:
    if not leaves:
        return [f"{branch} has no partition"]
    faults = [
        f"no partition of {branch} holds {high} to {low - 1}" for (_, high), (low, _) in pairwise(leaves) if high != low
    ]
    if first is not None and first < leaves[0][0]:
        faults.append(f"no partition of {branch} holds {first} to {leaves[0][0] - 1}")
    low, high = leaves[-1]
    if used is not None and used + (high - low) >= high:
        faults.append(f"{branch} has room up to {high} and is at {used}: no partition ahead; does the sequencer run?")
    return faults


def _differences(what: str, expected: Iterable[tuple[str, ...]], found: Iterable[tuple[str, ...]]) -> list[str]:
    wanted, there = set(expected), set(found)
    return [
        *(f"{what} {' '.join(item)} is missing" for item in sorted(wanted - there)),
        *(f"{what} {' '.join(item)} is not known" for item in sorted(there - wanted)),
    ]
