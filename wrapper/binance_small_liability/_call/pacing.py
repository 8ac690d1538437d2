"""Pacing: the budget of request weight that one endpoint has in each minute of Binance's clock.

Nothing here sends or waits. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import math
from bisect import bisect_right, insort
from typing import Literal, NamedTuple

MINUTE = 60.0  # seconds
# A request whose response was lost arrives at Binance at most this much later.
LATE = 10.0  # seconds
# The responses to requests in flight may show that another one can be sent.
SOON = 0.05  # seconds
# After so many responses in a row without a count, or with the same one, the server does not count.
# Binance's count grows with each request until a minute ends.
_UNCOUNTED = 10


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        kind: `released` if nothing was sent, `lost` if no response arrived, or a 5xx without a
            count, `refused` by a response that says when Binance accepts requests again, or
            `answered`.
        used_weight: the count that the response reported. That of a refusal does not matter,
            because the time that it names applies instead.
    """

    kind: Literal["released", "lost", "refused", "answered"]
    used_weight: int | None = None


class Budget:
    """The weight that may be sent to one endpoint.

    **The rule.** A request occupies its weight from its sending until 60 s after its end, or 70 s
    if its response was lost. A request is sent only if all occupied weight, its own included, is
    within the budget.

    **The proof.** Binance counts a request at some moment between its sending and its end; a lost
    request may arrive 10 s later, so that is its end. Take all requests that Binance counts in one
    minute, and among them the one that was sent last. It was counted less than 60 s after each of
    the others, and it was sent before it was counted. So each of the others ended less than 60 s
    before it was sent, and still occupied its weight. Together they were within the budget. This is
    true for the minutes of any clock, because only durations are measured.

    **Other users** of the address or account appear only in Binance's count. The highest count is
    remembered until its minute is over, and the weight in flight is added to it. A minute is over
    60 s after the first count that it reported, or when a request that was sent after the highest
    count arrived reports a lower one.

    **A mock** is not paced: a server that reports no count, or one that never grows within a
    minute.

    A request whose end is never noted counts as lost, for example in a forked child. So does one
    that is in flight for more than 10 s; after 70 s it no longer occupies its weight. All moments
    are seconds of a clock that never goes back.
    """

    def __init__(self, weight: int, limit: float) -> None:
        """A request uses `weight` of the `limit` of a minute, which may be infinite."""
        self._weight, self._limit = weight, limit
        self._ends: list[float] = []  # when requests end, in order; in flight, as if they were lost
        self._count = 0  # the highest one of the minute
        self._uncounted = 0.0  # how many responses in a row did not count
        self._first = self._highest = -math.inf  # when these counts of the minute arrived

    def left(self, now: float) -> float:
        """The weight that may be sent now; below 0 if others have exceeded the budget."""
        del self._ends[: bisect_right(self._ends, now - MINUTE)]
        if self._uncounted >= _UNCOUNTED:
            return self._limit
        in_flight = len(self._ends) - bisect_right(self._ends, now)
        count = self._count if now < self._first + MINUTE else 0
        return self._limit - max(len(self._ends) * self._weight, count + in_flight * self._weight)

    def reserve(self, now: float) -> float:
        """Reserves the weight of a request and returns 0, or the seconds until another try."""
        if self.left(now) >= self._weight:
            insort(self._ends, now + LATE)
            return 0.0
        if now < self._first + MINUTE and self._count + self._weight > self._limit:
            return self._first + MINUTE - now
        if (len(self._ends) + 1) * self._weight > self._limit and self._ends[0] <= now:
            return self._ends[0] + MINUTE - now
        return SOON

    def settle(self, sent: float, outcome: Outcome, now: float) -> bool:
        """Notes what became of the request that was reserved at `sent`.

        Returns whether it still occupies its weight.
        """
        if sent + LATE in self._ends:
            self._ends.remove(sent + LATE)
        if outcome.used_weight is not None:
            self._learn(outcome.used_weight, sent, now)
        elif outcome.kind == "answered" and self._first == -math.inf:
            self._uncounted += 1
            return False
        if outcome.kind == "released" or self._uncounted >= _UNCOUNTED:
            return False
        insort(self._ends, now + LATE if outcome.kind == "lost" else now)
        return True

    def _learn(self, count: int, sent: float, now: float) -> None:
        if sent >= self._first + MINUTE or (sent >= self._highest and count < self._count):
            self._count, self._first, self._highest = count, now, now
        elif count > self._count:
            self._count, self._highest, self._uncounted = count, now, -math.inf
        elif count == self._count:
            self._uncounted += 1
