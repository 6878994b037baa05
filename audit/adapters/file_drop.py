"""A folder that somebody else keeps: an auditor's share, a write-once mount, what a log shipper collects."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from audit.adapters.anchor import checkpoint_read, log_folder
from audit.enums import AnchorKind
from audit.errors import AnchorError
from modelnotary.ledger.note import MAX_NOTE_BYTES

_DIGITS = 12
_NAME = re.compile(rf"([0-9]{{{_DIGITS}}})\.checkpoint", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileDrop:
    """Writes each checkpoint to ``ORIGIN/SIZE.checkpoint``; a file there is never replaced.

    The folder itself must exist: a share that is not mounted must not be taken for an empty one.
    """

    kind: ClassVar[AnchorKind] = AnchorKind.FILE
    folder: Path

    @property
    def location(self) -> str:
        """The folder as an address."""
        return self.folder.as_uri()

    def publish(self, note: bytes) -> bytes:
        """Write the checkpoint, on disk before this returns; see `Anchor.publish`.

        Returns:
            The file's name.
        """
        checkpoint = checkpoint_read(note)
        name = log_folder(checkpoint.origin) / f"{checkpoint.size:0{_DIGITS}}.checkpoint"
        try:
            kept = self._keep(self.folder / name, note)
        except OSError as error:
            raise AnchorError(f"cannot write {name} in {self.folder}: {error.strerror}") from error
        if kept != note:
            raise AnchorError(f"{self.folder / name} holds another checkpoint of this size: one of them is forged")
        return str(name).encode()

    def latest(self, origin: str) -> bytes | None:
        """Give the checkpoint of the largest size; see `ReadableAnchor.latest`."""
        folder = self.folder / log_folder(origin)
        if not self.folder.is_dir():
            raise AnchorError(f"the folder {self.folder} is not there; is it mounted?")
        try:
            sizes = [int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))]
            if not sizes:
                return None
            with (folder / f"{max(sizes):0{_DIGITS}}.checkpoint").open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AnchorError(f"cannot read {folder}: {error.strerror}") from error

    def _keep(self, path: Path, note: bytes) -> bytes:
        """Put the file there unless there is one, in one step; give what is there then."""
        if not self.folder.is_dir():
            raise AnchorError(f"the folder {self.folder} is not there; is it mounted?")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part") as file:
            file.write(note)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            try:
                os.link(file.name, path)
            except FileExistsError:
                return path.read_bytes()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path.read_bytes()
