"""The files below a folder, in the order of a manifest.

Folders are opened one from the other and never followed through a link, so that a folder which is exchanged for a link
while it is read cannot lead elsewhere, and depth is no matter of the length of a path. Memory holds the names in the
folders from the top to the file at hand.
"""

import os
import stat
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelnotary.manifest.errors import ManifestError
from modelnotary.manifest.format import PATH_LIMIT
from modelnotary.manifest.names import folded, name_fault

DEPTH_LIMIT = 200
KIND_REFUSED = "it is a symbolic link or a special file; give the files themselves"

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that takes the place of a file must not be waited for.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class Opened:
    """A file that is open for reading.

    ``path`` is the one in the manifest, empty for a file alone; ``place`` is where it is, for messages; ``before`` is
    what the system said of it when it was opened.
    """

    path: str
    place: Path
    descriptor: int
    before: os.stat_result

    def close(self) -> None:
        """Close it; once is enough."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def file_open(place: Path) -> Generator[Opened]:
    """Open one file alone.

    Raises:
        ManifestError: it cannot be opened, or is a link.
    """
    yield _file_open("", place, os.fspath(place))


def files_open(root: Path) -> Generator[Opened]:
    """Open all files below a folder, one after the other; whoever takes a file closes it.

    Raises:
        ManifestError: something below is no file and no folder, has a name that no manifest can hold or another
            machine could not tell from its neighbour's, cannot be opened, or changed while it was walked.
    """
    folders = [_Folder("", root, _open(root, os.fspath(root), _FOLDER_FLAGS))]
    try:
        while folders:
            folder = folders[-1]
            name = next(folder.names, None)
            if name is None:
                folder.finish()
                folders.pop()
            elif name.endswith(b"/"):
                if len(folders) > DEPTH_LIMIT:
                    raise ManifestError(folder.place, f"folders nest deeper than {DEPTH_LIMIT} levels")
                folders.append(folder.enter(name[:-1]))
            else:
                yield folder.open(name)
    finally:
        for folder in folders:
            folder.close()


class _Folder:
    """An open folder and the names in it that are still to be visited; those of folders end with a slash."""

    def __init__(self, path: str, place: Path, descriptor: int) -> None:
        self._path = path
        self.place = place
        self._descriptor = descriptor
        try:
            self._before = os.fstat(descriptor)
            self.names = iter(self._listing())
        except BaseException:
            self.close()
            raise

    def enter(self, name: bytes) -> "_Folder":
        path, place = self._below(name)
        return _Folder(f"{path}/", place, _open(place, name, _FOLDER_FLAGS, self._descriptor))

    def open(self, name: bytes) -> Opened:
        path, place = self._below(name)
        if len(path.encode()) > PATH_LIMIT:
            raise ManifestError(place, f"its path is longer than {PATH_LIMIT:,} bytes")
        return _file_open(path, place, name, self._descriptor)

    def finish(self) -> None:
        """Close the folder, all of which was visited.

        Raises:
            ManifestError: its files are no longer the ones that were listed.
        """
        after = os.fstat(self._descriptor)
        self.close()
        if not is_unchanged(self._before, after):
            raise ManifestError(self.place, "files were added to it or removed from it while it was being read")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _below(self, name: bytes) -> tuple[str, Path]:
        text = name.decode()
        return f"{self._path}{text}", self.place / text

    def _listing(self) -> list[bytes]:
        """The names in the order in which the paths below them sort: ``a-b`` comes before ``a/b``."""
        names: list[bytes] = []
        faults: dict[bytes, str] = {}
        try:
            with os.scandir(self._descriptor) as children:
                for child in children:
                    name = os.fsencode(child.name)
                    is_folder = child.is_dir(follow_symlinks=False)
                    names.append(name + b"/" if is_folder else name)
                    if fault := name_fault(name):
                        faults[name] = fault
                    elif not is_folder and not child.is_file(follow_symlinks=False):
                        faults[name] = KIND_REFUSED
        except OSError as error:
            raise ManifestError(self.place, reason(error)) from error
        if faults:
            first = min(faults)
            raise ManifestError(self.place / os.fsdecode(first), faults[first])
        names.sort()
        self._refuse_lookalikes(names)
        return names

    def _refuse_lookalikes(self, names: list[bytes]) -> None:
        """Some machines take names for one that differ in case or in how Unicode composes a letter."""
        seen: dict[str, bytes] = {}
        for name in names:
            other = seen.setdefault(folded(name.rstrip(b"/").decode()), name)
            if other is not name:
                one, two = (ascii(item.rstrip(b"/").decode()) for item in (other, name))
                raise ManifestError(self.place, f"some systems cannot tell {one} from {two} in it; rename one")


def is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether nobody wrote to a file or a folder in between; the time of its status tells also who turns back times."""
    return all(getattr(before, name) == getattr(after, name) for name in ("st_size", "st_mtime_ns", "st_ctime_ns"))


def reason(error: OSError) -> str:
    """Why the system refused, in its words."""
    return error.strerror or type(error).__name__


def _file_open(path: str, place: Path, name: str | bytes, folder: int | None = None) -> Opened:
    descriptor = _open(place, name, _FILE_FLAGS, folder)
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise ManifestError(place, KIND_REFUSED)
    return Opened(path, place, descriptor, before)


def _open(place: Path, name: str | bytes, flags: int, folder: int | None = None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        with suppress(OSError):
            if place.is_symlink():
                raise ManifestError(place, KIND_REFUSED) from error
        raise ManifestError(place, reason(error)) from error
