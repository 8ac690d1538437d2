"""A wrong clock is corrected once for all calls."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

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

from tests.conftest import CREDENTIALS
from tests.wire import Answer, Request, WireServer, closed, response, serving
from tools.contract import TIME_PATH

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


def test_the_clock_is_trusted_while_timestamps_are_accepted() -> None:
    time_now = response({"serverTime": 1_800_000_000_000})
    lists = iter([response()])

    def answer(request: Request) -> Answer:
        return time_now if request.path == TIME_PATH else next(lists, REFUSED)

    with serving(answer) as server, _client(server) as client:
        caller = client._caller
        assert not caller.clock.is_trusted
        client.list_coins()
        assert caller.clock.is_trusted
        # The question for the time is not signed, so its answer accepts no timestamp.
        run(caller.correct_clock(caller.clock.correction))
        assert caller.clock.is_trusted
        with pytest.raises(ClockSkewError):
            client.list_coins()
        assert not caller.clock.is_trusted


# The measurement


def test_the_midpoint_is_exact_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time, "unix_ns", lambda: 0)
    clock = Clock()
    moments = iter([10.0, 110.0])
    monkeypatch.setattr(real_time, "monotonic", lambda: next(moments))
    clock.stopwatch()(1_000_000)
    assert clock.correction.offset == 1_000_000 - 50_000
    # A measurement that fails keeps the last offset.
    clock.fail("no answer")
    assert clock.now() == 950_000


def test_the_wait_for_a_connection_is_not_part_of_the_round_trip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with real_time.skipping(), serving(_binance()) as server, _client(server) as client:
        borrow = client._io.borrow

        async def wait_and_borrow(timeout: float, *, fresh: bool) -> Any:
            real_time.sleep(60)
            return await borrow(timeout, fresh=fresh)

        monkeypatch.setattr(client._io, "borrow", wait_and_borrow)
        with suppress(ClockSkewError):  # the server's clock does not skip
            client.list_coins()
    # Two waits came before the answer with the time.
    offset = client._caller.clock.correction.offset
    assert offset == pytest.approx(SKEW - 2 * 60_000, abs=10_000)


# Errors


@pytest.mark.parametrize(
    ("time_answer", "problem"),
    [
        (closed(), "/api/v3/time failed: RemoteProtocolError"),
        (response(b"", 503), "/api/v3/time failed: HTTP 503"),
        (response({}), "/api/v3/time failed: The answer breaks the contract at $.serverTime"),
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


def _threads(server: WireServer, count: int) -> list[Any]:
    outcomes: list[Any] = []
    start = threading.Barrier(count)

    def call() -> None:
        start.wait()
        try:
            outcomes.append(client.list_coins())
        except ClockSkewError as error:
            outcomes.append(error)

    with _client(server) as client:
        threads = [threading.Thread(target=call) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return outcomes


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
        for _ in range(50):
            assert refusals.acquire(timeout=10)
        return response({"serverTime": now}) if is_available else response(b"", 503)

    binance = _binance(time_answer)

    def answer(request: Request) -> Answer:
        answered = binance(request)
        if answered == REFUSED:
            refusals.release()
        return answered

    with serving(answer) as server:
        outcomes = calls(server, 50)
    assert _paths(server).count("time") == 1
    assert [type(each) for each in outcomes] == [list if is_available else ClockSkewError] * 50
    if is_available:
        assert {type(coin) for coins in outcomes for coin in coins} == {Coin}
