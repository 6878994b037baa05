"""Attacks on the database, by somebody with the rights of a superuser, as the auditor and the signer meet them.

What neither can notice: entries since the last signature that were rewritten together with everything above them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from attack_catalogue import Attack, Finding
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from database_attacks import ATTACKS as EDITS
from database_attacks import DatabaseAttack, attack_run
from ledger_driver import connect, event_append, events_append, events_append_many, log_named, sequence_all

from audit.anchor_places import places_data
from audit.errors import AuditError
from audit.keys import KeyRing
from audit.sequencing import batch_sequence, checkpoint_store
from audit.signer_memory import SignerMemory
from audit.signing import LogSigner
from audit.verification import ledger_verify
from modelnotary.ids import new_id
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, CHAIN_HEAD_EVERY
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tree import tree_root
from modelnotary.verify.result import Outcome
from modelnotary.verify.trust import Trust

SUPERUSER = "is a superuser of the database"
APPLICATION = "has the application's password"
KEY_TOO = "is a superuser and has the log's key"
SIGNER = Finding("the signer refuses")
PLACE = ("file", "file:///srv/auditor")
_SINCE_701 = (
    "DELETE FROM ledger.queue WHERE log_id = 1",
    (
        "DELETE FROM ledger.body b USING ledger.entry e WHERE b.log_id = 1 AND e.log_id = 1 AND e.body_id = b.id "
        "AND e.seq >= 701"
    ),
    (
        "DELETE FROM ledger.body b WHERE b.log_id = 1 AND NOT EXISTS "
        "(SELECT FROM ledger.entry e WHERE e.log_id = 1 AND e.body_id = b.id)"
    ),
    "DELETE FROM ledger.entry WHERE log_id = 1 AND seq >= 701",
    "DELETE FROM ledger.projection WHERE log_id = 1 AND seq >= 701",
    "UPDATE ledger.projected SET size = 701 WHERE log_id = 1",
    "DELETE FROM ledger.anchor WHERE log_id = 1",
    "DELETE FROM ledger.checkpoint WHERE log_id = 1 AND size > 701",
)


@dataclass
class Signed:
    """A database whose lineage log was signed, the keys to check it with, and the signer's memory."""

    database: Database
    key: Ed25519PrivateKey
    trust: Trust
    memory: bytes

    def findings(self, connection: psycopg.Connection) -> list[Finding]:
        """What the auditor's verification and the signer find wrong, in this transaction."""
        connection.execute("SET LOCAL ROLE mn_auditor")
        report = ledger_verify(connection, trust=self.trust)
        found = [
            Finding(check.name, check.span, check.detail) for check in report.checks if check.outcome is Outcome.FAIL
        ]
        with TemporaryDirectory() as folder:
            memory = SignerMemory(Path(folder, "memory.json"), self.trust.logs[0].name)
            memory.path.write_bytes(self.memory)
            try:
                with connection.transaction():
                    signer_of(self.key, memory, partial(nullcontext, connection)).head_sign(now=datetime.now(UTC))
            except (AuditError, LedgerError, psycopg.Error) as error:
                found.append(replace(SIGNER, detail=str(error)))
        return found


def signer_of(key: Ed25519PrivateKey, memory: SignerMemory, connecting: Any) -> LogSigner:
    return LogSigner(keys=KeyRing.of(key), memory=memory, connect=connecting)


@contextmanager
def signed_log(database: Database, *sizes: int) -> Iterator[Signed]:
    """Let the lineage log grow to these sizes, each signed; the newest checkpoint is anchored at a recorded place."""
    key = Ed25519PrivateKey.generate()
    with connect(database, "auditor") as connection:
        origins = [log_named(connection, name).origin for name in ("lineage", "access")]
    trust = Trust(origins[0].removesuffix("/lineage"), (LogKeys.of(NoteSigner(origins[0], key).verifier),), (), ())
    with TemporaryDirectory() as folder:
        memory = SignerMemory(Path(folder, "memory.json"), origins[0])
        signer = signer_of(key, memory, partial(connect, database, "signer"))
        configured_append(database)
        for before, size in zip((1, *sizes), sizes, strict=False):
            events_append_many(database, size - before)
            sequence_all(database)
            note_store(database, signer.head_sign(now=datetime.now(UTC)))
        with connect(database, "app") as connection:
            connection.execute("SELECT ledger.anchor_record('lineage', %s, %s, %s, '')", (sizes[-1], *PLACE))
        yield Signed(database, key, trust, memory.path.read_bytes())


def configured_append(database: Database) -> None:
    event = Event(
        log="lineage",
        type="anchors.configured",
        id=new_id("evt"),
        at=datetime.now(UTC),
        actor=Actor("system", "anchors", "A test"),
        subject=Subject("anchors", "anchors"),
        data=places_data({PLACE}),
    )
    with connect(database, "app") as connection:
        event_append(connection, event.to_bytes())


def note_store(database: Database, note: bytes) -> None:
    checkpoint = Checkpoint.from_text(note.decode().partition("\n\n")[0] + "\n")
    with connect(database, "sequencer") as connection:
        log = log_named(connection, "lineage")
        checkpoint_store(connection, log, size=checkpoint.size, root=checkpoint.root, note=note.decode())


