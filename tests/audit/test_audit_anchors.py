"""Checkpoints reach places outside the database, and each place shows what the database's owner would hide."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from anchor_servers import served, witness_running
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from ledger_driver import connect, events_append, log_named, one, sequence_all, triggers_off
from psycopg.errors import ForeignKeyViolation, InsufficientPrivilege, NotNullViolation
from pytest_django import Settings
from timestamp_authority import OpensslAuthority, Reply

from audit.adapters.addresses import anchor_at
from audit.adapters.anchor import Anchor, checkpoint_read
from audit.adapters.file_drop import FileDrop
from audit.adapters.git_remote import GitRemote
from audit.adapters.timestamp import TimestampAuthority
from audit.adapters.witness_client import WitnessClient
from audit.anchor_places import places_check
from audit.anchoring import anchor_lags, checkpoints_publish
from audit.enums import AnchorKind
from audit.errors import AnchorAddressError, AnchorContradictionError, AnchorError
from audit.models import AnchorRecord, Entry
from audit.selectors import anchored_size, checkpoint_latest, consistency_proof
from audit.sequencing import checkpoint_store
from audit.tasks import anchors_publish
from modelnotary.ledger.add_checkpoint import signatures_parse
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.cosignature import cosignatures_verify
from modelnotary.ledger.event import Event
from modelnotary.ledger.note import NoteSigner, NoteVerifier
from modelnotary.witness_memory import WitnessFolder

ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def signer(database: Database) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, Ed25519PrivateKey.generate())


@pytest.fixture
def grow(database: Database, signer: NoteSigner) -> Callable[[], bytes]:
    """Let the log grow and sign it; give the note."""

    def grown() -> bytes:
        events_append(database, 5)
        sequence_all(database)
        with connect(database, "sequencer") as connection:
            log = log_named(connection, "lineage")
            size, root = connection.execute("SELECT size, root FROM ledger.head WHERE log_id = 1").fetchall()[0]
            note = checkpoint_sign(Checkpoint(log.origin, size, root), signer)
            checkpoint_store(connection, log, size=size, root=root, note=note.decode())
        return note

    return grown


@pytest.fixture
def note(signer: NoteSigner) -> Callable[..., bytes]:
    """Sign a checkpoint of any tree."""
    return lambda size, root=ROOT: checkpoint_sign(Checkpoint(signer.name, size, root), signer)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    return OpensslAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    return folder


@pytest.fixture
def witness(tmp_path: Path, signer: NoteSigner) -> Iterator[WitnessClient]:
    folder = WitnessFolder(tmp_path / "witness")
    key = folder.create("witness.example/1").verifier
    with witness_running(folder, signer.verifier) as address:
        yield client_of(address, key)


def client_of(address: str, key: NoteVerifier) -> WitnessClient:
    anchor = anchor_at(f"witness+{address}#{key.text}", last=_last, consistency=_consistency)
    assert isinstance(anchor, WitnessClient)
    return anchor


def _last(location: str, origin: str) -> int:
    return 0


def _consistency(_origin: str, old: int, new: int) -> list[bytes]:
    return consistency_proof(log="lineage", old_size=old, new_size=new)


def always(status: int, kind: str, body: bytes) -> Callable[[bytes], Reply]:
    return lambda _: (status, kind, body)


def test_a_folder_keeps_every_checkpoint_and_replaces_none(note: Callable[..., bytes], tmp_path: Path) -> None:
    drop = FileDrop(tmp_path)
    for size in (3, 4, 4):
        name = drop.publish(note(size)).decode()
        assert (tmp_path / name).read_bytes() == note(size)
        assert name.endswith(f"/lineage/{size:012}.checkpoint")
    with pytest.raises(AnchorError, match="one of them is forged"):
        drop.publish(note(4, bytes(32)))
    kept = sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept == [note(3), note(4)]
    origin = checkpoint_read(note(4)).origin
    (tmp_path / origin / "notes.txt").write_text("what else lies there")
    assert (drop.latest(origin), drop.latest("elsewhere.example/log")) == (note(4), None)
    with pytest.raises(AnchorError, match="is it mounted"):
        FileDrop(tmp_path / "share").latest(origin)


def test_a_folder_that_is_not_mounted_is_not_made(note: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(AnchorError, match="is it mounted"):
        FileDrop(tmp_path / "share").publish(note(3))
    assert not (tmp_path / "share").exists()


@pytest.mark.parametrize("origin", ["../up", "a/../../up", "/etc/log", "a//b", ".hidden/log", "a/b\\c", "a/ü"])
def test_no_origin_leads_out_of_the_folder(tmp_path: Path, origin: str) -> None:
    forged = checkpoint_sign(Checkpoint(origin, 3, ROOT), NoteSigner(origin, Ed25519PrivateKey.generate()))
    with pytest.raises(AnchorError, match="cannot be the name of a folder"):
        FileDrop(tmp_path).publish(forged)
    assert not list(tmp_path.iterdir())


def test_a_branch_holds_every_checkpoint_as_a_commit(note: Callable[..., bytes], repository: Path) -> None:
    anchor = GitRemote(repository.as_uri(), "checkpoints/main")
    origin = checkpoint_read(note(9)).origin
    assert anchor.latest(origin) is None
    commits = [anchor.publish(note(size)).decode() for size in (3, 4, 9)]
    assert anchor.publish(note(9)).decode() == commits[-1]
    log = ["git", f"--git-dir={repository}", "log", "--format=%H", "checkpoints/main"]
    assert subprocess.check_output(log, text=True).split() == commits[::-1]
    assert (anchor.latest(origin), anchor.latest("elsewhere.example/log")) == (note(9), None)
    for commit, size in zip(commits, (3, 4, 9), strict=True):
        shown = ["git", f"--git-dir={repository}", "show", f"{commit}:{origin}/checkpoint"]
        assert subprocess.check_output(shown) == note(size)
    for smaller in (note(8), note(9, bytes(32))):
        with pytest.raises(AnchorError, match="rolled back, or one of them is forged"):
            anchor.publish(smaller)
    assert subprocess.check_output(log, text=True).split() == commits[::-1]


def test_git_runs_with_nobodys_configuration(
    note: Callable[..., bytes], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "config"
    trap.write_text(f'[core]\n\thooksPath = {tmp_path}\n[url "file:///elsewhere"]\n\tinsteadOf = file://\n')
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(trap))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert GitRemote(repository.as_uri(), "main").publish(note(3))


def test_a_missing_repository_is_a_fault_that_is_told(note: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(AnchorError, match="git ls-remote failed"):
        GitRemote((tmp_path / "none").as_uri(), "main").publish(note(3))


def test_openssl_accepts_the_timestamp_of_the_whole_note(
    note: Callable[..., bytes], authority: OpensslAuthority
) -> None:
    with served(authority.reply) as address:
        token = TimestampAuthority(address).publish(note(3))
    assert authority.verify(token, note(3))
    assert not authority.verify(token, note(4))


def test_an_authority_that_answers_anything_else_is_refused(
    note: Callable[..., bytes], authority: OpensslAuthority
) -> None:
    kept: list[Reply] = []

    def replay(query: bytes) -> Reply:
        kept.append(authority.reply(query))
        return kept[0]

    def forged(query: bytes) -> Reply:
        status, kind, reply = authority.reply(query)
        return status, kind, reply[:-1] + bytes([reply[-1] ^ 1])  # the signature is what stands last

    refused = bytes.fromhex("30053003020102")  # status 2: rejection
    timestamp = "application/timestamp-reply"
    lies: list[tuple[Callable[[bytes], Reply], str]] = [
        (forged, "does not hold"),
        (lambda _: (200, timestamp, refused), "refused: rejection"),
        (lambda _: (200, timestamp, b"no DER"), "no timestamp"),
        (lambda _: (200, timestamp, b""), "no timestamp"),
        (lambda query: (200, timestamp, authority.reply(query)[2][:-40]), "no timestamp"),
        (lambda query: (200, timestamp, authority.reply(query)[2] + b"\x00"), "no timestamp"),
        (lambda query: (200, "text/html", authority.reply(query)[2]), "text/html"),
        (lambda query: (500, timestamp, authority.reply(query)[2]), "status 500"),
        (lambda _: (302, timestamp, b""), "status 302"),
        (lambda _: (200, timestamp, bytes(300_000)), "more than"),
    ]
    for lie, reason in lies:
        with served(lie) as address, pytest.raises(AnchorError, match=reason):
            TimestampAuthority(address).publish(note(3))
    with served(replay) as address:
        TimestampAuthority(address).publish(note(3))
        with pytest.raises(AnchorError, match="something else than it was asked"):
            TimestampAuthority(address).publish(note(3))
    with pytest.raises(AnchorError, match="not reached"):
        TimestampAuthority(address).publish(note(3))


def test_a_witness_cosigns_as_the_log_grows_and_tells_what_it_saw(
    grow: Callable[[], bytes], witness: WitnessClient
) -> None:
    for _ in range(3):  # from the second time on it says which size it saw, and is asked again
        kept = grow()
        text = kept.decode().partition("\n\n")[0] + "\n"
        [found] = cosignatures_verify(text, signatures_parse(witness.publish(kept)), [witness.key])
        assert found.time == 1_795_255_200
        assert witness.publish(kept)


def test_a_witness_shows_a_rollback_and_a_second_history(
    grow: Callable[[], bytes], note: Callable[..., bytes], witness: WitnessClient
) -> None:
    older, newer = grow(), grow()
    witness.publish(newer)
    with pytest.raises(AnchorError, match="the database was rolled back"):
        witness.publish(older)
    size = checkpoint_read(newer).size
    assert [witness.size_seen(kept) for kept in (older, newer, note(size + 9))] == [size] * 3
    with pytest.raises(AnchorContradictionError, match="status 422"):
        witness.size_seen(note(size))
    with pytest.raises(AnchorError, match="status 422"):
        witness.publish(note(size))
    stranger = NoteSigner("elsewhere.example/log", Ed25519PrivateKey.generate())
    strange = checkpoint_sign(Checkpoint(stranger.name, 3, ROOT), stranger)
    with pytest.raises(AnchorError, match="status 404"):
        witness.publish(strange)
    assert witness.size_seen(strange) is None


def test_an_answer_that_the_witness_did_not_sign_is_refused(
    grow: Callable[[], bytes], witness: WitnessClient, tmp_path: Path
) -> None:
    other = WitnessFolder(tmp_path / "other").create(witness.key.name)
    kept = grow()
    checkpoint = Checkpoint.from_text(kept.decode().partition("\n\n")[0] + "\n")
    lines = {
        "not with a signature by": f"{other.sign(checkpoint, at=5).line}\n".encode(),
        "does not hold|not a valid|signature": b"\xe2\x80\x94 x AAAA\n",
        "1 to 16 lines": b"<html>",
    }
    for reason, line in lines.items():
        with (
            served(always(200, "text/plain", line)) as address,
            pytest.raises(AnchorError, match=reason),
        ):
            replace(witness, url=address).publish(kept)
    with (
        served(lambda _: (409, "text/x.tlog.size", b"1_0\n")) as address,
        pytest.raises(AnchorError, match="malformed"),
    ):
        replace(witness, url=address).publish(kept)


# Always the same, so that every test process names its cases alike.
KEY = NoteSigner("witness.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/srv/anchors",
        "file://host/srv",
        "file:srv",
        "ftp://host/x",
        "s3://bucket",
        "s3+https://host/bucket",
        "s3+https://host/bucket?region=eu-central-1",
        "s3+https://host/bucket?region=eu-central-1&days=0",
        "s3+https://host/bucket/folder?region=eu-central-1&days=9",
        "s3+https://user:secret@host/bucket?region=eu-central-1&days=9",
        "s3+ftp://host/bucket?region=eu-central-1&days=9",
        "git+file:///repo.git",
        "git+file:///repo.git#-x",
        "git+file:///repo.git#a..b",
        "git+file:///repo.git#a b",
        "git+ext::sh -c id#main",
        "git+http://host/repo.git#main",
        "git+https://user:secret@host/repo.git#main",
        "tsa+ftp://host",
        "tsa+http://",
        "tsa+http://[host",
        "witness+https://host/",
        "witness+https://host/#key",
        f"witness+https://host/#{KEY.text}",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(AnchorAddressError) as raised:
        anchor_at(address, last=_last, consistency=_consistency)
    assert "secret" not in str(raised.value)


def test_addresses_are_read_back_as_written(tmp_path: Path) -> None:
    witness = WitnessFolder(tmp_path / "witness").create("witness.example/1").verifier
    for address in (
        "file:///srv/anchors",
        "git+file:///srv/repo.git#main",
        "git+https://host/repo.git#main",
        "git+ssh://git@host:2222/repo.git#checkpoints/2026",
        "s3+https://s3.example:9000/our-checkpoints?region=eu-central-1&days=3650",
        "tsa+http://tsa.example/tsr",
        f"witness+https://witness.example/a#{witness.text}",
    ):
        assert anchor_at(address, last=_last, consistency=_consistency).location == address


def anchors_of(*anchors: Anchor) -> list[Anchor]:
    return list(anchors)


def test_each_checkpoint_is_published_once_at_each_place_and_a_fault_waits_for_the_next_run(
    grow: Callable[[], bytes], tmp_path: Path
) -> None:
    grow()
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    anchors = anchors_of(FileDrop(there), FileDrop(here))
    size = checkpoint_latest(log="lineage").size
    first = checkpoints_publish(anchors=anchors)
    assert [(item.size, item.location, item.fault is None) for item in first] == [
        (size, there.as_uri(), False),
        (size, here.as_uri(), True),
    ]
    lags = {lag.location: lag for lag in anchor_lags(anchors=anchors) if lag.log == "lineage"}
    assert (lags[here.as_uri()].entries, lags[here.as_uri()].since) == (0, None)
    assert lags[there.as_uri()].entries == size
    there.mkdir()
    [second] = checkpoints_publish(anchors=anchors)
    assert (second.location, second.fault) == (there.as_uri(), None)
    assert checkpoints_publish(anchors=anchors) == []
    record = AnchorRecord.objects.get(location=there.as_uri())
    assert (there / bytes(record.receipt).decode()).read_bytes() == checkpoint_latest(log="lineage").note.encode()
    grow()
    assert [lag.entries for lag in anchor_lags(anchors=anchors) if lag.since] == [5, 5]
    assert anchored_size(log="lineage", kind=AnchorKind.FILE, location=here.as_uri()) == size


def test_the_beat_the_command_and_readyz_use_the_configured_places(
    grow: Callable[[], bytes], settings: Settings, tmp_path: Path
) -> None:
    grow()
    settings.ANCHORS = [(tmp_path / "share").as_uri()]
    settings.ANCHOR_LAG_SECONDS = 3600
    anchors_publish()  # fails, and says so in the log only
    client = Client(SERVER_NAME="127.0.0.1")
    assert client.get("/readyz").json()["anchor_lag"] == "ok"  # for an hour
    settings.ANCHOR_LAG_SECONDS = 0
    told = client.get("/readyz").json()
    assert "ahead of a file" in told["anchor_lag"]
    assert str(tmp_path) not in told["anchor_lag"]
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("anchor_now", "--json", stdout=out)
    [failed] = json.loads(out.getvalue())["published"]
    assert "is it mounted" in failed["fault"]
    (tmp_path / "share").mkdir()
    anchors_publish()
    assert client.get("/readyz").json()["anchor_lag"] == "ok"
    out = StringIO()
    call_command("anchor_now", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["published"] == []
    assert [lag["entries"] for lag in told["lags"]] == [0, 0]
    settings.ANCHORS = ["s3://bucket"]
    assert client.get("/readyz").json()["anchor_lag"].startswith("ANCHORS holds")
    with pytest.raises(CommandError, match="not the address of an anchor"):
        call_command("anchor_now")


def configured(database: Database) -> list[list[str]]:
    """The sets of places that the lineage log tells of, one after the other."""
    sequence_all(database)
    entries = Entry.objects.filter(event_type="anchors.configured").order_by("seq")
    events = [Event.from_bytes(bytes(entry.bytes)) for entry in entries]
    return [[place["location"] for place in cast("list[dict[str, str]]", event.data["places"])] for event in events]


def test_each_change_of_the_places_is_an_entry_and_a_receipt_of_another_place_is_found(
    grow: Callable[[], bytes], database: Database, settings: Settings, tmp_path: Path
) -> None:
    before = len(configured(database))
    first, second = tmp_path / "first", tmp_path / "second"
    told: list[list[str]] = []
    for places in ([first], [first, second], [first, second], [second], []):
        settings.ANCHORS = [place.as_uri() for place in places]
        for place in places:
            place.mkdir(exist_ok=True)
        anchors_publish()
        told = configured(database)
        grow()
    assert told[before:] == [[first.as_uri()], [first.as_uri(), second.as_uri()], [second.as_uri()], []]
    with connect(database, "auditor", autocommit=True) as connection:
        # What other tests of this module published without the task has no entry.
        assert places_check(connection).outcome == "fail"
    with connect(database, "superuser") as connection:
        connection.execute("SET session_replication_role = replica")
        with triggers_off(connection, "anchor"):
            ours = [first.as_uri(), second.as_uri()]
            connection.execute("DELETE FROM ledger.anchor WHERE NOT location = ANY(%s)", (ours,))
            assert places_check(connection).outcome == "pass"
            connection.execute("UPDATE ledger.anchor SET location = 'file:///mine' WHERE location = %s", (ours[0],))
        check = places_check(connection)
        connection.rollback()
    assert check.outcome == "fail"
    assert "went to the file file:///mine, which no entry anchors.configured names" in check.detail


def test_only_the_application_records_and_only_what_was_signed(grow: Callable[[], bytes], database: Database) -> None:
    grow()
    statement = "SELECT ledger.anchor_record(%s, %s, 'file', 'file:///x', %s)"
    size = checkpoint_latest(log="lineage").size
    with connect(database, "app") as connection:
        connection.execute(statement, ("lineage", size, b"first"))
        connection.execute(statement, ("lineage", size, b"second"))
    with connect(database, "auditor") as connection:
        assert one(connection, "SELECT receipt FROM ledger.anchor WHERE location = 'file:///x'") == b"first"
    for log, claimed, fault in (("lineage", size + 1, ForeignKeyViolation), ("other", size, NotNullViolation)):
        with connect(database, "app") as connection, pytest.raises(fault):
            connection.execute(statement, (log, claimed, b""))
    for role in ("auditor", "sequencer", "signer"):
        with connect(database, role) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement, ("lineage", size, b""))


def test_a_lag_is_counted_from_the_oldest_checkpoint_that_waits(grow: Callable[[], bytes], tmp_path: Path) -> None:
    before = timezone.now()
    grow()
    grow()
    [lag] = [lag for lag in anchor_lags(anchors=[FileDrop(tmp_path)]) if lag.since]
    assert lag.since is not None
    assert lag.since <= before + timedelta(seconds=30)
    assert lag.entries == checkpoint_latest(log="lineage").size
