"""A bucket with object lock (S3 and what speaks its protocol): nobody shortens the retention of what is kept there."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from audit.adapters.anchor import checkpoint_read, log_folder
from audit.enums import AnchorKind
from audit.errors import AnchorError
from modelnotary.ledger.note import MAX_NOTE_BYTES
from modelnotary.times import format_time

COMPLIANCE = "COMPLIANCE"
_SECONDS = 20.0
_DIGITS = 12
_SIZE = re.compile(rf"[0-9]{{{_DIGITS}}}", re.ASCII)
# A key that is there, and one that is being written at this moment.
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True, slots=True)
class LockedBucket:
    """Writes each checkpoint to the key ``ORIGIN/SIZE``, under a retention in compliance mode; a key is never replaced.

    A bucket with object lock keeps all versions of a key, whatever is written or deleted later. So what counts is the
    oldest version of a key: a newer one, or a marker that it was deleted, hides nothing. Credentials are found by
    botocore, in the process's environment or in what the machine was given; the address holds none.

    Attributes:
        endpoint: The store, without a path.
        region: The region that requests are signed for.
        bucket: The bucket's name.
        days: For how long each checkpoint must be kept.
        clock: Gives the present, aware.
    """

    kind: ClassVar[AnchorKind] = AnchorKind.OBJECT_STORE
    endpoint: str
    region: str
    bucket: str
    days: int
    clock: Callable[[], datetime]

    @property
    def location(self) -> str:
        """Store, bucket and retention."""
        return f"s3+{self.endpoint}/{self.bucket}?region={self.region}&days={self.days}"

    def publish(self, note: bytes) -> bytes:
        """Write the checkpoint and see that it is locked; see `Anchor.publish`.

        Returns:
            JSON: the ``endpoint``, ``bucket``, ``key`` and ``version`` that hold it, the ``mode`` and, as
            ``retain_until``, the end of the retention.
        """
        checkpoint = checkpoint_read(note)
        key = f"{log_folder(checkpoint.origin)}/{checkpoint.size:0{_DIGITS}}"
        with self._client() as client:
            until = self._put(client, key, note)
            version = self._oldest(client, key)
            if version is None:
                raise AnchorError(f"{self.location} took {key} and does not have it")
            if self._read(client, key, version) != note:
                raise AnchorError(f"{key} in {self.location} holds another checkpoint of this size: one is forged")
            held = self._lock(client, key, version)
        if until and held < until:
            raise AnchorError(f"{self.location} keeps {key} until {format_time(held)} only, not for {self.days} days")
        receipt = {"endpoint": self.endpoint, "bucket": self.bucket, "key": key, "version": version}
        receipt |= {"mode": COMPLIANCE, "retain_until": format_time(held)}
        return json.dumps(receipt, sort_keys=True).encode()

    def latest(self, origin: str) -> bytes | None:
        """Give the newest checkpoint of a log that is held there; see `ReadableAnchor.latest`.

        A checkpoint whose lock is gone or was never in compliance mode is a fault.
        """
        with self._client() as client:
            key = self._newest_key(client, f"{log_folder(origin)}/")
            version = self._oldest(client, key) if key else None
            if key is None or version is None:
                return None
            self._lock(client, key, version)
            return self._read(client, key, version)

    def _put(self, client: Any, key: str, note: bytes) -> datetime | None:  # noqa: ANN401 - botocore has no types
        """Write the object unless its key is taken; give the end of the retention asked for if it was written."""
        until = self.clock().replace(microsecond=0) + timedelta(days=self.days)
        lock = {"ObjectLockMode": COMPLIANCE, "ObjectLockRetainUntilDate": until}
        try:
            client.put_object(
                Bucket=self.bucket, Key=key, Body=note, IfNoneMatch="*", ChecksumAlgorithm="SHA256", **lock
            )
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _TAKEN:
                raise
            return None
        return until

    def _oldest(self, client: Any, key: str) -> str | None:  # noqa: ANN401
        """Find the version that a key had first."""
        pages = client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
        versions = [item for page in pages for item in page.get("Versions", ()) if item["Key"] == key]
        return str(versions[-1]["VersionId"]) if versions else None  # a key's versions are listed newest first

    def _newest_key(self, client: Any, prefix: str) -> str | None:  # noqa: ANN401
        """Find the key of the largest size, by halving, for there may be a million of them."""
        key, high = self._first_key(client, prefix, ""), 10**_DIGITS - 1
        while key and int(key[-_DIGITS:]) < high:
            middle = (int(key[-_DIGITS:]) + high) // 2
            if later := self._first_key(client, prefix, f"{middle:0{_DIGITS}}"):
                key = later
            else:
                high = middle
        # A deletion hides a key from the listing that was halved, but not from that of all versions.
        behind = {"KeyMarker": key} if key else {}
        pages = client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix, **behind)
        hidden = [item["Key"] for page in pages for item in page.get("Versions", ())]
        return max((name for name in (key or "", *hidden) if _is_size(name, prefix)), default=None)

    def _first_key(self, client: Any, prefix: str, after: str) -> str | None:  # noqa: ANN401
        """Find the first checkpoint's key behind another; whatever else somebody put there hides none."""
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=f"{prefix}{after}", PaginationConfig={"PageSize": 10}
        )
        keys = (str(item["Key"]) for page in pages for item in page.get("Contents", ()))
        return next((key for key in keys if _is_size(key, prefix)), None)

    def _read(self, client: Any, key: str, version: str) -> bytes:  # noqa: ANN401
        body = client.get_object(Bucket=self.bucket, Key=key, VersionId=version)["Body"]
        return bytes(body.read(MAX_NOTE_BYTES + 1))

    def _lock(self, client: Any, key: str, version: str) -> datetime:  # noqa: ANN401
        """Give the end of the retention of an object, which must be in compliance mode and not be over."""
        head = client.head_object(Bucket=self.bucket, Key=key, VersionId=version)
        mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
        if mode is None or until is None:
            raise AnchorError(f"{key} in {self.location} is not locked: the bucket needs object lock")
        if mode != COMPLIANCE:
            raise AnchorError(
                f"{key} in {self.location} is locked in {mode.lower()} mode, which a privileged account can lift; "
                "checkpoints are kept in compliance mode"
            )
        end: datetime = until.astimezone(UTC)
        if end <= self.clock():
            raise AnchorError(f"the lock of {key} in {self.location} ended at {format_time(end)}")
        return end

    @contextmanager
    def _client(self) -> Iterator[Any]:
        # Half a second to load, and only where a bucket is configured.
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.session import get_session

        patience = Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        )
        try:
            client = get_session().create_client(
                "s3", endpoint_url=self.endpoint, region_name=self.region, config=patience
            )
            try:
                yield client
            finally:
                client.close()
        except ClientError as error:
            told = error.response["Error"]
            raise AnchorError(
                f"{self.location} refused: {told['Code']}: {told.get('Message') or 'no reason'}"
            ) from error
        except (BotoCoreError, HTTPClientError, ValueError) as error:  # the last for an address that is none
            raise AnchorError(f"{self.location} not reached: {error}") from error


def _is_size(key: str, prefix: str) -> bool:
    return _SIZE.fullmatch(key.removeprefix(prefix)) is not None
