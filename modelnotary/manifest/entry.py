"""One file of a manifest with its size, as evidence bundles and archives list it too."""

from dataclasses import dataclass

from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its relative path (empty when the file itself is what is identified), bytes and digest."""

    path: str
    size: int
    digest: Digest

    def to_json(self) -> dict[str, Json]:
        """The entry as JSON."""
        return {"path": self.path, "size": self.size, "sha256": self.digest.hex}
