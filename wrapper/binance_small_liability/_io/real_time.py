"""Time as this package sees it, so that tests need not wait.

It is waited for here alone, and read here alone but for the time that a body may take to arrive,
which really passes even where waiting is skipped.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_skipping = 0  # how many `skipping` blocks are open
_skipped_ns = 0  # how far time was moved on, instead of waiting


def unix_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns() + _skipped_ns


def monotonic() -> float:
    """Seconds since some moment; does not go back."""
    return time.monotonic() + _skipped_ns / 1e9


def sleep(seconds: float) -> None:
    """Wait."""
    if not skip(seconds):
        time.sleep(seconds)


async def async_sleep(seconds: float) -> None:
    """Wait, and let other tasks run."""
    # Only who waits needs it; importing it takes longer than this whole package.
    import anyio

    await anyio.sleep(0 if skip(seconds) else seconds)


@contextmanager
def skipping() -> Iterator[None]:
    """Within this block, in every thread, time moves on at once where the package would wait.

    After the last such block it is what it really is again, so a client should not outlive it.
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
    """Moves time on, if it is to be skipped; says whether it is."""
    global _skipped_ns
    with _lock:
        if _skipping:
            _skipped_ns += round(seconds * 1e9)
        return bool(_skipping)
