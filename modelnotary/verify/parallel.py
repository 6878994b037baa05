"""Working on many pieces at once on all processors, in order and in bounded memory."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from modelnotary.verify.errors import WorkerError

# Enough that no worker waits for the reader of the results, few enough that results do not pile up.
_WAITING_PER_WORKER = 2


def ordered_map[Item, Result](
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Apply a function to items in other processes; give the results in the order of the items.

    Args:
        function: a picklable function of picklable things.
        items: read only a little ahead of the results.
        workers: how many processes; with 1 or less the work is done here.

    Raises:
        WorkerError: a process died, for instance for want of memory.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context(_start_method())
    # An interrupt is for the parent, which then ends its workers.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=signal.signal, initargs=ignore) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _WAITING_PER_WORKER * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise WorkerError("a process that was verifying ended suddenly; is there enough memory?") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_method() -> str:
    """How to start a process: copying this one takes milliseconds, but the copy of one with threads can hang."""
    try:
        if len(os.listdir("/proc/self/task")) == 1:  # noqa: PTH208 -- names are all that is wanted
            return "fork"
    except FileNotFoundError:
        return "spawn"
    return "forkserver"
