"""Reads all past exchanges, 30 days at a time, page by page."""

from collections.abc import Callable
from datetime import UTC, datetime

from binance_small_liability_api.operations import list_exchanges as operation
from binance_small_liability_api.records import Exchange, ExchangePage
from binance_small_liability_api.values import milliseconds, moment

from ._call.arguments import checked_time
from ._call.call import Caller
from ._errors import ConfigurationError, ContractError

# The largest range is not documented. Sibling endpoints allow 30 days.
WINDOW = 30 * 24 * 60 * 60 * 1000  # milliseconds
# A clock that is off by more makes TLS fail, too.
MOST_SKEW = 24 * 60 * 60 * 1000  # milliseconds
BEGINNING = milliseconds(datetime(2017, 1, 1, tzinfo=UTC))  # Binance began in 2017
PAGE_SIZE = operation.parameters["size"].maximum
# With 10 coins every 6 hours, an account fills 12 pages in 30 days.
MOST_PAGES = 200
MOST_RESTARTS = 5


async def list_exchanges(
    caller: Caller, start: datetime | None, end: datetime | None, recv_window: int
) -> list[Exchange]:
    """All exchanges from `start` to `end`, oldest first. Each page is retried on its own."""
    first = None if start is None else checked_time("start", start)
    last = None if end is None else checked_time("end", end)
    if first is not None and last is not None and first > last:
        raise ConfigurationError("start", "must not be later than end")

    def bounds() -> tuple[int, int]:
        return _bounds(caller, first, last, recv_window)

    earliest, latest = bounds()
    if earliest > latest:
        return []
    window = _Window(caller, bounds, recv_window)
    exchanges = await window.read()
    # If the clock was wrong, it has been corrected by now.
    latest = window.latest
    while window.end < latest:
        window = _Window(caller, _fixed(window.end + 1, latest), recv_window)
        exchanges += await window.read()
    return exchanges


def _bounds(
    caller: Caller, first: int | None, last: int | None, recv_window: int
) -> tuple[int, int]:
    """The first and the last millisecond to ask for, by Binance's clock as far as known."""
    now = caller.clock.now()
    if first is not None and first > now + MOST_SKEW:
        raise ConfigurationError("start", "must not be in the future")
    if last is None:
        # Binance's clock may be ahead of ours by as much as it accepts, or by more if the client
        # has not requested its time yet.
        last = max(now + recv_window, first or 0)
    last = min(last, now + MOST_SKEW)
    return max(last - WINDOW if first is None else first, BEGINNING), last


def _fixed(start: int, end: int) -> Callable[[], tuple[int, int]]:
    return lambda: (start, end)


class _Window:
    """The exchanges of at most 30 days.

    Attributes:
        start: the first millisecond. Like `end`, it is fixed once the first page has arrived.
        end: the last millisecond.
        latest: the end of all windows.
    """

    def __init__(
        self, caller: Caller, bounds: Callable[[], tuple[int, int]], recv_window: int
    ) -> None:
        """It begins where `bounds` begin, and ends where they end or after 30 days."""
        self._caller = caller
        self._bounds = bounds
        self._recv_window = recv_window
        self.start = self.end = self.latest = 0

    async def read(self) -> list[Exchange]:
        """All pages, sorted. They are read again if an exchange was added: it moves the rows."""
        for _ in range(MOST_RESTARTS):
            rows = await self._pages()
            if rows is not None:
                return sorted(rows, key=lambda exchange: exchange.time)
        raise ContractError(f"The history grew during each of {MOST_RESTARTS} readings")

    async def _pages(self) -> list[Exchange] | None:
        """All pages, or None if the total grew between two of them."""
        rows: list[Exchange] = []
        total: int | None = None
        for current in range(1, MOST_PAGES + 1):
            page = await self._page(current)
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

    async def _page(self, current: int) -> ExchangePage:
        page = await self._caller.call(operation, lambda: self._parameters(current))
        self._bounds = _fixed(self.start, self.latest)
        return page

    def _parameters(self, current: int) -> dict[str, object]:
        self.start, self.latest = self._bounds()
        self.end = min(self.start + WINDOW, self.latest)
        return {
            "current": current,
            "size": PAGE_SIZE,
            "start_time": moment(self.start),
            "end_time": moment(self.end),
            "recv_window": self._recv_window,
        }
