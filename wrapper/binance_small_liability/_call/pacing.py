"""Pacing: the budget of request weight in a calendar minute of Binance's clock.

Nothing here sends or waits. Each endpoint has a budget per limiter and minute. Source: "Limits" on
https://developers.binance.com/docs/margin_trading/general-info
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import attrs
from binance_small_liability_api.operation import Operation

MINUTE = 60_000  # milliseconds
# Binance refuses a timestamp that is 1000 ms ahead of its clock. So 1000 ms after a minute began on
# our clock, it has begun on Binance's too.
MOST_AHEAD = 1_000  # milliseconds
# Binance may count a request in a minute that begins up to this much after the request was made:
# our clock may be behind, and a request takes some time.
LONGEST_DELAY = 10_000  # milliseconds
# Requests can arrive in another order only if they were made within this time of each other.
REORDERING = 500  # milliseconds
# Binance's count may or may not include the requests in flight. Their answers will show it.
SOON = 0.05  # seconds


@attrs.frozen  # not a named tuple, because a reservation in Redis extends it
class Reservation:
    """Weight that was reserved for one request.

    Attributes:
        number: its number within the budget, from 1.
        minute: the minute in which it was made, counted from the epoch. On Binance's clock that
            minute had begun.
        at: when it was made, in milliseconds.
    """

    operation: Operation[..., Any]
    number: int
    minute: int
    at: int


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        kind: `released` if nothing was sent, `answered`, `refused` by an answer that says when
            Binance accepts requests again, or `lost` if no answer arrived.
        used_weight: the count that the answer reported, if any. A refusal has none that uses up
            the budget, because `Retry-After` applies instead.
        minute: the minute of the answer's `Date`, counted from the epoch, if there was one.
    """

    kind: Literal["released", "lost", "answered", "refused"]
    used_weight: int | None = None
    minute: int | None = None


def minute_of(moment: datetime) -> int:
    """The calendar minute of an aware datetime, counted from the epoch."""
    return int(moment.timestamp() * 1000) // MINUTE


class Budget:
    """The weight of one endpoint in one calendar minute.

    Binance's count is at most the sum of its last reported count, the requests in flight, and the
    requests that the reported count may lack. A request waits only if it would exceed the budget
    together with these.
    """

    def __init__(self) -> None:
        self._minute = 0
        # Whether an answer's `Date` began the minute; our clock may still be in the one before.
        self._is_dated = False
        self._counted = 0
        # If the server never reports a count, its budget is unknown.
        self._is_reported = False
        self._number = 0
        # Weight in flight, reserved in this minute and in the one before. Older is forgotten.
        self._in_flight = 0
        self._in_flight_before = 0
        # Requests that the last count may not include. The lost ones and those without a count, by
        # the time at which they were made:
        self._uncounted: list[int] = []
        # Those that may belong to the minute before, by the count in their answer:
        self._late_counts: list[int] = []
        # The last reservation that was made before the latest of these became known.
        self._last_unclear = 0

    def reserve(self, operation: Operation[..., Any], now: int) -> Reservation | float:
        """A reservation at `now` (milliseconds), or the seconds after which to ask again."""
        minute = (now - MOST_AHEAD) // MINUTE
        # A `Date` may begin a minute before our clock does. If our clock is further behind, it was
        # corrected.
        earliest = self._minute - 1 if self._is_dated else self._minute
        if minute < earliest or minute > self._minute:
            self._begin(minute, is_dated=False)
        weight = operation.weight
        used = self._counted + (len(self._uncounted) + len(self._late_counts) + 1) * weight
        if operation.weight_per_minute is not None:
            if used > operation.weight_per_minute:
                return ((self._minute + 1) * MINUTE + MOST_AHEAD - now) / 1000
            if used + self._in_flight + self._in_flight_before > operation.weight_per_minute:
                return SOON
        self._in_flight += weight
        self._number += 1
        return Reservation(operation, self._number, self._minute, now)

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Notes what became of the request."""
        weight = reservation.operation.weight
        if reservation.minute == self._minute:
            self._in_flight = max(0, self._in_flight - weight)
        elif reservation.minute == self._minute - 1:
            self._in_flight_before = max(0, self._in_flight_before - weight)
        else:
            return  # forgotten
        if outcome.kind == "released":
            return
        if outcome.minute == self._minute + 1:
            self._begin(self._minute + 1, is_dated=True)
        if outcome.used_weight is None:
            if outcome.kind == "lost":
                self._uncounted.append(reservation.at)
            elif self._is_reported or outcome.kind == "refused":
                # It has arrived, so the count of a later request includes it.
                self._uncounted.append(reservation.at - REORDERING)
            self._last_unclear = self._number
            return
        self._is_reported = True
        if reservation.minute == self._minute:
            self._counted = max(self._counted, outcome.used_weight)
            if reservation.number > self._last_unclear:
                self._uncounted = [at for at in self._uncounted if at > reservation.at - REORDERING]
                self._late_counts = []
            # A count includes all requests with smaller counts.
            self._late_counts = [count for count in self._late_counts if count > self._counted]
        elif outcome.minute in (None, self._minute) and outcome.used_weight > self._counted:
            self._late_counts.append(outcome.used_weight)
            self._last_unclear = self._number

    def forget_in_flight(self) -> None:
        """In a forked child: the answers will arrive in the parent."""
        self._in_flight = self._in_flight_before = 0

    def _begin(self, minute: int, *, is_dated: bool) -> None:
        self._in_flight_before = self._in_flight if minute == self._minute + 1 else 0
        self._uncounted = [at for at in self._uncounted if at >= minute * MINUTE - LONGEST_DELAY]
        self._minute, self._is_dated = minute, is_dated
        self._counted, self._in_flight, self._late_counts = 0, 0, []
