"""How far long work is: one line that keeps changing on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from typing import Self, TextIO

_PATIENCE_SECONDS = 1.0
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0
_MEGABYTE = 1_000_000


class _Line:
    """A line for those who would become impatient; silent before.

    Args:
        stream: where to; what it shows on a terminal is gone when the work is done.
        clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._subject: str | None = None
        self._started = self._next = 0.0
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _due(self, subject: str) -> float | None:
        """Give the seconds spent on something, if it is time to say something about it."""
        now = self._clock()
        if subject != self._subject:
            self._subject, self._started, self._next = subject, now, now + _PATIENCE_SECONDS
        if now < self._next:
            return None
        self._next = now + (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS)
        return max(now - self._started, 0.001)

    def _show(self, line: str) -> None:
        if self._is_terminal:
            self._clear()
            self._shown = len(line)
        self._stream.write(line if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0


class Progress(_Line):
    """Tells how far the reading of a log is."""

    def tell(self, log: str, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` entries of a log are read, and say so if it is time to."""
        seconds = self._due(log)
        if seconds is not None:
            speed = round(done / seconds)
            self._show(f"{log}: {done:,} of {total:,} entries ({done * 100 // total} %), {speed:,} per second")


class FilesProgress(_Line):
    """Tells how far the reading of files is; how many there are is not known before."""

    def tell(self, files: int, size: int) -> None:
        """Take note of the files and bytes that are read, and say so if it is time to."""
        seconds = self._due("files")
        if seconds is not None:
            done, speed = size // _MEGABYTE, round(size / _MEGABYTE / seconds)
            self._show(f"{files:,} files, {done:,} MB, {speed:,} MB per second")
