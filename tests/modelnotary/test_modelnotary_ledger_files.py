"""Tiles, the hash chain, key files and events."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import public_vectors as vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from modelnotary.ids import new_id
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.chain import CHAIN_START, Chain
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import EventError, KeyFileError, TileError, TreeError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.keys import key_generate, key_load
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import Tile, bundle_decode, bundle_encode, bundle_prefix, tiles_of_level

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@given(st.none() | st.integers(0, 63), st.integers(0, 2**62), st.integers(1, 256))
def test_tile_paths_read_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.from_path(tile.path) == tile


def test_tile_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(None, 0, 5).path == "tile/entries/000.p/5"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/1",
        "tile/00/001",
        "tile/64/001",
        "tile/-1/001",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/257",
        "tile/0/001.p/07",
        "tile/0/001/",
        "/tile/0/001",
        "tile/0/../001",
        "tile/0/001\n",
        "tile/data/001",
        "tile/0/" + "x999/" * 30 + "001",
    ],
)
def test_other_tile_paths_are_refused(path: str) -> None:
    with pytest.raises(TileError):
        Tile.from_path(path)


@pytest.mark.parametrize("part", [{"level": 64}, {"level": -1}, {"index": -1}, {"width": 0}, {"width": 257}])
def test_a_tile_that_cannot_be_is_refused(part: dict[str, int]) -> None:
    with pytest.raises(TileError):
        Tile(**{"level": 0, "index": 0} | part)


def test_a_log_of_70000_entries_has_the_tiles_of_the_specification() -> None:
    bottom = list(tiles_of_level(0, 70_000))
    assert (len(bottom), bottom[-1]) == (274, Tile(0, 273, 112))
    assert list(tiles_of_level(1, 70_000)) == [Tile(1, 0), Tile(1, 1, 17)]
    assert list(tiles_of_level(2, 70_000)) == [Tile(2, 0, 1)]
    assert list(tiles_of_level(3, 70_000)) == []
    assert [tile.level for tile in tiles_of_level(None, 256)] == [None]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 70_000])
def test_a_tile_knows_whether_a_log_has_it(size: int) -> None:
    levels: list[int | None] = [None, 0, 1, 2]
    tiles = {tile for level in levels for tile in tiles_of_level(level, size)}
    guesses = {
        Tile(tile.level, tile.index + more, width) for tile in tiles for more in (0, 1) for width in (1, 255, 256)
    }
    assert all(tile.is_of(size) for tile in tiles)
    assert not any(tile.is_of(size) for tile in guesses - tiles)


@given(st.lists(st.binary(max_size=30), max_size=256))
def test_entry_bundles_read_back(entries: list[bytes]) -> None:
    assert bundle_decode(bundle_encode(entries), len(entries)) == entries


BUNDLE = bundle_encode([b"one", b"", b"three"])


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (BUNDLE, 2),
        (BUNDLE, 4),
        (BUNDLE[:-1], 3),
        (BUNDLE[:6], 3),
        (BUNDLE + b"\x00", 3),
        (b"\xff\xff", 1),
        (b"", 1),
    ],
)
def test_a_bundle_that_does_not_hold_exactly_its_entries_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(TileError):
        bundle_decode(data, width)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5), st.data())
def test_the_whole_entries_before_a_cut_are_read(entries: list[bytes], data: st.DataObject) -> None:
    bundle = bundle_encode(entries)
    cut = data.draw(st.integers(0, len(bundle)))
    prefix = bundle_prefix(bundle[:cut], len(entries))
    assert prefix == entries[: len(prefix)]
    assert len(bundle_encode(prefix)) <= cut
    assert len(prefix) == len(entries) or len(bundle_encode(entries[: len(prefix) + 1])) > cut


@pytest.mark.parametrize("entries", [[b""] * 257, [bytes(65_536)]])
def test_entries_that_do_not_fit_a_bundle_are_refused(entries: list[bytes]) -> None:
    with pytest.raises(TileError):
        bundle_encode(entries)


@vectors.needs_vectors
def test_public_tile_vectors() -> None:
    paths = vectors.load("tile_paths.json")
    for case in paths["c2sp"]["index_encoding"]:
        assert Tile(0, case["n"]).path == f"tile/0/{case['path']}"
    for case in paths["go_height_tagged"]:
        # Go writes a tree height where C2SP fixes it; a full tile there is narrower than ours.
        head, _, rest = case["path"].removeprefix("tile/").partition("/")
        assert head.isdigit()
        if case.get("invalid"):
            with pytest.raises(TileError):
                Tile.from_path(f"tile/{rest}")
        else:
            tile = Tile.from_path(f"tile/{rest}")
            assert (tile.level, tile.index) == (case["L"], case["N"])
    log = vectors.load("tessera_testlog.json")
    entries = [text.encode() for text in log["leaves_utf8"]]
    for size, expected in log["entry_bundle_hex"].items():
        assert bundle_encode(entries[: int(size)]).hex() == expected
        assert bundle_decode(bytes.fromhex(expected), int(size)) == entries[: int(size)]


def test_the_chain_follows_its_definition() -> None:
    origin = hashlib.sha256(b"notary.example/1/lineage").digest()
    leaves = [leaf_hash(bytes([number])) for number in range(3)]
    links, link = [], bytes(32)
    for index, leaf in enumerate(leaves):
        link = hashlib.sha256(b"\x02" + origin + index.to_bytes(8, "big") + link + leaf).digest()
        links.append(link)
    chain = Chain("notary.example/1/lineage")
    assert chain.extend(leaves[:1]) + Chain("notary.example/1/lineage", 1, chain.head).extend(leaves[1:]) == links
    assert Chain("notary.example/2/lineage").extend(leaves) != links
    assert Chain("notary.example/1/lineage", 1).extend(leaves) != links
    assert Chain("notary.example/1/lineage").head == CHAIN_START


def test_a_chain_head_of_another_length_is_refused() -> None:
    with pytest.raises(TreeError):
        Chain("notary.example/1/lineage", 1, bytes(31))


def test_a_generated_key_loads_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "lineage.key"
    key = key_generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_load(path).private_bytes_raw() == key.private_bytes_raw()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lineage.key"
    key = key_generate(path)
    with pytest.raises(KeyFileError, match="never overwritten"):
        key_generate(path)
    assert key_load(path).private_bytes_raw() == key.private_bytes_raw()


def elliptic(encryption: BestAvailableEncryption | NoEncryption) -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


BAD_KEYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "cannot read"),
    "a folder": (
        lambda path: path.rename(path.with_suffix(".old")).with_suffix(".key").mkdir(),
        "cannot read",
    ),
    "readable by the group": (lambda path: path.chmod(0o640), "chmod 600"),
    "writable by others": (lambda path: path.chmod(0o602), "chmod 600"),
    "not a key": (lambda path: path.write_bytes(b"hello"), "no unencrypted private key"),
    "empty": (lambda path: path.write_bytes(b""), "no unencrypted private key"),
    "a key of another kind": (lambda path: path.write_bytes(elliptic(NoEncryption())), "another kind"),
    "an encrypted key": (
        lambda path: path.write_bytes(elliptic(BestAvailableEncryption(b"pw"))),
        "unencrypted",
    ),
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_key_file_that_cannot_be_relied_on_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "lineage.key"
    key_generate(path)
    spoil, message = BAD_KEYS[case]
    spoil(path)
    with pytest.raises(KeyFileError, match=message):
        key_load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lineage.key"
    key_generate(path)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyFileError, match="belongs to user 12345"):
        key_load(path)


EVENT = Event(
    log="lineage",
    type="model_version.registered",
    id=new_id("evt", at=NOW),
    at=NOW,
    actor=Actor("person", "usr_1", "Zoë Example"),
    subject=Subject("model_version", "mv_1", Digest.of(b"model")),
    data={"name": "credit-risk", "thresholds": [0.8, 1, None], "nested": {"ok": True}},
)


@pytest.mark.parametrize("digest", [None, Digest.of(b"model")])
def test_an_event_reads_back_as_itself(digest: Digest | None) -> None:
    event = Event(EVENT.log, EVENT.type, EVENT.id, EVENT.at, EVENT.actor, Subject("model", "mdl_1", digest), EVENT.data)
    assert Event.from_bytes(event.to_bytes()) == event


def test_an_event_is_the_agreed_json() -> None:
    assert parse_canonical(EVENT.to_bytes()) == {
        "v": 1,
        "log": "lineage",
        "type": "model_version.registered",
        "id": EVENT.id,
        "at": "2026-11-21T10:00:00.000000Z",
        "actor": {"kind": "person", "id": "usr_1", "name": "Zoë Example"},
        "subject": {"kind": "model_version", "id": "mv_1", "digest": Digest.of(b"model").text},
        "data": {"name": "credit-risk", "thresholds": [0.8, 1, None], "nested": {"ok": True}},
    }


ENTRY: dict[str, Any] = parse_canonical(EVENT.to_bytes())  # type: ignore[assignment]
BAD_ENTRIES: dict[str, Any] = {
    "a list": [],
    "a member missing": {name: value for name, value in ENTRY.items() if name != "id"},
    "a member too many": ENTRY | {"extra": 1},
    "another version": ENTRY | {"v": 2},
    "true for the version": ENTRY | {"v": True},
    "another log": ENTRY | {"log": "secrets"},
    "a type without a dot": ENTRY | {"type": "registered"},
    "a type in capitals": ENTRY | {"type": "Model.Registered"},
    "an identifier of another kind": ENTRY | {"id": "mv_" + "0" * 32},
    "a number for an identifier": ENTRY | {"id": 7},
    "a time without fraction": ENTRY | {"at": "2026-11-21T10:00:00Z"},
    "a local time": ENTRY | {"at": "2026-11-21T10:00:00.000000+01:00"},
    "an actor of another kind": ENTRY | {"actor": ENTRY["actor"] | {"kind": "robot"}},
    "an actor without a name": ENTRY | {"actor": ENTRY["actor"] | {"name": ""}},
    "an actor's name of two lines": ENTRY | {"actor": ENTRY["actor"] | {"name": "a\nb"}},
    "no actor": ENTRY | {"actor": None},
    "a subject of a strange kind": ENTRY | {"subject": ENTRY["subject"] | {"kind": "Model Version"}},
    "a subject with another digest form": ENTRY | {"subject": ENTRY["subject"] | {"digest": "md5:1"}},
    "a subject with a number for a digest": ENTRY | {"subject": ENTRY["subject"] | {"digest": 1}},
    "data that is a list": ENTRY | {"data": []},
}


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_an_entry_of_another_shape_is_refused(case: str) -> None:
    with pytest.raises(EventError):
        Event.from_bytes(canonical_bytes(BAD_ENTRIES[case]))


@pytest.mark.parametrize("entry", [b"", b"{}", b"null", EVENT.to_bytes() + b"\n", b'{"v":1,"v":1}', bytes(70_000)])
def test_bytes_that_are_no_entry_are_refused(entry: bytes) -> None:
    with pytest.raises(EventError):
        Event.from_bytes(entry)


@pytest.mark.parametrize(
    ("data", "at"),
    [({"text": "a" * 66_000}, NOW), ({"ratio": float("nan")}, NOW), ({}, datetime(2026, 11, 21))],  # noqa: DTZ001
)
def test_an_event_that_cannot_be_an_entry_is_not_written(data: dict[str, Any], at: datetime) -> None:
    with pytest.raises(EventError):
        Event(EVENT.log, EVENT.type, EVENT.id, at, EVENT.actor, EVENT.subject, data).to_bytes()
