"""After a 429 or 418 nothing is sent during the cool-down; the used weight is reported."""

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    ClockSkewError,
    IpBanError,
    NetworkError,
    RateLimitError,
    SmallLiabilityClient,
    SmallLiabilityError,
    operations,
)
from binance_small_liability._call.limits import LocalLimits, Wait
from binance_small_liability._call.pacing import Outcome, Reservation
from binance_small_liability._io import real_time
from binance_small_liability._io.connections import MOST_IN_FLIGHT
from binance_small_liability._io.threads import run
from binance_small_liability.testing import FakeBinance

from tests.conftest import CREDENTIALS, ListCoins
from tests.wire import Answer, Request, WireServer, reset, response, serving
from tools.contract import TIME_PATH

BODY = {"code": -1003, "msg": "Too much."}
BAN = response(BODY, 418, {"Retry-After": "300", "X-SAPI-USED-IP-WEIGHT-1M": "12100"})
LIMIT = response(BODY, 429, {"Retry-After": "30"})


pytestmark = pytest.mark.usefixtures("no_waiting")


def _serving(*answers: Answer) -> Any:
    queue = iter(answers)
    return serving(lambda _: next(queue, response()))


def _client(server: WireServer, **options: Any) -> SmallLiabilityClient:
    return SmallLiabilityClient(base_url=server.url, **CREDENTIALS, **options)


def _error(client: SmallLiabilityClient) -> SmallLiabilityError:
    with pytest.raises(SmallLiabilityError) as caught:
        client.list_coins()
    return caught.value


def test_nothing_is_sent_during_a_ban() -> None:
    with (
        _serving(BAN) as server,
        _client(server) as client,
    ):
        first = _error(client)
        real_time.sleep(200)
        second = _error(client)
        assert len(server.requests) == 1
        for error in (first, second):
            assert isinstance(error, IpBanError)
            assert (error.code, error.msg, error.used_weight) == (-1003, "Too much.", 12_100)
        assert isinstance(first, IpBanError)
        assert isinstance(second, IpBanError)
        assert (first.retry_after, first.attempts) == (300.0, 1)
        assert second.attempts == 0
        assert second.retry_after == pytest.approx(100, abs=5)
        assert "(0 attempts)" in str(second)
        # The rest of the ban is short enough to wait for.
        real_time.sleep(second.retry_after or 0)
        assert client.list_coins()
    assert len(server.requests) == 2


def test_during_a_ban_no_connection_is_borrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with _serving(BAN) as server, _client(server) as client:
        _error(client)
        monkeypatch.setattr(client._io, "borrow", None)
        assert isinstance(_error(client), IpBanError)


@pytest.mark.parametrize(("attempts", "is_waiting"), [(1, False), (2, True)])
def test_one_attempt_means_no_waits(attempts: int, is_waiting: bool) -> None:
    short = response(BODY, 418, {"Retry-After": "0.5"})
    with _serving(short) as server, _client(server, max_attempts=attempts) as client:
        _error(client)
        if is_waiting:
            assert client.list_coins()
        else:
            assert isinstance(_error(client), IpBanError)
        assert len(server.requests) == attempts


def test_a_call_may_wait_for_exactly_max_retry_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time, "monotonic", lambda: 0.0)
    waits: list[float] = []
    with _serving(BAN) as server, _client(server, max_retry_wait=300) as client:
        _error(client)

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            monkeypatch.setattr(real_time, "monotonic", lambda: 300.0)

        monkeypatch.setattr(client._io, "sleep", sleep)
        assert client.list_coins()
    assert waits == [300.0]


def test_a_call_waits_for_a_cool_down_that_is_short_enough() -> None:
    with _serving(LIMIT) as server, _client(server, max_attempts=2) as client:
        before = real_time.monotonic()
        assert client.list_coins()
        assert real_time.monotonic() - before >= 30
    with _serving(response(BODY, 418, {"Retry-After": "50"})) as server, _client(server) as client:
        assert isinstance(_error(client), IpBanError)
        before = real_time.monotonic()
        assert client.list_coins()
        assert 49 <= real_time.monotonic() - before <= 60
        assert len(server.requests) == 2


