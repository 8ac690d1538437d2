"""After a 429 or 418 nothing is sent during the cool-down; the used weight is reported."""

import asyncio
import logging
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    BudgetDetails,
    ClockSkewError,
    IpBanError,
    NetworkError,
    RateLimitError,
    SmallLiabilityClient,
    SmallLiabilityError,
    WaitDetails,
    operations,
)
from binance_small_liability._call import call
from binance_small_liability._call.limits import Limits, Reservation, Wait
from binance_small_liability._call.pacing import Outcome
from binance_small_liability._io import real_time
from binance_small_liability._io.threads import run
from binance_small_liability.testing import FakeBinance

from tests.clients import CLIENTS, CREDENTIALS, RunClient, finished, run_async, run_scenario
from tests.conftest import ListCoins
from tests.processes import exit_code, forked
from tests.wire import Answer, Request, WireServer, reset, response, serving
from tools.contract import TIME_PATH

COINS = operations.list_coins
COUNT = COINS.weight_header or ""
TIME = operations.server_time
BODY = {"code": -1003, "msg": "Too much."}
BAN = response(BODY, 418, {"Retry-After": "300", COUNT: "12100"})
LIMIT = response(BODY, 429, {"Retry-After": "30"})
DAY = 24 * 60 * 60


pytestmark = pytest.mark.usefixtures("no_waiting")


def _serving(*answers: Answer) -> Any:
    queue = iter(answers)
    return serving(lambda _: next(queue, response()))


def _client(server: WireServer, **options: Any) -> SmallLiabilityClient:
    return SmallLiabilityClient(base_url=server.url, **CREDENTIALS, **options)


def _refusal(status: int, retry_after: float | None) -> RateLimitError:
    kind = IpBanError if status == 418 else RateLimitError
    return kind(status_code=status, code=-1003, retry_after=retry_after)


def _error(client: SmallLiabilityClient) -> SmallLiabilityError:
    with pytest.raises(SmallLiabilityError) as caught:
        client.list_coins()
    return caught.value


def test_nothing_is_sent_during_a_ban(monkeypatch: pytest.MonkeyPatch) -> None:
    with _serving(BAN) as server, _client(server) as client:
        first = _error(client)
        assert isinstance(first, IpBanError)
        assert (first.code, first.msg, first.used_weight) == (-1003, "Too much.", 12_100)
        assert (first.retry_after, first.attempts) == (300.0, 1)
        real_time.sleep(200)
        with monkeypatch.context() as patch:
            patch.setattr(client._io, "borrow", None)  # nor is a connection borrowed
            second = _error(client)
        assert len(server.requests) == 1
        # It does not look like a response of Binance, but says which one is the reason.
        assert isinstance(second, IpBanError)
        assert (second.status_code, second.code, second.msg, second.headers) == (418, None, "", {})
        assert str(second).startswith("Not sent: this IP address is banned (HTTP 418, code -1003).")
        assert second.attempts == 0
        left = second.retry_after or 0
        assert 95 < left <= 100
        assert round(left, 3) == left
        cause = second.__cause__
        assert isinstance(cause, IpBanError)
        assert (cause.code, cause.attempts, cause.__traceback__) == (-1003, 1, None)
        # The rest of the ban is short enough to wait for.
        real_time.sleep(left)
        assert client.list_coins()
    assert len(server.requests) == 2


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
    assert waits == [300.0 + call._MARGIN]


def test_a_cool_down_also_stops_requests_for_the_time(client: RunClient) -> None:
    arrivals: list[float] = []
    limits: list[Limits] = []

    def answer(request: Request) -> Answer:
        arrivals.append(real_time.monotonic())
        if request.path == TIME_PATH:
            return response({"serverTime": 1_800_000_000_000})
        if len(arrivals) == 1:
            # As if another call had just received the 429.
            run(limits[0].cool_down(TIME, _refusal(429, 30)))
            return response({"code": -1021, "msg": "Late."}, 400)
        return response()

    async def scenario(client: Any) -> None:
        limits.append(client._caller.limits)
        await finished(client.list_coins())

    with serving(answer) as server:
        run_scenario(client, scenario, base_url=server.url)
    refused, asked, _ = arrivals
    assert asked - refused >= 30


