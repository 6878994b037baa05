"""A log exported as static files gives the signed tree again; it goes on where it stopped and follows the log."""

import hashlib
import json
import re
from io import StringIO
from pathlib import Path

import pytest
import reference_tree
from conftest import Database
from django.conf import settings
from django.core.management import CommandError, call_command
from ledger_driver import chain_links, connect, events_append, head_sign, log_named, sequence_all

from audit.exporting import Exported, log_export
from audit.selectors import tile_read
from modelnotary.ledger.checkpoint import checkpoint_open
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tiles import Tile, bundle_decode, tiles_of_level
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode


@pytest.fixture(scope="module")
def signer(database: Database, keys: Path) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, key_load(keys / "lineage.key"))


def grow(database: Database, signer: NoteSigner, count: int) -> None:
    events_append(database, count)
    sequence_all(database)
    head_sign(database, signer)


def export(folder: Path) -> Exported:
    return log_export(log="lineage", folder=folder, progress=lambda _done, _total: None)


def require_whole(folder: Path, signer: NoteSigner, size: int) -> None:
    """The folder holds the signed tree and nothing else."""
    checkpoint = checkpoint_open((folder / "checkpoint").read_bytes(), signer.verifier)
    assert checkpoint.size == size
    entries = [
        entry
        for tile in tiles_of_level(None, size)
        for entry in bundle_decode((folder / tile.path).read_bytes(), tile.width)
    ]
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert reference_tree.root(leaves) == checkpoint.root
    assert (folder / "chain").read_text() == f"{chain_links(signer.name, leaves)[-1].hex()}\n"
    assert (folder / "trust.json").read_bytes() == (settings.NOTARY_HOME / "trust.json").read_bytes()
    tiles = [tile.path for level in (None, 0, 1) for tile in tiles_of_level(level, size)]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"checkpoint", "chain", "trust.json", *tiles}
    assert b"".join((folder / tile.path).read_bytes() for tile in tiles_of_level(0, size)) == b"".join(leaves)


def test_a_log_is_exported_followed_and_taken_up_again(
    database: Database, signer: NoteSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(database, signer, 300)
    folder = tmp_path / "export"
    assert export(folder) == Exported("lineage", signer.name, 300, 5, 0, 0)
    require_whole(folder, signer, 300)
    [report] = verify_paths([folder])
    assert (report.kind, report.exit_code) == ("log", ExitCode.VERIFIED), report.to_json()
    assert export(folder).kept == 5

    grow(database, signer, 300)
    reads: list[Tile] = []

    def stopping(*, log: str, tile: Tile) -> bytes:
        if len(reads) == 2:
            raise OSError(28, "No space left on device")
        reads.append(tile)
        return tile_read(log=log, tile=tile)

    with monkeypatch.context() as patch:
        patch.setattr("audit.exporting.tile_read", stopping)
        with pytest.raises(CommandError, match="No space left"):
            call_command("ledger_export", "lineage", str(folder))
    assert not (folder / "checkpoint").exists()  # what is not whole does not look whole
    resumed = export(folder)
    assert (resumed.size, resumed.written, resumed.kept) == (600, 3, 4)
    require_whole(folder, signer, 600)

    (folder / "tile/entries/001").write_bytes(b"cut off")
    (folder / "tile/0/000").write_bytes(bytes(8191))
    assert export(folder).written == 2
    require_whole(folder, signer, 600)


def test_the_command_tells_what_it_did(database: Database, signer: NoteSigner, tmp_path: Path) -> None:
    grow(database, signer, 5)
    out = StringIO()
    call_command("ledger_export", "lineage", str(tmp_path / "export"), "--json", stdout=out)
    told = json.loads(out.getvalue())
    require_whole(tmp_path / "export", signer, told["size"])
    assert (told["log"], told["origin"], told["kept"]) == ("lineage", signer.name, 0)


def test_a_folder_with_another_log_is_refused(database: Database, signer: NoteSigner, tmp_path: Path) -> None:
    grow(database, signer, 5)
    export(tmp_path)
    kept = (tmp_path / "checkpoint").read_bytes()
    larger = re.sub(rb"\n\d+\n", b"\n999999\n", kept, count=1)
    for there in (kept.replace(b"lineage", b"other"), larger, b"no checkpoint"):
        (tmp_path / "checkpoint").write_bytes(there)
        with pytest.raises(CommandError, match="give an empty folder"):
            call_command("ledger_export", "lineage", str(tmp_path))
        assert (tmp_path / "checkpoint").read_bytes() == there
    with pytest.raises(CommandError, match="no signed checkpoint"):
        call_command("ledger_export", "access", str(tmp_path / "access"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot export"):
        call_command("ledger_export", "lineage", str(tmp_path / "file" / "below"))
