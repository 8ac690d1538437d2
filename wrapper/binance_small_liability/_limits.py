"""What is known of Binance's limits, shared by all calls of a client."""

import copy
import threading
from collections.abc import Iterator

from . import _time
from ._errors import RateLimitError

# No ban is longer. Source: "IP Limits" on
# https://developers.binance.com/docs/margin_trading/general-info
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds


class Limits:
    """The last used weight, and the moment before which nothing may be sent.

    Sending on after a limit was broken is what turns the limit into a ban. A call waits at most
    `max_wait` seconds for a cool-down to end.
    """

    def __init__(self, max_wait: float) -> None:
        self.used_weight: int | None = None
        self._max_wait = max_wait
        self._lock = threading.Lock()
        # When the cool-down ends, as `_time.monotonic()` counts, and what began it.
        self._cooling: tuple[float, RateLimitError] | None = None

    def cool_down(self, error: RateLimitError) -> None:
        """Send nothing before the `Retry-After` of `error` has passed."""
        if error.retry_after is None:
            return
        end = _time.monotonic() + min(error.retry_after, LONGEST_BAN)
        with self._lock:
            if self._cooling is None or end > self._cooling[0]:
                # A copy, because the original keeps the frames that it passed through.
                self._cooling = end, copy.copy(error)

    def pauses(self) -> Iterator[float]:
        """The seconds to wait before sending, as long as there are any.

        Raises:
            RateLimitError: the one that began the cool-down, where that lasts too long to wait.
        """
        while self._cooling is not None:
            end, error = self._cooling
            seconds = end - _time.monotonic()
            if seconds <= 0:
                return
            if seconds > self._max_wait:
                refusal = copy.copy(error)
                refusal.retry_after = seconds
                raise refusal
            yield seconds
