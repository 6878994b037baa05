"""A file system of a few megabytes, to be filled to the last byte and freed again."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_TRIES = 100


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system of its own; `folder` is where."""

    folder: Path

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, *, leave: int = 0) -> None:
        """Take all the space but `leave` bytes, also when whoever lives there takes some of it meanwhile."""
        with self.ballast.open("ab") as file:
            for _ in range(_TRIES):
                free = shutil.disk_usage(self.folder).free - leave
                if free <= 0:
                    return
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        raise AssertionError(f"the file system at {self.folder} has not been filled")

    def free(self) -> None:
        self.ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a file system on a folder, which is made; skip the test aloud where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    if not shutil.which("mount"):
        pytest.skip("NO DISK TO FILL: there is no mount command here")
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NO DISK TO FILL: this system does not permit to mount one: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a server that a failed test left behind would otherwise keep it for ever.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
