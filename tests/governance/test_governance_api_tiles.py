"""A log as static files: an auditor rebuilds the signed tree from them, and gets nothing that is not signed."""

import hashlib
from typing import Any, cast

import factories
import psycopg
import pytest
import reference_tree
from api_driver import API, Api, require, require_problem
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from audit.enums import LineageEvent
from audit.models import Entry
from audit.sequencing import batch_sequence, checkpoint_store, logs_list
from audit.services import event_record
from governance.enums import Role, Scope
from governance.models import User
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.event import Actor, Subject
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tiles import bundle_decode, tiles_of_level

SIZE = 600
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def user(database: Database) -> User:
    return factories.person(Role.ENGINEER)


@pytest.fixture(scope="module")
def signer(database: Database, user: User) -> NoteSigner:
    """Signs a log of 600 entries, after which 10 more have their place without being signed."""
    with psycopg.connect(database.environment["SEQUENCER_DATABASE_URL"]) as connection:
        log = logs_list(connection)[0]
        signer = NoteSigner(log.origin, Ed25519PrivateKey.generate())
        _grow(SIZE - Entry.objects.filter(log="lineage").count())
        assert batch_sequence(connection, log) == SIZE
        size, root = connection.execute("SELECT size, root FROM ledger.head WHERE log_id = 1").fetchall()[0]
        note = checkpoint_sign(Checkpoint(log.origin, size, root), signer).decode()
        checkpoint_store(connection, log, size=size, root=root, note=note)
        _grow(10)
        assert batch_sequence(connection, log) == 10
    return signer


@pytest.fixture(scope="module")
def auditor(user: User, signer: NoteSigner) -> Api:
    return Api(factories.token(user, Scope.AUDIT_READ))


def _grow(count: int) -> None:
    actor, subject = Actor("system", "test", "A test"), Subject("system", "sys_none")
    with transaction.atomic():
        for number in range(count):
            event_record(
                event=LineageEvent.SYSTEM_REGISTERED,
                actor=actor,
                subject=subject,
                data={"number": number},
                at=timezone.now(),
            )


def _get(api: Api, path: str, **headers: str) -> HttpResponse:
    return cast("HttpResponse", api._client.get(API + path, headers=cast("Any", headers)))


def _file(api: Api, path: str) -> bytes:
    answer = _get(api, f"logs/lineage/{path}")
    assert (answer.status_code, answer["Content-Type"]) == (200, BYTES), answer.content
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in answer["Vary"]
    return answer.content


def test_the_signed_tree_is_rebuilt_from_the_files(auditor: Api, signer: NoteSigner) -> None:
    answer = _get(auditor, "logs/lineage/checkpoint", accept="text/plain")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("text/plain; charset=utf-8", "private, max-age=1")
    assert answer.content.decode() == require(_get(auditor, "logs/lineage/checkpoint"), 200)["note"]
    checkpoint = checkpoint_open(answer.content, signer.verifier)
    assert checkpoint.size == SIZE
    entries = [
        entry for tile in tiles_of_level(None, SIZE) for entry in bundle_decode(_file(auditor, tile.path), tile.width)
    ]
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert reference_tree.root(leaves) == checkpoint.root
    assert b"".join(_file(auditor, tile.path) for tile in tiles_of_level(0, SIZE)) == b"".join(leaves)
    [top] = tiles_of_level(1, SIZE)
    assert _file(auditor, top.path) == reference_tree.root(leaves[:256]) + reference_tree.root(leaves[256:512])


def test_older_partial_files_stay_what_they_were(auditor: Api) -> None:
    whole = _file(auditor, "tile/0/000")
    for width in (1, 2, 255):
        assert _file(auditor, f"tile/0/000.p/{width}") == whole[: 32 * width]
    assert _file(auditor, "tile/entries/002.p/88").startswith(_file(auditor, "tile/entries/002.p/87"))


@pytest.mark.parametrize(
    "path",
    [
        *("tile/0/002", "tile/0/002.p/89", "tile/entries/002.p/98", "tile/entries/002", "tile/1/000"),
        *("tile/2/000.p/1", "tile/1/000.p/3", "tile/63/x999/x999/x999/999", "tile/0/003"),
    ],
)
def test_what_no_checkpoint_covers_is_not_given(auditor: Api, path: str) -> None:
    require_problem(_get(auditor, f"logs/lineage/{path}"), 404, "unknown-entry")
    require_problem(_get(auditor, f"logs/lineage/{path}", accept=BYTES), 404, "unknown-entry")


@pytest.mark.parametrize(
    "path",
    [
        *("tile/0/0", "tile/00/000", "tile/0/x000/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01"),
        *("tile/64/000", "tile/entries/../0/000", "tile/0/000/", "tile/0//000", "tile/0/000.p"),
        "tile/" + "x000/" * 30 + "000",
    ],
)
def test_a_path_has_one_spelling(auditor: Api, path: str) -> None:
    answer = _get(auditor, f"logs/lineage/{path}")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_the_other_log_and_no_log_have_nothing_to_give(auditor: Api) -> None:
    for log in ("access", "mine"):
        require_problem(_get(auditor, f"logs/{log}/tile/0/000"), 404, "unknown-entry")


def test_reading_entries_is_in_the_access_log_and_reading_hashes_is_not(auditor: Api, user: User) -> None:
    looks = Entry.objects.filter(log="access", actor_id=user.id, subject_kind="log_entries")
    before = looks.count()
    _file(auditor, "tile/0/000")
    assert looks.count() == before
    _file(auditor, "tile/entries/000")
    assert looks.count() == before + 1
    assert looks.latest("body_id").subject_id == "lineage/tile/entries/000"
