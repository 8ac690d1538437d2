"""Usual habits: cancel, freeze clocks, run Python without assertions."""

import asyncio
import random
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import freezegun
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    SmallLiabilityClient,
)
from binance_small_liability.testing import FakeBinance

from tests.conftest import CREDENTIALS, ETH, ListCoins
from tests.processes import output
from tests.wire import response, serving


@pytest.mark.usefixtures("no_waiting")
def test_a_storm_of_cancellations_leaves_a_client_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = random.Random(1)
    # If cancelled calls still counted as in flight, they would use up these 10, and the last calls
    # would wait for ever.
    monkeypatch.setattr("binance_small_liability._io.tasks.MOST_IN_FLIGHT", 10)

    async def cancelled(client: AsyncSmallLiabilityClient) -> None:
        task = asyncio.create_task(client.list_coins())
        for _ in range(steps.randrange(30)):
            await asyncio.sleep(0)
        task.cancel()
        # A few end earlier.
        with suppress(asyncio.CancelledError):
            await task

    async def storm(url: str) -> None:
        async with AsyncSmallLiabilityClient(
            **CREDENTIALS, base_url=url, max_retry_wait=3600
        ) as client:
            for _ in range(15):
                await asyncio.gather(*(cancelled(client) for _ in range(10)))
            for coins in await asyncio.gather(*(client.list_coins() for _ in range(20))):
                assert coins == [ETH]

    with serving(response()) as server:
        asyncio.run(storm(server.url))


class TestClocks:
    def test_a_clock_that_jumps_is_corrected_after_each_jump(self) -> None:
        fake = FakeBinance()
        with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
            for jump in (0, 3_600_000, -86_400_000, 0):
                fake.clock_skew = jump
                assert client.list_coins() == fake.coins
        paths = [request.path for request in fake.requests]
        assert paths.count("/api/v3/time") == 3

    @pytest.mark.usefixtures("no_waiting")
    def test_frozen_time(self, list_coins: ListCoins) -> None:
        answers = iter([response({}, 503), response({}, 503), response()])
        frozen_at = datetime(2026, 1, 1, tzinfo=UTC)
        with (
            serving(lambda _: next(answers)) as server,
            # Event loops need the time.
            freezegun.freeze_time(frozen_at, real_asyncio=True),
        ):
            assert list_coins(base_url=server.url, max_retry_wait=0) == [ETH]
        times = [int(dict(request.query)["timestamp"]) for request in server.requests]
        # Each timestamp differs, because Binance could reject a retry as a replay.
        first = round(frozen_at.timestamp() * 1000)
        assert times == [first, first + 1, first + 2]

    def test_time_that_is_moved_forward(self) -> None:
        fake = FakeBinance()
        with (
            freezegun.freeze_time("2026-01-01") as clock,
            SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client,
        ):
            assert client.list_coins() == fake.coins
            clock.tick(timedelta(days=400))
            assert client.list_coins() == fake.coins
        assert len(fake.requests) == 2


def test_without_docstrings_and_assertions() -> None:
    code = """
import runpy, sys
from binance_small_liability import SmallLiabilityClient
from binance_small_liability.testing import FakeBinance
assert False
fake = FakeBinance()
with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
    print(client.list_coins() == fake.coins)
sys.argv = ["binance-small-liability", "--help"]
runpy.run_module("binance_small_liability", run_name="__main__")
"""
    printed = output(sys.executable, "-OO", "-c", code)
    assert printed.startswith("True\n")
    assert "history" in printed
