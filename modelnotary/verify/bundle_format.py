"""What is in an evidence bundle: the names of its files, and the signed manifest over them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.attest.dsse import envelope_sign
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes, parse_canonical
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError, CheckpointError, DigestError, TextError, TileError
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.text import base64_bytes, base64_text
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_encode, tiles_of_level
from modelnotary.ledger.tree import perfect_root
from modelnotary.manifest.entry import FileEntry
from modelnotary.times import format_time, parse_time
from modelnotary.verify.errors import BundleError

MANIFEST_FILE = "manifest.dsse.json"
REPORTS_FILE = "reports.json"
MANIFEST_FORMAT = "modelnotary-bundle/v1"
MANIFEST_PAYLOAD_TYPE = "application/vnd.modelnotary.bundle+json"
KNOWN_FILE = re.compile(
    r"trust\.json|reports\.json"
    r"|logs/[a-z0-9_-]+/(?:checkpoint|chain|pruned\.json|receipts\.json|rotations\.json"
    r"|tile/(?:entries|[0-7])/[0-9x/]+(?:\.p/[0-9]+)?)"
    r"|decisions/(?P<decision>[a-z]+_[0-9a-f]{32})\.dsse\.json"
    r"|evidence/(?P<evidence>[a-z]+_[0-9a-f]{32})\.json"
    r"|evidence/(?P<envelope>[a-z]+_[0-9a-f]{32})\.dsse\.json"
    r"|policies/(?P<policy>[A-Za-z0-9_-]+-v[0-9]+)\.yaml",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class BundleSubject:
    """What a bundle is about, for instance a model version."""

    kind: str
    id: str
    name: str
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """The signed table of contents: every other file, and the state of every log in the bundle."""

    created_at: datetime
    subject: BundleSubject
    files: tuple[FileEntry, ...]
    logs: tuple[Checkpoint, ...]

    def to_bytes(self) -> bytes:
        """Write the manifest as canonical JSON, ready to be signed."""
        digest = self.subject.digest
        return canonical_bytes(
            {
                "format": MANIFEST_FORMAT,
                "created_at": format_time(self.created_at),
                "subject": {
                    "kind": self.subject.kind,
                    "id": self.subject.id,
                    "name": self.subject.name,
                    "digest": None if digest is None else digest.text,
                },
                "files": [file.to_json() for file in self.files],
                "logs": [{"origin": log.origin, "size": log.size, "root": base64_text(log.root)} for log in self.logs],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest, the inverse of `to_bytes`.

        Raises:
            BundleError: the bytes are not the one spelling of a manifest.
        """
        try:
            manifest = cls._from_json(parse_canonical(data))
        except (CanonicalError, TimeFormatError, DigestError, CheckpointError, TextError) as error:
            raise BundleError(f"the manifest is malformed: {error}") from error
        paths = [file.path for file in manifest.files]
        if manifest.to_bytes() != data or paths != sorted(set(paths)):
            raise BundleError("the manifest is not in canonical form, or its files are not in order")
        return manifest

    @classmethod
    def _from_json(cls, value: Json) -> Self:
        match value:
            case {
                "created_at": str(created_at),
                "subject": {
                    "kind": str(kind),
                    "id": str(name),
                    "name": str(label),
                    "digest": (str() | None) as digest,
                },
                "files": [*files],
                "logs": [*logs],
            }:
                subject = BundleSubject(kind, name, label, None if digest is None else Digest.from_text(digest))
                return cls(parse_time(created_at), subject, tuple(map(_file, files)), tuple(map(_log, logs)))
            case _:
                raise BundleError(f"a manifest ({MANIFEST_FORMAT}) has a creation time, subject, files and logs")


def manifest_sign(
    files: Mapping[str, bytes],
    *,
    subject: BundleSubject,
    logs: Iterable[Checkpoint],
    created_at: datetime,
    private_key: Ed25519PrivateKey,
) -> bytes:
    """Make the content of ``manifest.dsse.json`` for the other files of a bundle.

    Returns:
        The DSSE envelope, signed with the decision key.
    """
    entries = [FileEntry(name, len(files[name]), Digest.of(files[name])) for name in sorted(files)]
    return manifest_seal(entries, subject=subject, logs=logs, created_at=created_at, private_key=private_key)