@dataclass
class Victim:
    """The open transaction of a superuser, and what was signed before."""

    signed: Signed
    connection: psycopg.Connection


class DatabaseSurface:
    """Databases that are attacked in a transaction, which is taken back afterwards.

    Args:
        signed: A log of 4,040 entries with checkpoints of sizes 700, 701 and 4,000; 5 more events wait.
    """

    name = "database"

    def __init__(self, signed: Signed) -> None:
        self._signed = signed

    @property
    def attacks(self) -> Sequence[Attack[Victim]]:
        return (*(Attack(name, SUPERUSER, edit(attack)) for name, attack in EDITS.items()), *ATTACKS)

    @contextmanager
    def victim(self) -> Iterator[Victim]:
        with connect(self._signed.database, "superuser") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield Victim(self._signed, connection)
            connection.rollback()

    def findings(self, victim: Victim) -> list[Finding]:
        return self._signed.findings(victim.connection)


def edit(attack: DatabaseAttack, finding: Finding | None = None) -> Any:
    """An attack of the table of edits, as one of the catalogue."""

    def act(victim: Victim) -> Finding:
        attack_run(victim.connection, attack)
        return finding or Finding(attack.check, attack.span)

    return act


def resigned(*statements: str) -> Any:
    """Edit, recompute everything and sign every checkpoint anew with the stolen key."""

    def act(victim: Victim) -> Finding:
        attack_run(victim.connection, DatabaseAttack(statements, "", recompute=True))
        rows = victim.connection.execute("SELECT leaf FROM ledger.entry WHERE log_id = 1 ORDER BY seq").fetchall()
        leaves = [bytes(leaf) for (leaf,) in rows]
        origin = victim.signed.trust.logs[0].name
        sizes = victim.connection.execute("SELECT size FROM ledger.checkpoint WHERE log_id = 1").fetchall()
        updates = []
        for size in [size for (size,) in sizes]:
            root = tree_root(leaves[:size])
            note = checkpoint_sign(Checkpoint(origin, size, root), NoteSigner(origin, victim.signed.key)).decode()
            updates.append(
                f"UPDATE ledger.checkpoint SET root = '\\x{root.hex()}', note = '{note}' "  # noqa: S608
                f"WHERE log_id = 1 AND size = {size}"
            )
        attack_run(victim.connection, DatabaseAttack(tuple(updates), ""))
        return SIGNER

    return act


_PLACES_EDIT = (
    "UPDATE ledger.body b SET bytes = replace(encode(b.bytes, 'escape'), 'auditor', 'thieves')::bytea "
    "FROM ledger.entry e WHERE e.log_id = 1 AND e.seq = 0 AND e.body_id = b.id AND b.log_id = 1"
)


def forged(index: int) -> str:
    """The statement that puts words into an entry that nothing but its bytes can tell of."""
    return (
        "UPDATE ledger.body b SET bytes = "  # noqa: S608
        """convert_to(replace(convert_from(b.bytes, 'UTF8'), '"data":{}', '"data":{"approved":true}'), 'UTF8') """
        f"FROM ledger.entry e WHERE e.log_id = 1 AND e.seq = {index} AND b.log_id = 1 AND b.id = e.body_id"
    )


def chain_told_falsely(victim: Victim) -> Finding:
    """An entry that the application appends as it may any: it tells a chain that the log does not have."""
    log = log_named(victim.connection, "lineage")
    event = Event(
        log="lineage",
        type=CHAIN_HEAD_EVENT,
        id=new_id("evt"),
        at=datetime.now(UTC),
        actor=Actor("system", "chain", "A test"),
        subject=Subject("log", log.origin),
        data={"size": CHAIN_HEAD_EVERY, "chain": bytes(32).hex()},
    )
    event_append(victim.connection, event.to_bytes())
    assert batch_sequence(victim.connection, log) == 6
    return Finding("lineage: chain", (4045, 4046))


ATTACKS: tuple[Attack[Victim], ...] = (
    Attack("an older dump restored", SUPERUSER, edit(DatabaseAttack(_SINCE_701, "", recompute=True), SIGNER)),
    Attack("history recomputed, its checkpoints signed anew", KEY_TOO, resigned(forged(1500))),
    Attack("another history of the size that others saw (split view)", KEY_TOO, resigned(forged(3999))),
    Attack(
        "an anchor redirected",
        SUPERUSER,
        edit(DatabaseAttack(("UPDATE ledger.anchor SET location = 'file:///srv/mine'",), "anchors")),
    ),
    Attack(
        "the entry that tells of the anchors' places edited",
        SUPERUSER,
        edit(DatabaseAttack((_PLACES_EDIT,), "lineage: bodies", (0, 1))),
    ),
    Attack("an entry that tells another chain", APPLICATION, chain_told_falsely),
)


def sample_grow(database: Database) -> None:
    """After the last signature: 40 entries, and 5 events that wait; a few entries in the other log."""
    events_append(database, 40)
    sequence_all(database)
    events_append(database, 5)
    events_append(database, 3, log="access")
    sequence_all(database, log="access")
