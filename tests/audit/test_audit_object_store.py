"""Checkpoints in a bucket with object lock: a store that speaks S3 over HTTP, and all that can be wrong there."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from anchor_servers import running
from botocore.session import get_session
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from moto.server import ThreadedMotoServer

from audit.adapters import s3
from audit.adapters.addresses import anchor_at
from audit.adapters.s3 import LockedBucket
from audit.errors import AnchorError
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.note import NoteSigner

REGION = "eu-central-1"
SIGNER = NoteSigner("notary.example/test/lineage", Ed25519PrivateKey.from_private_bytes(bytes(32)))


@dataclass(frozen=True)
class Store:
    """A running store and what its administrator can do."""

    address: str
    client: Any

    def bucket(self, name: str, *, locked: bool = True) -> LockedBucket:
        place = {"LocationConstraint": REGION}
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked, CreateBucketConfiguration=place)
        return bucket_at(self.address, name)

    def put(self, bucket: LockedBucket, size: int, body: bytes, **lock: Any) -> None:
        self.client.put_object(Bucket=bucket.bucket, Key=key_of(size), Body=body, **lock)

    def put_and_delete(self, bucket: LockedBucket, size: int, body: bytes, **lock: Any) -> None:
        self.put(bucket, size, body, **lock)
        self.client.delete_object(Bucket=bucket.bucket, Key=key_of(size))


def bucket_at(address: str, name: str) -> LockedBucket:
    text = f"s3+{address}/{name}?region={REGION}&days=400"
    anchor = anchor_at(text, last=lambda _location, _origin: 0, consistency=lambda _origin, _old, _new: [])
    assert isinstance(anchor, LockedBucket)
    assert anchor.location == text
    return anchor


def key_of(size: int) -> str:
    return f"{SIGNER.name}/{size:012}"


def signed(size: int, root: bytes = bytes(range(32))) -> bytes:
    return checkpoint_sign(Checkpoint(SIGNER.name, size, root), SIGNER)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = get_session().create_client(
        "s3", endpoint_url=address, region_name=REGION, aws_access_key_id="admin", aws_secret_access_key="admin"
    )
    yield Store(address, client)
    client.close()
    server.stop()


def test_every_checkpoint_is_kept_once_and_locked_for_the_whole_time(store: Store) -> None:
    bucket = store.bucket("kept")
    before = datetime.now(UTC)
    for size in (3, 4, 4, 1_000):
        receipt = json.loads(bucket.publish(signed(size)))
        assert (receipt["endpoint"], receipt["bucket"], receipt["mode"]) == (store.address, "kept", "COMPLIANCE")
        held = store.client.get_object(Bucket="kept", Key=receipt["key"], VersionId=receipt["version"])
        assert held["Body"].read() == signed(size)
        assert held["ObjectLockMode"] == "COMPLIANCE"
        assert held["ObjectLockRetainUntilDate"] >= before + timedelta(days=400, seconds=-1)
        assert receipt["key"] == key_of(size)
    keys = [item["Key"] for item in store.client.list_object_versions(Bucket="kept")["Versions"]]
    assert keys == [key_of(3), key_of(4), key_of(1_000)]


def test_the_newest_checkpoint_is_read_back_whatever_was_put_around_it(store: Store) -> None:
    bucket = store.bucket("read")
    assert bucket.latest(SIGNER.name) is None
    for size in (3, 70, 4_000):
        bucket.publish(signed(size))
        assert bucket.latest(SIGNER.name) == signed(size)
    store.client.put_object(Bucket="read", Key=f"{SIGNER.name}/0000000020x", Body=b"in between")
    store.client.put_object(Bucket="read", Key=f"{SIGNER.name}/zzz", Body=b"behind")
    store.client.put_object(Bucket="read", Key=f"{SIGNER.name}-2/000000009000", Body=b"another log")
    store.client.delete_object(Bucket="read", Key=key_of(5_000))
    store.client.delete_object(Bucket="read", Key=key_of(4_000))
    store.put(bucket, 4_000, signed(4_000, bytes(32)))
    assert bucket.latest(SIGNER.name) == signed(4_000)
    assert json.loads(bucket.publish(signed(4_000)))["key"] == key_of(4_000)


def until(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


COMPLIANCE = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until(400)}
GOVERNANCE = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until(400)}
# What was there before: how the bucket was made, what lies under the key, and what the product says.
FOUND: dict[str, tuple[bool, Callable[[Store, LockedBucket], object], str]] = {
    "no object lock": (False, lambda _store, _bucket: None, "object lock|ObjectLock|not locked"),
    "no object lock, the checkpoint there already": (
        False,
        lambda store, bucket: store.put(bucket, 3, signed(3)),
        "object lock|ObjectLock|not locked",
    ),
    "the checkpoint there, but not locked": (
        True,
        lambda store, bucket: store.put(bucket, 3, signed(3)),
        "not locked: the bucket needs object lock",
    ),
    "governance mode": (
        True,
        lambda store, bucket: store.put(bucket, 3, signed(3), **GOVERNANCE),
        "governance mode, which a privileged account can lift",
    ),
    "another checkpoint of this size": (
        True,
        lambda store, bucket: store.put(bucket, 3, signed(3, bytes(32)), **COMPLIANCE),
        "holds another checkpoint of this size: one is forged",
    ),
    "another checkpoint hidden by a deletion": (
        True,
        lambda store, bucket: store.put_and_delete(bucket, 3, signed(3, bytes(32)), **COMPLIANCE),
        "holds another checkpoint of this size: one is forged",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_bucket_that_does_not_protect_is_refused_in_words(store: Store, name: str) -> None:
    locked, before, words = FOUND[name]
    bucket = store.bucket("found-" + str(list(FOUND).index(name)), locked=locked)
    before(store, bucket)
    with pytest.raises(AnchorError, match=words):
        bucket.publish(signed(3))


def test_a_lock_that_ended_or_was_weakened_is_told_when_reading(store: Store) -> None:
    bucket = store.bucket("weak")
    bucket.publish(signed(3))
    later = replace(bucket, clock=lambda: until(401))
    with pytest.raises(AnchorError, match="ended at"):
        later.latest(SIGNER.name)
    store.put(bucket, 9, signed(9), **GOVERNANCE)
    with pytest.raises(AnchorError, match="governance mode"):
        bucket.latest(SIGNER.name)


def test_a_store_that_keeps_for_a_shorter_time_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = store.bucket("short")
    lock = LockedBucket._lock
    monkeypatch.setattr(
        LockedBucket, "_lock", lambda self, client, key, version: lock(self, client, key, version) - timedelta(days=1)
    )
    with pytest.raises(AnchorError, match="only, not for 400 days"):
        bucket.publish(signed(3))


def test_a_bucket_that_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(AnchorError, match="NoSuchBucket"):
        bucket_at(store.address, "nowhere").publish(signed(3))
    with pytest.raises(AnchorError, match="NoSuchBucket"):
        bucket_at(store.address, "nowhere").latest(SIGNER.name)


def answering(status: int, body: bytes, release: threading.Event) -> type[BaseHTTPRequestHandler]:
    """A store that gives one answer to everything; status 0 is none, until the test is over."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not status:
                release.wait(60)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT  # noqa: N815 - the names that the standard library calls

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
ANSWERS = {
    "403": (403, DENIED, "refused: AccessDenied: Access Denied"),
    "403 without a word": (403, b"", "refused: 403"),
    "503": (503, b"<Error><Code>SlowDown</Code></Error>", "refused: SlowDown"),
    "200 with a page": (200, b"<html>welcome</html>", "does not have it"),
    "200 with nothing": (200, b"", "does not have it"),
    "slow": (0, b"", "not reached: Read timeout"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_store_that_answers_anything_else_is_a_fault_in_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, body, words = ANSWERS[name]
    monkeypatch.setattr(s3, "_SECONDS", 0.3)
    release = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), answering(status, body, release))
    with running(server) as address:
        try:
            with pytest.raises(AnchorError, match=words):
                bucket_at(address, "bucket").publish(signed(3))
        finally:
            release.set()
    with pytest.raises(AnchorError, match="not reached"):
        bucket_at(address, "bucket").publish(signed(3))


def test_without_credentials_nothing_is_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(AnchorError, match="credentials"):
        bucket_at(store.address, "kept").publish(signed(3))
