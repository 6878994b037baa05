"""Anchors by their addresses, as ANCHORS lists them."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from audit.adapters.anchor import Anchor
from audit.adapters.file_drop import FileDrop
from audit.adapters.git_remote import GitRemote
from audit.adapters.s3 import LockedBucket
from audit.adapters.timestamp import TimestampAuthority
from audit.adapters.witness_client import WitnessClient
from audit.errors import AnchorAddressError
from modelnotary.ledger.errors import NoteError
from modelnotary.ledger.note import NoteVerifier
from modelnotary.ledger.signature_types import COSIGNATURES

_WEB = frozenset({"http", "https"})
_BRANCH = re.compile(r"(?![-./])(?!.*(?:\.\.|//|\.lock$|[./]$))[A-Za-z0-9._/-]{1,100}", re.ASCII)
_BUCKET = re.compile(
    r"s3\+(?P<endpoint>https?://[A-Za-z0-9.:\[\]-]+)/(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
    r"\?region=(?P<region>[a-z0-9-]{1,40})&days=(?P<days>[1-9][0-9]{0,4})",
    re.ASCII,
)


def anchor_at(
    address: str,
    *,
    last: Callable[[str, str], int],
    consistency: Callable[[str, int, int], Sequence[bytes]],
) -> Anchor:
    """Give the anchor at an address: ``file:``, ``git+…:``, ``s3+…:``, ``tsa+…:`` or ``witness+…:``.

    Args:
        address: As in ANCHORS.
        last: What a `WitnessClient` needs.
        consistency: The same.

    Raises:
        AnchorAddressError: It is none of these, lacks a part, or holds a password.
    """
    try:
        parts = urlsplit(address)
        has_password = parts.password is not None
    except ValueError as error:
        raise AnchorAddressError(f"an address in ANCHORS is malformed: {error}") from error
    if has_password:
        raise AnchorAddressError("an address in ANCHORS holds a password; use a key file for ssh instead")
    kind, _, scheme = parts.scheme.rpartition("+")
    bare = parts._replace(scheme=scheme, fragment="").geturl()
    if not kind and scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return FileDrop(Path(unquote(parts.path)))
    if kind == "git" and _is_repository(scheme, parts) and _BRANCH.fullmatch(parts.fragment):
        return GitRemote(bare, parts.fragment)
    if kind == "s3" and scheme in _WEB and (bucket := _BUCKET.fullmatch(address)):
        return _bucket(bucket)
    if kind == "tsa" and scheme in _WEB and parts.hostname:
        return TimestampAuthority(bare)
    if kind == "witness" and scheme in _WEB and parts.hostname:
        return WitnessClient(bare.rstrip("/"), _witness_key(parts.fragment), last, consistency)
    raise AnchorAddressError(
        f"{address} is not the address of an anchor; write file:///FOLDER, git+https://HOST/REPOSITORY#BRANCH, "
        "s3+https://HOST/BUCKET?region=REGION&days=DAYS, tsa+https://HOST/PATH or witness+https://HOST/PREFIX#VKEY"
    )


def _bucket(address: re.Match[str]) -> LockedBucket:
    return LockedBucket(
        endpoint=address["endpoint"],
        region=address["region"],
        bucket=address["bucket"],
        days=int(address["days"]),
        clock=partial(datetime.now, UTC),
    )


def _is_repository(scheme: str, parts: SplitResult) -> bool:
    return (scheme == "file" and parts.path.startswith("/")) or (scheme in {"https", "ssh"} and bool(parts.hostname))


def _witness_key(text: str) -> NoteVerifier:
    try:
        key = NoteVerifier.from_text(text)
    except NoteError as error:
        raise AnchorAddressError(f"the address of a witness ends in # and its public key: {error}") from error
    if key.algorithm not in COSIGNATURES:
        raise AnchorAddressError(f"the key of {key.name} is not that of a witness")
    return key
