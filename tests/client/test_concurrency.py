"""Many threads or tasks share one client without errors, wrong answers or leaks."""

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    RequestTimeout,
    SmallLiabilityClient,
)
from binance_small_liability._io.connections import MOST_IN_FLIGHT
from binance_small_liability.operations import server_time

from tests.conftest import CREDENTIALS
from tests.wire import DOCUMENTED, WireServer, response, serving, stalled

THREADS = 32
TASKS = 3 * MOST_IN_FLIGHT


def test_threads_share_a_client(server: WireServer) -> None:
    def call(number: int) -> None:
        [coin] = client.list_coins(recv_window=number)
        assert coin.asset == f"N{number}"

    with (
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        list(threads.map(call, range(1, 10 * THREADS)))
    _assert_well_connected(server, calls=10 * THREADS - 1, most=THREADS)


def test_tasks_share_a_client(server: WireServer) -> None:
    async def task(client: AsyncSmallLiabilityClient, number: int) -> None:
        [coin] = await client.list_coins(recv_window=number)
        assert coin.asset == f"N{number}"

    async def calls() -> None:
        # On a slow machine some wait long for a connection.
        patience: dict[str, Any] = {"timeout": 60, **CREDENTIALS}
        async with AsyncSmallLiabilityClient(base_url=server.url, **patience) as client:
            await asyncio.gather(*(task(client, number) for number in range(1, TASKS + 1)))

    asyncio.run(calls())
    _assert_well_connected(server, calls=TASKS, most=MOST_IN_FLIGHT)


def _assert_well_connected(server: WireServer, calls: int, most: int) -> None:
    assert len(server.requests) == calls
    assert len({request.connection for request in server.requests}) <= most
    signatures = {dict(request.query)["signature"] for request in server.requests}
    assert len(signatures) == calls


def test_nothing_leaks() -> None:
    answers = itertools.cycle([response(), response({"code": -1100, "msg": "x"}, 400)])

    def objects_after(calls: int) -> int:
        for _ in range(calls):
            with suppress(ApiError):
                client.list_coins()
        server.requests.clear()
        gc.collect()
        return len(gc.get_objects())

    with (
        serving(lambda _: next(answers)) as server,
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client,
    ):
        before = objects_after(40)
        assert objects_after(160) - before < 40


def test_the_wait_for_a_connection_has_an_end() -> None:
    async def calls(url: str) -> list[Any]:
        async with AsyncSmallLiabilityClient(
            base_url=url, timeout=0.2, max_attempts=1, **CREDENTIALS
        ) as client:
            # The time has no budget that could hold a call back.
            tasks = [client.call(server_time) for _ in range(MOST_IN_FLIGHT + 5)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    with serving(lambda _: stalled()) as server:
        errors = asyncio.run(calls(server.url))
    assert {type(error) for error in errors} == {RequestTimeout}
    # A failed wait for a connection is an attempt too.
    assert {error.attempts for error in errors} == {1}


def test_a_task_that_is_cancelled_while_it_returns_its_connection_returns_it() -> None:
    closing, closed = asyncio.Event(), asyncio.Event()

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield DOCUMENTED

        async def aclose(self) -> None:
            closing.set()
            await asyncio.sleep(0)
            closed.set()

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Body())

    async def call() -> None:
        async with AsyncSmallLiabilityClient(transport=Transport(), **CREDENTIALS) as client:
            task = asyncio.create_task(client.list_coins())
            await closing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(closed.wait(), timeout=10)

    asyncio.run(call())
