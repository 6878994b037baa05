"""Evidence bundles too large for memory: written as a folder, a log tile by tile (C2SP tlog-tiles v0.1.0).

The manifest of such a bundle lists every file but the tiles. They need no listing: the signed tree covers them, and
there would be one for every 128 entries.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tiles import TILE_WIDTH, Tile, bundle_encode
from modelnotary.ledger.tree import STORED_LEVELS, Frontier, Subtree, perfect_root
from modelnotary.manifest.entry import FileEntry
from modelnotary.verify.bundle_format import (
    KNOWN_FILE,
    MANIFEST_FILE,
    BundleSubject,
    chain_file,
    is_log_tile,
    log_folder,
    manifest_seal,
)
from modelnotary.verify.errors import BundleError


class LogWriter:
    """Writes a log into a bundle folder from its first entry on, in memory for one tile of each level.

    Args:
        folder: the bundle.
        origin: the log's origin.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder = folder / log_folder(origin)
        self._entries: list[bytes] = []
        self._rows: dict[int, list[bytes]] = {}
        self._frontier = Frontier()
        self._chain = Chain(origin)

    @property
    def head(self) -> tuple[int, bytes]:
        """How many entries were written, and the root over them."""
        leaves = self._rows.get(0, [])
        grown = Frontier(self._frontier.size, self._frontier.hashes)
        grown.extend(leaves)
        return grown.size, grown.root()

    def extend(self, entries: Iterable[bytes]) -> None:
        """Add entries in order.

        Raises:
            TileError: an entry has more than 65,535 bytes.
            OSError: a tile cannot be written.
        """
        for entry in entries:
            self._entries.append(entry)
            self._rows.setdefault(0, []).append(leaf_hash(entry))
            if len(self._entries) == TILE_WIDTH:
                self._tile_end()

    def finish(self, note: bytes) -> None:
        """Write what remains, the chain head, and the checkpoint that was signed for the `head`.

        Raises:
            OSError: a file cannot be written.
        """
        size = self._frontier.size + len(self._entries)
        if self._entries:
            self._write(Tile(None, size // TILE_WIDTH, len(self._entries)).path, bundle_encode(self._entries))
            self._chain.extend(self._rows[0])
        for level, row in self._rows.items():
            if row:
                index = (size >> STORED_LEVELS * level) // TILE_WIDTH
                self._write(Tile(level, index, len(row)).path, b"".join(row))
        self._write("chain", chain_file(self._chain.head))
        self._write("checkpoint", note)

    def _tile_end(self) -> None:
        index, leaves = self._frontier.size // TILE_WIDTH, self._rows[0]
        self._write(Tile(None, index).path, bundle_encode(self._entries))
        self._write(Tile(0, index).path, b"".join(leaves))
        self._chain.extend(leaves)
        subtree = Subtree(STORED_LEVELS, index, perfect_root(leaves))
        for completed in (subtree, *self._frontier.extend([subtree.hash], level=STORED_LEVELS)):
            self._hash_add(completed)
        self._entries.clear()
        leaves.clear()

    def _hash_add(self, subtree: Subtree) -> None:
        level = subtree.level // STORED_LEVELS
        row = self._rows.setdefault(level, [])
        row.append(subtree.hash)
        if len(row) == TILE_WIDTH:
            self._write(Tile(level, subtree.index // TILE_WIDTH).path, b"".join(row))
            row.clear()

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def folder_seal(
    folder: Path,
    *,
    subject: BundleSubject,
    logs: Iterable[Checkpoint],
    created_at: datetime,
    private_key: Ed25519PrivateKey,
) -> bytes:
    """Sign the manifest of a bundle folder whose other files are all there, and put everything on disk.

    Args:
        folder: the bundle; it has no manifest yet.
        subject: what it is about.
        logs: the logs in it, each with the size and root of its checkpoint.
        created_at: the present, aware.
        private_key: the decision key.

    Returns:
        The manifest's DSSE envelope, as written.

    Raises:
        BundleError: a file has no place in a bundle, or there is a manifest already.
        OSError: a file cannot be read or written.
    """
    logs = tuple(logs)
    entries = []
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        name = path.relative_to(folder).as_posix()
        if is_log_tile(name, logs):
            continue
        if not KNOWN_FILE.fullmatch(name):
            raise BundleError(f"{name} has no place in a bundle")
        entries.append(FileEntry(name, path.stat().st_size, Digest.of_file(path)))
    entries.sort(key=lambda entry: entry.path)
    manifest = manifest_seal(entries, subject=subject, logs=logs, created_at=created_at, private_key=private_key)
    # Whoever deletes what was exported relies on this: first all files, then the manifest that vouches for them.
    os.sync()
    with (folder / MANIFEST_FILE).open("xb") as file:
        file.write(manifest)
        file.flush()
        os.fsync(file.fileno())
    return manifest
