"""How far a long verification is: one line that keeps changing on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from typing import Self, TextIO

_PATIENCE_SECONDS = 1.0
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Progress:
    """Tells how far the reading of a log is; silent as long as nobody would have become impatient.

    Args:
        stream: where to; what it shows on a terminal is gone when the work is done.
        clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._log = ""
        self._started = self._next = 0.0
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def tell(self, log: str, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` entries of a log are read, and say so if it is time to."""
        now = self._clock()
        if log != self._log:
            self._log, self._started, self._next = log, now, now + _PATIENCE_SECONDS
        if now < self._next:
            return
        self._next = now + (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS)
        speed = round(done / max(now - self._started, 0.001))
        self._show(f"{log}: {done:,} of {total:,} entries ({done * 100 // total} %), {speed:,} per second")

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
