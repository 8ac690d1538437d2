"""How all past exchanges are read: windows of time, and their pages."""

from datetime import datetime, timedelta
from typing import Any

from ._call.call import Caller
from ._errors import ConfigurationError, ContractError
from ._operations import LIST_EXCHANGES
from ._records import EARLIEST_TIME, EPOCH, Exchange

# The contract does not know the largest range. Sibling endpoints allow 30 days.
WINDOW = 30 * 24 * 60 * 60 * 1000  # milliseconds
# A clock that is off by more makes TLS fail, too.
MOST_SKEW = 24 * 60 * 60 * 1000  # milliseconds
PAGE_SIZE = 100  # the contract's maximum
# Far more than an account can fill in 30 days with 10 coins once in 6 hours.
MOST_PAGES = 200
MOST_RESTARTS = 5


async def list_exchanges(
    caller: Caller, start: datetime | None, end: datetime | None, recv_window: int
) -> list[Exchange]:
    """All exchanges from `start` to `end`, oldest first. Each page is retried on its own."""
    first = None if start is None else _milliseconds("start", start)
    last = None if end is None else _milliseconds("end", end)
    if first is not None and last is not None and first > last:
        raise ConfigurationError("start", "must not be later than end")
    for _ in range(MOST_RESTARTS):
        before = caller.clock.correction
        exchanges = await _read(caller, *_range(caller, first, last, recv_window), recv_window)
        # With the corrected clock, "now" is another moment.
        if caller.clock.correction is before:
            return exchanges
    raise ContractError(f"The clock was corrected during each of {MOST_RESTARTS} readings")


def _range(
    caller: Caller, first: int | None, last: int | None, recv_window: int
) -> tuple[int, int]:
    """The first and the last millisecond to ask for, by Binance's clock as far as known."""
    now = caller.clock.now()
    if first is not None and first > now + MOST_SKEW:
        raise ConfigurationError("start", "must not be in the future")
    if last is None:
        # Binance's clock may be ahead of ours by as much as it accepts, or by more if it has not
        # been asked yet.
        last = max(now + recv_window, first or 0)
    last = min(last, now + MOST_SKEW)
    return max(last - WINDOW if first is None else first, EARLIEST_TIME), last


async def _read(caller: Caller, first: int, last: int, recv_window: int) -> list[Exchange]:
    exchanges: list[Exchange] = []
    while first <= last:
        window_end = min(first + WINDOW, last)
        window = _Window(caller, first, window_end, recv_window)
        exchanges += sorted(await window.read(), key=lambda exchange: exchange.time)
        first = window_end + 1
    return exchanges


def _milliseconds(option: str, moment: datetime) -> int:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigurationError(
            option, "must be an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)"
        )
    return (moment - EPOCH) // timedelta(milliseconds=1)


class _Window:
    """The exchanges of at most 30 days."""

    def __init__(self, caller: Caller, start: int, end: int, recv_window: int) -> None:
        self._caller = caller
        self._arguments: dict[str, Any] = {
            "size": PAGE_SIZE,
            "start_time": start,
            "end_time": end,
            "recv_window": recv_window,
        }

    async def read(self) -> list[Exchange]:
        """All pages. They are read again if an exchange was added meanwhile: it moves the rows."""
        for _ in range(MOST_RESTARTS):
            rows = await self._pages()
            if rows is not None:
                return rows
        raise ContractError(f"The history grew during each of {MOST_RESTARTS} readings")

    async def _pages(self) -> list[Exchange] | None:
        """All pages, or None if the total grew between two of them."""
        rows: list[Exchange] = []
        total: int | None = None
        for current in range(1, MOST_PAGES + 1):
            page = await self._caller.call(LIST_EXCHANGES, current=current, **self._arguments)
            if total is not None and page.total > total:
                return None
            if total is not None and page.total < total:
                raise ContractError(f"The history shrank from {total} to {page.total} exchanges")
            total = page.total
            rows += page.rows
            if len(rows) > total:
                raise ContractError(f"The history has {len(rows)} rows, but its total is {total}")
            if len(rows) == total:
                return rows
            if not page.rows:
                raise ContractError(f"The history ends after {len(rows)} of {total} exchanges")
        raise ContractError(f"The history has more than {MOST_PAGES} pages for 30 days")