class CoolingLate(Limits):
    """Another call is refused while a request connects."""

    def __init__(self, refusal: RateLimitError) -> None:
        super().__init__()
        self._refusals = [refusal]

    async def reserve(self, operation: Any) -> Reservation | Wait:
        reserved = await super().reserve(operation)
        if self._refusals:
            await self.cool_down(operation, self._refusals.pop())
        return reserved


@pytest.mark.parametrize("own", [True, False], ids=["ours", "a caller's transport"])
def test_the_last_look_is_just_before_a_request_leaves(client: RunClient, own: bool) -> None:
    async def scenario(client: Any, refusal: RateLimitError) -> None:
        client._caller.limits = CoolingLate(refusal)
        await finished(client.exchange(["ETH"]))

    fake = FakeBinance()
    if not own and client is CLIENTS["aiohttp"]:
        pytest.skip("it has no transport of httpx")
    with fake.serve() as url:
        options = {"base_url": url} if own else {"transport": fake.transport()}
        options |= {**fake.credentials, "max_retry_wait": 60}
        with pytest.raises(IpBanError, match="Not sent") as caught:
            run_scenario(client, partial(scenario, refusal=_refusal(418, 100)), **options)
        assert not fake.requests
        assert caught.value.attempts == 0
        run_scenario(client, partial(scenario, refusal=_refusal(429, 50)), **options)
        assert len(fake.requests) == 1


@pytest.mark.timeout(20)  # to look again and again instead would take 50 s
def test_waits_can_be_seen(client: RunClient, caplog: pytest.LogCaptureFixture) -> None:
    waits: list[WaitDetails] = []

    def note(details: WaitDetails) -> None:
        waits.append(details)
        raise KeyError("counter")  # it does not fail the call

    async def scenario(client: Any) -> None:
        await finished(client.list_coins())
        run(client._caller.limits.cool_down(COINS, _refusal(429, 30)))
        await finished(client.list_coins())

    caplog.set_level(logging.INFO, "binance_small_liability")
    limit = COINS.weight_per_minute
    with _serving(response(headers={COUNT: f"{limit}"})) as server:
        run_scenario(client, scenario, base_url=server.url, on_wait=note, max_retry_wait=100)
        assert len(server.requests) == 2
    for wait, reason in zip(
        waits,
        [
            "Binance refused a request (HTTP 429, code -1003)",
            f"the budget of list_coins, {limit} per minute and {COINS.limiter}, is used up",
        ],
        strict=True,
    ):
        assert (wait.operation, wait.reason) == ("list_coins", reason)
        assert 20 < wait.wait <= 30
    records = [vars(each) for each in caplog.records if "waits for" in each.getMessage()]
    for wait, record in zip(waits, records, strict=True):
        assert record["message"] == f"list_coins waits for {wait.wait:.1f} s: {wait.reason}"
        assert record.items() >= attrs.asdict(wait).items()
    assert caplog.text.count("on_wait failed") == 2


def test_what_is_left_of_each_budget_can_be_asked(client: RunClient) -> None:
    limits = {each.name: each.weight_per_minute for each in operations.ALL.values()}
    limit = limits["list_coins"] or 0

    async def scenario(client: Any) -> None:
        untouched = {name: BudgetDetails(most, None, most) for name, most in limits.items() if most}
        assert client.budgets == untouched
        await finished(client.list_coins())
        assert client.budgets == {
            **untouched,
            "list_coins": BudgetDetails(limit, COINS.weight, limit - COINS.weight),
        }
        with pytest.raises(IpBanError):
            await finished(client.list_coins())
        assert {each.left for each in client.budgets.values()} == {0}

    with _serving(response(headers={COUNT: str(COINS.weight)}), BAN) as server:
        run_scenario(client, scenario, base_url=server.url)


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
    # Each call has its own error, because errors keep the frames of their call.
    assert len({id(error) for error in errors}) == 8
    assert sorted(error.attempts for error in errors) == [0] * 3 + [1] * 5


