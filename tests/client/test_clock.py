"""A wrong clock is corrected once for all calls."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ClockSkewError,
    Coin,
    SmallLiabilityClient,
)
from binance_small_liability._call.clock import Clock
from binance_small_liability._io import real_time
from binance_small_liability._io.threads import run
from binance_small_liability.testing import FakeBinance, no_waiting

from tests.conftest import CREDENTIALS
from tests.wire import Answer, Request, WireServer, closed, response, serving
from tools.contract import LIST_PATH, TIME_PATH

REFUSED = response({"code": -1021, "msg": "Outside."}, 400)
SKEW = 3_600_000  # milliseconds by which Binance's clock is ahead


def _binance(time_answer: Callable[[int], Answer] | None = None) -> Callable[[Request], Answer]:
    """A Binance with its own clock for checking timestamps."""

    def answer(request: Request) -> Answer:
        now = time.time_ns() // 1_000_000 + SKEW
        if request.path == TIME_PATH:
            return time_answer(now) if time_answer else response({"serverTime": now})
        timestamp, window = (int(dict(request.query)[n]) for n in ("timestamp", "recvWindow"))
        return response() if timestamp < now + 1000 and now - timestamp <= window else REFUSED

    return answer


def _client(server: WireServer, **options: Any) -> SmallLiabilityClient:
    return SmallLiabilityClient(base_url=server.url, **CREDENTIALS, **options)


def _paths(server: WireServer) -> list[str]:
    return ["time" if request.path == TIME_PATH else "list" for request in server.requests]


def test_later_calls_use_the_corrected_clock() -> None:
    with serving(_binance()) as server, _client(server) as client:
        for _ in range(3):
            assert client.list_coins()
    assert _paths(server) == ["list", "time", "list", "list", "list"]
    assert len({request.connection for request in server.requests}) == 1


def test_the_clock_knows_whether_its_timestamps_are_accepted() -> None:
    time_now = response({"serverTime": 1_800_000_000_000})
    lists = iter([response()])

    def answer(request: Request) -> Answer:
        return time_now if request.path == TIME_PATH else next(lists, REFUSED)

    with serving(answer) as server, _client(server) as client:
        caller = client._caller
        assert not caller.clock.accepted
        client.list_coins()
        assert caller.clock.accepted
        # The question for the time is not signed, so its answer accepts no timestamp.
        run(caller.correct_clock(caller.clock.correction))
        assert caller.clock.accepted
        with pytest.raises(ClockSkewError):
            client.list_coins()
        assert not caller.clock.accepted


# The measurement


def _shift_stopwatches(patch: pytest.MonkeyPatch, shift: Callable[[], float]) -> None:
    shifted = SimpleNamespace(monotonic=lambda: time.monotonic() + shift())
    patch.setattr("binance_small_liability._call.clock.time", shifted)


def test_the_midpoint_is_exact_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time, "unix_ns", lambda: 0)
    moments = iter([10.0, 110.0])
    stopwatch = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("binance_small_liability._call.clock.time", stopwatch)
    clock = Clock()
    clock.stopwatch()(1_000_000)
    assert clock.correction.offset == 1_000_000 - 50_000
    # A measurement that fails keeps the last offset.
    clock.fail("no answer")
    assert clock.now() == 950_000


def test_the_wait_for_a_connection_is_not_part_of_the_round_trip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = 0
    _shift_stopwatches(monkeypatch, lambda: waited)
    with serving(_binance()) as server, _client(server) as client:
        borrow = client._io.borrow

        async def wait_and_borrow(timeout: float, *, fresh: bool) -> Any:
            nonlocal waited
            waited += 60
            return await borrow(timeout, fresh=fresh)

        monkeypatch.setattr(client._io, "borrow", wait_and_borrow)
        client.list_coins()
        assert client._caller.clock.correction.offset == pytest.approx(SKEW, abs=10_000)


@pytest.mark.parametrize(("skew", "late"), [(0, LIST_PATH), (SKEW, TIME_PATH)])
def test_waits_that_are_skipped_meanwhile_change_no_timestamp(skew: int, late: str) -> None:
    fake = FakeBinance()
    fake.clock_skew = skew

    class OnItsWay(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == late:
                real_time.sleep(40)  # as if another thread waited for a limit
            return fake.handle(request)

    with no_waiting(), SmallLiabilityClient(**fake.credentials, transport=OnItsWay()) as client:
        assert client.list_coins() == fake.coins


# Errors


@pytest.mark.parametrize(
    ("time_answer", "problem"),
    [
        (closed(), "/api/v3/time failed: RemoteProtocolError"),
        (response(b"", 503), "/api/v3/time failed: HTTP 503"),
        (response({}), "/api/v3/time failed: The response breaks the contract at $.serverTime"),
    ],
)
def test_the_error_says_why_the_clock_could_not_be_corrected(
    time_answer: Answer, problem: str
) -> None:
    answers = iter([time_answer])
    binance = _binance(lambda now: next(answers, response({"serverTime": now})))
    with serving(binance) as server, _client(server) as client:
        with pytest.raises(ClockSkewError, match="could not be corrected") as caught:
            client.list_coins()
        assert str(caught.value.problem).startswith(problem)
        assert caught.value.offset is None
        # The next call corrects it.
        assert client.list_coins()
    assert _paths(server) == ["list", "time", "list", "time", "list"]


def test_a_second_refusal_names_the_measured_offset() -> None:
    with (
        serving(_binance(lambda now: response({"serverTime": now - SKEW - 7_000}))) as server,
        _client(server) as client,
        pytest.raises(ClockSkewError) as caught,
    ):
        client.list_coins()
    assert caught.value.offset == pytest.approx(-7_000, abs=200)
    assert f"{caught.value.offset:+d} ms" in str(caught.value)
    assert caught.value.problem is None


# Many calls

MANY = 20


def _threads(server: WireServer, count: int) -> list[Any]:
    start = threading.Barrier(count)

    def call(_: int) -> Any:
        start.wait()
        try:
            return client.list_coins()
        except ClockSkewError as error:
            return error

    with _client(server) as client, ThreadPoolExecutor(count) as threads:
        return list(threads.map(call, range(count)))


def _tasks(server: WireServer, count: int) -> list[Any]:
    async def calls() -> list[Any]:
        async with AsyncSmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client:
            tasks = [client.list_coins() for _ in range(count)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(calls())


@pytest.mark.parametrize("is_available", [True, False])
@pytest.mark.parametrize("calls", [_threads, _tasks])
def test_many_calls_refused_together_request_the_time_once(
    calls: Callable[[WireServer, int], list[Any]], is_available: bool
) -> None:
    refusals = threading.Semaphore(0)

    def time_answer(now: int) -> bytes:
        # All calls wait for it.
        for _ in range(MANY):
            assert refusals.acquire(timeout=10)
        return response({"serverTime": now}) if is_available else response(b"", 503)

    binance = _binance(time_answer)

    def answer(request: Request) -> Answer:
        answered = binance(request)
        if answered == REFUSED:
            refusals.release()
        return answered

    with serving(answer) as server:
        outcomes = calls(server, MANY)
    assert _paths(server).count("time") == 1
    assert [type(each) for each in outcomes] == [list if is_available else ClockSkewError] * MANY
    if is_available:
        assert {type(coin) for coins in outcomes for coin in coins} == {Coin}
