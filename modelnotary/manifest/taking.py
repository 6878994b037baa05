"""Taking the digest of a file or a folder, on all processors and in bounded memory.

Threads and not processes: the standard library hashes without holding the interpreter, so two threads read large files
as fast as two processes, and small ones faster; and threads share the open folders and the word to stop.
"""

import hashlib
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore

from modelnotary.ledger.digest import Digest
from modelnotary.manifest.errors import ManifestError
from modelnotary.manifest.format import HEADER, line_write
from modelnotary.manifest.reading import FileReading, Tally, file_read
from modelnotary.manifest.walk import KIND_REFUSED, Opened, file_open, files_open, reason
from modelnotary.processors import processors

_LOOK_SECONDS = 0.2
# Many small files at once, for handing one over costs more than reading it; not so many bytes that a thread starves.
_BATCH_BYTES = 8 * 1024 * 1024
_OPEN_FILES = 128
# Readings that wait for one before them: enough for the other threads while one is in a very large file.
_WAITING_BATCHES = 4096

type Progress = Callable[[int, int], None]
"""``progress(files, size)``: called now and then with the files and the bytes that were read."""


def no_progress(files: int, size: int) -> None:
    """Tell nobody."""


class Taking:
    """Reads a file or folder once; iterate over it to the end, then ask for what it was.

    Args:
        path: what to identify.
        workers: how many threads read; by default one for each processor.
        progress: told how far the reading is.

    Raises:
        ManifestError: it is missing, unreadable, without files, changes while being read, or holds a symbolic link, a
            special file, or a name that a manifest refuses (see `walk`). Of several such things it tells of the first
            in the order of the manifest that the reading comes to.
    """

    def __init__(self, path: Path, *, workers: int | None = None, progress: Progress = no_progress) -> None:
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise ManifestError(path, reason(error)) from error
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ManifestError(path, KIND_REFUSED)
        self.is_folder = stat.S_ISDIR(mode)
        self.file_count = 0
        self.size = 0
        self._path = path
        self._workers = workers or processors()
        self._progress = progress
        self._hash = hashlib.sha256(HEADER)
        self._digest: Digest | None = None

    @property
    def digest(self) -> Digest:
        """The identity: of a file its own digest, of a folder that of the manifest."""
        assert self._digest is not None, "the reading is not at its end"
        return self._digest

    def __iter__(self) -> Iterator[FileReading]:
        opened = files_open(self._path) if self.is_folder else file_open(self._path)
        last: Digest | None = None
        for reading in _Readers(self._workers, self._progress).read(opened):
            self.file_count += 1
            self.size += reading.entry.size
            last = reading.entry.digest
            self._hash.update(line_write(reading.entry.path, last))
            yield reading
        if last is None:
            raise ManifestError(self._path, "the folder holds no files")
        self._digest = Digest(self._hash.digest()) if self.is_folder else last


def content_digest(path: Path) -> Digest:
    """Read a file or folder once and identify it.

    Raises:
        ManifestError: see `Taking`.
    """
    taking = Taking(path)
    for _ in taking:
        pass
    return taking.digest


class _Readers:
    """Threads that read files ahead of whoever takes the readings, which come in the order of the files."""

    def __init__(self, workers: int, progress: Progress) -> None:
        self._workers = workers
        self._progress = progress
        self._tally = Tally()
        self._slots = Semaphore(workers + 2)  # batches whose files are open
        self._waiting: deque[tuple[Sequence[Opened], Future[list[FileReading]]]] = deque()
        self._files = 0

    def read(self, opened: Generator[Opened]) -> Iterator[FileReading]:
        batches = _batches(opened, max(1, _OPEN_FILES // (self._workers + 2)))
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="manifest")
        try:
            for batch in batches:
                self._submit(pool, batch)
                while self._waiting and (self._is_first_done() or len(self._waiting) > _WAITING_BATCHES):
                    yield from self._take()
            while self._waiting:
                yield from self._take()
        finally:
            self._tally.stop()
            pool.shutdown(cancel_futures=True)
            batches.close()
            for left, _ in self._waiting:
                for file in left:
                    file.close()

    def _submit(self, pool: ThreadPoolExecutor, batch: Sequence[Opened] | ManifestError) -> None:
        if isinstance(batch, ManifestError):
            # In its place in the order: a file before it may have a fault of its own.
            failed: Future[list[FileReading]] = Future()
            failed.set_exception(batch)
            self._waiting.append(((), failed))
            return
        while not self._slots.acquire(timeout=_LOOK_SECONDS):
            self._tell()
        self._waiting.append((batch, pool.submit(self._batch_read, batch)))

    def _batch_read(self, batch: Sequence[Opened]) -> list[FileReading]:
        try:
            return [file_read(file, self._tally) for file in batch]
        finally:
            self._slots.release()

    def _is_first_done(self) -> bool:
        return self._waiting[0][1].done()

    def _take(self) -> list[FileReading]:
        future = self._waiting[0][1]
        while not future.done():
            try:
                future.exception(timeout=_LOOK_SECONDS)
            except TimeoutError:
                self._tell()
        readings = future.result()
        self._waiting.popleft()
        self._files += len(readings)
        self._tell()
        return readings

    def _tell(self) -> None:
        self._progress(self._files, self._tally.size)


def _batches(opened: Generator[Opened], files: int) -> Generator[Sequence[Opened] | ManifestError]:
    """Put files together that are read one after the other; a fault on the way comes last, in its place."""
    batch: list[Opened] = []
    size, fault = 0, None
    try:
        while True:
            try:
                file = next(opened)
            except StopIteration:
                break
            except ManifestError as error:
                fault = error
                break
            batch.append(file)
            size += file.before.st_size
            if len(batch) == files or size >= _BATCH_BYTES:
                yield tuple(batch)
                batch, size = [], 0
        if batch:
            yield tuple(batch)
            batch = []
        if fault is not None:
            yield fault
    finally:
        opened.close()
        for file in batch:
            file.close()