@pytest.mark.parametrize(
    ("refusals", "time", "history"),
    [
        # A 429 concerns its limiter, and a 418 everything.
        ([(operations.exchange, 429, 7)], None, (429, 7)),
        ([(operations.exchange, 418, 7)], (418, 7), (418, 7)),
        ([(operations.exchange, 418, None)], (418, 120), (418, 120)),
        ([(operations.exchange, 429, None)], None, None),
        # An absurd one does not stop them for ever.
        ([(TIME, 418, 1e12)], (418, 3 * DAY), (418, 3 * DAY)),
        # The one that ends last counts.
        ([(TIME, 418, 9), (TIME, 429, 1)], (418, 9), (418, 9)),
        ([(TIME, 418, 1), (TIME, 429, 9)], (429, 9), (418, 1)),
    ],
)
def test_what_a_refusal_stops_and_until_when(
    refusals: list[Any], time: Any, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(real_time, "monotonic", lambda: now)
    limits = Limits()
    for operation, status, retry_after in refusals:
        run(limits.cool_down(operation, _refusal(status, retry_after)))

    def cooling(operation: Any) -> Any:
        wait = limits.cooling(operation)
        return wait and (wait.error().status_code, wait.seconds)

    assert cooling(TIME) == time
    assert cooling(operations.list_exchanges) == history
    if time:
        now += time[1] - 0.25
        assert cooling(TIME) == (time[0], 0.25)
        now += 0.25
        assert cooling(TIME) is None


def test_a_budget_that_is_used_up_holds_back_its_operation_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 20.0
    monkeypatch.setattr(real_time, "monotonic", lambda: now)
    limits, limit = Limits(), operations.exchange.weight_per_minute or 0
    reservation: Any = run(limits.reserve(operations.exchange))
    assert limits.left(operations.exchange) == limit - operations.exchange.weight
    run(limits.settle(reservation, Outcome("answered", limit)))
    assert limits.left(operations.exchange) == 0
    now += 19.0001
    wait: Any = run(limits.reserve(operations.exchange))
    error = wait.error()
    assert (error.status_code, error.retry_after, error.__cause__) == (429, 41, None)
    budget = f"the budget of exchange, {limit} per minute and UID"
    assert error.message == f"Not sent: {budget}, is used up."
    assert type(error) is RateLimitError  # not a ban
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    assert isinstance(run(limits.reserve(COINS)), Reservation)
    now += wait.seconds
    assert isinstance(run(limits.reserve(operations.exchange)), Reservation)


def test_tasks_that_wait_for_a_connection_obey_a_ban_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binance_small_liability._io.tasks.MOST_IN_FLIGHT", 5)

    async def calls(client: AsyncSmallLiabilityClient) -> list[Any]:
        return await asyncio.gather(
            *(client.list_coins() for _ in range(50)), return_exceptions=True
        )

    with serving(BAN) as server:
        errors = run_async(calls, base_url=server.url)
        assert len(server.requests) <= 5
    assert [type(error) for error in errors] == [IpBanError] * 50


@pytest.mark.parametrize(
    "headers",
    [
        # It is compared with the clock of its server, or else with ours.
        {"Date": "Thu, 15 Jan 2026 11:57:00 GMT", "Retry-After": "Thu, 15 Jan 2026 12:02:00 GMT"},
        {"Retry-After": "Thu, 15 Jan 2026 12:05:00 GMT"},
        # Of repeated headers the longest counts.
        {"Retry-After": "7\r\nRetry-After: 300, 8"},
    ],
)
def test_when_a_refusal_ends(
    list_coins: ListCoins, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_time, "unix_ns", lambda: 1_768_478_400 * 10**9)
    with serving(response(BODY, 418, headers)) as server, pytest.raises(IpBanError) as caught:
        list_coins(base_url=server.url)
    assert caught.value.retry_after == 300


def test_a_burst_is_never_refused() -> None:
    fake, most = FakeBinance(), (COINS.weight_per_minute or 0) // COINS.weight
    with (
        fake.serve() as url,
        SmallLiabilityClient(**fake.credentials, base_url=url, max_attempts=1) as client,
        ThreadPoolExecutor(32) as threads,
    ):

        def call(_: int) -> bool:
            try:
                client.list_coins()
            except RateLimitError as error:
                return not error.not_sent
            return True

        sent = sum(threads.map(call, range(2 * most)))
    # The client itself refuses a call that would wait for those in flight.
    assert most - 32 <= sent <= most
    assert [request.status for request in fake.requests] == [200] * sent


class Recording(Limits):
    """Notes what became of each reservation."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []

    async def settle(self, reservation: Reservation, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        return await super().settle(reservation, outcome)


def test_the_limits_learn_what_became_of_each_request() -> None:
    def weighing(weight: str, status: int = 200, retry_after: str = "") -> bytes:
        headers = {COUNT: weight, "Retry-After": retry_after}
        return response([], status, headers)

    answers: dict[Answer, Outcome] = {
        weighing("300"): Outcome("answered", 300),
        reset(): Outcome("lost"),
        response(): Outcome("answered"),
        weighing("many"): Outcome("answered"),
        weighing("12100", 429, "1"): Outcome("refused"),
        weighing("12000", 429): Outcome("answered", 12_000),
        weighing("11000", 400): Outcome("answered", 11_000),
        # A gateway may not have awaited Binance.
        response(b"", 504): Outcome("lost"),
    }
    for answer, outcome in answers.items():
        with _serving(answer) as server, _client(server, max_attempts=1) as client:
            client._caller.limits = limits = Recording()
            with suppress(SmallLiabilityError):
                client.list_coins()
        assert limits.outcomes == [outcome]
    with _client(server, max_attempts=1) as client:  # nothing listens any more
        client._caller.limits = limits = Recording()
        assert isinstance(_error(client), NetworkError)
    assert limits.outcomes == [Outcome("released")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_that_is_forked_without_hooks_has_a_lock_of_its_own() -> None:
    limits, exchange = Limits(), operations.exchange
    run(limits.reserve(exchange))

    def child() -> int:
        run(limits.reserve(exchange))
        used = (exchange.weight_per_minute or 0) - limits.left(exchange)
        return used // exchange.weight

    with limits._lock():  # another thread could hold it
        sent = exit_code(forked(child))
    assert sent == 2, "the parent's request was forgotten"


def test_a_ban_of_the_clock_counts_too() -> None:
    def answer(request: Request) -> Answer:
        return BAN if request.path == TIME_PATH else response({"code": -1021, "msg": "Late."}, 400)

    with serving(answer) as server, _client(server) as client:
        assert isinstance(_error(client), ClockSkewError)
        assert isinstance(_error(client), IpBanError)
        assert len(server.requests) == 2


def test_the_used_weight_is_that_of_the_last_answer() -> None:
    def weighing(weight: str, status: int = 200) -> bytes:
        return response([], status, {COUNT: weight})

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
    weighing = {COUNT: "300"}
    refused = response({"code": -1021, "msg": "Late."}, 400, weighing)
    time = response({"serverTime": 1_800_000_000_000})
    with _serving(refused, time, reset()) as server, _client(server, max_attempts=1) as client:
        assert isinstance(_error(client), NetworkError)
        assert client.used_weight == 300


def test_the_waits_of_a_call_add_up() -> None:
    class Crowded(Limits):
        async def reserve(self, *_: Any, **__: Any) -> Wait:
            return Wait(25.0, "it is crowded")

    with _serving() as server, _client(server) as client:
        client._caller.limits = Crowded()
        before = real_time.monotonic()
        assert isinstance(_error(client), RateLimitError)
        assert real_time.monotonic() - before == pytest.approx(50, abs=5)
        assert not server.requests
