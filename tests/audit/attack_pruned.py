"""Attacks on a log that no longer has its first entries, and on their archives.

What nobody can notice in database and export alone: that an archive, told of by entries that are in order, was never
made or is gone. Whoever asks for it sees it.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from archive_driver import Scene, grow, partitions_narrow, scheduled_long_ago
from attack_catalogue import Attack, Finding
from ledger_driver import connect, triggers_off

from audit.exporting import log_export
from modelnotary.verify.log_archive_format import ARCHIVE_MANIFEST
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import Outcome

SUPERUSER = "is a superuser of the database"
HAND = "can write the files"
SIX_YEARS = 2192


@dataclass
class Victim:
    """The open transaction of a superuser, and copies of an export and of the archives that make it whole."""

    connection: psycopg.Connection
    export: Path
    archives: Path

    @property
    def paths(self) -> list[Path]:
        return [self.export, *sorted(self.archives.iterdir())]


def pruned_make(scene: Scene) -> None:
    """Let the lineage log have 800 entries from 2015, of which 512 are archived and dropped."""
    partitions_narrow(scene.database)
    grow(scene.database, scene.keys, 800)
    scheduled_long_ago(scene.database, SIX_YEARS)
    for option in ((), ("--drop",)):
        scene.archive("lineage", "--partitions", "2", *option)


class PrunedSurface:
    """A database that is attacked in a transaction, which is taken back afterwards, and files that are copied.

    Args:
        scene: Where a log of 800 entries begins at 512; those before are in two archives.
    """

    name = "pruned log"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def attacks(self) -> Sequence[Attack[Victim]]:
        return ATTACKS

    @contextmanager
    def victim(self) -> Iterator[Victim]:
        with TemporaryDirectory() as folder, connect(self._scene.database, "superuser") as connection:
            export, archives = Path(folder, "export"), Path(folder, "archives")
            log_export(log="lineage", folder=export, progress=lambda _done, _total: None)
            archives.mkdir()
            for name in ("lineage-0-256", "lineage-256-512"):
                shutil.copytree(self._scene.archives / name, archives / name)
            yield Victim(connection, export, archives)
            connection.rollback()

    def findings(self, victim: Victim) -> list[Finding]:
        found = [Finding(name, span) for name, span in self._scene.findings(victim.connection).items()]
        reports = verify_paths(victim.paths, trust_file=self._scene.keys.parent / "trust.json")
        checks = [check for report in reports for check in report.checks if check.outcome is not Outcome.PASS]
        return [*found, *(Finding(check.name, check.span, check.detail) for check in checks)]


type Act = Callable[[Victim], Finding]


def edit(table: str, statement: str, finding: Finding) -> Act:
    """Change a table past its triggers."""

    def act(victim: Victim) -> Finding:
        with triggers_off(victim.connection, table):
            victim.connection.execute(statement.encode())
        return finding

    return act


def run(statement: str, finding: Finding) -> Act:
    def act(victim: Victim) -> Finding:
        victim.connection.execute(statement.encode())
        return finding

    return act


def pruning_invented(victim: Victim) -> Finding:
    victim.connection.execute(
        "INSERT INTO ledger.pruning SELECT event_id || 'x', 1, 512, 768, chain, newest, manifest, location, proof "
        "FROM ledger.pruning WHERE min_index = 512"
    )
    victim.connection.execute("UPDATE ledger.log SET min_index = 768 WHERE log_id = 1")
    return Finding("lineage: pruning", (0, 768))


def dropped_and_moved(victim: Victim) -> Finding:
    victim.connection.execute("DROP TABLE ledger.entry_1_256, ledger.entry_1_512")
    victim.connection.execute("UPDATE ledger.log SET min_index = 768 WHERE log_id = 1")
    return Finding("lineage: pruning", (0, 768))


def archive_flip(victim: Victim) -> Finding:
    bundle = victim.archives / "lineage-0-256/tile/entries/000"
    data = bundle.read_bytes()
    bundle.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    return Finding("entries", (0, 1))


def archive_manifest(victim: Victim) -> Finding:
    path = victim.archives / "lineage-256-512" / ARCHIVE_MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["chain_end"] = "0" * 64
    path.write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))
    return Finding("chain")


def archive_removed(victim: Victim) -> Finding:
    shutil.rmtree(victim.archives / "lineage-0-256")
    return Finding("archives", (0, 512))


def gap_unexplained(victim: Victim) -> Finding:
    (victim.export / "pruned.json").unlink()
    return Finding("lineage entries", (0, 256))


def gap_larger(victim: Victim) -> Finding:
    """Leave out more than the entry says was given up."""
    path = victim.export / "pruned.json"
    path.write_bytes(path.read_bytes().replace(b'"min_index":512', b'"min_index":768'))
    for tile in ("entries", "0"):
        (victim.export / f"tile/{tile}/002").unlink()
    return Finding("lineage pruning", (0, 768))


_PRUNED = Finding("lineage: pruning", (0, 512))
ATTACKS: tuple[Attack[Victim], ...] = (
    Attack(
        "the beginning of the log moved",
        SUPERUSER,
        run("UPDATE ledger.log SET min_index = 768 WHERE log_id = 1", Finding("lineage: pruning", (0, 768))),
    ),
    Attack("a pruning made up, with the proof of another", SUPERUSER, pruning_invented),
    *(
        Attack(
            f"a pruning's {column} edited",
            SUPERUSER,
            edit("pruning", f"UPDATE ledger.pruning SET {column} = {value} WHERE min_index = 512", _PRUNED),  # noqa: S608
        )
        for column, value in {
            "chain": "sha256('x')",
            "manifest": "'sha256:00'",
            "location": "'file:///srv/mine'",
            "proof": "'none'",
            "event_id": "'evt_other'",
        }.items()
    ),
    Attack(
        "a pruning deleted", SUPERUSER, edit("pruning", "DELETE FROM ledger.pruning WHERE min_index = 256", _PRUNED)
    ),
    Attack(
        "the next partition dropped by hand",
        SUPERUSER,
        run("DROP TABLE ledger.entry_1_512", Finding("lineage: order", (512, 513))),
    ),
    Attack(
        "the next partition dropped and the beginning moved behind it",
        SUPERUSER,
        dropped_and_moved,
    ),
    Attack(
        "an entry edited that was given up and whose row is still there",
        SUPERUSER,
        edit(
            "entry_1_256",
            "UPDATE ledger.entry SET leaf = sha256('x') WHERE log_id = 1 AND seq = 511",
            Finding("lineage: bodies", (511, 512)),
        ),
    ),
    Attack(
        "a root over what is gone edited",
        SUPERUSER,
        edit(
            "node",
            "UPDATE ledger.node SET hash = sha256('x') WHERE log_id = 1 AND level = 8 AND idx = 0",
            Finding("lineage: checkpoints", (0, 256)),
        ),
    ),
    Attack(
        "a root over what is gone deleted",
        SUPERUSER,
        edit(
            "node",
            "DELETE FROM ledger.node WHERE log_id = 1 AND level = 8 AND idx = 0",
            Finding("lineage: nodes", (0, 256)),
        ),
    ),
    Attack(
        "an entry that is gone made searchable again",
        SUPERUSER,
        run(
            "INSERT INTO ledger.projection SELECT log_id, 3, body_id FROM ledger.projection LIMIT 1",
            Finding("lineage: search columns", (3, 4)),
        ),
    ),
    Attack(
        "a schedule that nobody approved",
        SUPERUSER,
        run("INSERT INTO ledger.retention VALUES ('e', 'r', 'lineage', 1)", Finding("retention")),
    ),
    Attack(
        "a schedule shortened",
        SUPERUSER,
        edit("retention", "UPDATE ledger.retention SET keep_days = 1", Finding("retention")),
    ),
    Attack(
        "the right to prune given to the application",
        SUPERUSER,
        run("GRANT EXECUTE ON FUNCTION ledger.log_prune(text, text) TO mn_app", Finding("guards")),
    ),
    Attack("bit flip in an archive", HAND, archive_flip),
    Attack("an archive's manifest rewritten", HAND, archive_manifest),
    Attack("an archive removed", HAND, archive_removed),
    Attack("the explanation of the gap removed from an export", HAND, gap_unexplained),
    Attack("more left out of an export than was given up", HAND, gap_larger),
)
