"""Entries are archived, verified from the archive alone, told of in the log, and only then dropped."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attack_catalogue
import psycopg
import pytest
from archive_driver import ADA, BEN, LONG_AGO, Scene, grow, partitions_narrow, relations, scheduled_long_ago, settle
from attack_catalogue import Attack
from attack_pruned import ATTACKS, SIX_YEARS, PrunedSurface, Victim
from conftest import Database
from django.conf import settings
from django.core.management import CommandError, call_command
from ledger_driver import connect, event_append, event_bytes, one, triggers_off

from audit.enums import Log
from audit.erasure import hold_release, hold_set
from audit.errors import ExportError, PrunedError
from audit.exporting import log_export
from audit.models import Entry
from audit.pruning import log_read, prunings_of
from audit.selectors import checkpoint_latest, consistency_proof, entry_get, entry_proof, tile_read
from audit.sequencing import logs_list, projection_fill
from modelnotary.ledger.event import Event
from modelnotary.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tiles import Tile
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode
from modelnotary.verify.trust import Trust


@dataclass
class Grown(Scene):
    """A log of 800 entries from 2015 in partitions of 256, and what was taken from it before anything was dropped."""

    entries: list[bytes]
    proofs: dict[int, str]
    sizes: dict[int, bytes]
    exported: Path


def export(folder: Path) -> int:
    return log_export(log="lineage", folder=folder, progress=lambda _done, _total: None).min_index


@pytest.fixture(scope="module")
def grown(database: Database, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    partitions_narrow(database)
    entries = grow(database, keys, 800)
    with connect(database, "auditor") as connection:
        rows = connection.execute("SELECT size, root FROM ledger.checkpoint WHERE log_id = 1")
        sizes: dict[int, bytes] = dict(rows.fetchall())
    proofs = {index: entry_proof(event_id=Event.from_bytes(entries[index]).id).proof for index in (3, 300, 513, 799)}
    exported = tmp_path_factory.mktemp("exported")
    export(exported)
    return Grown(database, keys, tmp_path_factory.mktemp("archives"), entries, proofs, sizes, exported)


@pytest.fixture(scope="module")
def pruned(grown: Grown) -> Grown:
    """The same after two of three full partitions were archived and dropped."""
    scheduled_long_ago(grown.database, SIX_YEARS)
    assert grown.archive("lineage", "--partitions", "2")["min_index"] == 0
    told = grown.archive("lineage", "--partitions", "2", "--drop")
    assert (told["min_index"], len(told["archives"])) == (512, 2)
    assert sorted(told["dropped"]) == ["body_1_0", "body_1_256", "entry_1_0"]
    return grown


def archives(grown: Grown) -> list[Path]:
    return [grown.archives / "lineage-0-256", grown.archives / "lineage-256-512"]


# --- Before anything is dropped: these run first ----------------------------------------------------------------------
def test_nothing_is_due_without_a_schedule(grown: Grown) -> None:
    for option in ((), ("--drop",)):
        with pytest.raises(CommandError, match="no schedule says how long entries of the class lineage are kept"):
            grown.archive("lineage", *option)
    assert list(grown.archives.iterdir()) == []


def test_what_cannot_be_archived_is_refused_in_words(grown: Grown, tmp_path: Path) -> None:
    with connect(grown.database, "superuser") as connection:
        connection.execute("INSERT INTO ledger.retention VALUES ('e', 'r', 'lineage', 30, '2020-01-01')")
        connection.commit()
        try:
            (tmp_path / "file").write_text("")
            with pytest.raises(CommandError, match="cannot archive to"):
                call_command("ledger_archive", "lineage", "--to", str(tmp_path / "file" / "below"))
            with pytest.raises(CommandError, match='no log "nothing"'):
                grown.archive("nothing")
            with pytest.raises(CommandError, match=r"are not archived in .*; archive them first"):
                grown.archive("lineage", "--drop")
            with pytest.raises(CommandError, match="no full partition"):
                grown.archive("access")
        finally:
            with triggers_off(connection, "retention"):
                connection.execute("DELETE FROM ledger.retention")
            connection.commit()
    assert log_read(log="lineage").min_index == 0


def test_a_hold_forbids_to_drop_and_not_to_archive(grown: Grown) -> None:
    scheduled_long_ago(grown.database, SIX_YEARS)
    hold = hold_set(actor=ADA, person=None, log=Log.LINEAGE, matter="case 7", reason="A court", at=datetime.now(UTC))
    try:
        assert len(grown.archive("lineage", "--partitions", "1")["archives"]) == 1
        with pytest.raises(
            CommandError, match=rf"a legal hold forbids to prune log lineage: {hold.pk} \(matter case 7"
        ):
            grown.archive("lineage", "--drop")
        assert Entry.objects.filter(event_type="log.pruned").count() == 0
    finally:
        hold_release(actor=BEN, hold_id=hold.pk, reason="It is over", at=datetime.now(UTC))


def test_a_damaged_archive_and_that_of_something_else_are_not_relied_on(grown: Grown) -> None:
    scheduled_long_ago(grown.database, SIX_YEARS)
    grown.archive("lineage", "--partitions", "1")
    bundle = grown.archives / "lineage-0-256/tile/entries/000"
    good = bundle.read_bytes()
    bundle.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(CommandError, match="does not verify and is not relied on"):
        grown.archive("lineage", "--drop")
    bundle.write_bytes(good)
    other = grown.archives / "lineage-256-512"
    other.symlink_to(grown.archives / "lineage-0-256")
    with pytest.raises(CommandError, match="is the archive of the entries 0 to 255"):
        grown.archive("lineage")
    other.unlink()
    assert log_read(log="lineage").min_index == 0
    # Archived several times by now, told once.
    assert Entry.objects.filter(event_type="archive.sealed").count() == 1


def test_without_the_role_that_may_nothing_is_dropped(grown: Grown) -> None:
    scheduled_long_ago(grown.database, SIX_YEARS)
    grown.archive("lineage", "--partitions", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.ROLE_DATABASE_URLS, "ARCHIVER_DATABASE_URL", "")
        with pytest.raises(CommandError, match="ARCHIVER_DATABASE_URL is not set: only mn_archiver may"):
            grown.archive("lineage", "--drop")
    assert log_read(log="lineage").min_index == 0


# --- After two partitions were dropped --------------------------------------------------------------------------------
def test_what_was_archived_and_dropped_is_gone_and_told(pruned: Grown) -> None:
    with connect(pruned.database, "auditor") as connection:
        # Entry 511 has body 512, which lies with the bodies of what is left; so its row stays with it, and is verified.
        assert (relations(connection, "entry")[0], relations(connection, "body")[0]) == ("entry_1_256", "body_1_512")
        assert one(connection, "SELECT count(*) FROM ledger.projection WHERE log_id = 1 AND seq < 512") == 0
        assert pruned.findings(connection) == {}
    assert [verify_paths([path])[0].exit_code for path in archives(pruned)] == [ExitCode.VERIFIED] * 2
    told = prunings_of(log="lineage")
    assert [(one.start, one.min_index, one.location) for one in told] == [
        (start, start + 256, (pruned.archives / f"lineage-{start}-{start + 256}").as_uri()) for start in (0, 256)
    ]


def test_every_proof_of_what_is_left_still_works_and_old_ones_too(pruned: Grown) -> None:
    checkpoint = checkpoint_latest(log="lineage")
    trust = Trust.from_file(pruned.keys.parent / "trust.json")
    for index in (512, 513, 767, 799):
        proof = entry_proof(event_id=Event.from_bytes(pruned.entries[index]).id)
        assert proof.index == index
        steps = InclusionProof.from_bytes(proof.proof.encode()).path
        verify_inclusion(index, checkpoint.size, leaf_hash(pruned.entries[index]), steps, bytes(checkpoint.root))
    verifier = trust.log_verifier(checkpoint.origin)
    assert verifier is not None
    for index, old in pruned.proofs.items():
        InclusionProof.from_bytes(old.encode()).verify(pruned.entries[index], verifier)
    for size in (256, 512, 768, 800):
        path = consistency_proof(log="lineage", old_size=size, new_size=checkpoint.size)
        verify_consistency(size, checkpoint.size, path, pruned.sizes[size], bytes(checkpoint.root))


def test_what_is_gone_is_refused_with_the_place_of_its_archive(pruned: Grown) -> None:
    for tile, start in ((Tile(None, 0), 0), (Tile(0, 1), 256)):
        with pytest.raises(PrunedError, match=rf"are archived at file:.*lineage-{start}-{start + 256}, as evt_"):
            tile_read(log="lineage", tile=tile)
    assert tile_read(log="lineage", tile=Tile(0, 2))
    assert len(tile_read(log="lineage", tile=Tile(1, 0, 3))) == 96
    for event in (Event.from_bytes(pruned.entries[3]), Event.from_bytes(pruned.entries[511])):
        with pytest.raises(PrunedError, match="entries of its time were archived and dropped"):
            entry_get(event_id=event.id)
    with pytest.raises(PrunedError, match="entries 256 to 511"):
        consistency_proof(log="lineage", old_size=300, new_size=checkpoint_latest(log="lineage").size)


def test_an_export_begins_where_the_log_does_and_is_whole_with_its_archives(pruned: Grown, tmp_path: Path) -> None:
    assert export(tmp_path) == 512
    report = verify_paths([tmp_path, *archives(pruned)])[0]
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()
    assert report.checks[-1].detail == "the archives hold the entries 0 to 511: with them the log is whole"
    assert verify_paths([tmp_path])[0].exit_code is ExitCode.VERIFIED
    (tmp_path / "pruned.json").unlink()
    assert verify_paths([tmp_path])[0].exit_code is ExitCode.INCOMPLETE


def test_an_export_from_before_keeps_what_it_has(pruned: Grown) -> None:
    assert export(pruned.exported) == 0
    assert not (pruned.exported / "pruned.json").exists()
    assert verify_paths([pruned.exported])[0].exit_code is ExitCode.VERIFIED
    (pruned.exported / "tile/entries/001").unlink()
    with pytest.raises(ExportError, match="lacks tile/entries/001, and the log begins at entry 512 now"):
        export(pruned.exported)


def test_the_search_is_made_anew_without_what_is_gone(pruned: Grown) -> None:
    with connect(pruned.database, "superuser") as connection:
        connection.execute("DELETE FROM ledger.projection WHERE log_id = 1")
        connection.execute("UPDATE ledger.projected SET size = 0 WHERE log_id = 1")
        assert one(connection, "SELECT min(seq) FROM ledger.entry_view WHERE log = 'lineage'") == 512
        while projection_fill(connection, logs_list(connection)[0]):
            pass
        assert one(connection, "SELECT min(seq) FROM ledger.projection WHERE log_id = 1") == 512
        assert pruned.findings(connection) == {}
        connection.rollback()


def test_events_still_get_their_place_and_young_ones_stay(pruned: Grown) -> None:
    before = checkpoint_latest(log="lineage").size
    grow(pruned.database, pruned.keys, 300, at=datetime.now(UTC))
    assert checkpoint_latest(log="lineage").size == before + 300
    told = pruned.archive("lineage")
    assert [(one["start"], one["end"]) for one in told["archives"]] == [(512, 768)]
    grow(pruned.database, pruned.keys, 300, log="access", at=datetime.now(UTC))
    scheduled_long_ago(pruned.database, 30, log=Log.ACCESS)
    with pytest.raises(CommandError, match="entries of the class access are kept for 30 days"):
        pruned.archive("access")


def test_a_hold_set_between_pruning_and_dropping_keeps_the_partitions(pruned: Grown) -> None:
    """The rows are still there then; the log is verified with them."""
    with connect(pruned.database, "superuser") as connection:
        connection.execute(
            "INSERT INTO audit_legalhold (id, scope, log, matter, reason, set_by, set_at) "
            "VALUES ('hld_test', 'log', 'lineage', 'case 8', 'A court', 'usr_ada', now())"
        )
        origin = log_read(log="lineage").origin
        with pytest.raises(psycopg.Error, match=r"nothing of .* can be dropped: the legal hold hld_test"):
            connection.execute("SELECT ledger.partition_drop(%s)", (origin,))
        connection.rollback()


# --- What is missing without a reason ---------------------------------------------------------------------------------
def test_a_clean_pruned_log_with_its_archives_raises_no_alarm(pruned: Grown) -> None:
    surface = PrunedSurface(pruned)
    with surface.victim() as victim:
        assert surface.findings(victim) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_missing_without_a_reason_is_named(pruned: Grown, attack: Attack[Victim]) -> None:
    attempt = attack_catalogue.attempt(PrunedSurface(pruned), attack)
    assert attempt.is_detected, f"expected {attempt.expected}, found {[str(finding) for finding in attempt.findings]}"


def test_an_export_does_not_cover_up_a_gap(pruned: Grown, tmp_path: Path) -> None:
    with connect(pruned.database, "superuser") as connection:
        connection.execute("UPDATE ledger.log SET min_index = 768 WHERE log_id = 1")
        connection.commit()
        try:
            with pytest.raises(CommandError, match="no entry explains why"):
                call_command("ledger_export", "lineage", str(tmp_path))
        finally:
            with triggers_off(connection, "log"):
                connection.execute("UPDATE ledger.log SET min_index = 512 WHERE log_id = 1")
            connection.commit()


# --- False entries: the database itself refuses -----------------------------------------------------------------------
def said(pruned: Grown, **changes: Any) -> dict[str, Any]:
    with connect(pruned.database, "auditor") as connection:
        state = log_read(log="lineage")
        chain = one(connection, "SELECT encode(chain, 'hex') FROM ledger.entry WHERE log_id = 1 AND seq = 767")
    data = {"origin": state.origin, "start": 512, "min_index": 768, "chain": chain, "manifest": "sha256:" + "0" * 64}
    return data | {"location": "file:///srv"} | changes


def append(pruned: Grown, kind: str, data: dict[str, Any], *, settled: bool = True) -> str:
    event = Event.from_bytes(event_bytes(**data)).to_bytes().replace(b"system.registered", kind.encode())
    with connect(pruned.database, "app") as connection:
        event_append(connection, event)
    if settled:
        settle(pruned.database, pruned.keys)
    return Event.from_bytes(event).id


FALSE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "of another stretch": ({"end": 1024}, {}),
    "with another manifest": ({"manifest": "sha256:" + "1" * 64}, {}),
    "of another log": ({"origin": "elsewhere/lineage"}, {}),
    "not from where the log begins": ({"start": 0}, {"start": 0}),
    "with another chain": ({"chain_end": "0" * 64}, {"chain": "0" * 64}),
    "beyond what is signed": ({"end": 25_600}, {"min_index": 25_600}),
}


@pytest.mark.parametrize("name", FALSE)
def test_the_database_refuses_to_prune_by_entries_that_do_not_fit(pruned: Grown, name: str) -> None:
    sealed, changes = FALSE[name]
    told = said(pruned)
    archive = {"origin": told["origin"], "start": 512, "end": 768, "manifest": told["manifest"]}
    archive |= {"chain_end": told["chain"], "location": told["location"]}
    seal = append(pruned, "archive.sealed", archive | sealed)
    event = append(pruned, "log.pruned", said(pruned, **changes) | {"archive": seal})
    with connect(pruned.database, "archiver") as connection, pytest.raises(psycopg.Error, match="does not fit log"):
        connection.execute("SELECT ledger.log_prune(%s, '')", (event,))


def test_the_database_refuses_to_prune_without_entries_or_before_their_time(pruned: Grown) -> None:
    other = append(pruned, "model.registered", said(pruned))
    unsigned = append(pruned, "log.pruned", said(pruned) | {"archive": other}, settled=False)
    for event in ("evt_none", other, unsigned):
        with connect(pruned.database, "archiver") as connection, pytest.raises(psycopg.Error, match="no signed entry"):
            connection.execute("SELECT ledger.log_prune(%s, '')", (event,))
    told = said(pruned)
    archive = {"origin": told["origin"], "start": 512, "end": 768, "manifest": told["manifest"]}
    seal = append(pruned, "archive.sealed", archive | {"chain_end": told["chain"], "location": told["location"]})
    event = append(pruned, "log.pruned", told | {"archive": seal})
    for statement, refusal in (
        ("DELETE FROM ledger.retention", "no schedule says"),
        ("UPDATE ledger.retention SET at = now()", "counts 30 days later"),
        ("UPDATE ledger.retention SET keep_days = 36525", "are kept for 36525 days"),
    ):
        with connect(pruned.database, "superuser") as connection:
            with triggers_off(connection, "retention"):
                connection.execute(statement.encode())
            with pytest.raises(psycopg.Error, match=refusal):
                connection.execute("SELECT ledger.log_prune(%s, '')", (event,))
            connection.rollback()
    assert LONG_AGO + timedelta(days=SIX_YEARS) < datetime.now(UTC)
