"""The clocks of this package, and its waits, which tests can skip.

A wait that is skipped moves only the monotonic clock, by which limits are measured. Unix time goes
on as usual: the timestamp of a request that is on its way must not become old.

What depends on a network uses the real clock directly, even while waits are skipped: deadlines of
requests, idle connections, round trips, and the pause after a failure of Redis.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_skipping = 0  # how many `skipping` blocks are open
_skipped = 0.0  # seconds by which the monotonic clock was moved forward instead of waiting
_advanced = 0.0  # seconds by which both clocks were moved forward


def unix_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns() + round(_advanced * 1e9)


def monotonic() -> float:
    """Seconds since an arbitrary moment; never decreases."""
    return time.monotonic() + _advanced + _skipped


def skipped() -> float:
    """The seconds of waits that were skipped."""
    return _skipped


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
    """Within this block, in every thread, the package skips its waits, as if they had passed.

    After the last such block the clocks are the real ones again, so do not use one client both in
    and after the block.
    """
    global _skipping, _skipped, _advanced
    with _lock:
        _skipping += 1
    try:
        yield
    finally:
        with _lock:
            _skipping -= 1
            if not _skipping:
                _skipped = _advanced = 0.0


def skip(seconds: float) -> bool:
    """Skips a wait if waits are skipped; returns whether they are."""
    global _skipped
    if not _skipping:  # without the lock, which another thread could hold during a fork
        return False
    with _lock:
        if _skipping:
            _skipped += seconds
        return bool(_skipping)


def advance(seconds: float) -> bool:
    """Moves both clocks forward if waits are skipped; returns whether they are."""
    global _advanced
    with _lock:
        if _skipping:
            _advanced += seconds
        return bool(_skipping)