@pytest.mark.timeout(20)  # to look again and again instead would take 50 s
def test_a_task_waits_for_a_cool_down_too() -> None:
    async def calls(server: WireServer) -> None:
        async with AsyncSmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client:
            with pytest.raises(IpBanError):
                await client.list_coins()
            before = real_time.monotonic()
            assert await client.list_coins()
            assert 49 <= real_time.monotonic() - before <= 60

    with _serving(response(BODY, 418, {"Retry-After": "50"})) as server:
        asyncio.run(calls(server))
        assert len(server.requests) == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_cool_down_also_stops_requests_for_the_time(is_async: bool) -> None:
    client: SmallLiabilityClient | AsyncSmallLiabilityClient
    arrivals: list[float] = []

    def answer(request: Request) -> Answer:
        arrivals.append(real_time.monotonic())
        if request.path == TIME_PATH:
            return response({"serverTime": 1_800_000_000_000})
        if len(arrivals) == 1:
            # As if another call had just received the 429.
            run(
                client._caller.limits.cool_down(
                    operations.list_coins, RateLimitError(status_code=429, retry_after=30.0)
                )
            )
            return response({"code": -1021, "msg": "Late."}, 400)
        return response()

    async def call() -> None:
        assert isinstance(client, AsyncSmallLiabilityClient)
        async with client:
            await client.list_coins()

    with serving(answer) as server:
        if is_async:
            client = AsyncSmallLiabilityClient(base_url=server.url, **CREDENTIALS)
            asyncio.run(call())
        else:
            client = _client(server)
            with client:
                client.list_coins()
    refused, asked, _ = arrivals
    assert asked - refused >= 30


