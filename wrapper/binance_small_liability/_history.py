"""Reads past exchanges, 30 days at a time, page by page, and finds out what became of one."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from binance_small_liability_api.operations import list_exchanges as operation
from binance_small_liability_api.records import Exchange
from binance_small_liability_api.values import milliseconds, moment

from ._call.arguments import checked_time
from ._call.call import Caller
from ._call.clock import MOST_AHEAD, Correction
from ._call.pacing import LATE
from ._call.retry import FIRST_BACKOFF, LONGEST_BACKOFF, may_retry
from ._errors import ConfigurationError, ContractError, Receipt, SmallLiabilityError
from ._io import real_time

# The largest range is not documented. Sibling endpoints allow 30 days.
WINDOW = 30 * 24 * 60 * 60 * 1000  # milliseconds
BEGINNING = milliseconds(datetime(2017, 1, 1, tzinfo=UTC))  # Binance began in 2017
PAGE_SIZE = operation.parameters["size"].maximum
# An account that exchanges as often as Binance allows fills about 12 pages in 30 days.
MOST_PAGES = 200
MOST_RESTARTS = 5

log = logging.getLogger("binance_small_liability")


async def list_exchanges(
    caller: Caller, start: datetime | None, end: datetime | None, recv_window: int
) -> list[Exchange]:
    """All exchanges from `start` to `end`, oldest first. Each page is retried on its own."""
    first = None if start is None else checked_time("start", start)
    last = None if end is None else checked_time("end", end)
    if first is not None and last is not None and first > last:
        raise ConfigurationError("start", "must not be later than end")
    if first is not None and first > await _latest(caller, first, recv_window):
        raise ConfigurationError("start", "must not be in the future")
    return await _read(caller, first, last, recv_window)


def _log_pause(seconds: float) -> None:
    fields = {"operation": operation.name, "wait": seconds}
    text = "The history does not list the exchange yet; asking again in %(wait).1f s"
    log.info(text, fields, extra=fields)


async def confirm(
    caller: Caller,
    receipt: Receipt,
    recv_window: int,
    on_pause: Callable[[float], object] = _log_pause,
) -> list[Exchange]:
    """What became of an exchange; an empty list if it did not take effect.

    Args:
        caller: reads the history.
        receipt: of the exchange.
        recv_window: milliseconds for which each request stays valid.
        on_pause: called with the seconds of each pause.
    """
    if not isinstance(receipt, Receipt):
        raise ConfigurationError("receipt", "must be a Receipt; Receipt.from_dict makes one")
    first = checked_time("receipt.sent_at", receipt.sent_at)
    last = checked_time("receipt.conclusive_at", receipt.conclusive_at)
    wanted = {asset.casefold() for asset in receipt.assets}
    begun, pause = real_time.monotonic(), FIRST_BACKOFF
    while True:
        correction, now = caller.clock.correction, caller.clock.now()
        # The exchange reached Binance within `LATE` or never. So after this time the history is
        # conclusive, even if a wrong clock wrote a `conclusive_at` that is days ahead.
        is_last = real_time.monotonic() - begun > (last - first) / 1000 + LATE
        try:
            done = await _read(caller, first, last, recv_window)
            failure = None
        except SmallLiabilityError as error:
            done, failure = [], error
        rows = [each for each in done if each.asset.casefold() in wanted]
        # Binance accepted a timestamp that was not earlier than `now`, so its clock shows more.
        is_last |= now - MOST_AHEAD >= last and caller.clock.correction is correction
        longest = caller.config.max_retry_wait
        if failure is not None and (is_last or not may_retry(failure, longest)):
            raise failure
        if is_last or {each.asset.casefold() for each in rows} >= wanted:
            return rows
        left = last + MOST_AHEAD + 1 - caller.clock.now()
        seconds = min(pause, max(left / 1000, 0))
        pause = min(2 * pause, LONGEST_BACKOFF)
        on_pause(seconds)
        await caller.io.sleep(seconds)


async def _latest(caller: Caller, needed: int, recv_window: int) -> int:
    """The latest time that Binance's clock may show, in milliseconds.

    Before this machine's clock decides that the time `needed` has not come, Binance is asked.
    """
    latest = caller.clock.now() + recv_window
    if needed <= latest:
        return latest
    correction = await caller.correct_clock(caller.clock.correction)
    latest = caller.clock.now() + recv_window
    # Without Binance's time, the request itself shows what is wrong.
    return latest if correction.problem is None else max(latest, needed)


async def _read(
    caller: Caller, first: int | None, last: int | None, recv_window: int
) -> list[Exchange]:
    """All exchanges of a range, which is read again if it changes meanwhile."""
    for _ in range(MOST_RESTARTS):
        latest = await _latest(caller, BEGINNING if first is None else first, recv_window)
        end = latest if last is None else min(last, latest)
        start = max(end - WINDOW if first is None else first, BEGINNING)
        correction = caller.clock.correction
        exchanges: list[Exchange] = []
        while start <= end:
            window = {"start_time": moment(start), "end_time": moment(min(start + WINDOW, end))}
            rows = await _pages(caller, {**window, "recv_window": recv_window}, correction)
            if rows is None:
                break
            exchanges += sorted(rows, key=lambda exchange: exchange.time)
            start += WINDOW + 1
        else:
            return exchanges
    raise ContractError(f"The history grew during each of {MOST_RESTARTS} readings")


async def _pages(
    caller: Caller, window: Mapping[str, object], correction: Correction
) -> list[Exchange] | None:
    """All rows of a window.

    None if an exchange was added, which moves rows to other pages, or if the clock by which the
    window was chosen was corrected.
    """
    rows: list[Exchange] = []
    total: int | None = None
    for current in range(1, MOST_PAGES + 1):
        page = await caller.call(operation, {"current": current, "size": PAGE_SIZE, **window})
        grew = total is not None and page.total > total
        if grew or caller.clock.correction is not correction:
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
