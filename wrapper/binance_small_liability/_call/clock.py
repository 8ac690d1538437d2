"""The clock for timestamps: local time plus the measured offset of Binance's clock."""

import time
from collections.abc import Callable
from typing import NamedTuple

from binance_small_liability._io import real_time

# Binance accepts a timestamp that is up to this much ahead of its clock.
MOST_AHEAD = 1_000  # milliseconds


class Correction(NamedTuple):
    """One measurement of the offset. Measurements are compared by identity.

    Attributes:
        offset: milliseconds by which Binance's clock is ahead of this machine's.
        problem: why it could not be measured, or None if it was.
    """

    offset: int = 0
    problem: str | None = None


class Clock:
    """Unix time in whole milliseconds, as Binance counts it.

    Attributes:
        correction: the last measurement of the offset.
        accepted: whether Binance has accepted a timestamp of this clock.
    """

    def __init__(self) -> None:
        self.correction = Correction()
        self.accepted = False

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return real_time.unix_ns() // 1_000_000 + self.correction.offset

    def stopwatch(self) -> Callable[[int], None]:
        """Starts a measurement. Call the result with Binance's time when it arrives.

        The measurement assumes that Binance read its clock halfway between request and answer.
        """
        start, began = real_time.unix_ns() // 1_000_000, time.monotonic()

        def stop(server_time: int) -> None:
            midway = start + round((time.monotonic() - began) * 1000 / 2)
            self.correction = Correction(server_time - midway)

        return stop

    def fail(self, problem: str) -> None:
        """Notes that the offset could not be measured."""
        self.correction = Correction(self.correction.offset, problem)