def test_threads_that_wait_for_a_connection_obey_a_ban(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binance_small_liability._io.threads.MOST_IN_FLIGHT", 5)
    full = threading.Barrier(5)

    def answer(_: Request) -> Answer:
        full.wait(timeout=10)
        return BAN

    with serving(answer) as server, _client(server) as client, ThreadPoolExecutor(8) as threads:
        errors = list(threads.map(lambda _: _error(client), range(8)))
        assert len(server.requests) == 5
    assert [type(error) for error in errors] == [IpBanError] * 8
    assert sorted(error.attempts for error in errors) == [0] * 3 + [1] * 5


def test_without_retries_a_call_does_not_wait_for_a_cool_down() -> None:
    with _serving(LIMIT) as server, _client(server, max_attempts=1) as client:
        assert isinstance(_error(client), RateLimitError)
        second = _error(client)
        assert isinstance(second, RateLimitError)
        assert second.retry_after == pytest.approx(30, abs=5)
        assert len(server.requests) == 1


def test_a_shorter_cool_down_does_not_end_a_longer_one() -> None:
    limits = LocalLimits()
    run(limits.cool_down(operations.list_coins, IpBanError(status_code=418, retry_after=100.0)))
    run(limits.cool_down(operations.list_coins, RateLimitError(status_code=429, retry_after=1.0)))
    run(limits.cool_down(operations.list_coins, RateLimitError(status_code=429)))
    real_time.sleep(50)
    wait = limits.cooling(operations.list_coins)
    assert wait is not None
    assert isinstance(wait.error, IpBanError)
    assert 45 < wait.seconds <= 50


def test_a_429_concerns_its_limiter_and_a_418_everything() -> None:
    limits = LocalLimits()
    run(limits.cool_down(operations.exchange, RateLimitError(status_code=429, retry_after=7.0)))
    assert limits.cooling(operations.list_coins) is None
    assert limits.cooling(operations.list_exchanges) is not None
    run(limits.cool_down(operations.exchange, IpBanError(status_code=418)))
    wait = limits.cooling(operations.list_coins)
    assert wait is not None
    assert 110 < wait.seconds <= 120, "a ban without Retry-After counts as 2 minutes"


def test_a_cool_down_ends_to_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(real_time, "monotonic", lambda: now)
    limits = LocalLimits()
    run(limits.cool_down(operations.list_coins, RateLimitError(status_code=429, retry_after=7.0)))
    now += 6.5
    wait = limits.cooling(operations.list_coins)
    assert wait is not None
    assert wait.seconds == 0.5
    now += 0.5
    assert limits.cooling(operations.list_coins) is None


def test_a_budget_that_is_used_up_holds_back_its_operation_alone() -> None:
    limits = LocalLimits()
    now = 1_800_000_020_000
    reservation = run(limits.reserve(operations.exchange, now, is_trusted=True))
    assert isinstance(reservation, Reservation)
    limits.settle(reservation, Outcome("answered", 180_000))
    wait = run(limits.reserve(operations.exchange, now, is_trusted=True))
    assert isinstance(wait, Wait)
    assert wait.seconds == 41
    assert wait.error.status_code == 429
    assert wait.error.msg == (
        "Not sent: the budget of exchange, 180000 per minute and UID, is used up."
    )
    assert isinstance(run(limits.reserve(operations.list_coins, now, is_trusted=True)), Reservation)


def test_an_absurd_retry_after_does_not_lock_the_client_up_for_ever() -> None:
    absurd = response(BODY, 418, {"Retry-After": "1000000000000"})
    with _serving(absurd) as server, _client(server) as client:
        error = _error(client)
        assert isinstance(error, IpBanError)
        assert error.retry_after == 1e12
        real_time.sleep(3 * 24 * 60 * 60)
        assert client.list_coins()


def test_no_thread_touches_the_network_during_a_ban() -> None:
    with (
        _serving(BAN) as server,
        _client(server) as client,
    ):
        _error(client)
        errors: list[SmallLiabilityError] = []
        threads = [
            threading.Thread(target=lambda: errors.append(_error(client))) for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 1
    assert [type(error) for error in errors] == [IpBanError] * 50
    # Each call has its own error, because errors keep the frames of their call.
    assert len({id(error) for error in errors}) == 50


def test_no_task_touches_the_network_during_a_ban() -> None:
    async def calls(server: WireServer) -> list[Any]:
        async with AsyncSmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client:
            with pytest.raises(IpBanError):
                await client.list_coins()
            tasks = [client.list_coins() for _ in range(50)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    with _serving(BAN) as server:
        errors = asyncio.run(calls(server))
        assert len(server.requests) == 1
    assert [type(error) for error in errors] == [IpBanError] * 50


def test_tasks_that_wait_for_a_connection_obey_a_ban_too() -> None:
    async def calls(server: WireServer) -> list[Any]:
        async with AsyncSmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client:
            tasks = [client.list_coins() for _ in range(10 * MOST_IN_FLIGHT)]
            return await asyncio.gather(*tasks, return_exceptions=True)

    with serving(BAN) as server:
        errors = asyncio.run(calls(server))
        assert len(server.requests) <= MOST_IN_FLIGHT
    assert {type(error) for error in errors} == {IpBanError}


def test_a_date_is_compared_with_the_clock_of_its_server() -> None:
    headers = {
        "Date": "Thu, 15 Jan 2026 12:00:00 GMT",
        "Retry-After": "Thu, 15 Jan 2026 12:05:00 GMT",
    }
    with _serving(response(BODY, 418, headers)) as server, _client(server) as client:
        error = _error(client)
    assert isinstance(error, IpBanError)
    assert error.retry_after == 300


def test_a_date_without_another_is_judged_by_our_clock(
    list_coins: ListCoins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_time, "unix_ns", lambda: 1_768_478_400 * 10**9)
    answer = response(BODY, 418, {"Retry-After": "Thu, 15 Jan 2026 12:05:00 GMT"})
    with serving(answer) as server, pytest.raises(IpBanError) as caught:
        list_coins(base_url=server.url)
    assert caught.value.retry_after == 300


def test_a_burst_at_the_start_of_a_minute_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the clock takes 1 ms. The calls begin 200 ms into a minute.
    ticks = itertools.count(1_768_478_400_200)
    monkeypatch.setattr(real_time, "unix_ns", lambda: next(ticks) * 1_000_000)
    fake = FakeBinance()
    with (
        fake.serve() as url,
        SmallLiabilityClient(**fake.credentials, base_url=url, max_attempts=1) as client,
        ThreadPoolExecutor(32) as threads,
    ):

        def call(_: int) -> bool:
            try:
                client.list_coins()
            except RateLimitError:
                return False
            return True

        succeeded = sum(threads.map(call, range(2_000)))
    assert next(ticks) > 1_768_478_402_000
    assert {request.status for request in fake.requests} == {200}
    # A call that would wait for those in flight is refused by the client itself.
    assert len(fake.requests) == succeeded
    assert 100 < succeeded <= 120


class Recording(LocalLimits):
    """Notes what became of each reservation."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self.trust: list[bool] = []

    async def reserve(self, *arguments: Any, is_trusted: bool) -> Reservation | Wait:
        self.trust.append(is_trusted)
        return await super().reserve(*arguments, is_trusted=is_trusted)

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        super().settle(reservation, outcome)
        self.outcomes.append(outcome)


def test_the_limits_learn_what_became_of_each_request() -> None:
    dated = {"Date": "Thu, 01 Jan 1970 00:02:59 GMT"}
    weighing = response(headers={"X-SAPI-USED-IP-WEIGHT-1M": "300", **dated})
    limits = Recording()

    def refusal(weight: str, retry_after: str = "1") -> bytes:
        headers = {"X-SAPI-USED-IP-WEIGHT-1M": weight, "Retry-After": retry_after, **dated}
        return response({}, 429, headers)

    refusals = refusal("11900"), refusal("11950"), refusal("many"), refusal("12000", "0")
    with (
        _serving(weighing, reset(), response(), *refusals) as server,
        _client(server, max_attempts=9) as client,
    ):
        client._caller.limits = limits
        for _ in range(3):
            client.list_coins()
    assert limits.outcomes == [
        *(Outcome("answered", 300, 2), Outcome("lost"), Outcome("answered")),
        # A count that uses up the budget would contradict `Retry-After`.
        *(Outcome("refused", 11_900, 2), Outcome("refused", None, 2), Outcome("refused", None, 2)),
        *(Outcome("answered", 12_000, 2), Outcome("answered")),
    ]
    first, *later = limits.trust
    assert not first
    assert all(later)
    limits = Recording()
    with _client(server, max_attempts=1) as client:  # nothing listens any more
        client._caller.limits = limits
        assert isinstance(_error(client), NetworkError)
    assert limits.outcomes == [Outcome("released")]


def test_a_ban_of_the_clock_counts_too() -> None:
    def answer(request: Request) -> Answer:
        return BAN if request.path == TIME_PATH else response({"code": -1021, "msg": "Late."}, 400)

    with serving(answer) as server, _client(server) as client:
        assert isinstance(_error(client), ClockSkewError)
        assert isinstance(_error(client), IpBanError)
        assert len(server.requests) == 2


def test_the_used_weight_is_that_of_the_last_answer() -> None:
    def weighing(weight: str, status: int = 200) -> bytes:
        return response([], status, {"X-SAPI-USED-IP-WEIGHT-1M": weight})

    answers = [weighing("100"), weighing("200", 400), response([]), weighing("many"), weighing("7")]
    with _serving(*answers) as server, _client(server) as client:
        assert client.used_weight is None
        client.list_coins()
        assert client.used_weight == 100
        error = _error(client)
        assert isinstance(error, ApiError)
        assert client.used_weight == error.used_weight == 200
        client.list_coins()
        client.list_coins()
        assert client.used_weight == 200
        client.list_coins()
        assert client.used_weight == 7


def test_the_used_weight_of_a_refused_clock_counts_too() -> None:
    weighing = {"X-SAPI-USED-IP-WEIGHT-1M": "300"}
    refused = response({"code": -1021, "msg": "Late."}, 400, weighing)
    time = response({"serverTime": 1_800_000_000_000})
    with _serving(refused, time, reset()) as server, _client(server, max_attempts=1) as client:
        assert isinstance(_error(client), NetworkError)
        assert client.used_weight == 300


def test_the_waits_of_a_call_add_up() -> None:
    class Crowded(LocalLimits):
        async def reserve(self, *_: Any, **__: Any) -> Wait:
            return Wait(25.0, RateLimitError(status_code=429))

    with _serving() as server, _client(server) as client:
        client._caller.limits = Crowded()
        before = real_time.monotonic()
        assert isinstance(_error(client), RateLimitError)
        assert real_time.monotonic() - before == pytest.approx(50, abs=5)
        assert not server.requests
