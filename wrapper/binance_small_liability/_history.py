"""Reads all past exchanges, 30 days at a time, page by page."""

from datetime import datetime
from typing import Any

from ._call.call import Caller
from ._errors import ConfigurationError, ContractError
from ._operations import LIST_EXCHANGES
from ._records import EARLIEST_TIME, Exchange, milliseconds

# The largest range is not documented. Sibling endpoints allow 30 days.
WINDOW = 30 * 24 * 60 * 60 * 1000  # milliseconds
PAGE_SIZE = 100  # the contract's maximum
# With 10 coins every 6 hours, an account fills 12 pages in 30 days.
MOST_PAGES = 200
MOST_RESTARTS = 5


async def list_exchanges(
    caller: Caller, start: datetime | None, end: datetime | None, recv_window: int
) -> list[Exchange]:
    """All exchanges from `start` to `end`, oldest first. Each page is retried on its own."""
    # Binance accepts requests while its clock is up to `recv_window` ahead of ours.
    latest = caller.clock.now() + recv_window
    last = latest if end is None else min(_milliseconds("end", end), latest)
    first = last - WINDOW if start is None else _milliseconds("start", start)
    if first > last:
        raise ConfigurationError("start", "must not be later than end, nor in the future")
    first = max(first, EARLIEST_TIME)
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
    return milliseconds(moment)


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
        """All pages. A new exchange moves the rows; then all pages are read again."""
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
