"""The clock of this package, and its waits, which tests can skip.

What depends on a network uses the real clock directly, even while waits are skipped: deadlines of
requests, idle connections, and the pause after a failure of Redis.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_skipping = 0  # how many `skipping` blocks are open
_skipped_ns = 0  # nanoseconds by which the clock was moved forward instead of waiting


def unix_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns() + _skipped_ns


def monotonic() -> float:
    """Seconds since an arbitrary moment; never decreases."""
    return time.monotonic() + _skipped_ns / 1e9


def sleep(seconds: float) -> None:
    """Waits."""
    if not skip(seconds):
        time.sleep(seconds)


async def async_sleep(seconds: float) -> None:
    """Waits, and lets other tasks run."""
    # The synchronous client does not need anyio.
    import anyio

    await anyio.sleep(0 if skip(seconds) else seconds)


@contextmanager
def skipping() -> Iterator[None]:
    """Within this block, in every thread, the package skips waits: its clock moves forward instead.

    After the last such block the clock is the real one again, so do not use one client both in
    and after the block.
    """
    global _skipping, _skipped_ns
    with _lock:
        _skipping += 1
    try:
        yield
    finally:
        with _lock:
            _skipping -= 1
            if not _skipping:
                _skipped_ns = 0


def skip(seconds: float) -> bool:
    """Moves the clock forward if waits are skipped; returns whether they are."""
    global _skipped_ns
    if not _skipping:  # without the lock, which another thread could hold during a fork
        return False
    with _lock:
        if _skipping:
            _skipped_ns += round(seconds * 1e9)
        return bool(_skipping)