def manifest_seal(
    entries: Iterable[FileEntry],
    *,
    subject: BundleSubject,
    logs: Iterable[Checkpoint],
    created_at: datetime,
    private_key: Ed25519PrivateKey,
) -> bytes:
    """Make the content of ``manifest.dsse.json`` for other files of a bundle, given in the order of their names.

    Returns:
        The DSSE envelope, signed with the decision key.
    """
    manifest = BundleManifest(created_at, subject, tuple(entries), tuple(logs))
    return envelope_sign(MANIFEST_PAYLOAD_TYPE, manifest.to_bytes(), private_key).to_bytes()


def log_files(origin: str, entries: Sequence[bytes], checkpoint: bytes) -> dict[str, bytes]:
    """Make the files of one log for a bundle.

    Args:
        origin: the log's origin.
        entries: all its entries, from 0 up to the size in the checkpoint.
        checkpoint: the signed note.

    Returns:
        File content by name: the checkpoint, the chain head, the entries, and the tiles of hashes, by which a
        verifier can name the exact entry that was changed.
    """
    folder = log_folder(origin)
    leaves = [leaf_hash(entry) for entry in entries]
    chain = Chain(origin)
    chain.extend(leaves)
    files = {f"{folder}/checkpoint": checkpoint, f"{folder}/chain": chain_file(chain.head)}
    for tile in tiles_of_level(None, len(entries)):
        start = tile.index * TILE_WIDTH
        files[f"{folder}/{tile.path}"] = bundle_encode(entries[start : start + tile.width])
    return files | {f"{folder}/{tile.path}": data for tile, data in hash_tiles(leaves)}


def hash_tiles(leaves: Sequence[bytes]) -> Iterator[tuple[Tile, bytes]]:
    """Make the tiles of hashes of a log: the leaves, the roots over 256 leaves each, and so on."""
    row, level = leaves, 0
    while row:
        for start in range(0, len(row), TILE_WIDTH):
            part = row[start : start + TILE_WIDTH]
            yield Tile(level, start // TILE_WIDTH, len(part)), b"".join(part)
        whole = range(TILE_WIDTH, len(row) + 1, TILE_WIDTH)
        row, level = [perfect_root(row[end - TILE_WIDTH : end]) for end in whole], level + 1


def is_log_tile(path: str, logs: Iterable[Checkpoint]) -> bool:
    """Tell whether a path is that of a tile that one of these logs has.

    The signed tree covers what is in it, so a manifest need not list it.
    """
    for log in logs:
        prefix = f"{log_folder(log.origin)}/"
        if path.startswith(prefix):
            try:
                return Tile.from_path(path.removeprefix(prefix)).is_of(log.size)
            except TileError:
                return False
    return False


def log_folder(origin: str) -> str:
    """The folder of a log within a bundle: the last part of its origin names it."""
    return f"logs/{origin.rpartition('/')[2]}"


def chain_file(head: bytes) -> bytes:
    """The content of a log's ``chain`` file."""
    return f"{head.hex()}\n".encode()


def reports_file(reports: Mapping[str, Digest]) -> bytes:
    """Make the content of ``reports.json`` from the digests of the signed PDFs by report id."""
    return canonical_bytes([{"id": name, "sha256": reports[name].hex} for name in sorted(reports)])


def reports_parse(data: bytes) -> dict[str, Digest]:
    """Read ``reports.json``, the inverse of `reports_file`.

    Raises:
        BundleError: it is malformed.
    """
    try:
        match parse_canonical(data):
            case [*items]:
                reports = dict(map(_report, items))
            case _:
                raise BundleError("reports.json is a list")
    except (CanonicalError, DigestError) as error:
        raise BundleError(f"reports.json is malformed: {error}") from error
    if reports_file(reports) != data:
        raise BundleError("reports.json is not in order")
    return reports


def _report(value: Json) -> tuple[str, Digest]:
    match value:
        case {"id": str(name), "sha256": str(digits)}:
            return name, Digest.from_text(f"sha256:{digits}")
        case _:
            raise BundleError("a report in reports.json has the members id and sha256")


def _file(value: Json) -> FileEntry:
    match value:
        case {"path": str(path), "size": int(size), "sha256": str(digits)}:
            return FileEntry(path, int(size), Digest.from_text(f"sha256:{digits}"))
        case _:
            raise BundleError("a file in a manifest has the members path, size and sha256")


def _log(value: Json) -> Checkpoint:
    match value:
        case {"origin": str(origin), "size": int(size), "root": str(root)}:
            return Checkpoint(origin, int(size), base64_bytes(root))
        case _:
            raise BundleError("a log in a manifest has the members origin, size and root")
